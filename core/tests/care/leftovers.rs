//! What puts that broke off left under unfinished names goes, and nothing else of that ending does.

use std::time::Duration;

use rclonepool_core::Monitor;
use rclonepool_core::pool::care::GcOptions;
use rclonepool_core::testing::world::World;

use crate::{DAY, content, gc, get, put, world};

fn all(world: &World) -> usize {
    world.stores.iter().map(|store| store.names().len()).sum()
}

#[tokio::test(start_paused = true)]
async fn what_broken_puts_left_goes_when_it_is_old() {
    let (world, id) = world("parity:2+1", 21).await;
    let pool = world.open(id).await.unwrap();
    put(&pool, "/keep", &content(1, 150_000)).await;
    pool.close().await;
    let before = all(&world);
    let names = world.stores[1].names();
    let shard = names.iter().find(|name| name.starts_with("data/")).unwrap();
    let commit = names.iter().find(|name| name.contains("/commits/")).unwrap();
    let marker = names.iter().find(|name| name.contains("/remote-")).unwrap();
    let directory = format!("{}/0123456789abcdef.partial", shard.rsplit_once('/').unwrap().0);
    let ours = [
        format!("{shard}.0a1b2c3d.partial"),
        format!("{commit}.0a1b2c3d.partial"),
        format!("{marker}.0a1b2c3d.partial"),
        directory,
    ];
    let others = ["data/film.0a1b2c3d.partial", "mine/0123456789abcdef.partial", "0123456789abcdef.partial"];
    for name in ours.iter().map(String::as_str).chain(others) {
        world.stores[1].insert(name, content(2, 1000));
    }
    let found = pool.orphans(&GcOptions::default(), &Monitor::default()).await.unwrap();
    let mut listed: Vec<_> = found.leftovers.iter().map(|leftover| leftover.object.clone()).collect();
    listed.sort();
    let mut expected = ours.to_vec();
    expected.sort();
    assert_eq!(listed, expected);
    assert!(found.leftovers.iter().all(|leftover| (leftover.remote.as_str(), leftover.bytes) == ("m1:", 1000)));
    assert_eq!((found.orphans.len(), found.bytes(), found.remotes[0].objects), (0, 4000, 4));

    let young = gc(&pool).await.unwrap();
    assert_eq!((young.leftovers, young.waiting), (0, 4000));
    assert!(young.next_ms.is_some());
    world.pass(Duration::from_secs(12 * 3600));
    // This one grows: its put is under way.
    world.stores[1].insert(ours[0].as_str(), content(2, 2000));
    assert_eq!(gc(&pool).await.unwrap().waiting, 5000);
    world.pass(DAY / 2);
    let old = gc(&pool).await.unwrap();
    assert_eq!((old.leftovers, old.objects, old.reclaimed, old.waiting), (3, 3, 3000, 2000));
    world.pass(DAY / 2);
    assert_eq!(gc(&pool).await.unwrap().leftovers, 1);
    assert_eq!(all(&world), before + others.len(), "what others keep stays");
    assert_eq!(get(&world.open(id).await.unwrap(), "/keep").await.unwrap(), content(1, 150_000));
}

#[tokio::test(start_paused = true)]
async fn an_away_remote_keeps_its_leftovers_and_their_age() {
    let (world, id) = world("parity:2+1", 22).await;
    let pool = world.open(id).await.unwrap();
    put(&pool, "/keep", &content(1, 150_000)).await;
    let at = (0..4).find(|at| world.stores[*at].names().iter().any(|name| name.starts_with("data/"))).unwrap();
    let shard = world.stores[at].names().into_iter().find(|name| name.starts_with("data/")).unwrap();
    world.stores[at].insert(format!("{shard}.0a1b2c3d.partial"), content(2, 1000));
    assert_eq!(gc(&pool).await.unwrap().waiting, 1000);
    world.faults[at].set_offline(true);
    world.pass(DAY);
    assert_eq!(gc(&pool).await.unwrap().leftovers, 0);
    world.faults[at].set_offline(false);
    pool.sync().await.unwrap();
    assert_eq!(gc(&pool).await.unwrap().leftovers, 1);
}
