//! The index is a function of the set of commits: held against a second, slow merge.

mod generate;
mod live;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use generate::{Generator, Named};

use super::*;
use crate::env::{Moment, SystemEnv};
use crate::id::{ChunkId, RemoteId};
use crate::journal::Journal;

use crate::journal::record::{Content, Deleted, Entry, Record};
use crate::path::PoolPath;
use crate::testing::fault::SplitMix;
use crate::testing::reference::{Merged, merge};

/// How many random histories each property is held against.
const SEEDS: u64 = 100;
const NOW: Moment = Moment { wall_ms: 1, boot_id: 1, boot_ms: 1 };

/// Everything readers are told, and what the pool keeps on each remote.
fn dump(index: &Index) -> (Merged, BTreeMap<RemoteId, RemoteUse>) {
    let column = |sql: &str| -> Vec<Vec<u8>> {
        let connection = index.lock();
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let text = |sql: &str| -> Vec<PoolPath> {
        let paths = column(&format!("SELECT CAST(path AS BLOB) FROM {sql}"));
        paths.into_iter().map(|path| PoolPath::new(std::str::from_utf8(&path).unwrap()).unwrap()).collect()
    };
    let ids = |sql: &str| -> Vec<ChunkId> {
        column(sql).into_iter().map(|id| ChunkId(u128::from_be_bytes(id.try_into().unwrap()))).collect()
    };
    let merged = Merged {
        live: text("live").into_iter().map(|path| (path.clone(), index.entry(&path).unwrap().unwrap())).collect(),
        chunks: (ids("SELECT chunk FROM chunks").into_iter())
            .map(|id| (id, index.chunk(id).unwrap().unwrap().record))
            .collect(),
        remotes: index.remotes().unwrap().into_iter().map(|r| (r.remote, r)).collect(),
        pool: index.pool().unwrap(),
        marks: index.marks(ids("SELECT chunk FROM marks")).unwrap(),
        deleted: (text("deleted").into_iter())
            .map(|path| (path.clone(), index.deleted(&path).unwrap().unwrap().of))
            .collect(),
        versions: (text("versions GROUP BY path").into_iter())
            .map(|path| (path.clone(), index.versions(&path).unwrap().into_iter().rev().collect()))
            .collect(),
        uploads: ids("SELECT DISTINCT chunk FROM upload_chunks, uploads WHERE NOT ended AND uploads.upload = upload_chunks.upload").into_iter().collect(),
    };
    (merged, index.remote_use().unwrap().into_iter().collect())
}

/// What must not depend on how the journal was compacted: everything but versions that can never count again.
fn shown(merged: &Merged) -> Merged {
    Merged { versions: BTreeMap::new(), ..merged.clone() }
}

fn applied(commits: &[Named]) -> Index {
    let index = Index::in_memory().unwrap();
    index.apply(commits.iter().map(|(name, commit)| (name, commit)), &NOW).unwrap();
    index
}

fn shuffle<T>(items: &mut [T], random: &mut SplitMix) {
    for at in (1..items.len()).rev() {
        items.swap(at, random.below(at as u64 + 1) as usize);
    }
}

fn reference(commits: &[Named]) -> Merged {
    merge(commits.iter().map(|(name, commit)| (name, commit)))
}

#[test]
fn any_order_in_any_batches_twice_and_late_gives_the_state_of_the_format() {
    for seed in 0..SEEDS {
        let mut random = SplitMix(seed);
        let mut commits = Generator::new(seed).history(40);
        let wanted = reference(&commits);
        let (_, usage) = dump(&applied(&commits));
        for _ in 0..3 {
            shuffle(&mut commits, &mut random);
            let index = Index::in_memory().unwrap();
            let mut done: Vec<&Named> = Vec::new();
            let mut rest = &commits[..];
            while !rest.is_empty() {
                let (batch, later) = rest.split_at((1 + random.below(6) as usize).min(rest.len()));
                rest = later;
                // Some that are in already come again.
                let again = done.iter().filter(|_| random.chance(0.1)).copied().collect::<Vec<_>>();
                index.apply(batch.iter().chain(again).map(|(name, commit)| (name, commit)), &NOW).unwrap();
                done.extend(batch);
            }
            let (found, found_usage) = dump(&index);
            assert_eq!(found, wanted, "seed {seed}");
            assert_eq!(found_usage, usage, "seed {seed}: what is kept on each remote");
        }
    }
}

/// A compactor that has seen `known`; gives back its commit for `inputs`.
fn compacted(known: &[Named], inputs: &[Named], pool: crate::id::PoolId) -> Named {
    let index = Arc::new(applied(known));
    let journal = Journal::new(pool, "m", Vec::new(), index, Arc::new(SystemEnv)).unwrap();
    let merged = journal.merge(&inputs.iter().cloned().collect()).unwrap();
    (merged.encode().unwrap().0, merged)
}

/// A random set of whole operations: what a compactor may take.
fn some(commits: &[Named], random: &mut SplitMix) -> Vec<Named> {
    let single = |(_, commit): &&Named| commit.part_of.is_none() && commit.closes.is_empty();
    commits.iter().filter(single).filter(|_| random.chance(0.4)).cloned().collect()
}

#[test]
fn compacting_any_commits_changes_nothing_whatever_comes_later() {
    let mut compactions = 0;
    for seed in 0..SEEDS {
        let mut random = SplitMix(seed ^ 0xc0);
        let mut generator = Generator::new(seed);
        let all = generator.history(40);
        // The compactors have seen different parts; marks they act upon are complete, so both have those.
        let marks = |(_, commit): &Named| commit.records.iter().any(|r| matches!(r, Record::Dropped(_)));
        let mut journal = all.clone();
        let mut gone = BTreeSet::new();
        for _ in 0..3 {
            let known: Vec<Named> = all.iter().filter(|c| marks(c) || random.chance(0.7)).cloned().collect();
            let inputs = some(&known, &mut random);
            if inputs.len() < 2 {
                continue;
            }
            compactions += 1;
            let result = compacted(&known, &inputs, generator.pool);
            gone.extend(inputs.iter().map(|(name, _)| *name));
            journal.push(result.clone());
            if random.chance(0.5) {
                // A compaction of the result, too.
                let mut next = some(&known, &mut random);
                next.push(result.clone());
                let mut known = known;
                known.push(result.clone());
                gone.extend(next.iter().map(|(name, _)| *name));
                journal.push(compacted(&known, &next, generator.pool));
            }
        }
        let wanted = shown(&reference(&all));
        assert_eq!(shown(&reference(&journal)), wanted, "seed {seed}: before anything is deleted");
        // The inputs go, some return with an old remote, and in another order.
        journal.retain(|(name, _)| !gone.contains(name) || random.chance(0.3));
        shuffle(&mut journal, &mut random);
        assert_eq!(shown(&reference(&journal)), wanted, "seed {seed}: inputs deleted");
        assert_eq!(shown(&dump(&applied(&journal)).0), wanted, "seed {seed}: the index, inputs deleted");
    }
    assert!(compactions > SEEDS, "only {compactions} compactions: the test says little");
}

#[test]
fn the_same_inputs_make_the_same_commit_on_every_machine() {
    for seed in 0..20 {
        let mut generator = Generator::new(seed);
        let all = generator.history(30);
        let inputs = some(&all, &mut SplitMix(seed));
        let mut backwards = inputs.clone();
        backwards.reverse();
        let [one, two] = [&inputs, &backwards].map(|inputs| compacted(&all, inputs, generator.pool).0);
        assert_eq!(one, two);
    }
}

/// An operation in parts is compacted whole or not at all: a part alone would wait for a closing commit
/// that is gone, or count without its operation.
#[test]
fn parts_without_their_closing_commit_count_never() {
    for seed in 0..SEEDS {
        let mut random = SplitMix(seed ^ 0xba);
        let all = Generator::new(seed).history(40);
        let some: Vec<Named> = all.into_iter().filter(|_| random.chance(0.6)).collect();
        assert_eq!(dump(&applied(&some)).0, reference(&some), "seed {seed}");
    }
}

fn path(text: &str) -> PoolPath {
    PoolPath::new(text).unwrap()
}

#[test]
fn a_void_version_lets_the_next_older_one_count_whatever_came_first() {
    let mut generator = Generator::new(1);
    let old = generator.chunk_record(1);
    let good = generator.file("/f", 1);
    let new = generator.chunk_record(2);
    let void = generator.file("/f", 2);
    let dropped = generator.dropped(2);
    let commits: Vec<Named> =
        [vec![old, good.clone()], vec![new, void], vec![dropped]].map(|records| generator.commit(records)).into();
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [1, 0, 2]] {
        let index = Index::in_memory().unwrap();
        for at in order {
            index.apply([(&commits[at].0, &commits[at].1)], &NOW).unwrap();
        }
        let Record::Entry(good) = &good else { panic!("a file is an entry") };
        assert_eq!(index.entry(&path("/f")).unwrap().as_ref(), Some(good), "{order:?}");
        assert!(index.chunk(generator.chunk(2)).unwrap().is_none());
    }
}

