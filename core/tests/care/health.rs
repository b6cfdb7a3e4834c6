//! What may still be lost, as the shards lie.

use std::time::Duration;

use rclonepool_core::ErrorKind;
use rclonepool_core::pool::PlacementSettings;
use rclonepool_core::pool::care::{FileState, HealthOptions, Held};
use rclonepool_core::testing::world::World;

use crate::{at, content, made, path, put, shards};

fn what_if(lost: &[&str]) -> HealthOptions {
    HealthOptions { lost: lost.iter().map(|&name| name.to_owned()).collect(), ..HealthOptions::default() }
}

#[tokio::test]
async fn a_pool_survives_what_its_redundancy_says() {
    for (redundancy, n, tolerated) in
        [("none", 3, 0), ("replication:3", 4, 2), ("parity:3+2", 5, 2), ("hybrid:2+1x2", 6, 3)]
    {
        let (_world, _, pool) = made(n, redundancy, 300_000).await;
        put(&pool, "/d/f", &content(1, 900_000)).await;
        put(&pool, "/inline", &content(2, 100)).await;
        let health = pool.health(&HealthOptions::default()).await.unwrap();
        assert_eq!((health.state, health.tolerated_remotes, health.domains), (FileState::Healthy, tolerated, n));
        assert_eq!((health.files.healthy, health.lacks.as_deref()), (2, Some(&[][..])));
        let critical = health.remotes.iter().filter(|remote| remote.files_lost_without == 1).count();
        assert_eq!(critical, if tolerated == 0 { 3 } else { 0 }, "{redundancy}");
        let inline = HealthOptions { path: path("/inline"), ..HealthOptions::default() };
        let inline = pool.health(&inline).await.unwrap();
        assert_eq!(inline.listed[0].tolerated_remotes, n - 1, "manifests lie on every member");
    }
}

