//! Committing the files of a directory together: remotes allow few requests per second.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt;

use super::Pool;
use super::upload::{MARKED_TRIES, Order, Prepared};
use crate::error::{Error, ErrorKind, Result};
use crate::id::ChunkId;
use crate::journal::record::Record;
use crate::monitor::Monitor;
use crate::path::PoolPath;

/// A group of files is committed when it has this many files,
const GROUP_FILES: usize = 2000;
/// or this many bytes of data,
const GROUP_BYTES: u64 = 4 << 30;
/// or is this old.
const GROUP_MS: u64 = 60_000;

/// Files whose data is stored and that wait for their common commit.
pub(super) struct Group {
    pub prepared: Vec<Prepared>,
    pub since_ms: u64,
    /// When the view was taken by which their data was stored ([`crate::journal::View::epoch`]).
    pub epoch: u64,
}

/// Takes what became of each file.
pub(super) type Tell<'a> = &'a mut (dyn FnMut(PoolPath, Result<Prepared>) + Send);

impl Group {
    pub fn new(epoch: u64, boot_ms: u64) -> Self {
        Self { prepared: Vec::new(), since_ms: boot_ms, epoch }
    }

    /// In how many milliseconds it is due, as far as that is known.
    pub fn left_ms(&self, boot_ms: u64) -> u64 {
        if self.prepared.is_empty() { GROUP_MS } else { GROUP_MS.saturating_sub(boot_ms.saturating_sub(self.since_ms)) }
    }

    pub fn is_due(&self, boot_ms: u64) -> bool {
        let bytes: u64 = self.prepared.iter().map(|p| p.size).sum();
        self.prepared.len() >= GROUP_FILES
            || bytes >= GROUP_BYTES
            || (!self.prepared.is_empty() && boot_ms.saturating_sub(self.since_ms) >= GROUP_MS)
    }
}

/// What a commit left to do.
struct Undone {
    /// Their data is stored; they were not committed.
    waiting: Vec<Prepared>,
    /// Their data is being deleted, or went astray.
    marked: Vec<Prepared>,
    /// As [`Group::epoch`], for what is stored from here on.
    epoch: u64,
}

impl Pool {
    /// Commits a group, stores anew what was being deleted or went astray meanwhile, and tells what became of each
    /// file; gives back whether anything was acknowledged as stale. `together` is the monitor of all these files,
    /// where they have but one.
    ///
    /// # Errors
    /// `Unavailable` when the commit finds too few remotes; `Cancelled`.
    pub(super) async fn commit_group(
        self: &Arc<Self>,
        group: &mut Group,
        together: Option<&Monitor>,
        tell: Tell<'_>,
        monitor: &Monitor,
    ) -> Result<bool> {
        group.since_ms = self.env.boot_ms();
        let mut prepared = std::mem::take(&mut group.prepared);
        let (mut epoch, mut stale) = (group.epoch, false);
        for _ in 0..MARKED_TRIES {
            let undone = self.commit_files(prepared, epoch, &mut stale, tell).await?;
            epoch = undone.epoch;
            prepared = undone.waiting;
            prepared.extend(self.store_again(undone.marked, together, tell, monitor).await?);
            if prepared.is_empty() {
                return Ok(stale);
            }
        }
        for file in prepared {
            let error = "what this file stores keeps being deleted, or going astray; repeat the upload";
            tell(file.path, Err(Error::new(ErrorKind::Busy, error)));
        }
        Ok(stale)
    }

    async fn commit_files(
        &self,
        prepared: Vec<Prepared>,
        epoch: u64,
        stale: &mut bool,
        tell: Tell<'_>,
    ) -> Result<Undone> {
        let mut undone = Undone { waiting: Vec::new(), marked: Vec::new(), epoch };
        let mut told = BTreeSet::new();
        // Files of one pack bring the same chunk.
        let is_new = |record: &&Record| match record {
            Record::Chunk(chunk) => told.insert(chunk.chunk),
            _ => true,
        };
        let records: Vec<Record> = prepared.iter().flat_map(|file| &file.records).filter(is_new).cloned().collect();
        let mut receipt = None;
        if !records.is_empty() {
            let whole = !prepared.iter().any(|file| file.reuses) || self.complete().await?;
            let stored = prepared.iter().fold(epoch, |epoch, file| file.epoch(epoch));
            let made = self.commit_data(&*self.view().await, stored, records).await?;
            *stale |= made.stale || !whole;
            undone.epoch = made.view.epoch();
            self.keep_view(made.view).await;
            receipt = Some((made.names, made.marked));
        }
        for file in prepared {
            if let Some((names, marked)) = receipt.as_ref().filter(|_| !file.records.is_empty()) {
                if file.records.iter().flat_map(chunks).any(|chunk| marked.contains_key(&chunk)) {
                    self.forget_marked(&file, marked)?;
                    undone.marked.push(file);
                    continue;
                }
                // With a marked chunk among them nothing may have been committed at all.
                if names.is_empty() {
                    undone.waiting.push(file);
                    continue;
                }
                if let Some(key) = &file.resume_key {
                    self.index.forget_resumable(key)?;
                }
            }
            tell(file.path.clone(), Ok(file));
        }
        Ok(undone)
    }

    /// Stores files once more, whatever is there already.
    async fn store_again(
        self: &Arc<Self>,
        files: Vec<Prepared>,
        together: Option<&Monitor>,
        tell: Tell<'_>,
        monitor: &Monitor,
    ) -> Result<Vec<Prepared>> {
        // Only files have chunks, so only they come here.
        let orders = files.into_iter().filter_map(|file| file.again).map(|order| Order { again: true, ..order });
        let mut stored = std::pin::pin!(self.prepare_all(orders.collect(), together.cloned()));
        let mut prepared = Vec::new();
        while let Some(outcomes) = monitor.run(async { Ok(stored.next().await) }).await? {
            for (path, done) in outcomes {
                match done {
                    Ok(file) => prepared.push(file),
                    Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
                    Err(error) => tell(path, Err(error)),
                }
            }
        }
        Ok(prepared)
    }
}

fn chunks(record: &Record) -> Vec<ChunkId> {
    match record {
        Record::Chunk(chunk) => vec![chunk.chunk],
        Record::Entry(entry) => entry.content.extents().iter().map(|extent| extent.chunk).collect(),
        _ => Vec::new(),
    }
}
