//! Corrupt copies of commits are no copies, and are put anew by what is known to be right.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rclonepool_core::index::{Damage, Index};
use rclonepool_core::pool::care::{RebuildOptions, RebuildReport, VerifyLevel, VerifyOptions, VerifyReport};
use rclonepool_core::remote::SharedRemote;
use rclonepool_core::remote::wrap::Verb;
use rclonepool_core::testing::fault::Crash;
use rclonepool_core::testing::record::{RecordLog, RecordRemote};
use rclonepool_core::testing::world::World;
use rclonepool_core::{ErrorKind, Monitor, Pool};

use crate::{content, gc, get, made, put};

async fn deep(pool: &Pool) -> VerifyReport {
    let options = VerifyOptions { level: VerifyLevel::Deep, ..VerifyOptions::default() };
    pool.verify(&options, &Monitor::default()).await.unwrap()
}

async fn rebuild(pool: &Arc<Pool>) -> RebuildReport {
    let options = RebuildOptions { all: true, ..RebuildOptions::default() };
    let plan = pool.plan_rebuild(&options, &Monitor::default()).await.unwrap();
    pool.rebuild(&plan, &Monitor::default()).await.unwrap()
}

/// A pool of three with a file, every commit on every remote; and the last commit, its name and its bytes.
async fn settled() -> (World, Arc<Pool>, String, Bytes) {
    let (world, _, pool) = made(3, "parity:2+1", 300_000).await;
    put(&pool, "/f", &content(1, 300_000)).await;
    pool.close().await;
    pool.sync().await.unwrap();
    let name = world.stores[1].names().into_iter().rfind(|name| name.contains("/commits/")).unwrap();
    let good = world.stores[1].object(&name).unwrap();
    world.pass(Duration::from_secs(60));
    (world, pool, name, good)
}

fn flip(world: &World, at: usize, name: &str) {
    assert!(world.stores[at].flip(name, 7));
}

fn is_good(world: &World, name: &str, good: &Bytes) -> Vec<bool> {
    world.stores.iter().map(|store| store.object(name).as_ref() == Some(good)).collect()
}

#[tokio::test]
async fn what_a_deep_verification_finds_is_put_anew_by_a_rebuild() {
    let (world, pool, name, good) = settled().await;
    flip(&world, 1, &name);
    // Nobody knows.
    assert_eq!(rebuild(&pool).await.commits, 0);
    assert_eq!(deep(&pool).await.outcome(), Some(ErrorKind::Corrupt));
    world.pass(Duration::from_secs(60));
    // Known now, it shows without reading.
    let quick = VerifyOptions { level: VerifyLevel::Quick, ..VerifyOptions::default() };
    let report = pool.verify(&quick, &Monitor::default()).await.unwrap();
    let damaged: Vec<_> =
        report.commits.damaged.iter().map(|c| (c.remote.as_str(), c.object.as_str(), c.damage)).collect();
    assert_eq!(damaged, [("m1:", name.as_str(), Damage::Corrupt)]);

    let plan = pool.plan_rebuild(&RebuildOptions::default(), &Monitor::default()).await.unwrap();
    assert_eq!(plan.commits, report.commits.damaged);
    assert_eq!(is_good(&world, &name, &good), [true, false, true], "a plan changes nothing");
    let report = pool.rebuild(&plan, &Monitor::default()).await.unwrap();
    assert_eq!((report.commits, report.commits_failed), (1, 0));
    assert_eq!(is_good(&world, &name, &good), [true; 3]);
    world.pass(Duration::from_secs(60));
    assert_eq!(deep(&pool).await.outcome(), None);
    assert_eq!(rebuild(&pool).await, RebuildReport::default());
}

#[tokio::test]
async fn who_reads_a_corrupt_copy_notes_it_and_care_puts_it_anew() {
    for by_healing in [true, false] {
        let (world, pool, name, good) = settled().await;
        world.stores.iter().take(2).for_each(|store| assert!(store.flip(&name, 7)));
        let fresh = world.open(pool.id()).await.unwrap();
        assert_eq!(get(&fresh, "/f").await.unwrap(), content(1, 300_000));
        let noted: usize = fresh.journal().index().spoiled().unwrap().values().map(|names| names.len()).sum();
        assert!(noted >= 1, "copies are read until one is good");
        assert_eq!(is_good(&world, &name, &good), [false, false, true], "reading changes nothing");
        let view = fresh.sync().await.unwrap();
        assert!(view.complete, "{:?}: nothing is hidden by it", view.lacks);
        if by_healing {
            assert_eq!(fresh.heal_noted(&Monitor::default()).await.unwrap().commits, noted as u64);
        } else {
            gc(&fresh).await.unwrap();
        }
        assert_eq!(is_good(&world, &name, &good).iter().filter(|good| **good).count(), 1 + noted);
        assert!(fresh.journal().index().spoiled().unwrap().is_empty());
    }
}

