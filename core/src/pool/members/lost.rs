//! Remotes that are lost for good: the pool goes on without them, or with others in their place.

use std::collections::BTreeSet;

use serde::Serialize;

use super::super::open::{OpenOptions, connect};
use super::super::{Pool, Settings};
use super::GRACE_MS;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::id::RemoteId;
use crate::index::KnownCommit;
use crate::journal::marker::MarkerName;
use crate::journal::record::{Record, RemoteRecord, RemoteState};
use crate::journal::sync::Listing;
use crate::remote::SharedRemote;

/// What it costs to declare remotes lost.
#[derive(Debug, Clone, Serialize)]
pub struct LossPlan {
    /// Their names.
    pub remotes: Vec<String>,
    /// Those of them that were let go before: nothing more is lost with them.
    pub gone: Vec<String>,
    /// Their ids.
    pub ids: Vec<RemoteId>,
    /// Those of them that are online: nothing says that they are lost.
    pub online: Vec<String>,
    /// Shards that count as missing then, of chunks that somebody needs.
    pub shards: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Chunks of which too few shards are left on the others to read them.
    pub unreadable: u64,
    /// Members that are left.
    pub left: usize,
}

/// What declaring remotes lost did.
#[derive(Debug, Clone, Serialize)]
pub struct LossReport {
    /// The remotes that were removed.
    pub removed: Vec<RemoteId>,
    /// The remote that joined in their place.
    pub joined: Option<RemoteId>,
    /// How long quorums must still hold with and without the one that joined, in milliseconds.
    pub grace_left_ms: u64,
    /// Changes that only the lost remotes held, which are gone.
    pub forgotten: usize,
}

impl Pool {
    /// Finds what declaring remotes lost costs. Changes nothing.
    ///
    /// # Errors
    /// `NotFound` when the pool has no such remote; `InvalidArgument` when none would be left.
    pub async fn plan_loss(&self, names: &[String]) -> Result<LossPlan> {
        let lost = self.losable(names).await?;
        let ids: BTreeSet<RemoteId> = lost.iter().map(|r| r.remote).collect();
        let online = self.view().await.online();
        let left = self.journal.membership()?.members().filter(|id| !ids.contains(id)).count();
        if left == 0 {
            return Err(Error::new(ErrorKind::InvalidArgument, "no remote would be left"));
        }
        // What lay on those that are gone is missing already.
        let going = lost.iter().filter(|r| r.state != RemoteState::Removed);
        let leaving: BTreeSet<RemoteId> = going.map(|r| r.remote).collect();
        let removed: BTreeSet<RemoteId> = (self.index.remotes()?.into_iter())
            .filter(|r| r.state == RemoteState::Removed || ids.contains(&r.remote))
            .map(|r| r.remote)
            .collect();
        let needed = self.index.census(&self.keep_by()?, |census| Ok(census.live.clone()))?;
        let (mut shards, mut bytes, mut unreadable) = (0, 0, 0);
        let mut after = None;
        loop {
            let page = self.index.placed(after, 1024)?;
            let Some(last) = page.last() else { break };
            after = Some(last.chunk);
            // Garbage is no loss.
            for chunk in page.iter().filter(|placed| needed.contains(&placed.chunk)) {
                let here = chunk.shards.iter().filter(|(place, _)| leaving.contains(&place.remote));
                let (count, size) = here.fold((0, 0), |(count, sum), (_, size)| (count + 1, sum + size));
                let kept = chunk.shards.iter().filter(|(place, _)| !removed.contains(&place.remote));
                let indices: BTreeSet<u8> = kept.map(|(place, _)| place.index).collect();
                (shards, bytes) = (shards + count, bytes + size);
                unreadable += u64::from(count > 0 && indices.len() < chunk.data);
            }
        }
        Ok(LossPlan {
            remotes: lost.iter().map(|r| r.label.clone()).collect(),
            gone: lost.iter().filter(|r| r.state == RemoteState::Removed).map(|r| r.label.clone()).collect(),
            online: lost.iter().filter(|r| online.contains(&r.remote)).map(|r| r.label.clone()).collect(),
            ids: ids.into_iter().collect(),
            shards,
            bytes,
            unreadable,
            left,
        })
    }

    /// Declares remotes lost for good: they leave at once, their ids are never accepted again, and their
    /// shards count as missing. All other remotes must be online, or as many as make a view.
    ///
    /// # Errors
    /// As [`Pool::plan_loss`]; `Unavailable` when others are offline, too, or take no writes: if the change was
    /// written already, repeating it completes it.
    pub async fn remove_lost(&self, names: &[String]) -> Result<LossReport> {
        let records = self.losable(names).await?;
        let lost: BTreeSet<RemoteId> = records.iter().map(|r| r.remote).collect();
        if records.iter().all(|r| r.state == RemoteState::Removed) && self.is_told_to_all().await? {
            let removed = lost.into_iter().collect();
            return Ok(LossReport { removed, joined: None, grace_left_ms: 0, forgotten: 0 });
        }
        let view = self.view().await;
        let here: Vec<_> =
            lost.iter().filter_map(|id| Some((*id, view.handle(*id, self.journal.remotes())?))).collect();
        let gone = self.journal.declare_lost(&lost, removed(records)).await?;
        // One that answers all the same loses its marker, so that the place can join again.
        for (remote, handle) in here {
            let marker = MarkerName { pool: self.id(), remote };
            let name = format!("{}/{}", self.settings.manifest_prefix, marker.object());
            if let Err(error) = handle.delete(&name).await {
                tracing::info!("remote {} keeps its marker: {error}", handle.label());
            }
        }
        self.wrote.store(true, std::sync::atomic::Ordering::Relaxed);
        self.sync().await?;
        let removed = lost.into_iter().collect();
        Ok(LossReport { removed, joined: None, grace_left_ms: 0, forgotten: gone.len() })
    }

