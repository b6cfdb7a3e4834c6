//! Care of compressed chunks: it works on their stored streams, which stay as they are.

use std::sync::Arc;

use bytes::Bytes;
use rclonepool_core::id::PoolId;
use rclonepool_core::index::Killer;
use rclonepool_core::pool::care::{RebuildOptions, VerifyLevel, VerifyOptions};
use rclonepool_core::testing::world::World;
use rclonepool_core::{Monitor, Pool};

use crate::{
    DAY, assert_whole, at, chunks, content, gc, get, objects, objects_of, path, put, remove, shards, store_of,
};

const CHUNK: u64 = 3_000_000;

/// Bytes of several frames and chunks that get smaller, but for some in between.
fn compressible(seed: u64, size: usize) -> Bytes {
    let noise = content(seed, size);
    let byte = |(n, byte): (usize, &u8)| if n / 500_000 % 4 == 3 { *byte } else { byte & 7 };
    noise.iter().enumerate().map(byte).collect()
}

fn world(n: usize, redundancy: &str) -> World {
    let mut world = World::new(n, redundancy.parse().unwrap(), CHUNK, 3);
    world.settings.compression = Some(3);
    world
}

async fn with_file(n: usize, redundancy: &str) -> (World, PoolId, Arc<Pool>, Bytes) {
    let world = world(n, redundancy);
    let id = world.init().await.unwrap();
    let pool = world.open(id).await.unwrap();
    let bytes = compressible(1, 7_000_001);
    put(&pool, "/f", &bytes).await;
    assert_compressed(&pool).await;
    (world, id, pool, bytes)
}

async fn assert_compressed(pool: &Pool) {
    let chunks = pool.stat(&path("/f")).await.unwrap().chunks;
    assert!(chunks.iter().all(|chunk| chunk.stored < chunk.size), "{chunks:?}");
}

async fn verify(pool: &Pool) -> rclonepool_core::pool::care::VerifyReport {
    let options = VerifyOptions { level: VerifyLevel::Deep, ..VerifyOptions::default() };
    pool.verify(&options, &Monitor::default()).await.unwrap()
}

/// Takes away one shard of the first chunk, and damages one of the second.
async fn damage(world: &World, pool: &Arc<Pool>) {
    let all = shards(pool, "/f").await;
    remove(world, &all[0][0]);
    let flipped = &all[1][1];
    assert!(world.stores[store_of(world, &flipped.object).unwrap()].flip(&flipped.object, 500));
}

#[tokio::test]
async fn damage_is_found_and_rebuilt() {
    for redundancy in ["parity:3+1", "replication:2", "hybrid:2+1x2"] {
        let (world, id, pool, bytes) = with_file(6, redundancy).await;
        let report = verify(&pool).await;
        assert_eq!((report.files.healthy, report.shards.corrupt), (1, 0), "{redundancy}");
        damage(&world, &pool).await;
        let report = verify(&pool).await;
        assert_eq!((report.shards.missing, report.shards.corrupt), (1, 1), "{redundancy}");
        let options = RebuildOptions { all: true, ..RebuildOptions::default() };
        let plan = pool.plan_rebuild(&options, &Monitor::default()).await.unwrap();
        let report = pool.rebuild(&plan, &Monitor::default()).await.unwrap();
        assert_eq!((report.shards, report.failed), (2, 0), "{redundancy}");
        assert_whole(&world, &pool, "/f").await;
        assert_eq!(verify(&pool).await.files.healthy, 1);
        assert!(get(&world.open(id).await.unwrap(), "/f").await.unwrap() == bytes);
    }
}

#[tokio::test]
async fn a_conversion_keeps_the_stored_stream() {
    let modes = ["none", "replication:3", "parity:3+1", "parity:4+2", "hybrid:2+1x2"];
    let (world, id, pool, bytes) = with_file(6, modes[0]).await;
    let sizes = async |pool: &Pool| {
        let chunks = pool.stat(&path("/f")).await.unwrap().chunks;
        chunks.iter().map(|chunk| (chunk.size, chunk.stored)).collect::<Vec<_>>()
    };
    let before = sizes(&pool).await;
    for to in modes.iter().skip(1).chain(&modes) {
        let plan = pool.plan_convert(&path("/f"), to.parse().unwrap()).unwrap();
        let report = pool.convert(&plan, &Monitor::default()).await.unwrap();
        assert_eq!((report.failed, report.chunks), (0, 3), "{to}");
        assert_eq!(sizes(&pool).await, before, "{to}");
        assert_whole(&world, &pool, "/f").await;
        assert!(get(&pool, "/f").await.unwrap() == bytes, "{to}");
        assert_eq!(pool.plan_convert(&path("/f"), to.parse().unwrap()).unwrap().chunks.len(), 0, "again");
    }
    assert!(get(&world.open(id).await.unwrap(), "/f").await.unwrap() == bytes);
}

