//! Remotes that join.

use std::collections::BTreeSet;

use super::super::init::remote_record;
use super::super::open::{OpenOptions, connect};
use super::super::{Pool, Settings, lifeboat};
use super::MemberChange;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::id::RemoteId;
use crate::index::KnownCommit;
use crate::journal::commit::FORMAT;
use crate::journal::marker::Marker;
use crate::journal::record::{RemoteRecord, RemoteState};
use crate::journal::sync::Listing;
use crate::journal::{Journal, View};
use crate::remote::SharedRemote;

impl Pool {
    /// Fails when one of these configured remotes is a member already, and here.
    ///
    /// # Errors
    /// `AlreadyExists`; those of the index.
    pub async fn check_joining(&self, labels: &[String]) -> Result<()> {
        let (view, records) = (self.view().await, self.index.remotes()?);
        for (status, remote) in view.remotes.iter().zip(self.journal.remotes()) {
            let member = |r: &&RemoteRecord| Some(r.remote) == status.id() && r.state != RemoteState::Joining;
            if labels.iter().any(|label| label == remote.label()) && records.iter().any(|r| member(&r)) {
                return Err(Error::new(ErrorKind::AlreadyExists, "it is a member of this pool already")
                    .on_remote(remote.label())
                    .hint("nothing is left to do for it; name only remotes that are none yet"));
            }
        }
        Ok(())
    }

    /// Takes remotes into the pool, as one change. `config` already names them; `self` was opened
    /// without them.
    ///
    /// Each gets a marker with a new id and every commit there is, and counts from then on. `alone` says
    /// that no other machine writes to the pool: the change is then finished at once. One that was broken off
    /// goes on where it stands when it is run again.
    ///
    /// # Errors
    /// `Busy` while another change is under way; `Unavailable` without a view; `AlreadyExists` when a
    /// remote belongs to this pool or another one already.
    pub async fn add_remotes(
        &self,
        config: &Config,
        labels: &[String],
        options: &OpenOptions,
        alone: bool,
    ) -> Result<MemberChange> {
        let connected = connect(config, labels, options, &self.env).await?;
        let added = self.add_connected(&Settings::of(config), &connected.remotes, alone).await;
        if let Some(rclone) = connected.rclone {
            rclone.close().await;
        }
        added
    }

    /// As [`Pool::add_remotes`], for remotes that are connected already.
    ///
    /// # Errors
    /// As [`Pool::add_remotes`].
    pub async fn add_connected(
        &self,
        settings: &Settings,
        remotes: &[SharedRemote],
        alone: bool,
    ) -> Result<MemberChange> {
        // Members are said to be such first: without them there may be no view.
        self.own_markers(settings, remotes).await?;
        let view = self.complete_view().await?;
        let own = self.own_markers(settings, remotes).await?;
        let changing: BTreeSet<RemoteId> = self.changing()?.iter().map(|r| r.remote).collect();
        // The very change that is under way goes on; any other must be finished first.
        if changing != own.iter().flatten().copied().collect() || own.contains(&None) {
            self.finish_change(alone).await?;
        }
        let records = self.mark(settings, remotes, own).await?;
        let wider = self.wider(remotes)?;
        self.fill_joining(&wider, &view, &records).await?;
        let remotes: Vec<RemoteId> = records.iter().map(|r| r.remote).collect();
        let view = wider.sync().await?;
        self.commit_members(&wider, view, records).await?;
        wider.settle(self.settings.offer_timeout).await;
        let mut grace_left_ms = 0;
        for remote in remotes.iter().filter(|_| !alone) {
            grace_left_ms = grace_left_ms.max(self.grace_left(*remote)?);
        }
        if grace_left_ms > 0 {
            return Ok(MemberChange { remotes, state: RemoteState::Joining, grace_left_ms });
        }
        // A view may need those that joined.
        self.finish_over(&wider, alone).await?;
        Ok(MemberChange { remotes, state: RemoteState::Active, grace_left_ms })
    }

