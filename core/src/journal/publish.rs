//! Adding commits: data first, commit second, then a look, then the acknowledgement.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::commit::{Commit, CommitName};
use super::membership::{Membership, Reach};
use super::read::object;
use super::record::{Place, Record, canonical};
use super::{Journal, View};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ChunkId, OperationId, RemoteId};
use crate::index::Mark;
use crate::remote::Body;

/// How a commit ended.
#[derive(Debug)]
#[must_use]
pub struct Receipt {
    /// The names of the commits made, the closing one last.
    pub names: Vec<CommitName>,
    /// Acknowledged on less than a view or less than W remotes: another writer's change may have been
    /// missed, and fewer losses are survived until the other remotes have it.
    pub stale: bool,
    /// Chunks the commit refers to that are being deleted, or that have a shard in an object that is, or where
    /// another remote turned out to lie: NOT acknowledged. The caller stores their bytes under new ids and commits again.
    pub marked: BTreeMap<ChunkId, Mark>,
    /// What the look after the commit saw.
    pub view: View,
}

impl Journal {
    /// Commits `records` as one operation.
    ///
    /// The stamps in `records` are set here, but for entries with a `rev`, which keep theirs; the `of` of a deletion and whatever else depends on the
    /// state must have been taken from an index synced by `view`, in the same operation.
    ///
    /// # Errors
    /// `FormatVersion` when a later version wrote to the pool; `Full` or `Unavailable` when too few remotes took
    /// the commit: it is then not acknowledged, though it may turn up later.
    pub async fn commit(&self, view: &View, records: Vec<Record>) -> Result<Receipt> {
        self.commit_data(view, view.epoch, records).await
    }

    /// As [`Journal::commit`], for records of chunks that were stored since a view of `epoch` was taken.
    ///
    /// # Errors
    /// As [`Journal::commit`].
    pub async fn commit_data(&self, view: &View, epoch: u64, mut records: Vec<Record>) -> Result<Receipt> {
        let fresh;
        let view = if self.rules.view_before_commit && view.is_old(self.env.boot_ms()) {
            fresh = self.sync().await?;
            &fresh
        } else {
            view
        };
        view.check_format()?;
        let chunks = referenced(&records);
        // Nobody picks a marked chunk.
        let objects = objects(&records);
        let mut marked = if self.rules.look_after_commit { self.marked(&chunks, &objects)? } else { BTreeMap::new() };
        let places = places(&records);
        let misplaced = |left: &BTreeSet<RemoteId>| -> Vec<(ChunkId, Mark)> {
            let astray = places.iter().filter(|(_, remotes)| !remotes.is_disjoint(left));
            astray.map(|(chunk, _)| (*chunk, Mark::Misplaced)).collect()
        };
        // What is known to have gone astray is not committed to begin with: nobody may be there to mend it.
        if self.rules.markers {
            marked.extend(misplaced(&self.left_since(epoch)));
        }
        if !marked.is_empty() {
            return Ok(Receipt { names: Vec::new(), stale: !view.complete, marked, view: self.sync().await? });
        }
        let stamps = self.stamps(records.len(), view);
        for (record, stamp) in records.iter_mut().zip(stamps) {
            // What care revises stays the user's.
            if !matches!(record, Record::Entry(entry) if entry.rev > 0 && self.rules.keep_users_stamp) {
                record.set_stamp(stamp);
            }
        }
        let mut held = Vec::new();
        let mut names = Vec::new();
        for commit in self.parts(records) {
            let mut commit = commit;
            if commit.part_of.is_none() && !names.is_empty() {
                commit.closes.clone_from(&names);
            }
            let (name, holders) = self.publish(view, &commit).await?;
            held.push(holders);
            names.push(name);
        }
        let after = self.sync().await?;
        let mut marked = if self.rules.look_after_commit { self.marked(&chunks, &objects)? } else { BTreeMap::new() };
        for (name, held) in names.iter().zip(&mut held) {
            held.extend(after.held.iter().filter(|(_, commits)| commits.contains(name)).map(|(id, _)| *id));
        }
        let mut confirmed = after.online();
        if self.rules.markers {
            marked.extend(misplaced(&self.left_since(epoch)));
            let left = self.left_since(view.epoch);
            if marked.is_empty() {
                self.check_reach(&held, &left)?;
            }
            confirmed.retain(|id| !left.contains(id));
        }
        // What was put counts where its remote was found again.
        let reach = self.reach(&held, |id| confirmed.contains(id))?;
        let mut unmarked = places.iter().filter(|(chunk, _)| !marked.contains_key(chunk));
        let stored = unmarked.all(|(_, remotes)| remotes.is_subset(&confirmed));
        let stale = !view.complete || !after.complete || reach < Reach::Quorum || !stored;
        Ok(Receipt { names, stale, marked, view: after })
    }

