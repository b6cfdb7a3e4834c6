//! Performing a rebuild: chunk after chunk, committed in batches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt};
use serde::Serialize;
use serde_json::json;
use tokio_util::task::AbortOnDropHandle;

use super::{DamagedChunk, RebuildPlan};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ChunkId, RemoteId};
use crate::journal::record::Place;
use crate::monitor::{Event, Monitor};
use crate::plugin::Hook;
use crate::pool::Pool;
use crate::pool::care::restore::{Order, RestoredShards};
use crate::stage::place::tolerated_losses;

/// A chunk is read, put, and read back: as many chunks at once in each.
pub(in crate::pool::care) const STAGES: usize = 3;
/// RestoredShards shards are committed when there are this many chunks,
const BATCH_CHUNKS: usize = 512;
/// or bytes,
const BATCH_BYTES: u64 = 4 << 30;
/// or the first is this old.
const BATCH_MS: u64 = 60_000;

/// What a rebuild did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RebuildReport {
    /// Chunks made whole.
    pub chunks: u64,
    /// Shards put anew and read back.
    pub shards: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects freed that others stand for now.
    pub freed: u64,
    /// Chunks that too few shards are left of, and for which others of the same content stand now.
    pub twins: u64,
    /// Chunks that too few shards are left of.
    pub unrecoverable: u64,
    /// Chunks that failed for other reasons, and may be tried again.
    pub failed: u64,
    /// Chunks that only the trash needs and that could not be made whole.
    pub trash_failed: u64,
    /// Chunks whole again that survive fewer losses than their layout promises, as some of their shards share a
    /// remote or failure domain.
    pub crowded: u64,
    /// Corrupt copies of commits put anew and read back.
    pub commits: u64,
    /// Corrupt copies of commits that could not be put anew.
    pub commits_failed: u64,
    /// Acknowledged without a view, or by fewer remotes than the rule asks for.
    pub stale: bool,
}

/// RestoredShards shards that wait for their common commit.
#[derive(Default)]
pub(in crate::pool::care) struct Batch {
    restored: Vec<RestoredShards>,
    since_ms: u64,
}

impl Batch {
    pub fn push(&mut self, restored: RestoredShards, boot_ms: u64) {
        if self.restored.is_empty() {
            self.since_ms = boot_ms;
        }
        self.restored.push(restored);
    }

    pub fn is_due(&self, boot_ms: u64) -> bool {
        let bytes: u64 = self.restored.iter().map(|one| one.bytes).sum();
        !self.restored.is_empty()
            && (self.restored.len() >= BATCH_CHUNKS
                || bytes >= BATCH_BYTES
                || boot_ms.saturating_sub(self.since_ms) >= BATCH_MS)
    }
}

impl Pool {
    /// Rebuilds what a plan found, several chunks at a time. Interrupted, a new plan goes on with the rest.
    ///
    /// # Errors
    /// `Cancelled`; `Unavailable` when a commit reaches too few remotes. A chunk that fails is counted and told,
    /// and the others go on.
    pub async fn rebuild(self: &Arc<Self>, plan: &RebuildPlan, monitor: &Monitor) -> Result<RebuildReport> {
        self.rebuild_by(plan, self.settings.download_workers * STAGES, monitor).await
    }

    pub(in crate::pool::care) async fn rebuild_by(
        self: &Arc<Self>,
        plan: &RebuildPlan,
        workers: usize,
        monitor: &Monitor,
    ) -> Result<RebuildReport> {
        let mut report = RebuildReport::default();
        plan.accepted.iter().try_for_each(|remote| self.accept_loss(*remote))?;
        if !plan.commits.is_empty() {
            let view = monitor.run(self.sync()).await?;
            let mended = monitor.run(self.journal.mend(&view)).await?;
            (report.commits, report.commits_failed) = (mended.done.len() as u64, mended.left.len() as u64);
            for (_, name, error) in mended.left {
                monitor.notice(format!("commit {name} is corrupt there and could not be put anew: {error}"));
            }
        }
        monitor.event(&Event::Total { bytes: plan.write_bytes, items: plan.chunks.len() as u64 });
        if !plan.chunks.is_empty() {
            self.view_for_writing().await?;
        }
        let mut work = stream::iter(plan.chunks.clone())
            .map(|damaged| {
                let (pool, monitor) = (self.clone(), monitor.clone());
                let chunk = damaged.chunk;
                async move {
                    let task = tokio::spawn(async move { pool.restore_shards(&order(&damaged), &monitor).await });
                    let done = AbortOnDropHandle::new(task).await;
                    (chunk, done.unwrap_or_else(|e| Err(Error::new(ErrorKind::Internal, e.to_string()))))
                }
            })
            .buffer_unordered(workers.max(1));
        let mut batch = Batch::default();
        loop {
            let next = monitor.run(async { Ok(work.next().await) }).await;
            let (chunk, done) = match next {
                Ok(Some(one)) => one,
                Ok(None) => break,
                Err(error) => {
                    // What is finished counts.
                    while let Some(Some((_, done))) = work.next().now_or_never() {
                        done.into_iter().for_each(|restored| batch.push(restored, self.env.boot_ms()));
                    }
                    self.finish_batch(&mut batch, &mut report, monitor).await?;
                    return Err(error);
                }
            };
            match done {
                Ok(restored) => batch.push(restored, self.env.boot_ms()),
                Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
                Err(error) => self.try_twin(chunk, &error, &mut report, monitor).await?,
            }
            if batch.is_due(self.env.boot_ms()) {
                self.finish_batch(&mut batch, &mut report, monitor).await?;
            }
        }
        self.finish_batch(&mut batch, &mut report, monitor).await?;
        report.freed += self.free_replaced(&plan.leftovers, monitor).await?;
        Ok(report)
    }

