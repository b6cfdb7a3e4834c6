//! What is known of the remotes, and what follows from it for the files.

use std::collections::{BTreeMap, BTreeSet};

use super::assess::{Assessor, Standing, Trouble, Troubles, Worth};
use super::scope::{PAGE, Scope};
use super::{FileHealth, FileState, HealthReport, RemoteHealth, StateCounts};
use crate::error::{Error, ErrorKind, Result};
use crate::id::RemoteId;
use crate::index::{Damage, Index};
use crate::journal::record::{RemoteRecord, RemoteState};
use crate::path::PoolPath;
use crate::pool::care::suspect::{self, Suspect};

/// What is known of the remotes, for an assessment.
pub(in crate::pool::care) struct Facts {
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
    pub fn lose(&mut self, names: &[String]) -> Result<()> {
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
            lacks: self.lacks.clone(),
            listed: listed.into_iter().map(|(file, _)| file).collect(),
            unlisted: unhealthy.saturating_sub(shown),
        })
    }
}
