//! Reading commits from the remotes, and merging what is new.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use tokio::sync::mpsc;

use super::commit::{Commit, CommitName};
use super::{Journal, View};
use crate::error::{Error, ErrorKind, Result};
use crate::id::RemoteId;
use crate::local::blocking;
use crate::remote::{SharedRemote, read_whole};

/// How many commits are read from the remotes at once.
const READS: usize = 16;
/// How many commits, or records if they are large, are merged in one transaction.
const BATCH: usize = 256;
const BATCH_RECORDS: usize = 16_384;

type Batch = Vec<(CommitName, Commit)>;

impl Journal {
    /// Reads and merges the commits that are new; gives back what no remote could deliver, and why. A copy that is
    /// corrupt, where another is good, is held no longer.
    pub(super) async fn read_new(
        &self,
        held: &mut BTreeMap<RemoteId, BTreeSet<CommitName>>,
        view: &mut View,
    ) -> Result<BTreeMap<CommitName, Error>> {
        let known = self.index.known_commits()?;
        let mut new: BTreeSet<CommitName> = held.values().flatten().copied().collect();
        new.retain(|name| !known.contains_key(name));
        // Another process may have written to the index, so what is known is not always seen.
        if let Some(name) = known.keys().next_back().max(new.last()) {
            self.saw(name.stamp);
        }
        // Some are merged while the next ones are read.
        let (batches, merging) = mpsc::channel(1);
        let (read, merged) = tokio::join!(self.read_all(new, held, view, batches), self.merge_all(merging));
        merged?;
        let (spoiled, unreadable) = read;
        for (id, name) in spoiled {
            self.index.note_spoiled(id, [&name])?;
            held.entry(id).or_default().remove(&name);
            view.spoiled.entry(id).or_default().insert(name);
        }
        Ok(unreadable)
    }

    /// Reads commits and gives them away; gives back the copies that are corrupt, and what could not be read.
    async fn read_all(
        &self,
        new: BTreeSet<CommitName>,
        held: &BTreeMap<RemoteId, BTreeSet<CommitName>>,
        view: &mut View,
        batches: mpsc::Sender<Batch>,
    ) -> (Vec<(RemoteId, CommitName)>, BTreeMap<CommitName, Error>) {
        let (mut spoiled, mut unreadable) = (Vec::new(), BTreeMap::new());
        let handles = &self.handles(view);
        let mut reads = stream::iter(new)
            .map(|name| async move {
                let mut bad = Vec::new();
                let read = read_from(handles, held, &self.manifest_prefix, &name, &mut bad).await;
                (name, read, bad)
            })
            .buffered(READS);
        let (mut batch, mut records) = (Batch::new(), 0);
        while let Some((name, read, bad)) = reads.next().await {
            // Which copy is the bad one shows where another is good.
            if read.is_ok() {
                spoiled.extend(bad.into_iter().map(|id| (id, name)));
            }
            match read {
                Ok((commit, _)) if commit.pool != self.pool => {
                    tracing::warn!("commit {name} speaks of pool {}; ignored", commit.pool);
                }
                Ok((commit, _)) => {
                    records += commit.records.len();
                    batch.push((name, commit));
                }
                Err(error) if error.kind() == ErrorKind::FormatVersion => view.later_format = Some(error.to_string()),
                Err(error) => {
                    tracing::warn!("commit {name} cannot be read anywhere now: {error}");
                    unreadable.insert(name, error);
                }
            }
            if batch.len() >= BATCH || records >= BATCH_RECORDS {
                records = 0;
                if batches.send(std::mem::take(&mut batch)).await.is_err() {
                    // The index failed, and its error is told.
                    return (spoiled, unreadable);
                }
            }
        }
        let _ = batches.send(batch).await;
        (spoiled, unreadable)
    }

    async fn merge_all(&self, mut batches: mpsc::Receiver<Batch>) -> Result<()> {
        while let Some(batch) = batches.recv().await {
            let (index, now) = (self.index.clone(), self.env.now());
            blocking(move || index.apply(batch.iter().map(|(name, commit)| (name, commit)), &now)).await?;
        }
        Ok(())
    }
}

/// The object that holds a commit.
pub(crate) fn object(manifest_prefix: &str, name: &CommitName) -> String {
    format!("{manifest_prefix}/commits/{name}")
}

/// Reads a commit from whichever holder gives it undamaged.
pub(crate) async fn read_commit(
    handles: &BTreeMap<RemoteId, SharedRemote>,
    held: &BTreeMap<RemoteId, BTreeSet<CommitName>>,
    manifest_prefix: &str,
    name: &CommitName,
) -> Result<(Commit, Bytes)> {
    read_from(handles, held, manifest_prefix, name, &mut Vec::new()).await
}

/// As [`read_commit`]; adds the holders whose copies were corrupt to `bad`.
async fn read_from(
    handles: &BTreeMap<RemoteId, SharedRemote>,
    held: &BTreeMap<RemoteId, BTreeSet<CommitName>>,
    manifest_prefix: &str,
    name: &CommitName,
    bad: &mut Vec<RemoteId>,
) -> Result<(Commit, Bytes)> {
    let mut failure = Error::new(ErrorKind::Unavailable, format!("no remote that holds commit {name} is online"));
    for (id, _) in held.iter().filter(|(_, commits)| commits.contains(name)) {
        let Some(remote) = handles.get(id) else { continue };
        match read_copy(remote, manifest_prefix, name).await {
            Ok(found) => return Ok(found),
            // No other copy of the same bytes will read differently.
            Err(error) if error.kind() == ErrorKind::FormatVersion => return Err(error),
            Err(error) => {
                if error.kind() == ErrorKind::Corrupt {
                    bad.push(*id);
                }
                failure = error.on_remote(remote.label());
                tracing::info!("commit {name} is asked of another remote: {failure}");
            }
        }
    }
    Err(failure)
}

/// Reads a remote's copy of a commit, twice before it is called corrupt: a bit may have turned on the way.
pub(crate) async fn read_copy(
    remote: &SharedRemote,
    manifest_prefix: &str,
    name: &CommitName,
) -> Result<(Commit, Bytes)> {
    let read = || async {
        let bytes = read_whole(remote.as_ref(), &object(manifest_prefix, name)).await?;
        let (name, read) = (*name, bytes.clone());
        Ok::<_, Error>((blocking(move || Commit::decode(&name, &read)).await?, bytes))
    };
    match read().await {
        Err(error) if error.kind() == ErrorKind::Corrupt => read().await,
        read => read,
    }
}
