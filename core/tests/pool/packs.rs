//! Small files that share chunks: what one of them meets does not touch the others.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use rclonepool_core::id::PoolId;
use rclonepool_core::index::Index;
use rclonepool_core::pool::{DownloadOptions, Source, UploadOptions};
use rclonepool_core::remote::wrap::Verb;
use rclonepool_core::testing::fault::Crash;
use rclonepool_core::testing::world::World;
use rclonepool_core::{ErrorKind, Event, Monitor, Pool};

use crate::{content, get, is_commit, path, put, put_directory, range, scripted};

const CHUNK: u64 = 800_000;
const SIZE: usize = 16_384;

async fn made(n: usize, mode: &str) -> (World, PoolId, Arc<Pool>) {
    let world = World::new(n, mode.parse().unwrap(), CHUNK, 1);
    let id = world.init().await.unwrap();
    let pool = world.open(id).await.unwrap();
    (world, id, pool)
}

fn local(files: u64, size: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..files {
        std::fs::write(dir.path().join(format!("{n:03}")), content(n, size)).unwrap();
    }
    dir
}

async fn chunk_of(pool: &Pool, file: &str) -> rclonepool_core::id::ChunkId {
    let chunks = pool.stat(&path(file)).await.unwrap().chunks;
    assert_eq!(chunks.len(), 1, "{file}");
    chunks[0].chunk
}

#[tokio::test]
async fn packs_in_every_mode_are_read_whole_and_in_part() {
    for (n, mode) in [(2, "none"), (3, "replication:2"), (4, "parity:2+1"), (6, "parity:4+2"), (6, "hybrid:2+1x2")] {
        let (world, id, pool) = made(n, mode).await;
        let from = tempfile::tempdir().unwrap();
        let sizes = [0, 1, 4096, 4097, 5_000, 50_000, 50_001, 40_000, 9_999, 30_000, 131_072];
        for (n, size) in sizes.iter().enumerate() {
            std::fs::create_dir_all(from.path().join((n % 3).to_string())).unwrap();
            std::fs::write(from.path().join((n % 3).to_string()).join(n.to_string()), content(n as u64, *size))
                .unwrap();
        }
        assert_eq!(put_directory(&pool, from.path(), "/d").await.unwrap().files, sizes.len() as u64);
        let other = world.open(id).await.unwrap();
        let to = tempfile::tempdir().unwrap();
        let read = other.download(&path("/d"), to.path(), &DownloadOptions::default(), &Monitor::default()).await;
        assert_eq!(read.unwrap().files, sizes.len() as u64);
        let mut chunks = BTreeSet::new();
        for (n, size) in sizes.iter().enumerate() {
            let (name, bytes) = (format!("/d/{}/{n}", n % 3), content(n as u64, *size));
            assert_eq!(
                std::fs::read(to.path().join((n % 3).to_string()).join(n.to_string())).unwrap(),
                bytes,
                "{mode}"
            );
            assert_eq!(get(&other, &name).await.unwrap(), bytes, "{mode}: {name}");
            let (a, b) = (size / 3, size / 2);
            assert_eq!(range(&other, &name, Some(a as u64..b as u64)).await.unwrap(), bytes[a..b], "{mode}: {name}");
            if (4097..=50_000).contains(size) {
                chunks.insert(chunk_of(&pool, &name).await);
            }
        }
        assert_eq!(chunks.len(), 1, "{mode}");
    }
}

#[tokio::test]
async fn damage_in_a_pack_spoils_what_it_hits() {
    let (world, _, pool) = made(1, "none").await;
    let (from, to) = (local(40, SIZE), tempfile::tempdir().unwrap());
    put_directory(&pool, from.path(), "/d").await.unwrap();
    let shard = pool.stat(&path("/d/000")).await.unwrap().chunks[0].shards[0].object.clone();
    // The third unit of 128 KiB: eight files.
    assert!(world.stores[0].flip(&shard, 300_000));
    let failed: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let heard = failed.clone();
    let listener = Arc::new(move |event: &Event| {
        if let Event::FileFailed { path, .. } = event {
            heard.lock().unwrap().insert(path.clone());
        }
    });
    let monitor = Monitor::new(listener, tokio_util::sync::CancellationToken::new());
    let report = pool.download(&path("/d"), to.path(), &DownloadOptions::default(), &monitor).await.unwrap();
    assert_eq!((report.files, report.failed), (32, 8));
    for n in 0..40u64 {
        let file = to.path().join(format!("{n:03}"));
        let hit = (16..24).contains(&n);
        assert_eq!(failed.lock().unwrap().contains(&format!("/d/{n:03}")), hit, "{n}");
        match hit {
            true => assert!(!file.exists(), "{n}"),
            false => assert_eq!(std::fs::read(file).unwrap(), content(n, SIZE), "{n}"),
        }
    }
}

