//! What happened in a simulation: every commit that ever lay on a remote, every operation and how it
//! ended, and every promise that was broken.
//!
//! The witness sees what no machine sees: the objects themselves, as they are stored and deleted.

mod ledger;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use ledger::{Acknowledged, Ended, Operation, Running};
pub use watch::{Slot, WatchRemote};

use crate::id::{ChunkId, Nonce, RemoteId, Stamp};
use crate::journal::commit::{Commit, CommitName};
use crate::journal::marker::MarkerName;
use crate::journal::record::{Dropped, Record};
use crate::path::PoolPath;
use crate::remote::memory::MemoryStore;
use crate::testing::world::{Clock, START_MS};

/// No simulated upload takes longer, the time included that a remote is set aside after trouble.
const UPLOAD_MS: u64 = 900_000;

/// A commit that was stored whole on some remote at some time.
#[derive(Debug)]
pub struct Seen {
    /// What it says.
    pub commit: Commit,
    /// When it first appeared, in steps of the history.
    pub first: u64,
    /// The same in milliseconds since 1970.
    pub first_ms: u64,
    /// Every remote it ever lay on, by the marker that lay beside it.
    pub holders: BTreeSet<RemoteId>,
}

/// Sees everything and forgets nothing.
#[derive(Debug)]
pub struct Witness {
    clock: Arc<Clock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    step: u64,
    commits: BTreeMap<CommitName, Seen>,
    acknowledged: Vec<Acknowledged>,
    /// (time in ms, remote) of each call that failed.
    troubles: Vec<(u64, usize)>,
    /// (time in ms, remote) of each loss.
    gone: Vec<(u64, usize)>,
    /// Remotes that were set back to an earlier state: what they took since is lost.
    set_back: BTreeSet<RemoteId>,
    /// How many remotes must hold what is acted upon.
    quorum: usize,
    broken: Vec<String>,
    lines: Vec<String>,
}