    /// The marks on chunks, and on the objects that shards of them were put in.
    fn marked(
        &self,
        chunks: &BTreeSet<ChunkId>,
        objects: &[(ChunkId, Place, bool)],
    ) -> Result<BTreeMap<ChunkId, Mark>> {
        let mut marked = BTreeMap::new();
        for (chunk, place, moved) in objects {
            // A chunk's record may be repeated after care moved its shards: those count.
            let dropped = self.index.is_dropped(*chunk, place.nonce)?;
            if dropped && (*moved || !self.index.has_place(*chunk, place)?) {
                marked.insert(*chunk, Mark::Astray);
            }
        }
        // A moved shard is no reference: it keeps no chunk that goes, and one that stays though it was condemned,
        // as somebody referred to it just then, must not lose its shards for that.
        let moved = objects.iter().filter(|(chunk, _, moved)| *moved && !chunks.contains(chunk));
        let dropped = self.index.marks(moved.map(|(chunk, ..)| *chunk))?.into_iter();
        marked.extend(dropped.filter(|(_, mark)| *mark != Mark::Condemned));
        marked.extend(self.index.marks(chunks.iter().copied())?);
        Ok(marked)
    }

    /// The least that commits reached on those of their holders that `counts`.
    fn reach(&self, held: &[BTreeSet<RemoteId>], counts: impl Fn(&RemoteId) -> bool) -> Result<Reach> {
        let membership = self.membership()?;
        let reach = |held: &BTreeSet<RemoteId>| membership.reach(&held.iter().copied().filter(&counts).collect());
        Ok(held.iter().map(reach).min().unwrap_or(Reach::Quorum))
    }

