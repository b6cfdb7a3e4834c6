//! What is garbage, and how far it is on its way out: the journal held against what lies on the remotes.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use serde::Serialize;

use super::suspect::{self, Look};
use super::{Inventory, Leftover, ShardObject};
use crate::env::Moment;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ChunkId, RemoteId};
use crate::index::{Census, Keep, Mark, ObjectState};
use crate::journal::View;
use crate::pool::Pool;
use crate::remote::ObjectMeta;

/// How long nothing is done about a mark, or about an object that no record names: 24 hours, far above how
/// long listings of any backend lag behind.
pub const GRACE_MS: u64 = 24 * 3600 * 1000;
/// How long what an interrupted upload of this machine stored is kept for it.
const RESUME_MS: u64 = 7 * 24 * 3600 * 1000;
/// How many chunks are looked up at a time.
const PAGE: usize = 1024;
/// How often is looked anew while other processes commit.
const TRIES: usize = 5;

/// How far garbage is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Kept for an interrupted upload of this machine, which can go on with it.
    Resumable,
    /// No record names it yet: it may belong to an upload under way.
    Young,
    /// To be marked now.
    Unmarked,
    /// Marked; the grace has not passed.
    Waiting,
    /// The grace has passed: to be dropped, then deleted, now.
    Due,
    /// Dropped; what is left of it is to be deleted now.
    Dropped,
}

/// A chunk nobody needs, or a shard object of a needed chunk that no record names.
#[derive(Debug, Clone, Serialize)]
pub struct Orphan {
    /// The chunk.
    pub chunk: ChunkId,
    /// Whether the chunk itself is needed, and only these objects are not.
    pub stray: bool,
    /// How far it is.
    pub stage: Stage,
    /// How many milliseconds it waits at least.
    pub left_ms: u64,
    /// Its bytes on the remotes that could be listed.
    pub bytes: u64,
    /// Its objects there.
    #[serde(skip)]
    pub objects: Vec<(RemoteId, ShardObject)>,
}

/// By what times garbage is freed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// How long an object without any record is left alone.
    pub age_ms: u64,
    /// How long marks wait.
    pub grace_ms: u64,
}

/// What a look at journal and remotes found.
#[derive(Debug)]
pub(super) struct Survey {
    /// The settled view it rests on.
    pub view: Arc<View>,
    /// What nobody needs.
    pub orphans: Vec<Orphan>,
    /// What puts that broke off left.
    pub leftovers: Vec<Leftover>,
    /// Members whose objects are not known now.
    pub unknown: BTreeSet<RemoteId>,
    /// Suspect remotes whose loss the user accepts.
    pub accepted: Vec<RemoteId>,
}

impl Pool {
    /// How long versions stay in the trash, in milliseconds: as the pool's record says, whatever is configured
    /// here.
    pub(super) fn trash_ms(&self) -> Result<u64> {
        Ok(self.index.pool()?.map_or(0, |pool| pool.trash_hours).saturating_mul(3_600_000))
    }

    /// By what the index keeps versions and chunks.
    pub(in crate::pool) fn keep_by(&self) -> Result<Keep> {
        let (now, shadow) = (self.env.now(), self.journal.rules().shadow);
        Ok(Keep { now, trash_ms: self.trash_ms()?, upload_ms: GRACE_MS, shadow })
    }

    /// The chunks that no file shows and the trash needs.
    pub(super) fn trashed_chunks(&self) -> Result<HashSet<ChunkId>> {
        if self.trash_ms()? == 0 {
            return Ok(HashSet::new());
        }
        let mut trashed = self.index.census(&self.keep_by()?, |census| Ok(census.live.clone()))?;
        let mut after = None;
        loop {
            let page = self.index.live_chunks(after, PAGE)?;
            trashed.retain(|chunk| page.binary_search(chunk).is_err());
            after = page.last().copied();
            if page.len() < PAGE {
                break;
            }
        }
        // What an upload under way stored is nobody's version yet.
        let mut referred = HashSet::new();
        for chunk in trashed {
            if self.index.chunk(chunk)?.is_some() && self.index.is_referred(chunk)? {
                referred.insert(chunk);
            }
        }
        Ok(referred)
    }

    /// A settled view, which nothing is freed without.
    ///
    /// # Errors
    /// `Unavailable`, saying what it lacks.
    pub(super) async fn settled_view(&self) -> Result<Arc<View>> {
        if let Some(view) = self.journal.settled_view().await? {
            view.check_format()?;
            let view = Arc::new(view);
            self.keep(view.clone()).await;
            return Ok(view);
        }
        let view = self.sync().await?;
        let why = match view.lacks.as_slice() {
            [] => "its commits could not be brought to enough remotes, or others keep writing".into(),
            lacks => lacks.join("; "),
        };
        Err(Error::new(ErrorKind::Unavailable, format!("nothing is freed without a view of the pool: {why}")).hint(
            "bring the pool's remotes online and repeat it; `remotes replace` or `remotes remove --lost` lets go of \
             one that is lost for good",
        ))
    }

