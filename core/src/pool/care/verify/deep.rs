//! Reading every byte: all remotes side by side, each object streamed unit by unit.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::{join, try_join_all};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc;

use super::{At, Run};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ChunkId, Nonce, RemoteId};
use crate::index::{Damage, Finding, Surveyed};
use crate::journal::record::Place;
use crate::local::blocking;
use crate::monitor::{Event, Monitor};
use crate::pool::care::health::scope::{Cursor, Scope};
use crate::pool::fetch::read_units;
use crate::remote::SharedRemote;

/// After so many failures one after the other a remote is given up.
const FAILURES: u32 = 4;
/// How many chunks are noted as verified at once.
const NOTE: usize = 64;
/// Units of an object in memory: one being filled, one waiting, one with the remote.
const UNITS: u64 = 3;

/// What readers share.
#[derive(Default)]
struct State {
    found: Vec<Finding>,
    missing: Vec<At>,
    unknown: Vec<(ChunkId, Nonce)>,
    mended: Vec<(ChunkId, Nonce)>,
    /// Chunks some of whose shards were read: how many are left, and whether all could be.
    pending: HashMap<ChunkId, (usize, bool)>,
    /// Not noted yet.
    verified: Vec<ChunkId>,
    failures: BTreeMap<RemoteId, (u32, String)>,
    chunks: u64,
    shards: u64,
    bytes: u64,
}

struct Reader<'a, 'b> {
    run: &'a Run<'b>,
    scope: &'a Scope,
    monitor: &'a Monitor,
    /// Objects that the listings showed to be wrong.
    skip: HashSet<(ChunkId, Nonce)>,
    state: Mutex<State>,
}

impl Run<'_> {
    /// The chunks to read: all, or the share of them that was not verified for longest.
    pub(super) async fn choose(&self, sample: Option<f64>) -> Result<Scope> {
        let Some(percent) = sample else { return Ok(self.scope.clone()) };
        let (index, scope) = (self.pool.index.clone(), self.scope.clone());
        blocking(move || {
            let mut inside = HashSet::new();
            scope.walk(&index, |surveyed| {
                inside.insert(surveyed.chunk);
                Ok(())
            })?;
            #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let count = (inside.len() as f64 * percent / 100.0).ceil() as usize;
            let mut chunks = index.longest_unverified(usize::MAX)?;
            chunks.retain(|chunk| inside.contains(chunk));
            chunks.truncate(count);
            Ok(Scope { chunks: Some(chunks), ..scope })
        })
        .await
    }

    /// Reads all shards of the chosen chunks; gives back those that were not there.
    pub(super) async fn read(&mut self, chosen: &Scope, monitor: &Monitor) -> Result<Vec<At>> {
        let wrong = self.found.iter().map(|finding| (finding.chunk, finding.place.nonce));
        let skip: HashSet<_> = wrong.chain(self.unknown.iter().copied()).collect();
        let reader = Reader { run: self, scope: chosen, monitor, skip, state: Mutex::default() };
        reader.announce()?;
        let view = self.pool.view().await;
        let online = self.facts.online.clone().unwrap_or_default();
        let mut remotes = Vec::new();
        for id in online {
            remotes.extend(view.handle(id, self.pool.journal.remotes()).map(|remote| reader.remote(id, remote)));
        }
        let done = try_join_all(remotes).await;
        let state = reader.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.index().note_verified(state.verified.iter().copied(), &self.pool.env.now())?;
        self.index().forget_damage(state.mended)?;
        done?;
        self.found.extend(state.found);
        self.unknown.extend(state.unknown);
        self.checked.chunks_read = state.chunks;
        self.checked.shards_read = state.shards;
        self.checked.bytes_read = state.bytes;
        for (remote, (count, why)) in state.failures {
            if count >= FAILURES {
                self.lose_sight(remote, format!("reading from it failed: {why}"));
            } else if !why.is_empty() {
                self.why.insert(remote, format!("some shards could not be read: {why}"));
            }
        }
        Ok(state.missing)
    }
}

