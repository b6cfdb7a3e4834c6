//! Garbage on its way out, and everything that may come between.

use std::sync::Arc;
use std::time::Duration;

use rclonepool_core::index::Index;
use rclonepool_core::pool::care::{GcOptions, Stage};
use rclonepool_core::pool::{Source, UploadOptions};
use rclonepool_core::testing::fault::Crash;
use rclonepool_core::testing::world::World;
use rclonepool_core::{ErrorKind, Monitor, Pool};

use crate::{DAY, chunks, content, gc, get, objects, objects_of, path, put, world};

#[tokio::test(start_paused = true)]
async fn garbage_is_marked_waits_and_goes() {
    let (world, id) = world("parity:2+1", 1).await;
    let pool = world.open(id).await.unwrap();
    put(&pool, "/keep", &content(1, 150_000)).await;
    put(&pool, "/go", &content(2, 150_000)).await;
    let (keep, go) = (chunks(&pool, "/keep").await, chunks(&pool, "/go").await);
    let (kept, gone) = (objects_of(&world, &keep), objects_of(&world, &go));
    assert!(kept > 0 && gone > 0);
    assert_eq!(gc(&pool).await.unwrap().marked, 0);
    pool.delete(&path("/go"), false).await.unwrap();

    let first = gc(&pool).await.unwrap();
    assert_eq!((first.marked, first.dropped, first.objects), (go.len() as u64, 0, 0));
    assert!(first.waiting >= 150_000 && first.next_ms.unwrap() >= 24 * 3600 * 1000, "{first:?}");
    world.pass(Duration::from_secs(23 * 3600));
    assert_eq!(gc(&pool).await.unwrap().dropped, 0, "the grace has not passed");
    assert_eq!(objects_of(&world, &go), gone);
    world.pass(Duration::from_secs(3600 + 1));
    let last = gc(&pool).await.unwrap();
    assert_eq!((last.marked, last.dropped, last.objects), (0, go.len() as u64, gone as u64));
    assert!(last.reclaimed >= 150_000 && last.waiting == 0 && last.next_ms.is_none());
    assert_eq!((objects_of(&world, &go), objects_of(&world, &keep)), (0, kept));
    assert_eq!(gc(&pool).await.unwrap().objects, 0);
    assert_eq!(get(&world.open(id).await.unwrap(), "/keep").await.unwrap(), content(1, 150_000));
}

/// A machine that dies while it uploads leaves objects that no record names.
async fn killed_upload(world: &World, id: rclonepool_core::id::PoolId, index: &Arc<Index>, file: &std::path::Path) {
    let crash = Crash::never();
    let pool = world.open_as(id, world.machine(), &crash, index.clone()).await.unwrap();
    let before = objects(world);
    crash.arm(12);
    let done =
        pool.upload(Source::File(file.to_owned()), &path("/f"), &UploadOptions::default(), &Monitor::default()).await;
    done.unwrap_err();
    assert!(objects(world) > before, "the upload died too early");
}

#[tokio::test(start_paused = true)]
async fn a_killed_upload_is_resumed_in_spite_of_gc_and_reads_back() {
    let (world, id) = world("parity:2+1", 2).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    std::fs::write(&file, content(3, 900_000)).unwrap();
    let index = Arc::new(Index::in_memory().unwrap());
    killed_upload(&world, id, &index, &file).await;
    let pool = world.open_as(id, world.machine(), &Crash::never(), index.clone()).await.unwrap();
    let listed = pool.orphans(&GcOptions::default(), &Monitor::default()).await.unwrap();
    assert!(listed.bytes_at(Stage::Resumable) > 0 && listed.bytes_at(Stage::Unmarked) == 0, "{listed:?}");
    for _ in 0..3 {
        gc(&pool).await.unwrap();
        world.pass(DAY);
    }
    let source = Source::File(file.clone());
    let report = pool.upload(source, &path("/f"), &UploadOptions::default(), &Monitor::default()).await.unwrap();
    assert!(report.resumed_bytes > 0, "{report:?}");
    for _ in 0..3 {
        gc(&pool).await.unwrap();
        world.pass(DAY);
    }
    assert_eq!(get(&world.open(id).await.unwrap(), "/f").await.unwrap(), content(3, 900_000));
}

