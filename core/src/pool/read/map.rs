//! Which bytes of a chunk are which block.

use std::ops::Range;

use crate::error::{Error, ErrorKind, Result};
use crate::journal::record::ChunkRecord;

/// A chunk in blocks: its stripe units or, where it is compressed, its frames, decompressed. A frame can only be used
/// whole, lies across units, and would be decompressed again for every read of a few bytes.
pub(super) struct ChunkMap {
    pub record: ChunkRecord,
    /// Of a compressed chunk: where its frames begin in the plain bytes, and where the last one ends.
    frames: Option<Vec<u64>>,
}

impl ChunkMap {
    /// # Errors
    /// `Corrupt` for a record of impossible numbers.
    pub fn new(record: ChunkRecord) -> Result<Self> {
        record.layout.validate()?;
        let frames = match &record.compression {
            None => None,
            Some(compression) => {
                compression.validate(record.size, record.stored)?;
                let mut ends = vec![0];
                let mut end = 0;
                for frame in compression.frames() {
                    end += u64::from(frame.plain);
                    ends.push(end);
                }
                Some(ends)
            }
        };
        if frames.is_none() && record.size != record.stored {
            let message = format!("chunk {} has {} bytes stored as {}", record.chunk, record.size, record.stored);
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        Ok(Self { record, frames })
    }

    /// The plain bytes of these blocks.
    pub fn bytes(&self, blocks: &Range<u64>) -> Range<u64> {
        self.start(blocks.start)..self.start(blocks.end)
    }

    /// The blocks that hold these plain bytes.
    pub fn blocks(&self, bytes: &Range<u64>) -> Range<u64> {
        if bytes.is_empty() {
            return 0..0;
        }
        self.at(bytes.start)..self.at(bytes.end - 1) + 1
    }

    /// How many blocks a reader gives at once, beginning with this one.
    pub fn step(&self, block: u64) -> u64 {
        let k = u64::from(self.record.layout.data);
        if self.frames.is_some() { 1 } else { k - block % k }
    }

    fn start(&self, block: u64) -> u64 {
        match &self.frames {
            None => block.saturating_mul(self.record.layout.unit.into()).min(self.record.size),
            Some(starts) => {
                let at = usize::try_from(block).unwrap_or(usize::MAX);
                starts.get(at).copied().unwrap_or(self.record.size)
            }
        }
    }

    fn at(&self, byte: u64) -> u64 {
        match &self.frames {
            None => byte / u64::from(self.record.layout.unit),
            Some(starts) => starts.partition_point(|start| *start <= byte).saturating_sub(1) as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ChunkId, Stamp};
    use crate::stage::compress::{Compression, Frame};
    use crate::stage::layout::Layout;

    fn map(frames: Option<&[u32]>, size: u64) -> ChunkMap {
        let frame = |plain: &u32| Frame { plain: *plain, stored: 10 };
        let compression = frames.map(|plain| Compression::Zstd { frames: plain.iter().map(frame).collect() });
        let stored = frames.map_or(size, |frames| 10 * frames.len() as u64);
        let layout = Layout { data: 3, parity: 1, copies: 1, unit: 4096 };
        let (chunk, stamp) = (ChunkId(1), Stamp::ZERO);
        let (units, shards) = (Vec::new(), Vec::new());
        let (sha256, transforms) = (None, Vec::new());
        let record = ChunkRecord { chunk, stamp, size, stored, sha256, compression, transforms, layout, units, shards };
        ChunkMap::new(record).unwrap()
    }

    #[test]
    fn blocks_are_units_or_frames_and_cover_every_byte_once() {
        let units = map(None, 10_000);
        assert_eq!((units.blocks(&(0..10_000)), units.bytes(&(1..3))), (0..3, 4096..10_000));
        assert_eq!((units.blocks(&(4095..4097)), units.blocks(&(4096..8192))), (0..2, 1..2));
        assert_eq!([0, 1, 2, 3].map(|block| units.step(block)), [3, 2, 1, 3]);
        let frames = map(Some(&[100, 50, 7]), 157);
        assert_eq!((frames.blocks(&(0..157)), frames.bytes(&(1..3)), frames.step(1)), (0..3, 100..157, 1));
        assert_eq!((frames.blocks(&(99..101)), frames.blocks(&(149..150)), frames.blocks(&(5..5))), (0..2, 1..2, 0..0));
    }
}
