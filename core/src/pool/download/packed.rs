//! Files that lie in one chunk, read in one go.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};

use super::{DownloadOptions, DownloadReport, STRIP_BYTES, blocking, check};
use crate::error::Result;
use crate::id::{ChunkId, Sha256};
use crate::journal::record::{Content, Entry};
use crate::local::{self, Target};
use crate::monitor::{Event, FileAction, Monitor};
use crate::path::PoolPath;
use crate::pool::Pool;
use crate::pool::fetch::ChunkReader;
use crate::stage::hash::Hasher;
use crate::stage::pack;

/// Bytes that nobody wants are read when they are fewer: another request takes longer.
const GAP_BYTES: u64 = 512 << 10;

/// A file, and where it goes.
pub(super) type Wanted = (Entry, PathBuf);

/// A range of a chunk, and the files in it, by their own ranges.
pub(super) struct Run {
    chunk: ChunkId,
    range: Range<u64>,
    files: Vec<(Range<u64>, Wanted)>,
}

/// Takes out the files that lie in one chunk with others, put together for reading.
pub(super) fn take_runs(work: Vec<Wanted>, options: &DownloadOptions) -> (Vec<Run>, Vec<Wanted>) {
    let mut chunks: BTreeMap<ChunkId, Vec<(Range<u64>, Wanted)>> = BTreeMap::new();
    let mut rest = Vec::new();
    for (entry, local) in work {
        match entry.content.extents() {
            [only] if !options.dry_run && (options.force || !local::is_same(&local, &entry)) => {
                let range = only.chunk_offset..only.chunk_offset.saturating_add(only.length);
                chunks.entry(only.chunk).or_default().push((range, (entry, local)));
            }
            _ => rest.push((entry, local)),
        }
    }
    let mut runs = Vec::new();
    for (chunk, files) in chunks {
        for (range, files) in pack::runs(files, GAP_BYTES) {
            match files.len() {
                1 => rest.extend(files.into_iter().map(|(_, wanted)| wanted)),
                _ => runs.push(Run { chunk, range, files }),
            }
        }
    }
    (runs, rest)
}

/// What became of a file.
pub(super) type Ended = (PoolPath, Result<DownloadReport>);

impl Run {
    pub fn paths(&self) -> Vec<PoolPath> {
        self.files.iter().map(|(_, (entry, _))| entry.path.clone()).collect()
    }
}

impl Pool {
    /// Writes the files of a run. Where it cannot be read to its end, what is left is read file by file: damage
    /// spoils only what it hits.
    pub(super) async fn download_run(
        self: Arc<Self>,
        run: Run,
        options: DownloadOptions,
        monitor: Monitor,
    ) -> Result<Vec<Ended>> {
        let Run { chunk, range, files } = run;
        let (mut waiting, mut ended) = (VecDeque::new(), Vec::new());
        for (range, wanted) in files {
            match self.before_download(&wanted.0).await {
                Ok(()) => waiting.push_back((range, wanted)),
                Err(error) => ended.push((wanted.0.path, Err(error))),
            }
        }
        let mut writing = Writing { at: range.start, waiting, open: Vec::new(), ended, monitor };
        match ChunkReader::open(self.clone(), chunk, range).await {
            Ok(mut reader) => loop {
                match reader.next().await {
                    Ok(Some(pieces)) => {
                        let degraded = reader.is_degraded();
                        let write = move || {
                            pieces.iter().for_each(|piece| writing.take(piece, degraded));
                            Ok(writing)
                        };
                        writing = blocking(write).await?;
                    }
                    Ok(None) => break,
                    Err(error) => {
                        tracing::warn!("chunk {chunk}: {error}; its files are read one by one");
                        break;
                    }
                }
            },
            Err(error) => tracing::warn!("chunk {chunk}: {error}; its files are read one by one"),
        }
        let Writing { waiting, open, mut ended, monitor, .. } = writing;
        let left = open.into_iter().map(|file| file.wanted).chain(waiting.into_iter().map(|(_, wanted)| wanted));
        let mut alone = stream::iter(left.collect::<Vec<_>>())
            .map(|(entry, local)| {
                let (pool, options, monitor) = (self.clone(), &options, &monitor);
                async move {
                    let mut report = DownloadReport::default();
                    let done = pool.download_entry(&entry, &local, options, monitor, &mut report).await;
                    (entry.path, done.map(|()| report))
                }
            })
            .buffer_unordered(self.settings.download_workers);
        while let Some(one) = alone.next().await {
            ended.push(one);
        }
        Ok(ended)
    }
}

/// The files of a run, as its bytes arrive.
struct Writing {
    /// Where in the chunk the next bytes lie.
    at: u64,
    waiting: VecDeque<(Range<u64>, Wanted)>,
    open: Vec<Open>,
    ended: Vec<Ended>,
    monitor: Monitor,
}

struct Open {
    range: Range<u64>,
    wanted: Wanted,
    file: Target,
    hasher: Hasher,
    sha256: Sha256,
}

impl Writing {
    /// Takes the next bytes of the chunk.
    fn take(&mut self, piece: &Bytes, degraded: bool) {
        let (at, end) = (self.at, self.at + piece.len() as u64);
        self.at = end;
        while self.waiting.front().is_some_and(|(range, _)| range.start < end) {
            let Some((range, wanted)) = self.waiting.pop_front() else { break };
            let sha256 = match &wanted.0.content {
                Content::File { extents, .. } => extents.first().map(|extent| extent.sha256),
                _ => None,
            };
            match (Target::create(&wanted.1), sha256) {
                (Ok(file), Some(sha256)) => {
                    self.open.push(Open { range, wanted, file, hasher: Hasher::new(), sha256 });
                }
                (Err(error), _) => self.ended.push((wanted.0.path, Err(error))),
                (Ok(_), None) => {}
            }
        }
        let mut open = std::mem::take(&mut self.open);
        open.retain_mut(|file| !self.write(file, at, piece));
        for file in open.extract_if(.., |file| file.range.end <= end) {
            self.finish(file, degraded);
        }
        self.open = open;
    }

    /// Writes what of these bytes belongs to a file; gives back whether that failed.
    fn write(&mut self, file: &mut Open, at: u64, piece: &Bytes) -> bool {
        let end = at + piece.len() as u64;
        let mut from = file.range.start.max(at);
        let bounds = |n: u64| usize::try_from(n - at).unwrap_or(usize::MAX);
        let Some(bytes) = piece.get(bounds(from)..bounds(file.range.end.min(end))) else { return false };
        for strip in bytes.chunks(STRIP_BYTES) {
            file.hasher.update(strip);
            if let Err(error) = file.file.write_at(from - file.range.start, strip) {
                self.ended.push((file.wanted.0.path.clone(), Err(error)));
                return true;
            }
            from += strip.len() as u64;
        }
        false
    }

    fn finish(&mut self, file: Open, degraded: bool) {
        let (entry, size) = (file.wanted.0, file.range.end - file.range.start);
        let path = entry.path.clone();
        let done = check(file.hasher, file.sha256).and_then(|()| file.file.finish(&entry));
        let done = done.map_err(|e| e.at_path(&path)).map(|()| {
            self.monitor.progress(size, 1);
            self.monitor.event(&Event::File { path: path.clone(), size, action: FileAction::Downloaded });
            DownloadReport { files: 1, bytes: size, degraded: u64::from(degraded), ..DownloadReport::default() }
        });
        self.ended.push((path, done));
    }
}
