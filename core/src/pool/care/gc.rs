//! Freeing what nobody needs: mark, wait, look again, drop, delete.
//!
//! Each step rests on the one before being held by W remotes, so a run may end anywhere, several machines may
//! run at once, and the next run finds from journal and listings what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use serde::Serialize;

use super::live::{GRACE_MS, Stage, Survey, Times, mark_key};
use super::repack::Repacked;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ChunkId, RemoteId, Stamp};
use crate::index::PoolLock;
use crate::journal::record::{Condemned, Dropped, Place, Record};
use crate::monitor::Monitor;
use crate::pool::Pool;

/// How many objects are deleted at once.
const DELETES: usize = 8;
/// How often the journal is compacted in one run.
const COMPACTIONS: u64 = 64;

/// How to free space.
#[derive(Debug, Clone, Copy, Default)]
pub struct GcOptions {
    /// How long an object that no record names is left alone, as it may belong to an upload under way; 24 hours
    /// where it is not given.
    pub min_age: Option<Duration>,
    /// Go on although a remote looks as if it had lost its data.
    pub accept_loss: bool,
}

/// What was freed, and what waits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GcReport {
    /// Whether space was freed without a grace, by a sole writer.
    pub at_once: bool,
    /// Versions that left the trash before their time, for want of space.
    pub trash_emptied: u64,
    /// Chunks marked.
    pub marked: u64,
    /// Chunks, and single objects, that were dropped for good.
    pub dropped: u64,
    /// Objects deleted, leftovers included.
    pub objects: u64,
    /// Leftovers of puts that broke off, deleted.
    pub leftovers: u64,
    /// Their bytes.
    pub reclaimed: u64,
    /// Objects that could not be deleted now; a later run finds them.
    pub failed: u64,
    /// Bytes that wait for the end of a grace, as far as their remotes could be listed.
    pub waiting: u64,
    /// When the first of these can be freed, in milliseconds from now.
    pub next_ms: Option<u64>,
    /// Packs of small files that were mostly garbage: what is needed of them lies in new ones.
    pub repacked: u64,
    /// The bytes copied for it.
    pub copied: u64,
    /// Journal commits made of many smaller ones.
    pub compacted: u64,
    /// Remotes on which nothing could be looked for.
    pub unknown: Vec<String>,
}

impl Pool {
    /// Frees what nobody needs, empties the trash where space is short, writes packs anew that are mostly garbage,
    /// and compacts the journal.
    ///
    /// # Errors
    /// As [`Pool::free_orphans`].
    pub async fn gc(self: &Arc<Self>, options: &GcOptions, monitor: &Monitor) -> Result<GcReport> {
        let emptied = self.empty_where_short(0, monitor).await?;
        let repacked = match self.repack(monitor).await {
            Ok(repacked) => repacked,
            Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
            Err(error) => {
                monitor.notice(format!("packs that are mostly garbage stay as they are: {error}"));
                Repacked::default()
            }
        };
        let mut report = self.free_orphans(options, monitor).await?;
        report.trash_emptied = emptied;
        (report.repacked, report.copied) = (repacked.packs, repacked.bytes);
        while report.compacted < COMPACTIONS && monitor.run(self.journal.compact()).await?.is_some() {
            report.compacted += 1;
        }
        Ok(report)
    }

    /// Frees what nobody needs: marks it, and deletes what was marked a grace ago and is still not needed.
    ///
    /// # Errors
    /// `Unavailable` without a view, or when a step reaches too few remotes; `Busy` while a remote is suspect, while
    /// others keep writing, and for a short `min_age` while data is being stored; `Cancelled`. What was done is
    /// done.
    pub async fn free_orphans(&self, options: &GcOptions, monitor: &Monitor) -> Result<GcReport> {
        let (times, lock) = self.times(options, monitor).await?;
        self.free_by(times, lock, options.accept_loss, monitor).await
    }