/// Objects without any record go the same way, when they are old enough not to be an upload under way.
#[tokio::test(start_paused = true)]
async fn what_a_killed_upload_left_goes_where_nobody_resumes_it() {
    let (world, id) = world("parity:2+1", 3).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    std::fs::write(&file, content(4, 900_000)).unwrap();
    killed_upload(&world, id, &Arc::new(Index::in_memory().unwrap()), &file).await;
    // Another machine knows nothing of the upload.
    let pool = world.open(id).await.unwrap();
    let first = gc(&pool).await.unwrap();
    assert_eq!((first.marked, first.objects), (0, 0), "it may be an upload under way");
    world.pass(DAY);
    assert!(gc(&pool).await.unwrap().marked > 0);
    world.pass(DAY);
    assert!(gc(&pool).await.unwrap().objects > 0);
    assert_eq!(objects(&world), 0);
}

/// The same on the machine that could resume it, when it never does.
#[tokio::test(start_paused = true)]
async fn resumable_data_is_not_kept_for_ever() {
    let (world, id) = world("parity:2+1", 4).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    std::fs::write(&file, content(4, 900_000)).unwrap();
    let index = Arc::new(Index::in_memory().unwrap());
    killed_upload(&world, id, &index, &file).await;
    let pool = world.open_as(id, world.machine(), &Crash::never(), index).await.unwrap();
    for _ in 0..12 {
        gc(&pool).await.unwrap();
        world.pass(DAY);
    }
    assert_eq!(objects(&world), 0);
    let source = Source::File(file.clone());
    pool.upload(source, &path("/f"), &UploadOptions::default(), &Monitor::default()).await.unwrap();
    assert_eq!(get(&pool, "/f").await.unwrap(), content(4, 900_000));
}

/// Uploads and collections of several machines side by side: nothing of what was acknowledged goes.
#[tokio::test(start_paused = true)]
async fn gc_runs_while_others_upload() {
    let (world, id) = world("parity:2+1", 5).await;
    let (writer, first, second) =
        (world.open(id).await.unwrap(), world.open(id).await.unwrap(), world.open(id).await.unwrap());
    for round in 0..6u64 {
        let upload = async {
            for n in 0..3 {
                put(&writer, &format!("/{n}"), &content(100 * round + n, 150_000)).await;
            }
        };
        let (_, one, two) = tokio::join!(upload, gc(&first), gc(&second));
        // Others that keep writing are a reason to come again, and no other is.
        for done in [one, two] {
            assert!(
                done.as_ref().is_ok_and(|_| true)
                    || done.as_ref().is_err_and(|e| matches!(e.kind(), ErrorKind::Busy | ErrorKind::Unavailable)),
                "{done:?}"
            );
        }
        world.pass(DAY);
    }
    for pool in [&first, &second] {
        gc(pool).await.unwrap();
        world.pass(DAY);
        gc(pool).await.unwrap();
    }
    let reader = world.open(id).await.unwrap();
    for n in 0..3 {
        assert_eq!(get(&reader, &format!("/{n}")).await.unwrap(), content(500 + n, 150_000));
    }
    // Two chunks of three shards for each of three files, and nothing else.
    assert_eq!(objects(&world), 3 * (3 + chunks_of_tail()));
}

/// The second chunk has 50,000 bytes: copies, one more than may be lost.
fn chunks_of_tail() -> usize {
    2
}

#[tokio::test(start_paused = true)]
async fn two_machines_free_the_same_at_once() {
    let (world, id) = world("replication:2", 6).await;
    let (one, two) = (world.open(id).await.unwrap(), world.open(id).await.unwrap());
    put(&one, "/keep", &content(1, 200_000)).await;
    put(&one, "/go", &content(2, 200_000)).await;
    one.delete(&path("/go"), false).await.unwrap();
    for _ in 0..3 {
        let (first, second) = tokio::join!(gc(&one), gc(&two));
        drop((first, second));
        world.pass(DAY);
    }
    let (first, second) = (gc(&one).await.unwrap(), gc(&two).await.unwrap());
    assert_eq!((first.waiting, second.waiting), (0, 0));
    let reader = world.open(id).await.unwrap();
    assert_eq!(get(&reader, "/keep").await.unwrap(), content(1, 200_000));
    assert_eq!(objects(&world), objects_of(&world, &chunks(&reader, "/keep").await));
}

