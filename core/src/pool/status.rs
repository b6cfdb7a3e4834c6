//! The pool at a glance.

use futures_util::future::join_all;
use serde::Serialize;

use super::Pool;
use crate::error::Result;
use crate::id::{PoolId, RemoteId};
use crate::journal::RemoteStatus;
use crate::redundancy::Redundancy;
use crate::remote::Usage;

pub use crate::journal::record::RemoteState;

/// The pool as one machine sees it.
#[derive(Debug, Clone, Serialize)]
pub struct PoolStatus {
    /// The pool.
    pub pool: PoolId,
    /// Files.
    pub files: u64,
    /// Their bytes, before redundancy.
    pub bytes: u64,
    /// Versions in the trash.
    pub trash_versions: u64,
    /// Their bytes, before redundancy; what lies elsewhere in the pool too is counted here as well.
    pub trash_bytes: u64,
    /// Bytes of shards on all remotes.
    pub stored: u64,
    /// Bytes of the files that are in different places, before compression and redundancy; small files that lie in the
    /// journal included.
    pub unique_bytes: u64,
    /// Bytes of the files that need none, as others have the same content: the rest of `bytes`.
    pub deduplicated_bytes: u64,
    /// Plain bytes of the chunks that are compressed.
    pub compressed_bytes: u64,
    /// What is stored of them, before redundancy.
    pub compressed_stored: u64,
    /// The redundancy of new files.
    pub redundancy: Redundancy,
    /// How many remotes new files survive the loss of, with the remotes there are.
    pub tolerated: usize,
    /// Whether the remotes listed are enough to be sure of the newest state.
    pub complete_view: bool,
    /// Why they are not.
    pub lacks: Vec<String>,
    /// The remotes: configured ones first, in the configuration's order.
    pub remotes: Vec<RemoteReport>,
    /// Plain bytes that still fit, after redundancy; `None` where remotes do not tell their free space.
    pub free: Option<u64>,
}

/// One remote of a [`PoolStatus`].
#[derive(Debug, Clone, Serialize)]
pub struct RemoteReport {
    /// The name in the configuration, else the pool's label for it.
    pub name: String,
    /// Its id, when it is known.
    pub id: Option<RemoteId>,
    /// Its membership; `None` for one that is not of this pool.
    pub state: Option<RemoteState>,
    /// Whether it is configured here.
    pub configured: bool,
    /// Whether it is online.
    pub online: bool,
    /// Why it is not.
    pub error: Option<String>,
    /// Shard objects on it.
    pub objects: u64,
    /// Their bytes.
    pub used: u64,
    /// The bytes the pool may use on it.
    pub quota: Option<u64>,
    /// What the remote itself tells.
    pub usage: Usage,
}

impl Pool {
    /// The pool at a glance; asks each online remote for its usage.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn status(&self) -> Result<PoolStatus> {
        let view = self.view().await;
        let (files, bytes) = self.index.totals()?;
        let (trash_versions, trash_bytes) = self.index.trash_totals(&self.keep_by()?)?;
        let (compressed_bytes, compressed_stored) = self.index.compressed_totals()?;
        let sharing = self.index.sharing()?;
        let deduplicated_bytes = (sharing.logical - sharing.unique).min(bytes);
        let used = self.index.remote_use()?;
        let records = self.index.remotes()?;
        let use_of = |id: RemoteId| used.iter().find(|(r, _)| *r == id).map(|(_, u)| *u).unwrap_or_default();
        let pairs = view.remotes.iter().zip(self.journal.remotes());
        let mut remotes = join_all(pairs.map(|(status, remote)| {
            let records = &records;
            async move {
                let id = status.id();
                let usage = if id.is_some() { remote.usage().await.unwrap_or_default() } else { Usage::default() };
                let record = records.iter().find(|r| Some(r.remote) == id);
                let pool_use = id.map(use_of).unwrap_or_default();
                RemoteReport {
                    name: remote.label().into(),
                    id,
                    state: record.map(|r| r.state),
                    configured: true,
                    online: id.is_some(),
                    error: match status {
                        RemoteStatus::Online(_) => None,
                        RemoteStatus::Offline(error) => Some(error.to_string()),
                    },
                    objects: pool_use.objects,
                    used: pool_use.bytes,
                    quota: self.placement.settings(remote.label()).quota,
                    usage,
                }
            }
        }))
        .await;
        let online = view.online();
        for record in records.iter().filter(|r| !online.contains(&r.remote) && r.state != RemoteState::Removed) {
            // A configured remote that is offline is listed above, without its id.
            if let Some(report) = remotes.iter_mut().find(|r| r.id.is_none() && r.name == record.label) {
                (report.id, report.state) = (Some(record.remote), Some(record.state));
                let pool_use = use_of(record.remote);
                (report.objects, report.used) = (pool_use.objects, pool_use.bytes);
                continue;
            }
            let pool_use = use_of(record.remote);
            remotes.push(RemoteReport {
                name: record.label.clone(),
                id: Some(record.remote),
                state: Some(record.state),
                configured: false,
                online: false,
                error: Some("no configured remote carries its marker".into()),
                objects: pool_use.objects,
                used: pool_use.bytes,
                quota: record.quota,
                usage: Usage::default(),
            });
        }
        let redundancy = self.settings.redundancy;
        let members = remotes.iter().filter(|r| r.state.is_some()).count();
        Ok(PoolStatus {
            pool: self.id(),
            files,
            bytes,
            trash_versions,
            trash_bytes,
            stored: used.iter().map(|(_, u)| u.bytes).sum(),
            unique_bytes: bytes - deduplicated_bytes,
            deduplicated_bytes,
            compressed_bytes,
            compressed_stored,
            tolerated: tolerated(redundancy, members),
            redundancy,
            complete_view: view.complete,
            lacks: view.lacks.clone(),
            free: free(&remotes, redundancy),
            remotes,
        })
    }
}

/// How many remotes may be lost when each chunk's shards are spread as evenly as possible over `n`.
pub fn tolerated(redundancy: Redundancy, n: usize) -> usize {
    let objects = redundancy.objects();
    let survivable = redundancy.tolerated();
    let per_remote = objects.div_ceil(n.max(1)).max(1);
    (survivable / per_remote).min(n.saturating_sub(1))
}

/// Remotes on one disk tell the same total, and nearly the same free space.
pub(super) fn is_same_disk(a: &Usage, b: &Usage) -> bool {
    match (a.total, b.total, a.free, b.free) {
        (Some(total), Some(other), Some(free), Some(left)) => total == other && free.abs_diff(left) <= total / 1000,
        _ => false,
    }
}

fn free(remotes: &[RemoteReport], redundancy: Redundancy) -> Option<u64> {
    let mut total = 0u64;
    let mut disks: Vec<Usage> = Vec::new();
    for remote in remotes.iter().filter(|r| r.online && r.state == Some(RemoteState::Active)) {
        let left = remote.quota.map(|quota| quota.saturating_sub(remote.used));
        // Several remotes on one disk share its free space.
        if left.is_none() && disks.iter().any(|disk| is_same_disk(disk, &remote.usage)) {
            continue;
        }
        disks.push(remote.usage);
        total = total.saturating_add(match (left, remote.usage.free) {
            (Some(left), Some(free)) => left.min(free),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return None,
        });
    }
    let (data, objects) = (u128::from(redundancy.data), redundancy.objects() as u128);
    u64::try_from(u128::from(total) * data / objects.max(1)).ok()
}
