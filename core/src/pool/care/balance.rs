//! Balancing: how full the remotes are, and what to move so that they are filled alike.

mod auto;
mod drain;
mod perform;

pub use drain::{DrainPlan, DrainReport};
pub use perform::RebalanceReport;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::error::Result;
use crate::id::{ChunkId, RemoteId};
use crate::index::Placed;
use crate::journal::View;
use crate::journal::record::{Place, Record, RemoteRecord, RemoteState};
use crate::pool::Pool;
use crate::stage::place::Candidate;
use crate::stage::place::balance::{Balancer, Lying, Pass};

/// How many chunks are looked at at a time.
const PAGE: usize = 1024;
/// Shards from this size on are moved first: one large one costs less than many small ones.
const LARGE_BYTES: u64 = 1 << 20;
/// How often levelling makes room for what could not be moved before.
const ROUNDS: usize = 4;

/// How full the remotes are.
#[derive(Debug, Clone, Default, Serialize)]
pub struct BalanceStatus {
    /// The largest difference of fills among remotes of one priority, in percentage points.
    pub variance: f64,
    /// The pool's bytes on all remotes.
    pub used: u64,
    /// The remotes, in the configuration's order.
    pub remotes: Vec<RemoteBalance>,
}

/// One remote of a [`BalanceStatus`].
#[derive(Debug, Clone, Serialize)]
pub struct RemoteBalance {
    /// Its name.
    pub name: String,
    /// Its state; `None` for a remote that is offline under a name nobody knows.
    pub state: Option<RemoteState>,
    /// Why it neither gives nor takes; `None`: it does.
    pub refuses: Option<String>,
    /// The pool's bytes on it.
    pub used: u64,
    /// The bytes the pool may use on it.
    pub quota: Option<u64>,
    /// Bytes it can still take; `None` if it does not say.
    pub free: Option<u64>,
    /// Its fair share in bytes: quota or size, times weight. Where no remote tells its size, its part of the
    /// pool's bytes.
    pub share: u64,
    /// Its bytes over its fair share, in percent.
    pub fill: f64,
    /// Remotes of higher priority are filled first.
    pub priority: i64,
    /// Its share of new data relative to others.
    pub weight: f64,
}

/// What is moved from one remote to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flow {
    /// From where.
    pub from: String,
    /// Where to.
    pub to: String,
    /// Shards.
    pub shards: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What a rebalancing would do.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RebalancePlan {
    /// The variance aimed at, in percentage points.
    pub target: f64,
    /// The variance now.
    pub variance: f64,
    /// The variance afterwards.
    pub variance_after: f64,
    /// Whether the target is reached.
    pub reached: bool,
    /// Shards to move.
    pub shards: u64,
    /// Their bytes.
    pub bytes: u64,
    /// From where to where.
    pub flows: Vec<Flow>,
    /// Bytes per remote afterwards, by name.
    pub used_after: BTreeMap<String, u64>,
    /// Remotes that neither give nor take, and why.
    pub left_out: Vec<String>,
    /// The moves themselves.
    #[serde(skip)]
    pub(super) moves: Vec<Move>,
}

/// A shard to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Move {
    pub chunk: ChunkId,
    /// Where it lies.
    pub place: Place,
    pub to: RemoteId,
    pub bytes: u64,
    /// How many other shards of the chunk lie there then.
    pub beside: usize,
}

/// The remotes as balancing sees them, in the configuration's order.
pub(super) struct Figures {
    pub candidates: Vec<Candidate>,
    pub ids: Vec<Option<RemoteId>>,
    states: Vec<Option<RemoteState>>,
}

impl Figures {
    /// A member that the configuration does not name.
    fn push_unknown(&mut self, record: &RemoteRecord) {
        let refuses = Some("not in the configuration".to_owned());
        self.candidates.push(Candidate { refuses, domain: record.domain.clone(), ..Candidate::new(&record.label) });
        self.states.push(Some(record.state));
    }
}

/// What planning came to.
pub(super) struct Planned {
    pub moves: Vec<Move>,
    pub balancer: Balancer,
    /// Chunks that survive fewer losses afterwards.
    pub sinking: BTreeSet<ChunkId>,
}

