//! Putting single shards of a chunk anew, and freeing the objects they replace: what rebuild, repair and
//! balancing share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};

use crate::error::{Error, ErrorKind, Result};
use crate::id::{ChunkId, RemoteId, Stamp};
use crate::journal::View;
use crate::journal::record::{ChunkRecord, Dropped, Place, Record, ShardRecord};
use crate::monitor::Monitor;
use crate::pool::Pool;
use crate::pool::fetch::{StoredReader, check_shard};
use crate::pool::placement::Plan;
use crate::pool::store::Sink;
use crate::pool::upload::MARKED_TRIES;
use crate::remote::Body;
use crate::scratch::Scratch;

/// Shards of at most this many bytes are built in memory instead of a scratch file: 1 MiB.
const SMALL_BYTES: u64 = 1 << 20;
/// Objects deleted at once.
const DELETES: usize = 8;

/// Copies of shards of one chunk that are to be put anew.
#[derive(Debug, Clone)]
pub(in crate::pool) struct Order {
    /// The chunk.
    pub chunk: ChunkId,
    /// Which: index and copy.
    pub shards: BTreeSet<(u8, u8)>,
    /// Places that are not to be read: known to be damaged.
    pub damaged: Vec<Place>,
    /// Remotes that get none of them.
    pub avoid: BTreeSet<RemoteId>,
    /// The one remote that gets them; the placement rules choose without it.
    pub onto: Option<RemoteId>,
}

impl Order {
    /// Orders these copies of shards (index, copy) of a chunk, to wherever the placement rules say.
    pub fn new(chunk: ChunkId, shards: impl IntoIterator<Item = (u8, u8)>) -> Self {
        let shards = shards.into_iter().collect();
        Self { chunk, shards, damaged: Vec::new(), avoid: BTreeSet::new(), onto: None }
    }
}

/// Copies of shards that were put anew and verified, but not committed.
#[derive(Debug, Clone)]
pub(in crate::pool) struct RestoredShards {
    /// The chunk.
    pub chunk: ChunkId,
    /// Where they lie now.
    pub places: Vec<Place>,
    /// Where they lay.
    pub replaced: Vec<Place>,
    /// Bytes put.
    pub bytes: u64,
    epoch: u64,
}

/// What a commit of restored shards came to.
#[derive(Debug, Clone, Default)]
pub(in crate::pool) struct Committed {
    /// The chunks whose new places count. Others are being deleted, or their shards went astray.
    pub chunks: BTreeSet<ChunkId>,
    /// Whether fewer remotes than the rule asks for hold it, or other changes may have been missed.
    pub stale: bool,
}

impl Pool {
    /// Puts copies of shards anew: reads them where a good object of the shard is left, else computes them
    /// from k verified units of each row; every unit is held against its recorded checksum before and
    /// after it is put. Commits nothing.
    ///
    /// # Errors
    /// `Unrecoverable` and `Unavailable` when too few shards can be read; `Full`, `Unavailable` and their kin when
    /// no remote takes a shard. What was put is then an orphan.
    pub(in crate::pool) async fn restore_shards(
        self: &Arc<Self>,
        order: &Order,
        monitor: &Monitor,
    ) -> Result<RestoredShards> {
        let record = self.chunk(order.chunk)?.record;
        let indices: BTreeSet<usize> = order.shards.iter().map(|(index, _)| usize::from(*index)).collect();
        let shards: u64 = indices.iter().map(|index| record.layout.shard_size(record.stored, *index)).sum();
        let reading = self.care_read(&record).await?;
        // One request for all of it: two could wait for each other.
        let _memory = self.acquire_memory(StoredReader::memory(&record) + shards).await?;
        monitor.check()?;
        let view = self.view().await;
        // Planned first: nothing is read where nobody has room.
        let plan = self.plan_restored(view.clone(), &record, order).await?;
        let scratch = self.scratch_for(shards);
        let bodies = monitor.run(self.read_shards(&record, &indices, &order.damaged, &scratch)).await?;
        drop(reading);
        monitor.run(self.put_planned(&record, &bodies, order, &plan, view.epoch(), monitor)).await
    }

