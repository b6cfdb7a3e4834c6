//! Where shards go: what is known of the remotes, kept for the placing stage.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use tokio::sync::OnceCell;

use super::status::is_same_disk;
use super::{PlacementSettings, Pool, Settings};
use crate::env::SharedEnv;
use crate::error::{Error, ErrorKind, Result};
use crate::id::RemoteId;
use crate::journal::View;
use crate::journal::record::{ChunkRecord, RemoteState};
use crate::remote::{SharedRemote, Usage};
use crate::stage::layout::Layout;
use crate::stage::place::{self, Candidate, Placer, Question, ShardCopy};

mod ask;

/// Answers questions about shards, by the candidates' positions.
type Advise<'a> = dyn FnMut(&Question) -> Option<usize> + 'a;

/// How long a remote that failed a put gets no new one.
const SET_ASIDE_MS: u64 = 60_000;
/// The same for one that is full or refuses us.
const REFUSED_MS: u64 = 600_000;
/// The place of a shard on none of the configured remotes.
const NOBODY: usize = usize::MAX;

/// What placement knows of the configured remotes, in the configuration's order.
#[derive(Debug)]
pub(super) struct Placement {
    labels: Vec<String>,
    settings: Vec<PlacementSettings>,
    state: Mutex<State>,
    usage: OnceCell<Vec<Usage>>,
    /// Bytes asked of each remote and not here yet.
    loads: Mutex<HashMap<RemoteId, u64>>,
}

#[derive(Debug)]
struct State {
    placer: Placer,
    /// Bytes of the pool when the first chunk was placed.
    base: Option<Vec<(RemoteId, u64)>>,
    /// Bytes placed since: reserved from the moment they are planned.
    placed: Vec<u64>,
    /// Where nothing goes for now.
    aside: Vec<Option<Aside>>,
}

/// Why nothing goes to a remote.
#[derive(Debug, Clone)]
struct Aside {
    why: String,
    is_full: bool,
    /// Until when, by the boot clock.
    until_ms: u64,
}

impl State {
    /// The same without reservations.
    fn now(&self) -> Self {
        Self { placer: self.placer.clone(), base: None, placed: vec![0; self.placed.len()], aside: self.aside.clone() }
    }
}

/// One copy of one shard, and where it goes.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub index: usize,
    pub copy: u8,
    pub id: RemoteId,
    pub remote: SharedRemote,
}

/// Where the shards of one chunk go; changes as puts fail.
pub(super) struct Plan {
    pool: Arc<Pool>,
    view: Arc<View>,
    layout: Layout,
    state: Mutex<PlanState>,
}

struct PlanState {
    placement: place::Placement,
    failed: Vec<usize>,
}

impl Placement {
    pub fn new(settings: &Settings, remotes: &[SharedRemote], env: &SharedEnv) -> Self {
        let labels: Vec<String> = remotes.iter().map(|r| r.label().to_owned()).collect();
        #[allow(clippy::cast_possible_truncation, reason = "random bits")]
        let placer = Placer::new(settings.strategy, env.random() as u64);
        Self {
            settings: labels.iter().map(|l| settings.placement.get(l).cloned().unwrap_or_default()).collect(),
            state: Mutex::new(State {
                placer,
                base: None,
                placed: vec![0; labels.len()],
                aside: vec![None; labels.len()],
            }),
            usage: OnceCell::new(),
            loads: Mutex::default(),
            labels,
        }
    }

    /// The settings of a configured remote.
    pub fn settings(&self, label: &str) -> PlacementSettings {
        let at = self.labels.iter().position(|l| l == label);
        at.and_then(|at| self.settings.get(at)).cloned().unwrap_or_default()
    }

    /// Plans where the shards of a chunk go, and reserves the room.
    ///
    /// # Errors
    /// `Full` or `Unavailable`, saying which remote refuses why.
    pub async fn plan(&self, pool: &Arc<Pool>, view: Arc<View>, layout: &Layout, sizes: &[u64]) -> Result<Plan> {
        let usage = self.usage.get_or_init(|| ask_usage(pool, &view)).await;
        let (stored, layout_) = (stored_of(layout, sizes), *layout);
        let rehearse = move |placer: &mut Placer, candidates: &[Candidate], advise: &mut Advise| {
            placer.place_advised(candidates, &layout_, stored, advise).map(drop)
        };
        let mut asked = self.ask_balancer(pool, &view, usage, rehearse).await?.into_iter();
        let mut state = lock(&self.state);
        self.note_base(pool, &mut state)?;
        let candidates = self.candidates(&state, usage, pool, &view)?;
        let advise = &mut |_: &Question| asked.next().flatten();
        let placement = state.placer.place_advised(&candidates, layout, stored, advise)?;
        for (index, remotes) in placement.remotes.iter().enumerate() {
            for at in remotes {
                state.placed[*at] += sizes.get(index).copied().unwrap_or(0);
            }
        }
        let state = Mutex::new(PlanState { placement, failed: Vec::new() });
        Ok(Plan { pool: pool.clone(), view, layout: *layout, state })
    }

