//! Compaction: many small commits become one, so that a cold start reads few objects.
//!
//! Size-tiered (the LSM way: P. O'Neil et al., "The Log-Structured Merge-Tree", 1996): commits of about
//! one size are merged when there are enough of them, so that each record is rewritten a logarithmic
//! number of times.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt};

use super::commit::{COMMIT_BYTES_MAX, Commit, CommitName, FEATURES};
use super::membership::Reach;
use super::read::{object, read_commit, read_copy};
use super::record::{Entry, Record, canonical};
use super::{Journal, View};
use crate::error::{ErrorKind, Result};
use crate::id::{ChunkId, Stamp};
use crate::index::{Keep, Kept, KnownCommit, Mark};
use crate::path::PoolPath;

/// How many commits of one tier are merged.
pub(super) const FAN_IN: usize = 16;
/// The smallest tier holds commits up to this many bytes; each further tier eight times as many.
const TIER_BYTES: u64 = 16 << 10;
/// Commits larger than this stay as they are.
const INPUT_BYTES_MAX: u64 = 8 << 20;
/// How long compaction waits for slow remotes to take the merged commit.
const SETTLE_LIMIT: std::time::Duration = std::time::Duration::from_secs(60);
/// How many superseded commits are deleted at once.
const DELETIONS: usize = 16;
/// How often a view is listed anew before it counts as restless.
const SETTLE_TRIES: usize = 5;

impl Journal {
    /// Merges one tier of commits when it has grown; gives back the merged commit's name.
    ///
    /// Does nothing without a settled view. The sole deletions are of superseded commits, each on a
    /// remote where the merged commit was read back, after it was read back on W of them.
    ///
    /// # Errors
    /// Those of the index. Trouble with remotes ends the attempt without an error.
    pub async fn compact(&self) -> Result<Option<CommitName>> {
        // Jitter, so that two machines seldom merge the same tier at once.
        let count = self.limits.compact_from;
        let jitter = usize::try_from(self.env.random() % (count as u128 / 2 + 1)).unwrap_or(0);
        if self.full_tier(count + jitter)?.is_none() {
            return Ok(None);
        }
        let Some(view) = self.settled_view().await? else { return Ok(None) };
        self.remove_leftovers(&view).await?;
        let Some(inputs) = self.full_tier(count)? else { return Ok(None) };
        let handles = self.handles(&view);
        let mut commits = BTreeMap::new();
        for name in inputs {
            let Ok((commit, _)) = read_commit(&handles, &view.held, &self.manifest_prefix, &name).await else {
                continue;
            };
            // Fields this version does not know would be lost.
            if commit.uses.iter().all(|f| FEATURES.contains(&f.as_str())) {
                commits.insert(name, commit);
            }
        }
        if commits.len() < 2 {
            return Ok(None);
        }
        let merged = self.merge(&commits)?;
        let (name, held) = match self.publish(&view, &merged).await {
            Ok(published) => published,
            Err(error) => {
                tracing::info!("compaction put off: {error}");
                return Ok(None);
            }
        };
        if self.membership()?.reach(&held) == Reach::Quorum {
            // The rest of the remotes too, so that all inputs can go.
            self.settle(SETTLE_LIMIT).await;
            self.remove_superseded(&view, &name, commits.keys()).await?;
        }
        Ok(Some(name))
    }

    /// The commits of a tier that has at least `count` of them.
    fn full_tier(&self, count: usize) -> Result<Option<Vec<CommitName>>> {
        let mut tiers = BTreeMap::<u32, Vec<CommitName>>::new();
        for (name, state) in self.index.known_commits()? {
            // The commits of one operation stay: a part waits for ever without its closing commit.
            if state == KnownCommit::Applied && name.size <= INPUT_BYTES_MAX {
                tiers.entry((name.size / TIER_BYTES + 1).ilog2() / 3).or_default().push(name);
            }
        }
        Ok(tiers.into_values().find(|names| names.len() >= count))
    }

    /// Lists, completes everything seen to W, lists again, until nothing new appears: a commit that
    /// was on its way while the first listing ran is in the last one.
    pub(crate) async fn settled_view(&self) -> Result<Option<View>> {
        let mut view = self.sync().await?;
        for _ in 0..SETTLE_TRIES {
            if !view.complete {
                return Ok(None);
            }
            self.mend(&view).await?;
            if !self.complete_to_quorum(&view).await? {
                return Ok(None);
            }
            let next = self.sync().await?;
            let all = |view: &View| view.held.values().flatten().copied().collect::<BTreeSet<_>>();
            if next.complete && all(&next).is_subset(&all(&view)) {
                return Ok(Some(next));
            }
            view = next;
        }
        Ok(None)
    }

