//! What an acknowledgement promises, and on what it may rest.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rclonepool_core::id::{ChunkId, PoolId, Stamp};
use rclonepool_core::journal::record::{Condemned, Record};
use rclonepool_core::pool::{Source, UploadOptions};
use rclonepool_core::redundancy::Redundancy;
use rclonepool_core::remote::memory::MemoryStore;
use rclonepool_core::remote::wrap::Verb;
use rclonepool_core::testing::history::shard_name;
use rclonepool_core::testing::script::Script;
use rclonepool_core::testing::world::World;
use rclonepool_core::{Monitor, Pool};

use crate::{content, get, half_done, is_commit, path, put, scripted};

const CHUNK: u64 = 100_000;

/// The chunks whose shards lie on any remote.
fn chunks(stores: &[MemoryStore]) -> Vec<ChunkId> {
    let mut found: Vec<ChunkId> = stores
        .iter()
        .flat_map(MemoryStore::names)
        .filter_map(|name| shard_name(&name))
        .map(|(chunk, _)| chunk)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Condemns every chunk there is, as a collector does that has not seen what refers to it.
async fn condemn_all(pool: &Pool, stores: &[MemoryStore]) {
    let mark = |chunk| Record::Condemned(Condemned { chunk, stamp: Stamp::ZERO });
    let view = pool.journal().sync().await.unwrap();
    let receipt = pool.journal().commit(&view, chunks(stores).into_iter().map(mark).collect()).await.unwrap();
    assert!(!receipt.stale);
}

/// A file with a fixed time, as `touch` sets it.
fn local_file(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, bytes).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_500_000_000);
    std::fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    (dir, file)
}

async fn put_file(pool: &Arc<Pool>, file: &std::path::Path, to: &str) -> rclonepool_core::pool::UploadReport {
    let source = Source::File(file.to_owned());
    pool.upload(source, &path(to), &UploadOptions::default(), &Monitor::default()).await.unwrap()
}

fn marked(pool: &Pool, at: &str) -> usize {
    let entry = pool.entry(&path(at)).unwrap().unwrap();
    let extents = entry.content.extents().iter().map(|extent| extent.chunk);
    pool.journal().index().marks(extents).unwrap().len()
}

/// The version that its own first try left behind must not be taken for "there already".
#[tokio::test]
async fn what_is_condemned_while_a_file_is_stored_is_stored_anew() {
    let world = World::new(3, Redundancy::NONE, CHUNK, 1);
    let id = world.init().await.unwrap();
    let collector = world.open(id).await.unwrap();
    let (pool, script) = scripted(&world, id).await;
    let stores = world.stores.clone();
    script.before(is_commit, async move { condemn_all(&collector, &stores).await });
    let (_dir, file) = local_file(&content(1, 150_000));
    let report = put_file(&pool, &file, "/f").await;
    assert_eq!((script.left(), report.files, report.unchanged, report.stale), (0, 1, 0, false));
    assert_eq!(marked(&pool, "/f"), 0, "acknowledged with data that is being deleted");
    assert_eq!(get(&pool, "/f").await.unwrap(), content(1, 150_000));
}

/// Nor does a file whose data is condemned count as stored, for whoever stores it again.
#[tokio::test]
async fn a_file_on_condemned_data_is_stored_anew() {
    let world = World::new(3, Redundancy::NONE, CHUNK, 2);
    let id = world.init().await.unwrap();
    let pool = world.open(id).await.unwrap();
    let (_dir, file) = local_file(&content(2, 50_000));
    put_file(&pool, &file, "/f").await;
    condemn_all(&world.open(id).await.unwrap(), &world.stores).await;
    let report = put_file(&pool, &file, "/f").await;
    assert_eq!((report.files, report.unchanged), (1, 0));
    assert_eq!(marked(&pool, "/f"), 0);
    // The same with another time: the old extents would be used again.
    condemn_all(&world.open(id).await.unwrap(), &world.stores).await;
    let options = UploadOptions { mtime_ns: Some(7), ..UploadOptions::default() };
    pool.upload(Source::File(file), &path("/f"), &options, &Monitor::default()).await.unwrap();
    assert_eq!(marked(&pool, "/f"), 0);
}

