//! A collector of what nobody refers to, by the rules of the format and nothing else: it reads the
//! commits themselves and merges them by the second merge, so that it shares no mistake with the index.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::error::Result;
use crate::id::{ChunkId, Stamp};
use crate::index::Mark;
use crate::journal::commit::{Commit, CommitName};
use crate::journal::read::read_commit;
use crate::journal::record::{Condemned, Dropped, Record};
use crate::journal::{Journal, Rules, View};
use crate::remote::list_whole;
use crate::testing::history::shard_name;
use crate::testing::reference::{Merged, merge};

/// Condemns what nobody refers to, waits, looks again, drops and deletes it.
///
/// # Errors
/// Those of the index. Trouble with remotes ends the attempt with words.
pub async fn collect(journal: &Journal, data_prefix: &str, grace: Duration) -> Result<String> {
    let Some(view) = journal.settled_view().await? else { return Ok("not settled".into()) };
    let Some(merged) = merged(journal, &view).await else { return Ok("a commit could not be read".into()) };
    let live = live(&merged, journal.rules());
    let mut garbage: BTreeSet<ChunkId> = merged.chunks.keys().copied().collect();
    garbage.extend(objects(journal, &view, data_prefix).await.into_iter().map(|(_, _, chunk)| chunk));
    garbage.retain(|chunk| !live.contains(chunk) && merged.marks.get(chunk) != Some(&Mark::Dropped));
    let new = garbage.iter().filter(|chunk| !merged.marks.contains_key(chunk));
    let condemned: Vec<Record> =
        new.map(|chunk| Record::Condemned(Condemned { chunk: *chunk, stamp: Stamp::ZERO })).collect();
    let count = condemned.len();
    if count > 0 && !on_quorum(journal, &view, condemned).await? {
        return Ok("the condemnation reached too few remotes".into());
    }
    tokio::time::sleep(grace).await;
    let Some(view) = journal.settled_view().await? else { return Ok(format!("condemned {count}; not settled")) };
    let Some(merged) = self::merged(journal, &view).await else { return Ok("a commit could not be read".into()) };
    let rules = journal.rules();
    let live = if rules.look_before_drop { self::live(&merged, rules) } else { live };
    let condemned = |chunk: &ChunkId| merged.marks.contains_key(chunk);
    let dead: Vec<ChunkId> = garbage.into_iter().filter(|c| !live.contains(c) && condemned(c)).collect();
    let new = dead.iter().filter(|chunk| merged.marks.get(chunk) != Some(&Mark::Dropped));
    let dropped: Vec<Record> =
        new.map(|chunk| Record::Dropped(Dropped { chunk: *chunk, stamp: Stamp::ZERO, object: None })).collect();
    if !dropped.is_empty() && !on_quorum(journal, &view, dropped).await? {
        return Ok("the drop reached too few remotes".into());
    }
    let mut deleted = 0;
    for (remote, name, chunk) in objects(journal, &view, data_prefix).await {
        if dead.contains(&chunk) && remote.delete(&name).await.is_ok() {
            deleted += 1;
        }
    }
    Ok(format!("condemned {count}, dropped {}, deleted {deleted}", dead.len()))
}

/// Commits marks; they count as made when W remotes hold them.
async fn on_quorum(journal: &Journal, view: &View, records: Vec<Record>) -> Result<bool> {
    match journal.commit(view, records).await {
        Ok(receipt) => Ok(!receipt.stale),
        Err(_) => Ok(false),
    }
}

/// All commits of a view, read from the remotes.
async fn merged(journal: &Journal, view: &View) -> Option<Merged> {
    let handles = journal.handles(view);
    let mut commits: Vec<(CommitName, Commit)> = Vec::new();
    let names: BTreeSet<CommitName> = view.held.values().flatten().copied().collect();
    for name in names {
        match read_commit(&handles, &view.held, journal.manifest_prefix(), &name).await {
            Ok((commit, _)) => commits.push((name, commit)),
            Err(_) if !journal.rules().unreadable_blocks => {}
            Err(_) => return None,
        }
    }
    Some(merge(commits.iter().map(|(name, commit)| (name, commit))))
}

/// The chunks somebody refers to. A version whose chunk is condemned shadows nothing: the next older one
/// counts too, down to the first without such a chunk.
pub(crate) fn live(merged: &Merged, rules: Rules) -> BTreeSet<ChunkId> {
    let mut live = BTreeSet::new();
    for (path, versions) in &merged.versions {
        for version in versions.iter().rev() {
            if merged.deleted.get(path).is_some_and(|of| version.stamp <= *of) {
                break;
            }
            let chunks: Vec<ChunkId> = version.content.extents().iter().map(|e| e.chunk).collect();
            let marked = |mark: Mark| chunks.iter().any(|chunk| merged.marks.get(chunk) == Some(&mark));
            if marked(Mark::Dropped) {
                continue;
            }
            live.extend(&chunks);
            if !marked(Mark::Condemned) || !rules.shadow {
                break;
            }
        }
    }
    live.extend(&merged.uploads);
    live
}

/// The shard objects on the remotes of a view.
async fn objects(
    journal: &Journal,
    view: &View,
    data_prefix: &str,
) -> Vec<(crate::remote::SharedRemote, String, ChunkId)> {
    let mut found = Vec::new();
    for (_, remote) in journal.handles(view) {
        for object in list_whole(remote.as_ref(), data_prefix).await.unwrap_or_default() {
            if let Some((chunk, _)) = shard_name(&object.name) {
                found.push((remote.clone(), object.name, chunk));
            }
        }
    }
    found
}
