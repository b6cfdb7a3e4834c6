//! Converting redundancy: chunks coded anew under new ids, while the old ones stay readable.
//!
//! A chunk's layout never changes, so every version that refers to the chunk gets a revision that refers to a
//! new one. A revision keeps its version's stamp: whatever a user writes meanwhile is later, and wins.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use serde::Serialize;
use tokio_util::task::AbortOnDropHandle;

use super::rebuild::STAGES;
use crate::error::{Error, ErrorKind, Result};
use crate::id::ChunkId;
use crate::journal::record::{ChunkRecord, Content, Entry, Record};
use crate::monitor::{Event, Monitor};
use crate::path::PoolPath;
use crate::pool::Pool;
use crate::pool::fetch::{StoredReader, check_shard};
use crate::pool::store::{Coded, Coder};
use crate::pool::upload::MARKED_TRIES;
use crate::redundancy::Redundancy;
use crate::stage::compress::FRAME_BYTES_MAX;
use crate::stage::layout::{Layout, MAX_UNIT_BYTES};

/// Converted chunks are committed when they have so many bytes,
const BATCH_BYTES: u64 = 4 << 30;
/// or are so many,
const BATCH_CHUNKS: usize = 256;
/// or the first is this old.
const BATCH_MS: u64 = 60_000;

/// What a conversion would do.
#[derive(Debug, Clone, Serialize)]
pub struct ConvertPlan {
    /// The redundancy to convert to.
    pub redundancy: Redundancy,
    /// The files with chunks of another layout.
    pub files: u64,
    /// Chunks to code anew, those of one file together.
    pub chunks: Vec<ChunkId>,
    /// Their plain bytes: what is read.
    pub bytes: u64,
    /// What is put.
    pub write_bytes: u64,
}

/// What a conversion did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ConvertReport {
    /// Chunks coded anew.
    pub chunks: u64,
    /// Their plain bytes.
    pub bytes: u64,
    /// Chunks that failed, and may be tried again.
    pub failed: u64,
    /// Acknowledged without a view, or by fewer remotes than the rule asks for.
    pub stale: bool,
}

/// A chunk coded anew, and what it stands for.
pub(super) struct Converted {
    /// The old chunk first; then new ones that went astray.
    replaces: Vec<ChunkId>,
    pub(super) new: ChunkRecord,
    epoch: u64,
}

impl Pool {
    /// Finds the chunks of a file, or of all files below a directory, whose layout is not what this redundancy
    /// gives. Other files that share them go along.
    ///
    /// # Errors
    /// `NotFound`; those of the index.
    pub fn plan_convert(&self, path: &PoolPath, redundancy: Redundancy) -> Result<ConvertPlan> {
        let mut plan = ConvertPlan { redundancy, files: 0, chunks: Vec::new(), bytes: 0, write_bytes: 0 };
        let mut seen = BTreeMap::new();
        let mut add = |entry: Entry| -> Result<()> {
            let mut touched = false;
            for extent in entry.content.extents() {
                if let Some(other) = seen.get(&extent.chunk) {
                    touched |= *other;
                    continue;
                }
                let record = self.chunk(extent.chunk).map_err(|e| e.at_path(&entry.path))?.record;
                let wanted = layout(redundancy, record.stored);
                // The unit is a matter of taste.
                let other = !record.layout.is_coded_as(&wanted);
                seen.insert(extent.chunk, other);
                touched |= other;
                if other {
                    plan.chunks.push(extent.chunk);
                    plan.bytes += record.size;
                    let shards = (0..wanted.shards()).map(|index| wanted.shard_size(record.stored, index));
                    plan.write_bytes += shards.sum::<u64>() * u64::from(wanted.copies);
                }
            }
            plan.files += u64::from(touched);
            Ok(())
        };
        let entry = self.index.entry(path)?;
        let is_tree = entry.is_none() || self.index.has_children(path)?;
        if let Some(entry) = entry {
            add(entry)?;
        }
        if is_tree {
            if !self.is_directory(path)? {
                return Err(crate::pool::namespace::no_file(path));
            }
            self.walk(path, &mut add)?;
        }
        Ok(plan)
    }