    /// Fails when too few remotes hold a commit, as some of those it was put on were not what they seemed.
    fn check_reach(&self, held: &[BTreeSet<RemoteId>], left: &BTreeSet<RemoteId>) -> Result<()> {
        if left.is_empty() || self.reach(held, |id| !left.contains(id))? > Reach::TooFew || !self.rules.quorum {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Unavailable, "places of the configuration turned out to be other remotes meanwhile")
            .hint("it is not acknowledged; see that disks stay mounted, and repeat it"))
    }

    /// Splits an operation whose records are too many for one commit; the last part closes it.
    fn parts(&self, records: Vec<Record>) -> Vec<Commit> {
        let mut groups: Vec<Vec<Record>> = vec![Vec::new()];
        let mut bytes = 0;
        for record in records {
            let size = canonical(&record).len() + 1;
            if bytes + size > self.limits.part_bytes && bytes > 0 {
                groups.push(Vec::new());
                bytes = 0;
            }
            bytes += size;
            if let Some(group) = groups.last_mut() {
                group.push(record);
            }
        }
        let last = groups.len() - 1;
        let operation = (last > 0 && self.rules.parts_wait).then(|| OperationId(self.env.random()));
        let commit = |(n, records)| {
            let mut commit = Commit::new(self.pool, records);
            commit.part_of = operation.filter(|_| n < last);
            commit
        };
        groups.into_iter().enumerate().map(commit).collect()
    }

    /// Puts a commit on every online member and returns as soon as W hold it; the rest go on in the
    /// background. Merges it, and gives back who holds it.
    pub(super) async fn publish(&self, view: &View, commit: &Commit) -> Result<(CommitName, BTreeSet<RemoteId>)> {
        let (name, bytes) = commit.encode()?;
        let mut membership = self.membership()?;
        if membership.is_empty() {
            // The pool's first commit brings the records that say who is a member.
            membership = first_membership(commit);
        }
        // A change of membership must itself reach the quorums before and after it.
        for record in &commit.records {
            if let Record::Remote(remote) = record {
                membership.update(remote);
            }
        }
        let (held, failures) = self.put_commit(view, &membership, &name, &bytes).await;
        let reach = membership.reach(&held);
        if reach == Reach::TooFew && self.rules.quorum {
            let (w, n) = membership.quorum_of();
            // Waiting helps where others than full remotes fail.
            let are_full = !failures.is_empty() && failures.iter().all(|e| e.kind() == ErrorKind::Full);
            let (kind, hint) = match are_full {
                true => (ErrorKind::Full, "it is not acknowledged; free space on the remotes and repeat it"),
                false => (ErrorKind::Unavailable, "it is not acknowledged; bring remotes back and repeat it"),
            };
            let why = failures.into_iter().map(|e| e.to_string()).collect::<Vec<_>>().join("; ");
            let message = format!("the change reached {} of {n} remotes and {w} must hold it: {why}", held.len());
            return Err(Error::new(kind, message).hint(hint));
        }
        self.index.apply([(&name, commit)], &self.env.now())?;
        for id in &held {
            self.index.note_held(*id, [&name], [])?;
        }
        Ok((name, held))
    }

    async fn put_commit(
        &self,
        view: &View,
        membership: &Membership,
        commit: &CommitName,
        bytes: &Bytes,
    ) -> (BTreeSet<RemoteId>, Vec<Error>) {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let handles = self.handles(view);
        let mut waiting = handles.len();
        for (id, remote) in handles {
            let (sender, name, body) =
                (sender.clone(), object(&self.manifest_prefix, commit), Body::from(bytes.clone()));
            self.offers.put(id, *commit, async move {
                let put = remote.put(&name, &body).await;
                // Nobody listens any more once W hold it.
                let _ = sender.send((id, put));
            });
        }
        drop(sender);
        let mut failures: Vec<Error> = view
            .remotes
            .iter()
            .filter_map(|status| match status {
                super::RemoteStatus::Offline(error) => Some(error.repeat()),
                super::RemoteStatus::Online(_) => None,
            })
            .collect();
        let mut held = BTreeSet::new();
        while waiting > 0 && membership.reach(&held) < Reach::Quorum {
            match receiver.recv().await {
                Some((id, Ok(()))) => drop(held.insert(id)),
                Some((_, Err(error))) => failures.push(error),
                None => break,
            }
            waiting -= 1;
        }
        (held, failures)
    }
}

fn first_membership(commit: &Commit) -> Membership {
    let remotes: Vec<_> = commit
        .records
        .iter()
        .filter_map(|record| match record {
            Record::Remote(remote) => Some(remote.clone()),
            _ => None,
        })
        .collect();
    // All of them: a pool begins whole.
    Membership::new(&remotes, remotes.len().saturating_sub(1), 0)
}

/// The remotes that took shards, per chunk.
fn places(records: &[Record]) -> BTreeMap<ChunkId, BTreeSet<RemoteId>> {
    let mut places = BTreeMap::<ChunkId, BTreeSet<RemoteId>>::new();
    for record in records {
        match record {
            Record::Chunk(r) => places.entry(r.chunk).or_default().extend(r.shards.iter().map(|p| p.remote)),
            Record::Shard(r) => drop(places.entry(r.chunk).or_default().insert(r.place.remote)),
            _ => {}
        }
    }
    places
}

/// The objects that records say shards were put in, and whether they say so of that shard alone.
fn objects(records: &[Record]) -> Vec<(ChunkId, Place, bool)> {
    let mut objects = Vec::new();
    for record in records {
        match record {
            Record::Chunk(r) => objects.extend(r.shards.iter().map(|place| (r.chunk, *place, false))),
            Record::Shard(r) => objects.push((r.chunk, r.place, true)),
            _ => {}
        }
    }
    objects
}

/// The chunks that records make or refer to.
fn referenced(records: &[Record]) -> BTreeSet<ChunkId> {
    let mut chunks = BTreeSet::new();
    for record in records {
        match record {
            Record::Entry(entry) => chunks.extend(entry.content.extents().iter().map(|e| e.chunk)),
            Record::Chunk(chunk) => drop(chunks.insert(chunk.chunk)),
            _ => {}
        }
    }
    chunks
}
