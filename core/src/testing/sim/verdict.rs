//! The end of a history: some remotes are lost, and a machine that knows nothing must find everything.

use std::collections::{BTreeMap, BTreeSet};

use super::Options;
use super::actions::content_of;
use super::machine::Shared;
use super::plan::{Plan, What};
use crate::error::Result;
use crate::id::RemoteId;
use crate::journal::commit::{Commit, CommitName};
use crate::journal::record::{ChunkRecord, Content, Entry};
use crate::pool::Pool;
use crate::remote::memory::MemoryStore;
use crate::testing::fault::SplitMix;
use crate::testing::history::{commits_in, marker};
use crate::testing::reference::{Merged, merge};

/// The remotes that are left, each with what lies on it.
pub(super) type Left = [(RemoteId, MemoryStore)];

/// Holds everything that was promised against what is left; gives back how many files were read.
///
/// # Errors
/// Those of opening the pool.
pub(super) async fn judge(plan: &Plan, options: &Options, shared: &Shared, lost: &[usize]) -> Result<usize> {
    let mut random = SplitMix(plan.seed ^ 0x10_57);
    let mut gone: BTreeSet<usize> = lost.iter().copied().collect();
    for step in &plan.steps {
        if let What::Wipe(remote) | What::Rollback { remote, .. } = step.what {
            gone.insert(remote);
        }
    }
    // As many as may be lost are lost in the end, or none.
    while gone.len() < plan.redundancy.tolerated() && random.chance(0.7) {
        gone.insert(random.below(plan.remotes as u64) as usize);
    }
    let mut left = Vec::new();
    for (position, store) in shared.world.stores.iter().enumerate() {
        let set_back = plan.steps.iter().any(|s| matches!(s.what, What::Rollback { remote, .. } if remote == position));
        let away = gone.contains(&position) && !(set_back && random.chance(0.5));
        if let Some(faults) = shared.world.faults.get(position) {
            faults.set_lost(away || lost.contains(&position));
        }
        if !away && !lost.contains(&position) {
            left.extend(marker(store).map(|id| (id, store.clone())));
        }
    }
    shared.witness.line(format!("in the end these remotes are lost: {gone:?}"));
    let fresh = shared.world.open(shared.pool).await?;
    let commits: BTreeMap<CommitName, Commit> = left.iter().flat_map(|(_, store)| commits_in(store)).collect();
    let merged = merge(&commits);
    let compressed = merged.chunks.values().filter(|chunk| chunk.compression.is_some()).count();
    if compressed > 0 {
        shared.witness.line(format!("in the end {compressed} chunks are compressed"));
    }
    shows_the_journal(shared, &fresh, &merged)?;
    shared.witness.check_shown("a new machine", u64::MAX, true, None, |path| fresh.entry(path))?;
    let mut files = 0;
    for entry in merged.live.values().filter(|entry| !entry.content.is_directory()) {
        files += 1;
        read_back(shared, options, &fresh, &merged, &left, entry, false).await?;
    }
    if options.care && !options.blurred {
        super::mend::mend(shared, &fresh, &merged, &left, random.chance(0.5)).await?;
        // All that could be read can still be.
        let commits: BTreeMap<CommitName, Commit> = left.iter().flat_map(|(_, store)| commits_in(store)).collect();
        let mended = merge(&commits);
        for entry in merged.live.values().filter(|entry| readable(&merged, &left, &entry.content)) {
            if !mended.live.get(&entry.path).is_some_and(|now| readable(&mended, &left, &now.content)) {
                shared.witness.broken("9 (what can be mended is mended)", format!("{} is lost by it", entry.path));
            }
        }
        for entry in mended.live.values().filter(|entry| !entry.content.is_directory()) {
            read_back(shared, options, &fresh, &mended, &left, entry, true).await?;
        }
    }
    Ok(files)
}

