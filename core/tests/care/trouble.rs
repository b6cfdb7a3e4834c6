//! Remotes in trouble, before and in the middle of care; and several machines that care at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rclonepool_core::id::PoolId;
use rclonepool_core::index::Index;
use rclonepool_core::pool::RemoteState;
use rclonepool_core::remote::wrap::Verb;
use rclonepool_core::testing::fault::{Crash, Faults};
use rclonepool_core::testing::script::{Script, ScriptRemote};
use rclonepool_core::testing::world::World;
use rclonepool_core::{ErrorKind, Monitor, Pool};

use crate::balance::{assert_all, uneven};
use crate::{assert_whole, content, get, path, remove, shards};

const FILES: u64 = 2;
const SIZE: usize = 450_000;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Trouble {
    Offline,
    Emptied,
    Swapped,
    ReadOnly,
    Full,
}

const TROUBLES: [Trouble; 5] = [Trouble::Offline, Trouble::Emptied, Trouble::Swapped, Trouble::ReadOnly, Trouble::Full];

/// The remote of a world that gets into trouble, and the one whose disk it may be swapped with.
#[derive(Clone)]
struct Victim {
    faults: Arc<Faults>,
    stores: [rclonepool_core::remote::MemoryStore; 2],
}

impl Victim {
    fn new(world: &World, at: usize) -> Self {
        let stores = [world.stores[at].clone(), world.stores[world.stores.len() - 1].clone()];
        Self { faults: world.faults[at].clone(), stores }
    }

    fn set(&self, trouble: Trouble, on: bool) {
        match trouble {
            Trouble::Offline => self.faults.set_offline(on),
            Trouble::Emptied => self.faults.set_emptied(on),
            Trouble::Swapped => self.stores[0].swap(&self.stores[1]),
            Trouble::ReadOnly => self.faults.set_read_only(on),
            Trouble::Full => self.faults.set_full(on),
        }
    }
}

/// A machine for which the trouble begins before its `put`-th put of a shard, counted from 0; `None`: now.
async fn troubled(world: &World, id: PoolId, at: usize, trouble: Trouble, put: Option<usize>) -> Arc<Pool> {
    let script = Arc::new(Script::default());
    let remotes = ScriptRemote::wrap(world.remotes(&Crash::never()), &script);
    let pool = world.open_over(id, world.machine(), remotes, Index::in_memory().unwrap()).await.unwrap();
    let victim = Victim::new(world, at);
    match put {
        None => victim.set(trouble, true),
        Some(put) => {
            let puts = AtomicUsize::new(0);
            let when = move |_: &str, verb, name: &str| {
                verb == Verb::Put && name.starts_with("data/") && puts.fetch_add(1, Ordering::Relaxed) == put
            };
            script.before(when, async move { victim.set(trouble, true) });
        }
    }
    pool
}

/// Whether an error is one that trouble with a remote may end in.
fn is_honest(error: &rclonepool_core::Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Busy | ErrorKind::Full | ErrorKind::Auth)
}

/// Everything reads back, with any one remote away.
async fn assert_safe(world: &World, id: PoolId, why: &str) {
    for lost in 0..world.faults.len() {
        world.faults[lost].set_lost(true);
        let pool = world.open(id).await.unwrap();
        for file in 0..FILES {
            assert_eq!(get(&pool, &format!("/f{file}")).await.unwrap(), content(file, SIZE), "{why}, without m{lost}:");
        }
        world.faults[lost].set_lost(false);
    }
}

