//! Whether every member holds every commit, undamaged.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt};
use serde::Serialize;

use super::{Run, VerifyLevel};
use crate::error::{ErrorKind, Result};
use crate::id::RemoteId;
use crate::index::{Damage, KnownCommit};
use crate::journal::View;
use crate::journal::commit::CommitName;
use crate::journal::read::{object, read_copy};
use crate::monitor::Monitor;
use crate::remote::SharedRemote;

/// Commits read at once, over all remotes.
const READS: usize = 16;

/// What a verification made of the commits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CommitCheck {
    /// Commit objects looked for, one per commit and member.
    pub checked: u64,
    /// Those that were read.
    pub read: u64,
    /// Those that are not as they should be. What is missing or truncated is being copied there again already; what
    /// is corrupt, a rebuild puts anew.
    pub damaged: Vec<CommitFinding>,
    /// Those that could not be looked at.
    pub unknown: u64,
}

/// A commit that a member does not hold as it should.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CommitFinding {
    /// The remote's name in the configuration.
    pub remote: String,
    /// The remote.
    pub id: RemoteId,
    /// The object's name.
    pub object: String,
    /// What is wrong.
    pub damage: Damage,
}

impl Run<'_> {
    /// Looks at the commits as `view` lists them; deep, reads each on every member that holds it.
    pub(super) async fn commits(&self, view: &View, monitor: &Monitor) -> Result<CommitCheck> {
        let known = self.index().known_commits()?;
        let counts = |name: &CommitName| known.get(name).is_some_and(|state| *state != KnownCommit::Superseded);
        let listed = view.held.values().chain(view.gone.values()).chain(view.cut.values()).chain(view.spoiled.values());
        let listed = listed.flatten().copied();
        let wanted: BTreeSet<CommitName> = listed.filter(counts).collect();
        let members = self.facts.records.iter().map(|record| record.remote);
        let members: Vec<RemoteId> = members.filter(|id| self.pool_has(*id)).collect();
        let mut check = CommitCheck::default();
        let mut reads: Vec<(RemoteId, SharedRemote, CommitName)> = Vec::new();
        let mut late = Vec::new();
        let nothing = BTreeSet::new();
        for id in members {
            check.checked += wanted.len() as u64;
            let Some((handle, held)) = view.handle(id, self.pool.journal.remotes()).zip(view.held.get(&id)) else {
                check.unknown += wanted.len() as u64;
                continue;
            };
            let (cut, gone) = (view.cut.get(&id).unwrap_or(&nothing), view.gone.get(&id).unwrap_or(&nothing));
            let spoiled = view.spoiled.get(&id).unwrap_or(&nothing);
            let deep = self.level == VerifyLevel::Deep;
            if !deep {
                check
                    .damaged
                    .extend(spoiled.intersection(&wanted).map(|name| self.finding(id, &handle, name, Damage::Corrupt)));
            }
            for name in wanted.iter().filter(|name| !held.contains(name) && !spoiled.contains(name)) {
                let damage = if cut.contains(name) { Damage::Truncated } else { Damage::Missing };
                if damage == Damage::Missing && !gone.contains(name) {
                    // It was never seen there: it may have been on its way when the remote was listed.
                    late.push(self.stat_commit(id, handle.clone(), *name));
                } else if damage == Damage::Missing || self.level > VerifyLevel::Quick {
                    check.damaged.push(self.finding(id, &handle, name, damage));
                }
            }
            if deep {
                let there = wanted.iter().filter(|name| held.contains(name) || spoiled.contains(name));
                reads.extend(there.map(|name| (id, handle.clone(), *name)));
            }
        }
        let mut absent = Vec::new();
        let mut asked = stream::iter(late).buffer_unordered(READS);
        while let Some((id, remote, name, there)) = asked.next().await {
            match there {
                Ok(Some(size)) if size == name.size => {}
                Ok(_) => check.damaged.push(self.finding(id, &remote, &name, Damage::Missing)),
                Err(_) => check.unknown += 1,
            }
        }
        let mut jobs = Vec::new();
        for (id, remote, name) in reads {
            jobs.push(self.read_commit(id, remote, name));
        }
        let mut results = stream::iter(jobs).buffer_unordered(READS);
        while let Some((id, remote, name, read)) = results.next().await {
            monitor.check()?;
            match read {
                Ok(()) => {
                    check.read += 1;
                    self.index().forget_spoiled(id, [&name])?;
                }
                Err(error) => match error.kind() {
                    ErrorKind::Corrupt => {
                        check.read += 1;
                        self.index().note_spoiled(id, [&name])?;
                        check.damaged.push(self.finding(id, &remote, &name, Damage::Corrupt));
                    }
                    // Undamaged, and for a later version to understand.
                    ErrorKind::FormatVersion => check.read += 1,
                    ErrorKind::NotFound => absent.push((id, remote, name)),
                    _ => check.unknown += 1,
                },
            }
        }
        if !absent.is_empty() {
            // Compaction may have taken them away meanwhile.
            self.pool.sync().await?;
            let known = self.index().known_commits()?;
            absent.retain(|(_, _, name)| known.get(name) != Some(&KnownCommit::Superseded));
            check
                .damaged
                .extend(absent.iter().map(|(id, remote, name)| self.finding(*id, remote, name, Damage::Missing)));
        }
        Ok(check)
    }

    /// Whether a remote is a member that should hold every commit.
    fn pool_has(&self, id: RemoteId) -> bool {
        use crate::journal::record::RemoteState::Removed;
        self.facts.records.iter().any(|record| record.remote == id && record.state != Removed)
    }

    fn finding(&self, id: RemoteId, remote: &SharedRemote, name: &CommitName, damage: Damage) -> CommitFinding {
        let object = object(self.pool.journal.manifest_prefix(), name);
        CommitFinding { remote: remote.label().into(), id, object, damage }
    }

    async fn read_commit(
        &self,
        id: RemoteId,
        remote: SharedRemote,
        name: CommitName,
    ) -> (RemoteId, SharedRemote, CommitName, Result<()>) {
        let read = self.decode_commit(&remote, &name).await;
        (id, remote, name, read)
    }

    async fn stat_commit(
        &self,
        id: RemoteId,
        remote: SharedRemote,
        name: CommitName,
    ) -> (RemoteId, SharedRemote, CommitName, Result<Option<u64>>) {
        let size = remote.stat(&object(self.pool.journal.manifest_prefix(), &name)).await;
        (id, remote, name, size)
    }

    async fn decode_commit(&self, remote: &SharedRemote, name: &CommitName) -> Result<()> {
        let _memory = self.pool.acquire_memory(name.size).await?;
        read_copy(remote, self.pool.journal.manifest_prefix(), name).await.map(drop)
    }
}
