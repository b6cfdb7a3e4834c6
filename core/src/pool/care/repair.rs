//! Repairing a file from a local copy of it, even when too few of its shards are left.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use serde::Serialize;

use super::rebuild::Batch;
use super::{ConvertReport, RebuildReport, restore::Order};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{Damage, Finding};
use crate::journal::record::{ChunkRecord, Content, Entry, Extent, Place, RemoteState};
use crate::local;
use crate::local::blocking;
use crate::monitor::{Event, Monitor};
use crate::path::PoolPath;
use crate::pool::Pool;
use crate::pool::fetch::{ChunkReader, check_shard};
use crate::pool::store::{Coded, Coder};
use crate::pool::upload::Section;
use crate::redundancy::Redundancy;
use crate::remote::Body;
use crate::scratch::Scratch;
use crate::stage::compress::{Codec, DEFAULT_LEVEL, FRAME_BYTES, FRAME_BYTES_MAX, Packer};
use crate::stage::hash::Hasher;
use crate::stage::layout::Layout;
use crate::stage::stripe::unit_crc;

/// Bytes of the source read at a time: 1 MiB.
const PIECE: usize = 1 << 20;
/// Shards read back at once, per chunk.
const CHECKS: usize = 8;

/// What a repair would do, or did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RepairReport {
    /// Shards of the file that were read and held against their checksums.
    pub checked: u64,
    /// Those that are missing or damaged.
    pub damaged: Vec<Finding>,
    /// Shards on remotes of which nothing is known now; they are left alone.
    pub unknown: u64,
    /// Chunks put anew whole: compressed today, they are other bytes than they were.
    pub replaced: u64,
    /// What was put anew.
    pub rebuilt: RebuildReport,
}

impl Pool {
    /// Puts every missing or damaged shard of a file anew from a local copy of it, and reads back what it
    /// put. With `dry_run` nothing is put.
    ///
    /// # Errors
    /// `InvalidArgument` when the copy is not the same content, with the first differing offset; `NotFound`; those
    /// of the local disk; `Unavailable` and `Full` from the remotes.
    pub async fn repair(
        self: &Arc<Self>,
        path: &PoolPath,
        source: &Path,
        dry_run: bool,
        monitor: &Monitor,
    ) -> Result<RepairReport> {
        let entry = self.index.entry(path)?.ok_or_else(|| crate::pool::namespace::no_file(path))?;
        let opened = File::open(source).map_err(|e| Error::io("cannot read", e).at_path(source.display()))?;
        let file = Arc::new(opened);
        let size = entry.content.size();
        monitor.event(&Event::Total { bytes: size, items: entry.content.extents().len() as u64 });
        self.check_source(&entry, &file, source, monitor).await?;
        let mut report = RepairReport::default();
        if dry_run {
            for extent in entry.content.extents() {
                self.check_chunk(&self.chunk(extent.chunk)?.record, &mut report, monitor).await?;
            }
            return Ok(report);
        }
        self.view_for_writing().await?;
        let mut batch = Batch::default();
        for extent in entry.content.extents() {
            let record = self.chunk(extent.chunk)?.record;
            let damaged = self.check_chunk(&record, &mut report, monitor).await?;
            if !damaged.is_empty() {
                let restored = self.repair_chunk(extent, &record, &damaged, &file, &mut report, monitor).await;
                if let Some(restored) = restored.map_err(|e| e.at_path(path))? {
                    batch.push(restored, self.env.boot_ms());
                }
            }
            if batch.is_due(self.env.boot_ms()) {
                self.finish_batch(&mut batch, &mut report.rebuilt, monitor).await?;
            }
        }
        self.finish_batch(&mut batch, &mut report.rebuilt, monitor).await?;
        Ok(report)
    }

