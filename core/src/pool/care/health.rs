//! Health: what every file survives, from the index, the last view and what verifications found.

pub(super) mod assess;
mod facts;
pub(super) mod scope;

pub use assess::Counts;

use serde::{Deserialize, Serialize};

use super::suspect::Suspect;
use crate::config::Config;
use crate::error::Result;
use crate::id::RemoteId;
use crate::index::Index;
use crate::journal::record::RemoteState;
use crate::local::blocking;
use crate::path::PoolPath;
use crate::pool::Pool;
use assess::Worth;
pub(super) use facts::Facts;
use scope::Scope;

/// How a file is; the worse the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// All shards are there, as well placed as the remotes allow.
    #[default]
    Healthy,
    /// Shards are damaged, away or badly placed; the loss of a further remote would be survived.
    Degraded,
    /// Readable, and it would survive no further loss, though its redundancy is meant to. Files without any
    /// redundancy are never called this.
    AtRisk,
    /// Not readable now, and readable again once remotes that are offline return.
    Unavailable,
    /// Too many shards are gone for good.
    Lost,
}

impl FileState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::AtRisk => "at risk",
            Self::Unavailable => "unavailable",
            Self::Lost => "lost",
        }
    }
}

/// How many files are in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct StateCounts {
    /// See [`FileState::Healthy`].
    pub healthy: u64,
    /// See [`FileState::Degraded`].
    pub degraded: u64,
    /// See [`FileState::AtRisk`].
    pub at_risk: u64,
    /// See [`FileState::Unavailable`].
    pub unavailable: u64,
    /// See [`FileState::Lost`].
    pub lost: u64,
}

impl StateCounts {
    fn add(&mut self, state: FileState) {
        *match state {
            FileState::Healthy => &mut self.healthy,
            FileState::Degraded => &mut self.degraded,
            FileState::AtRisk => &mut self.at_risk,
            FileState::Unavailable => &mut self.unavailable,
            FileState::Lost => &mut self.lost,
        } += 1;
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.healthy + self.degraded + self.at_risk + self.unavailable + self.lost
    }

    /// The worst state any of them is in.
    pub fn worst(&self) -> FileState {
        match self {
            Self { lost: 1.., .. } => FileState::Lost,
            Self { unavailable: 1.., .. } => FileState::Unavailable,
            Self { at_risk: 1.., .. } => FileState::AtRisk,
            Self { degraded: 1.., .. } => FileState::Degraded,
            _ => FileState::Healthy,
        }
    }
}

/// A file that is not healthy, or that was asked for by its path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileHealth {
    /// Its path.
    pub path: PoolPath,
    /// Its length in bytes.
    pub size: u64,
    /// How it is.
    pub state: FileState,
    /// Whether its content is there, at once or when remotes return.
    pub recoverable: bool,
    /// How many remotes, whichever, may still be lost, those offline taken for lost.
    pub tolerated_remotes: usize,
    /// The same of failure domains.
    pub tolerated_domains: usize,
    /// What is wrong with its shard objects.
    pub shards: Counts,
}

/// One remote, in a [`HealthReport`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RemoteHealth {
    /// The remote.
    pub id: RemoteId,
    /// The name in the configuration, else the pool's label for it.
    pub name: String,
    /// Its membership.
    pub state: RemoteState,
    /// Whether it is online; `None` where no remote was asked.
    pub online: Option<bool>,
    /// Whether it was assumed to be lost.
    pub assumed_lost: bool,
    /// Files that would be lost with it alone, those remotes that are offline staying away.
    pub files_lost_without: u64,
    /// Why its listing is not believed.
    pub suspect: Option<Suspect>,
}

/// What lies in the trash: kept only until a time has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Held {
    /// Versions of files.
    pub versions: u64,
    /// Their plain bytes.
    pub bytes: u64,
}

/// What to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthOptions {
    /// Files at and below it; the root for all.
    pub path: PoolPath,
    /// Remotes to take for lost, by name or id.
    pub lost: Vec<String>,
    /// How many files to list at most, the worst first.
    pub list: usize,
}

