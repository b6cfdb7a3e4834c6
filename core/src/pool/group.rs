//! Committing the files of a directory together: remotes allow few requests per second.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};

use super::Pool;
use super::upload::{MARKED_TRIES, Prepared, UploadOptions, UploadReport};
use crate::error::{Error, ErrorKind, Result};
use crate::id::ChunkId;
use crate::journal::record::Record;
use crate::monitor::{Event, FileAction, Monitor};

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

impl Group {
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
    /// Commits a group, stores anew what was being deleted or went astray meanwhile, and reports each file.
    ///
    /// # Errors
    /// `Unavailable` when the commit finds too few remotes; `Cancelled`.
    pub(super) async fn commit_group(
        self: &Arc<Self>,
        group: &mut Group,
        options: &UploadOptions,
        report: &mut UploadReport,
        monitor: &Monitor,
    ) -> Result<()> {
        group.since_ms = self.env.boot_ms();
        let mut prepared = std::mem::take(&mut group.prepared);
        let mut epoch = group.epoch;
        for _ in 0..MARKED_TRIES {
            let undone = self.commit_files(prepared, epoch, report, monitor).await?;
            epoch = undone.epoch;
            prepared = undone.waiting;
            prepared.extend(self.store_again(undone.marked, options, report, monitor).await?);
            if prepared.is_empty() {
                return Ok(());
            }
        }
        for file in prepared {
            let error = "what this file stores keeps being deleted, or going astray; repeat the upload";
            report.fail(monitor, file.path.to_string(), &Error::new(ErrorKind::Busy, error));
        }
        Ok(())
    }

    async fn commit_files(
        &self,
        prepared: Vec<Prepared>,
        epoch: u64,
        report: &mut UploadReport,
        monitor: &Monitor,
    ) -> Result<Undone> {
        let mut undone = Undone { waiting: Vec::new(), marked: Vec::new(), epoch };
        let records: Vec<Record> = prepared.iter().flat_map(|p| p.records.iter().cloned()).collect();
        let mut receipt = None;
        if !records.is_empty() {
            let reuses = prepared.iter().any(|file| file.action == FileAction::Unchanged && !file.records.is_empty());
            let whole = !reuses || self.complete().await?;
            let made = self.commit_data(&*self.view().await, epoch, records).await?;
            report.stale |= made.stale || !whole;
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
            report.count(&file);
            monitor.event(&Event::File { path: file.path, size: file.size, action: file.action });
        }
        Ok(undone)
    }

    /// Stores files once more, whatever is there already.
    async fn store_again(
        self: &Arc<Self>,
        files: Vec<Prepared>,
        options: &UploadOptions,
        report: &mut UploadReport,
        monitor: &Monitor,
    ) -> Result<Vec<Prepared>> {
        let options = UploadOptions { force: true, ..options.clone() };
        // Only files have chunks, so only they come here; and those are local ones.
        let sources = files.into_iter().filter_map(|file| Some((file.local?, file.path)));
        let mut stored = stream::iter(sources.collect::<Vec<(PathBuf, _)>>())
            .map(|(local, path)| {
                let options = &options;
                async move { (path.to_string(), self.prepare_file(&local, &path, options, monitor, false).await) }
            })
            .buffer_unordered(self.settings.upload_workers);
        let mut prepared = Vec::new();
        while let Some((path, done)) = monitor.run(async { Ok(stored.next().await) }).await? {
            match done {
                Ok(file) => prepared.push(file),
                Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
                Err(error) => report.fail(monitor, path, &error),
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
