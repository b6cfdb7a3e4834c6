//! From the pool to local files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio_util::task::AbortOnDropHandle;

use super::Pool;
use super::direct::Begun;
use super::fetch::ChunkReader;
use super::namespace::no_file;
use super::tree::Filter;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::record::{Content, Entry, Extent};
use crate::local::blocking;
use crate::local::{self, Target};
use crate::monitor::{Event, FileAction, Monitor};
use crate::path::PoolPath;
use crate::plugin::{Hook, of_file};
use crate::stage::hash::Hasher;

mod packed;

/// How much is hashed, then written, at a time.
pub(super) const STRIP_BYTES: usize = 128 << 10;

/// How to download.
#[derive(Debug, Clone, Default)]
pub struct DownloadOptions {
    /// Replace local files that are there; without it, one with the same size and modification time is
    /// skipped and any other is replaced too, but never a directory.
    pub force: bool,
    /// Which files of a directory.
    pub filter: Filter,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
}

/// What a download did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct DownloadReport {
    /// Files written.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were there already, with the same size and modification time.
    pub unchanged: u64,
    /// Files that failed.
    pub failed: u64,
    /// Files some of whose shards are missing, damaged or on a remote that is offline.
    pub degraded: u64,
}

/// What is read in one go.
enum Job {
    Run(packed::Run),
    One(packed::Wanted),
}

impl DownloadReport {
    fn fail(&mut self, monitor: &Monitor, path: &PoolPath, error: &Error) {
        self.failed += 1;
        monitor.event(&Event::FileFailed { path: path.to_string(), error: error.to_string() });
    }
}

impl Pool {
    /// Downloads a file to `target`, or into it when it is a directory.
    ///
    /// The bytes go to a temporary file beside the target, which takes its name when all of them are
    /// verified: no half file ever has the name.
    ///
    /// # Errors
    /// `NotFound`, `Unrecoverable`, `Unavailable`, and those of the local disk.
    pub async fn download(
        self: &Arc<Self>,
        path: &PoolPath,
        target: &Path,
        options: &DownloadOptions,
        monitor: &Monitor,
    ) -> Result<DownloadReport> {
        let told = if options.dry_run { monitor.clone() } else { self.told(monitor) };
        let monitor = &told;
        if let Some(entry) = self.index.entry(path)?.filter(|e| !e.content.is_directory()) {
            let target = if target.is_dir() { target.join(local::file_name(path.name())?) } else { target.to_owned() };
            monitor.event(&Event::Total {
                bytes: entry.content.size(),
                items: entry.content.extents().len().max(1) as u64,
            });
            let mut report = DownloadReport::default();
            self.download_entry(&entry, &target, options, monitor, &mut report).await?;
            return Ok(report);
        }
        if self.is_directory(path)? {
            self.download_tree(path, target, options, monitor).await
        } else {
            Err(no_file(path))
        }
    }

    /// Downloads everything below a directory. One file's failure does not stop the others.
    async fn download_tree(
        self: &Arc<Self>,
        directory: &PoolPath,
        target: &Path,
        options: &DownloadOptions,
        monitor: &Monitor,
    ) -> Result<DownloadReport> {
        let mut entries = Vec::new();
        let mut bytes = 0;
        self.walk(directory, |entry| {
            if options.filter.keeps(entry.path.below(directory).unwrap_or_default(), entry.content.is_directory()) {
                bytes += entry.content.size();
                entries.push(entry);
            }
            Ok(())
        })?;
        monitor.event(&Event::Total { bytes, items: entries.len() as u64 });
        let mut names = local::Names::default();
        let mut work: Vec<(Entry, PathBuf)> = Vec::new();
        let mut report = DownloadReport::default();
        for entry in entries {
            match names.local(target, entry.path.below(directory).unwrap_or_default()) {
                Ok(local) => work.push((entry, local)),
                Err(error) => report.fail(monitor, &entry.path, &error),
            }
        }
        if !options.dry_run {
            std::fs::create_dir_all(target)
                .map_err(|e| Error::io("cannot make the directory", e).at_path(target.display()))?;
        }
        // Links last: nothing of this download is written through one.
        let (links, files): (Vec<_>, Vec<_>) =
            work.into_iter().partition(|(entry, _)| matches!(entry.content, Content::Link { .. }));
        for work in [files, links] {
            self.download_all(work, options, monitor, &mut report).await?;
        }
        Ok(report)
    }

