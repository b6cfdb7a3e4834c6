//! Reading a range of a chunk's plain bytes, decompressed where it is compressed.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::StoredReader;
use crate::buffer::Buffer;
use crate::error::{Error, ErrorKind, Result};
use crate::id::ChunkId;
use crate::journal::record::ChunkRecord;
use crate::local::blocking;
use crate::pool::Pool;
use crate::stage::compress::{Touched, Unpacker};

/// The plain bytes of a range of one chunk, in order.
pub(in crate::pool) struct ChunkReader {
    stored: StoredReader,
    frames: Option<Frames>,
}

/// The frames of a compressed chunk that hold the range.
struct Frames {
    chunk: ChunkId,
    /// Away only while it works.
    unpacker: Option<Unpacker>,
    /// Where the next frame begins in the chunk's plain bytes.
    at: u64,
    range: Range<u64>,
}

impl ChunkReader {
    /// Begins to read `range` of a chunk's plain bytes: the rows that hold it, or the frames it touches.
    ///
    /// # Errors
    /// `Corrupt` when the range lies outside of the chunk, or its record is not known.
    pub async fn open(pool: Arc<Pool>, chunk: ChunkId, range: Range<u64>) -> Result<Self> {
        let record = pool.chunk(chunk)?.record;
        check(&record, &range)?;
        let memory = pool.acquire_memory(Self::memory(&record, &range)).await?;
        let mut reader = Self::open_within(pool, record, range).await?;
        reader.stored._memory = Some(memory);
        Ok(reader)
    }

    /// What reading `range` of a chunk takes, in bytes.
    pub fn memory(record: &ChunkRecord, range: &Range<u64>) -> u64 {
        let Some(compression) = &record.compression else { return StoredReader::memory_of(record, range) };
        let Touched { frames, stored, .. } = compression.touching(range);
        // One frame is in use while the next is made of a row and what was left of another.
        let largest = frames.iter().map(|frame| frame.plain.max(frame.stored)).max().unwrap_or(0);
        let more = 3 * u64::from(largest) + record.layout.row_bytes().min(record.stored);
        StoredReader::memory_of(record, &stored) + more
    }

    /// As [`ChunkReader::open`]; the memory ([`ChunkReader::memory`]) is the caller's.
    pub async fn open_within(pool: Arc<Pool>, record: ChunkRecord, range: Range<u64>) -> Result<Self> {
        check(&record, &range)?;
        let chunk = record.chunk;
        let Some(compression) = &record.compression else {
            return Ok(Self { stored: StoredReader::open(pool, record, range).await?, frames: None });
        };
        let Touched { frames, stored, plain_start } = compression.touching(&range);
        let unpacker = Some(Unpacker::of(frames, pool.codec(&record).await?)?);
        let stored = StoredReader::open(pool, record, stored).await?;
        Ok(Self { stored, frames: Some(Frames { chunk, unpacker, at: plain_start, range }) })
    }

    /// The next plain bytes; `None` at the end of the range.
    ///
    /// # Errors
    /// `Unrecoverable` when too few shards are left, `Unavailable` when the missing ones are on remotes that are
    /// offline; `Corrupt` when verified bytes do not decompress.
    pub async fn next(&mut self) -> Result<Option<Vec<Bytes>>> {
        let Some(frames) = &mut self.frames else { return self.stored.next().await };
        while frames.at < frames.range.end {
            let more = if frames.is_ready() { Some(Vec::new()) } else { self.stored.next().await? };
            let more = more.ok_or_else(|| Error::new(ErrorKind::Internal, "a chunk's frames end early"))?;
            if let Some(piece) = frames.next(more).await? {
                return Ok(Some(vec![piece]));
            }
        }
        Ok(None)
    }

    /// Whether a shard that holds the bytes as they are could not be read.
    pub fn is_degraded(&self) -> bool {
        self.stored.is_degraded()
    }
}

/// A range lies inside its chunk.
fn check(record: &ChunkRecord, range: &Range<u64>) -> Result<()> {
    if range.start <= range.end && range.end <= record.size {
        return Ok(());
    }
    let (chunk, size) = (record.chunk, record.size);
    let message = format!("chunk {chunk} has {size} bytes, and {}..{} was to be read", range.start, range.end);
    Err(Error::new(ErrorKind::Corrupt, message))
}

impl Frames {
    fn is_ready(&self) -> bool {
        self.unpacker.as_ref().is_some_and(Unpacker::is_ready)
    }

    /// Takes bytes of the stored stream and gives what the next frame has of the range, once all of it is here.
    async fn next(&mut self, more: Vec<Bytes>) -> Result<Option<Bytes>> {
        let mut unpacker =
            self.unpacker.take().ok_or_else(|| Error::new(ErrorKind::Internal, "a chunk's frames were given up"))?;
        let (unpacker, plain) = blocking(move || {
            more.iter().for_each(|piece| unpacker.push(piece));
            let mut plain = Buffer::new();
            let plain = unpacker.next_frame(&mut plain)?.then(|| plain.freeze());
            Ok((unpacker, plain))
        })
        .await
        .map_err(|e| Error::new(e.kind(), format!("chunk {}: {}", self.chunk, e.message())))?;
        self.unpacker = Some(unpacker);
        let Some(plain) = plain else { return Ok(None) };
        let within = |at: u64| at.saturating_sub(self.at).min(plain.len() as u64);
        #[allow(clippy::cast_possible_truncation, reason = "at most a frame's length")]
        let piece = plain.slice(within(self.range.start) as usize..within(self.range.end) as usize);
        self.at += plain.len() as u64;
        Ok(Some(piece))
    }
}