/// A machine dies at each of the remote calls of a run in turn; the next run ends what it began.
#[tokio::test(start_paused = true)]
async fn a_crash_at_any_call_loses_nothing_and_stops_nothing() {
    let mut died = 0;
    for call in 1.. {
        let (world, id) = world("parity:2+1", 7).await;
        let index = Arc::new(Index::in_memory().unwrap());
        let env = world.machine();
        let pool = world.open_as(id, env.clone(), &Crash::never(), index.clone()).await.unwrap();
        put(&pool, "/keep", &content(1, 120_000)).await;
        put(&pool, "/go", &content(2, 120_000)).await;
        put(&pool, "/later", &content(3, 120_000)).await;
        pool.delete(&path("/go"), false).await.unwrap();
        gc(&pool).await.unwrap();
        world.pass(DAY);
        pool.delete(&path("/later"), false).await.unwrap();
        // This run drops and deletes one chunk's objects, and marks another's.
        let crash = Crash::never();
        let dying = world.open_as(id, env.clone(), &crash, index.clone()).await.unwrap();
        crash.arm(call);
        let done = gc(&dying).await;
        dying.close().await;
        let happened = crash.happened();
        drop(dying);
        let keep = get(&world.open(id).await.unwrap(), "/keep").await.unwrap();
        assert_eq!(keep, content(1, 120_000), "call {call}");
        let next = world.open_as(id, env, &Crash::never(), index).await.unwrap();
        for _ in 0..3 {
            gc(&next).await.unwrap_or_else(|e| panic!("call {call}: {e}"));
            world.pass(DAY);
        }
        let reader = world.open(id).await.unwrap();
        assert_eq!(get(&reader, "/keep").await.unwrap(), content(1, 120_000), "call {call}");
        let left = objects_of(&world, &chunks(&reader, "/keep").await);
        assert_eq!(objects(&world), left, "call {call}: garbage is left");
        if !happened {
            done.unwrap();
            break;
        }
        died += 1;
        assert!(call < 500);
    }
    assert!(died > 20, "only {died} calls");
}

async fn with_garbage(world: &World, id: rclonepool_core::id::PoolId) -> (Arc<Pool>, usize) {
    let pool = world.open(id).await.unwrap();
    put(&pool, "/keep", &content(1, 150_000)).await;
    for n in 0..4 {
        put(&pool, &format!("/go/{n}"), &content(10 + n, 150_000)).await;
    }
    let kept = objects_of(world, &chunks(&pool, "/keep").await);
    pool.delete(&path("/go"), true).await.unwrap();
    gc(&pool).await.unwrap();
    world.pass(DAY);
    (pool, kept)
}

#[tokio::test(start_paused = true)]
async fn what_lies_on_an_offline_remote_goes_when_it_is_back() {
    let (world, id) = world("parity:2+1", 8).await;
    let (pool, kept) = with_garbage(&world, id).await;
    world.faults[3].set_offline(true);
    let report = gc(&pool).await.unwrap();
    assert!(report.dropped > 0 && report.objects > 0 && report.unknown.len() == 1, "{report:?}");
    assert!(objects(&world) > kept);
    world.faults[3].set_offline(false);
    world.pass(Duration::from_secs(3600));
    pool.sync().await.unwrap();
    let report = gc(&pool).await.unwrap();
    assert!(report.objects > 0 && report.dropped == 0, "{report:?}");
    assert_eq!(objects(&world), kept);
    assert_eq!(get(&pool, "/keep").await.unwrap(), content(1, 150_000));
}

#[tokio::test(start_paused = true)]
async fn without_a_view_nothing_is_freed() {
    let (world, id) = world("parity:2+1", 9).await;
    let (pool, _) = with_garbage(&world, id).await;
    let before = objects(&world);
    for remotes in [&[2usize, 3][..], &[0, 1, 2, 3]] {
        remotes.iter().for_each(|n| world.faults[*n].set_offline(true));
        let error = gc(&pool).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.next_step().is_some(), "{error}");
        remotes.iter().for_each(|n| world.faults[*n].set_offline(false));
        world.pass(Duration::from_secs(3600));
    }
    assert_eq!(objects(&world), before);
}

#[tokio::test(start_paused = true)]
async fn an_empty_a_swapped_and_a_read_only_remote_lose_nothing() {
    let (world, id) = world("parity:2+1", 10).await;
    let (pool, kept) = with_garbage(&world, id).await;
    // An unmounted disk: offline, and no shard on it is taken for lost or for garbage.
    world.faults[0].set_emptied(true);
    gc(&pool).await.unwrap();
    world.faults[0].set_emptied(false);
    world.pass(Duration::from_secs(3600));
    world.stores[1].swap(&world.stores[2]);
    let _ = gc(&pool).await;
    let reader = world.open(id).await.unwrap();
    assert_eq!(get(&reader, "/keep").await.unwrap(), content(1, 150_000));
    world.stores[1].swap(&world.stores[2]);
    world.pass(Duration::from_secs(3600));
    pool.sync().await.unwrap();
    world.faults[1].set_read_only(true);
    let _ = gc(&pool).await;
    world.faults[1].set_read_only(false);
    world.pass(Duration::from_secs(3600));
    for _ in 0..2 {
        pool.sync().await.unwrap();
        gc(&pool).await.unwrap();
        world.pass(DAY);
    }
    let reader = world.open(id).await.unwrap();
    assert_eq!(get(&reader, "/keep").await.unwrap(), content(1, 150_000));
    assert_eq!(objects(&world), kept);
}

