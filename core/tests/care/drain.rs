//! Draining: everything leaves a remote, then the remote leaves the pool.

use rclonepool_core::index::Index;
use rclonepool_core::pool::RemoteState;
use rclonepool_core::testing::fault::Crash;
use rclonepool_core::{ErrorKind, Monitor};

use crate::balance::{MIB, assert_all, objects, uneven};
use crate::{content, get, put};

fn shards_on(world: &rclonepool_core::testing::world::World, at: usize) -> usize {
    world.stores[at].names().iter().filter(|name| name.starts_with("data/")).count()
}

#[tokio::test(start_paused = true)]
async fn a_drained_remote_is_empty_and_out_of_the_pool() {
    let (world, id) = uneven(5, "parity:2+1", 6, MIB).await;
    let pool = world.open(id).await.unwrap();
    let plan = pool.plan_drain("m1:").await.unwrap();
    assert_eq!((plan.shards as usize, plan.stuck, plan.sinking), (shards_on(&world, 1), 0, 0));
    let report = pool.drain("m1:", true, false, &Monitor::default()).await.unwrap();
    assert_eq!((report.moved.shards, report.left), (plan.shards, 0));
    assert_eq!(report.change.unwrap().state, RemoteState::Removed);
    assert_eq!(shards_on(&world, 1), 0);
    assert!(!world.stores[1].names().iter().any(|name| name.contains("/remote-")), "its marker goes last");
    pool.close().await;
    assert_all(&world, id, 6, MIB, true).await;
}

#[tokio::test(start_paused = true)]
async fn where_others_write_it_leaves_after_a_grace_and_takes_nothing_new_meanwhile() {
    let (world, id) = uneven(4, "parity:2+1", 4, MIB).await;
    let pool = world.open(id).await.unwrap();
    let report = pool.drain("m0:", false, false, &Monitor::default()).await.unwrap();
    assert_eq!(report.change.unwrap().state, RemoteState::Leaving);
    put(&pool, "/new", &content(9, MIB)).await;
    assert_eq!(shards_on(&world, 0), 0);
    world.pass(std::time::Duration::from_secs(25 * 3600));
    let report = pool.drain("m0:", false, false, &Monitor::default()).await.unwrap();
    assert_eq!(report.change.unwrap().state, RemoteState::Removed);
}

#[tokio::test(start_paused = true)]
async fn it_refuses_what_the_others_cannot_hold_or_what_costs_tolerance() {
    let (mut world, id) = uneven(4, "parity:2+1", 4, MIB).await;
    let three = world.open(id).await.unwrap();
    three.drain("m3:", true, false, &Monitor::default()).await.unwrap();
    let error = three.drain("m1:", true, false, &Monitor::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.message().contains("survive the loss of fewer"), "{error}");
    let quota = rclonepool_core::pool::PlacementSettings { quota: Some(2 << 20), ..Default::default() };
    for name in ["m0:", "m2:"] {
        world.settings.placement.insert(name.into(), quota.clone());
    }
    let tight = world.open(id).await.unwrap();
    let error = tight.drain("m1:", true, true, &Monitor::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    assert!(tight.journal().index().remotes().unwrap().iter().all(|r| r.state != RemoteState::Draining));
    let report = three.drain("m1:", true, true, &Monitor::default()).await.unwrap();
    assert_eq!(report.left, 0);
    assert_eq!(get(&three, "/f1").await.unwrap(), content(1, MIB));
    assert_eq!(objects(&world), 4 * 4 * 3);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_from_it_is_made_from_the_others() {
    let (world, id) = uneven(6, "parity:2+1", 4, MIB).await;
    world.faults[1].set_offline(true);
    let pool = world.open(id).await.unwrap();
    let plan = pool.plan_drain("m1:").await.unwrap();
    assert!(plan.offline && plan.shards > 0);
    let report = pool.drain("m1:", true, false, &Monitor::default()).await.unwrap();
    assert_eq!((report.moved.shards, report.left), (plan.shards, 0));
    assert_all(&world, id, 4, MIB, false).await;
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_remote_call_it_goes_on_later() {
    let mut crashed = 0;
    for call in 1.. {
        let (world, id) = uneven(4, "parity:2+1", 1, 250_000).await;
        let crash = Crash::never();
        let opened = world.open_as(id, world.machine(), &crash, Index::in_memory().unwrap()).await.unwrap();
        crash.arm(call);
        let done = opened.drain("m1:", true, false, &Monitor::default()).await;
        drop(opened);
        if !crash.happened() {
            assert_eq!(done.unwrap().left, 0);
            break;
        }
        crashed += 1;
        assert_all(&world, id, 1, 250_000, true).await;
        let pool = world.open(id).await.unwrap();
        // Also where it had left already, and only its marker's deletion was missing.
        let report = pool.drain("m1:", true, false, &Monitor::default()).await.unwrap();
        assert_eq!(report.change.unwrap().state, RemoteState::Removed, "call {call}");
        assert!(!world.stores[1].names().iter().any(|name| name.contains("/remote-")), "call {call}");
        pool.close().await;
        assert_all(&world, id, 1, 250_000, false).await;
    }
    assert!(crashed > 20, "{crashed}");
}

#[tokio::test(start_paused = true)]
async fn a_remote_that_takes_nothing_any_more_leaves_all_the_same() {
    let (world, id) = uneven(5, "parity:2+1", 6, MIB).await;
    world.faults[1].set_read_only(true);
    let pool = world.open(id).await.unwrap();
    let report = pool.drain("m1:", true, false, &Monitor::default()).await.unwrap();
    assert_eq!((report.left, report.change.unwrap().state), (0, RemoteState::Removed));
    pool.close().await;
    assert!(world.stores[1].names().iter().any(|name| name.contains("/remote-")), "nothing can be deleted there");
    assert_all(&world, id, 6, MIB, false).await;
    // Writable again, its name finishes what was left over.
    world.faults[1].set_read_only(false);
    let pool = world.open(id).await.unwrap();
    assert_eq!(pool.remove_remote("m1:", true).await.unwrap().state, RemoteState::Removed);
    assert!(!world.stores[1].names().iter().any(|name| name.contains("/remote-")));
}
