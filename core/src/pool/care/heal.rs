//! Healing: a read that met a bad shard notes it, and what was noted is rebuilt.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio_util::task::AbortOnDropHandle;

use super::{RebuildOptions, RebuildReport};
use crate::error::{Error, ErrorKind, Result};
use crate::id::ChunkId;
use crate::index::{Damage, Finding};
use crate::journal::record::Place;
use crate::monitor::{Event, Monitor};
use crate::plugin::Hook;
use crate::pool::Pool;

/// Reads that meet one bad shard soon meet others: they are healed together.
const GATHER: Duration = Duration::from_secs(10);
/// What could not be healed is tried again.
const AGAIN: Duration = Duration::from_secs(3600);

impl Pool {
    /// Notes what a read found of a shard object; slows nothing down. Only what is definitely so counts: a
    /// remote that does not answer says nothing of the object.
    pub(in crate::pool) fn note_bad(&self, chunk: ChunkId, place: Place, error: &Error) {
        let damage = match error.kind() {
            ErrorKind::NotFound => Damage::Missing,
            ErrorKind::Corrupt => Damage::Corrupt,
            _ => return,
        };
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let finding = Finding { chunk, place, damage };
        if !noted.contains(&finding) {
            noted.push(finding);
            self.tell_missing(&finding);
            self.noticed.notify_one();
        }
    }

    /// Tells event handlers of a shard that is definitely not there.
    pub(in crate::pool) fn tell_missing(&self, finding: &Finding) {
        let Finding { chunk, place, damage: Damage::Missing } = finding else { return };
        self.plugins.after(Hook::ChunkMissing, || {
            let (remote, object) = (self.remote_label(place.remote), self.shard_object(*chunk, place.index, place.nonce));
            json!({"chunk": chunk.to_string(), "shard": place.index, "copy": place.copy, "remote": remote, "object": object})
        });
    }

    /// Writes down what reads noted, where it still counts.
    pub(in crate::pool) fn keep_noted(&self) -> Result<()> {
        let noted = std::mem::take(&mut *self.noted.lock().unwrap_or_else(PoisonError::into_inner));
        let mut findings = Vec::new();
        for finding in noted {
            if self.index.chunk(finding.chunk)?.is_some_and(|found| found.record.shards.contains(&finding.place)) {
                findings.push(finding);
            }
        }
        self.index.note_damage(&findings)
    }

    /// The damaged shards this machine knows of, those met by reads included.
    ///
    /// # Errors
    /// Those of the index.
    pub fn damage(&self) -> Result<Vec<Finding>> {
        self.keep_noted()?;
        self.index.findings()
    }

    /// Rebuilds the damaged shards this machine knows of, one chunk at a time, and corrupt copies of commits.
    ///
    /// # Errors
    /// As [`Pool::rebuild`].
    pub async fn heal_noted(self: &Arc<Self>, monitor: &Monitor) -> Result<RebuildReport> {
        if self.damage()?.is_empty() && self.index.spoiled()?.is_empty() {
            return Ok(RebuildReport::default());
        }
        let plan = self.plan_rebuild(&RebuildOptions::default(), monitor).await?;
        self.rebuild_by(&plan, 1, monitor).await
    }

    /// Heals in the background what reads and verifications find damaged, until the handle is dropped: for
    /// processes that live long. Tells by notices what it did. Does nothing where `auto_heal` is off.
    pub fn start_healing(self: &Arc<Self>, monitor: &Monitor) -> AbortOnDropHandle<()> {
        let monitor = monitor.clone();
        let (pool, noticed, on) = (Arc::downgrade(self), self.noticed.clone(), self.settings.auto_heal);
        AbortOnDropHandle::new(tokio::spawn(async move {
            if !on {
                return;
            }
            loop {
                tokio::select! {
                    () = noticed.notified() => tokio::time::sleep(GATHER).await,
                    () = tokio::time::sleep(AGAIN) => {}
                }
                let Some(pool) = pool.upgrade() else { return };
                match pool.heal_noted(&Monitor::default()).await {
                    Ok(done) if done == RebuildReport::default() => {}
                    Ok(done) => {
                        let failed = done.failed + done.unrecoverable;
                        monitor.event(&Event::Healed { shards: done.shards, chunks: done.chunks, failed });
                        monitor.notice(format!(
                            "healed {} shards of {} chunks; {failed} chunks failed",
                            done.shards, done.chunks
                        ));
                    }
                    Err(error) => monitor.notice(format!("healing was put off: {error}")),
                }
            }
        }))
    }
}