#[test]
fn maintenance_never_wins_over_a_later_write_of_the_user() {
    let mut generator = Generator::new(2);
    let Record::Entry(written) = generator.inline("/f", 1) else { panic!("an entry") };
    // Care read the version at `written`, and stores it anew after the user wrote again.
    let Record::Entry(rewritten) = generator.inline("/f", 2) else { panic!("an entry") };
    let care = Entry {
        rev: 1,
        content: Content::Inline { sha256: crate::id::Sha256([9; 32]), data: vec![9] },
        ..written.clone()
    };
    let commits: Vec<Named> =
        [written, rewritten.clone(), care.clone()].map(|entry| generator.commit(vec![Record::Entry(entry)])).into();
    assert_eq!(applied(&commits).entry(&path("/f")).unwrap(), Some(rewritten));
    // Of one stamp the higher revision counts, and one deletion kills both.
    let two = [commits[0].clone(), commits[2].clone()];
    assert_eq!(applied(&two).entry(&path("/f")).unwrap(), Some(care.clone()));
    let deleted = Deleted { path: path("/f"), stamp: generator.stamp(), of: care.stamp, purge: false };
    let three = [two.to_vec(), vec![generator.commit(vec![Record::Deleted(deleted)])]].concat();
    assert_eq!(applied(&three).entry(&path("/f")).unwrap(), None);
}