#[tokio::test]
async fn nothing_rests_on_copies_that_are_corrupt() {
    let (world, pool, name, good) = settled().await;
    gc(&pool).await.unwrap();
    flip(&world, 1, &name);
    flip(&world, 2, &name);
    gc(&pool).await.expect("they look whole");
    assert_eq!(deep(&pool).await.commits.damaged.len(), 2);
    [1, 2].iter().for_each(|at| world.faults[*at].set_read_only(true));
    assert_eq!(gc(&pool).await.unwrap_err().kind(), ErrorKind::Unavailable, "one of three holds it");
    assert_eq!(world.stores[1].object(&name).unwrap().len(), good.len(), "and what cannot be put is not deleted");
    [1, 2].iter().for_each(|at| world.faults[*at].set_read_only(false));
    gc(&pool).await.unwrap();
    assert_eq!(is_good(&world, &name, &good), [true; 3]);
}

#[tokio::test]
async fn without_a_good_copy_no_copy_is_touched() {
    let (world, pool, name, _) = settled().await;
    (0..3).for_each(|at| flip(&world, at, &name));
    let bad = world.stores[0].object(&name);
    assert_eq!(deep(&pool).await.commits.damaged.len(), 3);
    let report = rebuild(&pool).await;
    assert_eq!((report.commits, report.commits_failed), (0, 3));
    assert!(world.stores.iter().all(|store| store.object(&name) == bad));
    assert_eq!(gc(&pool).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(get(&pool, "/f").await.unwrap(), content(1, 300_000), "this machine has read it before");
}

#[tokio::test]
async fn a_copy_that_is_good_after_all_is_left_alone() {
    let (world, pool, name, good) = settled().await;
    let log = Arc::new(RecordLog::default());
    let remotes = world.remotes(&Crash::never());
    let remotes = remotes.into_iter().map(|r| Arc::new(RecordRemote::new(r, log.clone())) as SharedRemote).collect();
    let other = world.open_over(pool.id(), world.machine(), remotes, Index::in_memory().unwrap()).await.unwrap();
    flip(&world, 1, &name);
    deep(&other).await;
    world.stores[1].insert(&name, good.clone());
    log.clear();
    let report = rebuild(&other).await;
    assert_eq!((report.commits, report.commits_failed), (0, 0));
    assert_eq!((log.count(Verb::Delete), log.count(Verb::Put)), (0, 0));
    assert!(other.journal().index().spoiled().unwrap().is_empty());
}

#[tokio::test]
async fn broken_off_at_any_call_it_is_mended_by_the_next() {
    for call in 1.. {
        let (world, pool, name, good) = settled().await;
        flip(&world, 1, &name);
        let crash = Crash::never();
        let index = Arc::new(Index::in_memory().unwrap());
        let breaking = world.open_as(pool.id(), world.machine(), &crash, index.clone()).await.unwrap();
        deep(&breaking).await;
        let options = RebuildOptions::default();
        let plan = breaking.plan_rebuild(&options, &Monitor::default()).await.unwrap();
        crash.arm(call);
        let done = breaking.rebuild(&plan, &Monitor::default()).await;
        let copies = is_good(&world, &name, &good);
        assert!(copies[0] && copies[2], "call {call}");
        if !crash.happened() {
            assert_eq!(done.unwrap().commits, 1);
            assert!(call > 5, "list, read, read, delete, put, read");
            return;
        }
        drop(breaking);
        // The same machine, started again.
        let again = world.open_as(pool.id(), world.machine(), &Crash::never(), index).await.unwrap();
        again.journal().settle(Duration::MAX).await;
        rebuild(&again).await;
        assert_eq!(is_good(&world, &name, &good), [true; 3], "call {call}");
        world.pass(Duration::from_secs(60));
        assert_eq!(deep(&again).await.outcome(), None, "call {call}");
    }
}
