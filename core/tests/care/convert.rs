//! Redundancy is converted while files stay readable, and users' writes win.

use std::sync::Arc;

use bytes::Bytes;
use rclonepool_core::index::Index;
use rclonepool_core::pool::care::ConvertReport;
use rclonepool_core::redundancy::Redundancy;
use rclonepool_core::stage::layout::Layout;
use rclonepool_core::testing::fault::Crash;
use rclonepool_core::testing::world::World;
use rclonepool_core::{Monitor, Pool, Result};

use crate::{assert_whole, content, get, path, put};

const CHUNK: u64 = 300_000;
const SIZE: usize = 700_001;

async fn convert(pool: &Arc<Pool>, at: &str, redundancy: &str) -> Result<ConvertReport> {
    let plan = pool.plan_convert(&path(at), redundancy.parse().unwrap())?;
    pool.convert(&plan, &Monitor::default()).await
}

async fn layouts(pool: &Arc<Pool>, of: &str) -> Vec<(u64, Layout)> {
    pool.stat(&path(of)).await.unwrap().chunks.into_iter().map(|chunk| (chunk.size, chunk.layout)).collect()
}

async fn assert_mode(pool: &Arc<Pool>, of: &str, redundancy: &str) {
    let r: Redundancy = redundancy.parse().unwrap();
    for (size, layout) in layouts(pool, of).await {
        assert_eq!(layout, Layout::choose(r.data, r.parity, r.copies, size), "{of} as {redundancy}");
    }
}

async fn pool_with_file(redundancy: &str) -> (World, Arc<Pool>, Bytes) {
    let world = World::new(6, redundancy.parse().unwrap(), CHUNK, 3);
    let id = world.init().await.unwrap();
    let pool = world.open(id).await.unwrap();
    let bytes = content(9, SIZE);
    put(&pool, "/d/f", &bytes).await.unwrap();
    (world, pool, bytes)
}

#[tokio::test]
async fn any_mode_becomes_any_other() {
    let modes = ["none", "replication:3", "parity:3+1", "parity:4+2", "hybrid:2+1x2"];
    let (world, pool, bytes) = pool_with_file(modes[0]).await;
    put(&pool, "/d/small", &content(1, 10)).await.unwrap();
    let before = pool.entry(&path("/d/f")).unwrap().unwrap();
    let mut converted = 0;
    for to in modes.iter().skip(1).chain(&modes).chain(modes.iter().rev()) {
        let was = layouts(&pool, "/d/f").await;
        let report = convert(&pool, "/d", to).await.unwrap();
        assert_eq!((report.failed, report.stale), (0, false));
        converted += u64::from(report.chunks > 0);
        assert_eq!(report.chunks == 0, was == layouts(&pool, "/d/f").await, "{to}");
        assert_mode(&pool, "/d/f", to).await;
        assert_eq!(get(&pool, "/d/f").await.unwrap(), bytes);
        assert_whole(&world, &pool, "/d/f").await;
        assert_eq!(convert(&pool, "/", to).await.unwrap().chunks, 0, "again");
    }
    let after = pool.entry(&path("/d/f")).unwrap().unwrap();
    assert_eq!((after.stamp, after.mtime_ns, after.rev), (before.stamp, before.mtime_ns, converted));
    // Another machine sees the same.
    let other = world.open(pool.id()).await.unwrap();
    assert_eq!(other.entry(&path("/d/f")).unwrap().unwrap(), after);
    assert_eq!(get(&other, "/d/f").await.unwrap(), bytes);
}

