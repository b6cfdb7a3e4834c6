//! Moving shards: copy, read back, commit, drop, delete, in this order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use serde::Serialize;
use tokio_util::task::AbortOnDropHandle;

use super::{Move, RebalancePlan};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ChunkId, RemoteId};
use crate::journal::record::Place;
use crate::monitor::{Event, Monitor};
use crate::pool::Pool;
use crate::pool::care::restore::{Order, RestoredShards};

/// Moved shards are committed when there are this many,
const BATCH_SHARDS: usize = 512;
/// or bytes,
const BATCH_BYTES: u64 = 4 << 30;
/// or the first is this old.
const BATCH_MS: u64 = 60_000;
/// How many plans in a row one rebalancing performs: where shards are coarse or machines work side by side, a
/// later one finds a little more.
const ROUNDS: usize = 3;

/// What a rebalancing did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RebalanceReport {
    /// Shards moved and read back where they are now.
    pub shards: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects deleted where shards lay before.
    pub freed: u64,
    /// Shards that were moved or deleted by somebody else meanwhile.
    pub skipped: u64,
    /// Shards that could not be moved, and may be tried again.
    pub failed: u64,
    /// Whether other changes may have been missed, or too few remotes hold the moves: then nothing was deleted.
    pub stale: bool,
    /// The variance afterwards, in percentage points.
    pub variance: f64,
    /// Whether the target is reached.
    pub reached: bool,
}

/// What became of one move.
enum Outcome {
    Copied(Box<RestoredShards>),
    /// Somebody else did something with the shard.
    Overtaken,
}

impl Pool {
    /// Moves shards as planned, several at a time. Interrupted, a new plan goes on with the rest.
    ///
    /// # Errors
    /// `Unavailable` without a view, or when a commit reaches too few remotes; `Cancelled`. A shard that cannot be
    /// moved is counted and told, and the others go on.
    pub async fn rebalance(self: &Arc<Self>, plan: &RebalancePlan, monitor: &Monitor) -> Result<RebalanceReport> {
        let mut report =
            RebalanceReport { variance: plan.variance, reached: plan.reached, ..RebalanceReport::default() };
        let mut moves = plan.moves.clone();
        self.part(&mut report, monitor).await?;
        for _ in 0..ROUNDS {
            if moves.is_empty() {
                break;
            }
            let before = report.shards;
            self.perform_moves(&moves, &mut report, monitor).await?;
            let next = self.plan_rebalance(plan.target).await?;
            (report.variance, report.reached) = (next.variance, next.shards == 0 && next.reached);
            // What failed would fail again.
            if report.shards == before || report.failed > 0 || report.stale {
                break;
            }
            moves = next.moves;
        }
        Ok(report)
    }

    /// Parts shards that machines at work side by side put on one remote, then deletes what was kept for that, and
    /// what moves left that broke off after their commit.
    pub(super) async fn part(self: &Arc<Self>, report: &mut RebalanceReport, monitor: &Monitor) -> Result<()> {
        for _ in 0..ROUNDS {
            let moves = self.plan_parting().await?;
            if moves.is_empty() {
                break;
            }
            let before = report.shards;
            self.perform_moves(&moves, report, monitor).await?;
            if report.shards == before || report.stale {
                break;
            }
        }
        let kept = self.kept_for_parting().await?;
        let mut left = self.index.replaced_places()?;
        left.retain(|one| !kept.contains(one));
        self.free_moved(&left, report, monitor).await
    }

    /// Moves that put apart the shards of chunks some of whose objects are kept, although others stand for them.
    async fn plan_parting(&self) -> Result<Vec<Move>> {
        let kept: BTreeSet<ChunkId> = self.index.replaced_places()?.into_iter().map(|(chunk, _)| chunk).collect();
        if kept.is_empty() {
            return Ok(Vec::new());
        }
        // Only what lies together: the fills are whatever they are.
        let mut moves = self.plan_moves(&self.figures().await?, &[], f64::INFINITY)?.moves;
        moves.retain(|one| kept.contains(&one.chunk));
        Ok(moves)
    }

    /// The objects that are kept until the shards of their chunks are parted.
    pub(super) async fn kept_for_parting(&self) -> Result<Vec<(ChunkId, Place)>> {
        let kept: BTreeSet<ChunkId> = self.plan_parting().await?.iter().map(|one| one.chunk).collect();
        let mut places = self.index.replaced_places()?;
        places.retain(|(chunk, _)| kept.contains(chunk));
        Ok(places)
    }