/// A remote that carries its marker and has lost its shards may have been set back, or be somebody's mistake.
#[tokio::test(start_paused = true)]
async fn a_suspect_remote_stops_deletion() {
    let (world, id) = world("replication:2", 11).await;
    let pool = world.open(id).await.unwrap();
    for n in 0..40 {
        put(&pool, &format!("/keep/{n}"), &content(n, 5_000)).await;
    }
    put(&pool, "/go", &content(99, 5_000)).await;
    pool.delete(&path("/go"), false).await.unwrap();
    let shards: Vec<String> = world.stores[0].names().into_iter().filter(|name| name.starts_with("data/")).collect();
    let taken: Vec<_> = shards.iter().map(|name| (name, world.stores[0].object(name).unwrap())).collect();
    assert!(shards.iter().all(|name| world.stores[0].remove(name)));
    let error = gc(&pool).await.unwrap_err();
    assert_eq!((error.kind(), error.remote()), (ErrorKind::Busy, Some("m0:")), "{error}");
    let accept = GcOptions { accept_loss: true, ..GcOptions::default() };
    assert_eq!(pool.gc(&accept, &Monitor::default()).await.unwrap().marked, 1);
    taken.into_iter().for_each(|(name, bytes)| world.stores[0].insert(name, bytes));
    world.pass(DAY);
    assert_eq!(gc(&pool).await.unwrap().dropped, 1);
}

/// The wall clock jumps by a day: neither is the grace over, nor does it last for ever.
#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_shortens_no_grace() {
    for jump in [-1i64, 1] {
        let (world, id) = world("parity:2+1", 12).await;
        let env = world.machine();
        let index = Index::in_memory().unwrap();
        let pool = world.open_as(id, env.clone(), &Crash::never(), index).await.unwrap();
        put(&pool, "/go", &content(2, 150_000)).await;
        pool.delete(&path("/go"), false).await.unwrap();
        assert!(gc(&pool).await.unwrap().marked > 0);
        env.set_skew(jump * 25 * 3_600_000);
        world.pass(Duration::from_secs(3600));
        assert_eq!(gc(&pool).await.unwrap().dropped, 0, "{jump}");
        world.pass(DAY);
        assert!(gc(&pool).await.unwrap().dropped > 0, "{jump}");
        assert_eq!(objects(&world), 0);
    }
}

/// What a shard was put in before it went elsewhere, or was put anew: dropped by its own record, then deleted.
#[tokio::test(start_paused = true)]
async fn a_stray_object_of_a_needed_chunk_goes() {
    let (world, id) = world("replication:2", 13).await;
    let pool = world.open(id).await.unwrap();
    put(&pool, "/keep", &content(1, 150_000)).await;
    let kept = objects(&world);
    let name = world.stores[0].names().into_iter().find(|name| name.starts_with("data/")).unwrap();
    let stray = format!("{}0123456789abcdef", &name[..name.len() - 16]);
    world.stores[2].insert(stray.clone(), content(1, 777));
    let first = gc(&pool).await.unwrap();
    assert_eq!((first.marked, first.dropped, first.waiting), (0, 0, 777));
    world.pass(DAY);
    let second = gc(&pool).await.unwrap();
    assert_eq!((second.dropped, second.objects, second.reclaimed), (1, 1, 777));
    assert_eq!(objects(&world), kept);
    // The same object again, as from a remote that was set back: known to be dropped.
    world.stores[2].insert(stray, content(1, 777));
    assert_eq!(gc(&pool).await.unwrap().objects, 1);
    // The same put on another remote is no reason to drop the shard.
    world.stores[3].insert(name.clone(), content(1, 100_000));
    for _ in 0..3 {
        assert_eq!(gc(&pool).await.unwrap().dropped, 0);
        world.pass(DAY);
    }
    assert_eq!(get(&world.open(id).await.unwrap(), "/keep").await.unwrap(), content(1, 150_000));
}
