//! Packs that are mostly garbage: what is still needed of them goes into new packs.
//!
//! As in a conversion, every version keeps its stamp, and the old pack is read until the commit. What is then
//! garbage goes the way of all garbage.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::id::{ChunkId, Sha256, Stamp};
use crate::index::Sparse;
use crate::journal::record::{ChunkRecord, Content, Entry, Record};
use crate::monitor::Monitor;
use crate::path::PoolPath;
use crate::pool::Pool;
use crate::pool::fetch::ChunkReader;
use crate::pool::upload::{MARKED_TRIES, PACK_BYTES};
use crate::stage::hash::sha256;
use crate::stage::pack::{Filling, runs};

/// Bytes that nobody needs are read when they are fewer: another request takes longer.
const GAP_BYTES: u64 = 512 << 10;
/// New packs are committed when they are so many.
const BATCH: usize = 16;

/// What would be written anew.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RepackPlan {
    /// Packs of which less than half is needed.
    pub packs: u64,
    /// The bytes of them that are needed, trash included: these are copied.
    pub copied: u64,
    /// The bytes of them that nobody needs.
    pub unneeded: u64,
    #[serde(skip)]
    sparse: Vec<Sparse>,
}

/// What was written anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Repacked {
    pub packs: u64,
    pub bytes: u64,
}

/// A file's bytes, and where they lie and lay: first in the old pack, then in new ones that went astray.
struct Piece {
    homes: Vec<(ChunkId, u64)>,
    length: u64,
    sha256: Sha256,
}

/// A new pack. Its pieces lie in it in their order.
struct Rewritten {
    pieces: Vec<Piece>,
    new: ChunkRecord,
    epoch: u64,
}

impl Pool {
    /// Finds the packs of which less than half is needed.
    ///
    /// # Errors
    /// Those of the index.
    pub fn plan_repack(&self) -> Result<RepackPlan> {
        let sparse = self.index.census(&self.keep_by()?, |census| census.sparse(PACK_BYTES))?;
        let copied = sparse.iter().map(Sparse::needed).sum();
        let unneeded = sparse.iter().map(|pack| pack.size).sum::<u64>() - copied;
        Ok(RepackPlan { packs: sparse.len() as u64, copied, unneeded, sparse })
    }

    /// Copies what is needed of sparse packs into new ones.
    ///
    /// # Errors
    /// `Cancelled`; `Unavailable` when a commit reaches too few remotes. A pack that fails stays as it is.
    pub(crate) async fn repack(self: &Arc<Self>, monitor: &Monitor) -> Result<Repacked> {
        let mut report = Repacked::default();
        let plan = self.plan_repack()?;
        if plan.sparse.is_empty() {
            return Ok(report);
        }
        let _storing = self.lock_storing().await?;
        self.view_for_writing().await?;
        let mut filling = Filling::new(self.pack_bytes());
        let (mut loads, mut old) = (Vec::new(), BTreeSet::new());
        for pack in &plan.sparse {
            old.insert(pack.chunk);
            for piece in self.pieces(pack)? {
                let length = piece.length;
                loads.extend(filling.add(piece, length));
            }
        }
        loads.extend(filling.take());
        let mut batch = Vec::new();
        for pieces in loads {
            match monitor.run(self.rewrite(pieces)).await {
                Ok(rewritten) => batch.push(rewritten),
                Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
                Err(error) => monitor.notice(format!("packs that are mostly garbage stay as they are: {error}")),
            }
            if batch.len() >= BATCH {
                self.commit_rewritten(std::mem::take(&mut batch), &mut report).await?;
            }
        }
        self.commit_rewritten(batch, &mut report).await?;
        // Gone are those to which nothing needed refers any more.
        let left = self.plan_repack()?.sparse;
        report.packs = (old.len() - left.iter().filter(|pack| old.contains(&pack.chunk)).count()) as u64;
        Ok(report)
    }

    /// The bytes of a pack that are needed, file by file.
    fn pieces(&self, pack: &Sparse) -> Result<Vec<Piece>> {
        let mut pieces = BTreeMap::new();
        for version in self.index.versions_of(pack.chunk)? {
            let [only] = version.content.extents() else { continue };
            let range = only.chunk_offset..only.chunk_offset + only.length;
            if pack.ranges.contains(&range) {
                let homes = vec![(pack.chunk, only.chunk_offset)];
                let piece = Piece { homes, length: only.length, sha256: only.sha256 };
                pieces.insert((range.start, range.end), piece);
            }
        }
        Ok(pieces.into_values().collect())
    }

