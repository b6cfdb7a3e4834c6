//! Small files share chunks: remotes answer few requests per second, so requests per file are what counts.
//!
//! A pack is an ordinary chunk whose bytes are those of its files, one after another.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use tokio_util::task::AbortOnDropHandle;

use super::{Examined, Order, Prepared, Small, file_content};
use crate::config::FileHash;
use crate::error::{Error, ErrorKind, Result};
use crate::id::Sha256;
use crate::journal::record::{ChunkRecord, FileHashes, Record};
use crate::local::blocking;
use crate::local::{self, Identity};
use crate::monitor::Monitor;
use crate::path::PoolPath;
use crate::pool::Pool;
use crate::pool::duplicates::{Home, Key, Piece, Taken};
use crate::pool::store::{Coding, code};
use crate::stage::hash::sha256;
use crate::stage::pack::Filling;

/// The most bytes of a pack. Shards of some MiB keep a remote busy for much longer than a request takes, while a
/// pack still fits into memory many times, and rewriting one costs little.
pub(in crate::pool) const PACK_BYTES: u64 = 16 << 20;
/// The units of a pack: what is read at least of one, in less time than a round trip takes.
pub(in crate::pool) const PACK_UNIT_BYTES: u32 = 128 << 10;
/// A file of at most this share of a chunk goes into a pack.
const SHARE: u64 = 16;
/// How long a pack waits for the next file.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the bytes of a small file are.
pub(in crate::pool) enum Held {
    /// In a local file, as it was when it was looked at.
    File(PathBuf, Identity),
    /// Here.
    Bytes(Bytes),
}

/// What preparing a file came to.
pub(in crate::pool) type Outcome = (PoolPath, Result<Prepared>);

/// A small file's bytes and their digests.
struct Summed {
    bytes: Bytes,
    sha256: Sha256,
    hashes: FileHashes,
}

/// What is to be stored in one go.
#[allow(clippy::large_enum_variant, reason = "there are as many at a time as workers")]
enum Load {
    Done(PoolPath, Result<Prepared>),
    Pack(Vec<Small>),
}

impl Pool {
    /// The most bytes of a pack here.
    pub(in crate::pool) fn pack_bytes(&self) -> u64 {
        // Beside it there are its shards, and others.
        PACK_BYTES.min(self.settings.chunk_size).min(self.settings.memory_bytes / 8)
    }

    /// Files up to this length share chunks.
    pub(in crate::pool) fn small_bytes(&self) -> u64 {
        (self.settings.chunk_size / SHARE).min(self.pack_bytes())
    }

    /// Stores the data of several files, small ones together; several at once, in no order. `monitor` is told the
    /// bytes of packs as they go, where it is the one of all these files.
    pub(in crate::pool) fn prepare_all(
        self: &Arc<Self>,
        orders: Vec<Order>,
        monitor: Option<Monitor>,
    ) -> impl Stream<Item = Vec<Outcome>> + Send + use<> {
        let (pool, workers) = (self.clone(), self.settings.upload_workers.max(1));
        let examined = stream::iter(orders)
            .map(move |order| {
                let (pool, path) = (pool.clone(), order.path.clone());
                async move {
                    let task = tokio::spawn(async move { pool.examine(&order).await });
                    let done = AbortOnDropHandle::new(task).await;
                    (path, done.unwrap_or_else(|e| Err(Error::new(ErrorKind::Internal, e.to_string()))))
                }
            })
            .buffer_unordered(workers);
        let pool = self.clone();
        loads(examined.boxed(), self.pack_bytes())
            .map(move |load| {
                let (pool, monitor) = (pool.clone(), monitor.clone());
                async move {
                    match load {
                        Load::Done(path, result) => vec![(path, result)],
                        Load::Pack(files) => pool.store_pack(files, monitor).await,
                    }
                }
            })
            .buffer_unordered(workers)
    }

    /// Stores small files as one chunk. One that cannot be read, or has changed, is left out.
    pub(super) async fn store_pack(self: Arc<Self>, files: Vec<Small>, monitor: Option<Monitor>) -> Vec<Outcome> {
        let paths: Vec<PoolPath> = files.iter().map(|file| file.order.path.clone()).collect();
        let stored = AbortOnDropHandle::new(tokio::spawn(self.try_pack(files, monitor))).await;
        stored
            .unwrap_or_else(|e| Err(Error::new(ErrorKind::Internal, e.to_string())))
            .unwrap_or_else(|error| paths.into_iter().map(|path| (path, Err(error.repeat()))).collect())
    }

