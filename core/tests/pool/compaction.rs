//! Merging small commits: what is deleted, when, and that nothing is lost with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use rclonepool_core::Pool;
use rclonepool_core::journal::Limits;
use rclonepool_core::remote::memory::MemoryStore;
use rclonepool_core::remote::wrap::Verb;
use rclonepool_core::testing::world::World;

use crate::{content, get, half_done, is_commit, names, put, put_directory, scripted};

/// Compacts until nothing is left to merge.
async fn compact(pool: &Pool) -> usize {
    let mut merged = 0;
    while pool.journal().compact().await.unwrap().is_some() {
        merged += 1;
        assert!(merged < 50, "compaction does not come to an end");
    }
    merged
}

fn commits(world: &World, remote: usize) -> usize {
    world.stores[remote].names().iter().filter(|name| name.contains("/commits/")).count()
}

async fn world(redundancy: &str, seed: u64) -> (World, rclonepool_core::id::PoolId) {
    let mut world = World::new(4, redundancy.parse().unwrap(), 100_000, seed);
    world.limits = Limits { compact_from: 4, part_bytes: 2_000 };
    let id = world.init().await.unwrap();
    (world, id)
}

#[tokio::test]
async fn many_commits_become_few_and_say_the_same() {
    let (world, id) = world("parity:2+1", 1).await;
    let pool = world.open(id).await.unwrap();
    for n in 0..40 {
        put(&pool, &format!("/d/{n}"), &content(n, 100 * n as usize)).await.unwrap();
    }
    assert!(compact(&pool).await > 0);
    for remote in 0..4 {
        assert!(commits(&world, remote) < 15, "{} commits are left", commits(&world, remote));
    }
    let other = world.open(id).await.unwrap();
    assert_eq!(names(&other, "/d").len(), 40);
    assert_eq!(get(&other, "/d/39").await.unwrap(), content(39, 3900));
    // Who knew the inputs learns that they are superseded, and misses nothing.
    assert!(pool.sync().await.unwrap().complete);
}

/// An operation of several commits, large parts and a small end: without its closing commit its parts would
/// wait for ever.
#[tokio::test]
async fn an_operation_in_parts_outlives_compaction() {
    let (mut world, id) = world("none", 2).await;
    world.limits.part_bytes = 200_000;
    let pool = world.open(id).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    for n in 0..60 {
        std::fs::write(dir.path().join(n.to_string()), content(n, 3500)).unwrap();
    }
    let before = commits(&world, 0);
    assert_eq!(put_directory(&pool, dir.path(), "/from").await.unwrap().files, 60);
    assert_eq!(commits(&world, 0), before + 2, "the upload was to be split in two");
    for n in 0..20 {
        put(&pool, &format!("/more/{n}"), &content(n, 10)).await.unwrap();
    }
    assert!(compact(&pool).await > 0);
    let other = world.open(id).await.unwrap();
    assert_eq!((names(&other, "/from").len(), names(&other, "/more").len()), (60, 20));
    assert_eq!(get(&other, "/from/7").await.unwrap(), content(7, 3500));
}

/// A commit that is damaged on the only remote that took it can never be read: it was never acknowledged.
#[tokio::test]
async fn a_commit_that_nobody_can_read_does_not_block_for_ever() {
    let (world, id) = world("none", 3).await;
    half_done(&world, id, async |pool| drop(put(pool, "/never", &content(1, 10)).await.unwrap_err())).await;
    let name = world.stores[0]
        .names()
        .into_iter()
        .find(|name| name.contains("/commits/") && world.stores[1..].iter().all(|store| store.object(name).is_none()));
    world.stores[0].flip(&name.unwrap(), 20);
    let pool = world.open(id).await.unwrap();
    for n in 0..20 {
        assert!(!put(&pool, &format!("/{n}"), &content(n, 10)).await.unwrap().stale);
    }
    assert!(compact(&pool).await > 0);
    let view = pool.sync().await.unwrap();
    assert!(view.notes.iter().any(|note| note.contains("cannot be read")), "{:?}", view.notes);
}

