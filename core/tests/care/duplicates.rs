//! Chunks that several files share, and chunks of the same content.

use std::sync::Arc;

use bytes::Bytes;
use rclonepool_core::id::PoolId;
use rclonepool_core::pool::care::{RebuildOptions, VerifyOptions};
use rclonepool_core::pool::{Source, UploadOptions};
use rclonepool_core::testing::world::World;
use rclonepool_core::{Monitor, Pool};

use crate::{DAY, at, chunks, content, gc, get, objects, path, put, remove, shards};

async fn made(n: usize, redundancy: &str) -> (World, PoolId, Arc<Pool>) {
    let mut world = World::new(n, redundancy.parse().unwrap(), 100_000, 7);
    world.settings.deduplication = true;
    let id = world.init().await.unwrap();
    let pool = world.open(id).await.unwrap();
    (world, id, pool)
}

/// Stores it under a new id, whatever is there.
async fn put_anew(pool: &Arc<Pool>, to: &str, bytes: &Bytes) {
    let options = UploadOptions { force: true, ..UploadOptions::default() };
    pool.upload(Source::Bytes(bytes.clone()), &path(to), &options, &Monitor::default()).await.unwrap();
}

async fn rebuild(pool: &Arc<Pool>) -> rclonepool_core::pool::care::RebuildReport {
    let options = RebuildOptions { all: true, accept_loss: true, ..RebuildOptions::default() };
    let plan = pool.plan_rebuild(&options, &Monitor::default()).await.unwrap();
    pool.rebuild(&plan, &Monitor::default()).await.unwrap()
}

#[tokio::test]
async fn what_is_lost_is_taken_from_its_twin() {
    let (world, id, pool) = made(4, "none").await;
    let bytes = content(1, 250_000);
    put_anew(&pool, "/one", &bytes).await;
    put(&pool, "/also", &bytes).await;
    put_anew(&pool, "/two", &bytes).await;
    assert_eq!(chunks(&pool, "/one").await, chunks(&pool, "/also").await);
    assert_ne!(chunks(&pool, "/one").await, chunks(&pool, "/two").await);
    // Each has lost a chunk that the other has.
    let (one, two) = (shards(&pool, "/one").await, shards(&pool, "/two").await);
    remove(&world, &one[0][0]);
    remove(&world, &two[2][0]);
    // Of one, both are rotten.
    remove(&world, &one[1][0]);
    let flipped = &two[1][0];
    assert!(world.stores[at(flipped)].flip(&flipped.object, 77));
    let report = rebuild(&pool).await;
    assert_eq!((report.twins, report.unrecoverable, report.stale), (2, 1, false));
    let fresh = world.open(id).await.unwrap();
    for file in ["/one", "/also", "/two"] {
        let now = chunks(&fresh, file).await;
        assert_eq!((now[0], now[2]), (chunks(&pool, "/two").await[0], chunks(&pool, "/one").await[2]));
        get(&fresh, file).await.unwrap_err();
    }
    // The rest comes back with one of the two.
    assert!(world.stores[at(flipped)].flip(&flipped.object, 77));
    let report = rebuild(&pool).await;
    assert_eq!((report.twins, report.unrecoverable), (1, 0));
    let fresh = world.open(id).await.unwrap();
    for file in ["/one", "/also", "/two"] {
        assert_eq!(get(&fresh, file).await.unwrap(), bytes);
    }
}

#[tokio::test]
async fn a_chunk_of_three_files_counts_once() {
    let (world, _, pool) = made(4, "parity:2+1").await;
    let bytes = content(2, 250_000);
    for file in ["/a", "/b", "/c"] {
        put(&pool, file, &bytes).await;
    }
    assert_eq!(objects(&world), 8);
    let verified = pool.verify(&VerifyOptions::default(), &Monitor::default()).await.unwrap();
    assert_eq!((verified.files.healthy, verified.checked.chunks, verified.checked.shards), (3, 3, 8), "{verified:?}");
    let gone = &shards(&pool, "/b").await[1][0];
    remove(&world, gone);
    let verified = pool.verify(&VerifyOptions::default(), &Monitor::default()).await.unwrap();
    assert_eq!((verified.files.healthy, verified.shards.missing), (0, 1), "{verified:?}");
    let report = rebuild(&pool).await;
    assert_eq!((report.chunks, report.shards, report.twins), (1, 1, 0));
    let status = pool.status().await.unwrap();
    assert_eq!((status.files, status.bytes, status.deduplicated_bytes), (3, 750_000, 500_000));
    assert_eq!(status.unique_bytes, 250_000);
}

