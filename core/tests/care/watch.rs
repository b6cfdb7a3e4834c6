//! Watching health, on a paused clock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rclonepool_core::pool::care::FileState;
use rclonepool_core::{Event, Monitor};
use tokio_util::sync::CancellationToken;

use crate::{at, content, made, put, shards};

type Seen = Arc<Mutex<Vec<Event>>>;

fn listener() -> (Monitor, Seen, CancellationToken) {
    let (seen, cancel) = (Seen::default(), CancellationToken::new());
    let events = seen.clone();
    let monitor = Monitor::new(Arc::new(move |event| events.lock().unwrap().push(event.clone())), cancel.clone());
    (monitor, seen, cancel)
}

fn states(seen: &Seen) -> Vec<(FileState, Vec<String>)> {
    let seen = seen.lock().unwrap();
    let state = |event: &Event| match event {
        Event::Health { state, offline, .. } => (*state, offline.clone()),
        other => panic!("{other:?}"),
    };
    seen.iter().map(state).collect()
}

#[tokio::test(start_paused = true)]
async fn a_change_is_told_once_and_the_watch_ends_with_the_pool() {
    let (world, _, pool) = made(4, "parity:3+1", 300_000).await;
    world.clock.follow_runtime();
    put(&pool, "/f", &content(1, 900_000)).await;
    let (monitor, seen, _) = listener();
    let watch = pool.watch_health(&monitor).unwrap();
    let hour = Duration::from_secs(3600);
    tokio::time::sleep(hour * 3 + hour / 2).await;
    let healthy = (FileState::Healthy, vec![]);
    assert_eq!(states(&seen), std::slice::from_ref(&healthy), "told once");

    world.faults[2].set_offline(true);
    tokio::time::sleep(hour).await;
    let offline = (FileState::AtRisk, vec!["m2:".to_owned()]);
    assert_eq!(states(&seen), [healthy.clone(), offline.clone()]);
    world.faults[2].set_offline(false);
    tokio::time::sleep(hour).await;
    assert_eq!(states(&seen)[2..], [healthy]);

    // A quick verification finds what was deleted.
    let shard = &shards(&pool, "/f").await[0][0];
    world.stores[at(shard)].remove(&shard.object);
    tokio::time::sleep(hour).await;
    assert_eq!(states(&seen)[3..], [(FileState::AtRisk, vec![])]);

    pool.close().await;
    watch.ended().await;
}

#[tokio::test(start_paused = true)]
async fn it_stops_when_told_and_does_not_run_when_switched_off() {
    let (mut world, id, pool) = made(2, "none", 300_000).await;
    let (monitor, seen, cancel) = listener();
    let watch = pool.watch_health(&monitor).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    watch.stop().await;
    let watch = pool.watch_health(&monitor).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    cancel.cancel();
    watch.ended().await;
    // It keeps no pool alive.
    let (monitor, _, _) = listener();
    let watch = pool.watch_health(&monitor).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(pool);
    watch.ended().await;
    assert_eq!(seen.lock().unwrap().len(), 2);
    world.settings.health_check = None;
    assert!(world.open(id).await.unwrap().watch_health(&monitor).is_none());
}