/// What one remote alone says is not merged away on its word.
#[tokio::test]
async fn nothing_is_merged_on_the_word_of_an_absent_remote() {
    let (world, id) = world("replication:2", 4).await;
    half_done(&world, id, async |pool| drop(put(pool, "/never", &content(1, 10)).await.unwrap_err())).await;
    let mut asleep = world;
    asleep.rules.anti_entropy = false;
    let pool = asleep.open(id).await.unwrap();
    for n in 0..20 {
        put(&pool, &format!("/{n}"), &content(n, 10)).await.unwrap();
    }
    asleep.faults[0].set_offline(true);
    assert!(pool.sync().await.unwrap().complete);
    assert_eq!(compact(&pool).await, 0);
    asleep.faults[0].set_offline(false);
    assert!(compact(&pool).await > 0);
    let other = asleep.open(id).await.unwrap();
    assert_eq!(get(&other, "/never").await.unwrap(), content(1, 10));
}

fn commit_names(world: &World, remote: usize) -> Vec<String> {
    world.stores[remote].names().into_iter().filter(|name| name.contains("/commits/")).collect()
}

/// An input is deleted where its result lies, not elsewhere; what stays goes with a later compaction.
#[tokio::test]
async fn what_one_compaction_leaves_behind_goes_with_the_next() {
    let (world, id) = world("parity:2+1", 5).await;
    let (pool, script) = scripted(&world, id).await;
    for n in 0..12 {
        put(&pool, &format!("/{n}"), &content(n, 10)).await.unwrap();
    }
    pool.journal().settle(std::time::Duration::MAX).await;
    let before = commit_names(&world, 0);
    let full = world.faults[0].clone();
    script.before(is_commit, async move { full.set_full(true) });
    assert!(pool.journal().compact().await.unwrap().is_some());
    assert_eq!(script.left(), 0);
    assert_eq!(commit_names(&world, 0), before, "the first remote could not take the result");
    assert!(commits(&world, 1) < before.len());

    // A machine that never heard of it finds what is left.
    world.faults[0].set_full(false);
    let other = world.open(id).await.unwrap();
    for n in 0..12 {
        put(&other, &format!("/more/{n}"), &content(n, 10)).await.unwrap();
    }
    other.journal().settle(std::time::Duration::MAX).await;
    assert!(compact(&other).await > 0);
    for remote in 0..4 {
        assert_eq!(commit_names(&world, remote), commit_names(&world, 1));
    }
    let fresh = world.open(id).await.unwrap();
    assert_eq!((names(&fresh, "/").len(), names(&fresh, "/more").len()), (13, 12));
}

/// Another disk lies in a remote's place while the merged commit goes there and is read back: what it stands
/// for must stay on the remote itself.
#[tokio::test]
async fn inputs_stay_where_the_result_went_to_another_disk() {
    for back_at in [Verb::List, Verb::Delete] {
        let (world, id) = world("replication:2", 5).await;
        let pool = world.open(id).await.unwrap();
        for n in 0..20 {
            put(&pool, &format!("/{n}"), &content(n, 10)).await.unwrap();
        }
        pool.journal().settle(Duration::from_secs(9)).await;
        let (compactor, script) = scripted(&world, id).await;
        let (own, other, away) = (world.stores[3].clone(), MemoryStore::default(), Arc::new(AtomicBool::new(false)));
        let (disk, under, is_away) = (own.clone(), other.clone(), away.clone());
        let merged = |label: &str, verb, name: &str| label == "m3:" && is_commit(label, verb, name);
        script.before(merged, async move {
            disk.swap(&under);
            is_away.store(true, Relaxed);
        });
        let (disk, under, is_away) = (own.clone(), other.clone(), away.clone());
        let back = move |label: &str, verb, _: &str| label == "m3:" && verb == back_at && is_away.load(Relaxed);
        script.before(back, async move { disk.swap(&under) });
        assert!(compactor.journal().compact().await.unwrap().is_some());
        assert!(away.load(Relaxed));
        if script.left() > 0 {
            own.swap(&other);
        }
        // Whoever reaches that remote only misses nothing.
        world.faults[..3].iter().for_each(|faults| faults.set_offline(true));
        assert_eq!(names(&world.open(id).await.unwrap(), "/").len(), 20, "the disk was back at {back_at:?}");
    }
}