#[test]
fn a_file_beside_a_directory_of_its_name_hides_nothing() {
    let mut generator = Generator::new(3);
    let records: Vec<Record> = ["/a", "/a/b", "/a0", "/a-b", "/c/d/e"].map(|p| generator.inline(p, 1)).into();
    let commits: Vec<Named> = records.into_iter().map(|record| generator.commit(vec![record])).collect();
    let index = applied(&commits);
    let listed = |directory: &str| -> Vec<(String, bool, bool)> {
        let children = index.children(&path(directory)).unwrap();
        children.into_iter().map(|l| (l.path.name().to_owned(), l.entry.is_some(), l.has_children)).collect()
    };
    let all = |name: &str, entry, children| (name.to_owned(), entry, children);
    assert_eq!(
        listed("/"),
        [all("a", true, true), all("a-b", true, false), all("a0", true, false), all("c", false, true)]
    );
    assert_eq!(listed("/a"), [all("b", true, false)]);
    assert_eq!(listed("/c"), [all("d", false, true)]);
    assert_eq!(index.entries_below(&path("/a"), None, 10).unwrap().len(), 1);
    assert_eq!(index.totals().unwrap().0, 5);
}

/// A machine may die in the middle of a merge, or two processes share the file.
#[test]
fn a_merge_that_fails_leaves_the_state_before() {
    let mut generator = Generator::new(4);
    let mut commits = generator.history(20);
    let index = applied(&commits[..10]);
    let before = dump(&index);
    // The row of a commit in the middle of the batch cannot be written.
    let (name, _) = &commits[15];
    let trap = format!(
        "CREATE TRIGGER trap BEFORE INSERT ON commits WHEN NEW.name = '{name}' BEGIN SELECT RAISE(ABORT, 'trap'); END"
    );
    index.lock().execute_batch(&trap).unwrap();
    index.apply(commits[10..].iter().map(|(name, commit)| (name, commit)), &NOW).unwrap_err();
    assert_eq!(dump(&index), before);
    index.lock().execute_batch("DROP TRIGGER trap").unwrap();
    index.apply(commits[10..].iter().map(|(name, commit)| (name, commit)), &NOW).unwrap();
    commits.reverse();
    assert_eq!(dump(&index), dump(&applied(&commits)));
}
