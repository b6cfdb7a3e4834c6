//! Content that the pool has is not stored again.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rclonepool_core::config::Chunker;
use rclonepool_core::id::{ChunkId, PoolId};
use rclonepool_core::index::{Damage, Finding, Index};
use rclonepool_core::pool::{Source, UploadOptions, UploadReport};
use rclonepool_core::remote::wrap::Verb;
use rclonepool_core::testing::fault::Crash;
use rclonepool_core::testing::history::shard_name;
use rclonepool_core::testing::record::RecordLog;
use rclonepool_core::testing::world::World;
use rclonepool_core::{Monitor, Pool, Result};

use crate::{content, get, half_done, path, put, put_directory, recorded_remotes};

const CHUNK: u64 = 100_000;

async fn make(n: usize, redundancy: &str) -> (World, PoolId) {
    let mut world = World::new(n, redundancy.parse().unwrap(), CHUNK, 7);
    world.settings.deduplication = true;
    let id = world.init().await.unwrap();
    (world, id)
}

async fn upload(pool: &Arc<Pool>, from: &Path, to: &str, options: &UploadOptions) -> UploadReport {
    pool.upload(Source::File(from.to_owned()), &path(to), options, &Monitor::default()).await.unwrap()
}

fn file(dir: &tempfile::TempDir, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let file = dir.path().join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, bytes).unwrap();
    file
}

/// How many shard objects lie on all remotes.
fn shards(world: &World) -> usize {
    world.stores.iter().flat_map(|store| store.names()).filter(|name| shard_name(name).is_some()).count()
}

fn chunks(pool: &Pool, at: &str) -> Vec<ChunkId> {
    pool.entry(&path(at)).unwrap().unwrap().content.extents().iter().map(|extent| extent.chunk).collect()
}

#[tokio::test]
async fn a_second_upload_costs_a_commit() {
    let (world, id) = make(3, "parity:2+1").await;
    let (dir, bytes) = (tempfile::tempdir().unwrap(), content(1, 450_000));
    let local = file(&dir, "f", &bytes);
    let first = world.open(id).await.unwrap();
    let report = upload(&first, &local, "/a", &UploadOptions::default()).await;
    assert_eq!((report.bytes, report.deduplicated_bytes), (450_000, 0));
    let before = shards(&world);
    // By a machine that knows only what the journal says.
    let log = Arc::new(RecordLog::default());
    let remotes = recorded_remotes(&world, &Crash::never(), &log);
    let pool = world.open_over(id, world.machine(), remotes, Index::in_memory().unwrap()).await.unwrap();
    log.clear();
    let report = upload(&pool, &local, "/b", &UploadOptions::default()).await;
    assert_eq!((report.bytes, report.deduplicated_bytes, report.stale), (450_000, 450_000, false));
    assert_eq!(shards(&world), before);
    let puts = log.calls().iter().filter(|call| call.verb == Verb::Put).count();
    assert_eq!(puts, 3, "one commit to each remote");
    // As a stream, and as bytes.
    let stream = Source::Stream(Box::new(std::io::Cursor::new(bytes.clone())));
    pool.upload(stream, &path("/c"), &UploadOptions::default(), &Monitor::default()).await.unwrap();
    assert_eq!(put(&pool, "/d", &bytes).await.unwrap().deduplicated_bytes, 450_000);
    assert_eq!(shards(&world), before);
    let fresh = world.open(id).await.unwrap();
    for at in ["/a", "/b", "/c", "/d"] {
        assert_eq!(get(&fresh, at).await.unwrap(), bytes);
        assert_eq!(chunks(&fresh, at), chunks(&fresh, "/a"));
    }
    // Who insists gets it stored anew.
    upload(&pool, &local, "/e", &UploadOptions { force: true, ..UploadOptions::default() }).await;
    assert_eq!(shards(&world), 2 * before);
}

#[tokio::test]
async fn one_of_two_may_go() {
    let (world, id) = make(3, "none").await;
    let pool = world.open(id).await.unwrap();
    let (large, small) = (content(2, 250_000), content(3, 6_000));
    for at in ["/1", "/2"] {
        put(&pool, &format!("/large{at}"), &large).await.unwrap();
        put(&pool, &format!("/small{at}"), &small).await.unwrap();
    }
    for at in ["/large/1", "/small/1"] {
        pool.delete(&path(at), false).await.unwrap();
    }
    let said = rclonepool_core::testing::sim::collect(pool.journal(), "data", Duration::ZERO).await.unwrap();
    assert!(said.contains("dropped 0"), "{said}");
    let fresh = world.open(id).await.unwrap();
    assert_eq!(get(&fresh, "/large/2").await.unwrap(), large);
    assert_eq!(get(&fresh, "/small/2").await.unwrap(), small);
    // What nobody needs any more goes, and is stored anew.
    fresh.delete(&path("/large/2"), false).await.unwrap();
    let said = rclonepool_core::testing::sim::collect(fresh.journal(), "data", Duration::ZERO).await.unwrap();
    assert!(said.contains("dropped 3"), "{said}");
    assert_eq!(put(&fresh, "/large/3", &large).await.unwrap().deduplicated_bytes, 0);
    assert_eq!(get(&fresh, "/large/3").await.unwrap(), large);
}