    /// Reads every shard of a chunk that can be reached; gives back and notes those that are missing or
    /// damaged.
    async fn check_chunk(
        &self,
        record: &ChunkRecord,
        report: &mut RepairReport,
        monitor: &Monitor,
    ) -> Result<Vec<Finding>> {
        let removed: Vec<_> =
            self.index.remotes()?.into_iter().filter(|r| r.state == RemoteState::Removed).map(|r| r.remote).collect();
        let checks = stream::iter(record.shards.clone())
            .map(|place| {
                let removed = &removed;
                async move {
                    if removed.contains(&place.remote) {
                        return (place, Some(Ok(Damage::Missing)));
                    }
                    let Some(remote) = self.handle(place.remote).await else { return (place, Some(Err(()))) };
                    let name = self.shard_object(record.chunk, place.index, place.nonce);
                    match check_shard(&remote, &name, record, usize::from(place.index)).await {
                        Ok(()) => (place, None),
                        Err(error) => match error.kind() {
                            ErrorKind::NotFound => (place, Some(Ok(Damage::Missing))),
                            ErrorKind::Corrupt => (place, Some(Ok(Damage::Corrupt))),
                            _ => (place, Some(Err(()))),
                        },
                    }
                }
            })
            .buffer_unordered(CHECKS)
            .collect::<Vec<_>>();
        let mut damaged = Vec::new();
        for (place, trouble) in monitor.run(async { Ok(checks.await) }).await? {
            match trouble {
                Some(Ok(damage)) => damaged.push(Finding { chunk: record.chunk, place, damage }),
                Some(Err(())) => report.unknown += 1,
                None => {}
            }
            report.checked += u64::from(!matches!(trouble, Some(Err(()))));
        }
        damaged.sort_by_key(|finding| finding.place);
        self.index.note_damage(&damaged)?;
        report.damaged.extend(&damaged);
        Ok(damaged)
    }

