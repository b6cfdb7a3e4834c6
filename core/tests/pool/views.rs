//! What a view is, when several operations and several processes take theirs at once.

use std::sync::Arc;
use std::time::Duration;

use rclonepool_core::index::Index;
use rclonepool_core::redundancy::Redundancy;
use rclonepool_core::remote::wrap::Verb;
use rclonepool_core::testing::fault::{Crash, FaultPlan};
use rclonepool_core::testing::world::World;
use tokio::sync::Notify;

use crate::{content, get, half_done, put, scripted};

/// A commit put while another operation's listing is on its way is missing in that listing: no remote lost it.
#[tokio::test(start_paused = true)]
async fn operations_side_by_side_do_not_spoil_each_others_views() {
    let world = World::new(4, Redundancy::NONE, 100_000, 1);
    let id = world.init().await.unwrap();
    let pool = world.open(id).await.unwrap();
    for faults in &world.faults {
        faults.set_plan(FaultPlan { latency: Duration::ZERO..Duration::from_millis(100), ..FaultPlan::default() });
    }
    let mut puts = tokio::task::JoinSet::new();
    for n in 0..40 {
        let pool = pool.clone();
        puts.spawn(async move { put(&pool, &format!("/{n}"), &content(n, 10)).await.unwrap() });
    }
    let stale = puts.join_all().await.iter().filter(|report| report.stale).count();
    assert_eq!(stale, 0, "of 40 uploads on a healthy pool");
}

/// The operation that lists later must not work with the view of one that listed earlier and slower.
#[tokio::test]
async fn a_slow_listing_does_not_replace_a_later_one() {
    let world = World::new(3, Redundancy::NONE, 100_000, 2);
    let id = world.init().await.unwrap();
    let (pool, script) = scripted(&world, id).await;
    let (reached, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (r, g) = (reached.clone(), go.clone());
    script.before(|label, verb, _| label == "m1:" && verb == Verb::List, async move {
        r.notify_one();
        g.notified().await;
    });
    let slow = tokio::spawn({
        let pool = pool.clone();
        async move { pool.sync().await.map(|view| view.taken_at_ms) }
    });
    reached.notified().await;
    world.pass(Duration::from_secs(5));
    let later = pool.sync().await.unwrap().taken_at_ms;
    go.notify_one();
    assert!(slow.await.unwrap().unwrap() < later);
    assert_eq!(pool.view().await.taken_at_ms, later);
}

/// Processes share the index, so one knows commits that another has merged: its stamps must be above those.
#[tokio::test]
async fn stamps_are_above_what_another_process_merged() {
    let world = World::new(3, Redundancy::NONE, 100_000, 3);
    let id = world.init().await.unwrap();
    // An old commit comes to light later.
    half_done(&world, id, async |pool| drop(put(pool, "/old", &content(1, 10)).await.unwrap_err())).await;
    world.faults[0].set_offline(true);
    let index = Arc::new(Index::in_memory().unwrap());
    let fast = world.machine();
    fast.set_skew(3_600_000);
    let first = world.open_as(id, world.machine(), &Crash::never(), index.clone()).await.unwrap();
    let second = world.open_as(id, fast, &Crash::never(), index).await.unwrap();
    assert!(!put(&second, "/f", &content(2, 10)).await.unwrap().stale);
    world.faults[0].set_offline(false);
    assert!(!put(&first, "/f", &content(3, 10)).await.unwrap().stale);
    assert_eq!(get(&world.open(id).await.unwrap(), "/f").await.unwrap(), content(3, 10), "the later write counts");
}
