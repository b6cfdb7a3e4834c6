//! Reading a chunk, compressing it where that is worth it, and coding it, all in one pass.

use std::io::Read;
use std::path::PathBuf;

use super::{Coded, Sink};
use crate::error::{Error, Result};
use crate::journal::record::UnitChecksums;
use crate::redundancy::Redundancy;
use crate::scratch::Scratch;
use crate::stage::chunk::Span;
use crate::stage::compress::{self, FRAME_BYTES, Packer};
use crate::stage::hash::Hasher;
use crate::stage::layout::{Layout, MAX_UNIT_BYTES};
use crate::stage::stripe::StripeEncoder;
use crate::stage::transform::Transforms;

/// How much is read, then hashed, at a time.
const STRIP_BYTES: usize = 128 << 10;

/// Whether a chunk is compressed, and at what level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pool) enum Compress {
    Never,
    /// If that makes its first row smaller: more of a stream is not known in time.
    IfFirst(u8),
    Always(u8),
}

/// How new chunks are encoded.
#[derive(Debug, Clone)]
pub(in crate::pool) struct Recipe {
    /// The level they are compressed at, where that makes them smaller.
    pub level: Option<u8>,
    /// What is done to them then.
    pub transforms: Transforms,
}

/// How a chunk is coded.
#[derive(Debug, Clone)]
pub(in crate::pool) struct Coding {
    pub redundancy: Redundancy,
    /// The most bytes of a unit.
    pub unit: u32,
    pub compress: Compress,
    pub transforms: Transforms,
}

/// Reads up to `limit` bytes and codes them; `None` at the end of the input. A shard that has a directory in
/// `staging` is written there.
///
/// Reads row by row straight into the shards: beside them, memory holds one row and its parity; of a chunk that is
/// compressed one more row, and a frame.
///
/// # Errors
/// Those of the reader, and `Full` when scratch files have no room.
pub(in crate::pool) fn code(
    reader: &mut dyn Read,
    limit: u64,
    coding: Coding,
    scratch: &Scratch,
    staging: &[Option<PathBuf>],
    also: &mut dyn FnMut(&[u8]),
) -> Result<Option<Coded>> {
    let Coding { redundancy, unit, compress, transforms } = coding;
    // The unit depends on the chunk's size only below a full row of the largest units.
    let largest = usize::from(redundancy.data) * MAX_UNIT_BYTES as usize;
    let mut input = Input { reader, left: limit, size: 0, hasher: Hasher::new(), also, packing: None };
    let most = usize::try_from(limit).map_or(largest, |n| n.min(largest));
    let mut row = vec![0; most];
    let mut first = input.fill(&mut row)?;
    if first == 0 {
        return Ok(None);
    }
    input.packing = Packing::of(&row[..first], compress, &transforms)?;
    if input.packing.is_some() {
        row.resize(largest, 0);
        first = input.fill(&mut row)?;
    }
    let layout = Layout::choose(redundancy.data, redundancy.parity, redundancy.copies, first as u64);
    let layout = layout.with_unit_at_most(unit);
    let small = first < row.len() || input.is_at_end();
    let mut encoder = StripeEncoder::new(layout)?;
    let mut sinks = (0..layout.shards())
        .map(|index| {
            if small {
                return Ok(Sink::Memory(Vec::new()));
            }
            let staging = staging.get(index).and_then(Option::as_deref);
            let file = match input.packing {
                Some(_) => scratch.create_in(staging),
                None => scratch.create_for(layout.shard_size(limit, index), staging),
            };
            file.map(Sink::Scratch)
        })
        .collect::<Result<Vec<_>>>()?;
    let mut stored = 0;
    let mut filled = first;
    let row_bytes = usize::try_from(layout.row_bytes()).unwrap_or(usize::MAX);
    while filled > 0 {
        for row in row[..filled].chunks(row_bytes) {
            for (index, unit) in encoder.row(row)? {
                sinks[index].write(unit)?;
            }
        }
        stored += filled as u64;
        if filled < row.len() {
            break;
        }
        filled = input.fill(&mut row)?;
    }
    Ok(Some(Coded {
        size: input.size,
        stored,
        sha256: input.hasher.finish(),
        transforms: input.packing.as_ref().map(|packing| packing.packer.transforms().applied()).unwrap_or_default(),
        compression: input.packing.map(|packing| packing.packer.finish()),
        layout,
        units: encoder.finish().into_iter().map(UnitChecksums).collect(),
        shards: sinks.into_iter().map(Sink::seal).collect::<Result<_>>()?,
    }))
}