    /// Plans where these copies (index, copy) of shards of a chunk that is there already go anew, and
    /// reserves the room. The chunk's other shards stay where they are and count as its placement.
    /// Remotes to `avoid` get none; with `onto` only that one does.
    ///
    /// # Errors
    /// As [`Placement::plan`].
    pub async fn plan_shards(
        &self,
        pool: &Arc<Pool>,
        view: Arc<View>,
        chunk: &ChunkRecord,
        shards: &[(u8, u8)],
        avoid: &BTreeSet<RemoteId>,
        onto: Option<RemoteId>,
    ) -> Result<Plan> {
        let usage = self.usage.get_or_init(|| ask_usage(pool, &view)).await;
        let records = pool.index.remotes()?;
        // Where a shard lies among the configured remotes, those that are offline by their name.
        let position = |id: RemoteId| {
            let label = records.iter().find(|r| r.remote == id).map(|r| r.label.as_str());
            let statuses = || view.remotes.iter().zip(&self.labels);
            let offline = || statuses().position(|(s, l)| s.id().is_none() && Some(l.as_str()) == label);
            statuses().position(|(s, _)| s.id() == Some(id)).or_else(offline)
        };
        let copies = usize::from(chunk.layout.copies);
        let mut placed = vec![vec![NOBODY; copies]; chunk.layout.shards()];
        for place in chunk.shards.iter().filter(|p| !shards.contains(&(p.index, p.copy))) {
            let slot = placed.get_mut(usize::from(place.index)).and_then(|s| s.get_mut(usize::from(place.copy)));
            if let (Some(slot), Some(at)) = (slot, position(place.remote)) {
                *slot = at;
            }
        }
        let barred = |id: &RemoteId| avoid.contains(id) || onto.is_some_and(|only| only != *id);
        let excluded: Vec<usize> = (0..self.labels.len())
            .filter(|at| view.remotes.get(*at).and_then(|s| s.id()).is_some_and(|id| barred(&id)))
            .collect();
        let rehearsal = (placed.clone(), excluded.clone(), shards.to_vec(), chunk.layout, chunk.stored);
        let rehearse = move |placer: &mut Placer, candidates: &[Candidate], advise: &mut Advise| {
            let (mut placed, excluded, shards, layout, stored) = rehearsal;
            for (index, copy) in shards.iter().map(|(index, copy)| (usize::from(*index), usize::from(*copy))) {
                let size = layout.shard_size(stored, index);
                let chosen = placer.place_one(candidates, &placed, index, size, &excluded, advise)?;
                if let Some(slot) = placed.get_mut(index).and_then(|s| s.get_mut(copy)) {
                    *slot = chosen;
                }
            }
            Ok(())
        };
        let mut asked = self.ask_balancer(pool, &view, usage, rehearse).await?.into_iter();
        let advise = &mut |_: &Question| asked.next().flatten();
        let mut state = lock(&self.state);
        self.note_base(pool, &mut state)?;
        for (index, copy) in shards.iter().map(|(index, copy)| (usize::from(*index), usize::from(*copy))) {
            let size = chunk.layout.shard_size(chunk.stored, index);
            let candidates = self.candidates(&state, usage, pool, &view)?;
            let chosen = state.placer.place_one(&candidates, &placed, index, size, &excluded, advise)?;
            state.placed[chosen] += size;
            if let Some(slot) = placed.get_mut(index).and_then(|s| s.get_mut(copy)) {
                *slot = chosen;
            }
        }
        let placement = place::Placement { remotes: placed, tolerates_remotes: 0, tolerates_domains: 0 };
        let state = Mutex::new(PlanState { placement, failed: excluded });
        Ok(Plan { pool: pool.clone(), view, layout: chunk.layout, state })
    }

