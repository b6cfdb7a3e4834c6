//! Reading in order.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use futures_util::future::{BoxFuture, ready};

use super::ahead::FIRST_BYTES;
use super::run::Run;
use super::{FileHandle, Manner, Part};
use crate::error::Result;
use crate::id::Sha256;
use crate::journal::record::Entry;
use crate::local::begin_blocking;
use crate::pool::download::check;
use crate::stage::hash::Hasher;

/// Less than this is hashed at once: handing it to another thread costs as much.
const ASIDE_BYTES: usize = 64 << 10;

/// Reads a range of a file in order, verified. As it is known from the start how far it goes, each chunk is asked
/// for once and its stream read as it is needed, and so far ahead as the settings say.
pub struct FileReader {
    file: Arc<FileHandle>,
    at: u64,
    end: u64,
    /// The extent that is being read.
    part: Option<Part>,
    /// Of an extent that is read whole.
    hash: Option<Hashing>,
    /// Fetches of what comes next begin up to here.
    begun: u64,
    runs: Vec<(u64, Arc<Run>)>,
    /// Read and not given yet.
    ready: VecDeque<Bytes>,
    /// How far ahead it fetches now, and since where.
    window: u64,
    since: u64,
}

impl FileReader {
    pub(super) fn new(file: Arc<FileHandle>, range: Range<u64>) -> Self {
        file.pool.blocks.streams().fetch_add(1, Relaxed);
        let (at, end) = (range.start, range.end);
        Self {
            file,
            at,
            end,
            part: None,
            hash: None,
            begun: at,
            runs: Vec::new(),
            ready: VecDeque::new(),
            window: 2 * FIRST_BYTES,
            since: at,
        }
    }

    /// The file's manifest.
    pub fn entry(&self) -> &Entry {
        self.file.entry()
    }

    /// The next bytes; `None` at the end of the range.
    ///
    /// # Errors
    /// `Unrecoverable`, `Unavailable`, `Corrupt`.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.at >= self.end {
            return Ok(None);
        }
        self.file.allow().await?;
        if let Some(bytes) = self.file.inline(&(self.at..self.end)) {
            self.at = self.end;
            return Ok(Some(bytes));
        }
        if self.ready.is_empty() {
            self.ready = self.read().await.map_err(|e| e.at_path(&self.entry().path))?.into();
        }
        let piece = self.ready.pop_front().unwrap_or_default();
        self.at += piece.len() as u64;
        Ok(Some(piece))
    }

    /// The next row of a chunk, as it comes from the remotes at once.
    async fn read(&mut self) -> Result<Vec<Bytes>> {
        let pool = self.file.pool.clone();
        let part = match self.part.take() {
            Some(part) => part,
            None => {
                let part = self.file.part(&(self.at..self.end))?;
                let whole = part.range == (0..part.extent.length);
                self.hash = whole.then(|| Hashing::new(part.extent.sha256));
                part
            }
        };
        let bytes = part.extent.chunk_offset + (self.at - part.extent.offset)..part.in_chunk().end;
        let blocks = part.map.blocks(&bytes);
        let row = blocks.start..blocks.end.min(blocks.start + part.map.step(blocks.start));
        self.begin(&part, &row)?;
        let found = pool.blocks(&part.map, row.clone(), |_| Manner::Through).await?;
        let (mut at, mut pieces) = (part.map.bytes(&row).start, Vec::new());
        for block in found {
            let within = |byte: u64| usize::try_from(byte.saturating_sub(at)).unwrap_or(usize::MAX).min(block.len());
            pieces.push(block.slice(within(bytes.start)..within(bytes.end)));
            at += block.len() as u64;
        }
        let hash = match self.hash.take() {
            Some(hash) => Some(hash.update(&pieces).await?),
            None => None,
        };
        if at < bytes.end {
            (self.part, self.hash) = (Some(part), hash);
        } else if let Some(hash) = hash {
            // The last row is given only when all of the extent is what was stored.
            hash.check().await?;
        }
        Ok(pieces)
    }

    /// Begins what is to be fetched now: the rest of this extent, and what follows as far as may be fetched ahead.
    fn begin(&mut self, now: &Part, row: &Range<u64>) -> Result<()> {
        let pool = self.file.pool.clone();
        self.runs.retain(|(end, run)| *end > self.at && !run.is_over());
        // Who reads a little of a long range and leaves should not have paid for much more.
        if self.at - self.since >= self.window / 2 {
            (self.window, self.since) = (self.window.saturating_mul(2), self.at);
        }
        self.window = self.window.min(pool.blocks.window().max(FIRST_BYTES));
        let row_end = now.in_file(now.map.bytes(row).end.min(now.in_chunk().end)).max(self.at + 1);
        let ahead = (row_end + self.window.min(pool.blocks.window())).min(self.end);
        let is_here = pool.blocks.covered(&now.map, row.start..row.start + 1) == 1;
        if !is_here {
            self.begun = self.at;
        }
        while self.begun < ahead {
            let part = self.file.part(&(self.begun..self.end))?;
            let bytes = part.in_chunk();
            let all = part.map.blocks(&bytes);
            let near = part.map.blocks(&(bytes.start..bytes.end.min(bytes.start + ahead - self.begun)));
            let here = pool.blocks.covered(&part.map, near.clone());
            let end_of = |block: u64| {
                let byte = part.map.bytes(&(block..block)).start.min(part.in_chunk().end);
                part.in_file(byte)
            };
            if here > 0 {
                self.begun = end_of(near.start + here).max(self.begun + 1);
                continue;
            }
            let must = self.begun == self.at;
            let run = pool.blocks.begin_run(&pool, &part.map, all.clone(), must);
            self.begun = end_of(all.end);
            self.runs.push((self.begun, run));
        }
        for (end, run) in &self.runs {
            // The last byte that may be fetched, as a block of the run.
            let left = end.saturating_sub(ahead);
            let last = run.map().bytes(run.blocks()).end.saturating_sub(left);
            run.allow(run.map().blocks(&(0..last)).end.min(run.blocks().end));
        }
        Ok(())
    }
}

/// The hash of an extent, a row behind: one row is hashed while it is on its way to who reads.
struct Hashing {
    hasher: BoxFuture<'static, Result<Hasher>>,
    expected: Sha256,
}

impl Hashing {
    fn new(expected: Sha256) -> Self {
        Self { hasher: Box::pin(ready(Ok(Hasher::new()))), expected }
    }

    /// Waits for the row before, and begins with this one.
    async fn update(self, pieces: &[Bytes]) -> Result<Self> {
        let mut hasher = self.hasher.await?;
        if pieces.iter().map(Bytes::len).sum::<usize>() < ASIDE_BYTES {
            pieces.iter().for_each(|piece| hasher.update(piece));
            return Ok(Self { hasher: Box::pin(ready(Ok(hasher))), expected: self.expected });
        }
        let pieces = pieces.to_vec();
        let work = begin_blocking(move || {
            pieces.iter().for_each(|piece| hasher.update(piece));
            Ok(hasher)
        });
        Ok(Self { hasher: Box::pin(work), expected: self.expected })
    }

    async fn check(self) -> Result<()> {
        check(self.hasher.await?, self.expected)
    }
}

impl Drop for FileReader {
    fn drop(&mut self) {
        self.file.pool.blocks.streams().fetch_sub(1, Relaxed);
    }
}