/// A machine that has seen everything, while nothing is copied to remotes that lack it.
async fn alone(world: &mut World, id: PoolId) -> Arc<Pool> {
    world.rules.anti_entropy = false;
    world.open(id).await.unwrap()
}

/// The retry of an upload finds the version of its first try, which one remote holds.
#[tokio::test]
async fn unchanged_is_said_only_of_what_w_remotes_hold() {
    for (size, touch) in [(3000, None), (50_000, None), (50_000, Some(7))] {
        let mut world = World::new(4, "replication:2".parse().unwrap(), CHUNK, 3);
        let id = world.init().await.unwrap();
        let bytes = content(size, size as usize);
        let (_dir, file) = local_file(&bytes);
        let upload = async |pool: &Arc<Pool>, options| {
            pool.upload(Source::File(file.clone()), &path("/f"), &options, &Monitor::default()).await
        };
        half_done(&world, id, async |pool| drop(upload(pool, UploadOptions::default()).await.unwrap_err())).await;
        let pool = alone(&mut world, id).await;
        let report = upload(&pool, UploadOptions { mtime_ns: touch, ..UploadOptions::default() }).await.unwrap();
        world.faults[0].set_lost(true);
        let read = get(&world.open(id).await.unwrap(), "/f").await;
        assert!(report.stale || read.as_ref().is_ok_and(|read| *read == bytes), "{report:?}, then {read:?}");
        assert!(!report.stale, "all remotes were there");
    }
}

/// What is moved must be as safe at its new place as the move is.
#[tokio::test]
async fn a_move_carries_along_what_one_remote_holds() {
    let mut world = World::new(4, "replication:2".parse().unwrap(), CHUNK, 4);
    let id = world.init().await.unwrap();
    let bytes = content(4, 50_000);
    half_done(&world, id, async |pool| drop(put(pool, "/a/f", &bytes).await.unwrap_err())).await;
    let pool = alone(&mut world, id).await;
    assert!(!pool.rename(&path("/a"), &path("/b"), false).await.unwrap().stale);
    world.faults[0].set_lost(true);
    assert_eq!(get(&world.open(id).await.unwrap(), "/b/f").await.unwrap(), bytes);
}

/// A directory that is there already is acknowledged like one that was made.
#[tokio::test]
async fn a_directory_that_one_remote_knows_is_made() {
    let mut world = World::new(4, "replication:2".parse().unwrap(), CHUNK, 5);
    let id = world.init().await.unwrap();
    half_done(&world, id, async |pool| drop(pool.mkdir(&path("/d")).await.unwrap_err())).await;
    let pool = alone(&mut world, id).await;
    assert!(!pool.mkdir(&path("/d")).await.unwrap());
    world.faults[0].set_lost(true);
    assert!(world.open(id).await.unwrap().is_directory(&path("/d")).unwrap());
}

/// What rests on a commit that only an absent remote holds is not acknowledged in full.
#[tokio::test]
async fn what_rests_on_an_absent_remote_is_stale() {
    let mut world = World::new(4, "replication:2".parse().unwrap(), CHUNK, 6);
    let id = world.init().await.unwrap();
    half_done(&world, id, async |pool| drop(put(pool, "/a/f", &content(6, 50_000)).await.unwrap_err())).await;
    let pool = alone(&mut world, id).await;
    assert!(pool.entry(&path("/a/f")).unwrap().is_some());
    world.faults[0].set_offline(true);
    assert!(pool.sync().await.unwrap().complete, "the other three are a view");
    assert!(pool.rename(&path("/a"), &path("/b"), false).await.unwrap().stale);
    // A new file rests on nothing.
    assert!(!put(&pool, "/c", &content(7, 10)).await.unwrap().stale);
}

/// Unmounts the disk that the next shard goes to, just before it does: its mount point takes the shard.
fn unmount_under_the_next_shard(world: &World, script: &Script) -> MemoryStore {
    let (under, stores) = (MemoryStore::default(), world.stores.clone());
    for (n, store) in stores.into_iter().enumerate() {
        let (under, label) = (under.clone(), format!("m{n}:"));
        let is_shard =
            move |on: &str, verb: Verb, name: &str| on == label && verb == Verb::Put && name.starts_with("data/");
        script.before(is_shard, async move {
            // Only the first of them.
            if under.names().is_empty() {
                under.insert("was", n.to_string());
                store.swap(&under);
            }
        });
    }
    under
}