/// The index must say what the commits say that are left.
fn shows_the_journal(shared: &Shared, fresh: &Pool, merged: &Merged) -> Result<()> {
    let mut shown = BTreeMap::new();
    fresh.walk(&crate::path::PoolPath::root(), |entry| {
        shown.insert(entry.path.clone(), entry);
        Ok(())
    })?;
    if shown != merged.live {
        let differ = |(path, entry): (&crate::path::PoolPath, &Entry)| merged.live.get(path) != Some(entry);
        let wrong: Vec<String> = shown.iter().filter(|e| differ(*e)).map(|(path, _)| path.to_string()).collect();
        let missing: Vec<String> =
            merged.live.keys().filter(|path| !shown.contains_key(path)).map(ToString::to_string).collect();
        let what = format!("a new machine shows {wrong:?} wrongly and lacks {missing:?}");
        shared.witness.broken("4 (the state is before or after, never between)", what);
    }
    Ok(())
}

async fn read_back(
    shared: &Shared,
    options: &Options,
    fresh: &std::sync::Arc<Pool>,
    merged: &Merged,
    left: &Left,
    entry: &Entry,
    mended: bool,
) -> Result<()> {
    let readable = readable(merged, left, &entry.content);
    if shared.witness.is_acknowledged(&entry.path, entry.stamp) && !options.blurred {
        let why = misplaced(shared, merged, left, &entry.content, mended);
        if let Some(why) = why {
            let what = format!("{} was acknowledged, and {why}", entry.path);
            shared.witness.broken("1 (an acknowledged file outlives what its layout tolerates)", what);
        }
    }
    let mut out = Vec::new();
    let read = fresh.read_to(&entry.path, None, &mut out, &crate::Monitor::default()).await;
    match read {
        Ok(_) if out == content_of(entry)? => {}
        Ok(_) => shared.witness.broken("2 (the written bytes or an error)", format!("{} reads wrongly", entry.path)),
        Err(error) if readable => {
            let what = format!("{}: all it takes is there, and: {error}", entry.path);
            shared.witness.broken("1 (an acknowledged file outlives what its layout tolerates)", what);
        }
        Err(_) => {}
    }
    Ok(())
}

/// Whether enough whole shards of each chunk lie on the remotes that are left.
fn readable(merged: &Merged, left: &Left, content: &Content) -> bool {
    content.extents().iter().all(|extent| {
        merged.chunks.get(&extent.chunk).is_some_and(|chunk| {
            let whole: BTreeSet<u8> =
                chunk.shards.iter().filter(|p| is_whole(chunk, left, p)).map(|p| p.index).collect();
            whole.len() >= usize::from(chunk.layout.data)
        })
    })
}

/// What is wrong with where the shards of an acknowledged file lie. Once the rest is `mended`, there may be fewer
/// remotes than shards.
fn misplaced(shared: &Shared, merged: &Merged, left: &Left, content: &Content, mended: bool) -> Option<String> {
    for extent in content.extents() {
        let Some(chunk) = merged.chunks.get(&extent.chunk) else {
            return Some(format!("the record of its chunk {} is gone", extent.chunk));
        };
        if chunk.shards.len() != chunk.layout.objects() {
            return Some(format!(
                "{} places of its chunk {} are known, of {}",
                chunk.shards.len(),
                extent.chunk,
                chunk.layout.objects()
            ));
        }
        let is_here = |id: RemoteId| left.iter().any(|(other, _)| *other == id) && !shared.witness.was_set_back(id);
        let mut here = chunk.shards.iter().filter(|place| is_here(place.remote));
        if let Some(place) = here.find(|place| !is_whole(chunk, left, place)) {
            return Some(format!("a shard is not where its record says: {} {place:?}", chunk.chunk));
        }
        // On a remote each, unless too few took a shard when it was stored.
        let remotes: BTreeSet<RemoteId> = chunk.shards.iter().map(|place| place.remote).collect();
        let willing = shared.slots.len() - shared.witness.troubled_before(chunk.chunk).len();
        let apart = chunk.layout.objects().min(willing);
        if remotes.len() < apart && !mended {
            return Some(format!("its shards lie on {} remotes when {apart} took some", remotes.len()));
        }
    }
    None
}

pub(super) fn is_whole(chunk: &ChunkRecord, left: &Left, place: &crate::journal::record::Place) -> bool {
    let name = format!("data/{}/{}.{}.{}", chunk.chunk.directory(), chunk.chunk, place.index, place.nonce);
    let size = chunk.layout.shard_size(chunk.stored, usize::from(place.index));
    let disk = left.iter().find(|(id, _)| *id == place.remote);
    disk.and_then(|(_, store)| store.object(&name)).is_some_and(|bytes| bytes.len() as u64 == size)
}
