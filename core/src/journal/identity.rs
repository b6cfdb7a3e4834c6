//! Which remote lies at which place, and noticing when that changes under the hands of an operation.

use std::collections::{BTreeMap, BTreeSet};

use super::commit::CommitName;
use super::sync::{Listing, RemoteStatus};
use super::{Journal, View, lock};
use crate::error::{Error, ErrorKind, Result};
use crate::id::RemoteId;
use crate::remote::SharedRemote;

/// What lies at a place of the configuration.
pub(super) enum Found {
    /// It does not answer: whatever was there is there still.
    Unreachable(Error),
    /// Something that is no remote of this pool, or is in doubt.
    Strange(Error),
    /// A remote of this pool.
    Is(RemoteId, BTreeSet<CommitName>),
}

/// What this process has seen at the places so far.
#[derive(Debug, Default)]
pub(super) struct Identities {
    at: BTreeMap<usize, Option<RemoteId>>,
    /// When a remote was found not to be where it had been: the count of such events.
    left: BTreeMap<RemoteId, u64>,
    epoch: u64,
}

impl Identities {
    /// Notes what was found; gives back how often anything had changed by then.
    fn note(&mut self, found: &[Found]) -> u64 {
        for (at, found) in found.iter().enumerate() {
            let now = match found {
                Found::Unreachable(_) => continue,
                Found::Strange(_) => None,
                Found::Is(id, _) => Some(*id),
            };
            if let Some(before) = self.at.insert(at, now).flatten().filter(|before| Some(*before) != now) {
                self.epoch += 1;
                self.left.insert(before, self.epoch);
            }
        }
        self.epoch
    }
}

impl Journal {
    /// Which remote a listing is of.
    pub(super) fn find(&self, listing: Result<Listing>, remote: &SharedRemote) -> Result<Found> {
        let listing = match listing {
            Ok(listing) => listing,
            Err(error) => return Ok(Found::Unreachable(error.on_remote(remote.label()))),
        };
        let id = if self.rules.markers {
            listing.identify(self.pool)
        } else {
            // Without the rule a place is believed to be what it was when it was last seen.
            self.believed(remote, &listing)?
        };
        Ok(match id {
            Ok(id) => Found::Is(id, listing.commits),
            Err(error) => Found::Strange(error.on_remote(remote.label())),
        })
    }

    fn believed(&self, remote: &SharedRemote, listing: &Listing) -> Result<Result<RemoteId>> {
        let key = format!("believed:{}", remote.label());
        if let Some(id) = self.index.meta(&key)? {
            return Ok(id.parse());
        }
        let id = listing.identify(self.pool);
        if let Ok(id) = &id {
            self.index.set_meta(&key, &id.to_string())?;
        }
        Ok(id)
    }

    /// The state of each place, what each remote holds, and how often places had changed. Two places with one
    /// marker are both in doubt: one is a copy of the other.
    pub(super) fn identities(
        &self,
        mut found: Vec<Found>,
    ) -> (Vec<RemoteStatus>, BTreeMap<RemoteId, BTreeSet<CommitName>>, u64) {
        let mut seen = BTreeMap::<RemoteId, usize>::new();
        for found in &found {
            if let Found::Is(id, _) = found {
                *seen.entry(*id).or_default() += 1;
            }
        }
        for (found, remote) in found.iter_mut().zip(&self.remotes) {
            if let Found::Is(id, _) = found
                && seen.get(id).is_some_and(|n| *n > 1)
            {
                *found = Found::Strange(
                    Error::new(
                        ErrorKind::Unavailable,
                        format!("offline: another remote carries the same marker, {id}"),
                    )
                    .on_remote(remote.label())
                    .hint("one is a copy of the other; take it out of the configuration"),
                );
            }
        }
        let epoch = lock(&self.identities).note(&found);
        let mut held = BTreeMap::new();
        let status = |found| match found {
            Found::Unreachable(error) | Found::Strange(error) => RemoteStatus::Offline(error),
            Found::Is(id, commits) => {
                held.insert(id, commits);
                RemoteStatus::Online(id)
            }
        };
        let remotes = found.into_iter().map(status).collect();
        (remotes, held, epoch)
    }

    /// The remotes that were found not to be where they had been since `view` was taken: what was put there
    /// by that view may lie elsewhere.
    pub(super) fn left_since(&self, epoch: u64) -> BTreeSet<RemoteId> {
        lock(&self.identities).left.iter().filter(|(_, left)| **left > epoch).map(|(id, _)| *id).collect()
    }
}

impl View {
    /// How often places had turned out to be other remotes when this was taken; for [`Journal::commit_data`].
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}
