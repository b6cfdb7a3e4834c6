//! The blocks of all readers of one pool: what is kept, and what is on its way.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::lru::{Key, Lru};
use super::map::ChunkMap;
use super::run::{Reach, Run};
use crate::error::{Error, Result};
use crate::id::ChunkId;
use crate::pool::{Pool, Settings};
use crate::stage::layout::MAX_UNIT_BYTES;

/// Chunks whose numbers are kept at hand.
const MAPS: usize = 32;

/// How the block cache did; counters never fall while the process lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CacheStats {
    /// Blocks that were there when they were asked for.
    pub hits: u64,
    /// Blocks that were already on their way, for another reader or as read-ahead.
    pub joined: u64,
    /// Blocks that had to be fetched.
    pub misses: u64,
    /// Bytes it holds now.
    pub bytes: u64,
    /// The most it may hold.
    pub capacity: u64,
}

/// What a fetch says of a block: its bytes, or that somebody else must fetch it.
type Outcome = Result<Option<Bytes>>;

/// How a block is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// It may well be read again.
    Random,
    /// In order, and its last byte is not read yet.
    Within,
    /// In order and to its end.
    Through,
}

/// The blocks that are kept or on their way.
///
/// A plain mutex and ordered maps: a block has up to 1 MiB, so there are few thousand of them and not many more
/// operations in a second, and exactly the oldest bytes can be given up when a transfer waits for memory.
pub(in crate::pool) struct Blocks {
    state: Mutex<State>,
    memory: Arc<Semaphore>,
    capacity: u64,
    /// Whether blocks outlive their reading; else only what was fetched ahead is here, until it is read.
    keeps: bool,
    /// The most that is fetched ahead of all streams together.
    ahead: u64,
    streams: AtomicUsize,
    hits: AtomicU64,
    joined: AtomicU64,
    misses: AtomicU64,
}

#[derive(Default)]
struct State {
    kept: Lru,
    flights: BTreeMap<Key, Flight>,
    maps: VecDeque<Arc<ChunkMap>>,
    runs: u64,
}

/// A block that a run will bring.
struct Flight {
    run: Weak<Run>,
    reach: watch::Receiver<Reach>,
    id: u64,
    waiters: Vec<oneshot::Sender<Outcome>>,
}

/// A wait for a block; the run goes on as long as somebody holds it.
pub(super) struct Wait {
    pub at: usize,
    pub run: Arc<Run>,
    pub outcome: oneshot::Receiver<Outcome>,
}

impl std::fmt::Debug for Blocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blocks {:?}", self.stats())
    }
}

