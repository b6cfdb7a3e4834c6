//! Undo: what was deleted or overwritten comes back, for a while.

use std::sync::Arc;
use std::time::Duration;

use rclonepool_core::id::PoolId;
use rclonepool_core::index::Killer;
use rclonepool_core::journal::Limits;
use rclonepool_core::pool::DeleteOptions;
use rclonepool_core::pool::care::{EmptyOptions, Restored, TrashedKind};
use rclonepool_core::testing::world::World;
use rclonepool_core::{ErrorKind, Monitor, Pool};

use crate::{DAY, content, gc, get, objects, path, put, try_put};

const HOUR: Duration = Duration::from_secs(3600);

/// A pool that keeps versions for 48 hours.
async fn world(seed: u64) -> (World, PoolId) {
    let mut world = World::new(4, "parity:2+1".parse().unwrap(), 100_000, seed);
    world.settings.trash_hours = 48;
    let id = world.init().await.unwrap();
    (world, id)
}

async fn days(world: &World, pool: &Arc<Pool>, n: u32) {
    for _ in 0..n {
        gc(pool).await.unwrap();
        world.pass(DAY);
    }
    gc(pool).await.unwrap();
}

/// What a WebDAV client such as rclone does when an overwrite fails half way: it deletes the path.
#[tokio::test(start_paused = true)]
async fn the_old_version_survives_a_failed_overwrite_and_the_deletion_after_it() {
    let (world, id) = world(1).await;
    let pool = world.open(id).await.unwrap();
    put(&pool, "/f", &content(1, 150_000)).await;
    // Half of the new version arrives, and is stored.
    put(&pool, "/f", &content(2, 70_000)).await;
    pool.delete(&path("/f"), false).await.unwrap();
    let trash = pool.trash(None).unwrap();
    let shown: Vec<_> = trash.iter().map(|t| (t.size, t.by)).collect();
    assert_eq!(shown, [(70_000, Killer::Deleted), (150_000, Killer::Overwritten)]);
    days(&world, &pool, 1).await;
    let restored = pool.restore(&path("/f"), Some(trash[1].version), None).await.unwrap();
    assert_eq!((restored.bytes, restored.stale), (150_000, false));
    days(&world, &pool, 4).await;
    assert_eq!(get(&world.open(id).await.unwrap(), "/f").await.unwrap(), content(1, 150_000));
    assert!(pool.trash(None).unwrap().is_empty());
    let pool = world.open(id).await.unwrap();
    assert_eq!(objects(&world), crate::objects_of(&world, &crate::chunks(&pool, "/f").await), "the rest is gone");
}

