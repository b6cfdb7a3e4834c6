//! Who belongs to the pool: adding remotes, and letting empty ones go.
//!
//! A change of membership passes through a state in which quorums must hold with and without the
//! remote ([`RemoteState::Joining`], [`RemoteState::Leaving`]) for a grace, so that no machine that has
//! not seen the change yet can commit past it.

mod lost;

pub use lost::{LossPlan, LossReport};

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use super::init::remote_record;
use super::open::{OpenOptions, connect};
use super::{Pool, Settings};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::id::RemoteId;
use crate::journal::commit::FORMAT;
use crate::journal::marker::{Marker, MarkerName};
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
    /// Takes remotes into the pool, as one change. `config` already names them; `self` was opened
    /// without them.
    ///
    /// Each gets a marker with a new id and every commit there is, and counts from then on. `alone` says
    /// that no other machine writes to the pool: the change is then finished at once.
    ///
    /// # Errors
    /// `Busy` while another change is under way; `Unavailable` without a view; `AlreadyExists` when a
    /// remote carries a marker already.
    pub async fn add_remotes(
        &self,
        config: &Config,
        labels: &[String],
        options: &OpenOptions,
        alone: bool,
    ) -> Result<MemberChange> {
        self.finish_change(alone).await?;
        let connected = connect(config, labels, options, &self.env).await?;
        let settings = Settings::of(config);
        let added = async {
            let added = self.join(&settings, &connected.remotes).await?;
            if alone {
                // A view may need those that joined.
                self.finish_over(&self.wider(&settings, &connected.remotes)?, true).await?;
            }
            Ok(added)
        };
        let added = added.await;
        if let Some(rclone) = connected.rclone {
            rclone.close().await;
        }
        let remotes = added?;
        let (state, grace_left_ms) = if alone { (RemoteState::Active, 0) } else { (RemoteState::Joining, GRACE_MS) };
        Ok(MemberChange { remotes, state, grace_left_ms })
    }

    /// As [`Pool::add_remotes`], over remotes that are at hand.
    ///
    /// # Errors
    /// As [`Pool::add_remotes`].
    pub async fn join(&self, settings: &Settings, remotes: &[SharedRemote]) -> Result<Vec<RemoteId>> {
        let view = self.complete_view().await?;
        let records = self.mark(settings, remotes).await?;
        let wider = self.wider(settings, remotes)?;
        self.fill_joining(&wider, &view, &records).await?;
        let ids = records.iter().map(|r| r.remote).collect();
        let view = wider.sync().await?;
        self.commit_members(&wider, view, records).await?;
        wider.settle(self.settings.offer_timeout).await;
        Ok(ids)
    }

    /// Gives each remote a marker with a new id. One that an attempt left which broke off before it counted
    /// is used again.
    async fn mark(&self, settings: &Settings, remotes: &[SharedRemote]) -> Result<Vec<RemoteRecord>> {
        let prefix = &settings.manifest_prefix;
        let mut records = Vec::new();
        for remote in remotes {
            let listing = Listing::take(remote.as_ref(), prefix).await?;
            let known = self.index.remotes()?;
            let unused = |m: &MarkerName| m.pool == self.id() && known.iter().all(|r| r.remote != m.remote);
            let (mut markers, mut torn) = (listing.markers.iter(), false);
            let mut found = (markers.next(), markers.next());
            if let (Some(marker), None) = found
                && unused(marker)
                && let Err(error) = Marker::read(remote.as_ref(), prefix, *marker).await
            {
                // The upload of it broke off.
                if error.kind() != ErrorKind::Corrupt {
                    return Err(error);
                }
                remote.delete(&format!("{prefix}/{}", marker.object())).await?;
                torn = true;
            }
            if torn {
                found = (None, None);
            }
            let id = match found {
                (None, _) => {
                    let id = RemoteId(self.env.random());
                    let created_ms = self.env.wall_ms();
                    let marker = Marker {
                        format: FORMAT,
                        pool: self.id(),
                        remote: id,
                        label: remote.label().into(),
                        created_ms,
                    };
                    marker.write(remote.as_ref(), prefix).await?;
                    id
                }
                (Some(marker), None) if unused(marker) => marker.remote,
                (Some(marker), _) => {
                    let member = known.iter().any(|r| r.remote == marker.remote);
                    let what =
                        if marker.pool == self.id() && member { "of this pool" } else { "of another pool or time" };
                    return Err(Error::new(ErrorKind::AlreadyExists, format!("it carries a marker {what} already"))
                        .on_remote(remote.label())
                        .hint(format!(
                            "{prefix}/{} is the marker; a remote joins without one",
                            MarkerName::object(*marker)
                        )));
                }
            };
            records.push(remote_record(settings, remote.label(), id, RemoteState::Joining));
        }
        Ok(records)
    }

    /// The journal over the remotes there are and those that join; one of the same name takes the other's place.
    fn wider(&self, settings: &Settings, remotes: &[SharedRemote]) -> Result<Journal> {
        let joins = |label: &str| remotes.iter().any(|remote| remote.label() == label);
        let mut all: Vec<SharedRemote> = self.journal.remotes().iter().filter(|r| !joins(r.label())).cloned().collect();
        all.extend(remotes.iter().cloned());
        #[allow(unused_mut, reason = "only where rules can be switched off")]
        let mut wider = Journal::new(self.id(), &settings.manifest_prefix, all, self.index.clone(), self.env.clone())?;
        #[cfg(any(test, feature = "testing"))]
        wider.set_rules(self.journal.rules());
        Ok(wider)
    }

    /// Sees to it that those who join hold every commit of a view before they count.
    async fn fill_joining(&self, wider: &Journal, view: &View, records: &[RemoteRecord]) -> Result<()> {
        if !self.journal.rules().join_complete {
            return Ok(());
        }
        wider.sync().await?;
        wider.settle(std::time::Duration::MAX).await;
        let after = wider.sync().await?;
        let known = self.index.known_commits()?;
        let mut wanted = view.commits();
        wanted.retain(|name| known.get(name) != Some(&crate::index::KnownCommit::Superseded));
        for record in records {
            let lacks = wanted.difference(&after.commits_of(record.remote)).count();
            if lacks > 0 {
                return Err(Error::new(ErrorKind::Unavailable, format!("{lacks} commits could not be copied to it"))
                    .on_remote(&record.label)
                    .hint("repeat it when the remotes answer"));
            }
        }
        Ok(())
    }

    /// Lets a remote go that holds no shard. It keeps its marker until the change is finished: run again
    /// after the grace, or with `alone`, this finishes it.
    ///
    /// # Errors
    /// `NotFound` when the pool has no such remote; `InvalidArgument` while shards lie on it, or when it is the
    /// last one; `Busy` while another change is under way; `Unavailable` without a view.
    pub async fn remove_remote(&self, name: &str, alone: bool) -> Result<MemberChange> {
        let change = |remote, state, grace_left_ms| MemberChange { remotes: vec![remote], state, grace_left_ms };
        let found = self.member(name).await?;
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
        Ok(change(id, RemoteState::Leaving, GRACE_MS))
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
        let changing = |r: &RemoteRecord| matches!(r.state, RemoteState::Joining | RemoteState::Leaving);
        let records: Vec<RemoteRecord> = self.index.remotes()?.into_iter().filter(changing).collect();
        if records.is_empty() {
            return Ok(());
        }
        for record in &records {
            let left = if alone { 0 } else { self.grace_left(record.remote)? };
            if left > 0 {
                return Err(Error::new(
                    ErrorKind::Busy,
                    format!("a change of membership is under way for another {} min", left.div_ceil(60_000)),
                )
                .on_remote(&record.label)
                .hint("other machines must see it first; --alone, if no other machine writes to this pool"));
            }
        }
        let view = Self::complete_view_of(journal).await?;
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
            let marker = MarkerName { pool: self.id(), remote };
            handle.delete(&format!("{}/{}", self.settings.manifest_prefix, marker.object())).await?;
        }
        Ok(())
    }
}

impl View {
    /// Every commit listed.
    fn commits(&self) -> BTreeSet<crate::journal::commit::CommitName> {
        self.online().into_iter().flat_map(|id| self.commits_of(id)).collect()
    }
}

/// Opened pools are shared between tasks.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Arc<Pool>>();
};