    /// Performs moves, in batches of one commit each.
    pub(super) async fn perform_moves(
        self: &Arc<Self>,
        moves: &[Move],
        report: &mut RebalanceReport,
        monitor: &Monitor,
    ) -> Result<()> {
        let view = self.view_for_writing().await?;
        if !view.complete {
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!("shards are moved only with a view: {}", view.lacks.join("; ")),
            )
            .hint("bring the pool's remotes online; one that is lost for good is let go by `rclonepool remotes replace` or `remotes remove --lost`"));
        }
        monitor.event(&Event::Total { bytes: moves.iter().map(|one| one.bytes).sum(), items: moves.len() as u64 });
        let workers = self.settings.upload_workers.max(self.settings.download_workers).max(1);
        let mut work = stream::iter(moves.to_vec())
            .map(|one| {
                let (pool, monitor) = (self.clone(), monitor.clone());
                async move {
                    let task = tokio::spawn(async move { pool.copy_shard(&one, &monitor).await });
                    let done = AbortOnDropHandle::new(task).await;
                    (one, done.unwrap_or_else(|e| Err(Error::new(ErrorKind::Internal, e.to_string()))))
                }
            })
            .buffer_unordered(workers);
        let mut batch: Vec<(Move, RestoredShards)> = Vec::new();
        let (mut bytes, mut since_ms) = (0, self.env.boot_ms());
        let mut told: BTreeSet<RemoteId> = BTreeSet::new();
        loop {
            let next = monitor.run(async { Ok(work.next().await) }).await;
            let (one, done) = match next {
                Ok(Some(done)) => done,
                Ok(None) => break,
                Err(error) => {
                    // What is copied counts.
                    self.commit_moves(&mut batch, report, monitor).await?;
                    return Err(error);
                }
            };
            match done {
                Ok(Outcome::Copied(restored)) => {
                    if batch.is_empty() {
                        (bytes, since_ms) = (0, self.env.boot_ms());
                    }
                    bytes += one.bytes;
                    batch.push((one, *restored));
                }
                Ok(Outcome::Overtaken) => report.skipped += 1,
                Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
                Err(error) => {
                    report.failed += 1;
                    // One word per remote: what is wrong with it is wrong for all its shards.
                    if told.insert(one.to) {
                        monitor
                            .notice(format!("shards for {} stay where they are: {error}", self.remote_label(one.to)));
                    }
                }
            }
            let age_ms = self.env.boot_ms().saturating_sub(since_ms);
            if batch.len() >= BATCH_SHARDS || bytes >= BATCH_BYTES || (age_ms >= BATCH_MS && !batch.is_empty()) {
                self.commit_moves(&mut batch, report, monitor).await?;
            }
        }
        self.commit_moves(&mut batch, report, monitor).await
    }

    /// Copies one shard (or makes it from the others) and reads the copy back.
    async fn copy_shard(self: &Arc<Self>, one: &Move, monitor: &Monitor) -> Result<Outcome> {
        let lies = |found: crate::index::Chunk| found.record.shards.contains(&one.place);
        if !self.index.chunk(one.chunk)?.is_some_and(lies) {
            return Ok(Outcome::Overtaken);
        }
        let order = Order { onto: Some(one.to), ..Order::new(one.chunk, [(one.place.index, one.place.copy)]) };
        match self.restore_shards(&order, monitor).await {
            Ok(restored) if restored.replaced == [one.place] => Ok(Outcome::Copied(Box::new(restored))),
            Ok(_) => Ok(Outcome::Overtaken),
            // Its chunk may have gone, and its objects with it.
            Err(_) if self.index.chunk(one.chunk)?.is_none() => Ok(Outcome::Overtaken),
            Err(error) => Err(error),
        }
    }

    /// Commits a batch, and frees what it replaced.
    async fn commit_moves(
        &self,
        batch: &mut Vec<(Move, RestoredShards)>,
        report: &mut RebalanceReport,
        monitor: &Monitor,
    ) -> Result<()> {
        let (moves, restored): (Vec<Move>, Vec<RestoredShards>) = std::mem::take(batch).into_iter().unzip();
        if restored.is_empty() {
            return Ok(());
        }
        let committed = self.commit_restored(&restored).await?;
        report.stale |= committed.stale;
        let mut replaced: Vec<(ChunkId, Place)> = Vec::new();
        for (one, restored) in moves.iter().zip(&restored) {
            if !committed.chunks.contains(&one.chunk) {
                report.skipped += 1;
                continue;
            }
            report.shards += 1;
            report.bytes += one.bytes;
            monitor.progress(0, 1);
            if self.lies_as_planned(one)? {
                // Ours too, where another machine's later one counts: freeing leaves alone what counts.
                replaced.extend(restored.replaced.iter().chain(&restored.places).map(|place| (one.chunk, *place)));
            }
        }
        if committed.stale {
            return Ok(());
        }
        self.free_moved(&replaced, report, monitor).await
    }

    /// Whether no more shards of the chunk share the new place than were to. If two machines moved shards of
    /// one chunk to one remote at once, the objects they replaced stay until a later plan has parted them.
    fn lies_as_planned(&self, one: &Move) -> Result<bool> {
        let Some(chunk) = self.index.chunk(one.chunk)? else { return Ok(false) };
        let this = (one.place.index, one.place.copy);
        let others = chunk.record.shards.iter().filter(|p| p.remote == one.to && (p.index, p.copy) != this);
        Ok(others.count() <= one.beside)
    }

    async fn free_moved(
        &self,
        objects: &[(ChunkId, Place)],
        report: &mut RebalanceReport,
        monitor: &Monitor,
    ) -> Result<()> {
        let mut used: BTreeMap<RemoteId, u64> = BTreeMap::new();
        for (id, one) in self.index.remote_use()? {
            used.insert(id, one.bytes);
        }
        match self.free_objects(objects).await {
            Ok(freed) => report.freed += freed,
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                monitor.notice(format!("moved shards are not deleted where they lay yet: {error}"));
            }
            Err(error) => return Err(error),
        }
        for (id, now) in self.index.remote_use()? {
            let freed = used.get(&id).copied().unwrap_or(0).saturating_sub(now.bytes);
            self.placement.freed(id, freed);
        }
        Ok(())
    }
}