impl Pool {
    /// How full the remotes are; asks each online remote for its usage.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn balance_status(&self) -> Result<BalanceStatus> {
        let figures = self.figures().await?;
        let balancer = Balancer::new(figures.candidates.clone(), &[], 0.0);
        let (fills, shares) = (balancer.fills(), balancer.shares());
        let remotes = figures.candidates.iter().enumerate().map(|(at, one)| RemoteBalance {
            name: one.name.clone(),
            state: figures.states.get(at).copied().flatten(),
            refuses: one.refuses.clone(),
            used: one.used,
            quota: self.placement.settings(&one.name).quota,
            free: (one.room() != u64::MAX).then(|| one.room()),
            share: shares.get(at).copied().unwrap_or(0),
            fill: fills.get(at).copied().unwrap_or(0.0) * 100.0,
            priority: one.priority,
            weight: one.weight,
        });
        let remotes: Vec<RemoteBalance> = remotes.collect();
        Ok(BalanceStatus { variance: balancer.variance(), used: remotes.iter().map(|r| r.used).sum(), remotes })
    }

    /// Finds the moves after which fills differ by at most `target` percentage points, and shards lie where
    /// new uploads would put them. Changes nothing.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn plan_rebalance(&self, target: f64) -> Result<RebalancePlan> {
        let figures = self.figures().await?;
        let variance = Balancer::new(figures.candidates.clone(), &[], target).variance();
        let planned = self.plan_moves(&figures, &[], target)?;
        let names = |at: usize| figures.candidates.get(at).map(|one| one.name.clone()).unwrap_or_default();
        let after = planned.balancer.candidates().iter().enumerate();
        let left_out =
            figures.candidates.iter().filter_map(|one| Some(format!("{}: {}", one.name, one.refuses.as_ref()?)));
        Ok(RebalancePlan {
            target,
            variance,
            variance_after: planned.balancer.variance(),
            reached: planned.balancer.is_level(),
            shards: planned.moves.len() as u64,
            bytes: planned.moves.iter().map(|one| one.bytes).sum(),
            flows: self.flows(&planned.moves),
            used_after: after.map(|(at, one)| (names(at), one.used)).collect(),
            left_out: left_out.collect(),
            moves: planned.moves,
        })
    }

    /// The remotes with what the journal says of their weights and quotas, which every machine obeys alike.
    pub(super) async fn figures(&self) -> Result<Figures> {
        let view = self.view().await;
        let records = self.records_to_obey(&view)?;
        let candidates = self.placement.figures(self, &view).await?;
        let label = |at: usize| self.journal.remotes().get(at).map(|remote| remote.label());
        let find = |at: usize| {
            let id = view.remotes.get(at).and_then(crate::journal::RemoteStatus::id);
            let member = |r: &&RemoteRecord| match id {
                Some(id) => r.remote == id,
                None => Some(r.label.as_str()) == label(at) && r.state != RemoteState::Removed,
            };
            records.iter().find(member)
        };
        let used: BTreeMap<RemoteId, u64> =
            self.index.remote_use()?.into_iter().map(|(id, used)| (id, used.bytes)).collect();
        let mut figures = Figures { candidates, ids: Vec::new(), states: Vec::new() };
        for at in 0..figures.candidates.len() {
            let record = find(at);
            if let (Some(record), Some(one)) = (record, figures.candidates.get_mut(at)) {
                (one.weight, one.priority, one.domain) = (record.weight, record.priority, record.domain.clone());
                one.share = record.quota.or(one.share);
                one.used = used.get(&record.remote).copied().unwrap_or(0);
            }
            figures.ids.push(record.map(|r| r.remote));
            figures.states.push(record.map(|r| r.state));
        }
        Ok(figures)
    }

    /// The remote records, with what this machine's changed configuration will write with its next commit.
    fn records_to_obey(&self, view: &View) -> Result<Vec<RemoteRecord>> {
        let mut records = self.index.remotes()?;
        for change in self.changed_settings(view)?.0 {
            if let Record::Remote(changed) = change
                && let Some(record) = records.iter_mut().find(|r| r.remote == changed.remote)
            {
                *record = changed;
            }
        }
        Ok(records)
    }

    /// Plans over all chunks, page by page.
    pub(super) fn plan_moves(&self, figures: &Figures, evacuated: &[usize], target: f64) -> Result<Planned> {
        let balancer = Balancer::new(figures.candidates.clone(), evacuated, target);
        let mut planner = Planner { pool: self, figures, balancer, moved: BTreeMap::new(), sinking: BTreeSet::new() };
        if evacuated.is_empty() {
            for _ in 0..ROUNDS {
                let mut moves = planner.show(Pass::Spread)?;
                planner.balancer.aim();
                for (min_size, through) in [(LARGE_BYTES, false), (0, false), (0, true)] {
                    if !planner.balancer.is_level() {
                        moves += planner.show(Pass::Level { min_size, through })?;
                    }
                }
                if moves == 0 {
                    break;
                }
            }
        } else {
            planner.show(Pass::Evacuate)?;
        }
        Ok(planner.finish())
    }

    fn flows(&self, moves: &[Move]) -> Vec<Flow> {
        let mut sums: BTreeMap<(RemoteId, RemoteId), (u64, u64)> = BTreeMap::new();
        for one in moves {
            let (shards, bytes) = sums.entry((one.place.remote, one.to)).or_default();
            (*shards, *bytes) = (*shards + 1, *bytes + one.bytes);
        }
        let flow = |((from, to), (shards, bytes))| Flow {
            from: self.remote_label(from),
            to: self.remote_label(to),
            shards,
            bytes,
        };
        sums.into_iter().map(flow).collect()
    }
}

