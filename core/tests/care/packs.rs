//! Packs that are mostly garbage are written anew, while everybody goes on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rclonepool_core::id::{ChunkId, PoolId};
use rclonepool_core::index::Index;
use rclonepool_core::pool::care::EmptyOptions;
use rclonepool_core::pool::{DeleteOptions, UploadOptions};
use rclonepool_core::remote::wrap::Verb;
use rclonepool_core::testing::fault::Crash;
use rclonepool_core::testing::world::World;
use rclonepool_core::{Monitor, Pool};

use crate::{DAY, assert_whole, chunks, content, gc, get, objects, objects_of, path, put, scripted};

const FILES: u64 = 20;
const SIZE: usize = 16_384;

fn name(n: u64) -> String {
    format!("/d/{n:02}")
}

/// A pool with one pack of twenty files.
async fn stage(mode: &str, trash_hours: u64) -> (World, PoolId, Arc<Pool>) {
    let mut world = World::new(4, mode.parse().unwrap(), 400_000, 5);
    world.settings.trash_hours = trash_hours;
    let id = world.init().await.unwrap();
    let pool = world.open(id).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    for n in 0..FILES {
        std::fs::write(dir.path().join(format!("{n:02}")), content(n, SIZE)).unwrap();
    }
    let sources = [(dir.path().to_owned(), path("/d"))];
    pool.upload_all(&sources, &UploadOptions::default(), &Monitor::default()).await.unwrap();
    assert_eq!(packs(&pool, 0..FILES).await.len(), 1);
    (world, id, pool)
}

async fn packs(pool: &Pool, files: std::ops::Range<u64>) -> BTreeSet<ChunkId> {
    let mut found = BTreeSet::new();
    for n in files {
        found.extend(chunks(pool, &name(n)).await);
    }
    found
}

async fn delete(pool: &Pool, files: std::ops::Range<u64>, purge: bool) {
    for n in files {
        pool.delete_with(&path(&name(n)), &DeleteOptions { purge, ..DeleteOptions::default() }).await.unwrap();
    }
}

