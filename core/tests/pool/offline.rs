//! A remote that is down costs little, and once, not at every step of a command.

use std::time::Duration;

use rclonepool_core::testing::fault::FaultPlan;
use rclonepool_core::testing::world::World;
use tokio::time::Instant;

use crate::{content, get, put};

#[tokio::test(start_paused = true)]
async fn a_remote_that_failed_a_moment_ago_is_not_waited_for() {
    let world = World::new(4, "parity:2+1".parse().unwrap(), 300_000, 1);
    let id = world.init().await.unwrap();
    let slow = Duration::from_secs(9);
    let down = || FaultPlan { unavailable: 1.0, latency: slow..slow, ..FaultPlan::default() };
    world.faults[3].set_plan(down());
    let begin = Instant::now();
    let pool = world.open(id).await.unwrap();
    assert_eq!(begin.elapsed(), slow, "it is given its time once");

    let bytes = content(1, 1_000_000);
    let begin = Instant::now();
    put(&pool, "/f", &bytes).await.unwrap();
    assert_eq!(get(&pool, "/f").await.unwrap(), bytes);
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert_eq!(pool.view().await.online().len(), 3);

    // Back, and quick enough: seen at once.
    world.faults[3].set_plan(FaultPlan::default());
    assert_eq!(pool.sync().await.unwrap().online().len(), 4);

    // Down again; back but slow: given its time when a while has passed.
    world.faults[3].set_plan(down());
    assert_eq!(pool.sync().await.unwrap().online().len(), 3);
    world.faults[3].set_plan(FaultPlan { latency: slow..slow, ..FaultPlan::default() });
    assert_eq!(pool.sync().await.unwrap().online().len(), 3);
    world.pass(Duration::from_secs(61));
    assert_eq!(pool.sync().await.unwrap().online().len(), 4);
    pool.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_remote_that_says_nothing_is_waited_for_as_the_others_take() {
    let world = World::new(4, "parity:2+1".parse().unwrap(), 300_000, 1);
    let id = world.init().await.unwrap();
    world.faults[3].set_plan(FaultPlan { hang: 1.0, ..FaultPlan::default() });
    let begin = Instant::now();
    let pool = world.open(id).await.unwrap();
    assert_eq!(begin.elapsed(), Duration::from_secs(10));
    assert_eq!(pool.view().await.online().len(), 3);
    pool.close().await;

    // Where the others take long, so may it.
    let takes = |seconds| FaultPlan {
        latency: Duration::from_secs(seconds)..Duration::from_secs(seconds),
        ..FaultPlan::default()
    };
    for (remote, seconds) in [20, 20, 20, 80].into_iter().enumerate() {
        world.faults[remote].set_plan(takes(seconds));
    }
    let pool = world.open(id).await.unwrap();
    assert_eq!(pool.view().await.online().len(), 4);
    pool.close().await;
}