    /// Looks what is garbage. Notes what waits from now on.
    ///
    /// # Errors
    /// `Unavailable` without a settled view; `Busy` when others keep writing, or when a remote is suspect.
    pub(super) async fn survey(&self, times: Times, accept_loss: bool) -> Result<Survey> {
        let before = self.view().await;
        // First what lies there, then what the journal says: what is named by then is seen to be named.
        let inventory = Inventory::take(self).await;
        for _ in 0..TRIES {
            let view = self.settled_view().await?;
            let place = |view: &View, id| view.remotes.iter().position(|status| status.id() == Some(id));
            let listed: BTreeMap<RemoteId, &[ShardObject]> =
                inventory.objects().filter(|(id, _)| place(&before, *id) == place(&view, *id)).collect();
            let members: BTreeSet<RemoteId> = self.journal.membership()?.members().collect();
            let unknown = members.into_iter().filter(|id| !listed.contains_key(id)).collect();
            let seen: BTreeSet<_> = view.held.values().flatten().collect();
            let whole = self.journal.rules().complete_before_consume;
            let (mut found, mut looks) = (None, BTreeMap::new());
            let mut waits = Waits::default();
            self.index.census(&self.keep_by()?, |census| {
                // Another process may have merged what this view did not complete.
                if whole && !census.commits()?.iter().all(|name| seen.contains(name)) {
                    return Ok(());
                }
                looks = look(census, &inventory, &listed)?;
                waits.known = census.waits()?;
                found = Some(self.judge_all(census, &inventory, &listed, times, &mut waits)?);
                Ok(())
            })?;
            let mut accepted = Vec::new();
            for (remote, look) in looks {
                let Some(suspect) = suspect::judge(&self.index, remote, look)? else { continue };
                if !accept_loss {
                    let (absent, of) = (suspect.absent, suspect.of);
                    return Err(Error::new(
                        ErrorKind::Busy,
                        format!("{absent} of its {of} shards look absent: nothing is deleted while it is suspect"),
                    )
                    .on_remote(self.remote_label(remote))
                    .hint("see what happened to it (`verify --quick`); --accept-loss goes on as it is"));
                }
                accepted.push(remote);
            }
            if let Some(orphans) = found {
                let leftovers = self.judge_leftovers(&inventory, &view, &listed, times, &mut waits);
                let over = waits.over(&listed);
                let new = waits.needed.iter().filter(|key| !waits.known.contains_key(*key)).map(Vec::as_slice);
                self.index.note_waits(new, over.iter().map(Vec::as_slice), &self.env.now())?;
                return Ok(Survey { view, orphans, leftovers, unknown, accepted });
            }
        }
        Err(Error::new(ErrorKind::Busy, "other processes keep writing to the pool").hint("repeat it a little later"))
    }

    fn judge_all(
        &self,
        census: &Census<'_>,
        inventory: &Inventory,
        listed: &BTreeMap<RemoteId, &[ShardObject]>,
        times: Times,
        waits: &mut Waits,
    ) -> Result<Vec<Orphan>> {
        let now = self.env.now();
        let mut dead = BTreeMap::<ChunkId, Vec<(RemoteId, ShardObject)>>::new();
        let mut orphans = Vec::new();
        for (remote, object) in listed.iter().flat_map(|(id, objects)| objects.iter().map(|o| (*id, *o))) {
            let chunk = object.chunk;
            if census.mark(chunk)? == Some(Mark::Dropped) || !self.is_live(census, chunk)? {
                dead.entry(chunk).or_default().push((remote, object));
                continue;
            }
            // Without the chunk's own record nobody knows which objects are its shards.
            if !census.is_known(chunk)? {
                continue;
            }
            let stray = |stage, left_ms| Orphan {
                chunk,
                stray: true,
                stage,
                left_ms,
                bytes: object.size,
                objects: vec![(remote, object)],
            };
            match census.object(chunk, object.nonce)? {
                ObjectState::Current => {}
                ObjectState::Dropped => orphans.push(stray(Stage::Dropped, 0)),
                // Where a shard was before stays until it is seen to lie where it is now.
                ObjectState::Older(place) if !matches!(inventory.size(chunk, &place), Ok(Some(_))) => {}
                ObjectState::Older(_) | ObjectState::Unnamed => {
                    let age = waits.age(object_key(remote, &object), &now);
                    let left = times.age_ms.max(times.grace_ms).saturating_sub(age);
                    orphans.push(stray(if left > 0 { Stage::Young } else { Stage::Due }, left));
                }
            }
        }
        for chunk in census.garbage()?.into_iter().chain(census.condemned()?) {
            if !self.is_live(census, chunk)? {
                dead.entry(chunk).or_default();
            }
        }
        let resumable = census.resumable()?;
        for (chunk, objects) in dead {
            let mark = census.mark(chunk)?;
            // As old as its youngest object: an upload may be under way.
            let age = |waits: &mut Waits| {
                let ages = objects.iter().map(|(remote, object)| waits.age(object_key(*remote, object), &now));
                ages.min().unwrap_or(u64::MAX)
            };
            let owned = mark.is_none() && resumable.contains(&chunk) && age(waits) < RESUME_MS;
            let (stage, left_ms) = match mark {
                Some(Mark::Dropped) => (Stage::Dropped, 0),
                Some(_) => {
                    let left = times.grace_ms.saturating_sub(waits.age(mark_key(chunk), &now));
                    (if left > 0 { Stage::Waiting } else { Stage::Due }, left)
                }
                None if owned => (Stage::Resumable, 0),
                None if census.is_known(chunk)? => (Stage::Unmarked, 0),
                None => {
                    let left = times.age_ms.saturating_sub(age(waits));
                    (if left > 0 { Stage::Young } else { Stage::Unmarked }, left)
                }
            };
            let stage = match stage {
                Stage::Unmarked if !self.journal.rules().condemn_first => Stage::Due,
                stage => stage,
            };
            let bytes = objects.iter().map(|(_, object)| object.size).sum();
            orphans.push(Orphan { chunk, stray: false, stage, left_ms, bytes, objects });
        }
        Ok(orphans)
    }

