//! What nobody needs, listed.

use std::collections::BTreeMap;

use serde::Serialize;

use super::live::{Orphan, Stage};
use super::{GcOptions, Leftover, ShardObject};
use crate::error::Result;
use crate::id::RemoteId;
use crate::monitor::Monitor;
use crate::pool::Pool;

/// What nobody needs, and what will be done about it.
#[derive(Debug, Clone, Serialize)]
pub struct Orphans {
    /// Each chunk, or single object, with how far it is on its way out.
    pub orphans: Vec<Orphan>,
    /// What puts that broke off left, under names that no object has.
    pub leftovers: Vec<Leftover>,
    /// The same by remote.
    pub remotes: Vec<RemoteOrphans>,
    /// Remotes on which nothing could be looked for.
    pub unknown: Vec<String>,
}

/// What nobody needs on one remote.
#[derive(Debug, Clone, Serialize)]
pub struct RemoteOrphans {
    /// Its name.
    pub name: String,
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Orphans {
    /// The bytes at one stage.
    pub fn bytes_at(&self, stage: Stage) -> u64 {
        self.orphans.iter().filter(|orphan| orphan.stage == stage).map(|orphan| orphan.bytes).sum()
    }

    /// All bytes.
    pub fn bytes(&self) -> u64 {
        let leftovers: u64 = self.leftovers.iter().map(|leftover| leftover.bytes).sum();
        leftovers + self.orphans.iter().map(|orphan| orphan.bytes).sum::<u64>()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.orphans.is_empty() && self.leftovers.is_empty()
    }
}

impl Pool {
    /// Lists what nobody needs, and changes nothing on the remotes. What is seen for the first time begins to wait.
    ///
    /// # Errors
    /// As [`Pool::free_orphans`].
    pub async fn orphans(&self, options: &GcOptions, monitor: &Monitor) -> Result<Orphans> {
        let (times, _lock) = self.times(options, monitor).await?;
        let survey = monitor.run(self.survey(times, options.accept_loss)).await?;
        let mut remotes = BTreeMap::<RemoteId, (u64, u64)>::new();
        let objects = survey.orphans.iter().flat_map(|orphan| &orphan.objects);
        let objects = objects.map(|(id, ShardObject { size, .. })| (*id, *size));
        for (id, size) in objects.chain(survey.leftovers.iter().map(|leftover| (leftover.id, leftover.bytes))) {
            let (count, bytes) = remotes.entry(id).or_default();
            *count += 1;
            *bytes += size;
        }
        let remote = |(id, (objects, bytes))| RemoteOrphans { name: self.remote_label(id), objects, bytes };
        Ok(Orphans {
            remotes: remotes.into_iter().map(remote).collect(),
            unknown: survey.unknown.iter().map(|id| self.remote_label(*id)).collect(),
            orphans: survey.orphans,
            leftovers: survey.leftovers,
        })
    }
}
