//! Health: what every file survives, from the index, the last view and what verifications found.

pub(super) mod assess;

pub use assess::Counts;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::suspect::{self, Suspect};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::id::RemoteId;
use crate::index::{Damage, Index};
use crate::journal::record::{RemoteRecord, RemoteState};
use crate::path::PoolPath;
use crate::pool::Pool;
use crate::pool::download::blocking;
use assess::{Assessor, PAGE, Scope, Standing, Trouble, Troubles, Worth};

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

/// What is kept only until a time has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Held {
    /// Files or chunks.
    pub items: u64,
    /// Bytes on all remotes.
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
    /// What waits in the trash; `None` where it was not counted.
    pub trash: Option<Held>,
    /// What waits to be freed; `None` where it was not counted.
    pub pending: Option<Held>,
    /// Why the newest state may not be known; `None` where no remote was asked.
    pub lacks: Option<Vec<String>>,
    /// Files that are not healthy, the worst first; one that was asked for by its path in any case.
    pub listed: Vec<FileHealth>,
    /// Files that are not healthy and not listed.
    pub unlisted: u64,
}

/// What is known of the remotes, for an assessment.
pub(super) struct Facts {
    pub records: Vec<RemoteRecord>,
    /// Names in the configuration.
    pub names: BTreeMap<RemoteId, String>,
    /// Members that are online; `None`: nobody was asked, all count as online.
    pub online: Option<BTreeSet<RemoteId>>,
    pub lost: BTreeSet<RemoteId>,
    pub full: BTreeSet<RemoteId>,
    pub suspects: BTreeMap<RemoteId, Suspect>,
    pub lacks: Option<Vec<String>>,
}

impl Facts {
    pub fn read(index: &Index) -> Result<Self> {
        let records = index.remotes()?;
        let used: BTreeMap<RemoteId, u64> =
            index.remote_use()?.into_iter().map(|(id, used)| (id, used.bytes)).collect();
        let is_full = |r: &&RemoteRecord| r.quota.is_some_and(|quota| used.get(&r.remote).is_some_and(|u| *u >= quota));
        let full = records.iter().filter(is_full).map(|record| record.remote).collect();
        let suspects = suspect::all(index, &records)?;
        let (names, lost) = (BTreeMap::new(), BTreeSet::new());
        Ok(Self { records, names, online: None, lost, full, suspects, lacks: None })
    }

    fn name(&self, record: &RemoteRecord) -> String {
        self.names.get(&record.remote).cloned().unwrap_or_else(|| record.label.clone())
    }

    /// Takes remotes for lost.
    fn lose(&mut self, names: &[String]) -> Result<()> {
        for name in names {
            let members = || self.records.iter().filter(|record| record.state != RemoteState::Removed);
            let is_it = |r: &&RemoteRecord| {
                let bare = |text: &str| text.trim_end_matches(['/', ':']).to_owned();
                let same = |known: &str| bare(known) == bare(name);
                same(&self.name(r)) || same(&r.label) || r.remote.to_string() == *name
            };
            let found: BTreeSet<RemoteId> = members().filter(is_it).map(|record| record.remote).collect();
            if found.len() != 1 {
                let mut all: Vec<String> = members().map(|record| self.name(record)).collect();
                all.sort();
                let what =
                    if found.is_empty() { "no such remote in the pool" } else { "several remotes have this name" };
                return Err(Error::new(ErrorKind::NotFound, what)
                    .at_path(name)
                    .hint(format!("its remotes are {}", all.join(", "))));
            }
            self.lost.extend(found);
        }
        Ok(())
    }

    pub fn standing(&self, remote: RemoteId) -> Standing {
        match &self.online {
            _ if self.lost.contains(&remote) => Standing::Gone,
            Some(online) if !online.contains(&remote) => Standing::Away,
            _ => Standing::Here,
        }
    }

    /// What verifications found and nothing has mended since.
    pub fn troubles(&self, index: &Index) -> Result<Troubles> {
        let doubted = |remote| self.suspects.contains_key(&remote);
        let trouble = |finding: crate::index::Finding| {
            let doubt = finding.damage == Damage::Missing && doubted(finding.place.remote);
            let trouble = if doubt { Trouble::Doubted } else { Trouble::Damaged(finding.damage) };
            ((finding.chunk, finding.place.nonce), trouble)
        };
        Ok(index.findings()?.into_iter().map(trouble).collect())
    }

