//! Complete before consume: nothing rests on a commit that fewer than W remotes hold.

use std::collections::{BTreeMap, BTreeSet};

use super::commit::CommitName;
use super::membership::{Membership, Reach};
use super::read::{object, read_commit};
use super::{Journal, View};
use crate::error::Result;
use crate::id::RemoteId;
use crate::index::KnownCommit;
use crate::path::PoolPath;
use crate::remote::Body;

type Held = BTreeMap<RemoteId, BTreeSet<CommitName>>;

impl Journal {
    /// The commits that count and that fewer than W remotes hold, each with those that do; a remote that
    /// cannot be listed now holds what it was last seen to hold.
    pub(super) fn rare(
        &self,
        known: &BTreeMap<CommitName, KnownCommit>,
        membership: &Membership,
        gone: &Held,
    ) -> Result<BTreeMap<CommitName, BTreeSet<RemoteId>>> {
        let mut holders = BTreeMap::<CommitName, BTreeSet<RemoteId>>::new();
        let spoiled = self.index.spoiled()?;
        for (remote, names) in self.index.held_by_all()? {
            let lacks = |name: &CommitName| {
                [gone, &spoiled].iter().any(|lacks| lacks.get(&remote).is_some_and(|names| names.contains(name)))
            };
            for name in names.into_iter().filter(|name| !lacks(name)) {
                holders.entry(name).or_default().insert(remote);
            }
        }
        let everyone = membership.members().count();
        let counts = known.iter().filter(|(_, state)| **state != KnownCommit::Superseded).map(|(name, _)| *name);
        let mut rare: BTreeMap<_, _> = counts.map(|name| (name, holders.remove(&name).unwrap_or_default())).collect();
        rare.retain(|_, held| held.len() < everyone && membership.reach(held) < Reach::Quorum);
        Ok(rare)
    }

    /// Copies to W remotes what fewer hold of all that the index knows; gives back whether they now do.
    ///
    /// # Errors
    /// Those of the index. Trouble with remotes is an answer, not an error.
    pub(crate) async fn complete_to_quorum(&self, view: &View) -> Result<bool> {
        if !self.rules.complete_before_consume {
            return Ok(true);
        }
        let (membership, handles) = (self.membership()?, self.handles(view));
        for (name, mut held) in self.rare(&self.index.known_commits()?, &membership, &view.gone)? {
            let here: Held = held.iter().map(|id| (*id, BTreeSet::from([name]))).collect();
            let Ok((_, bytes)) = read_commit(&handles, &here, &self.manifest_prefix, &name).await else {
                return Ok(false);
            };
            for (id, remote) in &handles {
                let spoiled = view.spoiled.get(id).is_some_and(|names| names.contains(&name));
                let lacks = membership.reach(&held) < Reach::Quorum && !held.contains(id) && !spoiled;
                let put = async { remote.put(&object(&self.manifest_prefix, &name), &Body::from(bytes.clone())).await };
                if lacks && put.await.is_ok() {
                    self.index.note_held(*id, [&name], [])?;
                    held.insert(*id);
                }
            }
            if membership.reach(&held) < Reach::Quorum {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the version a path shows is safe in this view: W remotes hold what it rests on.
    ///
    /// # Errors
    /// Those of the index.
    pub(crate) fn is_safe(&self, view: &View, path: &PoolPath) -> Result<bool> {
        if !self.rules.complete_before_consume {
            return Ok(true);
        }
        let Some(commit) = self.index.commit_of(path)? else { return Ok(false) };
        let listed = view.held.values().any(|commits| commits.contains(&commit));
        Ok(listed && view.rare.is_empty())
    }
}