    /// What puts that broke off left, and for how long it is left alone: one that still grows is under way.
    fn judge_leftovers(
        &self,
        inventory: &Inventory,
        view: &View,
        listed: &BTreeMap<RemoteId, &[ShardObject]>,
        times: Times,
        waits: &mut Waits,
    ) -> Vec<Leftover> {
        let now = self.env.now();
        let all = inventory.unfinished.iter().chain(&view.unfinished).filter(|(id, _)| listed.contains_key(id));
        all.flat_map(|(id, objects)| objects.iter().map(|object| (*id, object)))
            .map(|(id, object)| Leftover {
                id,
                remote: self.remote_label(id),
                object: object.name.clone(),
                bytes: object.size,
                left_ms: times.age_ms.saturating_sub(waits.age(leftover_key(id, object), &now)),
            })
            .collect()
    }

    /// Whether somebody needs the chunk.
    fn is_live(&self, census: &Census<'_>, chunk: ChunkId) -> Result<bool> {
        // Without the second look what was garbage when it was marked stays garbage.
        let marked_is_dead = !self.journal.rules().look_before_drop;
        Ok(census.live.contains(&chunk) && !(marked_is_dead && census.mark(chunk)?.is_some()))
    }
}

/// What is seen of each listed remote.
fn look(
    census: &Census<'_>,
    inventory: &Inventory,
    listed: &BTreeMap<RemoteId, &[ShardObject]>,
) -> Result<BTreeMap<RemoteId, Look>> {
    let mut looks: BTreeMap<RemoteId, Look> =
        listed.keys().map(|id| (*id, Look { absent: 0, of: 0, whole: true })).collect();
    census.current_places(|chunk, place| {
        if let Some(look) = looks.get_mut(&place.remote) {
            look.of += 1;
            look.absent += u64::from(inventory.size(chunk, place) == Ok(None));
        }
    })?;
    Ok(looks)
}

/// What waits on this machine, under keys of bytes.
#[derive(Default)]
struct Waits {
    known: BTreeMap<Vec<u8>, Moment>,
    needed: BTreeSet<Vec<u8>>,
}

impl Waits {
    /// For how many milliseconds it has waited; it waits from now on, if it did not before.
    fn age(&mut self, key: Vec<u8>, now: &Moment) -> u64 {
        let age = self.known.get(&key).map_or(0, |seen| now.since(seen));
        self.needed.insert(key);
        age
    }

    /// What waits no more. Objects on remotes that could not be listed wait on.
    fn over(&self, listed: &BTreeMap<RemoteId, &[ShardObject]>) -> Vec<Vec<u8>> {
        let is_listed = |key: &[u8]| match key.split_first() {
            Some((b'o', rest)) => {
                let remote = rest.first_chunk::<16>().map(|bytes| RemoteId(u128::from_be_bytes(*bytes)));
                remote.is_none_or(|remote| listed.contains_key(&remote))
            }
            _ => true,
        };
        self.known.keys().filter(|key| !self.needed.contains(*key) && is_listed(key)).cloned().collect()
    }
}

fn object_key(remote: RemoteId, object: &ShardObject) -> Vec<u8> {
    let mut key = vec![b'o'];
    key.extend(remote.0.to_be_bytes());
    key.extend(object.chunk.0.to_be_bytes());
    key.push(object.index);
    key.extend(object.nonce.0.to_be_bytes());
    key
}

fn leftover_key(remote: RemoteId, object: &ObjectMeta) -> Vec<u8> {
    let mut key = vec![b'o'];
    key.extend(remote.0.to_be_bytes());
    key.extend(object.size.to_be_bytes());
    key.extend(object.name.as_bytes());
    key
}

/// The key under which a mark waits from when W remotes hold it.
pub(super) fn mark_key(chunk: ChunkId) -> Vec<u8> {
    let mut key = vec![b'm'];
    key.extend(chunk.0.to_be_bytes());
    key
}
