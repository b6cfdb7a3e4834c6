//! Verification: do the remotes hold what the journal says?
//!
//! Listing first: one pass per remote tells what is there, and how large. Deep, every byte is read and every
//! unit held against its checksum. What is found goes into the index, where health and rebuild find it.

mod commits;
mod deep;
mod listing;
mod told;

pub use commits::{CommitCheck, CommitFinding};

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::Inventory;
use super::health::assess::{Trouble, Troubles};
use super::health::scope::Scope;
use super::health::{Counts, Facts, FileHealth, FileState, StateCounts, scope_of};
use super::suspect::{self, Look, Suspect};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ChunkId, Nonce, RemoteId};
use crate::index::{Damage, Finding, Index};
use crate::journal::RemoteStatus;
use crate::journal::record::{Place, RemoteState};
use crate::local::blocking;
use crate::monitor::Monitor;
use crate::path::PoolPath;
use crate::pool::Pool;

/// How closely to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerifyLevel {
    /// That everything exists, by one listing per remote.
    Quick,
    /// Sizes, too, from the same listing. Hashes that a remote offers are of whole objects, and the journal keeps
    /// one checksum per unit, so there is nothing to compare them with.
    #[default]
    Default,
    /// Every byte of every shard object, copies and parity included, is read and held against its checksums, and
    /// so is every commit on every remote.
    Deep,
}

/// What to verify.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifyOptions {
    /// Files at and below it; the root for all.
    pub path: PoolPath,
    /// How closely.
    pub level: VerifyLevel,
    /// Read only so many percent of the chunks, those whose last verification lies longest back. For `Deep`.
    pub sample: Option<f64>,
    /// How many damaged files to list at most, the worst first.
    pub list: usize,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { path: PoolPath::root(), level: VerifyLevel::Default, sample: None, list: 100 }
    }
}

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Checked {
    /// Files, those kept in their manifests included.
    pub files: u64,
    /// Chunks.
    pub chunks: u64,
    /// Shard objects looked for in listings.
    pub shards: u64,
    /// Chunks read to verify them.
    pub chunks_read: u64,
    /// Shard objects read.
    pub shards_read: u64,
    /// Their bytes.
    pub bytes_read: u64,
}

/// One remote of a [`VerifyReport`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RemoteVerified {
    /// The remote.
    pub id: RemoteId,
    /// The name in the configuration, else the pool's label for it.
    pub name: String,
    /// Shard objects looked for on it.
    pub shards: u64,
    /// Found missing by this verification.
    pub missing: u64,
    /// Found to have another size.
    pub truncated: u64,
    /// Found to have wrong bytes.
    pub corrupt: u64,
    /// Why nothing is known of it, or not of all on it.
    pub unknown: Option<String>,
    /// Too much looks absent to be believed.
    pub suspect: Option<Suspect>,
}

/// What a verification found in the trash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct TrashVerified {
    /// Chunks that only versions in the trash need.
    pub chunks: u64,
    /// Their shard objects that are missing, truncated or corrupt.
    pub damaged: u64,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VerifyReport {
    /// How closely was looked.
    pub level: VerifyLevel,
    /// The percentage that was read.
    pub sample: Option<f64>,
    /// What was looked at.
    pub checked: Checked,
    /// The worst state of any file.
    pub state: FileState,
    /// How many files are in each state.
    pub files: StateCounts,
    /// What is wrong with shard objects, known from earlier included.
    pub shards: Counts,
    /// The same of what only the trash needs, which neither the files nor the shards above count; none for a part
    /// of the pool.
    pub trash: TrashVerified,
    /// What is wrong with commits.
    pub commits: CommitCheck,
    /// The members.
    pub remotes: Vec<RemoteVerified>,
    /// Why the newest state may not be known.
    pub lacks: Vec<String>,
    /// Files something is wrong with, the worst first.
    pub listed: Vec<FileHealth>,
    /// Files something is wrong with that are not listed.
    pub unlisted: u64,
}

impl VerifyReport {
    /// What the outcome amounts to: `None` when all is well; else, the first that applies, `Unrecoverable` (a file
    /// is lost), `Corrupt` (bytes differ from what was stored), `Unavailable` (a file cannot be read now),
    /// `Degraded` (something is missing, truncated, misplaced or suspect, and all can be read), `Unavailable`
    /// (nothing is wrong but that something could not be looked at).
    pub fn outcome(&self) -> Option<ErrorKind> {
        let (shards, commits) = (&self.shards, &self.commits);
        let damaged = shards.damaged() + shards.misplaced + self.trash.damaged > 0 || !commits.damaged.is_empty();
        let suspect = self.remotes.iter().any(|remote| remote.suspect.is_some());
        let unknown =
            shards.unknown + commits.unknown > 0 || self.remotes.iter().any(|remote| remote.unknown.is_some());
        match () {
            () if self.state == FileState::Lost => Some(ErrorKind::Unrecoverable),
            () if shards.corrupt > 0 || commits.damaged.iter().any(|c| c.damage == Damage::Corrupt) => {
                Some(ErrorKind::Corrupt)
            }
            () if self.state == FileState::Unavailable => Some(ErrorKind::Unavailable),
            () if damaged || suspect => Some(ErrorKind::Degraded),
            () if unknown => Some(ErrorKind::Unavailable),
            () => None,
        }
    }
}