/// The planning of one set of moves.
struct Planner<'a> {
    pool: &'a Pool,
    figures: &'a Figures,
    balancer: Balancer,
    /// Where shards go, by what is known of them now.
    moved: BTreeMap<ChunkId, BTreeMap<(u8, u8), Move>>,
    sinking: BTreeSet<ChunkId>,
}

impl Planner<'_> {
    /// Shows every chunk; gives back how many shards were moved.
    fn show(&mut self, pass: Pass) -> Result<usize> {
        let (mut after, mut moves) = (None, 0);
        loop {
            let page = self.pool.index.placed(after, PAGE)?;
            for chunk in &page {
                moves += self.visit(chunk, pass);
            }
            after = page.last().map(|last| last.chunk);
            let level = matches!(pass, Pass::Level { .. }) && self.balancer.is_level();
            if page.len() < PAGE || level {
                return Ok(moves);
            }
        }
    }

    fn visit(&mut self, chunk: &Placed, pass: Pass) -> usize {
        let position = |id: RemoteId| self.figures.ids.iter().position(|known| *known == Some(id));
        let moved = self.moved.get(&chunk.chunk);
        let lying = |(place, size): &(Place, u64)| {
            let moved = moved.and_then(|moved| moved.get(&(place.index, place.copy)));
            Lying { index: place.index.into(), size: *size, at: position(moved.map_or(place.remote, |one| one.to)) }
        };
        let mut shards: Vec<Lying> = chunk.shards.iter().map(lying).collect();
        let steps = self.balancer.visit(&mut shards, chunk.data, pass);
        for step in &steps {
            let Some((place, bytes)) = chunk.shards.get(step.shard).copied() else { continue };
            let Some(to) = self.figures.ids.get(step.to).copied().flatten() else { continue };
            let moved = self.moved.entry(chunk.chunk).or_default();
            if to == place.remote {
                // It stays after all.
                moved.remove(&(place.index, place.copy));
            } else {
                let one = Move { chunk: chunk.chunk, place, to, bytes, beside: 0 };
                moved.insert((place.index, place.copy), one);
            }
            if step.sinks {
                self.sinking.insert(chunk.chunk);
            }
        }
        for one in self.moved.get_mut(&chunk.chunk).into_iter().flat_map(BTreeMap::values_mut) {
            let there = position(one.to);
            one.beside = shards.iter().filter(|shard| shard.at == there).count().saturating_sub(1);
        }
        steps.len()
    }

    fn finish(self) -> Planned {
        let moves = self.moved.into_values().flat_map(BTreeMap::into_values).collect();
        Planned { moves, balancer: self.balancer, sinking: self.sinking }
    }
}
