//! Deduplication: content that lies in the pool, or is on its way there, is not stored again.
//!
//! What the journal has is used again only with a view, and committed with a look after it, as any reuse. What this
//! process is storing just now is shared by all of its uploads: one stores, the others wait, and store it themselves if
//! that fails. Each commits the chunk's record with its file, whoever comes first.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;

use super::Pool;
use super::store::{Coded, Planned};
use super::upload::Section;
use crate::error::Result;
use crate::id::{ChunkId, Sha256};
use crate::index::Mark;
use crate::journal::View;
use crate::journal::record::{ChunkRecord, RemoteState};
use crate::local::blocking;
use crate::monitor::Monitor;

/// Bytes of a file and where they lie.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub length: u64,
    pub sha256: Sha256,
    pub chunk: ChunkId,
    pub chunk_offset: u64,
    /// To be committed with the file; `None` where the journal has it.
    pub record: Option<ChunkRecord>,
    /// Whether somebody else stored it.
    pub is_duplicate: bool,
    /// Lets others find it until it is committed.
    pub flight: Option<Arc<Flight>>,
}

impl Piece {
    /// A chunk that was stored for this file alone.
    pub fn stored(record: ChunkRecord, sha256: Sha256) -> Self {
        let (length, chunk) = (record.size, record.chunk);
        Self { length, sha256, chunk, chunk_offset: 0, record: Some(record), is_duplicate: false, flight: None }
    }
}

/// Some content, and whether it must be a whole chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub sha256: Sha256,
    pub length: u64,
    pub whole: bool,
}

/// Content that was stored and may not be committed yet.
#[derive(Debug)]
pub(super) struct Home {
    pub record: ChunkRecord,
    pub chunk_offset: u64,
    /// Of the view it was stored by.
    pub epoch: u64,
}

#[derive(Debug)]
enum State {
    Storing,
    Stored(Box<Home>),
    Failed,
}

/// Content on its way. Whoever refers to it keeps it, until its record is committed.
#[derive(Debug)]
pub(super) struct Flight {
    key: Key,
    state: watch::Sender<State>,
}

impl Flight {
    /// Waits until it is stored, or turns out not to be.
    pub async fn ended(&self) {
        // The sender is here, so this ends only when it is so.
        let _ = self.state.subscribe().wait_for(|state| !matches!(state, State::Storing)).await;
    }

    /// The view's epoch that what refers to it must be committed by.
    pub fn epoch(&self) -> Option<u64> {
        match &*self.state.borrow() {
            State::Stored(home) => Some(home.epoch),
            _ => None,
        }
    }

    /// A piece of another file that has this content.
    fn piece(self: &Arc<Self>) -> Option<Piece> {
        let Key { sha256, length, .. } = self.key;
        match &*self.state.borrow() {
            State::Stored(home) => Some(Piece {
                length,
                sha256,
                chunk: home.record.chunk,
                chunk_offset: home.chunk_offset,
                record: Some(home.record.clone()),
                is_duplicate: true,
                flight: Some(self.clone()),
            }),
            _ => None,
        }
    }
}

/// The duty to store some content, which fails when it is dropped.
#[derive(Debug)]
pub(super) struct Claimed(Arc<Flight>);

impl Claimed {
    /// It is stored.
    pub fn stored(self, home: Home) -> Arc<Flight> {
        self.0.state.send_replace(State::Stored(Box::new(home)));
        self.0.clone()
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        self.0.state.send_if_modified(|state| {
            let fails = matches!(state, State::Storing);
            if fails {
                *state = State::Failed;
            }
            fails
        });
    }
}

/// Content that somebody else stores, or has.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "taken apart where it is made")]
pub(super) enum Taken {
    /// Somebody stores it just now.
    Storing(Arc<Flight>),
    /// It is stored.
    Stored(Piece),
}

/// Content on its way, and what went astray on it.
#[derive(Debug, Default)]
pub(super) struct Duplicates {
    flights: Mutex<Flights>,
    misplaced: Mutex<HashSet<ChunkId>>,
    /// Of these, what the journal has and does not say it of.
    untold: Mutex<Vec<ChunkId>>,
}

#[derive(Debug, Default)]
struct Flights {
    by_key: HashMap<Key, Weak<Flight>>,
    /// At so many those that landed are forgotten.
    most: usize,
}

