//! What must stay, held against the collector of the simulation, which works from the commits alone.

use std::collections::BTreeSet;

use super::generate::Generator;
use super::{NOW, SEEDS, applied, path, reference};
use crate::env::Moment;
use crate::id::ChunkId;
use crate::index::{Index, Keep, Kept, Killer, Mark};
use crate::journal::Rules;
use crate::journal::commit::Commit;
use crate::journal::record::{Content, Deleted, Record};
use crate::testing::sim;

fn keep(trash_ms: u64) -> Keep {
    Keep { now: NOW, trash_ms, upload_ms: u64::MAX, shadow: true }
}

fn live(index: &Index, keep: &Keep) -> BTreeSet<ChunkId> {
    index.census(keep, |census| Ok(census.live.iter().copied().collect())).unwrap()
}

#[test]
fn what_must_stay_is_what_the_commits_say() {
    let (mut condemned, mut trashed) = (0, 0);
    for seed in 0..SEEDS {
        let commits = Generator::new(seed).history(40);
        let merged = reference(&commits);
        let index = applied(&commits);
        let wanted = sim::live(&merged, Rules::default());
        let found = live(&index, &keep(0));
        assert_eq!(found, wanted, "seed {seed}");
        condemned += wanted.iter().filter(|chunk| merged.marks.get(chunk) == Some(&Mark::Condemned)).count();
        // With a trash, of all versions that are not void those too which no purging deletion kills.
        let mut more = wanted;
        for (path, versions) in &merged.versions {
            let deleted = index.deleted(path).unwrap();
            let void = |entry: &&crate::journal::record::Entry| {
                entry.content.extents().iter().any(|x| merged.marks.get(&x.chunk) == Some(&Mark::Dropped))
            };
            for (at, version) in versions.iter().enumerate().filter(|(_, version)| !void(version)) {
                let again = versions.iter().skip(at + 1).filter(|v| !void(v)).any(|v| v.stamp == version.stamp);
                let purged = deleted.as_ref().is_some_and(|d| d.purge && version.stamp <= d.of);
                if !again && !purged {
                    more.extend(version.content.extents().iter().map(|x| x.chunk));
                }
            }
        }
        let found = live(&index, &keep(1));
        assert_eq!(found, more, "seed {seed}, with a trash");
        trashed += found.len();
    }
    assert!(condemned > 0 && trashed > 0);
}

/// One path, its versions made and seen one after another.
fn story(records: &[Record]) -> Index {
    let index = Index::in_memory().unwrap();
    for (n, record) in records.iter().enumerate() {
        let commit = Commit::new(crate::id::PoolId(7), vec![record.clone()]);
        let (name, _) = commit.encode().unwrap();
        let seen = Moment { wall_ms: 0, boot_id: 1, boot_ms: 10 * (n as u64 + 1) };
        index.apply([(&name, &commit)], &seen).unwrap();
    }
    index
}

fn fates(index: &Index, boot_ms: u64, trash_ms: u64) -> Vec<Option<Kept>> {
    let keep = Keep { now: Moment { wall_ms: 0, boot_id: 1, boot_ms }, ..keep(trash_ms) };
    index.lots(&keep, &path("/f")).unwrap().into_iter().map(|lot| lot.kept).collect()
}

fn at(boot_ms: u64) -> Moment {
    Moment { wall_ms: 0, boot_id: 1, boot_ms }
}

#[test]
fn a_version_stays_for_the_time_since_it_was_killed() {
    let mut generator = Generator::new(1);
    let entry = |generator: &mut Generator| {
        let Record::Entry(entry) = generator.inline("/f", 3) else { panic!() };
        entry
    };
    let (first, second) = (entry(&mut generator), entry(&mut generator));
    assert!(first.stamp < second.stamp && matches!(first.content, Content::Inline { .. }));
    let kills = |of, purge, generator: &mut Generator| {
        Record::Deleted(Deleted { path: path("/f"), stamp: generator.stamp(), of, purge })
    };
    // Seen at 10, 20 and 30.
    let index = story(&[
        Record::Entry(first.clone()),
        Record::Entry(second.clone()),
        kills(second.stamp, false, &mut generator),
    ]);
    let deleted = Some(Kept::Trashed(Killer::Deleted, at(30)));
    let overwritten = Some(Kept::Trashed(Killer::Overwritten, at(20)));
    assert_eq!(fates(&index, 30, 100), [deleted, overwritten]);
    assert_eq!(fates(&index, 119, 100), [deleted, overwritten]);
    assert_eq!(fates(&index, 120, 100), [deleted, None]);
    assert_eq!(fates(&index, 130, 100), [None, None]);
    assert_eq!(fates(&index, 30, 0), [None, None]);
    let index =
        story(&[Record::Entry(first.clone()), Record::Entry(second.clone()), kills(first.stamp, true, &mut generator)]);
    assert_eq!(fates(&index, 30, 100), [Some(Kept::Shown), None], "purged");
}

/// What is asked once per version must not go through all of them: a large pool would never be done.
#[test]
fn one_path_is_found_without_going_through_the_others() {
    let index = story(&[]);
    let connection = index.lock();
    let plan = format!("EXPLAIN QUERY PLAN {} WHERE v.path = '/f'", super::super::live::VERSIONS);
    let mut statement = connection.prepare(&plan).unwrap();
    let steps = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
    let steps: Vec<String> = steps.map(Result::unwrap).collect();
    assert!(steps.len() > 3 && steps.iter().all(|step| !step.starts_with("SCAN")), "{steps:#?}");
}