impl Blocks {
    pub fn new(settings: &Settings, memory: Arc<Semaphore>) -> Self {
        let keeps = settings.cache_bytes > 0;
        let ahead = settings.prefetch_bytes.min(settings.memory_bytes / 2);
        let capacity = if keeps { settings.cache_bytes } else { 2 * ahead };
        let capacity = capacity.min(settings.memory_bytes);
        Self {
            state: Mutex::default(),
            memory,
            capacity,
            keeps,
            // What is fetched ahead must not push out what was fetched ahead before.
            ahead: ahead.min(capacity / 2),
            streams: AtomicUsize::new(0),
            hits: AtomicU64::new(0),
            joined: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn stats(&self) -> CacheStats {
        let [hits, joined, misses] = [&self.hits, &self.joined, &self.misses].map(|n| n.load(Relaxed));
        CacheStats { hits, joined, misses, bytes: self.lock().kept.bytes(), capacity: self.capacity }
    }

    /// Counts a stream that fetches ahead; they share what may be.
    pub fn streams(&self) -> &AtomicUsize {
        &self.streams
    }

    /// How far one stream may fetch ahead, in bytes.
    pub fn window(&self) -> u64 {
        self.ahead / self.streams.load(Relaxed).max(1) as u64
    }

    /// The blocks of a chunk.
    pub(super) fn map(&self, pool: &Pool, chunk: ChunkId) -> Result<Arc<ChunkMap>> {
        if let Some(map) = self.lock().maps.iter().find(|map| map.record.chunk == chunk) {
            return Ok(map.clone());
        }
        let map = Arc::new(ChunkMap::new(pool.chunk(chunk)?.record)?);
        let mut state = self.lock();
        state.maps.truncate(MAPS - 1);
        state.maps.push_front(map.clone());
        Ok(map)
    }

    /// Forgets where a chunk lies: a shard of it was not there.
    pub fn forget(&self, chunk: ChunkId) {
        self.lock().maps.retain(|map| map.record.chunk != chunk);
    }

    /// Fills in the blocks that are there, and gives back what to wait for: fetches begin for those that are
    /// nowhere. `found[0]` is the block `first`.
    pub(super) fn look(
        &self,
        pool: &Arc<Pool>,
        map: &Arc<ChunkMap>,
        first: u64,
        found: &mut [Option<Bytes>],
        manner: &impl Fn(u64) -> Manner,
    ) -> Vec<Wait> {
        let mut state = self.lock();
        let mut waits = Vec::new();
        let mut missing: Option<Range<u64>> = None;
        let mut begin = |state: &mut State, missing: Option<Range<u64>>| {
            let Some(blocks) = missing else { return };
            self.misses.fetch_add(blocks.end - blocks.start, Relaxed);
            let run = self.begin(state, pool, map, blocks.clone(), true);
            run.demand(blocks.end);
            for block in blocks {
                #[allow(clippy::cast_possible_truncation, reason = "an index of found")]
                waits.extend(Wait::new(state, (map.record.chunk, block), &run, (block - first) as usize));
            }
        };
        let mut joins = Vec::new();
        for (at, slot) in found.iter_mut().enumerate().filter(|(_, slot)| slot.is_none()) {
            let block = first + at as u64;
            let key = (map.record.chunk, block);
            *slot = self.kept(&mut state, &key, manner(block));
            if slot.is_some() {
                self.hits.fetch_add(1, Relaxed);
            } else if let Some(run) = state.join(&key, self.slack(map)) {
                self.joined.fetch_add(1, Relaxed);
                run.demand(block + 1);
                joins.extend(Wait::new(&mut state, key, &run, at));
            } else if let Some(before) = missing.as_mut().filter(|before| before.end == block) {
                before.end = block + 1;
            } else {
                begin(&mut state, missing.replace(block..block + 1));
            }
        }
        begin(&mut state, missing);
        waits.extend(joins);
        waits
    }

    /// How far beyond what a run may fetch now somebody may join it: readers side by side are never level.
    fn slack(&self, map: &ChunkMap) -> u64 {
        let window = self.window() / u64::from(map.record.layout.unit.max(1));
        window.max(2 * u64::from(map.record.layout.data))
    }

    fn kept(&self, state: &mut State, key: &Key, manner: Manner) -> Option<Bytes> {
        let bytes = state.kept.get(key, manner != Manner::Through)?;
        if !self.keeps && manner != Manner::Within {
            state.kept.remove(key);
        }
        Some(bytes)
    }

    /// Says how a block was read that a fetch handed over.
    pub(super) fn used(&self, key: Key, manner: Manner) {
        if manner != Manner::Random || !self.keeps {
            self.kept(&mut self.lock(), &key, manner);
        }
    }

    /// Begins to fetch those of the blocks that are neither there nor on their way, as far as memory is free.
    pub(super) fn fetch_ahead(&self, pool: &Arc<Pool>, map: &Arc<ChunkMap>, blocks: Range<u64>) -> Vec<Arc<Run>> {
        let mut runs = Vec::new();
        let mut state = self.lock();
        let mut at = blocks.start;
        while let Some(group) = self.next_missing(&state, map, at..blocks.end) {
            at = group.end;
            runs.push(self.begin(&mut state, pool, map, group, false));
        }
        runs
    }

    /// The first run of blocks that are neither there nor on their way.
    fn next_missing(&self, state: &State, map: &ChunkMap, blocks: Range<u64>) -> Option<Range<u64>> {
        let slack = self.slack(map);
        let is_here = |block: &u64| {
            let key = (map.record.chunk, *block);
            state.kept.contains(&key) || state.flying(&key, slack)
        };
        let start = blocks.clone().find(|block| !is_here(block))?;
        let end = (start..blocks.end).find(|block| is_here(block)).unwrap_or(blocks.end);
        Some(start..end)
    }

    /// How many of the blocks from the first on are there or on their way.
    pub(super) fn covered(&self, map: &ChunkMap, blocks: Range<u64>) -> u64 {
        let end = blocks.end;
        self.next_missing(&self.lock(), map, blocks.clone()).map_or(end, |group| group.start) - blocks.start
    }

    /// Begins a run over blocks, which may go as far as it is then told.
    pub(super) fn begin_run(&self, pool: &Arc<Pool>, map: &Arc<ChunkMap>, blocks: Range<u64>, must: bool) -> Arc<Run> {
        self.begin(&mut self.lock(), pool, map, blocks, must)
    }

    fn begin(
        &self,
        state: &mut State,
        pool: &Arc<Pool>,
        map: &Arc<ChunkMap>,
        blocks: Range<u64>,
        must: bool,
    ) -> Arc<Run> {
        state.runs += 1;
        let id = state.runs;
        let run = Run::start(pool, map, blocks.clone(), id, must);
        for block in blocks {
            let key = (map.record.chunk, block);
            // Whoever waits for it goes on waiting: the first who has it brings it.
            let waiters = state.flights.remove(&key).map(|flight| flight.waiters).unwrap_or_default();
            state.flights.insert(key, Flight { run: Arc::downgrade(&run), reach: run.reach(), id, waiters });
        }
        run
    }

    /// Memory for blocks, taken from the oldest ones where nothing else is free; `None` where transfers have it all.
    pub fn room(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let kib = u32::try_from(bytes.div_ceil(1024)).ok()?;
        if bytes > self.capacity {
            return None;
        }
        let mut state = self.lock();
        while state.kept.bytes() + bytes > self.capacity {
            state.kept.evict()?;
        }
        loop {
            if let Ok(permit) = self.memory.clone().try_acquire_many_owned(kib) {
                return Some(permit);
            }
            state.kept.evict()?;
        }
    }

    /// Gives up blocks until so much memory is free, or none is left: what moves goes before what is kept.
    pub fn yield_memory(&self, kib: u32) {
        let mut state = self.lock();
        while self.memory.available_permits() < kib as usize && state.kept.evict().is_some() {}
    }

    /// Takes a block that was fetched.
    pub(super) fn arrived(&self, key: Key, bytes: Bytes, memory: Option<OwnedSemaphorePermit>) {
        let waiters = {
            let mut state = self.lock();
            let waiters = state.flights.remove(&key).map(|flight| flight.waiters).unwrap_or_default();
            if let Some(memory) = memory {
                // A piece of something larger would keep all of it in memory.
                let is_alone = bytes.len() >= MAX_UNIT_BYTES as usize;
                let kept = if is_alone { bytes.clone() } else { Bytes::copy_from_slice(&bytes) };
                state.kept.insert(key, kept, memory);
            }
            waiters
        };
        for waiter in waiters {
            // Who does not wait any more does not mind.
            let _ = waiter.send(Ok(Some(bytes.clone())));
        }
    }

    /// A run is over and will not bring these blocks; the first of them for that reason. Whoever waits for another
    /// fetches it himself: it may be good.
    pub fn ended(&self, chunk: ChunkId, blocks: Range<u64>, id: u64, error: Option<&Error>) {
        let mut waiters = Vec::new();
        {
            let mut state = self.lock();
            for block in blocks.clone() {
                let key = (chunk, block);
                if state.flights.get(&key).is_some_and(|flight| flight.id == id) {
                    let flight = state.flights.remove(&key);
                    waiters.extend(flight.into_iter().flat_map(|f| f.waiters).map(|waiter| (block, waiter)));
                }
            }
        }
        for (block, waiter) in waiters {
            let outcome = error.filter(|_| block == blocks.start).map_or(Ok(None), |error| Err(error.repeat()));
            let _ = waiter.send(outcome);
        }
    }
}

impl State {
    /// Whether a run will soon bring a block.
    fn flying(&self, key: &Key, slack: u64) -> bool {
        let is_near = |flight: &Flight| flight.reach.borrow().end() + slack > key.1;
        self.flights.get(key).is_some_and(|flight| flight.run.strong_count() > 0 && is_near(flight))
    }

    /// That run. It must not be dropped under the lock: its end takes the lock.
    fn join(&self, key: &Key, slack: u64) -> Option<Arc<Run>> {
        if self.flying(key, slack) { self.flights.get(key)?.run.upgrade() } else { None }
    }
}

impl Wait {
    fn new(state: &mut State, key: Key, run: &Arc<Run>, at: usize) -> Option<Self> {
        let (sender, outcome) = oneshot::channel();
        state.flights.get_mut(&key)?.waiters.push(sender);
        Some(Self { at, run: run.clone(), outcome })
    }
}