/// A place of a chunk's shard.
type At = (ChunkId, Place);

/// One verification under way.
struct Run<'a> {
    pool: &'a Pool,
    level: VerifyLevel,
    scope: Scope,
    facts: Facts,
    /// What was known to be wrong before.
    before: HashMap<(ChunkId, Nonce), Finding>,
    /// Found by this verification.
    found: Vec<Finding>,
    /// Could not be looked at.
    unknown: HashSet<(ChunkId, Nonce)>,
    checked: Checked,
    /// Shard objects looked for.
    shards: BTreeMap<RemoteId, u64>,
    /// Why remotes, or objects on them, could not be looked at.
    why: BTreeMap<RemoteId, String>,
}

impl Pool {
    /// Verifies that the remotes hold what the journal says of files at and below a path, and of the journal
    /// itself. Reports and notes what is wrong; changes nothing on the remotes, but that remotes which lack
    /// commits get them, as whenever they are listed.
    ///
    /// What cannot be reached is unknown, never missing. An object that a listing lacks is asked for by itself
    /// before it is called missing, unless so many lack that the remote is suspect ([`Pool::suspects`]).
    ///
    /// # Errors
    /// `NotFound` for a path that is not there; `InvalidArgument` for an impossible sample; those of the index;
    /// `Cancelled`. Trouble with remotes is in the report.
    pub async fn verify(&self, options: &VerifyOptions, monitor: &Monitor) -> Result<VerifyReport> {
        let deep = options.level == VerifyLevel::Deep;
        if let Some(sample) = options.sample
            && !(deep && sample > 0.0 && sample <= 100.0)
        {
            return Err(Error::new(ErrorKind::InvalidArgument, format!("a sample of {sample} % cannot be verified"))
                .hint("a deep verification takes a sample above 0 % and up to 100 %"));
        }
        monitor.run(self.run_verification(options, monitor)).await
    }

    async fn run_verification(&self, options: &VerifyOptions, monitor: &Monitor) -> Result<VerifyReport> {
        self.sync_again().await?;
        let view = self.view().await;
        let mut run = Run::new(self, options).await?;
        let inventory = Inventory::take(self).await;
        run.leave_out(&inventory);
        let absent = run.compare(inventory).await?;
        let missing = run.confirm(absent).await?;
        run.missing(missing).await?;
        run.judge_remotes()?;
        run.note()?;
        if options.level == VerifyLevel::Deep {
            let chosen = run.choose(options.sample).await?;
            let missing = run.read(&chosen, monitor).await?;
            run.missing(missing).await?;
            run.note()?;
        }
        let commits = run.commits(&view, monitor).await?;
        run.report(options, commits).await
    }
}

impl<'a> Run<'a> {
    async fn new(pool: &'a Pool, options: &VerifyOptions) -> Result<Self> {
        let facts = pool.facts().await?;
        let (index, path) = (pool.index.clone(), options.path.clone());
        let mut scope = blocking(move || scope_of(&index, &path)).await?;
        if options.path.is_root() {
            scope.trash = pool.trashed_chunks()?;
        }
        let view = pool.view().await;
        let mut why: BTreeMap<RemoteId, String> = BTreeMap::new();
        for record in facts.records.iter().filter(|r| r.state != RemoteState::Removed) {
            if view.handle(record.remote, pool.journal.remotes()).is_none() {
                // Which remote a place is that does not answer is known by its name only.
                let pairs = view.remotes.iter().zip(pool.journal.remotes());
                let told =
                    pairs.filter(|(_, remote)| remote.label() == record.label).find_map(|(status, _)| match status {
                        RemoteStatus::Offline(error) => Some(error.message().to_owned()),
                        RemoteStatus::Online(_) => None,
                    });
                why.insert(record.remote, told.unwrap_or_else(|| "no configured remote carries its marker".into()));
            }
        }
        let before = pool.index.findings()?.into_iter().map(|f| ((f.chunk, f.place.nonce), f)).collect();
        Ok(Self {
            pool,
            level: options.level,
            scope,
            facts,
            before,
            found: Vec::new(),
            unknown: HashSet::new(),
            checked: Checked::default(),
            shards: BTreeMap::new(),
            why,
        })
    }