#[tokio::test]
async fn a_write_meanwhile_wins_and_a_move_keeps_its_content() {
    let (world, pool, bytes) = pool_with_file("none").await;
    put(&pool, "/d/g", &content(4, SIZE)).await.unwrap();
    let other = world.open(pool.id()).await.unwrap();
    let plan = pool.plan_convert(&path("/"), "parity:3+1".parse().unwrap()).unwrap();
    assert_eq!((plan.files, plan.chunks.len() as u64), (2, 2 * (SIZE as u64).div_ceil(CHUNK)));
    // The other machine has written, and the converting one does not know when it plans.
    let newer = content(5, SIZE);
    put(&other, "/d/g", &newer).await.unwrap();
    other.rename(&path("/d/f"), &path("/moved"), false).await.unwrap();
    let report = pool.convert(&plan, &Monitor::default()).await.unwrap();
    assert_eq!(report.failed, 0);
    for machine in [&pool, &world.open(pool.id()).await.unwrap()] {
        machine.sync().await.unwrap();
        assert_eq!(get(machine, "/d/g").await.unwrap(), newer);
        assert_eq!(get(machine, "/moved").await.unwrap(), bytes);
        assert!(machine.entry(&path("/d/f")).unwrap().is_none());
    }
    // The moved one goes along with its chunks.
    assert_mode(&pool, "/moved", "parity:3+1").await;
}

#[tokio::test]
async fn two_machines_convert_at_once() {
    let (world, pool, bytes) = pool_with_file("none").await;
    let other = world.open(pool.id()).await.unwrap();
    let (a, b) = tokio::join!(convert(&pool, "/", "parity:3+1"), convert(&other, "/", "replication:2"));
    assert_eq!((a.unwrap().failed, b.unwrap().failed), (0, 0));
    let next = world.open(pool.id()).await.unwrap();
    assert_eq!(get(&next, "/d/f").await.unwrap(), bytes);
    convert(&next, "/", "parity:4+2").await.unwrap();
    assert_mode(&next, "/d/f", "parity:4+2").await;
    assert_eq!(get(&next, "/d/f").await.unwrap(), bytes);
}

#[tokio::test]
async fn a_degraded_file_is_converted_from_what_is_left() {
    let (world, pool, bytes) = pool_with_file("parity:3+1").await;
    world.faults[0].set_lost(true);
    pool.sync().await.unwrap();
    let report = convert(&pool, "/", "replication:2").await.unwrap();
    assert_eq!((report.failed, report.chunks), (0, 3));
    assert_eq!(get(&pool, "/d/f").await.unwrap(), bytes);
    // With nothing to read from, what there is stays as it is.
    let (world, pool, bytes) = pool_with_file("none").await;
    world.faults.iter().take(3).for_each(|faults| faults.set_offline(true));
    pool.sync().await.unwrap();
    let plan = pool.plan_convert(&path("/"), "replication:2".parse().unwrap()).unwrap();
    let done = pool.convert(&plan, &Monitor::default()).await;
    world.faults.iter().for_each(|faults| faults.set_offline(false));
    pool.sync().await.unwrap();
    assert!(done.map_or(true, |report| report.failed > 0), "none reads with half of the remotes away");
    assert_eq!(get(&pool, "/d/f").await.unwrap(), bytes);
    convert(&pool, "/", "replication:2").await.unwrap();
    assert_mode(&pool, "/d/f", "replication:2").await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_call_leaves_the_old_layout_or_the_new_one_and_it_goes_on() {
    for call in 1.. {
        let (world, pool, bytes) = pool_with_file("replication:2").await;
        let crash = Crash::never();
        let dying = world.open_as(pool.id(), world.machine(), &crash, Index::in_memory().unwrap()).await.unwrap();
        crash.arm(call);
        let done = convert(&dying, "/", "parity:2+1").await;
        let survived = !crash.happened();
        if survived {
            assert_eq!(done.unwrap().chunks, 3);
        }
        drop(dying);
        let next = world.open(pool.id()).await.unwrap();
        assert_eq!(get(&next, "/d/f").await.unwrap(), bytes, "after a crash at call {call}");
        assert_whole(&world, &next, "/d/f").await;
        assert_eq!(convert(&next, "/", "parity:2+1").await.unwrap().failed, 0);
        assert_mode(&next, "/d/f", "parity:2+1").await;
        assert_eq!(get(&next, "/d/f").await.unwrap(), bytes, "after a crash at call {call}");
        if survived {
            assert!(call > 20, "{call} calls are too few for a conversion");
            break;
        }
    }
}