    /// The records of `commits` that still matter, in an order that depends on nothing else: same
    /// inputs make the same bytes and the same name.
    pub(crate) fn merge(&self, commits: &BTreeMap<CommitName, Commit>) -> Result<Commit> {
        let mut marked = BTreeSet::<ChunkId>::new();
        let mut kept = BTreeMap::<(u8, String), Vec<Record>>::new();
        // The paths with versions here, and how far the deletions here kill them.
        let mut paths = BTreeMap::<PoolPath, Stamp>::new();
        let mut killed = BTreeMap::<PoolPath, Stamp>::new();
        for record in commits.values().flat_map(|c| &c.records) {
            let records = kept.entry(key(record)).or_default();
            if !records.contains(record) {
                records.push(record.clone());
            }
            match record {
                Record::Entry(entry) => {
                    marked.extend(entry.content.extents().iter().map(|e| e.chunk));
                    paths.insert(entry.path.clone(), Stamp::ZERO);
                }
                Record::Deleted(r) => {
                    let of = killed.entry(r.path.clone()).or_insert(r.of);
                    *of = (*of).max(r.of);
                }
                Record::Chunk(chunk) => drop(marked.insert(chunk.chunk)),
                Record::Shard(shard) => drop(marked.insert(shard.chunk)),
                Record::Condemned(mark) => drop(marked.insert(mark.chunk)),
                _ => {}
            }
        }
        for (path, of) in &mut paths {
            *of = killed.get(path).copied().unwrap_or(*of);
        }
        let marks = self.index.marks(marked)?;
        let dropped = |chunk: &ChunkId| marks.get(chunk) == Some(&Mark::Dropped);
        for records in kept.values_mut() {
            records.sort_by_cached_key(|r| (r.stamp(), rev(r), canonical(r)));
            match records.last() {
                // Of these only the greatest says anything.
                Some(Record::Pool(_) | Record::Remote(_) | Record::Deleted(_) | Record::Upload(_)) => {
                    keep_greatest(records)
                }
                Some(Record::Entry(_)) if !self.rules.shadow => keep_greatest(records),
                Some(Record::Entry(_)) => {}
                Some(Record::Chunk(r)) if dropped(&r.chunk) => records.clear(),
                Some(Record::Shard(r)) if dropped(&r.chunk) => records.clear(),
                Some(Record::Condemned(r)) if dropped(&r.chunk) => records.clear(),
                _ => {}
            }
        }
        for (path, of) in paths {
            if let Some(records) = kept.get_mut(&(ENTRY, path.to_string())) {
                keep_versions(records, &dropped, of, &self.trashed(&path)?);
            }
        }
        let mut records: Vec<Record> = kept.into_values().flatten().collect();
        if !self.rules.keep_tombstones {
            records.retain(|record| !matches!(record, Record::Deleted(_)));
        }
        if records.is_empty() {
            // Everything was void; a commit needs a record, so one that changes nothing stays.
            records.extend(commits.values().flat_map(|c| c.records.iter().cloned()).max_by_key(Record::stamp));
        }
        let mut merged = Commit::new(self.pool, records);
        merged.supersedes = commits.keys().copied().collect();
        for features in commits.values() {
            merged.requires.extend(features.requires.iter().cloned());
            merged.uses.extend(features.uses.iter().cloned());
        }
        for features in [&mut merged.requires, &mut merged.uses] {
            features.sort();
            features.dedup();
        }
        debug_assert!(INPUT_BYTES_MAX < COMMIT_BYTES_MAX as u64);
        Ok(merged)
    }

    /// Deletes what an earlier compaction superseded where it could not delete it, being broken off, or the
    /// remote away.
    async fn remove_leftovers(&self, view: &View) -> Result<()> {
        let mut inputs = BTreeMap::<CommitName, Vec<CommitName>>::new();
        let held: BTreeSet<CommitName> = view.held.values().flatten().copied().collect();
        for (name, result) in self.index.results(held)? {
            inputs.entry(result).or_default().push(name);
        }
        for (result, names) in inputs {
            self.remove_superseded(view, &result, names.iter()).await?;
        }
        Ok(())
    }

    /// The versions of a path that lie in the trash.
    fn trashed(&self, path: &PoolPath) -> Result<BTreeSet<Stamp>> {
        let trash_ms = self.index.pool()?.map_or(0, |pool| pool.trash_hours).saturating_mul(3_600_000);
        if trash_ms == 0 {
            return Ok(BTreeSet::new());
        }
        let keep = Keep { now: self.env.now(), trash_ms, upload_ms: 0, shadow: self.rules.shadow };
        let lots = self.index.lots(&keep, path)?;
        Ok(lots.iter().filter(|lot| matches!(lot.kept, Some(Kept::Trashed(..)))).map(|lot| lot.stamp).collect())
    }