#[tokio::test]
async fn equal_files_of_a_directory_are_stored_once() {
    let (world, id) = make(3, "replication:2").await;
    let pool = world.open(id).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (large, small, inline) = (content(4, 230_000), content(5, 5_000), content(6, 3_000));
    for n in 0..6 {
        file(&dir, &format!("large{n}"), &large);
        file(&dir, &format!("small{n}"), &small);
        file(&dir, &format!("inline{n}"), &inline);
    }
    let report = put_directory(&pool, dir.path(), "/d").await.unwrap();
    assert_eq!((report.files, report.deduplicated_bytes), (18, 5 * 235_000));
    // Three chunks and a pack, twice each.
    assert_eq!(shards(&world), 8);
    let fresh = world.open(id).await.unwrap();
    for n in 0..6 {
        assert_eq!(get(&fresh, &format!("/d/large{n}")).await.unwrap(), large);
        assert_eq!(get(&fresh, &format!("/d/small{n}")).await.unwrap(), small);
        assert_eq!(get(&fresh, &format!("/d/inline{n}")).await.unwrap(), inline);
    }
    // Beside others in a pack that is made now, they lie where they lay.
    file(&dir, "new", &content(7, 5_001));
    put_directory(&fresh, dir.path(), "/e").await.unwrap();
    assert_eq!(shards(&world), 10);
    assert_eq!(chunks(&fresh, "/e/small3"), chunks(&fresh, "/d/small0"));
    assert_eq!(get(&fresh, "/e/small3").await.unwrap(), small);
    let sharing = fresh.journal().index().sharing().unwrap();
    assert_eq!(sharing.logical - sharing.unique, 11 * 235_000);
    assert_eq!(sharing.unique, 240_001);
}

#[tokio::test]
async fn uploads_at_the_same_time_store_once() {
    let (world, id) = make(3, "none").await;
    let pool = world.open(id).await.unwrap();
    let (large, small) = (content(8, 190_000), content(9, 6_200));
    let all = (0..8).map(|n| {
        let (pool, bytes) = (pool.clone(), if n % 2 == 0 { large.clone() } else { small.clone() });
        async move { put(&pool, &format!("/f{n}"), &bytes).await.unwrap().deduplicated_bytes }
    });
    let saved: u64 = futures_util::future::join_all(all).await.into_iter().sum();
    assert_eq!((saved, shards(&world)), (3 * 196_200, 3));
    let fresh = world.open(id).await.unwrap();
    for n in 0..8 {
        assert_eq!(get(&fresh, &format!("/f{n}")).await.unwrap(), if n % 2 == 0 { &large } else { &small });
    }
}

/// Whoever waits for somebody else's chunk stores it when that fails.
#[tokio::test]
async fn nobody_fails_with_another() {
    let (world, id) = make(3, "none").await;
    let (pool, script) = crate::scripted(&world, id).await;
    let bytes = content(10, 90_000);
    // The first to put it never ends, and is given up.
    let is_shard = |_: &str, verb: Verb, name: &str| verb == Verb::Put && shard_name(name).is_some();
    let begun = Arc::new(tokio::sync::Notify::new());
    let told = begun.clone();
    script.before(is_shard, async move {
        told.notify_one();
        std::future::pending::<()>().await;
    });
    let first = tokio::spawn({
        let (pool, bytes) = (pool.clone(), bytes.clone());
        async move { put(&pool, "/first", &bytes).await }
    });
    begun.notified().await;
    let second = tokio::spawn({
        let (pool, bytes) = (pool.clone(), bytes.clone());
        async move { put(&pool, "/second", &bytes).await }
    });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    first.abort();
    second.await.unwrap().unwrap();
    assert_eq!(get(&world.open(id).await.unwrap(), "/second").await.unwrap(), bytes);
}

#[tokio::test]
async fn nothing_is_relied_on_without_a_view() {
    let (world, id) = make(3, "replication:2").await;
    let bytes = content(11, 80_000);
    let pool = world.open(id).await.unwrap();
    put(&pool, "/a", &bytes).await.unwrap();
    // Of three and with two copies all three must be listed.
    world.faults[0].set_offline(true);
    let report = put(&pool, "/b", &bytes).await.unwrap();
    assert_eq!((report.stale, report.deduplicated_bytes), (true, 0));
    world.faults[0].set_offline(false);
    assert_ne!(chunks(&pool, "/a"), chunks(&pool, "/b"));
    assert_eq!(put(&pool, "/c", &bytes).await.unwrap().deduplicated_bytes, 80_000);
}

