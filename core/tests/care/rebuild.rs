//! Lost and damaged shards come back, whatever happens meanwhile.

use std::sync::Arc;

use bytes::Bytes;
use rclonepool_core::id::Stamp;
use rclonepool_core::index::{Damage, Index};
use rclonepool_core::journal::record::{Condemned, Record};
use rclonepool_core::pool::care::{RebuildOptions, RebuildPlan, RebuildReport};
use rclonepool_core::testing::fault::Crash;
use rclonepool_core::testing::world::World;
use rclonepool_core::{Error, ErrorKind, Monitor, Pool, Result};

use crate::{assert_whole, content, get, path, put, remove, shards, store_of};

const CHUNK: u64 = 200_000;

fn all() -> RebuildOptions {
    RebuildOptions { all: true, ..RebuildOptions::default() }
}

async fn plan(pool: &Arc<Pool>, options: &RebuildOptions) -> RebuildPlan {
    pool.plan_rebuild(options, &Monitor::default()).await.unwrap()
}

async fn rebuild(pool: &Arc<Pool>, options: &RebuildOptions) -> Result<RebuildReport> {
    let plan = pool.plan_rebuild(options, &Monitor::default()).await?;
    pool.rebuild(&plan, &Monitor::default()).await
}

/// A pool with `/f` of `chunks` chunks.
async fn pool_with_file(n: usize, redundancy: &str, chunks: usize) -> (World, Arc<Pool>, Bytes) {
    let world = World::new(n, redundancy.parse().unwrap(), CHUNK, 11);
    let id = world.init().await.unwrap();
    let pool = world.open(id).await.unwrap();
    let bytes = content(5, chunks * usize::try_from(CHUNK).unwrap() - 17);
    put(&pool, "/f", &bytes).await;
    (world, pool, bytes)
}

/// Reads the file on a machine without any local state while any of the `lost` remotes are gone.
async fn reads_without(world: &World, pool: &Pool, lost: u32, bytes: &Bytes) {
    for set in (0u32..1 << world.faults.len()).filter(|set| set.count_ones() == lost) {
        world.faults.iter().enumerate().for_each(|(i, faults)| faults.set_lost(set & 1 << i != 0));
        let fresh = world.open(pool.id()).await.unwrap();
        assert_eq!(&get(&fresh, "/f").await.unwrap(), bytes, "without {set:b}");
    }
    world.faults.iter().for_each(|faults| faults.set_lost(false));
}

/// What a machine with much memory stored, one with little reads, rebuilds and converts.
#[tokio::test]
async fn a_chunk_larger_than_the_memory_limit_goes_through_temporary_files() {
    let mut world = World::new(5, "parity:2+1".parse().unwrap(), 16 << 20, 11);
    let id = world.init().await.unwrap();
    let bytes = content(5, 12 << 20);
    put(&world.open(id).await.unwrap(), "/f", &bytes).await;
    world.settings.memory_bytes = 4 << 20;
    let pool = world.open(id).await.unwrap();
    assert_eq!(get(&pool, "/f").await.unwrap(), bytes);
    let chunks = shards(&pool, "/f").await;
    assert_eq!(chunks.len(), 1);
    remove(&world, &chunks[0][2]);
    let refused = rebuild(&pool, &all()).await.unwrap();
    assert_eq!((refused.shards, refused.failed), (0, 1));
    let dir = tempfile::tempdir().unwrap();
    world.settings.temp_dir = Some(dir.path().join("made"));
    let pool = world.open(id).await.unwrap();
    assert_eq!(rebuild(&pool, &all()).await.unwrap().shards, 1);
    reads_without(&world, &pool, 1, &bytes).await;
    let plan = pool.plan_convert(&path("/"), "parity:3+2".parse().unwrap()).unwrap();
    assert_eq!(pool.convert(&plan, &Monitor::default()).await.unwrap().chunks, 1);
    reads_without(&world, &pool, 2, &bytes).await;
    let left = std::fs::read_dir(dir.path().join("made")).unwrap();
    assert_eq!(left.count(), 0, "temporary files have no names");
}