    /// Reads pieces, verified, and puts them as a new pack; every shard is read back.
    async fn rewrite(self: &Arc<Self>, pieces: Vec<Piece>) -> Result<Rewritten> {
        let mut chunks = BTreeMap::new();
        for piece in &pieces {
            if let Some((chunk, _)) = piece.homes.first()
                && !chunks.contains_key(chunk)
            {
                chunks.insert(*chunk, self.chunk(*chunk)?.record);
            }
        }
        let bytes: u64 = pieces.iter().map(|piece| piece.length).sum();
        let reading =
            chunks.values().map(|chunk| ChunkReader::memory(chunk, &(0..chunk.size))).max().unwrap_or_default();
        let _memory = self.acquire_memory(bytes + self.memory_to_store(bytes) + reading).await?;
        let epoch = self.view().await.epoch();
        let mut found: Vec<Bytes> = vec![Bytes::new(); pieces.len()];
        for (chunk, record) in &chunks {
            let lies_here = |(n, piece): (usize, &Piece)| match piece.homes.first() {
                Some((home, at)) if home == chunk => Some((*at..at + piece.length, n)),
                _ => None,
            };
            for (range, within) in runs(pieces.iter().enumerate().filter_map(lies_here).collect(), GAP_BYTES) {
                for (n, bytes) in self.read_pieces(record, range, within).await? {
                    if sha256(&bytes) != pieces[n].sha256 {
                        return Err(Error::new(ErrorKind::Corrupt, format!("chunk {chunk} is not what was stored")));
                    }
                    found[n] = bytes;
                }
            }
        }
        let new = self.put_pack(found, &Monitor::default()).await?;
        self.check_stored(&new).await?;
        Ok(Rewritten { pieces, new, epoch })
    }

    /// Reads a range of a pack and cuts the pieces out of it.
    async fn read_pieces(
        self: &Arc<Self>,
        record: &ChunkRecord,
        range: Range<u64>,
        within: Vec<(Range<u64>, usize)>,
    ) -> Result<Vec<(usize, Bytes)>> {
        let mut reader = ChunkReader::open_within(self.clone(), record.clone(), range.clone()).await?;
        let mut pieces: Vec<(Range<u64>, usize, BytesMut)> =
            within.into_iter().map(|(range, n)| (range, n, BytesMut::new())).collect();
        let mut at = range.start;
        while let Some(read) = reader.next().await? {
            for bytes in read {
                let end = at + bytes.len() as u64;
                for (range, _, piece) in &mut pieces {
                    let bounds = |n: u64| usize::try_from(n - at).unwrap_or(usize::MAX);
                    if let Some(part) = bytes.get(bounds(range.start.max(at))..bounds(range.end.clamp(at, end))) {
                        piece.extend_from_slice(part);
                    }
                }
                at = end;
            }
        }
        Ok(pieces.into_iter().map(|(_, n, piece)| (n, piece.freeze())).collect())
    }

    /// Commits new packs with a revision of every version that refers to what they took over.
    async fn commit_rewritten(self: &Arc<Self>, mut rest: Vec<Rewritten>, report: &mut Repacked) -> Result<()> {
        for _ in 0..MARKED_TRIES {
            let view = self.view_for_writing().await?;
            let revised = self.moved(&mut rest)?;
            let Some(epoch) = rest.iter().map(|one| one.epoch).min() else { return Ok(()) };
            let chunks = rest.iter().map(|one| Record::Chunk(one.new.clone()));
            let records = chunks.chain(revised.into_iter().map(Record::Entry)).collect();
            let receipt = self.commit_data(&view, epoch, records).await?;
            let committed = !receipt.names.is_empty();
            self.keep_view(receipt.view).await;
            for mut one in std::mem::take(&mut rest) {
                if receipt.marked.contains_key(&one.new.chunk) {
                    // The old pack is still there; its pieces are stored once more.
                    let mut offset = 0;
                    for piece in &mut one.pieces {
                        piece.homes.push((one.new.chunk, offset));
                        offset += piece.length;
                    }
                    rest.push(self.rewrite(one.pieces).await?);
                } else if committed {
                    report.bytes += one.new.size;
                } else {
                    rest.push(one);
                }
            }
            if rest.is_empty() {
                return Ok(());
            }
        }
        Err(Error::new(ErrorKind::Busy, "what is packed anew keeps being deleted, or going astray")
            .hint("repeat the command"))
    }

    /// The next revision of every version that refers to a piece where it lay; takes out the packs that no version
    /// needs any more.
    fn moved(&self, rewritten: &mut Vec<Rewritten>) -> Result<Vec<Entry>> {
        let mut now_at = BTreeMap::new();
        for one in &*rewritten {
            let mut offset = 0;
            for piece in &one.pieces {
                let homes =
                    piece.homes.iter().map(|(chunk, at)| ((*chunk, *at, piece.length), (one.new.chunk, offset)));
                now_at.extend(homes);
                offset += piece.length;
            }
        }
        let old: BTreeSet<ChunkId> = now_at.keys().map(|(chunk, ..)| *chunk).collect();
        let (mut revised, mut used) = (BTreeMap::<(PoolPath, Stamp), Entry>::new(), BTreeSet::new());
        for chunk in old {
            for mut entry in self.index.versions_of(chunk)? {
                let Content::File { extents, .. } = &mut entry.content else { continue };
                let [only] = extents.as_mut_slice() else { continue };
                let Some((chunk, at)) = now_at.get(&(only.chunk, only.chunk_offset, only.length)) else { continue };
                (only.chunk, only.chunk_offset) = (*chunk, *at);
                used.insert(*chunk);
                entry.rev += 1;
                revised.insert((entry.path.clone(), entry.stamp), entry);
            }
        }
        rewritten.retain(|one| used.contains(&one.new.chunk));
        Ok(revised.into_values().collect())
    }
}