    async fn try_pack(self: Arc<Self>, mut files: Vec<Small>, monitor: Option<Monitor>) -> Result<Vec<Outcome>> {
        // What lies side by side in a directory is read together.
        files.sort_by(|a, b| a.order.path.cmp(&b.order.path));
        let bytes = files.iter().map(|file| file.size).sum();
        // The files are in memory beside their shards.
        let _memory = self.acquire_memory(bytes + self.memory_to_store(bytes)).await?;
        let mut outcomes = Vec::with_capacity(files.len());
        let read = || files.into_iter().map(|file| (read_whole(&file), file)).collect::<Vec<_>>();
        let (mut files, mut pieces) = (Vec::new(), Vec::new());
        for (bytes, file) in blocking(move || Ok(read())).await? {
            match bytes {
                Ok(bytes) => {
                    pieces.push((bytes, self.wanted_hashes(&file.order.options)));
                    files.push(file);
                }
                Err(error) => outcomes.push((file.order.path, Err(error))),
            }
        }
        let summed = files.into_iter().zip(self.sums(pieces).await?);
        let (mut files, mut sums) = (Vec::new(), Vec::new());
        for (file, sum) in summed {
            // What is not what was announced is not stored.
            match sum.hashes.check(&file.order.options.expect) {
                Ok(()) => {
                    files.push(file);
                    sums.push(sum);
                }
                Err(error) => outcomes.push((file.order.path, Err(error))),
            }
        }
        if files.is_empty() {
            return Ok(outcomes);
        }
        let together = monitor.clone().unwrap_or_default();
        let force: Vec<bool> = files.iter().map(|file| file.order.options.force).collect();
        let mut stored = self.store_sums(&sums, &force, &together).await?;
        for (n, (file, sum)) in files.into_iter().zip(sums).enumerate() {
            let Some(piece) = stored.remove(&n) else { continue };
            if monitor.is_none() {
                file.order.monitor.progress(file.size, 1);
            }
            outcomes.push((file.order.path.clone(), Ok(self.packed(file, piece, sum.hashes))));
        }
        Ok(outcomes)
    }

    /// Stores files' contents, those that the pool has not, as one chunk.
    async fn store_sums(
        self: &Arc<Self>,
        sums: &[Summed],
        force: &[bool],
        monitor: &Monitor,
    ) -> Result<BTreeMap<usize, Piece>> {
        let mut done = BTreeMap::new();
        while done.len() < sums.len() {
            let (mut mine, mut others) = (Vec::new(), Vec::new());
            for (n, sum) in sums.iter().enumerate().filter(|(n, _)| !done.contains_key(n)).collect::<Vec<_>>() {
                if !self.settings.deduplication || force[n] {
                    mine.push((n, None));
                    continue;
                }
                let key = Key { sha256: sum.sha256, length: sum.bytes.len() as u64, whole: false };
                let piece = match self.known(key).await? {
                    Some(piece) => piece,
                    None => match self.claim(key)? {
                        Ok(claimed) => {
                            mine.push((n, Some(claimed)));
                            continue;
                        }
                        Err(Taken::Stored(piece)) => piece,
                        Err(Taken::Storing(flight)) => {
                            others.push(flight);
                            continue;
                        }
                    },
                };
                monitor.progress(piece.length, 1);
                done.insert(n, piece);
            }
            if !mine.is_empty() {
                let epoch = self.view().await.epoch();
                let record = self.put_pack(mine.iter().map(|(n, _)| sums[*n].bytes.clone()).collect(), monitor).await?;
                // The chunk itself was told as one item.
                monitor.progress(0, mine.len() as u64 - 1);
                let mut chunk_offset = 0;
                for (n, claimed) in mine {
                    let home = Home { record: record.clone(), chunk_offset, epoch };
                    let Summed { sha256, bytes, .. } = &sums[n];
                    let (sha256, length) = (*sha256, bytes.len() as u64);
                    let flight = claimed.map(|claimed| claimed.stored(home));
                    done.insert(
                        n,
                        Piece { length, sha256, chunk_offset, flight, ..Piece::stored(record.clone(), sha256) },
                    );
                    chunk_offset += length;
                }
            }
            // All that is claimed here is stored: nobody waits for who waits here.
            for flight in others {
                flight.ended().await;
            }
        }
        Ok(done)
    }

