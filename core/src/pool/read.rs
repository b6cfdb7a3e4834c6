//! Reading any range of a file: by position, by many at once, or in order.
//!
//! All of it goes by blocks ([`map`]). [`blocks`] has those that are kept and those that are on their way, a [`run`]
//! fetches neighbouring ones, [`ahead`] and [`reader`] say early what will be wanted.

mod ahead;
mod blocks;
mod lru;
mod map;
mod reader;
mod run;

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::future::{join, try_join_all};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use self::ahead::Streams;
pub(super) use self::blocks::Blocks;
pub use self::blocks::CacheStats;
use self::blocks::Manner;
use self::map::ChunkMap;
pub use self::reader::FileReader;
use super::Pool;
use super::download::check;
use super::namespace::no_file;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::record::{Content, Entry, Extent};
use crate::local::blocking;
use crate::monitor::Monitor;
use crate::path::PoolPath;
use crate::stage::hash::Hasher;

/// More than this is read in order, not at once.
const AT_ONCE_BYTES: u64 = 16 << 20;
/// More than this is not hashed on a thread that others wait for.
const HASH_BYTES: u64 = 1 << 20;

/// A file as it was when it was opened: it stays readable though its path be overwritten, moved or deleted, as long
/// as the trash keeps it. Any number of tasks may read at once.
pub struct FileHandle {
    pool: Arc<Pool>,
    entry: Arc<Entry>,
    streams: Mutex<Streams>,
    /// Whether event handlers let it be read.
    is_allowed: tokio::sync::OnceCell<()>,
}

impl std::fmt::Debug for FileHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileHandle of {}", self.entry.path)
    }
}

impl Pool {
    /// Opens a file for reading at any position.
    ///
    /// # Errors
    /// `NotFound`; `InvalidArgument` when the path is no file.
    pub fn open_file(self: &Arc<Self>, path: &PoolPath) -> Result<Arc<FileHandle>> {
        let entry = self.index.entry(path)?.ok_or_else(|| no_file(path))?;
        self.open_entry(entry)
    }

    /// As [`Pool::open_file`], for a version of a file that is known already.
    ///
    /// # Errors
    /// `InvalidArgument` when it is no file.
    pub fn open_entry(self: &Arc<Self>, entry: Entry) -> Result<Arc<FileHandle>> {
        if matches!(entry.content, Content::Directory {} | Content::Link { .. }) {
            return Err(Error::new(ErrorKind::InvalidArgument, "is not a file").at_path(&entry.path));
        }
        Ok(Arc::new(FileHandle {
            pool: self.clone(),
            entry: Arc::new(entry),
            streams: Mutex::default(),
            is_allowed: tokio::sync::OnceCell::new(),
        }))
    }

    /// Opens a file for reading the bytes `range` of it in order; the whole without a range. A range that
    /// goes past the end is cut off there.
    ///
    /// # Errors
    /// `NotFound`; `InvalidArgument` when the path is no file.
    pub fn reader(self: &Arc<Self>, path: &PoolPath, range: Option<Range<u64>>) -> Result<FileReader> {
        Ok(self.open_file(path)?.reader(range))
    }

    /// Writes the bytes `range` of a file to `out`, in order.
    ///
    /// # Errors
    /// `NotFound`; `InvalidArgument` when the path is no file; `Unrecoverable`, `Unavailable`; `Io` from `out`.
    pub async fn read_to(
        self: &Arc<Self>,
        path: &PoolPath,
        range: Option<Range<u64>>,
        out: &mut (impl AsyncWrite + Unpin + Send),
        monitor: &Monitor,
    ) -> Result<u64> {
        let mut reader = self.reader(path, range)?;
        let mut written = 0;
        while let Some(piece) = monitor.run(reader.next()).await? {
            out.write_all(&piece).await.map_err(|e| Error::io("cannot write", e))?;
            written += piece.len() as u64;
            monitor.progress(piece.len() as u64, 0);
        }
        out.flush().await.map_err(|e| Error::io("cannot write", e))?;
        Ok(written)
    }

    /// The bytes of some blocks of a chunk.
    async fn blocks(
        self: &Arc<Self>,
        map: &Arc<ChunkMap>,
        blocks: Range<u64>,
        manner: impl Fn(u64) -> Manner,
    ) -> Result<Vec<Bytes>> {
        let mut found: Vec<Option<Bytes>> = blocks.clone().map(|_| None).collect();
        loop {
            let waits = self.blocks.look(self, map, blocks.start, &mut found, &manner);
            if waits.is_empty() {
                return Ok(found.into_iter().flatten().collect());
            }
            for wait in waits {
                // A run that ended without this block says nothing of it.
                if let Ok(outcome) = wait.outcome.await
                    && let Some(bytes) = outcome?
                {
                    let block = blocks.start + wait.at as u64;
                    self.blocks.used((map.record.chunk, block), manner(block));
                    found[wait.at] = Some(bytes);
                }
                drop(wait.run);
            }
        }
    }