    /// As [`Pool::free_orphans`], by these times, while `lock` is held.
    pub(crate) async fn free_by(
        &self,
        times: Times,
        lock: Option<PoolLock>,
        accept_loss: bool,
        monitor: &Monitor,
    ) -> Result<GcReport> {
        let mut report = GcReport { at_once: times.grace_ms == 0, ..GcReport::default() };
        loop {
            let survey = monitor.run(self.survey(times, accept_loss)).await?;
            survey.accepted.iter().try_for_each(|remote| self.accept_loss(*remote))?;
            if report.at_once && self.journal.rules().alone_for_no_grace && !survey.unknown.is_empty() {
                return Err(Error::new(ErrorKind::Unavailable, "space is freed at once only with all remotes online"));
            }
            // What was marked a grace ago first: nothing came between this view and the drop.
            self.drop_due(&survey, &mut report, monitor).await?;
            let marked = self.condemn(&survey).await?;
            report.marked += marked;
            if marked > 0 && report.at_once {
                // What is marked now waits for nothing but a view of its own.
                continue;
            }
            let waits = |stage| matches!(stage, Stage::Waiting | Stage::Young | Stage::Unmarked);
            for orphan in survey.orphans.iter().filter(|orphan| waits(orphan.stage)) {
                let left = if orphan.stage == Stage::Unmarked { times.grace_ms } else { orphan.left_ms };
                report.waiting += orphan.bytes;
                report.next_ms = Some(report.next_ms.map_or(left, |next| next.min(left)));
            }
            for leftover in survey.leftovers.iter().filter(|leftover| leftover.left_ms > 0) {
                report.waiting += leftover.bytes;
                report.next_ms = Some(report.next_ms.map_or(leftover.left_ms, |next| next.min(leftover.left_ms)));
            }
            report.unknown = survey.unknown.iter().map(|id| self.remote_label(*id)).collect();
            drop(lock);
            return Ok(report);
        }
    }

    /// By what times space is freed, and the lock that they need.
    pub(super) async fn times(&self, options: &GcOptions, monitor: &Monitor) -> Result<(Times, Option<PoolLock>)> {
        let rules = self.journal.rules();
        let grace_ms = if rules.grace_before_drop { GRACE_MS } else { 0 };
        let asked_ms = options.min_age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        let times = Times { age_ms: asked_ms.unwrap_or(GRACE_MS), grace_ms };
        if self.settings.sole_writer {
            let at_once = Times { age_ms: asked_ms.unwrap_or(0), grace_ms: 0 };
            if !rules.alone_for_no_grace {
                return Ok((at_once, None));
            }
            match self.alone().await? {
                Ok(lock) => return Ok((at_once, Some(lock))),
                Err(why) => monitor.notice(format!("space is freed after a grace of 24 hours only: {why}")),
            }
        }
        if times.age_ms >= GRACE_MS {
            return Ok((times, None));
        }
        let lock = self.index.lock_alone()?;
        let busy = |what: &str| {
            Err(Error::new(ErrorKind::Busy, format!("objects younger than 24 hours are left alone: {what}"))
                .hint("what no record names yet may be an upload under way; repeat it later, or without --min-age"))
        };
        if lock.is_none() {
            return busy("another process of this machine stores data, or no index is kept here to ask by");
        }
        if self.index.has_uploads(&self.env.now(), GRACE_MS)? {
            return busy("an upload is under way");
        }
        Ok((times, lock))
    }

    /// The lock of a sole writer who sees every remote, or why it cannot be had.
    async fn alone(&self) -> Result<std::result::Result<PoolLock, String>> {
        let Some(lock) = self.index.lock_alone()? else {
            return Ok(Err("another process of this machine stores data, or no index is kept here".into()));
        };
        let view = self.sync().await?;
        let online = view.online();
        let members: Vec<RemoteId> = self.journal.membership()?.members().collect();
        Ok(match members.iter().find(|id| !online.contains(id)) {
            Some(away) => Err(format!("remote {} is offline", self.remote_label(*away))),
            None if !view.complete => Err(view.lacks.join("; ")),
            None => Ok(lock),
        })
    }