    /// Codes chunks anew, several at a time. Files stay readable all the while. Interrupted, a new plan goes on
    /// with the rest; the old chunks are freed by garbage collection.
    ///
    /// # Errors
    /// `Cancelled`; `Unavailable` when a commit reaches too few remotes. A chunk that fails is counted and told,
    /// and the others go on.
    pub async fn convert(self: &Arc<Self>, plan: &ConvertPlan, monitor: &Monitor) -> Result<ConvertReport> {
        let mut report = ConvertReport::default();
        monitor.event(&Event::Total { bytes: plan.bytes, items: plan.chunks.len() as u64 });
        if !plan.chunks.is_empty() {
            self.view_for_writing().await?;
        }
        let redundancy = plan.redundancy;
        let mut work = stream::iter(plan.chunks.clone())
            .map(|chunk| {
                let (pool, monitor) = (self.clone(), monitor.clone());
                async move {
                    let task = tokio::spawn(async move { pool.convert_chunk(chunk, redundancy, &monitor).await });
                    let done = AbortOnDropHandle::new(task).await;
                    (chunk, done.unwrap_or_else(|e| Err(Error::new(ErrorKind::Internal, e.to_string()))))
                }
            })
            .buffer_unordered((self.settings.upload_workers * STAGES).max(1));
        let (mut batch, mut since) = (Vec::new(), 0);
        loop {
            let (chunk, done) = match monitor.run(async { Ok(work.next().await) }).await {
                Ok(Some(one)) => one,
                Ok(None) => break,
                Err(error) => {
                    // What is finished counts.
                    self.commit_converted(std::mem::take(&mut batch), redundancy, &mut report, monitor).await?;
                    return Err(error);
                }
            };
            match done {
                Ok(converted) => {
                    if batch.is_empty() {
                        since = self.env.boot_ms();
                    }
                    batch.push(converted);
                }
                Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
                Err(error) => self.conversion_failed(chunk, &error, &mut report, monitor)?,
            }
            let bytes: u64 = batch.iter().map(|one| one.new.size).sum();
            let old = !batch.is_empty() && self.env.boot_ms().saturating_sub(since) >= BATCH_MS;
            if bytes >= BATCH_BYTES || batch.len() >= BATCH_CHUNKS || old {
                self.commit_converted(std::mem::take(&mut batch), redundancy, &mut report, monitor).await?;
            }
        }
        self.commit_converted(batch, redundancy, &mut report, monitor).await?;
        Ok(report)
    }

    fn conversion_failed(
        &self,
        chunk: ChunkId,
        error: &Error,
        report: &mut ConvertReport,
        monitor: &Monitor,
    ) -> Result<()> {
        let paths = self.index.paths_of(chunk)?;
        // Deleted meanwhile: nothing to convert.
        report.failed += u64::from(!paths.is_empty());
        for path in paths {
            monitor.event(&Event::FileFailed { path: path.to_string(), error: error.to_string() });
        }
        Ok(())
    }

    /// Reads a chunk, verified, and puts it under a new id; every shard is read back.
    async fn convert_chunk(
        self: &Arc<Self>,
        chunk: ChunkId,
        redundancy: Redundancy,
        monitor: &Monitor,
    ) -> Result<Converted> {
        let record = self.chunk(chunk)?.record;
        let layout = layout(redundancy, record.stored);
        let shards: u64 = (0..layout.shards()).map(|index| layout.shard_size(record.stored, index)).sum();
        let mut row = layout.shards() as u64 * u64::from(MAX_UNIT_BYTES.min(layout.unit));
        if record.compression.is_some() {
            row += record.layout.row_bytes() + 2 * u64::from(FRAME_BYTES_MAX);
        }
        let reading = self.care_read(&record).await?;
        let _memory = self.acquire_memory(StoredReader::memory(&record) + shards + row).await?;
        monitor.check()?;
        let epoch = self.view().await.epoch();
        let data = (0..usize::from(record.layout.data)).collect();
        let mut reader = StoredReader::open_shards(self.clone(), record.clone(), data, &[]).await?;
        // The stored stream stays as it is: what was compressed is not compressed again.
        let codec = self.codec(&record).await?;
        let mut coder = Coder::of(layout, &record, codec, &self.scratch_for(shards))?;
        while let Some(units) = reader.next_units().await? {
            for unit in units.iter().take(record.layout.data.into()).flatten() {
                coder.write(unit)?;
            }
        }
        let coded = coder.finish()?;
        drop(reading);
        if coded.size != record.size || record.sha256.is_some_and(|sum| sum != coded.sha256) {
            return Err(Error::new(ErrorKind::Corrupt, format!("chunk {chunk} is not what was stored")));
        }
        let converted = self.put_converted(chunk, coded, epoch, monitor).await?;
        monitor.progress(record.size, 0);
        Ok(converted)
    }

    /// Puts a chunk that was coded anew since a view of `epoch`, to stand for `old`; every shard is read back.
    pub(super) async fn put_converted(
        self: &Arc<Self>,
        old: ChunkId,
        coded: Coded,
        epoch: u64,
        monitor: &Monitor,
    ) -> Result<Converted> {
        // Progress counts what is committed.
        let silent = Monitor::default();
        let new = monitor.run(self.put_chunk(coded, None, &silent)).await?;
        monitor.run(self.check_stored(&new)).await?;
        Ok(Converted { replaces: vec![old], new, epoch })
    }

