//! Declaring remotes lost for good: how a pool goes on without them.
//!
//! A view asks for n - W + 1 + t listings because t holders of a commit may be lost unnoticed. Once the lost
//! ones are named, whatever was acknowledged and still exists lies on the others: listing ALL of them whole is
//! as much as anybody can ever know, however few they are. ARCHITECTURE.md has the argument in full.

use std::collections::BTreeSet;
use std::time::Duration;

use super::commit::CommitName;
use super::membership::{Membership, Reach};
use super::record::Record;
use super::{Journal, View};
use crate::error::{Error, ErrorKind, Result};
use crate::id::RemoteId;
use crate::index::KnownCommit;

impl Journal {
    /// Commits `records`, which remove the members `lost` for good (and may let others join).
    ///
    /// Before, every commit is on a quorum of those who stay; afterwards all of them hold the change, or a
    /// quorum of the membership before does. Commits that only the lost ones held are gone: the index forgets
    /// them, and they are given back.
    ///
    /// # Errors
    /// `Unavailable`, when less than a view and less than all of the others can be listed whole, or when too
    /// few of them took the change: it may count all the same, and repeating it completes it.
    pub(crate) async fn declare_lost(
        &self,
        lost: &BTreeSet<RemoteId>,
        records: Vec<Record>,
    ) -> Result<BTreeSet<CommitName>> {
        let before = self.membership()?;
        let rest: BTreeSet<RemoteId> = before.members().filter(|id| !lost.contains(id)).collect();
        if rest.is_empty() {
            return Err(Error::new(ErrorKind::InvalidArgument, "no remote would be left"));
        }
        let mut after = before.clone();
        for record in &records {
            if let Record::Remote(remote) = record {
                after.update(remote);
            }
        }
        let view = self.sync().await?;
        self.check_rest(&view, &rest)?;
        self.mend(&view).await?;
        // What one of them lacks is on its way since then.
        self.settle(Duration::MAX).await;
        let view = self.sync().await?;
        view.check_format()?;
        self.check_rest(&view, &rest)?;
        let gone = self.complete_without(&view, &rest, &after)?;
        let receipt = self.commit(&view, records).await?;
        self.settle(Duration::MAX).await;
        let taken = self.sync().await?;
        let holds = |id: &&RemoteId| {
            taken.held.get(id).is_some_and(|held| receipt.names.iter().all(|name| held.contains(name)))
        };
        let held: BTreeSet<RemoteId> = rest.iter().filter(holds).copied().collect();
        // Nobody can act on the membership before without meeting the change.
        if held != rest && before.reach(&held) < Reach::Quorum {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "too few of the remotes that stay hold the change of membership",
            )
            .hint("see that they are online and take writes, and repeat the command"));
        }
        if !gone.is_empty() {
            self.index.begin_anew()?;
        }
        Ok(gone)
    }

    /// Fails unless the view is one, or all who stay were listed whole and everything in them was read.
    fn check_rest(&self, view: &View, rest: &BTreeSet<RemoteId>) -> Result<()> {
        if view.complete || (rest.is_subset(&view.listed) && view.unread.is_empty() && view.later_format.is_none()) {
            return Ok(());
        }
        let records = self.index.remotes()?;
        let missing: Vec<&str> = records
            .iter()
            .filter(|r| rest.contains(&r.remote) && !view.listed.contains(&r.remote))
            .map(|r| r.label.as_str())
            .collect();
        let why = match missing.as_slice() {
            [] => view.lacks.join("; "),
            missing => format!("{} cannot be listed whole either", missing.join(", ")),
        };
        Err(Error::new(ErrorKind::Unavailable, format!("a remote is let go only when all the others are online: {why}"))
            .hint("bring them back; those that are lost for good, too, are named in the same command: `rclonepool remotes remove --lost A B`"))
    }

    /// Checks that those who stay hold every commit on a quorum of them; gives back those that none of them has.
    fn complete_without(
        &self,
        view: &View,
        rest: &BTreeSet<RemoteId>,
        after: &Membership,
    ) -> Result<BTreeSet<CommitName>> {
        let mut gone = BTreeSet::new();
        let known = self.index.known_commits()?;
        for (name, _) in known.iter().filter(|(_, state)| **state != KnownCommit::Superseded) {
            let held: BTreeSet<RemoteId> =
                view.held.iter().filter(|(_, commits)| commits.contains(name)).map(|(id, _)| *id).collect();
            // A corrupt copy was good once: it is no proof that nobody ever had it.
            let spoiled = view.spoiled.iter().any(|(id, names)| rest.contains(id) && names.contains(name));
            if !spoiled
                && held.is_disjoint(rest)
                && view.held.keys().filter(|id| rest.contains(id)).count() == rest.len()
            {
                gone.insert(*name);
            } else if after.reach(&held) < Reach::Quorum {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    format!("too few of the remotes that stay hold commit {name}"),
                )
                .hint("see that they take writes, and repeat it"));
            }
        }
        Ok(gone)
    }
}