#[tokio::test(start_paused = true)]
async fn what_is_restored_sends_what_stands_there_to_the_trash() {
    let (world, id) = world(2).await;
    let pool = world.open(id).await.unwrap();
    for n in 1..4 {
        put(&pool, "/d/f", &content(n, 90_000 + n as usize)).await;
    }
    let newest = pool.restore(&path("/d/f"), None, None).await.unwrap();
    assert_eq!(newest.bytes, 90_002);
    assert_eq!(get(&pool, "/d/f").await.unwrap(), content(2, 90_002));
    let sizes: Vec<u64> = pool.trash(Some(&path("/d"))).unwrap().iter().map(|t| t.size).collect();
    assert_eq!(sizes, [90_003, 90_002, 90_001]);
    assert!(pool.trash(Some(&path("/d/f"))).unwrap()[1].shared, "its data is the live version's");
    assert!(pool.trash(Some(&path("/other"))).unwrap().is_empty());
    pool.restore(&path("/d/f"), None, Some(&path("/elsewhere"))).await.unwrap();
    assert_eq!(get(&pool, "/elsewhere").await.unwrap(), content(3, 90_003));
    let error = pool.restore(&path("/nothing"), None, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = pool.restore(&path("/d/f"), None, Some(&path("/d"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_directory_comes_back_as_it_was() {
    let (world, id) = world(3).await;
    let pool = world.open(id).await.unwrap();
    put(&pool, "/d/a", &content(1, 100)).await;
    put(&pool, "/d/a", &content(2, 200)).await;
    put(&pool, "/d/s/b", &content(3, 70_000)).await;
    put(&pool, "/d/gone before", &content(4, 10)).await;
    pool.delete(&path("/d"), true).await.unwrap();
    put(&pool, "/d/new", &content(5, 10)).await;
    let restored = pool.restore(&path("/d"), None, None).await.unwrap();
    assert_eq!(restored.paths.len(), 3);
    assert_eq!(get(&pool, "/d/a").await.unwrap(), content(2, 200));
    assert_eq!(get(&pool, "/d/s/b").await.unwrap(), content(3, 70_000));
    assert_eq!(get(&pool, "/d/new").await.unwrap(), content(5, 10));
}

#[tokio::test(start_paused = true)]
async fn a_made_directory_comes_back_with_what_was_deleted_along_with_it() {
    let (world, id) = world(8).await;
    let pool = world.open(id).await.unwrap();
    pool.mkdir(&path("/d")).await.unwrap();
    pool.mkdir(&path("/d/s")).await.unwrap();
    put(&pool, "/d/a", &content(1, 100)).await;
    put(&pool, "/d/a", &content(2, 70_000)).await;
    put(&pool, "/d/s/b", &content(3, 70_000)).await;
    put(&pool, "/d/gone before", &content(4, 10)).await;
    pool.delete(&path("/d/gone before"), false).await.unwrap();
    pool.delete(&path("/d"), true).await.unwrap();
    put(&pool, "/d/gone since", &content(5, 10)).await;
    pool.delete(&path("/d/gone since"), false).await.unwrap();
    let trash = pool.trash(Some(&path("/d"))).unwrap();
    let directories = trash.iter().filter(|it| it.kind == TrashedKind::Directory).map(|it| it.path.as_str());
    assert_eq!(directories.collect::<Vec<_>>(), ["/d", "/d/s"]);
    assert_eq!(serde_json::to_value(&trash[0]).unwrap()["kind"], "directory");
    let of = trash.iter().find(|it| it.path == path("/d")).unwrap().version;
    // From what another machine knows.
    let other = world.open(id).await.unwrap();
    let copied = other.restore(&path("/d"), Some(of), Some(&path("/copy"))).await.unwrap();
    let paths = |restored: &Restored| restored.paths.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(paths(&copied), ["/copy", "/copy/a", "/copy/s", "/copy/s/b"]);
    let restored = pool.restore(&path("/d"), None, None).await.unwrap();
    assert_eq!(
        (paths(&restored), restored.bytes),
        (["/d", "/d/a", "/d/s", "/d/s/b"].map(String::from).into(), 140_000)
    );
    for at in ["/d", "/copy"] {
        assert_eq!(get(&pool, &format!("{at}/a")).await.unwrap(), content(2, 70_000));
        assert_eq!(get(&pool, &format!("{at}/s/b")).await.unwrap(), content(3, 70_000));
        assert_eq!(pool.list(&path(at)).unwrap().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn time_purging_and_emptying_let_versions_go() {
    let (world, id) = world(4).await;
    let pool = world.open(id).await.unwrap();
    for name in ["/timed", "/purged", "/emptied", "/over"] {
        put(&pool, name, &content(1, 70_000)).await;
    }
    put(&pool, "/over", &content(2, 70_000)).await;
    let purge = DeleteOptions { purge: true, ..DeleteOptions::default() };
    pool.delete_with(&path("/purged"), &purge).await.unwrap();
    pool.delete(&path("/emptied"), false).await.unwrap();
    world.pass(HOUR);
    pool.delete(&path("/timed"), false).await.unwrap();
    let paths = |pool: &Arc<Pool>| -> Vec<String> {
        pool.trash(None).unwrap().into_iter().map(|t| t.path.to_string()).collect()
    };
    assert_eq!(paths(&pool), ["/emptied", "/over", "/timed"]);
    let older = EmptyOptions { older_than: Some(HOUR / 2), ..EmptyOptions::default() };
    assert_eq!(pool.empty_trash(&older).await.unwrap(), 2);
    assert_eq!(paths(&pool), ["/timed"]);
    assert_eq!(get(&pool, "/over").await.unwrap(), content(2, 70_000));
    assert_eq!(pool.restore(&path("/emptied"), None, None).await.unwrap_err().kind(), ErrorKind::NotFound);
    world.pass(47 * HOUR - Duration::from_secs(1));
    assert_eq!(paths(&pool), ["/timed"]);
    // Another machine has seen the deletion later only.
    let late = world.open(id).await.unwrap();
    world.pass(HOUR + Duration::from_secs(2));
    assert!(paths(&pool).is_empty());
    assert_eq!(paths(&late), ["/timed"]);
    let all = EmptyOptions { path: Some(path("/timed")), ..EmptyOptions::default() };
    assert_eq!(late.empty_trash(&all).await.unwrap(), 1);
    days(&world, &pool, 1).await;
    assert_eq!(objects(&world), crate::objects_of(&world, &crate::chunks(&pool, "/over").await));
}

/// Compaction keeps what is in the trash, small files too, whose data is in the journal itself.
#[tokio::test(start_paused = true)]
async fn compaction_keeps_what_is_in_the_trash() {
    let (mut world, id) = world(5).await;
    world.limits = Limits { compact_from: 4, ..Limits::default() };
    let pool = world.open(id).await.unwrap();
    put(&pool, "/small", &content(1, 100)).await;
    put(&pool, "/small", &content(2, 100)).await;
    put(&pool, "/deleted", &content(3, 100)).await;
    pool.delete(&path("/deleted"), false).await.unwrap();
    let merge = async |from: u64| {
        for n in from..from + 20 {
            put(&pool, &format!("/more/{n}"), &content(n, 10)).await;
        }
        let mut merged = 0;
        while pool.journal().compact().await.unwrap().is_some() {
            merged += 1;
        }
        assert!(merged > 0);
    };
    merge(0).await;
    let fresh = world.open(id).await.unwrap();
    let shown: Vec<_> = fresh.trash(None).unwrap().into_iter().map(|t| t.path.to_string()).collect();
    assert_eq!(shown, ["/deleted", "/small"]);
    fresh.restore(&path("/deleted"), None, None).await.unwrap();
    assert_eq!(get(&fresh, "/deleted").await.unwrap(), content(3, 100));
    // Later they go for good, and what stands at the paths does not.
    world.pass(3 * DAY);
    merge(100).await;
    let fresh = world.open(id).await.unwrap();
    assert_eq!(get(&fresh, "/small").await.unwrap(), content(2, 100));
    assert_eq!(get(&fresh, "/deleted").await.unwrap(), content(3, 100));
    assert_eq!(fresh.index_versions("/small"), 1);
}

trait Versions {
    fn index_versions(&self, at: &str) -> usize;
}

impl Versions for Arc<Pool> {
    fn index_versions(&self, at: &str) -> usize {
        self.journal().index().versions(&path(at)).unwrap().len()
    }
}

/// The pool's record says how long, whatever a machine is configured to.
#[tokio::test(start_paused = true)]
async fn every_machine_obeys_the_pool_s_record() {
    let (mut world, id) = world(6).await;
    let pool = world.open(id).await.unwrap();
    put(&pool, "/f", &content(1, 70_000)).await;
    pool.delete(&path("/f"), false).await.unwrap();
    world.settings.trash_hours = 0;
    let other = world.open(id).await.unwrap();
    assert_eq!(other.trash(None).unwrap().len(), 1);
    assert_eq!(gc(&other).await.unwrap().marked, 0);
    // Its configuration changes the record with its next commit.
    put(&other, "/g", &content(2, 10)).await;
    pool.sync().await.unwrap();
    assert!(pool.trash(None).unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_remote_short_of_space_empties_the_trash_oldest_first() {
    let (world, id) = world(7).await;
    let pool = world.open(id).await.unwrap();
    for n in 0..6 {
        put(&pool, &format!("/{n}"), &content(n, 90_000)).await;
    }
    for n in 0..6 {
        pool.delete(&path(&format!("/{n}")), false).await.unwrap();
        world.pass(HOUR / 4);
    }
    assert_eq!(gc(&pool).await.unwrap().trash_emptied, 0);
    // A twentieth of it is 50,000 bytes, and 30,000 are free.
    let store = &world.stores[0];
    let filler = 1_000_000 - 30_000 - store.used();
    store.insert("filler", vec![0; usize::try_from(filler).unwrap()]);
    store.set_capacity(Some(1_000_000));
    let report = gc(&pool).await.unwrap();
    let left: Vec<_> = pool.trash(None).unwrap().into_iter().map(|t| t.path.to_string()).collect();
    assert!(report.trash_emptied > 0 && report.marked > 0, "{report:?}");
    assert!(!left.is_empty() && left[0].as_str() > "/0", "{left:?}");
    assert!(left.windows(2).all(|pair| pair[0] < pair[1]) && left.last().unwrap() == "/5", "{left:?}");
    // What is on its way out already makes room by itself.
    assert_eq!(gc(&pool).await.unwrap().trash_emptied, 0);
    world.pass(DAY);
    assert!(gc(&pool).await.unwrap().reclaimed > 0);
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_finds_no_room_empties_the_trash() {
    let (world, id) = world(8).await;
    let pool = world.open(id).await.unwrap();
    put(&pool, "/old", &content(1, 300_000)).await;
    pool.delete(&path("/old"), false).await.unwrap();
    for store in &world.stores {
        store.set_capacity(Some(store.used() + 20_000));
    }
    let pool = world.open(id).await.unwrap();
    let error = try_put(&pool, "/new", &content(2, 300_000)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    assert!(error.message().contains("trash was emptied"), "{error}");
    assert!(pool.trash(None).unwrap().is_empty());
    world.pass(DAY);
    gc(&pool).await.unwrap();
    let pool = world.open(id).await.unwrap();
    put(&pool, "/new", &content(2, 150_000)).await;
    assert_eq!(get(&pool, "/new").await.unwrap(), content(2, 150_000));
}

/// What another machine marked is not picked, and what it dropped is not shown.
#[tokio::test(start_paused = true)]
async fn nothing_marked_is_restored() {
    let (world, id) = world(9).await;
    let early = world.open(id).await.unwrap();
    put(&early, "/f", &content(1, 70_000)).await;
    early.delete(&path("/f"), false).await.unwrap();
    world.pass(2 * DAY);
    // It has seen the deletion just now.
    let late = world.open(id).await.unwrap();
    assert_eq!(gc(&early).await.unwrap().marked, 1);
    late.sync().await.unwrap();
    assert!(late.trash(None).unwrap()[0].expiring);
    let error = late.restore(&path("/f"), None, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    assert!(late.entry(&path("/f")).unwrap().is_none());
    world.pass(DAY);
    gc(&early).await.unwrap();
    late.sync().await.unwrap();
    assert!(late.trash(None).unwrap().is_empty());
}

/// What may still be restored is kept whole, too.
#[tokio::test(start_paused = true)]
async fn versions_in_the_trash_are_verified_and_rebuilt() {
    use rclonepool_core::pool::care::{RebuildOptions, VerifyLevel, VerifyOptions};
    let mut world = World::new(4, "parity:2+1".parse().unwrap(), 100_000, 31);
    world.settings.trash_hours = 24;
    let id = world.init().await.unwrap();
    let pool = world.open(id).await.unwrap();
    put(&pool, "/kept", &content(1, 250_000)).await;
    put(&pool, "/gone", &content(2, 250_000)).await;
    let lay = crate::shards(&pool, "/gone").await;
    pool.delete(&path("/gone"), false).await.unwrap();
    crate::remove(&world, &lay[0][0]);
    let flipped = &lay[1][1];
    assert!(world.stores[crate::store_of(&world, &flipped.object).unwrap()].flip(&flipped.object, 9));
    world.pass(Duration::from_secs(60));
    let verify = async |level| {
        let options = VerifyOptions { level, ..VerifyOptions::default() };
        pool.verify(&options, &Monitor::default()).await.unwrap()
    };
    let report = verify(VerifyLevel::Quick).await;
    assert_eq!((report.trash.chunks, report.trash.damaged, report.shards.damaged()), (3, 1, 0));
    assert_eq!((report.outcome(), report.files.healthy, report.checked.files), (Some(ErrorKind::Degraded), 1, 1));
    assert_eq!(verify(VerifyLevel::Deep).await.trash.damaged, 2);
    let options = RebuildOptions { all: true, ..RebuildOptions::default() };
    let plan = pool.plan_rebuild(&options, &Monitor::default()).await.unwrap();
    assert_eq!((plan.chunks.len(), plan.trash), (2, 2));
    let done = pool.rebuild(&plan, &Monitor::default()).await.unwrap();
    assert_eq!((done.chunks, done.shards, done.trash_failed), (2, 2, 0));
    assert_eq!(verify(VerifyLevel::Deep).await.outcome(), None);
    // One more away than was damaged before: what was rebuilt is what counts.
    crate::remove(&world, &lay[0][1]);
    assert!(pool.restore(&path("/gone"), None, None).await.is_ok());
    assert_eq!(get(&pool, "/gone").await.unwrap(), content(2, 250_000));
    // A chunk of the trash that is beyond help fails nothing.
    pool.delete(&path("/gone"), false).await.unwrap();
    for shard in &lay[2] {
        crate::remove(&world, shard);
    }
    verify(VerifyLevel::Quick).await;
    let plan = pool.plan_rebuild(&RebuildOptions::default(), &Monitor::default()).await.unwrap();
    let done = pool.rebuild(&plan, &Monitor::default()).await.unwrap();
    assert_eq!((done.failed, done.unrecoverable, done.trash_failed), (0, 0, 1), "{done:?}");
    assert_eq!(verify(VerifyLevel::Quick).await.files.lost, 0);
}