#[tokio::test(start_paused = true)]
async fn draining_survives_every_trouble_of_every_remote() {
    for trouble in TROUBLES {
        for put in [None, Some(1)] {
            // The one that is drained, and another one.
            for at in [1, 2] {
                let why = format!("m{at}: {trouble:?} at {put:?}");
                let (world, id) = uneven(6, "parity:2+1", FILES, SIZE).await;
                let pool = troubled(&world, id, at, trouble, put).await;
                let done = pool.drain("m1:", true, true, &Monitor::default()).await;
                pool.close().await;
                drop(pool);
                if let Err(error) = &done {
                    assert!(is_honest(error), "{why}: {error}");
                }
                let away = matches!(trouble, Trouble::Offline | Trouble::Emptied);
                if let (Ok(report), 1, true) = (&done, at, away) {
                    // What cannot be read is made from the others.
                    assert!(report.left == 0 || report.moved.failed > 0 || report.moved.stale, "{why}: {report:?}");
                }
                Victim::new(&world, at).set(trouble, false);
                assert_safe(&world, id, &why).await;
                let pool = world.open(id).await.unwrap();
                let report =
                    pool.drain("m1:", true, true, &Monitor::default()).await.unwrap_or_else(|e| panic!("{why}: {e}"));
                assert_eq!((report.left, report.change.unwrap().state), (0, RemoteState::Removed), "{why}");
                pool.close().await;
                assert_all(&world, id, FILES, SIZE, false).await;
                assert_safe(&world, id, &why).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_machines_drain_the_same_remote() {
    let (world, id) = uneven(5, "parity:2+1", FILES, SIZE).await;
    let (a, b) = (world.open(id).await.unwrap(), world.open(id).await.unwrap());
    let monitor = Monitor::default();
    let (of_a, of_b) = tokio::join!(a.drain("m1:", true, true, &monitor), b.drain("m1:", true, true, &monitor));
    for done in [of_a, of_b] {
        if let Err(error) = done {
            assert!(is_honest(&error) || error.kind() == ErrorKind::NotFound, "{error}");
        }
    }
    a.close().await;
    b.close().await;
    let next = world.open(id).await.unwrap();
    let report = next.drain("m1:", true, true, &monitor).await.unwrap();
    assert_eq!((report.left, report.change.unwrap().state), (0, RemoteState::Removed));
    next.close().await;
    assert_all(&world, id, FILES, SIZE, true).await;
}

#[tokio::test(start_paused = true)]
async fn two_machines_drain_two_remotes() {
    let (world, id) = uneven(6, "parity:2+1", FILES, SIZE).await;
    let (a, b) = (world.open(id).await.unwrap(), world.open(id).await.unwrap());
    let monitor = Monitor::default();
    let (of_a, of_b) = tokio::join!(a.drain("m1:", true, true, &monitor), b.drain("m3:", true, true, &monitor));
    for done in [of_a, of_b] {
        if let Err(error) = done {
            // One change of membership at a time.
            assert!(is_honest(&error), "{error}");
        }
    }
    a.close().await;
    b.close().await;
    assert_safe(&world, id, "both").await;
    let next = world.open(id).await.unwrap();
    for name in ["m1:", "m3:"] {
        let report = next.drain(name, true, true, &monitor).await.unwrap();
        assert_eq!((report.left, report.change.unwrap().state), (0, RemoteState::Removed), "{name}");
    }
    next.close().await;
    let chunks = shards(&next, "/f0").await;
    assert!(chunks.iter().flatten().all(|shard| !["m1:", "m3:"].contains(&shard.remote.as_str())));
    assert_all(&world, id, FILES, SIZE, true).await;
}

#[tokio::test(start_paused = true)]
async fn repairing_survives_every_trouble_of_every_remote() {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy");
    std::fs::write(&copy, content(0, SIZE)).unwrap();
    for trouble in TROUBLES {
        for put in [None, Some(1)] {
            for at in 0..3 {
                let why = format!("m{at}: {trouble:?} at {put:?}");
                let (world, id) = uneven(6, "parity:2+1", FILES, SIZE).await;
                let before = world.open(id).await.unwrap();
                for chunk in shards(&before, "/f0").await {
                    remove(&world, &chunk[0]);
                    remove(&world, &chunk[1]);
                }
                let pool = troubled(&world, id, at, trouble, put).await;
                let done = pool.repair(&path("/f0"), &copy, false, &Monitor::default()).await;
                pool.close().await;
                drop(pool);
                if let Err(error) = &done {
                    assert!(is_honest(error), "{why}: {error}");
                }
                Victim::new(&world, at).set(trouble, false);
                let pool = world.open(id).await.unwrap();
                pool.repair(&path("/f0"), &copy, false, &Monitor::default()).await.unwrap();
                assert_whole(&world, &pool, "/f0").await;
                pool.close().await;
                assert_all(&world, id, FILES, SIZE, false).await;
                assert_safe(&world, id, &why).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn converting_survives_every_trouble_of_every_remote() {
    for trouble in TROUBLES {
        for put in [None, Some(3)] {
            for at in [0, 4] {
                let why = format!("m{at}: {trouble:?} at {put:?}");
                let (world, id) = uneven(6, "parity:2+1", FILES, SIZE).await;
                let pool = troubled(&world, id, at, trouble, put).await;
                let plan = pool.plan_convert(&path("/"), "replication:2".parse().unwrap()).unwrap();
                let done = pool.convert(&plan, &Monitor::default()).await;
                pool.close().await;
                drop(pool);
                match &done {
                    Ok(report) => assert!(report.chunks + report.failed > 0, "{why}: {report:?}"),
                    Err(error) => assert!(is_honest(error), "{why}: {error}"),
                }
                Victim::new(&world, at).set(trouble, false);
                assert_safe(&world, id, &why).await;
                let pool = world.open(id).await.unwrap();
                let plan = pool.plan_convert(&path("/"), "replication:2".parse().unwrap()).unwrap();
                assert_eq!(pool.convert(&plan, &Monitor::default()).await.unwrap().failed, 0, "{why}");
                for file in 0..FILES {
                    for chunk in pool.stat(&path(&format!("/f{file}"))).await.unwrap().chunks {
                        assert_eq!((chunk.layout.data, chunk.shards.len()), (1, 2), "{why}");
                    }
                }
                pool.close().await;
                assert_all(&world, id, FILES, SIZE, false).await;
                assert_safe(&world, id, &why).await;
            }
        }
    }
}