    pub fn assessor<'a>(&self, troubles: &'a Troubles) -> Assessor<'a> {
        let complete = self.lacks.as_ref().is_some_and(Vec::is_empty);
        let (standing, full) = (|id| self.standing(id), |r: &RemoteRecord| self.full.contains(&r.remote));
        Assessor::new(&self.records, standing, full, troubles, complete)
    }

    /// Goes through all chunks of the scope and reports.
    pub fn assess(
        &self,
        index: &Index,
        scope: &Scope,
        troubles: &Troubles,
        list: usize,
        ailing: impl Fn(&Worth) -> bool,
    ) -> Result<HealthReport> {
        let mut assessor = self.assessor(troubles);
        scope.walk(index, |chunk| {
            assessor.chunk(&chunk, scope);
            Ok(())
        })?;
        self.report(index, scope, &assessor, list, ailing)
    }

    /// Puts together what an assessor found out.
    fn report(
        &self,
        index: &Index,
        scope: &Scope,
        assessor: &Assessor<'_>,
        list: usize,
        ailing: impl Fn(&Worth) -> bool,
    ) -> Result<HealthReport> {
        let there = |record: &&RemoteRecord| {
            record.state != RemoteState::Removed && self.standing(record.remote) == Standing::Here
        };
        let here: Vec<&RemoteRecord> = self.records.iter().filter(there).collect();
        // A small file lies in a commit, and so on every member.
        let named: BTreeSet<&str> = here.iter().filter_map(|r| r.domain.as_deref()).collect();
        let lone = here.iter().filter(|record| record.domain.is_none()).count();
        let inline_state = match here.len() {
            0 if self.records.iter().any(|r| self.standing(r.remote) == Standing::Away) => FileState::Unavailable,
            0 => FileState::Lost,
            _ => FileState::Healthy,
        };
        let inline = Worth::inline(inline_state, here.len().saturating_sub(1), (named.len() + lone).saturating_sub(1));
        let mut files = StateCounts::default();
        let (mut of_remotes, mut of_domains) = (inline.remotes, inline.domains);
        let mut worst: BTreeMap<(FileState, bool), Vec<FileHealth>> = BTreeMap::new();
        let (mut after, mut unhealthy): (Option<PoolPath>, u64) = (None, 0);
        loop {
            let page = index.live_files(&scope.path, after.as_ref(), PAGE)?;
            for file in &page {
                let worth = assessor.files.get(&file.version).unwrap_or(&inline);
                files.add(worth.state);
                if worth.state < FileState::Unavailable {
                    (of_remotes, of_domains) = (of_remotes.min(worth.remotes), of_domains.min(worth.domains));
                }
                let is_ailing = ailing(worth);
                unhealthy += u64::from(is_ailing);
                let bucket = worst.entry((worth.state, is_ailing)).or_default();
                if bucket.len() < list && (is_ailing || file.path == scope.path) {
                    bucket.push(FileHealth {
                        path: file.path.clone(),
                        size: file.size,
                        state: worth.state,
                        recoverable: worth.state != FileState::Lost,
                        tolerated_remotes: worth.remotes,
                        tolerated_domains: worth.domains,
                        shards: worth.counts,
                    });
                }
            }
            after = page.last().map(|file| file.path.clone());
            if page.len() < PAGE {
                break;
            }
        }
        let listed =
            worst.into_iter().rev().flat_map(|((_, ailing), files)| files.into_iter().map(move |f| (f, ailing)));
        let listed: Vec<(FileHealth, bool)> = listed.take(list).collect();
        let shown = listed.iter().filter(|(_, ailing)| *ailing).count() as u64;
        let fatal = assessor.fatal();
        let remote = |record: &RemoteRecord| RemoteHealth {
            id: record.remote,
            name: self.name(record),
            state: record.state,
            online: self.online.as_ref().map(|online| online.contains(&record.remote)),
            assumed_lost: self.lost.contains(&record.remote),
            files_lost_without: fatal.get(&record.remote).copied().unwrap_or(0),
            suspect: self.suspects.get(&record.remote).copied(),
        };
        let members = self.records.iter().filter(|record| record.state != RemoteState::Removed);
        let mut remotes: Vec<RemoteHealth> = members.map(remote).collect();
        remotes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(HealthReport {
            state: files.worst(),
            recoverable: files.lost == 0,
            files,
            tolerated_remotes: of_remotes,
            tolerated_domains: of_domains,
            domains: assessor.domains(),
            shards: assessor.counts,
            remotes,
            trash: None,
            pending: None,
            lacks: self.lacks.clone(),
            listed: listed.into_iter().map(|(file, _)| file).collect(),
            unlisted: unhealthy.saturating_sub(shown),
        })
    }
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
        let options = options.clone();
        blocking(move || {
            facts.lose(&options.lost)?;
            let scope = scope_of(&index, &options.path)?;
            facts.assess(&index, &scope, &facts.troubles(&index)?, options.list, is_ill)
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
