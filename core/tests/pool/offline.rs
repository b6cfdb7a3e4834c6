//! A remote that is down costs its time-outs once, not at every step of a command.

use std::time::Duration;

use rclonepool_core::testing::fault::FaultPlan;
use rclonepool_core::testing::world::World;
use tokio::time::Instant;

use crate::{content, get, put};

#[tokio::test(start_paused = true)]
async fn a_remote_that_failed_a_moment_ago_is_not_waited_for() {
    let world = World::new(4, "parity:2+1".parse().unwrap(), 300_000, 1);
    let id = world.init().await.unwrap();
    let slow = Duration::from_secs(50);
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
