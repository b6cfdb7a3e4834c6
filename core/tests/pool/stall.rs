//! Uploads that stall are moved to another remote.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rclonepool_core::pool::PlacementSettings;
use rclonepool_core::pool::care::GcOptions;
use rclonepool_core::remote::wrap::Verb;
use rclonepool_core::testing::script::Script;
use rclonepool_core::testing::world::World;
use rclonepool_core::{Monitor, Pool};
use tokio::time::Instant;

use crate::{content, get, path, put, scripted};

/// A pool whose first chunk's shards lie where the next one's will, and the script of its machine.
async fn stage(remotes: usize, mode: &str, domains: &[(usize, &str)]) -> (World, Arc<Pool>, Arc<Script>) {
    let mut world = World::new(remotes, mode.parse().unwrap(), 300_000, 1);
    for (at, domain) in domains {
        let settings = PlacementSettings { domain: Some((*domain).into()), ..PlacementSettings::default() };
        world.settings.placement.insert(format!("m{at}:"), settings);
    }
    let id = world.init().await.unwrap();
    let (pool, script) = scripted(&world, id).await;
    (world, pool, script)
}

/// The first shard that is put takes so long, maybe though it is there at once; gives back the object's remote and
/// name, when there is one.
fn stall(world: &World, script: &Script, time: Duration, is_there: bool) -> Arc<Mutex<Option<(usize, String)>>> {
    let seen: Arc<Mutex<Option<(usize, String)>>> = Arc::default();
    let (noted, found, stores) = (seen.clone(), seen.clone(), world.stores.clone());
    let when = move |label: &str, verb: Verb, name: &str| {
        let is_shard = verb == Verb::Put && name.starts_with("data/");
        if is_shard {
            let at = label.trim_matches(|c| c == 'm' || c == ':').parse().unwrap();
            *noted.lock().unwrap() = Some((at, name.to_owned()));
        }
        is_shard
    };
    script.before(when, async move {
        let (at, name) = found.lock().unwrap().clone().unwrap();
        if is_there {
            stores[at].insert(&name, content(9, 100));
        }
        tokio::time::sleep(time).await;
    });
    seen
}

async fn objects(pool: &Pool) -> BTreeSet<(String, String)> {
    let chunks = pool.stat(&path("/f")).await.unwrap().chunks;
    chunks.into_iter().flat_map(|chunk| chunk.shards).map(|shard| (shard.remote, shard.object)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_stalled_upload_goes_elsewhere_and_what_it_left_is_in_no_record() {
    for (mode, shards) in [("parity:3+1", 4), ("replication:2", 2)] {
        let (world, pool, script) = stage(5, mode, &[]).await;
        let stalled = stall(&world, &script, Duration::from_secs(1000), true);
        let (bytes, begin) = (content(2, 200_000), Instant::now());
        put(&pool, "/f", &bytes).await.unwrap();
        assert_eq!(begin.elapsed().as_secs(), 10, "{mode}");
        let (at, name) = stalled.lock().unwrap().clone().unwrap();
        let placed = objects(&pool).await;
        let remotes: BTreeSet<&String> = placed.iter().map(|(remote, _)| remote).collect();
        assert_eq!((placed.len(), remotes.len()), (shards, shards), "{mode}");
        assert!(placed.iter().all(|(remote, object)| *remote != format!("m{at}:") && *object != name), "{mode}");
        assert!(world.stores[at].names().contains(&name), "it may be there: that is for gc to see");
        assert_eq!(get(&pool, "/f").await.unwrap(), bytes);
        let found = pool.orphans(&GcOptions::default(), &Monitor::default()).await.unwrap();
        assert_eq!(found.remotes.iter().map(|remote| remote.objects).sum::<u64>(), 1, "{found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_another_remote_it_goes_on() {
    let mine = [(3, "mine"), (4, "mine")];
    // All have a shard; or whoever has none is not independent of one that has.
    for (remotes, domains) in [(4, &[][..]), (5, &mine[..])] {
        let (world, pool, script) = stage(remotes, "parity:3+1", domains).await;
        let stalled = stall(&world, &script, Duration::from_secs(1000), false);
        let begin = Instant::now();
        put(&pool, "/f", &content(2, 200_000)).await.unwrap();
        let (at, name) = stalled.lock().unwrap().clone().unwrap();
        if at >= 3 && remotes == 5 {
            assert_eq!(begin.elapsed().as_secs(), 10, "to the other account of the same owner");
            continue;
        }
        assert_eq!(begin.elapsed().as_secs(), 1000);
        assert!(objects(&pool).await.contains(&(format!("m{at}:"), name)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_takes_as_long_as_the_others_is_not_cut() {
    for (time, moved) in [(59, false), (61, true)] {
        let (world, pool, script) = stage(5, "parity:3+1", &[]).await;
        let stalled = stall(&world, &script, Duration::from_secs(time), false);
        for _ in 0..3 {
            let is_shard = |_: &str, verb: Verb, name: &str| verb == Verb::Put && name.starts_with("data/");
            script.before(is_shard, tokio::time::sleep(Duration::from_secs(30)));
        }
        put(&pool, "/f", &content(2, 200_000)).await.unwrap();
        let (_, name) = stalled.lock().unwrap().clone().unwrap();
        assert_eq!(!objects(&pool).await.iter().any(|(_, object)| *object == name), moved);
    }
}