#[tokio::test]
async fn shared_chunks_are_converted_moved_and_freed() {
    let (world, id, pool) = made(4, "none").await;
    let (large, small) = (content(3, 250_000), content(4, 6_000));
    for n in 0..3 {
        put(&pool, &format!("/d{n}/large"), &large).await;
        put(&pool, &format!("/d{n}/small"), &small).await;
    }
    assert_eq!(objects(&world), 4);
    // All files that share a chunk go along with it.
    let plan = pool.plan_convert(&path("/d1"), "replication:2".parse().unwrap()).unwrap();
    let report = pool.convert(&plan, &Monitor::default()).await.unwrap();
    assert_eq!((report.chunks, report.failed), (4, 0));
    for n in 0..3 {
        assert_eq!(chunks(&pool, &format!("/d{n}/large")).await, chunks(&pool, "/d1/large").await);
        assert_eq!(chunks(&pool, &format!("/d{n}/small")).await, chunks(&pool, "/d1/small").await);
    }
    for _ in 0..3 {
        gc(&pool).await.unwrap();
        world.pass(DAY);
    }
    assert_eq!(objects(&world), 8);
    pool.drain("m1:", false, true, &Monitor::default()).await.unwrap();
    assert!(shards(&pool, "/d0/large").await.iter().flatten().all(|shard| at(shard) != 1));
    pool.delete(&path("/d0"), true).await.unwrap();
    pool.delete(&path("/d1"), true).await.unwrap();
    for _ in 0..3 {
        gc(&pool).await.unwrap();
        world.pass(DAY);
    }
    assert_eq!(objects(&world), 8);
    let fresh = world.open(id).await.unwrap();
    assert_eq!(get(&fresh, "/d2/large").await.unwrap(), large);
    assert_eq!(get(&fresh, "/d2/small").await.unwrap(), small);
    fresh.delete(&path("/d2"), true).await.unwrap();
    for _ in 0..3 {
        gc(&fresh).await.unwrap();
        world.pass(DAY);
    }
    assert_eq!(objects(&world), 0);
}

/// What is left of a pack goes into a new one, for all files that share it.
#[tokio::test]
async fn shared_parts_of_packs_are_packed_anew() {
    let (world, id, pool) = made(3, "none").await;
    let dir = tempfile::tempdir().unwrap();
    for n in 0..8 {
        std::fs::write(dir.path().join(n.to_string()), content(10 + n, 6_000)).unwrap();
    }
    let sources = |to| [(dir.path().to_owned(), path(to))];
    for to in ["/a", "/b"] {
        pool.upload_all(&sources(to), &UploadOptions::default(), &Monitor::default()).await.unwrap();
    }
    assert_eq!(objects(&world), 1);
    pool.delete(&path("/a"), true).await.unwrap();
    for n in 2..8 {
        pool.delete(&path(&format!("/b/{n}")), false).await.unwrap();
    }
    put(&pool, "/c", &content(11, 6_000)).await;
    for _ in 0..4 {
        gc(&pool).await.unwrap();
        world.pass(DAY);
    }
    let fresh = world.open(id).await.unwrap();
    assert_eq!((objects(&world), get(&fresh, "/b/0").await.unwrap()), (1, content(10, 6_000)));
    for file in ["/b/1", "/c"] {
        assert_eq!(get(&fresh, file).await.unwrap(), content(11, 6_000));
        assert_eq!(fresh.stat(&path(file)).await.unwrap().chunks[0].size, 12_000);
    }
}