    /// Codes a chunk from the local copy and puts its damaged shards; `None` when it replaced the chunk instead.
    async fn repair_chunk(
        self: &Arc<Self>,
        extent: &Extent,
        record: &ChunkRecord,
        damaged: &[Finding],
        file: &Arc<File>,
        report: &mut RepairReport,
        monitor: &Monitor,
    ) -> Result<Option<super::restore::RestoredShards>> {
        if (extent.chunk_offset, extent.length) != (0, record.size) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("chunk {} holds more than this file", record.chunk),
            )
            .hint("`rebuild` restores it where enough of it is left; `upload --force` stores the local copy anew"));
        }
        let bytes = memory(record);
        let memory = self.acquire_memory(bytes).await?;
        let (scratch, section) =
            (self.scratch_for(bytes), Section { file: file.clone(), at: extent.offset, end: end(extent) });
        let (old, level) = (record.clone(), self.settings.compression.unwrap_or(DEFAULT_LEVEL));
        let coded = if record.transforms.is_empty() {
            blocking(move || code_again(&old, section, level, &scratch)).await?
        } else {
            // A plugin may make other bytes of the same each time.
            None
        };
        let Some(coded) = coded else {
            drop(memory);
            self.replace_chunk(extent, record, file, report, monitor).await?;
            return Ok(None);
        };
        if coded.sha256 != extent.sha256 || coded.units != record.units {
            return Err(source_changed());
        }
        let places = || damaged.iter().map(|finding| finding.place);
        let bodies: BTreeMap<usize, Body> = coded.shards.into_iter().enumerate().collect();
        let order = Order {
            damaged: places().collect(),
            ..Order::new(record.chunk, places().map(|place| (place.index, place.copy)))
        };
        // Progress counts the source's bytes.
        monitor.run(self.put_restored(record, &bodies, &order, &Monitor::default())).await.map(Some)
    }

    /// Puts a compressed chunk under a new id, of the same redundancy: another version of zstd, or another level,
    /// makes other bytes, and those are no shards of the old one.
    async fn replace_chunk(
        self: &Arc<Self>,
        extent: &Extent,
        record: &ChunkRecord,
        file: &Arc<File>,
        report: &mut RepairReport,
        monitor: &Monitor,
    ) -> Result<()> {
        let Layout { data, parity, copies, .. } = record.layout;
        let redundancy = Redundancy { data, parity, copies, ..self.settings.redundancy };
        let bytes = memory(record);
        let _memory = self.acquire_memory(bytes).await?;
        let epoch = self.view().await.epoch();
        let (scratch, section) =
            (self.scratch_for(bytes), Section { file: file.clone(), at: extent.offset, end: end(extent) });
        let level = self.settings.compression.unwrap_or(DEFAULT_LEVEL);
        let (pool, old) = (self.clone(), record.clone());
        let coded = blocking(move || section.code(redundancy, &pool.recipe_like(&old, level)?, &scratch, &[])).await?;
        let coded = coded.filter(|coded| coded.sha256 == extent.sha256).ok_or_else(source_changed)?;
        let new = self.put_converted(record.chunk, coded, epoch, monitor).await?;
        let replaced = new.new.chunk;
        let size = |place: &Place| new.new.layout.shard_size(new.new.stored, usize::from(place.index));
        let (shards, bytes) = (new.new.shards.len() as u64, new.new.shards.iter().map(size).sum::<u64>());
        let mut committed = ConvertReport::default();
        self.commit_converted(vec![new], redundancy, &mut committed, &Monitor::default()).await?;
        if committed.failed > 0 {
            return Err(Error::new(ErrorKind::Busy, "what it refers to is being deleted; repeat the command"));
        }
        report.replaced += committed.chunks;
        self.tell_repaired(replaced, usize::try_from(shards).unwrap_or(usize::MAX))?;
        report.rebuilt.chunks += committed.chunks;
        report.rebuilt.shards += shards;
        report.rebuilt.bytes += bytes;
        report.rebuilt.stale |= committed.stale;
        monitor.progress(0, 1);
        Ok(())
    }

    /// Refuses a copy that is not what the pool stored, with the first differing offset.
    async fn check_source(
        self: &Arc<Self>,
        entry: &Entry,
        file: &Arc<File>,
        source: &Path,
        monitor: &Monitor,
    ) -> Result<()> {
        let metadata = file.metadata().map_err(|e| Error::io("cannot read", e).at_path(source.display()))?;
        let (size, expected) = (metadata.len(), entry.content.size());
        let differs = |at: String| {
            let sizes = if size == expected { String::new() } else { format!(" ({size} bytes instead of {expected})") };
            Error::new(ErrorKind::InvalidArgument, format!("is not the same content as {}: {at}{sizes}", entry.path))
                .at_path(source.display())
                .hint("nothing was changed; `upload` stores it as a new version")
        };
        match &entry.content {
            Content::Inline { data, .. } => {
                let mut local = vec![0; data.len()];
                let read = local::read_at(file, 0, &mut local)
                    .map_err(|e| Error::io("cannot read", e).at_path(source.display()))?;
                let same = local.iter().take(read).zip(data).take_while(|(a, b)| a == b).count();
                if same < data.len() || size != expected {
                    return Err(differs(format!("the first difference is at offset {same}")));
                }
                return Ok(());
            }
            Content::File { .. } => {}
            _ => return Err(Error::new(ErrorKind::InvalidArgument, "is not a file").at_path(&entry.path)),
        }
        for extent in entry.content.extents() {
            monitor.check()?;
            let whole = size.saturating_sub(extent.offset) >= extent.length;
            if whole && hash(file, extent.offset, extent.length).await? == extent.sha256 {
                monitor.progress(extent.length, 0);
                continue;
            }
            return Err(differs(self.first_difference(extent, file, size).await?));
        }
        if size != expected {
            return Err(differs(format!("the first difference is at offset {}", size.min(expected))));
        }
        Ok(())
    }

    /// Where a copy differs from an extent, as exactly as the records and what can be read allow.
    async fn first_difference(self: &Arc<Self>, extent: &Extent, file: &Arc<File>, size: u64) -> Result<String> {
        let record = self.chunk(extent.chunk)?.record;
        let end = (extent.offset + extent.length).min(size);
        let unit = u64::from(record.layout.unit);
        let mut at = extent.offset;
        while at < end {
            let in_chunk = at - extent.offset + extent.chunk_offset;
            // Up to the end of the unit, where units are those of the plain bytes.
            let length = (unit - in_chunk % unit).min(end - at);
            let local = read_local(file, at, length).await?;
            let found = record.layout.locate(in_chunk);
            let checks = record.units.get(found.index).map(|units| units.0.as_slice()).unwrap_or_default();
            let recorded = usize::try_from(found.row).ok().and_then(|row: usize| checks.get(row));
            let is_unit = record.compression.is_none()
                && found.within == 0
                && length == u64::from(record.layout.unit_len(record.stored, found.index, found.row));
            if !(is_unit && recorded == Some(&unit_crc(&local))) {
                let range = in_chunk..in_chunk + length;
                match self.read_range(&record, range).await {
                    Ok(stored) => {
                        let same = stored.iter().zip(&local).take_while(|(a, b)| a == b).count() as u64;
                        if same < length {
                            return Ok(format!("the first difference is at offset {}", at + same));
                        }
                    }
                    Err(_) if is_unit => {
                        return Ok(format!(
                            "the first difference is at offset {at}, or in the {length} bytes from there"
                        ));
                    }
                    // Neither its checksum nor its bytes are known: it may be further on.
                    Err(_) => {
                        return Ok(format!("the first difference is at or after offset {at}"));
                    }
                }
            }
            at += length;
        }
        Ok(format!("the first difference is at offset {end}"))
    }

    async fn read_range(self: &Arc<Self>, record: &ChunkRecord, range: std::ops::Range<u64>) -> Result<Vec<u8>> {
        let mut reader = ChunkReader::open(self.clone(), record.chunk, range).await?;
        let mut bytes = Vec::new();
        while let Some(pieces) = reader.next().await? {
            pieces.iter().for_each(|piece| bytes.extend_from_slice(piece));
        }
        Ok(bytes)
    }
}

