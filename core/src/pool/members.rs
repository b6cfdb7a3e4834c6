//! Who belongs to the pool: adding remotes, and letting empty ones go.
//!
//! A change of membership passes through a state in which quorums must hold with and without the
//! remote ([`RemoteState::Joining`], [`RemoteState::Leaving`]) for a grace, so that no machine that has
//! not seen the change yet can commit past it.

mod join;
mod lost;

pub use lost::{LossPlan, LossReport};

use std::sync::Arc;

use serde::Serialize;

use super::Pool;
use crate::error::{Error, ErrorKind, Result};
use crate::id::RemoteId;
use crate::journal::marker::MarkerName;
use crate::journal::record::{Record, RemoteRecord, RemoteState};
use crate::journal::sync::Listing;
use crate::journal::{Journal, View};
use crate::remote::SharedRemote;

/// How long both quorums must hold.
const GRACE_MS: u64 = 24 * 3600 * 1000;

/// Where a change of membership stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemberChange {
    /// The remotes it is about.
    pub remotes: Vec<RemoteId>,
    /// Where they stand now.
    pub state: RemoteState,
    /// How long quorums must still hold with and without them, in milliseconds; 0 when it is finished.
    pub grace_left_ms: u64,
}

impl Pool {
    /// Lets a remote go that holds no shard. It keeps its marker until the change is finished: run again
    /// after the grace, or with `alone`, this finishes it.
    ///
    /// # Errors
    /// `NotFound` when the pool has no such remote; `InvalidArgument` while shards lie on it, or when it is the
    /// last one; `Busy` while another change is under way; `Unavailable` without a view.
    pub async fn remove_remote(&self, name: &str, alone: bool) -> Result<MemberChange> {
        let change = |remote, state, grace_left_ms| MemberChange { remotes: vec![remote], state, grace_left_ms };
        let found = match self.member(name).await {
            Ok(found) => found,
            Err(error) => match self.forget_removed(name).await? {
                Some(id) => return Ok(change(id, RemoteState::Removed, 0)),
                None => return Err(error),
            },
        };
        let id = found.remote;
        if found.state == RemoteState::Leaving {
            let left = self.finish_change(alone).await.map_or_else(|_| self.grace_left(id), |()| Ok(0))?;
            let state = if left == 0 { RemoteState::Removed } else { RemoteState::Leaving };
            return Ok(change(id, state, left));
        }
        self.finish_change(alone).await?;
        let view = self.complete_view().await?;
        let held = self.index.remote_use()?.into_iter().find(|(r, _)| *r == id).map(|(_, u)| u).unwrap_or_default();
        if held.objects > 0 {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("{} shards ({} bytes) lie on it", held.objects, held.bytes),
            )
            .on_remote(name)
            .hint("a remote can leave when nothing lies on it; delete or move its files first"));
        }
        let active = self.index.remotes()?.iter().filter(|r| r.state == RemoteState::Active && r.remote != id).count();
        if active == 0 {
            return Err(Error::new(ErrorKind::InvalidArgument, "it is the last remote of the pool").on_remote(name));
        }
        let record = RemoteRecord { state: RemoteState::Leaving, ..found };
        self.commit_members(&self.journal, view, vec![record]).await?;
        if alone {
            self.finish_change(true).await?;
            return Ok(change(id, RemoteState::Removed, 0));
        }
        Ok(change(id, RemoteState::Leaving, self.grace_left(id)?))
    }

    /// A remote of this name that is configured here and has left the pool, as when a removal was broken off at its
    /// end; and whether its place still carries its marker.
    pub(super) async fn removed_before(&self, name: &str) -> Result<Option<(RemoteRecord, bool)>> {
        let Some(handle) = self.journal.remotes().iter().find(|r| r.label() == name) else { return Ok(None) };
        // A place that cannot be listed has left all the same.
        let listing = Listing::take(handle.as_ref(), &self.settings.manifest_prefix).await.ok();
        let marked = listing.and_then(|listing| listing.identify(self.id()).ok());
        let is = |r: &RemoteRecord| marked.map_or(r.label == name, |id| r.remote == id);
        let removed = self.index.remotes()?.into_iter().filter(|r| r.state == RemoteState::Removed && is(r));
        Ok(removed.max_by_key(|r| r.stamp).map(|record| (record, marked.is_some())))
    }

    /// Finishes such a removal; gives back the remote's id.
    pub(super) async fn forget_removed(&self, name: &str) -> Result<Option<RemoteId>> {
        let Some((record, marked)) = self.removed_before(name).await? else { return Ok(None) };
        let handle = self.journal.remotes().iter().find(|r| r.label() == name);
        if let Some(handle) = handle.filter(|_| marked) {
            self.take_marker(handle, record.remote).await;
        }
        Ok(Some(record.remote))
    }

    /// The member that is configured (or was labelled) so.
    pub(super) async fn member(&self, name: &str) -> Result<RemoteRecord> {
        let view = self.view().await;
        let pairs = view.remotes.iter().zip(self.journal.remotes());
        let configured = pairs.filter(|(_, r)| r.label() == name).find_map(|(status, _)| status.id());
        let is = |r: &&RemoteRecord| match configured {
            Some(id) => r.remote == id,
            None => r.label == name || r.remote.to_string() == name,
        };
        let records = self.index.remotes()?;
        let found = records.iter().filter(|r| r.state != RemoteState::Removed).find(is).cloned();
        found.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "the pool has no such remote")
                .on_remote(name)
                .hint("see `rclonepool remotes list`")
        })
    }

    /// The remotes that are joining or leaving.
    fn changing(&self) -> Result<Vec<RemoteRecord>> {
        let changing = |r: &RemoteRecord| matches!(r.state, RemoteState::Joining | RemoteState::Leaving);
        Ok(self.index.remotes()?.into_iter().filter(changing).collect())
    }

    pub(super) async fn complete_view(&self) -> Result<View> {
        Self::complete_view_of(&self.journal).await
    }

    async fn complete_view_of(journal: &Journal) -> Result<View> {
        let view = journal.sync().await?;
        if view.complete {
            return Ok(view);
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            format!("membership changes only with a view: {}", view.lacks.join("; ")),
        )
        .hint("bring the pool's remotes online"))
    }

    /// A view in which the members after the change hold enough of every commit by themselves.
    async fn settled(journal: &Journal) -> Result<View> {
        journal.settled_view().await?.ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, "commits could not be copied to enough of the remotes that stay")
                .hint("bring the pool's remotes online and repeat it")
        })
    }

    pub(super) async fn commit_members(&self, journal: &Journal, view: View, records: Vec<RemoteRecord>) -> Result<()> {
        let receipt = journal.commit(&view, records.into_iter().map(Record::Remote).collect()).await?;
        if receipt.stale {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "the change of membership reached too few remotes to be sure of it",
            )
            .hint("bring the pool's remotes online and repeat it"));
        }
        Ok(())
    }

    /// How long both quorums must still hold, counted from when this machine first saw the change.
    fn grace_left(&self, remote: RemoteId) -> Result<u64> {
        let seen = self.index.remote_seen(remote)?;
        Ok(seen.map_or(GRACE_MS, |seen| GRACE_MS.saturating_sub(self.env.now().since(&seen))))
    }

    /// Finishes a change of membership whose grace has passed.
    ///
    /// # Errors
    /// `Busy` when it has not.
    pub(super) async fn finish_change(&self, alone: bool) -> Result<()> {
        self.finish_over(&self.journal, alone).await
    }

    async fn finish_over(&self, journal: &Journal, alone: bool) -> Result<()> {
        let records = self.changing()?;
        if records.is_empty() {
            return Ok(());
        }
        for record in &records {
            let left = if alone { 0 } else { self.grace_left(record.remote)? };
            if left > 0 {
                return Err(Error::new(
                    ErrorKind::Busy,
                    format!("a change of membership is under way for another {}", rough(left)),
                )
                .on_remote(&record.label)
                .hint("other machines must see it first; --alone, if no other machine writes to this pool"));
            }
        }
        let complete = journal.rules().leave_complete;
        let view = if complete { Self::settled(journal).await? } else { Self::complete_view_of(journal).await? };
        let used = self.index.remote_use()?;
        let mut gone = Vec::new();
        let mut finished = Vec::new();
        for record in records {
            let state = if record.state == RemoteState::Joining { RemoteState::Active } else { RemoteState::Removed };
            if state == RemoteState::Removed {
                if used.iter().any(|(id, u)| *id == record.remote && u.objects > 0) {
                    return Err(Error::new(ErrorKind::Busy, "shards were put on it meanwhile").on_remote(&record.label));
                }
                gone.push(record.remote);
            }
            finished.push(RemoteRecord { state, ..record });
        }
        let handles: Vec<(RemoteId, SharedRemote)> =
            gone.iter().filter_map(|id| Some((*id, view.handle(*id, journal.remotes())?))).collect();
        self.commit_members(journal, view, finished).await?;
        // The marker goes last, so that the place can join again.
        for (remote, handle) in handles {
            self.take_marker(&handle, remote).await;
        }
        Ok(())
    }

    /// Takes the marker off a place that left the pool. A remote that takes no deletions any more, such as a
    /// failing disk that was drained, leaves all the same: its id is never accepted again.
    async fn take_marker(&self, handle: &SharedRemote, remote: RemoteId) {
        let marker = MarkerName { pool: self.id(), remote };
        if let Err(error) = handle.delete(&format!("{}/{}", self.settings.manifest_prefix, marker.object())).await {
            tracing::warn!("{} left the pool, and its marker of it could not be deleted: {error}", handle.label());
        }
    }
}

/// A length of time in whole hours and minutes, rounded up: `24 h`, `3 h 20 min`, `5 min`.
fn rough(ms: u64) -> String {
    let minutes = ms.div_ceil(60_000);
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// Opened pools are shared between tasks.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Arc<Pool>>();
};