#[tokio::test]
async fn missing_truncated_and_flipped_shards_come_back_and_the_old_objects_go() {
    for redundancy in ["parity:3+2", "replication:3", "hybrid:2+1x2"] {
        let (world, pool, bytes) = pool_with_file(7, redundancy, 4).await;
        let chunks = shards(&pool, "/f").await;
        remove(&world, &chunks[0][0]);
        remove(&world, &chunks[1][1]);
        let cut = &chunks[1][2];
        assert!(world.stores[store_of(&world, &cut.object).unwrap()].truncate(&cut.object, 100));
        let flipped = &chunks[2][0];
        let at = store_of(&world, &flipped.object).unwrap();
        assert!(world.stores[at].flip(&flipped.object, 5));
        // Nothing was found yet, and nobody looks.
        assert!(plan(&pool, &RebuildOptions::default()).await.chunks.is_empty());
        // A flipped bit shows when it is read.
        assert_eq!(get(&pool, "/f").await.unwrap(), bytes);
        let found = plan(&pool, &all()).await;
        let damage = |damage| found.chunks.iter().flat_map(|c| &c.shards).filter(|f| f.damage == damage).count();
        assert_eq!((damage(Damage::Missing), damage(Damage::Truncated)), (2, 1), "{redundancy}");
        assert!(damage(Damage::Corrupt) <= 1, "read only where its shard was drawn on");
        let report = pool.rebuild(&found, &Monitor::default()).await.unwrap();
        assert_eq!((report.failed, report.unrecoverable, report.stale, report.crowded), (0, 0, false, 0));
        assert_eq!(report.shards as usize, found.chunks.iter().map(|c| c.shards.len()).sum::<usize>());
        assert_eq!(report.freed, report.shards, "{redundancy}");
        assert!(plan(&pool, &all()).await.chunks.is_empty());
        assert!(store_of(&world, &cut.object).is_none(), "the truncated object is freed");
        assert_whole(&world, &pool, "/f").await;
        reads_without(&world, &pool, 1, &bytes).await;
    }
}