impl Reader<'_, '_> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this object is to be read.
    fn reads(&self, chunk: ChunkId, place: &Place) -> bool {
        self.run.is_online(place.remote) && !self.skip.contains(&(chunk, place.nonce))
    }

    /// Says how much there is to read.
    fn announce(&self) -> Result<()> {
        let (mut bytes, mut items) = (0, 0);
        self.scope.walk(self.run.index(), |surveyed| {
            for place in surveyed.places.iter().filter(|place| self.reads(surveyed.chunk, place)) {
                bytes += surveyed.shape.map_or(0, |s| s.layout.shard_size(s.stored, usize::from(place.index)));
                items += 1;
            }
            Ok(())
        })?;
        self.monitor.event(&Event::Total { bytes, items });
        Ok(())
    }

    /// Reads all that lies on one remote, several objects at a time.
    async fn remote(&self, id: RemoteId, remote: SharedRemote) -> Result<()> {
        let at_once = self.run.pool.settings.download_workers.max(1);
        let (mut cursor, mut next) = (Cursor::default(), Vec::new().into_iter());
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < at_once {
                let Some((place, surveyed)) = next.next() else {
                    let Some(page) = self.scope.page(self.run.index(), &mut cursor)? else { break };
                    next = self.on(id, page).into_iter();
                    continue;
                };
                running.push(self.object(&remote, surveyed, place));
            }
            let Some(done) = running.next().await else { return Ok(()) };
            done?;
            self.monitor.check()?;
        }
    }

    /// The objects on one remote, each with its chunk.
    fn on(&self, id: RemoteId, page: Vec<Surveyed>) -> Vec<(Place, Surveyed)> {
        let mut found = Vec::new();
        for surveyed in page {
            let here = surveyed.places.iter().filter(|place| place.remote == id && self.reads(surveyed.chunk, place));
            found.extend(here.map(|place| (*place, surveyed.clone())).collect::<Vec<_>>());
        }
        found
    }

    async fn object(&self, remote: &SharedRemote, surveyed: Surveyed, place: Place) -> Result<()> {
        let key = (surveyed.chunk, place.nonce);
        let given_up = self.lock().failures.get(&place.remote).is_some_and(|(count, _)| *count >= FAILURES);
        let mut read = if given_up {
            Err(Error::new(ErrorKind::Unavailable, "given up"))
        } else {
            self.stream(remote, surveyed.chunk, place, true).await
        };
        // A bit may have turned on the way.
        if read.as_ref().is_err_and(|error| error.kind() == ErrorKind::Corrupt) {
            read = self.stream(remote, surveyed.chunk, place, false).await;
        }
        let mut state = self.lock();
        let mut known = true;
        match read {
            Ok(bytes) => {
                state.shards += 1;
                state.bytes += bytes;
                if let Some(failures) = state.failures.get_mut(&place.remote) {
                    failures.0 = 0;
                }
                if self.run.before.contains_key(&key) {
                    state.mended.push(key);
                }
            }
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                state.shards += 1;
                let finding = Finding { chunk: surveyed.chunk, place, damage: Damage::Corrupt };
                // At once: whoever interrupts this shall not have to find it again.
                self.run.index().note_damage([&finding])?;
                state.found.push(finding);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => state.missing.push((surveyed.chunk, place)),
            Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
            Err(error) => {
                known = false;
                state.unknown.push(key);
                if !given_up {
                    let failures = state.failures.entry(place.remote).or_default();
                    *failures = (failures.0 + 1, error.message().to_owned());
                }
            }
        }
        self.count(&mut state, &surveyed, known)?;
        drop(state);
        self.monitor.progress(0, 1);
        Ok(())
    }

    /// One more object of a chunk was read, or could not be.
    fn count(&self, state: &mut State, surveyed: &Surveyed, known: bool) -> Result<()> {
        let chunk = surveyed.chunk;
        let (left, whole) = state.pending.entry(chunk).or_insert_with(|| {
            let read = surveyed.places.iter().filter(|place| self.reads(chunk, place)).count();
            let seen =
                |place: &Place| self.run.is_online(place.remote) && !self.run.unknown.contains(&(chunk, place.nonce));
            (read, surveyed.places.iter().all(seen))
        });
        *left = left.saturating_sub(1);
        *whole &= known;
        if let (0, whole) = (*left, *whole) {
            state.pending.remove(&chunk);
            state.chunks += 1;
            if whole {
                state.verified.push(chunk);
            }
        }
        if state.verified.len() >= NOTE {
            let verified = std::mem::take(&mut state.verified);
            self.run.index().note_verified(verified, &self.run.pool.env.now())?;
        }
        Ok(())
    }

    /// Reads an object, and holds every unit against its checksum; gives back its length in bytes.
    async fn stream(&self, remote: &SharedRemote, chunk: ChunkId, place: Place, first: bool) -> Result<u64> {
        let pool = self.run.pool;
        let record = pool.chunk(chunk)?.record;
        let (layout, index) = (record.layout, usize::from(place.index));
        let size = layout.shard_size(record.stored, index);
        let crcs = record.units.get(index).map(|units| units.0.as_slice()).unwrap_or_default();
        let lengths: Vec<(usize, u32)> =
            (0..).zip(crcs).map(|(row, crc)| (layout.unit_len(record.stored, index, row) as usize, *crc)).collect();
        if size == 0 {
            return Ok(0);
        }
        let _memory = pool.acquire_memory(size.min(UNITS * u64::from(layout.unit))).await?;
        let name = pool.shard_object(chunk, place.index, place.nonce);
        let (sender, mut units) = mpsc::channel(1);
        pool.placement.planned(place.remote, size);
        let read = async move {
            let read = read_units(remote, &name, 0..size, lengths, &sender, None).await;
            drop(sender);
            read
        };
        let take = async {
            let mut taken = 0;
            while let Some(unit) = units.recv().await {
                let length = unit.map_or(0, |unit| unit.len() as u64);
                taken += length;
                if first {
                    self.monitor.progress(length, 0);
                }
            }
            taken
        };
        let (read, taken) = join(read, take).await;
        pool.placement.done(place.remote, size);
        read?;
        if taken != size {
            return Err(Error::new(ErrorKind::Corrupt, "the chunk's record has not the checksums of all its units"));
        }
        Ok(taken)
    }
}
