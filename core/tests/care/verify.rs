//! Each level finds its own damage, and takes nothing that is away for missing.

use std::sync::Arc;
use std::time::Duration;

use rclonepool_core::index::{Damage, Index};
use rclonepool_core::pool::care::{FileState, HealthOptions, VerifyLevel, VerifyOptions, VerifyReport};
use rclonepool_core::remote::SharedRemote;
use rclonepool_core::remote::wrap::Verb;
use rclonepool_core::testing::fault::{Crash, FaultPlan};
use rclonepool_core::testing::record::{RecordLog, RecordRemote};
use rclonepool_core::testing::world::World;
use rclonepool_core::{ErrorKind, Monitor, Pool, PoolPath};

use crate::{at, content, made, path, put, shards};

const LEVELS: [VerifyLevel; 3] = [VerifyLevel::Quick, VerifyLevel::Default, VerifyLevel::Deep];

async fn verify(pool: &Pool, level: VerifyLevel) -> VerifyReport {
    let options = VerifyOptions { level, ..VerifyOptions::default() };
    pool.verify(&options, &Monitor::default()).await.unwrap()
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Harm {
    Delete,
    Cut,
    Flip,
}

impl Harm {
    fn to(self, world: &World, remote: usize, name: &str) {
        let store = &world.stores[remote];
        let done = match self {
            Self::Delete => store.remove(name),
            Self::Cut => store.truncate(name, store.object(name).unwrap().len() / 2),
            Self::Flip => store.flip(name, store.object(name).unwrap().len() - 1),
        };
        assert!(done, "{name}");
    }

    /// The level that finds it, and what it is called.
    fn found_by(self) -> (VerifyLevel, Damage) {
        match self {
            Self::Delete => (VerifyLevel::Quick, Damage::Missing),
            Self::Cut => (VerifyLevel::Default, Damage::Truncated),
            Self::Flip => (VerifyLevel::Deep, Damage::Corrupt),
        }
    }
}

#[tokio::test]
async fn a_whole_pool_is_whole_at_every_level() {
    for redundancy in ["none", "replication:2", "parity:3+1", "hybrid:2+1x2"] {
        let (_world, _, pool) = made(6, redundancy, 300_000).await;
        put(&pool, "/d/f", &content(1, 1_000_000)).await;
        put(&pool, "/d/small", &content(2, 40_000)).await;
        put(&pool, "/inline", &content(3, 10)).await;
        for level in LEVELS {
            let report = verify(&pool, level).await;
            assert_eq!(report.outcome(), None, "{report:?}");
            assert_eq!((report.files.healthy, report.checked.files, report.checked.chunks), (3, 3, 5), "{redundancy}");
            let deep = level == VerifyLevel::Deep;
            assert_eq!(report.checked.chunks_read, if deep { 5 } else { 0 });
            assert_eq!(report.commits.read, if deep { report.commits.checked } else { 0 });
            assert!(report.commits.checked >= 18 && report.listed.is_empty());
        }
    }
}

#[tokio::test]
async fn each_level_finds_its_own_damage_in_data_and_parity_shards() {
    for harm in [Harm::Delete, Harm::Cut, Harm::Flip] {
        for index in [0, 2, 3] {
            let (world, _, pool) = made(5, "parity:3+1", 300_000).await;
            put(&pool, "/f", &content(1, 1_000_000)).await;
            put(&pool, "/g", &content(2, 300_000)).await;
            let shard = &shards(&pool, "/f").await[1][index];
            harm.to(&world, at(shard), &shard.object);
            let (finds, damage) = harm.found_by();
            for level in LEVELS {
                let report = verify(&pool, level).await;
                if level < finds {
                    assert_eq!(report.outcome(), None, "{harm:?} {index} {level:?}: {report:?}");
                    continue;
                }
                let counts = (report.shards.missing, report.shards.truncated, report.shards.corrupt);
                let expected = match damage {
                    Damage::Missing => (1, 0, 0),
                    Damage::Truncated => (0, 1, 0),
                    _ => (0, 0, 1),
                };
                assert_eq!(counts, expected, "{harm:?} {index} {level:?}");
                let code = if harm == Harm::Flip { ErrorKind::Corrupt } else { ErrorKind::Degraded };
                assert_eq!(report.outcome(), Some(code));
                assert_eq!(report.listed.len(), 1);
                assert_eq!((report.listed[0].path.as_str(), report.listed[0].state), ("/f", FileState::AtRisk));
                let remote = report.remotes.iter().find(|remote| remote.name == shard.remote).unwrap();
                assert_eq!((remote.missing, remote.truncated, remote.corrupt), expected);
            }
            let found = pool.journal().index().findings().unwrap();
            assert_eq!(found.iter().map(|f| (f.place.index, f.damage)).collect::<Vec<_>>(), [(shard.index, damage)]);
        }
    }
}

#[tokio::test]
async fn what_is_good_again_is_forgotten_by_the_level_that_can_tell() {
    for harm in [Harm::Delete, Harm::Cut, Harm::Flip] {
        let (world, _, pool) = made(4, "parity:3+1", 300_000).await;
        put(&pool, "/f", &content(1, 300_000)).await;
        let shard = &shards(&pool, "/f").await[0][1];
        let good = world.stores[at(shard)].object(&shard.object).unwrap();
        harm.to(&world, at(shard), &shard.object);
        let (finds, _) = harm.found_by();
        assert!(verify(&pool, finds).await.outcome().is_some());
        world.stores[at(shard)].insert(&shard.object, good);
        for level in LEVELS {
            let report = verify(&pool, level).await;
            assert_eq!(report.outcome().is_none(), level >= finds, "{harm:?} {level:?}: {report:?}");
        }
        assert_eq!(pool.journal().index().findings().unwrap(), []);
    }
}

#[tokio::test]
async fn each_level_finds_its_own_damage_in_commits() {
    for harm in [Harm::Delete, Harm::Cut, Harm::Flip] {
        let (finds, damage) = harm.found_by();
        for level in LEVELS {
            let (world, _, pool) = made(3, "parity:2+1", 300_000).await;
            put(&pool, "/f", &content(1, 300_000)).await;
            pool.close().await;
            pool.sync().await.unwrap();
            let names = world.stores[1].names();
            let commit = names.iter().rfind(|name| name.contains("/commits/")).unwrap();
            harm.to(&world, 1, commit);
            world.pass(Duration::from_secs(60));
            let report = verify(&pool, level).await;
            let damaged: Vec<_> =
                report.commits.damaged.iter().map(|c| (c.remote.as_str(), &c.object, c.damage)).collect();
            if level < finds {
                assert_eq!(damaged, [], "{harm:?} {level:?}");
                assert_eq!(report.outcome(), None, "{harm:?} {level:?}");
            } else {
                assert_eq!(damaged, [("m1:", commit, damage)], "{harm:?} {level:?}");
                let code = if harm == Harm::Flip { ErrorKind::Corrupt } else { ErrorKind::Degraded };
                assert_eq!(report.outcome(), Some(code));
                assert_eq!(report.files.healthy, 1, "commits are on every member");
            }
        }
    }
}

#[tokio::test]
async fn what_is_offline_is_unknown_and_never_missing() {
    for level in LEVELS {
        // Unreachable, emptied (as an unmounted disk is), the account gone, its marker another's.
        for how in 0..4 {
            let (world, _, pool) = made(4, "parity:3+1", 300_000).await;
            put(&pool, "/f", &content(1, 1_000_000)).await;
            let other = World::new(1, "none".parse().unwrap(), 300_000, 99);
            match how {
                0 => world.faults[2].set_offline(true),
                1 => world.faults[2].set_emptied(true),
                2 => world.faults[2].set_lost(true),
                _ => {
                    other.init().await.unwrap();
                    world.stores[2].clear();
                    for name in other.stores[0].names() {
                        world.stores[2].insert(&name, other.stores[0].object(&name).unwrap());
                    }
                }
            }
            world.pass(Duration::from_secs(60));
            let report = verify(&pool, level).await;
            assert_eq!(report.outcome(), Some(ErrorKind::Unavailable), "{how}: {report:?}");
            assert_eq!((report.shards.damaged(), report.shards.unknown), (0, 4), "{how}");
            assert_eq!((report.state, report.files.at_risk), (FileState::AtRisk, 1), "{how}");
            assert_eq!(pool.journal().index().findings().unwrap(), []);
            let away: Vec<_> = report.remotes.iter().filter(|remote| remote.unknown.is_some()).collect();
            assert_eq!(away.iter().map(|remote| remote.name.as_str()).collect::<Vec<_>>(), ["m2:"]);
            assert!(report.commits.unknown > 0 && report.commits.damaged.is_empty());
        }
    }
}

#[tokio::test]
async fn emptied_between_the_two_listings_it_is_unknown_too() {
    let (world, id, _) = made(4, "parity:3+1", 300_000).await;
    put(&world.open(id).await.unwrap(), "/f", &content(1, 1_000_000)).await;
    let pool = world.open(id).await.unwrap();
    // The view of a moment ago still has it online.
    world.faults[1].set_emptied(true);
    let report = verify(&pool, VerifyLevel::Quick).await;
    assert_eq!((report.shards.missing, report.shards.unknown), (0, 4), "{report:?}");
    assert_eq!(report.outcome(), Some(ErrorKind::Unavailable));
}

#[tokio::test]
async fn beyond_the_redundancy_the_file_is_lost_or_waits() {
    let (world, _, pool) = made(4, "parity:3+1", 300_000).await;
    put(&pool, "/f", &content(1, 300_000)).await;
    put(&pool, "/g", &content(2, 300_000)).await;
    let f = shards(&pool, "/f").await;
    Harm::Delete.to(&world, at(&f[0][0]), &f[0][0].object);
    // A second one away: it may come back.
    world.faults[at(&f[0][1])].set_offline(true);
    world.pass(Duration::from_secs(60));
    let report = verify(&pool, VerifyLevel::Quick).await;
    assert_eq!((report.state, report.outcome()), (FileState::Unavailable, Some(ErrorKind::Unavailable)));
    world.faults[at(&f[0][1])].set_offline(false);
    Harm::Delete.to(&world, at(&f[0][1]), &f[0][1].object);
    world.pass(Duration::from_secs(120));
    let report = verify(&pool, VerifyLevel::Quick).await;
    assert_eq!((report.files.lost, report.files.healthy), (1, 1));
    assert_eq!(report.outcome(), Some(ErrorKind::Unrecoverable));
    let one = VerifyOptions { path: path("/g"), ..VerifyOptions::default() };
    assert_eq!(pool.verify(&one, &Monitor::default()).await.unwrap().outcome(), None);
}

async fn recorded(world: &World, id: rclonepool_core::id::PoolId) -> (Arc<Pool>, Arc<RecordLog>) {
    let log = Arc::new(RecordLog::default());
    let remotes = world.remotes(&Crash::never());
    let remotes = remotes.into_iter().map(|r| Arc::new(RecordRemote::new(r, log.clone())) as SharedRemote).collect();
    let pool = world.open_over(id, world.machine(), remotes, Index::in_memory().unwrap()).await.unwrap();
    (pool, log)
}

#[tokio::test]
async fn quick_makes_one_listing_per_remote_and_asks_only_for_what_it_lacks() {
    let (world, id, _) = made(4, "parity:3+1", 100_000).await;
    let (pool, log) = recorded(&world, id).await;
    put(&pool, "/f", &content(1, 5_000_000)).await;
    for level in [VerifyLevel::Quick, VerifyLevel::Default] {
        world.pass(Duration::from_secs(60));
        log.clear();
        assert_eq!(verify(&pool, level).await.checked.shards, 200);
        log.assert_count(Verb::List, 8, "the journal and the data of four remotes");
        assert_eq!(log.calls().len(), 8, "nothing else");
    }
    let f = shards(&pool, "/f").await;
    for chunk in &f[..3] {
        Harm::Delete.to(&world, at(&chunk[0]), &chunk[0].object);
    }
    world.pass(Duration::from_secs(60));
    log.clear();
    assert_eq!(verify(&pool, VerifyLevel::Quick).await.shards.missing, 3);
    log.assert_count(Verb::Stat, 3, "one for each that is absent");
    log.assert_count(Verb::List, 12, "and the journal again: they might have moved");
}

#[tokio::test]
async fn a_stale_listing_makes_nothing_missing() {
    let (world, id, _) = made(4, "parity:3+1", 300_000).await;
    let (pool, log) = recorded(&world, id).await;
    put(&pool, "/f", &content(1, 1_000_000)).await;
    world.faults[0].set_plan(FaultPlan { list_stale: 1.0, ..FaultPlan::default() });
    log.clear();
    let report = verify(&pool, VerifyLevel::Default).await;
    assert_eq!(report.shards.damaged(), 0, "{report:?}");
    assert!(log.count(Verb::Stat) > 0, "the listing hid some");
    assert_eq!(pool.journal().index().findings().unwrap(), []);
}

#[tokio::test]
async fn a_remote_that_lacks_much_is_suspect_until_it_is_whole_or_the_loss_is_accepted() {
    let (world, _, pool) = made(4, "parity:3+1", 100_000).await;
    put(&pool, "/f", &content(1, 3_000_000)).await;
    let taken: Vec<_> = world.stores[1].names().into_iter().filter(|name| name.starts_with("data/")).collect();
    let objects: Vec<_> = taken.iter().map(|name| world.stores[1].object(name).unwrap()).collect();
    assert_eq!(taken.len(), 30);
    taken.iter().for_each(|name| assert!(world.stores[1].remove(name)));
    world.pass(Duration::from_secs(60));
    let report = verify(&pool, VerifyLevel::Quick).await;
    let suspects = pool.suspects().unwrap();
    assert_eq!(suspects.values().map(|s| (s.absent, s.of)).collect::<Vec<_>>(), [(30, 30)]);
    assert_eq!((report.shards.missing, report.outcome()), (30, Some(ErrorKind::Degraded)), "{report:?}");
    let health = pool.health(&HealthOptions::default()).await.unwrap();
    assert_eq!(health.remotes.iter().filter(|remote| remote.suspect.is_some()).count(), 1);

    // Whole again.
    for (name, object) in taken.iter().zip(objects) {
        world.stores[1].insert(name, object);
    }
    world.pass(Duration::from_secs(60));
    assert_eq!(verify(&pool, VerifyLevel::Quick).await.outcome(), None);
    assert!(pool.suspects().unwrap().is_empty());

    // Gone for good, says the user.
    taken.iter().for_each(|name| assert!(world.stores[1].remove(name)));
    world.pass(Duration::from_secs(60));
    verify(&pool, VerifyLevel::Quick).await;
    let suspect = *pool.suspects().unwrap().keys().next().unwrap();
    pool.accept_loss(suspect).unwrap();
    world.pass(Duration::from_secs(60));
    verify(&pool, VerifyLevel::Quick).await;
    assert!(pool.suspects().unwrap().is_empty(), "it was accepted");
}

#[tokio::test]
async fn a_suspect_remote_loses_no_file() {
    let (world, _, pool) = made(2, "none", 100_000).await;
    put(&pool, "/f", &content(1, 4_000_000)).await;
    for name in world.stores[1].names().into_iter().filter(|name| name.starts_with("data/")) {
        world.stores[1].remove(&name);
    }
    world.pass(Duration::from_secs(60));
    let report = verify(&pool, VerifyLevel::Quick).await;
    assert_eq!((report.state, report.files.lost), (FileState::Unavailable, 0), "{report:?}");
    pool.accept_loss(*pool.suspects().unwrap().keys().next().unwrap()).unwrap();
    assert_eq!(pool.health(&HealthOptions::default()).await.unwrap().state, FileState::Lost);
}

#[tokio::test]
async fn samples_come_round_to_every_chunk() {
    let (world, _, pool) = made(4, "parity:3+1", 100_000).await;
    put(&pool, "/f", &content(1, 1_000_000)).await;
    put(&pool, "/other/g", &content(2, 1_000_000)).await;
    let shard = &shards(&pool, "/f").await[9][3];
    Harm::Flip.to(&world, at(shard), &shard.object);
    let sample = |percent, path: &PoolPath| VerifyOptions {
        level: VerifyLevel::Deep,
        sample: Some(percent),
        path: path.clone(),
        ..VerifyOptions::default()
    };
    let mut found = 0;
    for _ in 0..4 {
        let report = pool.verify(&sample(25.0, &PoolPath::root()), &Monitor::default()).await.unwrap();
        assert_eq!((report.checked.chunks_read, report.checked.chunks), (5, 20));
        found = report.shards.corrupt;
    }
    assert_eq!(found, 1, "four quarters are the whole");
    for chunk in pool.stat(&path("/other/g")).await.unwrap().chunks {
        assert!(pool.journal().index().last_verified(chunk.chunk).unwrap().is_some());
    }
    let report = pool.verify(&sample(10.0, &path("/other")), &Monitor::default()).await.unwrap();
    assert_eq!((report.checked.chunks_read, report.checked.chunks), (1, 10));
    for bad in [0.0, -1.0, 101.0, f64::NAN] {
        let error = pool.verify(&sample(bad, &PoolPath::root()), &Monitor::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }
}

#[tokio::test]
async fn a_bit_that_turns_on_the_way_is_no_damage_and_a_failing_remote_is_given_up() {
    let (world, _, pool) = made(4, "parity:3+1", 100_000).await;
    put(&pool, "/f", &content(1, 3_000_000)).await;
    world.faults[0].set_plan(FaultPlan { get_cut: 1.0, ..FaultPlan::default() });
    let report = verify(&pool, VerifyLevel::Deep).await;
    assert_eq!((report.shards.damaged(), report.shards.unknown), (0, 30), "{report:?}");
    assert_eq!(report.outcome(), Some(ErrorKind::Unavailable));
    let verified = pool.journal().index().last_verified(pool.stat(&path("/f")).await.unwrap().chunks[0].chunk);
    assert_eq!(verified.unwrap(), None, "a chunk is verified when all of it was read");
}

#[tokio::test]
async fn memory_stays_within_the_limit_however_little_that_is() {
    let (mut world, id, _) = made(4, "parity:3+1", 8 << 20).await;
    world.settings.memory_bytes = 24 << 20;
    let pool = world.open(id).await.unwrap();
    put(&pool, "/f", &content(1, 20 << 20)).await;
    world.settings.memory_bytes = 1 << 20;
    let pool = world.open(id).await.unwrap();
    let report = verify(&pool, VerifyLevel::Deep).await;
    assert_eq!((report.outcome(), report.checked.chunks_read), (None, 3));
    assert_eq!(report.checked.bytes_read, world.stores.iter().map(bytes_of_shards).sum::<u64>());
}

fn bytes_of_shards(store: &rclonepool_core::remote::MemoryStore) -> u64 {
    let shards = store.names().into_iter().filter(|name| name.starts_with("data/"));
    shards.map(|name| store.object(&name).unwrap().len() as u64).sum()
}

#[tokio::test]
async fn what_is_not_there_or_stopped_says_so() {
    let (_world, _, pool) = made(2, "none", 100_000).await;
    let options = VerifyOptions { path: path("/nowhere"), ..VerifyOptions::default() };
    let error = pool.verify(&options, &Monitor::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let cancel = tokio_util::sync::CancellationToken::new();
    cancel.cancel();
    let monitor = Monitor::new(Arc::new(|_| ()), cancel);
    let error = pool.verify(&VerifyOptions::default(), &monitor).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[tokio::test]
async fn a_commit_that_never_came_is_missed_only_when_it_is_not_there() {
    let (world, id, pool) = made(3, "parity:2+1", 300_000).await;
    world.faults[2].set_read_only(true);
    put(&pool, "/inline", &content(1, 100)).await;
    // A machine that never saw it there, and cannot copy it.
    let other = world.open(id).await.unwrap();
    let report = verify(&other, VerifyLevel::Quick).await;
    assert_eq!(
        report.commits.damaged.iter().map(|c| (c.remote.as_str(), c.damage)).collect::<Vec<_>>(),
        [("m2:", Damage::Missing)]
    );
    world.faults[2].set_read_only(false);
    // Opening copies it.
    let other = world.open(id).await.unwrap();
    other.close().await;
    assert_eq!(verify(&other, VerifyLevel::Quick).await.outcome(), None);
}