    /// Marks what is to be marked; gives back how many chunks that were.
    async fn condemn(&self, survey: &Survey) -> Result<u64> {
        let chunks: Vec<ChunkId> =
            survey.orphans.iter().filter(|o| o.stage == Stage::Unmarked).map(|o| o.chunk).collect();
        let mark = |chunk: &ChunkId| Record::Condemned(Condemned { chunk: *chunk, stamp: Stamp::ZERO });
        self.on_quorum(survey, chunks.iter().map(mark).collect()).await?;
        // The grace begins when W remotes hold the mark.
        let keys: Vec<Vec<u8>> = chunks.iter().map(|chunk| mark_key(*chunk)).collect();
        self.index.note_waits(keys.iter().map(Vec::as_slice), [], &self.env.now())?;
        Ok(chunks.len() as u64)
    }

    /// Drops what is due, then deletes it and what was dropped before.
    async fn drop_due(&self, survey: &Survey, report: &mut GcReport, monitor: &Monitor) -> Result<()> {
        let mut drops = BTreeMap::new();
        for orphan in survey.orphans.iter().filter(|orphan| orphan.stage == Stage::Due) {
            let chunk = orphan.chunk;
            if !orphan.stray {
                drops.insert((chunk, None), None);
                continue;
            }
            for (remote, object) in &orphan.objects {
                let place = Place { index: object.index, copy: 0, remote: *remote, nonce: object.nonce };
                drops.insert((chunk, Some(object.nonce)), Some(place));
            }
        }
        report.dropped += drops.len() as u64;
        if self.journal.rules().drop_before_delete {
            let record = |((chunk, _), object)| Record::Dropped(Dropped { chunk, stamp: Stamp::ZERO, object });
            self.on_quorum(survey, drops.into_iter().map(record).collect()).await?;
        }
        let gone = survey.orphans.iter().filter(|o| matches!(o.stage, Stage::Due | Stage::Dropped));
        let objects = gone
            .flat_map(|orphan| &orphan.objects)
            .map(|(id, object)| (*id, self.shard_object(object.chunk, object.index, object.nonce), object.size, false));
        let leftovers = survey.leftovers.iter().filter(|leftover| leftover.left_ms == 0);
        let leftovers = leftovers.map(|leftover| (leftover.id, leftover.object.clone(), leftover.bytes, true));
        let objects: Vec<_> = objects.chain(leftovers).collect();
        let mut deletes = stream::iter(objects)
            .map(|(id, name, size, leftover)| async move {
                let deleted = match survey.view.handle(id, self.journal.remotes()) {
                    Some(remote) => remote.delete(&name).await,
                    None => Err(Error::new(ErrorKind::Unavailable, "offline")),
                };
                (id, size, leftover, deleted)
            })
            .buffer_unordered(DELETES);
        let mut told = BTreeSet::new();
        while let Some((id, size, leftover, deleted)) = monitor.run(async { Ok(deletes.next().await) }).await? {
            match deleted {
                Ok(()) => {
                    report.objects += 1;
                    report.leftovers += u64::from(leftover);
                    report.reclaimed += size;
                    monitor.progress(size, 1);
                }
                Err(error) => {
                    report.failed += 1;
                    if told.insert(id) {
                        let label = self.remote_label(id);
                        monitor.notice(format!("{label}: objects could not be deleted now, and wait: {error}"));
                    }
                }
            }
        }
        Ok(())
    }

    /// Commits marks, which count when W remotes hold them.
    pub(super) async fn on_quorum(&self, survey: &Survey, records: Vec<Record>) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let receipt = self.commit(&survey.view, records).await?;
        let stale = receipt.stale;
        self.keep_view(receipt.view).await;
        if stale {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "the marks reached too few remotes; nothing more was freed",
            )
            .hint("bring the pool's remotes online and repeat it: it goes on where it stopped"));
        }
        Ok(())
    }
}