#[tokio::test]
async fn a_repair_puts_the_same_shards_or_a_whole_new_chunk() {
    for redundancy in ["none", "parity:3+1", "replication:2"] {
        for level in [Some(3), Some(15), None] {
            let (mut world, id, pool, bytes) = with_file(6, redundancy).await;
            let before = chunks(&pool, "/f").await;
            // More is lost than can be rebuilt.
            let all = shards(&pool, "/f").await;
            all[1].iter().for_each(|shard| remove(&world, shard));
            assert!(get(&pool, "/f").await.is_err());
            let dir = tempfile::tempdir().unwrap();
            let copy = dir.path().join("copy");
            std::fs::write(&copy, &bytes).unwrap();
            world.settings.compression = level;
            let pool = world.open(id).await.unwrap();
            let report = pool.repair(&path("/f"), &copy, false, &Monitor::default()).await.unwrap();
            let (what, after) = (format!("{redundancy}, level {level:?}"), chunks(&pool, "/f").await);
            // The pool's level is not known any more where compression is off: the usual one is.
            let same = level != Some(15);
            assert_eq!(report.replaced, u64::from(!same), "{what}");
            assert_eq!((report.rebuilt.chunks, report.damaged.len()), (1, all[1].len()), "{what}");
            let expected = if same { all[1].len() } else { shards(&pool, "/f").await[1].len() };
            assert_eq!(report.rebuilt.shards as usize, expected, "{what}");
            assert_eq!(
                (before[0] == after[0], before[1] == after[1], before[2] == after[2]),
                (true, same, true),
                "{what}"
            );
            assert_whole(&world, &pool, "/f").await;
            let other = world.open(id).await.unwrap();
            assert!(get(&other, "/f").await.unwrap() == bytes, "{what}");
            let again = other.repair(&path("/f"), &copy, false, &Monitor::default()).await.unwrap();
            assert_eq!((again.damaged.len(), again.rebuilt.shards), (0, 0), "{what}");
            assert_eq!(verify(&other).await.files.healthy, 1, "{what}");
        }
    }
}

#[tokio::test]
async fn another_copy_is_refused_where_it_differs() {
    let (_world, _, pool, bytes) = with_file(4, "parity:3+1").await;
    let dir = tempfile::tempdir().unwrap();
    for at in [0, 1_234_567, 3_000_000, bytes.len() - 1] {
        let mut other = bytes.to_vec();
        other[at] ^= 1;
        std::fs::write(dir.path().join("copy"), &other).unwrap();
        let error = pool.repair(&path("/f"), &dir.path().join("copy"), false, &Monitor::default()).await.unwrap_err();
        assert!(error.to_string().contains(&format!("the first difference is at offset {at}")), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_moves_and_waits_in_the_trash_like_any_other() {
    let mut world = world(5, "parity:2+1");
    world.settings.trash_hours = 48;
    let id = world.init().await.unwrap();
    let pool = world.open(id).await.unwrap();
    world.faults[4].set_full(true);
    let bytes = compressible(2, 7_000_001);
    put(&pool, "/f", &bytes).await;
    world.faults[4].set_full(false);
    pool.close().await;
    let pool = world.open(id).await.unwrap();
    let on = async |pool: &Arc<Pool>, n: usize| shards(pool, "/f").await.concat().iter().filter(|s| at(s) == n).count();
    assert_eq!(on(&pool, 4).await, 0);
    let plan = pool.plan_rebalance(1.0).await.unwrap();
    pool.rebalance(&plan, &Monitor::default()).await.unwrap();
    assert!(on(&pool, 4).await > 0);
    assert_whole(&world, &pool, "/f").await;
    let drained = pool.drain("m1:", true, false, &Monitor::default()).await.unwrap();
    assert_eq!((drained.left, on(&pool, 1).await), (0, 0));
    assert!(get(&pool, "/f").await.unwrap() == bytes);

    put(&pool, "/f", &compressible(3, 4_000_000)).await;
    let trash = pool.trash(None).unwrap();
    assert_eq!((trash[0].size, trash[0].by), (7_000_001, Killer::Overwritten));
    gc(&pool).await.unwrap();
    pool.restore(&path("/f"), None, None).await.unwrap();
    for _ in 0..5 {
        gc(&pool).await.unwrap();
        world.pass(DAY);
    }
    let fresh = world.open(id).await.unwrap();
    assert!(get(&fresh, "/f").await.unwrap() == bytes);
    assert_eq!(objects(&world), objects_of(&world, &chunks(&fresh, "/f").await), "the rest is gone");
}