/// The bytes of one chunk as they are read, and as they are stored.
struct Input<'a> {
    reader: &'a mut dyn Read,
    /// How many may still be read.
    left: u64,
    /// How many were read.
    size: u64,
    hasher: Hasher,
    also: &'a mut dyn FnMut(&[u8]),
    packing: Option<Packing>,
}

impl Input<'_> {
    /// Fills a row of the stored stream; less of it only at the end.
    fn fill(&mut self, row: &mut [u8]) -> Result<usize> {
        let Some(mut packing) = self.packing.take() else { return self.read(row) };
        while packing.stored.len() - packing.given < row.len() {
            let mut plain = std::mem::take(&mut packing.plain);
            plain.resize(FRAME_BYTES, 0);
            let read = self.read(&mut plain)?;
            if read > 0 {
                packing.add(&plain[..read])?;
            }
            packing.plain = plain;
            if read == 0 {
                break;
            }
        }
        let filled = packing.give(row);
        self.packing = Some(packing);
        Ok(filled)
    }

    /// Reads plain bytes until the buffer is full or the chunk ends; hashed while they are in the cache.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let mut filled = 0;
        for strip in buffer[..most].chunks_mut(STRIP_BYTES) {
            let read = fill(self.reader, strip)?;
            self.hasher.update(&strip[..read]);
            (self.also)(&strip[..read]);
            filled += read;
            if read < strip.len() {
                self.left = filled as u64;
                break;
            }
        }
        self.left -= filled as u64;
        self.size += filled as u64;
        Ok(filled)
    }

    /// Whether nothing is left to give, as far as is known.
    fn is_at_end(&self) -> bool {
        self.left == 0 && self.packing.as_ref().is_none_or(|packing| packing.given == packing.stored.len())
    }
}

/// A chunk that is being compressed.
struct Packing {
    packer: Packer,
    /// A frame's plain bytes.
    plain: Vec<u8>,
    /// Frames, given away up to `given`.
    stored: Vec<u8>,
    given: usize,
}

impl Packing {
    /// Begins a chunk with these bytes; `None` where it is stored as it is.
    fn of(plain: &[u8], compress: Compress, transforms: &Transforms) -> Result<Option<Self>> {
        let transforms = transforms.worth(&plain[..plain.len().min(FRAME_BYTES)])?;
        let begin = |level: Option<u8>| {
            let packer = Packer::of(level, transforms.clone())?;
            let mut packing = Self { packer, plain: Vec::new(), stored: Vec::new(), given: 0 };
            plain.chunks(FRAME_BYTES).try_for_each(|frame| packing.add(frame))?;
            Ok::<_, Error>(packing)
        };
        match compress {
            Compress::Always(level) => return begin(Some(level)).map(Some),
            Compress::IfFirst(level) if pays(plain)? => {
                let packing = begin(Some(level))?;
                if compress::gains(plain.len() as u64, packing.stored.len() as u64) {
                    return Ok(Some(packing));
                }
            }
            _ => {}
        }
        if transforms.is_empty() { Ok(None) } else { begin(None).map(Some) }
    }

    fn add(&mut self, plain: &[u8]) -> Result<()> {
        self.stored.drain(..std::mem::take(&mut self.given));
        self.packer.pack(plain, &mut self.stored)
    }

    fn give(&mut self, row: &mut [u8]) -> usize {
        let length = row.len().min(self.stored.len() - self.given);
        row[..length].copy_from_slice(&self.stored[self.given..self.given + length]);
        self.given += length;
        length
    }
}

/// Whether bytes like these get smaller, from a few places of them.
fn pays(plain: &[u8]) -> Result<bool> {
    let mut sample = Vec::new();
    for Span { offset, length } in compress::sample_spans(plain.len() as u64) {
        sample.extend_from_slice(&plain[offset as usize..(offset + length) as usize]);
    }
    compress::pays(&sample)
}

/// Reads until the buffer is full or the input ends.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            // Whoever cuts streams looks at their bytes as they are read.
            Err(e) => return Err(e.downcast::<Error>().unwrap_or_else(|e| Error::io("cannot read the source", e))),
        }
    }
    Ok(filled)
}