async fn assert_files(pool: &Arc<Pool>, files: std::ops::Range<u64>) {
    for n in files {
        assert_eq!(get(pool, &name(n)).await.unwrap(), content(n, SIZE), "{n}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_a_pack_moves_and_the_pack_goes() {
    for mode in ["none", "parity:2+1", "hybrid:2+1x2"] {
        let (world, id, pool) = stage(mode, 0).await;
        let old: Vec<ChunkId> = packs(&pool, 0..1).await.into_iter().collect();
        delete(&pool, 10..FILES, true).await;
        assert_eq!(pool.plan_repack().unwrap().packs, 0, "half of it is needed");
        assert_eq!(gc(&pool).await.unwrap().repacked, 0);
        delete(&pool, 8..10, true).await;
        let plan = pool.plan_repack().unwrap();
        assert_eq!((plan.packs, plan.copied, plan.unneeded), (1, 8 * SIZE as u64, 12 * SIZE as u64), "{mode}");
        let before = pool.entry(&path(&name(3))).unwrap().unwrap();
        let report = gc(&pool).await.unwrap();
        assert_eq!((report.repacked, report.copied, report.marked), (1, 8 * SIZE as u64, 1), "{mode}: {report:?}");
        let after = pool.entry(&path(&name(3))).unwrap().unwrap();
        assert_eq!((after.stamp, after.mtime_ns, after.rev), (before.stamp, before.mtime_ns, before.rev + 1));
        let new: Vec<ChunkId> = packs(&pool, 0..8).await.into_iter().collect();
        assert_eq!(new.len(), 1);
        assert_ne!(new, old);
        assert_files(&pool, 0..8).await;
        world.pass(DAY);
        assert_eq!(gc(&pool).await.unwrap().dropped, 1, "{mode}");
        assert_eq!((objects_of(&world, &old), objects(&world)), (0, objects_of(&world, &new)), "{mode}");
        let other = world.open(id).await.unwrap();
        assert_files(&other, 0..8).await;
        assert_whole(&world, &other, &name(0)).await;
        assert_eq!(gc(&other).await.unwrap().repacked, 0, "once");
    }
}

#[tokio::test(start_paused = true)]
async fn several_sparse_packs_become_one() {
    let (world, id, pool) = stage("parity:2+1", 0).await;
    let upload = async |n: u64| {
        let all = (0..FILES).map(|m| {
            let pool = pool.clone();
            async move { put(&pool, &format!("/{n}/{m:02}"), &content(100 * n + m, SIZE)).await }
        });
        futures_util::future::join_all(all).await;
    };
    for n in [1, 2] {
        upload(n).await;
        for m in 4..FILES {
            pool.delete(&path(&format!("/{n}/{m:02}")), false).await.unwrap();
        }
    }
    delete(&pool, 5..FILES, false).await;
    let report = gc(&pool).await.unwrap();
    assert_eq!((report.repacked, report.copied), (3, 13 * SIZE as u64), "{report:?}");
    let other = world.open(id).await.unwrap();
    let mut new = packs(&other, 0..5).await;
    new.extend(chunks(&other, "/1/00").await.into_iter().chain(chunks(&other, "/2/03").await));
    assert_eq!(new.len(), 1);
    assert_files(&other, 0..5).await;
    assert_eq!(get(&other, "/2/03").await.unwrap(), content(203, SIZE));
}

/// What lies in the trash is needed, and moves along.
#[tokio::test(start_paused = true)]
async fn the_trash_counts_and_is_restored_from_the_new_pack() {
    let (world, id, pool) = stage("parity:2+1", 72).await;
    delete(&pool, 8..FILES, false).await;
    assert_eq!(gc(&pool).await.unwrap().repacked, 0, "all of it can be restored");
    delete(&pool, 0..2, false).await;
    for n in 8..FILES {
        let only = EmptyOptions { path: Some(path(&name(n))), ..EmptyOptions::default() };
        pool.empty_trash(&only).await.unwrap();
    }
    let report = gc(&pool).await.unwrap();
    assert_eq!((report.repacked, report.copied), (1, 8 * SIZE as u64), "six shown, two in the trash");
    assert_eq!(pool.trash(None).unwrap().len(), 2, "moved within the trash");
    world.pass(DAY);
    assert_eq!(gc(&pool).await.unwrap().dropped, 1);
    let other = world.open(id).await.unwrap();
    other.restore(&path(&name(1)), None, None).await.unwrap();
    assert_files(&other, 1..8).await;
}

/// Another machine deletes, overwrites and moves while the new pack is on its way: what it did counts.
#[tokio::test(start_paused = true)]
async fn what_others_do_meanwhile_counts() {
    let (world, id, first) = stage("parity:2+1", 0).await;
    let old: Vec<ChunkId> = packs(&first, 0..1).await.into_iter().collect();
    delete(&first, 6..FILES, true).await;
    let (pool, script) = scripted(&world, id).await;
    let other = world.open(id).await.unwrap();
    let busy = other.clone();
    script.before(|_, verb, name| verb == Verb::Put && name.starts_with("data/"), async move {
        busy.delete(&path(&name(0)), false).await.unwrap();
        put(&busy, &name(1), &content(501, 10_000)).await;
        busy.rename(&path(&name(2)), &path("/moved"), false).await.unwrap();
    });
    let late = other.clone();
    // And one that has not seen the revision when it moves.
    script.before(is_commit, async move {
        late.rename(&path(&name(3)), &path("/late"), false).await.unwrap();
    });
    assert_eq!(gc(&pool).await.unwrap().copied, 6 * SIZE as u64);
    assert_eq!(script.left(), 0);
    for _ in 0..4 {
        for machine in [&pool, &other, &world.open(id).await.unwrap()] {
            machine.sync().await.unwrap();
            assert!(machine.entry(&path(&name(0))).unwrap().is_none());
            assert_eq!(get(machine, &name(1)).await.unwrap(), content(501, 10_000));
            assert_eq!(get(machine, "/moved").await.unwrap(), content(2, SIZE));
            assert_eq!(get(machine, "/late").await.unwrap(), content(3, SIZE));
            assert_files(machine, 4..6).await;
        }
        gc(&pool).await.unwrap();
        world.pass(DAY);
    }
    assert_eq!(objects_of(&world, &old), 0, "in the end nobody needs it");
}

fn is_commit(_: &str, verb: Verb, name: &str) -> bool {
    verb == Verb::Put && name.contains("/commits/")
}

#[tokio::test(start_paused = true)]
async fn two_machines_pack_at_once() {
    let (world, id, pool) = stage("parity:2+1", 0).await;
    delete(&pool, 5..FILES, true).await;
    let other = world.open(id).await.unwrap();
    let (a, b) = tokio::join!(gc(&pool), gc(&other));
    a.unwrap();
    b.unwrap();
    for _ in 0..4 {
        world.pass(DAY);
        for machine in [&pool, &other] {
            machine.sync().await.unwrap();
            gc(machine).await.unwrap();
            assert_files(machine, 0..5).await;
        }
    }
    let left: Vec<ChunkId> = packs(&pool, 0..5).await.into_iter().collect();
    assert_eq!(objects(&world), objects_of(&world, &left), "garbage is left");
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_call_loses_nothing() {
    let mut died = 0;
    for call in 1.. {
        let (world, id, pool) = stage("parity:2+1", 0).await;
        delete(&pool, 5..FILES, true).await;
        pool.journal().settle(Duration::MAX).await;
        drop(pool);
        let (env, index, crash) = (world.machine(), Arc::new(Index::in_memory().unwrap()), Crash::never());
        let dying = world.open_as(id, env.clone(), &crash, index.clone()).await.unwrap();
        crash.arm(call);
        let done = gc(&dying).await;
        let happened = crash.happened();
        drop(dying);
        assert_files(&world.open(id).await.unwrap(), 0..5).await;
        let next = world.open_as(id, env, &Crash::never(), index).await.unwrap();
        for _ in 0..4 {
            gc(&next).await.unwrap_or_else(|e| panic!("call {call}: {e}"));
            world.pass(DAY);
            assert_files(&next, 0..5).await;
        }
        let left: Vec<ChunkId> = packs(&next, 0..5).await.into_iter().collect();
        assert_eq!((left.len(), objects(&world)), (1, objects_of(&world, &left)), "call {call}: garbage is left");
        if !happened {
            assert_eq!(done.unwrap().repacked, 1);
            break;
        }
        died += 1;
    }
    assert!(died > 15, "only {died} calls");
}

/// A damaged pack is not spread: what cannot be read, verified, stays where it is, and the rest of the pool is freed.
#[tokio::test(start_paused = true)]
async fn a_pack_that_cannot_be_read_stays() {
    let (world, _, pool) = stage("none", 0).await;
    put(&pool, "/go", &content(77, 300_000)).await;
    delete(&pool, 5..FILES, true).await;
    pool.delete(&path("/go"), false).await.unwrap();
    let shard = crate::shards(&pool, &name(0)).await[0][0].clone();
    assert!(world.stores[crate::at(&shard)].flip(&shard.object, 100));
    let old = packs(&pool, 0..5).await;
    let report = gc(&pool).await.unwrap();
    assert_eq!((report.repacked, report.marked), (0, 1), "{report:?}");
    assert_eq!(packs(&pool, 0..5).await, old);
}