#[tokio::test]
async fn those_in_most_danger_come_first() {
    let (world, pool, _) = pool_with_file(6, "parity:3+2", 3).await;
    let chunks = shards(&pool, "/f").await;
    remove(&world, &chunks[0][0]);
    remove(&world, &chunks[2][1]);
    remove(&world, &chunks[2][3]);
    let found = plan(&pool, &RebuildOptions { path: Some(path("/f")), ..RebuildOptions::default() }).await;
    assert_eq!(found.chunks.iter().map(|c| c.spare).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(found.write_bytes, found.chunks.iter().map(|c| c.bytes).sum::<u64>());
    let nowhere = RebuildOptions { path: Some(path("/nowhere")), ..RebuildOptions::default() };
    let error = pool.plan_rebuild(&nowhere, &Monitor::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn an_offline_remote_is_unknown_and_nothing_of_it_is_rebuilt() {
    let (world, pool, _) = pool_with_file(5, "parity:3+1", 3).await;
    world.faults[1].set_offline(true);
    pool.sync().await.unwrap();
    let found = plan(&pool, &all()).await;
    assert!(found.chunks.is_empty());
    // A disk that is not mounted shows neither marker nor shards.
    world.faults[1].set_offline(false);
    world.faults[1].set_emptied(true);
    pool.sync().await.unwrap();
    assert!(plan(&pool, &all()).await.chunks.is_empty());
    world.faults[1].set_emptied(false);
    // Two disks swapped are found by their markers.
    world.stores[2].swap(&world.stores[3]);
    pool.sync().await.unwrap();
    assert!(plan(&pool, &all()).await.chunks.is_empty());
}

#[tokio::test]
async fn a_remote_that_misses_too_much_waits_for_the_users_word() {
    let (world, pool, bytes) = pool_with_file(6, "parity:3+1", 40).await;
    let mut gone = 0;
    for name in world.stores[0].names().into_iter().filter(|name| name.starts_with("data/")) {
        world.stores[0].remove(&name);
        gone += 1;
    }
    assert!(gone >= 16);
    let found = plan(&pool, &all()).await;
    assert!(found.chunks.is_empty());
    assert_eq!((found.suspect.len(), found.suspect[0].absent), (1, gone));
    let report = rebuild(&pool, &RebuildOptions { accept_loss: true, ..all() }).await.unwrap();
    assert_eq!((report.shards, report.failed, report.freed), (gone, 0, gone));
    assert_whole(&world, &pool, "/f").await;
    reads_without(&world, &pool, 1, &bytes).await;
}

#[tokio::test]
async fn what_is_lost_is_told_and_the_rest_goes_on() {
    let (world, pool, _) = pool_with_file(5, "parity:3+1", 3).await;
    let chunks = shards(&pool, "/f").await;
    remove(&world, &chunks[0][0]);
    remove(&world, &chunks[0][1]);
    remove(&world, &chunks[1][0]);
    let found = plan(&pool, &all()).await;
    assert_eq!(found.chunks[0].spare, -1);
    let report = pool.rebuild(&found, &Monitor::default()).await.unwrap();
    assert_eq!((report.chunks, report.unrecoverable, report.failed), (1, 1, 0));
    // It is still known of.
    assert_eq!(plan(&pool, &RebuildOptions::default()).await.chunks.len(), 1);
}

#[tokio::test]
async fn full_and_read_only_remotes_are_passed_over_and_without_any_left_it_is_an_error_per_chunk() {
    let (world, pool, bytes) = pool_with_file(6, "parity:3+1", 3).await;
    for chunk in shards(&pool, "/f").await {
        remove(&world, &chunk[0]);
    }
    world.faults[4].set_full(true);
    world.faults[5].set_read_only(true);
    let report = rebuild(&pool, &all()).await.unwrap();
    assert_eq!((report.chunks, report.failed), (3, 0));
    assert_whole(&world, &pool, "/f").await;
    let chunks = shards(&pool, "/f").await;
    remove(&world, &chunks[0][0]);
    world.faults.iter().for_each(|faults| faults.set_full(true));
    let report = rebuild(&pool, &all()).await.unwrap();
    assert_eq!((report.chunks, report.failed), (0, 1));
    world.faults.iter().for_each(|faults| {
        faults.set_full(false);
        faults.set_read_only(false);
    });
    let later = world.open(pool.id()).await.unwrap();
    assert_eq!(rebuild(&later, &all()).await.unwrap().chunks, 1);
    reads_without(&world, &later, 1, &bytes).await;
}

/// One machine dies at each of its calls; the next one finishes.
#[tokio::test(start_paused = true)]
async fn a_crash_at_any_call_leaves_a_pool_that_the_next_rebuild_makes_whole() {
    for call in 1.. {
        let (world, pool, bytes) = pool_with_file(5, "parity:3+1", 2).await;
        for chunk in shards(&pool, "/f").await {
            let at = store_of(&world, &chunk[1].object).unwrap();
            assert!(world.stores[at].truncate(&chunk[1].object, 10));
        }
        let crash = Crash::never();
        let dying = world.open_as(pool.id(), world.machine(), &crash, Index::in_memory().unwrap()).await.unwrap();
        crash.arm(call);
        let done = rebuild(&dying, &all()).await;
        let survived = !crash.happened();
        if survived {
            assert_eq!(done.unwrap().chunks, 2);
        }
        drop(dying);
        let next = world.open(pool.id()).await.unwrap();
        assert_eq!(get(&next, "/f").await.unwrap(), bytes, "after a crash at call {call}");
        let report = rebuild(&next, &all()).await.unwrap();
        assert_eq!((report.failed, report.unrecoverable), (0, 0), "after a crash at call {call}");
        assert_whole(&world, &next, "/f").await;
        assert!(plan(&next, &all()).await.chunks.is_empty());
        reads_without(&world, &next, 1, &bytes).await;
        if survived {
            assert!(call > 20, "{call} calls are too few for a rebuild");
            break;
        }
    }
}

#[tokio::test]
async fn two_machines_at_once_do_no_harm() {
    let (world, pool, bytes) = pool_with_file(6, "parity:3+1", 6).await;
    for chunk in shards(&pool, "/f").await {
        remove(&world, &chunk[2]);
    }
    let (a, b) = (world.open(pool.id()).await.unwrap(), world.open(pool.id()).await.unwrap());
    let (of_a, of_b) = (plan(&a, &all()).await, plan(&b, &all()).await);
    let monitor = Monitor::default();
    let (a_done, b_done) = tokio::join!(a.rebuild(&of_a, &monitor), b.rebuild(&of_b, &monitor));
    assert_eq!((a_done.unwrap().failed, b_done.unwrap().failed), (0, 0));
    let next = world.open(pool.id()).await.unwrap();
    assert_whole(&world, &next, "/f").await;
    // What lost the race is freed by a later run.
    rebuild(&next, &all()).await.unwrap();
    assert_whole(&world, &next, "/f").await;
    let objects = |name: &String| name.starts_with("data/");
    let stored = world.stores.iter().map(|store| store.names().into_iter().filter(objects).count()).sum::<usize>();
    assert_eq!(stored, shards(&next, "/f").await.iter().map(Vec::len).sum::<usize>());
    reads_without(&world, &next, 1, &bytes).await;
}

#[tokio::test]
async fn a_stopped_rebuild_keeps_what_it_finished() {
    let (world, pool, _) = pool_with_file(6, "parity:3+1", 12).await;
    for chunk in shards(&pool, "/f").await {
        remove(&world, &chunk[0]);
    }
    let cancel = tokio_util::sync::CancellationToken::new();
    let stop = cancel.clone();
    let put = std::sync::atomic::AtomicU64::new(0);
    let listener = move |event: &rclonepool_core::Event| {
        let progress = matches!(event, rclonepool_core::Event::Progress { bytes: 1.., .. });
        if progress && put.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 6 {
            stop.cancel();
        }
    };
    let monitor = Monitor::new(Arc::new(listener), cancel);
    let found = plan(&pool, &all()).await;
    let error: Error = pool.rebuild(&found, &monitor).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let left = plan(&pool, &all()).await.chunks.len();
    assert!(left < 12, "{left} are left of 12");
    assert_eq!(rebuild(&pool, &all()).await.unwrap().chunks as usize, left);
}

/// A collector condemned the chunk while a file was about to refer to it. The mark is never lifted and the chunk stays:
/// it is rebuilt, moved and drained like any other.
#[tokio::test(start_paused = true)]
async fn a_condemned_chunk_that_a_file_needs_is_kept_whole_and_can_move() {
    let (world, pool, bytes) = pool_with_file(5, "parity:3+1", 2).await;
    let chunks = shards(&pool, "/f").await;
    let entry = pool.entry(&path("/f")).unwrap().unwrap();
    let marks = entry.content.extents().iter().map(|extent| extent.chunk);
    let marks = marks.map(|chunk| Record::Condemned(Condemned { chunk, stamp: Stamp::ZERO })).collect();
    let view = pool.sync().await.unwrap();
    drop(pool.journal().commit(&view, marks).await.unwrap());
    remove(&world, &chunks[0][0]);
    remove(&world, &chunks[1][2]);
    let report = rebuild(&pool, &all()).await.unwrap();
    assert_eq!((report.chunks, report.shards, report.failed), (2, 2, 0), "{report:?}");
    assert_whole(&world, &pool, "/f").await;
    reads_without(&world, &pool, 1, &bytes).await;
    let plan = pool.plan_drain("m1:").await.unwrap();
    assert_eq!(plan.garbage, 0);
    let report = pool.drain("m1:", true, true, &Monitor::default()).await.unwrap();
    assert_eq!(report.left, 0, "{report:?}");
    reads_without(&world, &pool, 1, &bytes).await;
}
