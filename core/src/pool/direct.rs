//! An extent whose shards are files of this machine: one thread reads, checks, hashes and writes, so that the bytes
//! stay in one processor's cache.
//!
//! Here everything must go well. What does not is left to [`super::fetch::ChunkReader`], which knows what to do.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::Pool;
use super::download::{STRIP_BYTES, blocking};
use super::fetch::unit_checks;
use crate::error::{Error, ErrorKind, Result};
use crate::id::RemoteId;
use crate::journal::record::{ChunkRecord, Extent};
use crate::local::{self, Target};
use crate::monitor::Monitor;
use crate::stage::hash::Hasher;
use crate::stage::stripe::unit_crc_of;

/// How much is copied by one call; progress is told after each.
const STEP_BYTES: u64 = 8 << 20;
/// A step that takes longer is left to the stream, whose time-outs say what is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much of an extent is verified and written, from its front, and the hash of that.
#[derive(Debug, Clone, Default)]
pub(super) struct Begun {
    pub bytes: u64,
    pub hasher: Hasher,
}

/// What an extent is read from.
struct Source {
    chunk: ChunkRecord,
    /// The chunk's bytes that are the extent.
    range: Range<u64>,
    /// By index: the data shards the range touches.
    shards: BTreeMap<usize, Shard>,
    /// One unit.
    buffer: Vec<u8>,
    _memory: OwnedSemaphorePermit,
}

struct Shard {
    file: File,
    /// Of the first unit wanted.
    first_row: u64,
    /// Lengths and checksums of the units from there on.
    units: Vec<(usize, u32)>,
}

/// Bytes asked of remotes, until it is dropped.
struct Load<'a> {
    pool: &'a Pool,
    asked: Vec<(RemoteId, u64)>,
}

impl Drop for Load<'_> {
    fn drop(&mut self) {
        self.asked.iter().for_each(|(remote, bytes)| self.pool.placement.done(*remote, *bytes));
    }
}

impl Pool {
    /// Copies as much of an extent as can be had from files of this machine without trouble.
    ///
    /// # Errors
    /// Those of the target.
    pub(super) async fn copy_direct(&self, extent: &Extent, target: &Arc<Target>, monitor: &Monitor) -> Result<Begun> {
        let mut begun = Begun::default();
        let mut load = Load { pool: self, asked: Vec::new() };
        let Some(mut source) = self.open_direct(extent, &mut load).await else { return Ok(begun) };
        let offset = extent.offset;
        while begun.bytes < extent.length {
            // A step that nobody waits for any more finds the target gone.
            let waiting = Arc::new(target.clone());
            let (before, to) = (begun.clone(), Arc::downgrade(&waiting));
            let step = blocking(move || {
                let (after, goes_on) = source.step(before, &to, offset)?;
                Ok((source, after, goes_on))
            });
            let Ok(step) = tokio::time::timeout(PATIENCE, step).await else { break };
            let (again, after, goes_on) = step?;
            monitor.progress(after.bytes - begun.bytes, 0);
            (source, begun) = (again, after);
            if !goes_on {
                break;
            }
        }
        Ok(begun)
    }

    /// Opens the data shards of an extent; `None` unless all of them are files of this machine.
    async fn open_direct(&self, extent: &Extent, load: &mut Load<'_>) -> Option<Source> {
        let chunk = self.chunk(extent.chunk).ok()?.record;
        let range = extent.chunk_offset..extent.chunk_offset.checked_add(extent.length)?;
        if range.is_empty() || range.end > chunk.size || chunk.layout.validate().is_err() {
            return None;
        }
        let layout = chunk.layout;
        let (unit, k) = (u64::from(layout.unit), u64::from(layout.data));
        let mut rows: BTreeMap<usize, Range<u64>> = BTreeMap::new();
        for at in range.start / unit..=(range.end - 1) / unit {
            let (index, row) = (usize::try_from(at % k).ok()?, at / k);
            rows.entry(index).or_insert(row..row).end = row + 1;
        }
        let view = self.view().await;
        let mut places = Vec::new();
        for index in rows.keys() {
            let mut of_shard = chunk.shards.iter().filter(|place| usize::from(place.index) == *index);
            let online = of_shard.find_map(|p| Some((p, view.handle(p.remote, self.journal.remotes())?)));
            places.push(online.filter(|(_, remote)| remote.staging().is_some())?);
        }
        let memory = self.acquire_memory(unit).await.ok()?;
        let mut shards = BTreeMap::new();
        for ((index, rows), (place, remote)) in rows.into_iter().zip(places) {
            let units = unit_checks(&chunk, index, rows.clone());
            let bytes = units.iter().map(|(length, _)| *length as u64).sum::<u64>();
            let name = self.shard_object(chunk.chunk, place.index, place.nonce);
            let start = rows.start * unit;
            let file = remote.open(&name, start..start + bytes).await.ok()??;
            self.placement.planned(place.remote, bytes);
            load.asked.push((place.remote, bytes));
            shards.insert(index, Shard { file, first_row: rows.start, units });
        }
        let buffer = vec![0; layout.unit as usize];
        Some(Source { chunk, range, shards, buffer, _memory: memory })
    }
}

impl Source {
    /// Copies the next bytes; gives back with how much is done whether all went well.
    fn step(&mut self, mut begun: Begun, to: &Weak<Arc<Target>>, offset: u64) -> Result<(Begun, bool)> {
        let length = self.range.end - self.range.start;
        let stop = length.min(begun.bytes + STEP_BYTES);
        while begun.bytes < stop {
            let at = self.chunk.layout.locate(self.range.start + begun.bytes);
            let left = usize::try_from(length - begun.bytes).unwrap_or(usize::MAX);
            let wanted = self.unit(at.index, at.row).and_then(|unit| unit.get(at.within as usize..));
            let Some(wanted) = wanted.filter(|bytes| !bytes.is_empty()) else { return Ok((begun, false)) };
            for strip in wanted[..left.min(wanted.len())].chunks(STRIP_BYTES) {
                let gone = || Error::new(ErrorKind::Cancelled, "nobody waits for these bytes");
                let target = to.upgrade().ok_or_else(gone)?;
                begun.hasher.update(strip);
                target.write_at(offset + begun.bytes, strip)?;
                begun.bytes += strip.len() as u64;
            }
        }
        Ok((begun, true))
    }

    /// Reads a unit; `None` when it cannot be read or does not match its checksum.
    fn unit(&mut self, index: usize, row: u64) -> Option<&[u8]> {
        let shard = self.shards.get(&index)?;
        let (length, crc) = *shard.units.get(usize::try_from(row.checked_sub(shard.first_row)?).ok()?)?;
        let unit = self.buffer.get_mut(..length)?;
        let mut at = row * u64::from(self.chunk.layout.unit);
        // The next one of this shard, while the other shards are read.
        local::will_need(&shard.file, at + length as u64, self.chunk.layout.unit);
        let mut found = 0;
        for strip in unit.chunks_mut(STRIP_BYTES) {
            local::read_all_at(&shard.file, at, strip).ok()?;
            found = unit_crc_of(found, strip);
            at += strip.len() as u64;
        }
        (found == crc).then_some(unit)
    }
}

#[cfg(test)]
mod tests;