#[tokio::test]
async fn what_if_is_answered_from_the_index() {
    let (world, _, pool) = made(4, "parity:3+1", 300_000).await;
    put(&pool, "/f", &content(1, 900_000)).await;
    // Nobody is asked: nobody need answer.
    world.faults.iter().for_each(|faults| faults.set_offline(true));
    let one = pool.health(&what_if(&["m1:"])).await.unwrap();
    assert_eq!((one.state, one.recoverable, one.tolerated_remotes), (FileState::AtRisk, true, 0));
    assert!(one.remotes.iter().any(|remote| remote.assumed_lost && remote.name == "m1:"));
    let two = pool.health(&what_if(&["m1:", "m3"])).await.unwrap();
    assert_eq!((two.state, two.recoverable, two.files.lost), (FileState::Lost, false, 1));
    let id = two.remotes[0].id.to_string();
    assert_eq!(pool.health(&what_if(&[&id])).await.unwrap().state, FileState::AtRisk);
    let error = pool.health(&what_if(&["m9:"])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.next_step().unwrap().contains("m0:, m1:"), "{error}");
    let none = HealthOptions { path: path("/nowhere"), ..HealthOptions::default() };
    assert_eq!(pool.health(&none).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn inline_files_survive_all_but_one() {
    let (_world, _, pool) = made(3, "none", 300_000).await;
    put(&pool, "/inline", &content(2, 100)).await;
    assert_eq!(pool.health(&what_if(&["m0:", "m2:"])).await.unwrap().state, FileState::Healthy);
    assert_eq!(pool.health(&what_if(&["m0:", "m1:", "m2:"])).await.unwrap().state, FileState::Lost);
}

#[tokio::test]
async fn offline_is_at_risk_and_findings_count() {
    let (world, _, pool) = made(4, "parity:2+2", 300_000).await;
    put(&pool, "/f", &content(1, 900_000)).await;
    put(&pool, "/g", &content(2, 300_000)).await;
    world.faults[0].set_offline(true);
    pool.sync().await.unwrap();
    let health = pool.health(&HealthOptions::default()).await.unwrap();
    assert_eq!((health.state, health.tolerated_remotes), (FileState::Degraded, 1));
    assert!(!health.lacks.unwrap().is_empty());
    let shard = shards(&pool, "/f").await[0].iter().find(|shard| at(shard) != 0).cloned().unwrap();
    world.stores[at(&shard)].remove(&shard.object);
    world.pass(Duration::from_secs(60));
    let options = rclonepool_core::pool::care::VerifyOptions::default();
    pool.verify(&options, &rclonepool_core::Monitor::default()).await.unwrap();
    let health = pool.health(&HealthOptions::default()).await.unwrap();
    assert_eq!((health.files.at_risk, health.files.degraded), (1, 1), "{health:?}");
    assert_eq!(health.listed.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), ["/f", "/g"], "the worst first");
    assert_eq!((health.listed[0].shards.missing, health.listed[0].shards.unknown), (1, 3));
    let short = HealthOptions { list: 1, ..HealthOptions::default() };
    let health = pool.health(&short).await.unwrap();
    assert_eq!((health.listed.len(), health.unlisted), (1, 1));
}

#[tokio::test]
async fn a_remote_that_joins_shows_what_is_misplaced() {
    // Two accounts of one owner; copies in both die together.
    let mut world = World::new(5, "replication:2".parse().unwrap(), 300_000, 3);
    let domain = |name: &str| PlacementSettings { domain: Some(name.into()), ..PlacementSettings::default() };
    world.settings.placement = [("m0:", "a"), ("m1:", "a"), ("m2:", "b"), ("m3:", "b"), ("m4:", "a")]
        .map(|(label, name)| (label.into(), domain(name)))
        .into();
    let id = world.init().await.unwrap();
    let pool = world.open(id).await.unwrap();
    put(&pool, "/spread", &content(1, 300_000)).await;
    let health = pool.health(&HealthOptions::default()).await.unwrap();
    assert_eq!((health.state, health.tolerated_domains, health.domains), (FileState::Healthy, 1, 2));
    // With one domain offline, both copies go to the other.
    (2..4).for_each(|at| world.faults[at].set_offline(true));
    pool.sync().await.unwrap();
    put(&pool, "/together", &content(2, 300_000)).await;
    (2..4).for_each(|at| world.faults[at].set_offline(false));
    world.pass(Duration::from_secs(120));
    pool.sync().await.unwrap();
    let health = pool.health(&HealthOptions::default()).await.unwrap();
    assert_eq!((health.state, health.shards.misplaced, health.tolerated_domains), (FileState::Degraded, 1, 0));
    assert_eq!(health.listed[0].path.as_str(), "/together");
}

#[tokio::test]
async fn the_survey_shows_what_single_questions_show() {
    let (_world, _, pool) = made(4, "parity:3+1", 100_000).await;
    for (n, name) in ["/a", "/a-b", "/a/b", "/d/x", "/d/y", "/e"].into_iter().enumerate() {
        put(&pool, if name == "/a" { "/a0" } else { name }, &content(n as u64, 150_000)).await;
    }
    put(&pool, "/d/y", &content(9, 250_000)).await;
    let index = pool.journal().index();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = index.survey(after, 3).unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.chunk);
        seen.extend(page);
    }
    // Two of each file, three of the new version of /d/y, and the old one is not forgotten yet.
    assert_eq!(seen.len(), 15);
    for surveyed in &seen {
        let chunk = index.chunk(surveyed.chunk).unwrap().unwrap().record;
        assert_eq!(surveyed.places, chunk.shards);
        let shape = surveyed.shape.unwrap();
        assert_eq!((shape.layout, shape.stored, surveyed.versions.len()), (chunk.layout, chunk.stored, 1));
        assert_eq!(index.survey_of(&[surveyed.chunk]).unwrap(), std::slice::from_ref(surveyed));
    }
    let files = |scope: &str| {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = index.live_files(&path(scope), after.as_ref(), 2).unwrap();
            let Some(last) = page.last() else { return found };
            after = Some(last.path.clone());
            found.extend(page.into_iter().map(|file| file.path.to_string()));
        }
    };
    assert_eq!(files("/"), ["/a-b", "/a/b", "/a0", "/d/x", "/d/y", "/e"]);
    assert_eq!(
        (files("/d"), files("/d/x"), files("/a")),
        (vec!["/d/x".to_owned(), "/d/y".into()], vec!["/d/x".to_owned()], vec!["/a/b".to_owned()],)
    );
    assert_eq!(index.live_versions(&path("/d")).unwrap().values().sum::<u64>(), 400_000);
}

#[tokio::test]
async fn the_trash_counts_apart() {
    let mut world = World::new(3, "none".parse().unwrap(), 300_000, 7);
    world.settings.trash_hours = 24;
    let id = world.init().await.unwrap();
    let pool = world.open(id).await.unwrap();
    put(&pool, "/f", &content(1, 500_000)).await;
    put(&pool, "/g", &content(2, 400_000)).await;
    pool.delete(&path("/f"), false).await.unwrap();
    let health = pool.health(&HealthOptions::default()).await.unwrap();
    assert_eq!((health.files.total(), health.trash), (1, Some(Held { versions: 1, bytes: 500_000 })));
    let part = HealthOptions { path: path("/g"), ..HealthOptions::default() };
    assert_eq!(pool.health(&part).await.unwrap().trash, None);
}