fn mount_again(world: &World, under: &MemoryStore) {
    let store = world.stores.iter().find(|store| store.object("was").is_some()).unwrap();
    store.swap(under);
}

#[tokio::test]
async fn what_went_to_an_empty_mount_point_is_stored_anew() {
    let world = World::new(4, Redundancy::NONE, CHUNK, 7);
    let id = world.init().await.unwrap();
    let (pool, script) = scripted(&world, id).await;
    let under = unmount_under_the_next_shard(&world, &script);
    let (_dir, file) = local_file(&content(7, 50_000));
    let report = put_file(&pool, &file, "/f").await;
    assert_eq!((report.files, report.unchanged, report.stale), (1, 0, false));
    mount_again(&world, &under);
    assert_eq!(get(&world.open(id).await.unwrap(), "/f").await.unwrap(), content(7, 50_000));
}

/// Its record may be in the journal all the same; nobody who has the same content comes to rely on it.
#[tokio::test]
async fn what_went_astray_is_not_used_again() {
    let mut world = World::new(4, Redundancy::NONE, CHUNK, 7);
    world.settings.deduplication = true;
    let id = world.init().await.unwrap();
    let (pool, script) = scripted(&world, id).await;
    let bytes = content(7, 70_000);
    let under = unmount_under_the_next_shard(&world, &script);
    put(&pool, "/f", &bytes).await.unwrap();
    mount_again(&world, &under);
    let other = world.open(id).await.unwrap();
    let versions = other.journal().index().versions(&path("/f")).unwrap();
    let chunks = versions.iter().flat_map(|version| version.content.extents()).map(|extent| extent.chunk);
    assert_eq!((versions.len(), other.journal().index().marks(chunks).unwrap().len()), (2, 1));
    assert_eq!(put(&other, "/g", &bytes).await.unwrap().deduplicated_bytes, 70_000);
    for at in ["/f", "/g"] {
        assert_eq!(get(&world.open(id).await.unwrap(), at).await.unwrap(), bytes);
    }
}

#[tokio::test]
async fn the_files_of_a_directory_too() {
    let world = World::new(4, Redundancy::NONE, CHUNK, 8);
    let id = world.init().await.unwrap();
    let (pool, script) = scripted(&world, id).await;
    let dir = tempfile::tempdir().unwrap();
    for n in 0..6u64 {
        std::fs::write(dir.path().join(n.to_string()), content(n, 20_000 * n as usize)).unwrap();
    }
    let under = unmount_under_the_next_shard(&world, &script);
    let options = UploadOptions::default();
    let report = pool.upload_all(&[(dir.path().to_owned(), path("/d"))], &options, &Monitor::default()).await.unwrap();
    assert_eq!((report.files, report.failed, report.stale), (6, 0, false));
    mount_again(&world, &under);
    let other = world.open(id).await.unwrap();
    for n in 0..6u64 {
        assert_eq!(get(&other, &format!("/d/{n}")).await.unwrap(), content(n, 20_000 * n as usize));
    }
}

/// A commit that mount points took is held by nobody.
#[tokio::test]
async fn a_commit_on_empty_mount_points_is_not_acknowledged() {
    let world = World::new(3, Redundancy::NONE, CHUNK, 9);
    let id = world.init().await.unwrap();
    let (pool, script) = scripted(&world, id).await;
    let under = [MemoryStore::default(), MemoryStore::default()];
    let disks: Vec<_> = world.stores.iter().cloned().zip(under.clone()).collect();
    let unmounted = disks.clone();
    script.before(is_commit, async move { unmounted.iter().for_each(|(disk, under)| disk.swap(under)) });
    let error = put(&pool, "/f", &content(1, 10)).await.unwrap_err();
    assert_eq!(error.kind(), rclonepool_core::ErrorKind::Unavailable, "{error}");
    disks.iter().for_each(|(disk, under)| disk.swap(under));
    assert!(!put(&pool, "/f", &content(2, 10)).await.unwrap().stale);
    assert_eq!(get(&world.open(id).await.unwrap(), "/f").await.unwrap(), content(2, 10));
}