    /// The remotes as they are now, each asked for its usage; nothing is reserved.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn figures(&self, pool: &Pool, view: &View) -> Result<Vec<Candidate>> {
        let usage = ask_usage(pool, view).await;
        let mut now = lock(&self.state).now();
        self.note_base(pool, &mut now)?;
        self.candidates(&now, &usage, pool, view)
    }

    /// Notes bytes that were deleted.
    pub fn freed(&self, remote: RemoteId, bytes: u64) {
        for (id, used) in lock(&self.state).base.iter_mut().flatten() {
            if *id == remote {
                *used = used.saturating_sub(bytes);
            }
        }
    }

    fn note_base(&self, pool: &Pool, state: &mut State) -> Result<()> {
        if state.base.is_none() {
            let used = pool.index.remote_use()?;
            state.base = Some(used.into_iter().map(|(id, used)| (id, used.bytes)).collect());
        }
        Ok(())
    }

    fn candidates(&self, state: &State, usage: &[Usage], pool: &Pool, view: &View) -> Result<Vec<Candidate>> {
        let records = pool.index.remotes()?;
        let now = pool.env.boot_ms();
        let candidate = |at: usize| {
            let (label, settings) = (&self.labels[at], &self.settings[at]);
            let id = view.remotes.get(at).and_then(crate::journal::RemoteStatus::id);
            let record = records.iter().find(|r| Some(r.remote) == id);
            let used = state.base.iter().flatten().find(|(r, _)| Some(*r) == id).map_or(0, |(_, used)| *used);
            let told = usage.get(at).copied().unwrap_or_default();
            // Several remotes on one disk tell the same figures; none has it to itself.
            let alone = usage.iter().filter(|other| is_same_disk(other, &told)).count() <= 1;
            let aside = state.aside[at].as_ref().filter(|aside| aside.until_ms > now);
            let (refuses, is_full) = match (record.map(|r| r.state), aside) {
                (None, _) => (Some("offline".to_owned()), false),
                (Some(RemoteState::Joining | RemoteState::Active), Some(aside)) => {
                    (Some(aside.why.clone()), aside.is_full)
                }
                (Some(RemoteState::Joining | RemoteState::Active), None) => (None, false),
                (Some(_), _) => (Some("leaving the pool".to_owned()), false),
            };
            Candidate {
                used: used + state.placed[at],
                free: told.free.map(|free| free.saturating_sub(state.placed[at])),
                share: settings.quota.or(told.total.filter(|_| alone)),
                weight: settings.weight,
                priority: settings.priority,
                domain: settings.domain.clone(),
                refuses,
                is_full,
                ..Candidate::new(label.clone())
            }
        };
        Ok((0..self.labels.len()).map(candidate).collect())
    }

    /// Notes bytes asked of a remote.
    pub fn planned(&self, remote: RemoteId, bytes: u64) {
        *lock(&self.loads).entry(remote).or_default() += bytes;
    }

    /// Notes bytes that arrived, or will not.
    pub fn done(&self, remote: RemoteId, bytes: u64) {
        if let Some(load) = lock(&self.loads).get_mut(&remote) {
            *load = load.saturating_sub(bytes);
        }
    }

    /// Bytes asked of a remote and not here yet.
    pub fn load(&self, remote: RemoteId) -> u64 {
        lock(&self.loads).get(&remote).copied().unwrap_or(0)
    }
}

impl Plan {
    /// The layout it was made for.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Gives back the room of a chunk that is not stored.
    pub fn release(self, sizes: &[u64]) {
        self.shrink(sizes, &[]);
    }

    /// Gives back the room of shards that became smaller than they were planned.
    pub fn shrink(&self, planned: &[u64], sizes: &[u64]) {
        let mut shared = lock(&self.pool.placement.state);
        for (index, remotes) in lock(&self.state).placement.remotes.iter().enumerate() {
            let size = |sizes: &[u64]| sizes.get(index).copied().unwrap_or(0);
            for at in remotes {
                shared.placed[*at] = shared.placed[*at].saturating_sub(size(planned).saturating_sub(size(sizes)));
            }
        }
    }

    /// Every copy of every shard, with its remote.
    pub fn targets(&self) -> Vec<Target> {
        let state = lock(&self.state);
        let mut targets = Vec::new();
        for (index, remotes) in state.placement.remotes.iter().enumerate() {
            for (copy, at) in remotes.iter().enumerate() {
                targets.extend(self.target(index, copy, *at));
            }
        }
        targets
    }

    /// One copy of one shard, with its remote.
    pub fn target_of(&self, index: u8, copy: u8) -> Option<Target> {
        let at = *lock(&self.state).placement.remotes.get(usize::from(index))?.get(usize::from(copy))?;
        self.target(usize::from(index), usize::from(copy), at)
    }

    fn target(&self, index: usize, copy: usize, at: usize) -> Option<Target> {
        let id = self.view.remotes.get(at)?.id()?;
        let remote = self.pool.journal.remotes().get(at)?.clone();
        Some(Target { index, copy: u8::try_from(copy).ok()?, id, remote })
    }