    /// The ids that an earlier try, broken off, gave remotes that are to join; `None` for new ones.
    pub(super) async fn own_markers(
        &self,
        settings: &Settings,
        remotes: &[SharedRemote],
    ) -> Result<Vec<Option<RemoteId>>> {
        let mut own = Vec::new();
        for remote in remotes {
            let listing = Listing::take(remote.as_ref(), &settings.manifest_prefix).await?;
            own.push(self.own_marker(remote, &listing, &settings.manifest_prefix).await?);
        }
        Ok(own)
    }

    async fn own_marker(&self, remote: &SharedRemote, listing: &Listing, prefix: &str) -> Result<Option<RemoteId>> {
        let Some(marker) = listing.markers.first() else { return Ok(None) };
        let refused = |what: &str, hint: String| {
            let message = format!("it carries a marker {what} already");
            Err(Error::new(ErrorKind::AlreadyExists, message).on_remote(remote.label()).hint(hint))
        };
        if marker.pool != self.id() || listing.markers.len() > 1 {
            let object = marker.object();
            return refused(
                "of another pool or time",
                format!("{prefix}/{object} is the marker; a remote joins without one"),
            );
        }
        match self.index.remotes()?.iter().find(|r| r.remote == marker.remote).map(|r| r.state) {
            // No commit admits it, or its change is not finished: the try goes on.
            None | Some(RemoteState::Joining) => Ok(Some(marker.remote)),
            // A removed id never counts again; its marker was to go with it.
            Some(RemoteState::Removed) => {
                remote.delete(&format!("{prefix}/{}", marker.object())).await?;
                Ok(None)
            }
            Some(_) => {
                refused("of this pool", "it is a member: nothing is left to do where the configuration names it".into())
            }
        }
    }

    /// Sees to it that each remote carries a marker: its own, else one with a new id.
    pub(super) async fn mark(
        &self,
        settings: &Settings,
        remotes: &[SharedRemote],
        own: Vec<Option<RemoteId>>,
    ) -> Result<Vec<RemoteRecord>> {
        let mut records = Vec::new();
        for (remote, id) in remotes.iter().zip(own) {
            let made = id.unwrap_or_else(|| RemoteId(self.env.random()));
            let (label, created_ms) = (remote.label().into(), self.env.wall_ms());
            let marker = Marker { format: FORMAT, pool: self.id(), remote: made, label, created_ms };
            marker.ensure(remote.as_ref(), &settings.manifest_prefix, id.is_some()).await?;
            records.push(remote_record(settings, remote.label(), made, RemoteState::Joining));
        }
        if settings.lifeboat {
            lifeboat::launch(remotes, &settings.manifest_prefix).await;
        }
        Ok(records)
    }

    /// The journal over the remotes there are and those that join; one of the same name takes the other's place.
    pub(super) fn wider(&self, remotes: &[SharedRemote]) -> Result<Journal> {
        let joins = |label: &str| remotes.iter().any(|remote| remote.label() == label);
        let mut all: Vec<SharedRemote> = self.journal.remotes().iter().filter(|r| !joins(r.label())).cloned().collect();
        all.extend(remotes.iter().cloned());
        self.journal.over(all)
    }

    /// Sees to it that those who join hold every commit of a view before they count.
    pub(super) async fn fill_joining(&self, wider: &Journal, view: &View, records: &[RemoteRecord]) -> Result<()> {
        if !self.journal.rules().join_complete {
            return Ok(());
        }
        wider.sync().await?;
        wider.settle(std::time::Duration::MAX).await;
        let after = wider.sync().await?;
        let known = self.index.known_commits()?;
        let mut wanted: BTreeSet<_> = view.online().into_iter().flat_map(|id| view.commits_of(id)).collect();
        wanted.retain(|name| known.get(name) != Some(&KnownCommit::Superseded));
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
}
