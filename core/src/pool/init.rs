//! Making a pool, and finding one.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde::Serialize;

use super::{PlacementSettings, Settings};
use crate::env::SharedEnv;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{PoolId, RemoteId, Stamp};
use crate::index::Index;
use crate::journal::commit::FORMAT;
use crate::journal::marker::Marker;
use crate::journal::record::{PoolRecord, Record, RemoteRecord, RemoteState};
use crate::journal::sync::Listing;
use crate::journal::{Journal, Rules};
use crate::remote::SharedRemote;

/// What `init` did.
#[derive(Debug, Clone, Serialize)]
pub struct InitReport {
    /// The pool.
    pub pool: PoolId,
    /// Whether it was made now; `false` when it was there already and nothing was changed.
    pub created: bool,
}

/// A pool found on some of its remotes.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// The pool.
    pub pool: PoolRecord,
    /// Its members, as the journal knows them.
    pub members: Vec<RemoteRecord>,
    /// Which of the remotes asked carries which member's marker, by label.
    pub here: BTreeMap<String, RemoteId>,
}

/// Lists the manifest directory of every remote.
async fn list_all(remotes: &[SharedRemote], manifest_prefix: &str) -> Vec<Result<Listing>> {
    join_all(remotes.iter().map(|remote| Listing::take(remote.as_ref(), manifest_prefix))).await
}

/// The one pool whose markers the listings show.
fn pool_of(remotes: &[SharedRemote], listings: &[Result<Listing>]) -> Result<Option<PoolId>> {
    let mut pools = BTreeMap::<PoolId, Vec<&str>>::new();
    for (remote, listing) in remotes.iter().zip(listings) {
        for marker in listing.iter().flat_map(|l| &l.markers) {
            pools.entry(marker.pool).or_default().push(remote.label());
        }
    }
    if pools.len() > 1 {
        let all: Vec<String> = pools.iter().map(|(pool, at)| format!("{pool} on {}", at.join(", "))).collect();
        return Err(Error::new(
            ErrorKind::AlreadyExists,
            format!("these remotes belong to several pools: {}", all.join("; ")),
        )
        .hint("configure the remotes of one pool only; if two inits ran at once, remove the markers of one"));
    }
    Ok(pools.into_keys().next())
}

/// The pool that remotes of a configuration without `pool_id` carry.
pub(super) async fn identify(manifest_prefix: &str, remotes: &[SharedRemote]) -> Result<PoolId> {
    let listings = list_all(remotes, manifest_prefix).await;
    match pool_of(remotes, &listings)? {
        Some(pool) => Ok(pool),
        None => Err(not_found(manifest_prefix, remotes, listings)),
    }
}

fn not_found(manifest_prefix: &str, remotes: &[SharedRemote], listings: Vec<Result<Listing>>) -> Error {
    let why: Vec<String> = remotes
        .iter()
        .zip(listings)
        .map(|(remote, listing)| match listing {
            Ok(_) => format!("remote {}: no marker below {manifest_prefix}/", remote.label()),
            Err(error) => error.to_string(),
        })
        .collect();
    Error::new(ErrorKind::Unavailable, format!("no pool was found: {}", why.join("; "))).hint(
        "`rclonepool init` makes a pool; one that was here before needs its disks mounted, and crypt remotes \
         the same passwords as before (see the recovery sheet)",
    )
}