impl Flights {
    fn insert(&mut self, flight: &Arc<Flight>) {
        if self.by_key.len() >= self.most {
            self.by_key.retain(|_, flight| flight.strong_count() > 0);
            self.most = 2 * self.by_key.len() + 64;
        }
        self.by_key.insert(flight.key, Arc::downgrade(flight));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Duplicates {
    /// Notes chunks that were put where another remote turned out to lie: the journal does not say it.
    pub fn note(&self, marked: &BTreeMap<ChunkId, Mark>) {
        let misplaced = marked.iter().filter(|(_, mark)| **mark == Mark::Misplaced).map(|(chunk, _)| *chunk);
        lock(&self.misplaced).extend(misplaced);
    }

    /// Chunks that are to be condemned with the next commit.
    pub fn untold(&self) -> Vec<ChunkId> {
        lock(&self.untold).clone()
    }

    /// Has chunks condemned with the next commit.
    pub fn tell(&self, chunks: impl IntoIterator<Item = ChunkId>) {
        lock(&self.untold).extend(chunks);
    }

    /// These are condemned.
    pub fn told(&self, chunks: &[ChunkId]) {
        lock(&self.untold).retain(|chunk| !chunks.contains(chunk));
    }

    fn is_misplaced(&self, chunk: ChunkId) -> bool {
        lock(&self.misplaced).contains(&chunk)
    }
}

/// How the duplicates of one file's chunks are looked for: hashed first, where that promises to be all.
#[derive(Debug)]
pub(super) struct Lookup {
    longest: u64,
    hits: AtomicBool,
}

impl Lookup {
    fn noted(&self, hit: bool) {
        self.hits.store(hit, Ordering::Relaxed);
    }
}

impl Pool {
    /// How to look for duplicates of a file of `size` bytes, where they are to be used; `force` stores all anew.
    pub(super) fn lookup(&self, size: Option<u64>, force: bool) -> Result<Option<Arc<Lookup>>> {
        if !self.settings.deduplication || force {
            return Ok(None);
        }
        let longest = self.settings.chunk_size;
        // The last chunk of a file tells it from most others.
        let last = size.map(|size| if size.is_multiple_of(longest) { longest } else { size % longest });
        let hits = last.map_or(Ok(false), |last| self.index.has_chunk_of(last))?;
        Ok(Some(Arc::new(Lookup { longest, hits: AtomicBool::new(hits) })))
    }

    /// The duplicate of a part of a file, if there is likely one: reads and hashes, and takes no memory.
    pub(super) async fn find_section(&self, section: Section, lookup: &Lookup) -> Result<Option<Piece>> {
        let length = section.end - section.at;
        // Chunks of the full length are many; others are known by theirs.
        let is_likely = match length == lookup.longest {
            true => lookup.hits.load(Ordering::Relaxed),
            false => self.index.has_chunk_of(length)?,
        };
        if !is_likely {
            return Ok(None);
        }
        let key = Key { sha256: blocking(move || section.sha256()).await?, length, whole: true };
        let found = loop {
            match self.found(key).await? {
                Some(Taken::Storing(flight)) => flight.ended().await,
                Some(Taken::Stored(piece)) => break Some(piece),
                None => break None,
            }
        };
        lookup.noted(found.is_some());
        Ok(found)
    }

    /// Puts a coded chunk, unless its content lies in the pool or is on its way there.
    ///
    /// # Errors
    /// As [`Pool::put_chunk`].
    pub(super) async fn put_once(
        self: &Arc<Self>,
        coded: Coded,
        mut planned: Option<Planned>,
        lookup: Option<&Lookup>,
        monitor: &Monitor,
    ) -> Result<Piece> {
        let sha256 = coded.sha256;
        let Some(lookup) = lookup else {
            return Ok(Piece::stored(self.put_chunk(coded, planned, monitor).await?, sha256));
        };
        let key = Key { sha256, length: coded.size, whole: true };
        loop {
            let taken = match self.found(key).await? {
                Some(taken) => taken,
                None => match self.claim(key)? {
                    Ok(claimed) => {
                        lookup.noted(false);
                        let epoch = self.view().await.epoch();
                        let record = self.put_chunk(coded, planned, monitor).await?;
                        let flight = claimed.stored(Home { record: record.clone(), chunk_offset: 0, epoch });
                        return Ok(Piece { flight: Some(flight), ..Piece::stored(record, sha256) });
                    }
                    Err(taken) => taken,
                },
            };
            planned.take().into_iter().for_each(Planned::release);
            match taken {
                Taken::Storing(flight) => flight.ended().await,
                Taken::Stored(piece) => {
                    lookup.noted(true);
                    monitor.progress(piece.length, 1);
                    return Ok(piece);
                }
            }
        }
    }

    /// Content that the journal has, or that is on its way.
    ///
    /// # Errors
    /// Those of the index.
    async fn found(&self, key: Key) -> Result<Option<Taken>> {
        match self.known(key).await? {
            Some(piece) => Ok(Some(Taken::Stored(piece))),
            None => self.taken(&lock(&self.duplicates.flights), key),
        }
    }

    /// Content that the journal has, where it may be relied on.
    ///
    /// # Errors
    /// Those of the index.
    pub(super) async fn known(&self, key: Key) -> Result<Option<Piece>> {
        let view = self.view().await;
        // Without a view what is being deleted might be taken for good.
        if !view.complete && self.journal.rules().view_before_commit {
            return Ok(None);
        }
        let Key { sha256, length, whole } = key;
        let mut places: Vec<(ChunkId, u64)> =
            self.index.chunks_with(&sha256, length)?.into_iter().map(|chunk| (chunk, 0)).collect();
        if !whole {
            places.extend(self.index.places_with(&sha256, length)?);
        }
        for (chunk, chunk_offset) in places {
            let Some(record) = self.index.chunk(chunk)?.map(|found| found.record) else { continue };
            let within = chunk_offset.checked_add(length).is_some_and(|end| end <= record.size);
            if within && !self.duplicates.is_misplaced(chunk) && self.is_reliable(&view, &record)? {
                let (record, flight, is_duplicate) = (None, None, true);
                return Ok(Some(Piece { length, sha256, chunk, chunk_offset, record, is_duplicate, flight }));
            }
        }
        Ok(None)
    }

    /// Whether a chunk is as good as one stored now: all of its shards on members, none of them known to be damaged,
    /// able to be read now, and to survive what a new one would.
    fn is_reliable(&self, view: &View, record: &ChunkRecord) -> Result<bool> {
        let (layout, asked) = (record.layout, self.settings.redundancy);
        if layout.tolerated() < asked.tolerated() || self.index.is_damaged(record.chunk)? {
            return Ok(false);
        }
        let members: HashSet<_> = self
            .index
            .remotes()?
            .into_iter()
            .filter(|remote| matches!(remote.state, RemoteState::Active | RemoteState::Draining))
            .map(|remote| remote.remote)
            .collect();
        let online = view.online();
        let mut readable = HashSet::new();
        for place in &record.shards {
            if !members.contains(&place.remote) {
                return Ok(false);
            }
            if online.contains(&place.remote) {
                readable.insert(place.index);
            }
        }
        Ok(record.shards.len() == layout.objects() && readable.len() >= usize::from(layout.data))
    }

    /// Takes the duty to store some content, unless somebody has it.
    ///
    /// # Errors
    /// Those of the index.
    pub(super) fn claim(&self, key: Key) -> Result<std::result::Result<Claimed, Taken>> {
        let mut flights = lock(&self.duplicates.flights);
        if let Some(taken) = self.taken(&flights, key)? {
            return Ok(Err(taken));
        }
        let flight = Arc::new(Flight { key, state: watch::Sender::new(State::Storing) });
        flights.insert(&flight);
        Ok(Ok(Claimed(flight)))
    }

    fn taken(&self, flights: &Flights, key: Key) -> Result<Option<Taken>> {
        let Some(flight) = flights.by_key.get(&key).and_then(Weak::upgrade) else { return Ok(None) };
        if matches!(*flight.state.borrow(), State::Storing) {
            return Ok(Some(Taken::Storing(flight)));
        }
        let Some(piece) = flight.piece() else { return Ok(None) };
        // What another machine began to delete meanwhile is stored anew.
        let mut is_going = !self.index.marks([piece.chunk])?.is_empty() || self.duplicates.is_misplaced(piece.chunk);
        for place in piece.record.iter().flat_map(|record| &record.shards) {
            is_going |= self.index.is_dropped(piece.chunk, place.nonce)?;
        }
        Ok((!is_going).then_some(Taken::Stored(piece)))
    }
}