    /// Whether every member is online and holds every commit: then no change is left half done.
    async fn is_told_to_all(&self) -> Result<bool> {
        let view = self.sync().await?;
        let known = self.index.known_commits()?;
        let mut counts = known.iter().filter(|(_, state)| **state != KnownCommit::Superseded).map(|(name, _)| name);
        let members: Vec<RemoteId> = self.journal.membership()?.members().collect();
        let everywhere = |name| members.iter().all(|id| view.held.get(id).is_some_and(|held| held.contains(name)));
        Ok(view.complete && counts.all(everywhere))
    }

    /// Declares `old` lost for good and takes the remote `new` (as the configuration `config` names it) into the
    /// pool in its place, in one change. `new` may have the same name, if it is empty. Rebuilding is up to the
    /// caller.
    ///
    /// # Errors
    /// As [`Pool::remove_lost`] and [`Pool::add_remotes`].
    pub async fn replace_lost(
        &self,
        old: &str,
        config: &Config,
        new: &str,
        options: &OpenOptions,
        alone: bool,
    ) -> Result<LossReport> {
        let connected = connect(config, &[new.to_owned()], options, &self.env).await?;
        let settings = Settings::of(config);
        let replaced = async {
            let mut report = self.replace_by(old, &settings, &connected.remotes).await?;
            if alone {
                // A view may need the one that joined.
                self.finish_over(&self.wider(&connected.remotes)?, true).await?;
                report.grace_left_ms = 0;
            }
            Ok(report)
        };
        let replaced = replaced.await;
        if let Some(rclone) = connected.rclone {
            rclone.close().await;
        }
        replaced
    }

    /// As [`Pool::replace_lost`], over remotes that are at hand.
    ///
    /// # Errors
    /// As [`Pool::replace_lost`].
    pub async fn replace_by(&self, old: &str, settings: &Settings, new: &[SharedRemote]) -> Result<LossReport> {
        // First, as the successor may have the name of the one it replaced.
        let before = self.joined_before(old, settings, new).await?;
        let (records, joined) = match before {
            Some((removed, joined)) => (vec![removed], Some(joined)),
            None => (self.losable(&[old.to_owned()]).await?, None),
        };
        let lost: BTreeSet<RemoteId> = records.iter().map(|r| r.remote).collect();
        if let Some(other) = self.changing()?.into_iter().find(|r| !lost.contains(&r.remote) && !is_named(new, r)) {
            return Err(Error::new(ErrorKind::Busy, "a change of membership is under way")
                .on_remote(&other.label)
                .hint(
                    "`rclonepool remotes remove --lost` is possible meanwhile, and another remote joins afterwards",
                ));
        }
        let joining = match joined {
            Some(joined) => vec![joined],
            None => {
                let own = self.own_markers(settings, new).await?;
                self.mark(settings, new, own).await?
            }
        };
        let wider = self.wider(new)?;
        self.fill_joining(&wider, &wider.sync().await?, &joining).await?;
        let joined = joining.first().map(|r| r.remote);
        let mut change = removed(records);
        change.extend(joining.into_iter().map(Record::Remote));
        let gone = wider.declare_lost(&lost, change).await?;
        self.wrote.store(true, std::sync::atomic::Ordering::Relaxed);
        self.sync().await?;
        let removed = lost.into_iter().collect();
        Ok(LossReport { removed, joined, grace_left_ms: GRACE_MS, forgotten: gone.len() })
    }

    /// The remote that was removed and its successor, when an attempt that broke off had written the change.
    async fn joined_before(
        &self,
        old: &str,
        settings: &Settings,
        new: &[SharedRemote],
    ) -> Result<Option<(RemoteRecord, RemoteRecord)>> {
        self.sync().await?;
        let records = self.index.remotes()?;
        let named = |r: &&RemoteRecord| r.label == old || r.remote.to_string() == old;
        let removed = records.iter().filter(|r| r.state == RemoteState::Removed).filter(named).max_by_key(|r| r.stamp);
        let Some(removed) = removed else { return Ok(None) };
        for remote in new {
            let listing = Listing::take(remote.as_ref(), &settings.manifest_prefix).await?;
            let joined = |r: &&RemoteRecord| {
                matches!(r.state, RemoteState::Joining | RemoteState::Active)
                    && listing.markers.iter().any(|m| m.pool == self.id() && m.remote == r.remote)
            };
            if let Some(joined) = records.iter().find(joined) {
                return Ok(Some((removed.clone(), joined.clone())));
            }
        }
        Ok(None)
    }

    /// The members of these names, and those that were removed by an attempt that broke off.
    async fn losable(&self, names: &[String]) -> Result<Vec<RemoteRecord>> {
        let mut found: Vec<RemoteRecord> = Vec::new();
        for name in names {
            let record = match self.member(name).await {
                Ok(record) => record,
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    let named = |r: &&RemoteRecord| r.label == *name || r.remote.to_string() == *name;
                    let records = self.index.remotes()?;
                    records.iter().filter(named).max_by_key(|r| r.stamp).cloned().ok_or(error)?
                }
                Err(error) => return Err(error),
            };
            if found.iter().all(|known| known.remote != record.remote) {
                found.push(record);
            }
        }
        Ok(found)
    }
}

fn is_named(new: &[SharedRemote], record: &RemoteRecord) -> bool {
    new.iter().any(|remote| remote.label() == record.label)
}

fn removed(records: Vec<RemoteRecord>) -> Vec<Record> {
    let removed = |record| Record::Remote(RemoteRecord { state: RemoteState::Removed, ..record });
    records.into_iter().map(removed).collect()
}