#[tokio::test]
async fn one_that_cannot_be_written_here_keeps_no_other() {
    let (_world, _, pool) = made(4, "parity:2+1").await;
    let (from, to) = (local(20, SIZE), tempfile::tempdir().unwrap());
    put_directory(&pool, from.path(), "/d").await.unwrap();
    std::fs::create_dir_all(to.path().join("007/in the way")).unwrap();
    let report = pool.download(&path("/d"), to.path(), &DownloadOptions::default(), &Monitor::default()).await.unwrap();
    assert_eq!((report.files, report.failed), (19, 1));
    assert_eq!(std::fs::read(to.path().join("008")).unwrap(), content(8, SIZE));
}

/// A pack whose remotes are full fails for all its files, and nothing is half there.
#[tokio::test]
async fn without_room_every_file_is_told() {
    let (world, _, pool) = made(3, "parity:2+1").await;
    let from = local(20, SIZE);
    world.faults.iter().for_each(|faults| faults.set_full(true));
    let report = put_directory(&pool, from.path(), "/d").await.unwrap();
    assert_eq!((report.files, report.failed, report.full), (0, 20, true));
    assert!(pool.list(&path("/")).unwrap().is_empty());

    let (world, _, pool) = made(3, "parity:2+1").await;
    world.faults.iter().for_each(|faults| faults.set_full(true));
    let puts = (0..8).map(|n| {
        let pool = pool.clone();
        async move { put(&pool, &format!("/c/{n}"), &content(n, SIZE)).await.unwrap_err().kind() }
    });
    assert_eq!(futures_util::future::join_all(puts).await, [ErrorKind::Full; 8]);
    assert!(pool.list(&path("/")).unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_directory_upload_that_was_killed_goes_on() {
    let mut died = 0;
    for call in 1.. {
        let (world, id, _) = made(4, "parity:2+1").await;
        let from = local(60, SIZE);
        std::fs::write(from.path().join("large"), content(99, 1_000_000)).unwrap();
        let (env, index) = (world.machine(), Arc::new(Index::in_memory().unwrap()));
        let crash = Crash::never();
        let dying = world.open_as(id, env.clone(), &crash, index.clone()).await.unwrap();
        crash.arm(call);
        let done = put_directory(&dying, from.path(), "/d").await;
        let happened = crash.happened();
        drop(dying);
        let reader = world.open(id).await.unwrap();
        let there = if reader.is_directory(&path("/d")).unwrap() { reader.list(&path("/d")).unwrap().len() } else { 0 };
        assert!([0, 61].contains(&there), "call {call}: {there} files");
        let next = world.open_as(id, env, &Crash::never(), index).await.unwrap();
        let report = put_directory(&next, from.path(), "/d").await.unwrap();
        assert_eq!((report.files + report.unchanged, report.failed), (61, 0), "call {call}");
        assert_eq!(report.unchanged, there as u64, "call {call}");
        for n in [0, 30, 59] {
            assert_eq!(get(&next, &format!("/d/{n:03}")).await.unwrap(), content(n, SIZE), "call {call}");
        }
        if !happened {
            assert_eq!(done.unwrap().files, 61);
            break;
        }
        died += 1;
    }
    assert!(died > 15, "only {died} calls");
}

/// A lone upload waits for nobody.
#[tokio::test(start_paused = true)]
async fn a_lone_upload_is_not_delayed() {
    let (_world, _, pool) = made(4, "parity:2+1").await;
    let begin = tokio::time::Instant::now();
    for n in 0..5 {
        put(&pool, &format!("/{n}"), &content(n, 5000)).await.unwrap();
    }
    assert_eq!(begin.elapsed(), Duration::ZERO);
    let both = futures_util::future::join_all((0..9).map(|n| {
        let pool = pool.clone();
        async move { put(&pool, &format!("/c/{n}"), &content(n, 5000)).await.unwrap() }
    }));
    both.await;
    assert!(begin.elapsed() < Duration::from_millis(100), "{:?}", begin.elapsed());
}

/// Uploads to one path, or to a path and one below it, do not go together; each is told what became of it.
#[tokio::test]
async fn paths_in_the_way_of_each_other_take_turns() {
    let (_world, _, pool) = made(4, "parity:2+1").await;
    let names = ["/a", "/a", "/a/b", "/c", "/a"];
    let puts = names.iter().enumerate().map(|(n, name)| {
        let pool = pool.clone();
        async move { put(&pool, name, &content(n as u64, 5000)).await }
    });
    let done: Vec<_> = futures_util::future::join_all(puts).await;
    let kinds: Vec<_> = done.iter().map(|done| done.as_ref().err().map(|error| error.kind())).collect();
    assert_eq!(kinds, [None, None, Some(ErrorKind::AlreadyExists), None, None]);
    assert_eq!(get(&pool, "/a").await.unwrap(), content(4, 5000), "the last one");
    assert_eq!(get(&pool, "/c").await.unwrap(), content(3, 5000));
}

/// Who gives up, or is dropped, takes nobody along; and what was given up is not there.
#[tokio::test(start_paused = true)]
async fn giving_up_concerns_nobody_else() {
    let (world, id, _) = made(4, "parity:2+1").await;
    let (pool, script) = scripted(&world, id).await;
    let cancel = tokio_util::sync::CancellationToken::new();
    let stop = cancel.clone();
    // While the shards are put.
    script.before(|_, verb, name| verb == Verb::Put && name.starts_with("data/"), async move {
        stop.cancel();
        tokio::time::sleep(Duration::from_millis(10)).await;
    });
    let monitor = Monitor::new(Arc::new(|_: &Event| ()), cancel);
    let options = UploadOptions::default();
    let source = || Source::Bytes(Bytes::from(vec![7; 5000]));
    let (one, two) = (path("/one"), path("/two"));
    let (silent, given_up) = (Monitor::default(), pool.upload(source(), &one, &options, &monitor));
    let (given_up, stays) = tokio::join!(given_up, pool.upload(source(), &two, &options, &silent));
    assert_eq!(given_up.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(stays.unwrap().files, 1);
    assert_eq!(get(&pool, "/two").await.unwrap(), vec![7u8; 5000]);
    assert!(pool.entry(&one).unwrap().is_none());
}

/// A commit that fails fails for all that came with it.
#[tokio::test]
async fn a_commit_that_fails_is_told_to_all() {
    let (world, id, _) = made(4, "parity:2+1").await;
    let (pool, script) = scripted(&world, id).await;
    let all = world.faults.clone();
    script.before(is_commit, async move { all.iter().for_each(|faults| faults.set_full(true)) });
    let puts = (0..6).map(|n| {
        let pool = pool.clone();
        async move { put(&pool, &format!("/{n}"), &content(n, 5000)).await.unwrap_err() }
    });
    for error in futures_util::future::join_all(puts).await {
        assert_eq!(error.kind(), ErrorKind::Full, "{error}");
        assert!(error.next_step().is_some(), "{error}");
    }
}

/// Streams, whose length nobody knows before, are packed as well; long ones pass.
#[tokio::test]
async fn streams_of_any_length_side_by_side() {
    let (_world, _, pool) = made(4, "parity:2+1").await;
    let sizes = [0usize, 10, 4096, 4097, 49_999, 50_000, 50_001, 800_000, 1_700_000];
    let puts = sizes.iter().enumerate().map(|(n, size)| {
        let (pool, bytes) = (pool.clone(), content(n as u64, *size));
        async move {
            let source = Source::Stream(Box::new(std::io::Cursor::new(bytes)));
            let to = path(&format!("/s/{n}"));
            pool.upload(source, &to, &UploadOptions::default(), &Monitor::default()).await.unwrap()
        }
    });
    let reports = futures_util::future::join_all(puts).await;
    for (n, (report, size)) in reports.iter().zip(sizes).enumerate() {
        assert_eq!(report.bytes, size as u64);
        assert_eq!(get(&pool, &format!("/s/{n}")).await.unwrap(), content(n as u64, size), "{size}");
    }
    let packed = [chunk_of(&pool, "/s/3").await, chunk_of(&pool, "/s/4").await, chunk_of(&pool, "/s/5").await];
    assert_eq!(BTreeSet::from(packed).len(), 1);
}