    /// Another remote for a shard whose put failed for good.
    ///
    /// # Errors
    /// The put's own error when nobody else takes the shard.
    pub fn substitute(&self, failed: &Target, size: u64, error: Error) -> Result<Target> {
        // What is wrong with us or the object is wrong everywhere.
        let elsewhere =
            !matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::InvalidArgument | ErrorKind::Internal);
        let at = self.view.remotes.iter().position(|status| status.id() == Some(failed.id));
        let (Some(at), true) = (at, elsewhere) else { return Err(error) };
        let placement = &self.pool.placement;
        let usage = placement.usage.get().map(Vec::as_slice).unwrap_or_default();
        let mut shared = lock(&placement.state);
        let aside_ms = match error.kind() {
            // Somebody must do something about these, and this process may run for months.
            ErrorKind::Full | ErrorKind::Auth => REFUSED_MS,
            _ => SET_ASIDE_MS,
        };
        shared.aside[at] = Some(Aside {
            why: error.message().to_owned(),
            is_full: error.kind() == ErrorKind::Full,
            until_ms: self.pool.env.boot_ms() + aside_ms,
        });
        shared.placed[at] = shared.placed[at].saturating_sub(size);
        let candidates = placement.candidates(&shared, usage, &self.pool, &self.view)?;
        let mut state = lock(&self.state);
        state.failed.push(at);
        let shard = ShardCopy { index: failed.index, copy: usize::from(failed.copy) };
        let PlanState { placement: chosen, failed: excluded } = &mut *state;
        let next = match shared.placer.failover(&candidates, &self.layout, chosen, shard, size, excluded) {
            Ok(next) => next,
            Err(nowhere) => return Err(error.hint(nowhere.message().to_owned())),
        };
        shared.placed[next] += size;
        self.target(failed.index, usize::from(failed.copy), next).ok_or(error)
    }
}

impl Plan {
    /// Another remote for a shard whose put takes too long: one that has nothing of the chunk, so that it survives
    /// what it would have. The slow one gets nothing new for a while. `None` changes nothing.
    pub fn elsewhere(&self, slow: &Target, size: u64) -> Option<Target> {
        let at = self.view.remotes.iter().position(|status| status.id() == Some(slow.id))?;
        let placement = &self.pool.placement;
        let usage = placement.usage.get().map(Vec::as_slice).unwrap_or_default();
        let mut shared = lock(&placement.state);
        let candidates = placement.candidates(&shared, usage, &self.pool, &self.view).ok()?;
        let mut state = lock(&self.state);
        let shard = ShardCopy { index: slow.index, copy: usize::from(slow.copy) };
        let mut chosen = state.placement.clone();
        let mut excluded: Vec<usize> = state.failed.clone();
        excluded.push(at);
        let domain = |at: &usize| placement.settings.get(*at).and_then(|settings| settings.domain.clone());
        let taken: Vec<usize> = chosen.remotes.iter().flatten().copied().filter(|other| *other != at).collect();
        let domains: BTreeSet<String> = taken.iter().filter_map(domain).collect();
        let is_alike = |other: &usize| domain(other).is_some_and(|d| domains.contains(&d) && domain(&at) != Some(d));
        excluded.extend((0..placement.labels.len()).filter(|other| taken.contains(other) || is_alike(other)));
        let next = shared.placer.failover(&candidates, &self.layout, &mut chosen, shard, size, &excluded).ok()?;
        let target = self.target(slow.index, usize::from(slow.copy), next)?;
        state.placement = chosen;
        state.failed.push(at);
        let why = "an upload took much longer than those beside it".to_owned();
        shared.aside[at] = Some(Aside { why, is_full: false, until_ms: self.pool.env.boot_ms() + SET_ASIDE_MS });
        shared.placed[at] = shared.placed[at].saturating_sub(size);
        shared.placed[next] += size;
        Some(target)
    }
}

async fn ask_usage(pool: &Pool, view: &View) -> Vec<Usage> {
    let pairs = view.remotes.iter().zip(pool.journal.remotes());
    let asks = pairs.map(|(status, remote)| async move {
        match status.id() {
            // Half of the backends do not tell.
            Some(_) => remote.usage().await.unwrap_or_default(),
            None => Usage::default(),
        }
    });
    join_all(asks).await
}

/// The stored size that gives data shards of these sizes.
fn stored_of(layout: &Layout, sizes: &[u64]) -> u64 {
    sizes.iter().take(usize::from(layout.data)).sum()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
