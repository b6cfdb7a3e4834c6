//! Remotes that are lost for good.

use std::sync::Arc;

use rclonepool_core::index::Index;
use rclonepool_core::pool::RemoteState;
use rclonepool_core::pool::care::RebuildOptions;
use rclonepool_core::remote::SharedRemote;
use rclonepool_core::remote::memory::{MemoryRemote, MemoryStore};
use rclonepool_core::testing::fault::{Crash, FaultRemote, Faults, SplitMix};
use rclonepool_core::testing::world::World;
use rclonepool_core::{ErrorKind, Monitor, Pool};

use crate::{content, get, put, try_put};

fn names(labels: &[&str]) -> Vec<String> {
    labels.iter().map(|label| (*label).to_owned()).collect()
}

async fn rebuild(pool: &Arc<Pool>) -> u64 {
    let options = RebuildOptions { all: true, ..RebuildOptions::default() };
    let plan = pool.plan_rebuild(&options, &Monitor::default()).await.unwrap();
    let report = pool.rebuild(&plan, &Monitor::default()).await.unwrap();
    assert_eq!((report.failed, report.unrecoverable), (0, 0));
    report.shards
}

#[tokio::test(start_paused = true)]
async fn a_pool_of_three_that_lost_one_is_released() {
    let world = World::new(3, "parity:2+1".parse().unwrap(), 300_000, 3);
    let id = world.init().await.unwrap();
    let pool = world.open(id).await.unwrap();
    put(&pool, "/f", &content(1, 500_000)).await;
    pool.close().await;
    world.faults[2].set_lost(true);
    let pool = world.open(id).await.unwrap();
    assert!(!pool.view().await.complete && put(&pool, "/g", &content(2, 500_000)).await.stale);
    // Not while another one is merely offline.
    world.faults[1].set_offline(true);
    pool.sync().await.unwrap();
    let error = pool.remove_lost(&names(&["m2:"])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("m1:"), "{error}");
    world.faults[1].set_offline(false);
    world.pass(std::time::Duration::from_secs(120));
    let plan = pool.plan_loss(&names(&["m2:"])).await.unwrap();
    assert!(plan.online.is_empty() && plan.shards > 0 && plan.unreadable == 0 && plan.left == 2, "{plan:?}");
    let report = pool.remove_lost(&names(&["m2:"])).await.unwrap();
    assert_eq!(report.forgotten, 0);
    assert!(pool.view().await.complete, "{:?}", pool.view().await.lacks);
    assert!(!put(&pool, "/h", &content(3, 500_000)).await.stale);
    assert!(rebuild(&pool).await > 0);
    // What it held when it comes back is never accepted again.
    world.faults[2].set_lost(false);
    let fresh = world.open(id).await.unwrap();
    assert_eq!(fresh.view().await.online().len(), 2);
    for (n, name) in ["/f", "/g", "/h"].into_iter().enumerate() {
        assert_eq!(get(&fresh, name).await.unwrap(), content(n as u64 + 1, 500_000));
    }
}