    /// A range of a file that lies in one of its extents.
    async fn read_part(self: &Arc<Self>, part: &Part, in_order: bool) -> Result<Vec<Bytes>> {
        let bytes = part.in_chunk();
        let blocks = part.map.blocks(&bytes);
        // The last block may not be read to its end.
        let through = part.map.blocks(&(0..bytes.end)).end - u64::from(part.map.bytes(&blocks).end > bytes.end);
        let manner = |block| match in_order {
            false => Manner::Random,
            true if block < through => Manner::Through,
            true => Manner::Within,
        };
        let found = self.blocks(&part.map, blocks.clone(), manner).await?;
        let (mut at, mut pieces) = (part.map.bytes(&blocks).start, Vec::new());
        for block in found {
            let within = |byte: u64| usize::try_from(byte.saturating_sub(at)).unwrap_or(usize::MAX).min(block.len());
            pieces.push(block.slice(within(bytes.start)..within(bytes.end)));
            at += block.len() as u64;
        }
        if part.range == (0..part.extent.length) {
            let (sha256, hashed) = (part.extent.sha256, pieces.clone());
            let work = move || {
                let mut hasher = Hasher::new();
                hashed.iter().for_each(|piece| hasher.update(piece));
                check(hasher, sha256)
            };
            if part.extent.length > HASH_BYTES { blocking(work).await? } else { work()? }
        }
        Ok(pieces)
    }
}

/// A range of an extent, and the blocks of its chunk.
struct Part {
    extent: Extent,
    /// Of the extent's bytes.
    range: Range<u64>,
    map: Arc<ChunkMap>,
}

impl Part {
    fn in_chunk(&self) -> Range<u64> {
        self.extent.chunk_offset + self.range.start..self.extent.chunk_offset + self.range.end
    }

    /// Where in the file a byte of the chunk lies.
    fn in_file(&self, byte: u64) -> u64 {
        byte.saturating_sub(self.extent.chunk_offset) + self.extent.offset
    }
}

impl FileHandle {
    /// The file's manifest.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.entry.content.size()
    }

    /// Reads a range, cut off at the file's end: its bytes in order, in pieces. A reader that goes on where it
    /// stopped is noticed, and what it will ask for next is fetched ahead.
    ///
    /// # Errors
    /// `Unrecoverable`, `Unavailable`, `Corrupt`.
    pub async fn read_at(self: &Arc<Self>, range: Range<u64>) -> Result<Vec<Bytes>> {
        self.allow().await?;
        let range = self.cut(&range);
        if range.end - range.start > AT_ONCE_BYTES {
            let (mut reader, mut pieces) = (self.reader(Some(range)), Vec::new());
            while let Some(piece) = reader.next().await? {
                pieces.push(piece);
            }
            return Ok(pieces);
        }
        if let Some(bytes) = self.inline(&range) {
            return Ok(vec![bytes]);
        }
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner).note(&self.pool, &range);
        let parts = self.parts(range).map_err(|e| e.at_path(&self.entry.path))?;
        let wanted = try_join_all(parts.iter().map(|part| self.pool.read_part(part, streams.is_some())));
        // What is wanted now is asked for first.
        let ahead = async {
            if let Some(plan) = streams.take() {
                self.fetch_ahead(plan);
            }
        };
        let (pieces, ()) = join(wanted, ahead).await;
        let pieces = pieces.map_err(|e| e.at_path(&self.entry.path))?;
        Ok(pieces.into_iter().flatten().filter(|piece| !piece.is_empty()).collect())
    }

    /// Asks event handlers, once for each time the file is opened.
    async fn allow(&self) -> Result<()> {
        self.is_allowed.get_or_try_init(|| self.pool.before_download(&self.entry)).await.copied()
    }

    /// Reads a range in order, cut off at the file's end; all of the file without one.
    pub fn reader(self: &Arc<Self>, range: Option<Range<u64>>) -> FileReader {
        FileReader::new(self.clone(), self.cut(&range.unwrap_or(0..u64::MAX)))
    }

    fn cut(&self, range: &Range<u64>) -> Range<u64> {
        let (start, end) = (range.start.min(self.size()), range.end.min(self.size()));
        start..end.max(start)
    }

    /// The bytes of a file that lies in its manifest.
    fn inline(&self, range: &Range<u64>) -> Option<Bytes> {
        let Content::Inline { data, .. } = &self.entry.content else { return None };
        let bounds = |n| usize::try_from(n).unwrap_or(usize::MAX);
        Some(data.get(bounds(range.start)..bounds(range.end)).map(Bytes::copy_from_slice).unwrap_or_default())
    }

    /// The part of a range that lies in the extent of its first byte.
    fn part(&self, range: &Range<u64>) -> Result<Part> {
        let extents = self.entry.content.extents();
        let at = extents.partition_point(|extent| extent.offset <= range.start).saturating_sub(1);
        let extent = extents.get(at).filter(|e| range.start >= e.offset && range.start - e.offset < e.length);
        let extent = extent
            .ok_or_else(|| Error::new(ErrorKind::Corrupt, "its manifest leaves a gap").at_path(&self.entry.path))?;
        let map = self.pool.blocks.map(&self.pool, extent.chunk)?;
        let range = range.start - extent.offset..(range.end - extent.offset).min(extent.length);
        if extent.chunk_offset.checked_add(extent.length).is_none_or(|end| end > map.record.size) {
            let message = format!("chunk {} has {} bytes, and more are wanted", extent.chunk, map.record.size);
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        Ok(Part { extent: extent.clone(), range, map })
    }

    fn parts(&self, mut range: Range<u64>) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        while !range.is_empty() {
            let part = self.part(&range)?;
            range.start += part.range.end - part.range.start;
            parts.push(part);
        }
        Ok(parts)
    }
}