impl Default for HealthOptions {
    fn default() -> Self {
        Self { path: PoolPath::root(), lost: Vec::new(), list: 100 }
    }
}

/// The pool's health, or that of a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealthReport {
    /// The worst state of any file.
    pub state: FileState,
    /// Whether no file is lost.
    pub recoverable: bool,
    /// How many files are in each state.
    pub files: StateCounts,
    /// How many remotes, whichever, may still be lost before a readable file is, as the shards lie.
    pub tolerated_remotes: usize,
    /// The same of failure domains.
    pub tolerated_domains: usize,
    /// Failure domains; a remote without one is its own.
    pub domains: usize,
    /// What is wrong with shard objects.
    pub shards: Counts,
    /// Every remote that is or was a member and is not removed.
    pub remotes: Vec<RemoteHealth>,
    /// The trash of the whole pool, which the files above do not count; `None` for a part of the pool, or where
    /// the index alone was asked.
    pub trash: Option<Held>,
    /// Why the newest state may not be known; `None` where no remote was asked.
    pub lacks: Option<Vec<String>>,
    /// Files that are not healthy, the worst first; one that was asked for by its path in any case.
    pub listed: Vec<FileHealth>,
    /// Files that are not healthy and not listed.
    pub unlisted: u64,
}

impl Pool {
    /// The health of the pool or a part of it, from the index, the last view and what verifications found;
    /// asks no remote for anything.
    ///
    /// # Errors
    /// `NotFound` when there is no such path, or no such remote to be taken for lost; those of the index.
    pub async fn health(&self, options: &HealthOptions) -> Result<HealthReport> {
        let mut facts = self.facts().await?;
        let index = self.index.clone();
        let (options, keep) = (options.clone(), self.keep_by()?);
        blocking(move || {
            facts.lose(&options.lost)?;
            let scope = scope_of(&index, &options.path)?;
            let mut report = facts.assess(&index, &scope, &facts.troubles(&index)?, options.list, is_ill)?;
            if options.path.is_root() && options.lost.is_empty() {
                let (versions, bytes) = index.trash_totals(&keep)?;
                report.trash = Some(Held { versions, bytes });
            }
            Ok(report)
        })
        .await
    }

    /// The same from the local index alone, as it was left by the last command: connects to nothing, and takes
    /// every remote for online. `None` when this machine's index is empty, or its configuration keeps none.
    ///
    /// # Errors
    /// As [`Pool::health`].
    pub fn health_offline(config: &Config, options: &HealthOptions) -> Result<Option<HealthReport>> {
        let Some(pool) = config.pool_id.filter(|_| config.enable_manifest_cache) else { return Ok(None) };
        let index = Index::open(&config.manifest_cache_dir, pool)?;
        if index.pool()?.is_none() {
            return Ok(None);
        }
        let mut facts = Facts::read(&index)?;
        facts.lose(&options.lost)?;
        let scope = scope_of(&index, &options.path)?;
        facts.assess(&index, &scope, &facts.troubles(&index)?, options.list, is_ill).map(Some)
    }

    /// What the index and the last view say of the remotes.
    pub(super) async fn facts(&self) -> Result<Facts> {
        let view = self.view().await;
        let mut facts = Facts::read(&self.index)?;
        let pairs = view.remotes.iter().zip(self.journal.remotes());
        facts.names = pairs.filter_map(|(status, remote)| Some((status.id()?, remote.label().to_owned()))).collect();
        facts.online = Some(view.online());
        facts.lacks = Some(view.lacks.clone());
        Ok(facts)
    }
}

fn is_ill(worth: &Worth) -> bool {
    worth.state != FileState::Healthy
}

/// The scope of a path that must be there.
pub(super) fn scope_of(index: &Index, path: &PoolPath) -> Result<Scope> {
    if !path.is_root() && index.entry(path)?.is_none() && !index.has_children(path)? {
        return Err(crate::pool::namespace::no_file(path));
    }
    Scope::new(index, path)
}