    /// Where too few shards are left of a chunk, looks for another one of the same content.
    async fn try_twin(
        self: &Arc<Self>,
        chunk: ChunkId,
        error: &Error,
        report: &mut RebuildReport,
        monitor: &Monitor,
    ) -> Result<()> {
        let lost = error.kind() == ErrorKind::Unrecoverable && self.index.chunk(chunk)?.is_some();
        let found = if lost { monitor.run(self.refer_to_twin(chunk)).await? } else { None };
        let Some(stale) = found else { return self.count_failure(chunk, error, report, monitor) };
        report.twins += 1;
        report.stale |= stale;
        monitor.progress(0, 1);
        Ok(())
    }

    fn count_failure(
        &self,
        chunk: ChunkId,
        error: &Error,
        report: &mut RebuildReport,
        monitor: &Monitor,
    ) -> Result<()> {
        let paths = self.index.paths_of(chunk)?;
        if paths.is_empty() {
            // Deleted meanwhile, or of the trash.
            let gone = self.index.chunk(chunk)?.is_none() || !self.index.marks([chunk])?.is_empty();
            report.trash_failed += u64::from(!gone);
            return Ok(());
        }
        match error.kind() {
            ErrorKind::Unrecoverable => report.unrecoverable += 1,
            _ => report.failed += 1,
        }
        for path in paths {
            monitor.event(&Event::FileFailed { path: path.to_string(), error: error.to_string() });
        }
        Ok(())
    }

    /// Commits a batch, forgets the damage, checks the placement anew and frees what was replaced.
    pub(in crate::pool::care) async fn finish_batch(
        &self,
        batch: &mut Batch,
        report: &mut RebuildReport,
        monitor: &Monitor,
    ) -> Result<()> {
        let restored = std::mem::take(&mut batch.restored);
        if restored.is_empty() {
            return Ok(());
        }
        let committed = self.commit_restored(&restored).await?;
        report.stale |= committed.stale;
        let mut replaced: Vec<(ChunkId, Place)> = Vec::new();
        for one in restored.iter().filter(|one| committed.chunks.contains(&one.chunk)) {
            report.chunks += 1;
            report.shards += one.places.len() as u64;
            report.bytes += one.bytes;
            report.crowded += u64::from(self.is_crowded(one.chunk)?);
            // Ours too, where another machine's later one counts: freeing leaves alone what counts.
            replaced.extend(one.replaced.iter().chain(&one.places).map(|place| (one.chunk, *place)));
            monitor.progress(0, 1);
            self.tell_repaired(one.chunk, one.places.len())?;
        }
        let lost = restored.iter().filter(|one| !committed.chunks.contains(&one.chunk));
        for one in lost {
            let error =
                Error::new(ErrorKind::Busy, "it is being deleted, or its shards went astray; repeat the rebuild");
            self.count_failure(one.chunk, &error, report, monitor)?;
        }
        self.index.forget_damage(replaced.iter().map(|(chunk, place)| (*chunk, place.nonce)))?;
        if !committed.stale {
            report.freed += self.free_replaced(&replaced, monitor).await?;
        }
        Ok(())
    }

    /// Tells event handlers of the files that a chunk put anew belongs to.
    pub(in crate::pool::care) fn tell_repaired(&self, chunk: ChunkId, shards: usize) -> Result<()> {
        if self.plugins.has_handlers() {
            for path in self.index.paths_of(chunk)? {
                let event = || json!({"path": path.to_string(), "chunk": chunk.to_string(), "shards": shards});
                self.plugins.after(Hook::FileRepaired, event);
            }
        }
        Ok(())
    }

    /// Frees objects where that can be done now; gives back how many.
    async fn free_replaced(&self, objects: &[(ChunkId, Place)], monitor: &Monitor) -> Result<u64> {
        match self.free_objects(objects).await {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                monitor.notice(format!("replaced shards are not deleted yet: {error}"));
                Ok(0)
            }
            freed => freed,
        }
    }

    /// Whether a chunk survives the loss of fewer remotes, or failure domains, than its layout promises.
    fn is_crowded(&self, chunk: ChunkId) -> Result<bool> {
        let record = self.chunk(chunk)?.record;
        let members = self.index.remotes()?;
        let mut numbers: BTreeMap<RemoteId, (usize, usize)> = BTreeMap::new();
        let mut domains: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, member) in members.iter().enumerate() {
            let domain = member.domain.as_deref().map_or(at, |domain| *domains.entry(domain).or_insert(at));
            numbers.insert(member.remote, (at, domain));
        }
        let (mut remotes, mut spread) =
            (vec![BTreeSet::new(); record.layout.shards()], vec![BTreeSet::new(); record.layout.shards()]);
        for place in &record.shards {
            if let Some((at, domain)) = numbers.get(&place.remote) {
                remotes[usize::from(place.index)].insert(*at);
                spread[usize::from(place.index)].insert(*domain);
            }
        }
        let tolerates = |holders: &[BTreeSet<usize>]| {
            let holders: Vec<Vec<usize>> = holders.iter().map(|held| held.iter().copied().collect()).collect();
            tolerated_losses(&holders, usize::from(record.layout.data)).unwrap_or(0)
        };
        Ok(tolerates(&remotes).min(tolerates(&spread)) < record.layout.tolerated())
    }
}

/// What is to be put anew of a damaged chunk.
pub(in crate::pool::care) fn order(damaged: &DamagedChunk) -> Order {
    let places = || damaged.shards.iter().map(|finding| finding.place);
    Order { damaged: places().collect(), ..Order::new(damaged.chunk, places().map(|place| (place.index, place.copy))) }
}
