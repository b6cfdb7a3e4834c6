//! Moving shards: nothing is lost on the way, and the end is level.

use std::collections::BTreeSet;
use std::sync::Arc;

use rclonepool_core::id::PoolId;
use rclonepool_core::index::Index;
use rclonepool_core::testing::fault::Crash;
use rclonepool_core::testing::world::World;
use rclonepool_core::{ErrorKind, Monitor, Pool};

use crate::{assert_whole, content, get, put, shards};

pub const MIB: usize = 1 << 20;

/// A pool whose last remote came later: nothing lies on it.
pub async fn uneven(n: usize, redundancy: &str, files: u64, size: usize) -> (World, PoolId) {
    let world = World::new(n, redundancy.parse().unwrap(), 300_000, 5);
    let id = world.init().await.unwrap();
    let pool = world.open(id).await.unwrap();
    world.faults[n - 1].set_full(true);
    for file in 0..files {
        put(&pool, &format!("/f{file}"), &content(file, size)).await;
    }
    world.faults[n - 1].set_full(false);
    pool.sync().await.unwrap();
    pool.close().await;
    (world, id)
}

/// Every file reads back, whole, even with each single remote lost that the layout says may be.
pub async fn assert_all(world: &World, id: PoolId, files: u64, size: usize, losses: bool) {
    let pool = world.open(id).await.unwrap();
    for file in 0..files {
        let name = format!("/f{file}");
        assert_eq!(get(&pool, &name).await.unwrap(), content(file, size), "{name}");
        assert_whole(world, &pool, &name).await;
    }
    for faults in world.faults.iter().filter(|_| losses) {
        faults.set_lost(true);
        let pool = world.open(id).await.unwrap();
        for file in 0..files {
            assert_eq!(get(&pool, &format!("/f{file}")).await.unwrap(), content(file, size));
        }
        faults.set_lost(false);
    }
}

/// How many shard objects lie on all remotes.
pub fn objects(world: &World) -> usize {
    world.stores.iter().map(|store| store.names().into_iter().filter(|name| name.starts_with("data/")).count()).sum()
}

async fn places(pool: &Arc<Pool>, files: u64) -> usize {
    let mut count = 0;
    for file in 0..files {
        count += shards(pool, &format!("/f{file}")).await.iter().map(Vec::len).sum::<usize>();
    }
    count
}

async fn rebalance(
    pool: &Arc<Pool>,
    target: f64,
) -> rclonepool_core::Result<rclonepool_core::pool::care::RebalanceReport> {
    let plan = pool.plan_rebalance(target).await?;
    pool.rebalance(&plan, &Monitor::default()).await
}

#[tokio::test(start_paused = true)]
async fn a_remote_that_came_later_gets_its_part() {
    let (world, id) = uneven(5, "parity:2+1", 12, MIB).await;
    let pool = world.open(id).await.unwrap();
    let status = pool.balance_status().await.unwrap();
    assert!(status.variance > 100.0 && status.remotes[4].used == 0, "{status:?}");
    let plan = pool.plan_rebalance(10.0).await.unwrap();
    assert!(plan.reached && plan.shards > 0 && plan.flows.iter().all(|flow| flow.to == "m4:"), "{plan:?}");
    let report = pool.rebalance(&plan, &Monitor::default()).await.unwrap();
    assert_eq!((report.shards, report.freed, report.failed, report.stale), (plan.shards, plan.shards, 0, false));
    let status = pool.balance_status().await.unwrap();
    assert!(report.reached && status.variance <= 10.0, "{status:?}");
    assert_eq!(
        status.remotes.iter().map(|r| r.used).collect::<Vec<_>>(),
        plan.used_after.values().copied().collect::<Vec<_>>()
    );
    assert_eq!(pool.plan_rebalance(10.0).await.unwrap().shards, 0);
    assert_eq!(objects(&world), places(&pool, 12).await, "nothing is left where it lay");
    pool.close().await;
    assert_all(&world, id, 12, MIB, true).await;
}

#[tokio::test(start_paused = true)]
async fn weights_of_the_journal_are_obeyed_and_a_changed_configuration_at_once() {
    let (mut world, id) = uneven(4, "none", 30, 290_000).await;
    let weighted = rclonepool_core::pool::PlacementSettings { weight: 3.0, ..Default::default() };
    world.settings.placement.insert("m3:".into(), weighted);
    let pool = world.open(id).await.unwrap();
    rebalance(&pool, 12.0).await.unwrap();
    let used: Vec<u64> = pool.balance_status().await.unwrap().remotes.iter().map(|r| r.used / 290_000).collect();
    assert!((14..=16).contains(&used[3]) && used[..3].iter().all(|n| (4..=6).contains(n)), "{used:?}");
    // Another machine, whose configuration says nothing of it, finds nothing to do.
    world.settings.placement.clear();
    let other = world.open(id).await.unwrap();
    assert_eq!(other.index_remote_weight("m3:"), Some(3.0));
}

trait Weight {
    fn index_remote_weight(&self, label: &str) -> Option<f64>;
}