    async fn sums(self: &Arc<Self>, pieces: Vec<(Bytes, Vec<FileHash>)>) -> Result<Vec<Summed>> {
        let sum = |(bytes, wanted): (Bytes, Vec<FileHash>)| Summed {
            sha256: sha256(&bytes),
            hashes: FileHashes::of(&bytes, &wanted),
            bytes,
        };
        blocking(move || Ok(pieces.into_iter().map(sum).collect())).await
    }

    /// Stores pieces as one chunk, one after another.
    pub(in crate::pool) async fn put_pack(
        self: &Arc<Self>,
        pieces: Vec<Bytes>,
        monitor: &Monitor,
    ) -> Result<ChunkRecord> {
        let pool = self.clone();
        let coded = blocking(move || {
            let size = pieces.iter().map(|piece| piece.len() as u64).sum();
            let mut reader = Pieces(pieces.into());
            let recipe = pool.recipe()?;
            let (redundancy, compress) = (pool.settings.redundancy, recipe.compress());
            let coding = Coding { redundancy, unit: PACK_UNIT_BYTES, compress, transforms: recipe.transforms };
            code(&mut reader, size, coding, &pool.scratch, &[], &mut |_| ())
        })
        .await?;
        let coded = coded.ok_or_else(|| Error::new(ErrorKind::Internal, "a pack of no bytes"))?;
        let record = self.put_chunk(coded, None, monitor).await?;
        self.scratch.release();
        Ok(record)
    }

    /// The file of an extent of a pack. Each brings the chunk's record: any of them may drop out before the commit.
    fn packed(&self, file: Small, piece: Piece, hashes: FileHashes) -> Prepared {
        let content = file_content(std::slice::from_ref(&piece), self.settings.chunk_size, hashes);
        let entry = file.order.options.noted(self.new_entry(&file.order.path, file.mtime_ns, file.executable, content));
        let mut prepared = Prepared::new(file.order.path.clone(), piece.length);
        prepared.consist_of(vec![piece]);
        prepared.records.push(Record::Entry(entry));
        Prepared { again: Some(file.order), ..prepared }
    }
}

/// Puts small files together, in the order they come; everything else passes.
fn loads(
    examined: impl Stream<Item = (PoolPath, Result<Examined>)> + Send + Unpin + 'static,
    most: u64,
) -> impl Stream<Item = Load> + Send {
    let state = (examined, Filling::<Small>::new(most), VecDeque::new());
    stream::unfold(state, |(mut examined, mut filling, mut ready)| async move {
        loop {
            if let Some(load) = ready.pop_front() {
                return Some((load, (examined, filling, ready)));
            }
            let next = if filling.is_empty() {
                Ok(examined.next().await)
            } else {
                // A large file must not keep small ones waiting.
                tokio::time::timeout(PATIENCE, examined.next()).await
            };
            match next {
                Ok(Some((_, Ok(Examined::Small(small))))) => {
                    let size = small.size;
                    ready.extend(filling.add(small, size).map(Load::Pack));
                }
                Ok(Some((path, Ok(Examined::Ready(prepared))))) => ready.push_back(Load::Done(path, Ok(*prepared))),
                Ok(Some((path, Err(error)))) => ready.push_back(Load::Done(path, Err(error))),
                Ok(None) if filling.is_empty() => return None,
                Ok(None) | Err(_) => ready.extend(filling.take().map(Load::Pack)),
            }
        }
    })
}

/// The bytes of a file that is still what it was when it was looked at.
fn read_whole(small: &Small) -> Result<Bytes> {
    let (path, before) = match &small.held {
        Held::Bytes(bytes) => return Ok(bytes.clone()),
        Held::File(path, before) => (path, before),
    };
    let at = |e| Error::io("cannot read", e).at_path(path.display());
    let file = File::open(path).map_err(at)?;
    let mut bytes = vec![0; usize::try_from(before.size).unwrap_or(usize::MAX)];
    let is_same = |file: std::io::Result<std::fs::Metadata>| Ok(Identity::of(&file.map_err(at)?) == *before);
    if is_same(file.metadata())? {
        match local::read_all_at(&file, 0, &mut bytes) {
            Ok(()) if is_same(std::fs::metadata(path))? => return Ok(bytes.into()),
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {}
            Err(error) => return Err(at(error)),
        }
    }
    Err(super::changed(path))
}

/// Bytes in pieces, read in order; each is let go once it was read.
struct Pieces(VecDeque<Bytes>);

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while let Some(piece) = self.0.front_mut() {
            if piece.is_empty() {
                self.0.pop_front();
                continue;
            }
            let some = piece.split_to(piece.len().min(buffer.len()));
            buffer[..some.len()].copy_from_slice(&some);
            return Ok(some.len());
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests;