    async fn download_all(
        self: &Arc<Self>,
        work: Vec<(Entry, PathBuf)>,
        options: &DownloadOptions,
        monitor: &Monitor,
        report: &mut DownloadReport,
    ) -> Result<()> {
        let (runs, alone) = packed::take_runs(work, options);
        let jobs = runs.into_iter().map(Job::Run).chain(alone.into_iter().map(Job::One));
        let results = stream::iter(jobs.collect::<Vec<_>>())
            .map(|job| {
                let (pool, options, monitor) = (self.clone(), options.clone(), monitor.clone());
                async move {
                    let (paths, task) = match job {
                        Job::Run(run) => (run.paths(), tokio::spawn(pool.download_run(run, options, monitor))),
                        Job::One((entry, local)) => {
                            let path = entry.path.clone();
                            let task = async move {
                                let mut report = DownloadReport::default();
                                let done = pool.download_entry(&entry, &local, &options, &monitor, &mut report).await;
                                Ok(vec![(entry.path, done.map(|()| report))])
                            };
                            (vec![path], tokio::spawn(task))
                        }
                    };
                    let done = AbortOnDropHandle::new(task).await;
                    let done = done.unwrap_or_else(|e| Err(Error::new(ErrorKind::Internal, e.to_string())));
                    done.unwrap_or_else(|e| paths.into_iter().map(|path| (path, Err(e.repeat()))).collect())
                }
            })
            .buffer_unordered(self.settings.download_workers);
        let mut results = std::pin::pin!(results);
        while let Some(ended) = monitor.run(async { Ok(results.next().await) }).await? {
            for (path, result) in ended {
                match result {
                    Ok(one) => {
                        report.files += one.files;
                        report.bytes += one.bytes;
                        report.unchanged += one.unchanged;
                        report.degraded += one.degraded;
                    }
                    Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
                    Err(error) => report.fail(monitor, &path, &error),
                }
            }
        }
        Ok(())
    }

    async fn download_entry(
        self: &Arc<Self>,
        entry: &Entry,
        target: &Path,
        options: &DownloadOptions,
        monitor: &Monitor,
        report: &mut DownloadReport,
    ) -> Result<()> {
        let size = entry.content.size();
        let action = if !options.force && local::is_same(target, entry) {
            report.unchanged += 1;
            monitor.progress(size, entry.content.extents().len().max(1) as u64);
            FileAction::Unchanged
        } else {
            if !options.dry_run {
                self.before_download(entry).await?;
                report.degraded += u64::from(self.write_local(entry, target, monitor).await?);
            }
            if !entry.content.is_directory() {
                report.files += 1;
                report.bytes += size;
            }
            FileAction::Downloaded
        };
        monitor.event(&Event::File { path: entry.path.clone(), size, action });
        Ok(())
    }

    /// Asks event handlers.
    pub(super) async fn before_download(&self, entry: &Entry) -> Result<()> {
        let (path, size) = (&entry.path, entry.content.size());
        let asked = self.plugins.before(Hook::PreDownload, || of_file(path, Some(size))).await;
        asked.map_err(|e| e.at_path(path))
    }