impl Weight for Pool {
    fn index_remote_weight(&self, label: &str) -> Option<f64> {
        let records = self.journal().index().remotes().unwrap();
        records.into_iter().find(|r| r.label == label).map(|r| r.weight)
    }
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_remote_call_it_loses_nothing_and_goes_on_later() {
    let mut crashed = 0;
    for call in 1.. {
        let (world, id) = uneven(4, "parity:2+1", 2, 500_000).await;
        let crash = Crash::never();
        let opened = world.open_as(id, world.machine(), &crash, Index::in_memory().unwrap()).await.unwrap();
        crash.arm(call);
        let done = rebalance(&opened, 20.0).await;
        drop(opened);
        if !crash.happened() {
            assert!(done.unwrap().shards > 0);
            break;
        }
        crashed += 1;
        assert_all(&world, id, 2, 500_000, true).await;
        let pool = world.open(id).await.unwrap();
        rebalance(&pool, 20.0).await.unwrap();
        assert!(pool.balance_status().await.unwrap().variance <= 60.0);
        assert_eq!(pool.journal().index().replaced_places().unwrap(), [], "call {call}");
        pool.close().await;
        assert_all(&world, id, 2, 500_000, false).await;
    }
    assert!(crashed > 20, "{crashed}");
}

#[tokio::test(start_paused = true)]
async fn two_machines_at_once_do_no_harm() {
    for seed in 0..6u64 {
        let (world, id) = uneven(5, if seed % 2 == 0 { "parity:3+1" } else { "parity:2+1" }, 6, 700_000).await;
        let (a, b) = (world.open(id).await.unwrap(), world.open(id).await.unwrap());
        let other = 10.0 + 8.0 * (seed % 3) as f64;
        let (first, second) = tokio::join!(rebalance(&a, 10.0), rebalance(&b, other));
        first.unwrap();
        second.unwrap();
        assert_all(&world, id, 6, 700_000, false).await;
        // One more plan parts what the two put together, and frees what was left.
        let pool = world.open(id).await.unwrap();
        rebalance(&pool, 25.0).await.unwrap();
        rebalance(&pool, 25.0).await.unwrap();
        for file in 0..6 {
            for chunk in shards(&pool, &format!("/f{file}")).await {
                let on: BTreeSet<&String> = chunk.iter().map(|shard| &shard.remote).collect();
                assert_eq!(on.len(), chunk.len(), "seed {seed}");
            }
        }
        assert_eq!(pool.plan_rebalance(25.0).await.unwrap().shards, 0, "seed {seed}: it comes to rest");
        assert_eq!(objects(&world), places(&pool, 6).await, "seed {seed}");
        pool.close().await;
        assert_all(&world, id, 6, 700_000, true).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_remote_that_is_full_read_only_offline_or_empty_meanwhile_costs_nothing_but_time() {
    for trouble in 0..5 {
        let (world, id) = uneven(5, "parity:2+1", 6, 700_000).await;
        let pool = world.open(id).await.unwrap();
        let plan = pool.plan_rebalance(10.0).await.unwrap();
        let moves = plan.shards;
        match trouble {
            0 => world.faults[4].set_full(true),
            1 => world.faults[0].set_read_only(true),
            2 => world.faults[4].set_offline(true),
            3 => world.faults[0].set_emptied(true),
            _ => world.stores[0].swap(&world.stores[1]),
        }
        let done = pool.rebalance(&plan, &Monitor::default()).await;
        match (trouble, &done) {
            (0, Ok(report)) => assert!(report.failed > 0 && report.shards + report.failed == moves, "{report:?}"),
            // One of the moves was onto it.
            (1, Ok(report)) => assert!(report.shards > 0 && report.shards + report.failed >= moves, "{report:?}"),
            (4, Ok(report)) => assert!(report.failed == 0, "the places follow the markers: {report:?}"),
            (2 | 3, Err(error)) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
            (2 | 3, Ok(report)) => assert!(report.shards <= moves, "{report:?}"),
            _ => panic!("{trouble}: {done:?}"),
        }
        match trouble {
            0 => world.faults[4].set_full(false),
            1 => world.faults[0].set_read_only(false),
            2 => world.faults[4].set_offline(false),
            3 => world.faults[0].set_emptied(false),
            _ => world.stores[0].swap(&world.stores[1]),
        }
        drop(pool);
        let pool = world.open(id).await.unwrap();
        let report = rebalance(&pool, 10.0).await.unwrap();
        assert_eq!(report.failed, 0, "{trouble}: {report:?}");
        assert!(pool.balance_status().await.unwrap().variance <= 10.0, "{trouble}");
        pool.close().await;
        assert_all(&world, id, 6, 700_000, true).await;
    }
}

#[tokio::test(start_paused = true)]
async fn by_itself_it_starts_above_the_threshold_and_stops_at_half_of_it() {
    let (world, id) = uneven(4, "none", 60, 100_000).await;
    let pool = world.open(id).await.unwrap();
    assert_eq!(pool.auto_rebalance(500.0, &Monitor::default()).await.unwrap(), None);
    let (stop, every) = (tokio_util::sync::CancellationToken::new(), std::time::Duration::from_secs(3600));
    let monitor = Monitor::new(Arc::new(|_| ()), stop.clone());
    let keeping = tokio::spawn(Pool::keep_balanced(Arc::downgrade(&pool), every, 30.0, monitor));
    tokio::time::sleep(every + std::time::Duration::from_secs(60)).await;
    let variance = pool.balance_status().await.unwrap().variance;
    assert!(variance <= 15.0, "{variance}");
    assert_eq!(pool.auto_rebalance(30.0, &Monitor::default()).await.unwrap(), None);
    stop.cancel();
    keeping.await.unwrap();
}