    /// Deletes the inputs on each remote where the merged commit reads back.
    async fn remove_superseded(
        &self,
        view: &View,
        merged: &CommitName,
        inputs: impl Iterator<Item = &CommitName> + Clone,
    ) -> Result<()> {
        let mut read_back = BTreeSet::new();
        for (id, remote) in self.handles(view) {
            match read_copy(&remote, &self.manifest_prefix, merged).await {
                Ok(_) => drop(read_back.insert(id)),
                Err(error) if error.kind() == ErrorKind::Corrupt => self.index.note_spoiled(id, [merged])?,
                Err(_) => {}
            }
        }
        // Another disk may have lain there meanwhile: what was read back must be listed under its marker, too.
        let after = self.sync().await?;
        let mut verified = self.handles(&after);
        if self.rules.delete_beside_result {
            verified.retain(|id, _| read_back.contains(id) && after.commits_of(*id).contains(merged));
        }
        if self.membership()?.reach(&verified.keys().copied().collect()) < Reach::Quorum {
            return Ok(());
        }
        // At once, before anything changes again.
        let mut deletions = Vec::new();
        for (id, remote) in verified {
            let there = after.commits_of(id);
            for name in inputs.clone().filter(|name| there.contains(name)) {
                let (remote, name) = (remote.clone(), *name);
                deletions.push(async move { (id, name, remote.delete(&object(&self.manifest_prefix, &name)).await) });
            }
        }
        let mut deletions = stream::iter(deletions).buffer_unordered(DELETIONS);
        while let Some((id, name, deleted)) = deletions.next().await {
            match deleted {
                Ok(()) => self.index.note_held(id, [], [&name])?,
                Err(error) => tracing::info!("superseded commit {name} stays for now: {error}"),
            }
        }
        Ok(())
    }
}

/// What the keys of entries begin with.
const ENTRY: u8 = 4;

/// What records are about: those of one key compete.
fn key(record: &Record) -> (u8, String) {
    match record {
        Record::Pool(_) => (0, String::new()),
        Record::Remote(r) => (1, r.remote.to_string()),
        Record::Chunk(r) => (2, r.chunk.to_string()),
        Record::Shard(r) => (3, format!("{}.{}.{}", r.chunk, r.place.index, r.place.copy)),
        Record::Entry(r) => (ENTRY, r.path.to_string()),
        Record::Deleted(r) => (5, r.path.to_string()),
        // Each upload record names other chunks, so each is its own key.
        Record::Upload(r) => (6, format!("{}.{}", r.upload, r.stamp)),
        Record::Condemned(r) => (7, r.chunk.to_string()),
        Record::Dropped(r) => (8, format!("{}.{:?}", r.chunk, r.object.map(|o| o.nonce))),
    }
}

fn rev(record: &Record) -> u64 {
    match record {
        Record::Entry(entry) => entry.rev,
        _ => 0,
    }
}

/// Keeps the one record that wins over all others of its key.
fn keep_greatest(records: &mut Vec<Record>) {
    let greatest = records.iter().cloned().max_by_key(|record| {
        let (first, second) = match record {
            // Membership moves on before the stamp is asked; of deletions the one that kills most wins.
            Record::Remote(r) => (Some(r.state), None),
            Record::Deleted(r) => (None, Some(r.of)),
            _ => (None, None),
        };
        (first, second, record.stamp(), canonical(record))
    });
    *records = greatest.into_iter().collect();
}

/// Keeps every version whose data may still be there: an older one counts again when a newer one turns
/// out void. A version without chunks can never be void, so what is older and without chunks can go, and so can
/// one that a deletion beside it kills; but not while it lies in the trash.
fn keep_versions(
    records: &mut Vec<Record>,
    dropped: &dyn Fn(&ChunkId) -> bool,
    killed: Stamp,
    trashed: &BTreeSet<Stamp>,
) {
    fn chunks(record: &Record) -> impl Iterator<Item = &ChunkId> {
        let entry: Option<&Entry> = if let Record::Entry(entry) = record { Some(entry) } else { None };
        entry.into_iter().flat_map(|e| e.content.extents().iter().map(|x| &x.chunk))
    }
    let last_plain = records.iter().rposition(|r| chunks(r).next().is_none());
    let mut n = 0;
    records.retain(|record| {
        let beaten = last_plain.is_some_and(|last| n < last) || record.stamp() <= killed;
        let shadowed = chunks(record).next().is_none() && beaten && !trashed.contains(&record.stamp());
        n += 1;
        !shadowed && !chunks(record).any(dropped)
    });
}
