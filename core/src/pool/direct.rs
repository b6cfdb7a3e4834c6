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
use super::download::STRIP_BYTES;
use super::fetch::unit_checks;
use crate::error::{Error, ErrorKind, Result};
use crate::id::RemoteId;
use crate::journal::record::{ChunkRecord, Extent, Place};
use crate::local::blocking;
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
    /// Whether a shard was not what its record says.
    pub is_degraded: bool,
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
    place: Place,
    file: File,
    /// Of the first unit wanted.
    first_row: u64,
    /// Lengths and checksums of the units from there on.
    units: Vec<(usize, u32)>,
}

/// By index of a data shard.
type Rows = BTreeMap<usize, Range<u64>>;
/// A place whose shard is not what its record says, and why.
type Trouble = (Place, Box<Error>);
type Attempt<T> = std::result::Result<T, Trouble>;

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
        let mut source = match self.open_direct(extent, &mut load).await {
            Ok(Some(source)) => source,
            Ok(None) => return Ok(begun),
            Err((place, error)) => return Ok(self.give_up(extent, place, &error, begun)),
        };
        let offset = extent.offset;
        while begun.bytes < extent.length {
            // A step that nobody waits for any more finds the target gone.
            let waiting = Arc::new(target.clone());
            let (before, to) = (begun.clone(), Arc::downgrade(&waiting));
            let step = blocking(move || {
                let (after, trouble) = source.step(before, &to, offset)?;
                Ok((source, after, trouble))
            });
            let Ok(step) = tokio::time::timeout(PATIENCE, step).await else { break };
            let (again, after, trouble) = step?;
            monitor.progress(after.bytes - begun.bytes, 0);
            (source, begun) = (again, after);
            if let Some((place, error)) = trouble {
                return Ok(self.give_up(extent, place, &error, begun));
            }
        }
        Ok(begun)
    }

    fn give_up(&self, extent: &Extent, place: Place, error: &Error, begun: Begun) -> Begun {
        self.warn_of(place.remote, error, &format!("chunk {}, shard {}", extent.chunk, place.index));
        self.note_bad(extent.chunk, place, error);
        Begun { is_degraded: true, ..begun }
    }

    /// Opens the data shards of an extent; `None` unless all of them are said to be files of this machine.
    async fn open_direct(&self, extent: &Extent, load: &mut Load<'_>) -> Attempt<Option<Source>> {
        let Some((chunk, range, rows)) = self.rows_of(extent) else { return Ok(None) };
        let unit = u64::from(chunk.layout.unit);
        let view = self.view().await;
        let mut places = Vec::new();
        for index in rows.keys() {
            let mut of_shard = chunk.shards.iter().filter(|place| usize::from(place.index) == *index);
            let online = of_shard.find_map(|p| Some((*p, view.handle(p.remote, self.journal.remotes())?)));
            match online.filter(|(_, remote)| remote.staging().is_some()) {
                Some(found) => places.push(found),
                None => return Ok(None),
            }
        }
        let Ok(memory) = self.acquire_memory(unit).await else { return Ok(None) };
        let mut shards = BTreeMap::new();
        for ((index, rows), (place, remote)) in rows.into_iter().zip(places) {
            let units = unit_checks(&chunk, index, rows.clone());
            let bytes = units.iter().map(|(length, _)| *length as u64).sum::<u64>();
            let name = self.shard_object(chunk.chunk, place.index, place.nonce);
            let start = rows.start * unit;
            let Some(file) = remote.open(&name, start..start + bytes).await.map_err(|e| (place, Box::new(e)))? else {
                return Ok(None);
            };
            self.placement.planned(place.remote, bytes);
            load.asked.push((place.remote, bytes));
            shards.insert(index, Shard { place, file, first_row: rows.start, units });
        }
        let buffer = vec![0; chunk.layout.unit as usize];
        Ok(Some(Source { chunk, range, shards, buffer, _memory: memory }))
    }

    /// The chunk of an extent, the chunk's bytes that are it, and the rows it touches of each data shard.
    fn rows_of(&self, extent: &Extent) -> Option<(ChunkRecord, Range<u64>, Rows)> {
        let chunk = self.chunk(extent.chunk).ok()?.record;
        let range = extent.chunk_offset..extent.chunk_offset.checked_add(extent.length)?;
        if range.is_empty() || range.end > chunk.size || chunk.compression.is_some() || chunk.layout.validate().is_err()
        {
            return None;
        }
        let layout = chunk.layout;
        let (unit, k) = (u64::from(layout.unit), u64::from(layout.data));
        let mut rows: Rows = BTreeMap::new();
        for at in range.start / unit..=(range.end - 1) / unit {
            let (index, row) = (usize::try_from(at % k).ok()?, at / k);
            rows.entry(index).or_insert(row..row).end = row + 1;
        }
        Some((chunk, range, rows))
    }
}

impl Source {
    /// Copies the next bytes; gives back how much is done, and what kept it from more.
    fn step(&mut self, mut begun: Begun, to: &Weak<Arc<Target>>, offset: u64) -> Result<(Begun, Option<Trouble>)> {
        let length = self.range.end - self.range.start;
        let stop = length.min(begun.bytes + STEP_BYTES);
        while begun.bytes < stop {
            let at = self.chunk.layout.locate(self.range.start + begun.bytes);
            let left = usize::try_from(length - begun.bytes).unwrap_or(usize::MAX);
            let unit = match self.unit(at.index, at.row) {
                Ok(unit) => unit,
                Err(trouble) => return Ok((begun, Some(trouble))),
            };
            let wanted = unit.get(at.within as usize..).unwrap_or_default();
            for strip in wanted[..left.min(wanted.len())].chunks(STRIP_BYTES) {
                let gone = || Error::new(ErrorKind::Cancelled, "nobody waits for these bytes");
                let target = to.upgrade().ok_or_else(gone)?;
                begun.hasher.update(strip);
                target.write_at(offset + begun.bytes, strip)?;
                begun.bytes += strip.len() as u64;
            }
        }
        Ok((begun, None))
    }

    /// Reads a unit and holds it against its checksum.
    fn unit(&mut self, index: usize, row: u64) -> Attempt<&[u8]> {
        let shard = &self.shards[&index];
        let (length, crc) = shard.units[(row - shard.first_row) as usize];
        let unit = &mut self.buffer[..length];
        let mut at = row * u64::from(self.chunk.layout.unit);
        // The next one of this shard, while the other shards are read.
        local::will_need(&shard.file, at + length as u64, self.chunk.layout.unit);
        let mut found = 0;
        for strip in unit.chunks_mut(STRIP_BYTES) {
            local::read_all_at(&shard.file, at, strip)
                .map_err(|e| (shard.place, Box::new(Error::io("cannot read the shard", e))))?;
            found = unit_crc_of(found, strip);
            at += strip.len() as u64;
        }
        if found == crc {
            return Ok(unit);
        }
        let error = Error::new(ErrorKind::Corrupt, format!("unit {row} does not match its checksum"));
        Err((shard.place, Box::new(error)))
    }
}

#[cfg(test)]
mod tests;