/// A chunk that is known to be damaged, or survives less than is asked for now, is stored anew.
#[tokio::test]
async fn only_good_chunks_are_used_again() {
    let (mut world, id) = make(4, "none").await;
    let (weak, hurt) = (content(12, 80_000), content(13, 80_000));
    put(&world.open(id).await.unwrap(), "/weak", &weak).await.unwrap();
    world.settings.redundancy = "replication:2".parse().unwrap();
    let pool = world.open(id).await.unwrap();
    assert_eq!(put(&pool, "/strong", &weak).await.unwrap().deduplicated_bytes, 0);
    assert_eq!(put(&pool, "/strong2", &weak).await.unwrap().deduplicated_bytes, 80_000);
    put(&pool, "/hurt", &hurt).await.unwrap();
    let chunk = chunks(&pool, "/hurt")[0];
    let place = pool.journal().index().chunk(chunk).unwrap().unwrap().record.shards[0];
    let finding = Finding { chunk, place, damage: Damage::Missing };
    pool.journal().index().note_damage([&finding]).unwrap();
    assert_eq!(put(&pool, "/whole", &hurt).await.unwrap().deduplicated_bytes, 0);
}

/// The journal says where content lies before it says what refers to it, also where one commit reached few.
#[tokio::test]
async fn what_is_used_again_is_on_a_quorum_first() {
    let (world, id) = make(3, "none").await;
    let bytes = content(14, 70_000);
    half_done(&world, id, async |pool| drop(put(pool, "/half", &bytes).await.unwrap_err())).await;
    let pool = world.open(id).await.unwrap();
    let report = put(&pool, "/again", &bytes).await.unwrap();
    assert_eq!((report.deduplicated_bytes, report.stale), (70_000, false));
    // The only remote that had the chunk's record is away.
    let commits = |store: &rclonepool_core::remote::memory::MemoryStore| {
        store.names().iter().filter(|name| name.contains("/commits/")).count()
    };
    assert!(world.stores.iter().filter(|store| commits(store) == commits(&world.stores[0])).count() >= 2);
}

#[tokio::test]
async fn an_insertion_at_the_front_sends_little() -> Result<()> {
    let mut world = World::new(3, "none".parse().unwrap(), CHUNK, 8);
    (world.settings.deduplication, world.settings.chunker) = (true, Chunker::FastCdc);
    let id = world.init().await.unwrap();
    let old = content(15, 3_000_000);
    let new: Bytes = [b"inserted".as_slice(), &old].concat().into();
    let dir = tempfile::tempdir().unwrap();
    let (was, is) = (file(&dir, "old", &old), file(&dir, "new", &new));
    let pool = world.open(id).await.unwrap();
    upload(&pool, &was, "/old", &UploadOptions::default()).await;
    let before = shards(&world);
    assert!(before > 30, "{before} chunks");
    let report = upload(&pool, &is, "/new", &UploadOptions::default()).await;
    assert!(shards(&world) - before <= 2, "{} chunks were sent", shards(&world) - before);
    assert!(report.deduplicated_bytes > 2_800_000);
    // A stream is cut where a file is.
    assert_eq!(put(&pool, "/stream", &new).await.unwrap().deduplicated_bytes, 3_000_008);
    for (at, bytes) in [("/old", &old), ("/new", &new), ("/stream", &new)] {
        assert_eq!(&get(&world.open(id).await.unwrap(), at).await?, bytes);
    }
    // What is there is known by what was written, whatever cuts now.
    world.settings.chunker = Chunker::Fixed;
    let options = UploadOptions { checksum: true, ..UploadOptions::default() };
    let report = upload(&world.open(id).await.unwrap(), &is, "/new", &options).await;
    assert_eq!((report.unchanged, report.files), (1, 0));
    Ok(())
}

/// What broke off goes on where it stopped, with chunks of any length.
#[tokio::test]
async fn an_upload_cut_by_content_resumes() {
    let mut world = World::new(3, "none".parse().unwrap(), CHUNK, 9);
    world.settings.chunker = Chunker::FastCdc;
    let id = world.init().await.unwrap();
    let (pool, script) = crate::scripted(&world, id).await;
    let (dir, bytes) = (tempfile::tempdir().unwrap(), content(16, 1_000_000));
    let local = file(&dir, "f", &bytes);
    let faults = world.faults.clone();
    script.before(crate::is_commit, async move { faults.iter().for_each(|faults| faults.set_full(true)) });
    let source = Source::File(local.clone());
    pool.upload(source, &path("/f"), &UploadOptions::default(), &Monitor::default()).await.unwrap_err();
    world.faults.iter().for_each(|faults| faults.set_full(false));
    let report = upload(&pool, &local, "/f", &UploadOptions::default()).await;
    assert_eq!(report.resumed_bytes, 1_000_000);
    assert_eq!(get(&world.open(id).await.unwrap(), "/f").await.unwrap(), bytes);
}