/// Makes a pool of these remotes: a marker on each, then the first commit. A pool that is there already is
/// left as it is; one whose making broke off is finished.
///
/// # Errors
/// `AlreadyExists` when a remote belongs to another pool; those of the remotes: all must be online.
pub(crate) async fn init(
    settings: &Settings,
    remotes: &[SharedRemote],
    expected: Option<PoolId>,
    env: &SharedEnv,
    rules: Rules,
) -> Result<InitReport> {
    let prefix = &settings.manifest_prefix;
    let listings = list_all(remotes, prefix).await;
    let found = pool_of(remotes, &listings)?;
    let pool = match (found, expected) {
        (Some(found), Some(expected)) if found != expected => {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("the remotes belong to pool {found}, and the configuration names {expected}"),
            )
            .hint("correct pool_id, or the remotes"));
        }
        (Some(found), _) => found,
        (None, Some(expected)) => {
            return Err(Error::new(ErrorKind::Unavailable, format!("no remote carries a marker of pool {expected}"))
                .hint("if a new pool is meant, remove pool_id from the configuration"));
        }
        (None, None) => PoolId(env.random()),
    };
    if found.is_some() && is_made(settings, remotes, pool, env).await? {
        return Ok(InitReport { pool, created: false });
    }
    let mut ids = Vec::new();
    for (remote, listing) in remotes.iter().zip(listings) {
        let listing = listing.map_err(|e| e.hint("a pool is made when all its remotes are online"))?;
        if listing.markers.is_empty() && !listing.commits.is_empty() {
            return Err(Error::new(ErrorKind::AlreadyExists, "it holds the journal of a pool, but no marker")
                .on_remote(remote.label())
                .hint("bring back its marker, or use another manifest_prefix"));
        }
        ids.push((listing.markers.first().map(|marker| marker.remote), listing.commits.is_empty()));
    }
    let markers = join_all(remotes.iter().zip(ids).map(|(remote, (id, is_empty))| async move {
        let made = id.unwrap_or_else(|| RemoteId(env.random()));
        let created_ms = env.wall_ms();
        let marker = Marker { format: FORMAT, pool, remote: made, label: remote.label().into(), created_ms };
        if is_empty {
            marker.ensure(remote.as_ref(), prefix, id.is_some()).await?;
        } else {
            // The first commit comes after whole markers: whatever is wrong with this one, init did not break off.
            Marker::read(remote.as_ref(), prefix, marker.name()).await?;
        }
        Ok::<_, Error>(made)
    }))
    .await
    .into_iter()
    .collect::<Result<Vec<RemoteId>>>()?;
    if rules.notice_two_inits {
        pool_of(remotes, &list_all(remotes, prefix).await)?;
    }
    let mut records = vec![Record::Pool(pool_record(settings, pool, env.wall_ms()))];
    for (remote, id) in remotes.iter().zip(&markers) {
        records.push(Record::Remote(remote_record(settings, remote.label(), *id, RemoteState::Active)));
    }
    let journal = Journal::new(pool, prefix, remotes.to_vec(), std::sync::Arc::new(Index::in_memory()?), env.clone())?;
    let view = journal.sync().await?;
    let _receipt = journal.commit(&view, records).await?;
    journal.settle(settings.offer_timeout).await;
    Ok(InitReport { pool, created: true })
}

async fn is_made(settings: &Settings, remotes: &[SharedRemote], pool: PoolId, env: &SharedEnv) -> Result<bool> {
    let index = std::sync::Arc::new(Index::in_memory()?);
    let journal = Journal::new(pool, &settings.manifest_prefix, remotes.to_vec(), index.clone(), env.clone())?;
    let view = journal.sync().await?;
    view.check_format()?;
    if index.pool()?.is_none() {
        return Ok(false);
    }
    // The making may have broken off when few remotes held the first commit.
    if !journal.complete_to_quorum(&view).await? && view.complete {
        return Err(Error::new(ErrorKind::Unavailable, "the pool is there, but too few remotes hold its journal")
            .hint("repeat this when the remotes answer"));
    }
    Ok(true)
}

/// Finds the pool that some of its remotes carry.
pub(super) async fn find(manifest_prefix: &str, remotes: &[SharedRemote], env: &SharedEnv) -> Result<Found> {
    let listings = list_all(remotes, manifest_prefix).await;
    let Some(pool) = pool_of(remotes, &listings)? else {
        return Err(not_found(manifest_prefix, remotes, listings));
    };
    let mut here = BTreeMap::new();
    for (remote, listing) in remotes.iter().zip(&listings) {
        if let Ok(listing) = listing {
            here.extend(listing.identify(pool).ok().map(|id| (remote.label().to_owned(), id)));
        }
    }
    let index = std::sync::Arc::new(Index::in_memory()?);
    let journal = Journal::new(pool, manifest_prefix, remotes.to_vec(), index.clone(), env.clone())?;
    journal.sync().await?;
    let pool = index.pool()?.ok_or_else(|| {
        Error::new(ErrorKind::Corrupt, "the marker is there, but no commit with the pool's record could be read")
            .hint("give more of the pool's remotes")
    })?;
    Ok(Found { pool, members: index.remotes()?, here })
}

pub(super) fn pool_record(settings: &Settings, pool: PoolId, created_ms: u64) -> PoolRecord {
    PoolRecord {
        pool,
        stamp: Stamp::ZERO,
        created_ms,
        redundancy: settings.redundancy,
        chunk_size: settings.chunk_size,
        strategy: settings.strategy,
        data_prefix: settings.data_prefix.clone(),
        commit_quorum: settings.commit_quorum,
        trash_hours: settings.trash_hours,
    }
}

pub(super) fn remote_record(settings: &Settings, label: &str, remote: RemoteId, state: RemoteState) -> RemoteRecord {
    let PlacementSettings { weight, priority, quota, domain } =
        settings.placement.get(label).cloned().unwrap_or_default();
    RemoteRecord { remote, stamp: Stamp::ZERO, label: label.into(), state, weight, priority, quota, domain }
}