    /// Writes one entry to the local disk; gives back whether shards could not be had.
    async fn write_local(self: &Arc<Self>, entry: &Entry, target: &Path, monitor: &Monitor) -> Result<bool> {
        let extents = match &entry.content {
            Content::Directory {} => {
                local::make_directory(target, entry.mtime_ns)?;
                return Ok(false);
            }
            Content::Link { target: to } => {
                local::make_link(target, to)?;
                return Ok(false);
            }
            Content::Inline { data, .. } => {
                let file = Target::create(target)?;
                file.write_at(0, data)?;
                file.finish(entry)?;
                monitor.progress(data.len() as u64, 1);
                return Ok(false);
            }
            Content::File { extents, .. } => extents,
        };
        let file = Arc::new(Target::create(target)?);
        let degraded = stream::iter(extents.clone())
            .map(|extent| {
                let (pool, file, monitor) = (self.clone(), file.clone(), monitor.clone());
                async move {
                    let task = tokio::spawn(async move { pool.write_extent(&extent, &file, &monitor).await });
                    AbortOnDropHandle::new(task)
                        .await
                        .unwrap_or_else(|e| Err(Error::new(ErrorKind::Internal, e.to_string())))
                }
            })
            .buffer_unordered(self.settings.download_workers)
            .try_fold(false, |any, one| std::future::ready(Ok(any | one)));
        let degraded = monitor.run(degraded).await.map_err(|e| e.at_path(&entry.path))?;
        let entry = entry.clone();
        blocking(move || {
            let file = Arc::into_inner(file)
                .ok_or_else(|| Error::new(ErrorKind::Internal, "a download's file is still in use"))?;
            file.finish(&entry)
        })
        .await?;
        Ok(degraded)
    }

    async fn write_extent(self: Arc<Self>, extent: &Extent, file: &Arc<Target>, monitor: &Monitor) -> Result<bool> {
        let begun = self.copy_direct(extent, file, monitor).await?;
        if begun.bytes == extent.length && extent.length > 0 {
            check(begun.hasher, extent.sha256)?;
            monitor.progress(0, 1);
            return Ok(false);
        }
        let (mut at, begun_badly) = (extent.offset + begun.bytes, begun.is_degraded);
        let mut reader = ExtentReader::resume(&self, extent, begun).await?;
        while let Some(pieces) = reader.reader.next().await? {
            let (file, mut check) = (file.clone(), reader.check.take());
            let (end, check) = blocking(move || {
                let mut end = at;
                // What was hashed is in the cache when it is written.
                for strip in pieces.iter().flat_map(|piece| piece.chunks(STRIP_BYTES)) {
                    if let Some((hasher, _)) = &mut check {
                        hasher.update(strip);
                    }
                    file.write_at(end, strip)?;
                    end += strip.len() as u64;
                }
                Ok((end, check))
            })
            .await?;
            reader.check = check;
            monitor.progress(end - at, 0);
            at = end;
        }
        reader.finish()?;
        monitor.progress(0, 1);
        Ok(begun_badly || reader.is_degraded())
    }
}

/// Reads an extent that is held against its SHA-256.
struct ExtentReader {
    reader: ChunkReader,
    check: Option<(Hasher, crate::id::Sha256)>,
}

impl ExtentReader {
    /// The rest of an extent.
    async fn resume(pool: &Arc<Pool>, extent: &Extent, begun: Begun) -> Result<Self> {
        let range = extent.chunk_offset + begun.bytes..extent.chunk_offset + extent.length;
        Ok(Self {
            reader: ChunkReader::open(pool.clone(), extent.chunk, range).await?,
            check: Some((begun.hasher, extent.sha256)),
        })
    }

    /// Holds what was read to its end against the hash.
    fn finish(&mut self) -> Result<()> {
        self.check.take().map_or(Ok(()), |(hasher, expected)| check(hasher, expected))
    }

    fn is_degraded(&self) -> bool {
        self.reader.is_degraded()
    }
}

pub(super) fn check(hasher: Hasher, expected: crate::id::Sha256) -> Result<()> {
    let found = hasher.finish();
    if found == expected {
        return Ok(());
    }
    let message = format!("the content has SHA-256 {found} and {expected} was stored");
    Err(Error::new(ErrorKind::Corrupt, message))
}