#[tokio::test(start_paused = true)]
async fn several_are_let_go_together_and_the_last_never() {
    let world = World::new(4, "parity:2+2".parse().unwrap(), 300_000, 4);
    let id = world.init().await.unwrap();
    let pool = world.open(id).await.unwrap();
    put(&pool, "/f", &content(1, 500_000)).await;
    world.faults[1].set_lost(true);
    world.faults[3].set_lost(true);
    let pool = world.open(id).await.unwrap();
    let error = pool.remove_lost(&names(&["m1:"])).await.unwrap_err();
    assert!(error.message().contains("m3:"), "{error}");
    pool.remove_lost(&names(&["m1:", "m3:"])).await.unwrap();
    assert!(pool.view().await.complete);
    rebuild(&pool).await;
    assert_eq!(get(&pool, "/f").await.unwrap(), content(1, 500_000));
    let error = pool.plan_loss(&names(&["m0:", "m2:"])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert_eq!(pool.plan_loss(&names(&["nobody"])).await.unwrap_err().kind(), ErrorKind::NotFound);
}

/// The remote that replaces another, as a machine sees it that may crash.
fn successor(label: &str, store: &MemoryStore, crash: &Arc<Crash>) -> SharedRemote {
    let bare: SharedRemote = Arc::new(MemoryRemote::on(label.to_owned(), store.clone()));
    Arc::new(FaultRemote::new(bare, Faults::none(), crash.clone()))
}

#[tokio::test(start_paused = true)]
async fn replaced_at_any_crash_it_ends_with_all_shards_on_the_new_one() {
    let mut crashed = 0;
    for call in 1.. {
        for same_name in [false, true] {
            let mut world = World::new(3, "parity:2+1".parse().unwrap(), 300_000, 3);
            let id = world.init().await.unwrap();
            let pool = world.open(id).await.unwrap();
            put(&pool, "/f", &content(1, 500_000)).await;
            pool.close().await;
            let new = MemoryStore::default();
            let label = if same_name { "m2:" } else { "new:" };
            if same_name {
                world.stores[2].clear();
            } else {
                world.faults[2].set_lost(true);
            }
            let crash = Crash::never();
            let opened = world.open_as(id, world.machine(), &crash, Index::in_memory().unwrap()).await.unwrap();
            crash.arm(call);
            let done = opened.replace_by("m2:", &world.settings, &[successor(label, &new, &crash)]).await;
            drop(opened);
            let happened = crash.happened();
            let pool = world.open(id).await.unwrap();
            if happened {
                crashed += 1;
                assert_eq!(get(&pool, "/f").await.unwrap(), content(1, 500_000), "call {call}");
                let again = successor(label, &new, &Crash::never());
                pool.replace_by("m2:", &world.settings, &[again]).await.unwrap();
            } else {
                assert!(done.unwrap().joined.is_some());
            }
            drop(pool);
            world.stores[2] = new;
            world.faults[2] = Faults::none();
            let mut remotes = world.remotes(&Crash::never());
            remotes[2] = successor(label, &world.stores[2], &Crash::never());
            let pool = world.open_over(id, world.machine(), remotes, Index::in_memory().unwrap()).await.unwrap();
            assert!(pool.view().await.complete, "call {call}: {:?}", pool.view().await.lacks);
            let states: Vec<RemoteState> = pool
                .journal()
                .index()
                .remotes()
                .unwrap()
                .iter()
                .map(|r| r.state)
                .filter(|s| *s != RemoteState::Active)
                .collect();
            assert!(states.contains(&RemoteState::Removed) && states.contains(&RemoteState::Joining), "{states:?}");
            assert!(rebuild(&pool).await >= 2, "call {call}");
            world.faults[0].set_lost(true);
            assert_eq!(get(&pool, "/f").await.unwrap(), content(1, 500_000));
            if !happened && same_name {
                assert!(crashed > 20, "{crashed}");
                return;
            }
        }
    }
}

/// No acknowledged commit is missed: machines write while up to as many remotes as the layout tolerates are
/// lost and let go, one of them without having seen it; what was acknowledged in full is found by a machine
/// that knows nothing.
#[tokio::test(start_paused = true)]
async fn no_acknowledged_file_is_missed_when_no_more_are_lost_than_tolerated() {
    let (mut released, mut full) = (0, 0);
    for seed in 0..150u64 {
        let mut random = SplitMix(seed ^ 0x1057);
        let n = 2 + random.below(4) as usize;
        let redundancy = match (n, random.below(3)) {
            (2, _) => "replication:2",
            (3, _) | (_, 0) => "parity:2+1",
            (4, _) => "parity:2+2",
            _ => "replication:3",
        };
        let world = World::new(n, redundancy.parse().unwrap(), 300_000, seed);
        let tolerated = world.settings.redundancy.tolerated();
        let id = world.init().await.unwrap();
        let machines = [world.open(id).await.unwrap(), world.open(id).await.unwrap(), world.open(id).await.unwrap()];
        let mut acknowledged: Vec<(String, u64)> = Vec::new();
        let mut lost: Vec<usize> = Vec::new();
        for step in 0..14u64 {
            let machine = &machines[random.below(3) as usize];
            match random.below(10) {
                0 | 1 if lost.len() < tolerated && step > 2 => {
                    let at = random.below(n as u64) as usize;
                    if !lost.contains(&at) && lost.len() + 1 < n {
                        world.faults[at].set_lost(true);
                        lost.push(at);
                    }
                }
                2..=4 if !lost.is_empty() => {
                    let labels: Vec<String> = lost.iter().map(|at| format!("m{at}:")).collect();
                    // Sometimes another one does not take the change: it is then repeated later.
                    let weak = (random.below(3) == 0).then(|| random.below(n as u64) as usize);
                    weak.iter().for_each(|at| world.faults[*at].set_full(true));
                    let (name, bytes) = (format!("/s{seed}-{step}"), content(step, 3_000));
                    let writing = try_put(&machines[0], &name, &bytes);
                    let (gone, wrote) = tokio::join!(machine.remove_lost(&labels), writing);
                    released += usize::from(gone.is_ok());
                    if wrote.is_ok_and(|report| !report.stale) {
                        acknowledged.push((name, step));
                    }
                    weak.iter().for_each(|at| world.faults[*at].set_full(false));
                }
                _ => {
                    let away = (random.below(4) == 0).then(|| random.below(n as u64) as usize);
                    away.iter().for_each(|at| world.faults[*at].set_offline(true));
                    let name = format!("/f{step}");
                    let wrote = try_put(machine, &name, &content(step, 3_000 + 70_000 * (step as usize % 2))).await;
                    if wrote.is_ok_and(|report| !report.stale) {
                        acknowledged.push((name, step));
                    }
                    away.iter().for_each(|at| world.faults[*at].set_offline(false));
                    world.pass(std::time::Duration::from_secs(61));
                }
            }
        }
        full += acknowledged.len();
        let fresh = world.open(id).await.unwrap();
        for (name, _) in &acknowledged {
            let found = fresh.entry(&crate::path(name)).unwrap();
            assert!(found.is_some(), "seed {seed}: {name} of {n} remotes, {redundancy}, lost {lost:?}");
        }
    }
    assert!(released > 60 && full > 600, "{released} {full}");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_needs_is_no_loss_and_what_is_done_is_not_done_again() {
    let world = World::new(4, "parity:2+1".parse().unwrap(), 100_000, 8);
    let id = world.init().await.unwrap();
    let pool = world.open(id).await.unwrap();
    put(&pool, "/f", &content(1, 400_000)).await;
    let before = pool.plan_loss(&names(&["m2:"])).await.unwrap();
    put(&pool, "/gone", &content(2, 900_000)).await;
    assert!(pool.plan_loss(&names(&["m2:"])).await.unwrap().shards > before.shards);
    pool.delete(&crate::path("/gone"), false).await.unwrap();
    let plan = pool.plan_loss(&names(&["m2:"])).await.unwrap();
    assert_eq!((plan.shards, plan.bytes), (before.shards, before.bytes));
    world.faults[2].set_lost(true);
    pool.sync().await.unwrap();
    pool.remove_lost(&names(&["m2:"])).await.unwrap();
    pool.close().await;
    // Again: nothing is lost with it, and nothing is written.
    let plan = pool.plan_loss(&names(&["m2:"])).await.unwrap();
    assert_eq!((plan.gone, plan.shards, plan.unreadable), (names(&["m2:"]), 0, 0));
    let objects = || world.stores.iter().map(|store| store.names().len()).sum::<usize>();
    let lie = objects();
    assert_eq!(pool.remove_lost(&names(&["m2:"])).await.unwrap().removed.len(), 1);
    pool.close().await;
    assert_eq!(objects(), lie);
}