    fn index(&self) -> &Index {
        &self.pool.index
    }

    fn is_online(&self, remote: RemoteId) -> bool {
        self.facts.online.as_ref().is_some_and(|online| online.contains(&remote))
    }

    /// Nothing is known of a remote after all.
    fn lose_sight(&mut self, remote: RemoteId, why: String) {
        if let Some(online) = &mut self.facts.online {
            online.remove(&remote);
        }
        self.why.insert(remote, why);
    }

    /// Remotes that could not be listed are unknown.
    fn leave_out(&mut self, inventory: &Inventory) {
        for (remote, error) in &inventory.unknown {
            self.lose_sight(*remote, format!("its shards could not be listed: {}", error.message()));
        }
    }

    /// Takes what is absent for missing, unless it was moved meanwhile or its remote has gone offline.
    async fn missing(&mut self, missing: Vec<At>) -> Result<()> {
        if missing.is_empty() {
            return Ok(());
        }
        let online = self.pool.sync().await?.online();
        for (chunk, place) in missing {
            let now = self.index().survey_of(&[chunk])?;
            if !online.contains(&place.remote) {
                self.unknown.insert((chunk, place.nonce));
                self.why.entry(place.remote).or_insert_with(|| "it went offline meanwhile".into());
            } else if now.iter().any(|surveyed| surveyed.places.contains(&place)) {
                let finding = Finding { chunk, place, damage: Damage::Missing };
                self.pool.tell_missing(&finding);
                self.found.push(finding);
            }
        }
        Ok(())
    }

    /// Decides which remotes are suspect.
    fn judge_remotes(&mut self) -> Result<()> {
        let used = self.index().remote_use()?;
        let online = self.facts.online.clone().unwrap_or_default();
        for (remote, used) in used.into_iter().filter(|(remote, _)| online.contains(remote)) {
            let is_missing = |f: &&Finding| f.place.remote == remote && f.damage == Damage::Missing;
            let absent = self.found.iter().filter(is_missing).count() as u64;
            let look = Look { absent, of: used.objects, whole: self.scope.path.is_root() };
            suspect::judge(self.index(), remote, look)?;
        }
        self.facts.suspects = suspect::all(self.index(), &self.facts.records)?;
        Ok(())
    }

    /// Keeps what was found so far.
    fn note(&self) -> Result<()> {
        self.index().note_damage(&self.found)
    }

    async fn report(mut self, options: &VerifyOptions, commits: CommitCheck) -> Result<VerifyReport> {
        let index = self.pool.index.clone();
        let mut troubles: Troubles = self.facts.troubles(&index)?;
        troubles.extend(self.unknown.iter().map(|object| (*object, Trouble::Unknown)));
        // Event handlers are told of each file how it is.
        let list = if self.pool.plugins.has_handlers() { usize::MAX } else { options.list };
        // Files are worth what they are without it.
        let inside = std::mem::take(&mut self.scope.trash);
        let damaged = index.findings()?.iter().filter(|finding| inside.contains(&finding.chunk)).count() as u64;
        let trash = TrashVerified { chunks: inside.len() as u64, damaged };
        let Self { facts, scope, .. } = self;
        let ailing = |worth: &super::health::assess::Worth| {
            worth.counts != Counts::default() || worth.state >= FileState::Unavailable
        };
        let (facts, mut health) = blocking(move || {
            let health = facts.assess(&index, &scope, &troubles, list, ailing)?;
            Ok((facts, health))
        })
        .await?;
        self.pool.tell_verified(options, &health.listed)?;
        health.unlisted += health.listed.len().saturating_sub(options.list) as u64;
        health.listed.truncate(options.list);
        self.checked.files = health.files.total();
        let found = |remote: RemoteId, damage: Damage| {
            self.found.iter().filter(|f| f.place.remote == remote && f.damage == damage).count() as u64
        };
        let remotes = health.remotes.into_iter().map(|remote| RemoteVerified {
            shards: self.shards.get(&remote.id).copied().unwrap_or(0),
            missing: found(remote.id, Damage::Missing),
            truncated: found(remote.id, Damage::Truncated),
            corrupt: found(remote.id, Damage::Corrupt),
            unknown: self.why.get(&remote.id).cloned(),
            suspect: remote.suspect,
            id: remote.id,
            name: remote.name,
        });
        Ok(VerifyReport {
            level: options.level,
            sample: options.sample,
            checked: self.checked,
            state: health.state,
            files: health.files,
            shards: health.shards,
            trash,
            commits,
            remotes: remotes.collect(),
            lacks: facts.lacks.unwrap_or_default(),
            listed: health.listed,
            unlisted: health.unlisted,
        })
    }
}