impl Witness {
    /// A witness of a world.
    pub fn new(clock: Arc<Clock>) -> Arc<Self> {
        Arc::new(Self { clock, state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the history one step on; gives back the step.
    pub fn step(&self) -> u64 {
        let mut state = self.lock();
        state.step += 1;
        state.step
    }

    /// Writes a line of the history.
    pub fn line(&self, text: impl Display) {
        let ms = self.clock.ms() - START_MS;
        self.lock().lines.push(format!("{:>9}.{:03} s  {text}", ms / 1000, ms % 1000));
    }

    /// Notes a broken promise; `invariant` is its number and name.
    pub fn broken(&self, invariant: &str, what: impl Into<String>) {
        let text = format!("invariant {invariant}: {}", what.into());
        let mut state = self.lock();
        state.lines.push(format!("BROKEN {text}"));
        state.broken.push(text);
    }

    /// The broken promises so far.
    pub fn all_broken(&self) -> Vec<String> {
        self.lock().broken.clone()
    }

    /// The history so far.
    pub fn lines(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    /// Sets how many remotes must hold what deletions rely on.
    pub fn set_quorum(&self, quorum: usize) {
        self.lock().quorum = quorum;
    }

    /// As [`Witness::set_quorum`], where membership may change: fewer may do from now on.
    pub fn lower_quorum(&self, quorum: usize) {
        let mut state = self.lock();
        state.quorum = state.quorum.min(quorum);
    }

    /// Notes a failed call.
    pub fn trouble(&self, remote: usize) {
        let now = self.clock.ms();
        self.lock().troubles.push((now, remote));
    }

    /// Notes that a remote is gone from now on.
    pub fn trouble_for_good(&self, remote: usize) {
        let now = self.clock.ms();
        self.lock().gone.push((now, remote));
    }

    /// Notes that a remote, the one with this marker, was set back.
    pub fn set_back(&self, remote: Option<RemoteId>) {
        self.lock().set_back.extend(remote);
    }

    /// Whether a remote was ever set back; it then counts among the lost.
    pub fn was_set_back(&self, remote: RemoteId) -> bool {
        self.lock().set_back.contains(&remote)
    }

    /// The remotes that had trouble while a chunk may have been stored.
    pub fn troubled_before(&self, chunk: ChunkId) -> BTreeSet<usize> {
        let state = self.lock();
        // Once as a whole, and then each shard that was moved or rebuilt.
        let mut stored = BTreeMap::<Option<Nonce>, u64>::new();
        for seen in state.commits.values() {
            for record in &seen.commit.records {
                let what = match record {
                    Record::Chunk(r) if r.chunk == chunk => None,
                    Record::Shard(r) if r.chunk == chunk => Some(r.place.nonce),
                    _ => continue,
                };
                let first_ms = stored.entry(what).or_insert(seen.first_ms);
                *first_ms = seen.first_ms.min(*first_ms);
            }
        }
        let then = |at: u64| stored.values().any(|stored| (stored.saturating_sub(UPLOAD_MS)..=*stored).contains(&at));
        let last = stored.values().max().copied().unwrap_or(0);
        let troubles = state.troubles.iter().filter(|(at, _)| then(*at));
        let gone = state.gone.iter().filter(|(at, _)| *at <= last);
        troubles.chain(gone).map(|(_, remote)| *remote).collect()
    }

    /// The names of all commits ever stored.
    pub fn names(&self) -> Vec<CommitName> {
        self.lock().commits.keys().copied().collect()
    }

    /// Hands over the commits of these names that ever were stored.
    pub fn commits(&self, names: impl IntoIterator<Item = CommitName>) -> Vec<(CommitName, Commit)> {
        let state = self.lock();
        names.into_iter().filter_map(|name| Some((name, state.commits.get(&name)?.commit.clone()))).collect()
    }

    /// How far the deletions of a path in any commit ever stored reach.
    pub fn killed_up_to(&self, path: &PoolPath) -> Option<Stamp> {
        let state = self.lock();
        let of = |record: &Record| match record {
            Record::Deleted(r) if r.path == *path => Some(r.of),
            _ => None,
        };
        state.commits.values().flat_map(|seen| &seen.commit.records).filter_map(of).max()
    }

    /// Takes note of the commits that lie in a store.
    pub fn look_into(&self, store: &MemoryStore) {
        for name in store.names() {
            if let Some(bytes) = store.object(&name) {
                self.stored(store, &name, &bytes);
            }
        }
    }

    /// An object was stored.
    fn stored(&self, store: &MemoryStore, name: &str, bytes: &[u8]) {
        let Some(name) = commit_name(name).filter(|n| n.size == bytes.len() as u64) else { return };
        let mut state = self.lock();
        state.step += 1;
        let (step, first_ms) = (state.step, self.clock.ms());
        let seen = match state.commits.entry(name) {
            std::collections::btree_map::Entry::Occupied(seen) => seen.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => match Commit::decode(&name, bytes) {
                Ok(commit) => new.insert(Seen { commit, first: step, first_ms, holders: BTreeSet::new() }),
                Err(_) => return,
            },
        };
        seen.holders.extend(marker(store));
    }

    /// An object is about to be deleted: is it needed no more? `moved` says that another remote lay there when
    /// whoever deletes it listed the place for the last time, which nothing can prevent.
    fn deleted(&self, store: &MemoryStore, name: &str, moved: bool) {
        let why = {
            let state = self.lock();
            match (commit_name(name), shard_name(name)) {
                (Some(commit), _) => state.may_lose_commit(store, &commit, moved),
                (None, Some((chunk, nonce))) => state.may_lose_shard(chunk, nonce),
                // Markers go when a remote leaves the pool; whether it may is checked by what is lost then.
                (None, None) => Ok(()),
            }
        };
        if let Err(why) = why {
            self.broken("3 (nothing is deleted before what replaces it is safe)", format!("{name}: {why}"));
        }
    }
}

impl State {
    /// A commit may go where a commit that stands for it lies, which W remotes hold.
    fn may_lose_commit(&self, store: &MemoryStore, name: &CommitName, moved: bool) -> Result<(), String> {
        if store.object(&commit_object(name)).is_none_or(|bytes| bytes.len() as u64 != name.size) {
            return Ok(()); // a broken one, or none
        }
        let mut heirs: Vec<&CommitName> = vec![name];
        let mut safe = false;
        let excused = moved || marker(store).is_some_and(|remote| self.set_back.contains(&remote));
        while let (Some(one), false) = (heirs.pop(), safe) {
            for (heir, seen) in self.commits.iter().filter(|(_, seen)| seen.commit.supersedes.contains(one)) {
                let here = store.object(&commit_object(heir)).is_some_and(|bytes| bytes.len() as u64 == heir.size);
                safe |= (here || excused) && seen.holders.len() >= self.quorum;
                heirs.push(heir);
            }
        }
        if safe { Ok(()) } else { Err("no commit that stands for it lies there and on W remotes".into()) }
    }

    /// A shard may go once W remotes hold that it is dropped.
    fn may_lose_shard(&self, chunk: ChunkId, nonce: Nonce) -> Result<(), String> {
        let dropped = |record: &Record| match record {
            Record::Dropped(Dropped { chunk: c, object, .. }) => {
                *c == chunk && object.as_ref().is_none_or(|o| o.nonce == nonce)
            }
            _ => false,
        };
        let mut marks = self.commits.values().filter(|seen| seen.commit.records.iter().any(dropped));
        if marks.any(|seen| seen.holders.len() >= self.quorum) {
            Ok(())
        } else {
            Err("W remotes do not hold that it is dropped".into())
        }
    }
}

/// The remote a store is, by its marker.
pub fn marker(store: &MemoryStore) -> Option<RemoteId> {
    let names = store.names();
    let mut markers = names.iter().filter_map(|name| MarkerName::parse(name.strip_prefix("manifests/")?));
    markers.next().map(|marker| marker.remote)
}

/// The whole commits that lie in a store.
pub fn commits_in(store: &MemoryStore) -> BTreeMap<CommitName, Commit> {
    let read = |name: &String| {
        let commit = commit_name(name)?;
        Some((commit, Commit::decode(&commit, &store.object(name)?).ok()?))
    };
    store.names().iter().filter_map(read).collect()
}

fn commit_object(name: &CommitName) -> String {
    format!("manifests/commits/{name}")
}

fn commit_name(object: &str) -> Option<CommitName> {
    object.strip_prefix("manifests/commits/")?.parse().ok()
}

/// The chunk and nonce of a shard object.
pub fn shard_name(object: &str) -> Option<(ChunkId, Nonce)> {
    let (_, name) = object.strip_prefix("data/")?.split_once('/')?;
    let mut parts = name.split('.');
    let chunk = parts.next()?.parse().ok()?;
    let nonce = parts.nth(1)?.parse().ok()?;
    Some((chunk, nonce))
}
