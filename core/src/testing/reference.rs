//! The merge of FORMAT.md written a second time, over plain maps, for the index to be held against.
//!
//! Slow and obvious on purpose: it takes all commits at once, in any order.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{ChunkId, Nonce, OperationId, RemoteId, Stamp};
use crate::index::Mark;
use crate::journal::commit::{Commit, CommitName};
use crate::journal::record::{ChunkRecord, Entry, Place, PoolRecord, Record, RemoteRecord, UploadRecord, canonical};
use crate::path::PoolPath;

/// What a set of commits says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Merged {
    /// The version each path shows.
    pub live: BTreeMap<PoolPath, Entry>,
    /// The chunks that are not dropped, with the places of their shards.
    pub chunks: BTreeMap<ChunkId, ChunkRecord>,
    /// Every remote that is or was a member.
    pub remotes: BTreeMap<RemoteId, RemoteRecord>,
    /// The pool record in force.
    pub pool: Option<PoolRecord>,
    /// The marks on chunks.
    pub marks: BTreeMap<ChunkId, Mark>,
    /// How far the deletions of each path reach.
    pub deleted: BTreeMap<PoolPath, Stamp>,
    /// Every version of every path, void and killed ones too.
    pub versions: BTreeMap<PoolPath, Vec<Entry>>,
    /// The chunks that uploads under way keep.
    pub uploads: BTreeSet<ChunkId>,
}

/// Merges commits; each name at most once.
pub fn merge<'a>(commits: impl IntoIterator<Item = (&'a CommitName, &'a Commit)>) -> Merged {
    let commits: BTreeMap<&CommitName, &Commit> = commits.into_iter().collect();
    let superseded: BTreeSet<&CommitName> = commits.values().flat_map(|c| &c.supersedes).collect();
    let there = |name: &CommitName| commits.contains_key(name) || superseded.contains(name);
    let closed: BTreeSet<&CommitName> =
        (commits.values()).filter(|closer| closer.closes.iter().all(there)).flat_map(|closer| &closer.closes).collect();
    let counts = |name: &CommitName, commit: &Commit| {
        !superseded.contains(name)
            && (commit.part_of.is_none() || closed.contains(name))
            && commit.closes.iter().all(there)
    };
    let records: Vec<&Record> =
        commits.iter().filter(|(name, commit)| counts(name, commit)).flat_map(|(_, commit)| &commit.records).collect();
    state(&records)
}

fn state(records: &[&Record]) -> Merged {
    let mut merged = Merged::default();
    let mut gone = BTreeSet::<(ChunkId, Nonce)>::new();
    for record in records {
        match record {
            Record::Dropped(r) => match &r.object {
                Some(object) => drop(gone.insert((r.chunk, object.nonce))),
                None => drop(merged.marks.insert(r.chunk, Mark::Dropped)),
            },
            Record::Condemned(r) => drop(merged.marks.entry(r.chunk).or_insert(Mark::Condemned)),
            Record::Deleted(r) => {
                let of = merged.deleted.entry(r.path.clone()).or_insert(r.of);
                *of = (*of).max(r.of);
            }
            Record::Entry(r) => {
                let versions = merged.versions.entry(r.path.clone()).or_default();
                if !versions.contains(r) {
                    versions.push(r.clone());
                }
            }
            Record::Remote(r) => {
                let order = |r: &RemoteRecord| (r.state, r.stamp, canonical(r));
                let best = merged.remotes.entry(r.remote).or_insert_with(|| r.clone());
                if order(r) > order(best) {
                    *best = r.clone();
                }
            }
            Record::Pool(r) => {
                let order = |r: &PoolRecord| (r.stamp, canonical(r));
                if merged.pool.as_ref().is_none_or(|best| order(r) > order(best)) {
                    merged.pool = Some(r.clone());
                }
            }
            Record::Upload(_) | Record::Chunk(_) | Record::Shard(_) => {}
        }
    }
    let uploads: Vec<&UploadRecord> =
        records.iter().filter_map(|r| if let Record::Upload(upload) = r { Some(upload) } else { None }).collect();
    let ended: BTreeSet<OperationId> = uploads.iter().filter(|r| r.ended).map(|r| r.upload).collect();
    merged.uploads =
        uploads.iter().filter(|r| !ended.contains(&r.upload)).flat_map(|r| r.chunks.iter().copied()).collect();
    let dropped = |chunk: &ChunkId| merged.marks.get(chunk) == Some(&Mark::Dropped);
    for (path, versions) in &mut merged.versions {
        versions.sort_by_key(|v| (v.stamp, v.rev, canonical(v)));
        let live = versions.iter().rfind(|version| {
            let void = version.content.extents().iter().any(|extent| dropped(&extent.chunk));
            !void && merged.deleted.get(path).is_none_or(|of| version.stamp > *of)
        });
        merged.live.extend(live.map(|version| (path.clone(), version.clone())));
    }
    let mut places = BTreeMap::<(ChunkId, u8, u8), (Stamp, Place)>::new();
    let mut put = |chunk: ChunkId, place: Place, stamp: Stamp| {
        if !gone.contains(&(chunk, place.nonce)) {
            let best = places.entry((chunk, place.index, place.copy)).or_insert((stamp, place));
            *best = (*best).max((stamp, place));
        }
    };
    for record in records {
        match record {
            Record::Chunk(r) => {
                r.shards.iter().for_each(|place| put(r.chunk, *place, r.stamp));
                let bare = ChunkRecord { shards: Vec::new(), ..(*r).clone() };
                let order = |r: &ChunkRecord| (r.stamp, canonical(r));
                let best = merged.chunks.entry(r.chunk).or_insert_with(|| bare.clone());
                if order(&bare) > order(best) {
                    *best = bare;
                }
            }
            Record::Shard(r) => put(r.chunk, r.place, r.stamp),
            _ => {}
        }
    }
    for ((chunk, _, _), (_, place)) in places {
        if let Some(record) = merged.chunks.get_mut(&chunk) {
            record.shards.push(place);
        }
    }
    merged.chunks.retain(|chunk, _| merged.marks.get(chunk) != Some(&Mark::Dropped));
    merged
}