    /// Reads back every shard of a chunk that was just put.
    pub(super) async fn check_stored(&self, new: &ChunkRecord) -> Result<()> {
        let checks = new.shards.iter().map(|place| async move {
            let remote = self.handle(place.remote).await.ok_or_else(|| {
                Error::new(ErrorKind::Unavailable, "went offline").on_remote(self.remote_label(place.remote))
            })?;
            let name = self.shard_object(new.chunk, place.index, place.nonce);
            check_shard(&remote, &name, new, usize::from(place.index)).await
        });
        join_all(checks.collect::<Vec<_>>()).await.into_iter().collect()
    }

    /// Commits converted chunks with a revision of every version that refers to an old one.
    pub(super) async fn commit_converted(
        self: &Arc<Self>,
        mut rest: Vec<Converted>,
        redundancy: Redundancy,
        report: &mut ConvertReport,
        monitor: &Monitor,
    ) -> Result<()> {
        for _ in 0..MARKED_TRIES {
            let view = self.view_for_writing().await?;
            let revised = self.revisions(&mut rest)?;
            let Some(epoch) = rest.iter().map(|one| one.epoch).min() else { return Ok(()) };
            // A revision refers to the version's other chunks too.
            let whole = self.complete().await?;
            let chunks = rest.iter().map(|one| Record::Chunk(one.new.clone()));
            let records = chunks.chain(revised.iter().cloned().map(Record::Entry)).collect();
            let receipt = self.commit_data(&view, epoch, records).await?;
            let committed = !receipt.names.is_empty();
            report.stale |= committed && (receipt.stale || !whole);
            self.keep_view(receipt.view).await;
            let astray: BTreeSet<ChunkId> =
                rest.iter().map(|one| one.new.chunk).filter(|chunk| receipt.marked.contains_key(chunk)).collect();
            // What is being deleted is left to its deletion, and so are versions that refer to it.
            let marked = |entry: &&Entry| entry.content.extents().iter().any(|e| receipt.marked.contains_key(&e.chunk));
            let barred: BTreeSet<ChunkId> =
                revised.iter().filter(marked).flat_map(|e| e.content.extents()).map(|e| e.chunk).collect();
            for mut one in std::mem::take(&mut rest) {
                let Some(old) = one.replaces.first().copied() else { continue };
                if astray.contains(&one.new.chunk) {
                    // The old chunk is still there; it is stored once more.
                    one.replaces.push(one.new.chunk);
                    let again = self.convert_chunk(old, redundancy, monitor).await?;
                    rest.push(Converted { replaces: one.replaces, ..again });
                } else if committed {
                    report.chunks += 1;
                    report.bytes += one.new.size;
                    monitor.progress(0, 1);
                } else if barred.contains(&one.new.chunk) {
                    let error = Error::new(ErrorKind::Busy, "what it refers to is being deleted; repeat the command");
                    self.conversion_failed(old, &error, report, monitor)?;
                } else {
                    rest.push(one);
                }
            }
            if rest.is_empty() {
                return Ok(());
            }
        }
        Err(Error::new(ErrorKind::Busy, "what is converted keeps being deleted, or going astray")
            .hint("repeat the command"))
    }

    /// The next revision of every version that refers to an old chunk; takes out the chunks nothing refers to.
    fn revisions(&self, converted: &mut Vec<Converted>) -> Result<Vec<Entry>> {
        let pairs = converted.iter().flat_map(|one| one.replaces.iter().map(|old| (*old, one.new.chunk)));
        let (revised, used) = self.referring_to(&pairs.collect())?;
        converted.retain(|one| used.contains(&one.new.chunk));
        Ok(revised)
    }

    /// The next revision of every version that refers to one of these chunks, referring to the one that stands for it
    /// now; and those of them that are referred to.
    pub(super) fn referring_to(&self, new: &BTreeMap<ChunkId, ChunkId>) -> Result<(Vec<Entry>, BTreeSet<ChunkId>)> {
        let mut revised: BTreeMap<(PoolPath, crate::id::Stamp), Entry> = BTreeMap::new();
        let mut used = BTreeSet::new();
        for (old, chunk) in new {
            let versions = self.index.versions_of(*old)?;
            if !versions.is_empty() {
                used.insert(*chunk);
            }
            for mut entry in versions {
                if let Content::File { extents, .. } = &mut entry.content {
                    for extent in extents {
                        if let Some(chunk) = new.get(&extent.chunk) {
                            extent.chunk = *chunk;
                        }
                    }
                }
                entry.rev += 1;
                revised.insert((entry.path.clone(), entry.stamp), entry);
            }
        }
        Ok((revised.into_values().collect(), used))
    }
}

/// The layout of a chunk of `stored` bytes under a redundancy.
fn layout(redundancy: Redundancy, stored: u64) -> Layout {
    Layout::choose(redundancy.data, redundancy.parity, redundancy.copies, stored)
}