/// What coding a chunk takes, in bytes.
fn memory(record: &ChunkRecord) -> u64 {
    let layout = &record.layout;
    let coded = record.size.div_ceil(layout.data.into()) * layout.shards() as u64 + layout.row_bytes();
    // The level is not known; the highest takes most.
    let packing = Packer::memory(u8::MAX) + layout.row_bytes() + 4 * u64::from(FRAME_BYTES_MAX);
    coded + if record.compression.is_some() { packing } else { 0 }
}

fn end(extent: &Extent) -> u64 {
    extent.offset.saturating_add(extent.length)
}

fn source_changed() -> Error {
    Error::new(ErrorKind::SourceChanged, "the local copy changed while it was read")
}

/// Codes the bytes of a chunk as they were coded; `None` where they do not compress to the same bytes any more.
fn code_again(record: &ChunkRecord, mut from: Section, level: u8, scratch: &Scratch) -> Result<Option<Coded>> {
    let codec = Codec { is_zstd: true, ..Codec::default() };
    let mut coder = Coder::of(record.layout, record, codec, scratch)?;
    let Some(compression) = &record.compression else {
        each_piece(&from.file, from.at, record.size, &mut |piece| coder.write(piece))?;
        return coder.finish().map(Some);
    };
    let (mut packer, mut plain, mut stored) = (Packer::new(level)?, Vec::new(), Vec::new());
    for frame in compression.frames() {
        if frame.plain as usize > FRAME_BYTES {
            return Ok(None);
        }
        plain.resize(frame.plain as usize, 0);
        from.read_exact(&mut plain).map_err(|e| Error::io("cannot read the local copy", e))?;
        stored.clear();
        packer.pack(&plain, &mut stored)?;
        if packer.frames().last() != Some(frame) {
            return Ok(None);
        }
        coder.write(&stored)?;
    }
    let coded = coder.finish()?;
    Ok(Some(coded).filter(|coded| coded.units == record.units))
}

async fn hash(file: &Arc<File>, offset: u64, length: u64) -> Result<crate::id::Sha256> {
    let file = file.clone();
    blocking(move || {
        let mut hasher = Hasher::new();
        each_piece(&file, offset, length, &mut |piece| {
            hasher.update(piece);
            Ok(())
        })?;
        Ok(hasher.finish())
    })
    .await
}

async fn read_local(file: &Arc<File>, offset: u64, length: u64) -> Result<Vec<u8>> {
    let file = file.clone();
    blocking(move || {
        let mut bytes = Vec::new();
        each_piece(&file, offset, length, &mut |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(bytes)
    })
    .await
}

/// Gives `each` the bytes of a range, in order; fewer where the file ends.
fn each_piece(file: &File, offset: u64, length: u64, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut buffer = vec![0; PIECE.min(usize::try_from(length).unwrap_or(PIECE))];
    let mut done = 0;
    while done < length {
        let wanted = usize::try_from(length - done).unwrap_or(usize::MAX).min(buffer.len());
        let read = local::read_at(file, offset + done, &mut buffer[..wanted])
            .map_err(|e| Error::io("cannot read the local copy", e))?;
        if read == 0 {
            break;
        }
        each(&buffer[..read])?;
        done += read as u64;
    }
    Ok(())
}