    /// Waits for a turn to read a chunk. Those that are put and read back have had theirs: so all directions
    /// of all remotes are busy at once.
    pub(super) async fn care_read(&self, record: &ChunkRecord) -> Result<tokio::sync::SemaphorePermit<'_>> {
        // Large shards keep their remotes busy two at a time, and the first is the sooner put.
        let large = record.layout.shard_size(record.stored, 0) >= SMALL_BYTES;
        let turns = if large { self.settings.download_workers.div_ceil(2).max(1) } else { 1 };
        let permit = self.care_reads.acquire_many(u32::try_from(turns).unwrap_or(1)).await;
        permit.map_err(|_| Error::new(ErrorKind::Internal, "the turns of care are closed"))
    }

    async fn plan_restored(self: &Arc<Self>, view: Arc<View>, record: &ChunkRecord, order: &Order) -> Result<Plan> {
        let shards: Vec<(u8, u8)> = order.shards.iter().copied().collect();
        self.placement.plan_shards(self, view, record, &shards, &order.avoid, order.onto).await
    }

    /// Whole shards of a chunk, by index, every unit verified.
    async fn read_shards(
        self: &Arc<Self>,
        record: &ChunkRecord,
        indices: &BTreeSet<usize>,
        damaged: &[Place],
        scratch: &Scratch,
    ) -> Result<BTreeMap<usize, Body>> {
        let mut sinks = BTreeMap::new();
        for index in indices {
            let small = record.layout.shard_size(record.stored, *index) <= SMALL_BYTES;
            let sink = if small { Sink::Memory(Vec::new()) } else { Sink::Scratch(scratch.create()?) };
            sinks.insert(*index, sink);
        }
        let mut reader = StoredReader::open_shards(self.clone(), record.clone(), indices.clone(), damaged).await?;
        while let Some(units) = reader.next_units().await? {
            for (index, sink) in &mut sinks {
                if let Some(unit) = units.get(*index).and_then(Option::as_ref) {
                    sink.write(unit)?;
                }
            }
        }
        let mut bodies = BTreeMap::new();
        for (index, sink) in sinks {
            let body = sink.seal()?;
            let expected = record.layout.shard_size(record.stored, index);
            if body.size() != expected {
                return Err(Error::new(
                    ErrorKind::Internal,
                    format!("shard {index} of chunk {} has {} of {expected} bytes", record.chunk, body.size()),
                ));
            }
            bodies.insert(index, body);
        }
        Ok(bodies)
    }

    /// Puts shards whose bytes are at hand, and reads every byte of them back.
    ///
    /// # Errors
    /// As [`Pool::restore_shards`].
    pub(in crate::pool) async fn put_restored(
        self: &Arc<Self>,
        record: &ChunkRecord,
        bodies: &BTreeMap<usize, Body>,
        order: &Order,
        monitor: &Monitor,
    ) -> Result<RestoredShards> {
        let view = self.view().await;
        let plan = self.plan_restored(view.clone(), record, order).await?;
        self.put_planned(record, bodies, order, &plan, view.epoch(), monitor).await
    }

    async fn put_planned(
        &self,
        record: &ChunkRecord,
        bodies: &BTreeMap<usize, Body>,
        order: &Order,
        plan: &Plan,
        epoch: u64,
        monitor: &Monitor,
    ) -> Result<RestoredShards> {
        let puts = order.shards.iter().map(|(index, copy)| async move {
            let body = bodies.get(&usize::from(*index)).ok_or_else(|| {
                Error::new(ErrorKind::Internal, format!("shard {index} of chunk {} was not built", record.chunk))
            })?;
            let place = self.put_and_check(record, *index, *copy, body, plan).await?;
            monitor.progress(body.size(), 0);
            Ok((place, body.size()))
        });
        let put: Vec<(Place, u64)> = join_all(puts).await.into_iter().collect::<Result<_>>()?;
        let replaced = record.shards.iter().filter(|p| order.shards.contains(&(p.index, p.copy)));
        Ok(RestoredShards {
            chunk: record.chunk,
            replaced: replaced.copied().collect(),
            bytes: put.iter().map(|(_, size)| size).sum(),
            places: put.into_iter().map(|(place, _)| place).collect(),
            epoch,
        })
    }

    async fn put_and_check(
        &self,
        record: &ChunkRecord,
        index: u8,
        copy: u8,
        body: &Body,
        plan: &Plan,
    ) -> Result<Place> {
        let nowhere =
            || Error::new(ErrorKind::Internal, format!("shard {index} of chunk {} has no place", record.chunk));
        let mut target = plan.target_of(index, copy).ok_or_else(nowhere)?;
        loop {
            let place = self.put_shard(record.chunk, target, body, plan, None).await?;
            // Another one than planned, if that failed.
            let taken = plan.target_of(index, copy).ok_or_else(nowhere)?;
            let name = self.shard_object(record.chunk, index, place.nonce);
            match check_shard(&taken.remote, &name, record, usize::from(index)).await {
                Ok(()) => return Ok(place),
                Err(error) => {
                    tracing::warn!("shard {index} of chunk {} did not read back as it was put: {error}", record.chunk);
                    target = plan.substitute(&taken, body.size(), error)?;
                }
            }
        }
    }

    /// Commits the new places of restored shards, all in one commit.
    ///
    /// # Errors
    /// `Unavailable` when too few remotes take the commit; `Busy` when ever more of the chunks are being deleted.
    pub(in crate::pool) async fn commit_restored(&self, restored: &[RestoredShards]) -> Result<Committed> {
        let mut rest: Vec<&RestoredShards> = restored.iter().collect();
        for _ in 0..MARKED_TRIES {
            let view = self.view_for_writing().await?;
            let mut known = Vec::new();
            for one in rest {
                if self.index.chunk(one.chunk)?.is_some() {
                    known.push(one);
                }
            }
            rest = known;
            let Some(epoch) = rest.iter().map(|one| one.epoch).min() else { return Ok(Committed::default()) };
            let shard = |chunk, place| Record::Shard(ShardRecord { chunk, stamp: Stamp::ZERO, place });
            let records = rest.iter().flat_map(|one| one.places.iter().map(|place| shard(one.chunk, *place)));
            let receipt = self.commit_data(&view, epoch, records.collect()).await?;
            rest.retain(|one| !receipt.marked.contains_key(&one.chunk));
            // With a marked chunk among them nothing may have been committed at all.
            let committed = !receipt.names.is_empty();
            self.keep_view(receipt.view).await;
            if committed {
                return Ok(Committed { chunks: rest.iter().map(|one| one.chunk).collect(), stale: receipt.stale });
            }
        }
        Err(Error::new(ErrorKind::Busy, "what was to be restored is being deleted by another machine")
            .hint("repeat the command"))
    }

    /// Frees shard objects that another object stands for: drops them in the journal, and only when that is
    /// on a quorum deletes them. Objects that still count are left alone; gives back how many were freed.
    ///
    /// # Errors
    /// `Unavailable` without a settled view, or when the marks reach too few remotes: nothing was deleted then.
    pub(in crate::pool) async fn free_objects(&self, objects: &[(ChunkId, Place)]) -> Result<u64> {
        if objects.is_empty() {
            return Ok(0);
        }
        let Some(view) = self.journal.settled_view().await? else {
            return Err(Error::new(ErrorKind::Unavailable, "nothing is deleted without a settled view of the journal")
                .hint("bring the pool's remotes online and repeat it; until then the objects only take space"));
        };
        let mut freed = BTreeSet::new();
        for (chunk, place) in objects {
            let counts = |record: ChunkRecord| record.shards.contains(place);
            // The objects of a chunk that is gone are the collector's.
            if self.index.chunk(*chunk)?.is_some_and(|found| !counts(found.record)) {
                freed.insert((*chunk, *place));
            }
        }
        if freed.is_empty() {
            return Ok(0);
        }
        let dropped = |(chunk, place): &(ChunkId, Place)| {
            Record::Dropped(Dropped { chunk: *chunk, stamp: Stamp::ZERO, object: Some(*place) })
        };
        let receipt = self.commit(&view, freed.iter().map(dropped).collect()).await?;
        let stale = receipt.stale;
        self.keep_view(receipt.view).await;
        if stale {
            return Err(Error::new(ErrorKind::Unavailable, "too few remotes took the marks to delete anything")
                .hint("bring the pool's remotes online; the objects only take space until they are collected"));
        }
        let count = freed.len() as u64;
        let delete = |(chunk, place): (ChunkId, Place)| async move {
            let remote = self.handle(place.remote).await?;
            let error = remote.delete(&self.shard_object(chunk, place.index, place.nonce)).await.err()?;
            Some((place.remote, error))
        };
        let failed: Vec<_> = stream::iter(freed).map(delete).buffer_unordered(DELETES).collect().await;
        let mut told = BTreeMap::<RemoteId, (usize, Error)>::new();
        for (remote, error) in failed.into_iter().flatten() {
            told.entry(remote).or_insert((0, error)).0 += 1;
        }
        // What stays is an orphan.
        for (objects, error) in told.values() {
            tracing::warn!("objects that could not be deleted and stay until they are collected: {objects}: {error}");
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
