//! What operations cost in requests, which remotes count and limit: exact numbers, each with its reason.

use std::sync::Arc;
use std::time::Duration;

use rclonepool_core::id::PoolId;
use rclonepool_core::index::Index;
use rclonepool_core::pool::{DownloadOptions, Source, UploadOptions};
use rclonepool_core::remote::wrap::Verb;
use rclonepool_core::testing::fault::Crash;
use rclonepool_core::testing::record::{Call, RecordLog};
use rclonepool_core::testing::world::World;
use rclonepool_core::{Monitor, Pool};

use crate::{content, get, names, path, put, put_directory, range, recorded_remotes};

const CHUNK: u64 = 300_000;
/// Remotes of each pool here.
const N: usize = 4;

struct Stage {
    world: World,
    id: PoolId,
    pool: Arc<Pool>,
    index: Arc<Index>,
    log: Arc<RecordLog>,
}

impl Stage {
    async fn new() -> Self {
        Self::of("parity:2+1").await
    }

    async fn of(mode: &str) -> Self {
        let world = World::new(N, mode.parse().unwrap(), CHUNK, 1);
        let id = world.init().await.unwrap();
        let (index, log) = (Arc::new(Index::in_memory().unwrap()), Arc::default());
        let pool = open(&world, id, &index, &log).await;
        log.clear();
        Self { world, id, pool, index, log }
    }

    /// Forgets the calls so far, those still under way included.
    async fn forget(&self) {
        self.settle().await;
        self.log.clear();
    }

    /// Waits until every remote has its commits.
    async fn settle(&self) {
        self.pool.journal().settle(Duration::MAX).await;
    }

    /// Shards put, commits put, listings, gets, other calls.
    async fn costs(&self) -> [usize; 5] {
        self.settle().await;
        let shard = |call: &Call| call.verb == Verb::Put && call.name.starts_with("data/");
        let commit = |call: &Call| call.verb == Verb::Put && call.name.starts_with("manifests/commits/");
        let [shards, commits] = [self.log.count_if(shard), self.log.count_if(commit)];
        let [lists, gets] = [self.log.count(Verb::List), self.log.count(Verb::Get)];
        [shards, commits, lists, gets, self.log.calls().len() - shards - commits - lists - gets]
    }

    /// Stores the bytes as a local file and uploads it.
    async fn upload(&self, file: &std::path::Path, to: &str) {
        let (options, monitor) = (UploadOptions::default(), Monitor::default());
        let report = self.pool.upload(Source::File(file.to_owned()), &path(to), &options, &monitor).await.unwrap();
        assert!(!report.stale);
    }
}

async fn open(world: &World, id: PoolId, index: &Arc<Index>, log: &Arc<RecordLog>) -> Arc<Pool> {
    let remotes = recorded_remotes(world, &Crash::never(), log);
    world.open_over(id, world.machine(), remotes, index.clone()).await.unwrap()
}

/// The shard index of a get, which the object's name carries.
fn shard(call: &Call) -> usize {
    call.name.split('.').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_range_of_few_bytes_is_one_get() {
    for mode in ["none", "replication:2", "parity:2+1", "parity:3+1"] {
        let stage = Stage::of(mode).await;
        let bytes = content(1, 3 * CHUNK as usize);
        put(&stage.pool, "/f", &bytes).await.unwrap();
        stage.forget().await;
        let at = CHUNK + 1000;
        assert_eq!(range(&stage.pool, "/f", Some(at..at + 10)).await.unwrap(), bytes[at as usize..][..10]);
        assert_eq!(stage.costs().await, [0, 0, 0, 1, 0], "{mode}: one unit of one shard: {:?}", stage.log.calls());
        // A checksum covers a unit, so one of them is the least that can be verified.
        let chunk = &stage.pool.stat(&path("/f")).await.unwrap().chunks[1];
        let unit = u64::from(chunk.layout.unit).min(chunk.shards[0].size);
        assert_eq!(stage.log.bytes(Verb::Get), unit, "{mode}");
        stage.log.clear();
        assert_eq!(range(&stage.pool, "/f", Some(5..5)).await.unwrap(), "");
        assert_eq!(stage.costs().await, [0; 5], "{mode}: nothing of it");
        // Inline files lie in the index.
        put(&stage.pool, "/small", &content(2, 4096)).await.unwrap();
        stage.forget().await;
        assert_eq!(get(&stage.pool, "/small").await.unwrap(), content(2, 4096));
        assert_eq!(stage.costs().await, [0; 5], "{mode}: inline");
    }
}

/// With all remotes there a chunk takes one get from each of k shards, not more.
#[tokio::test]
async fn a_whole_file_is_its_data_shards() {
    for (mode, k) in [("none", 1), ("replication:2", 1), ("parity:2+1", 2), ("parity:3+1", 3), ("hybrid:2+1x2", 2)] {
        let stage = Stage::of(mode).await;
        let bytes = content(1, 3 * CHUNK as usize);
        put(&stage.pool, "/f", &bytes).await.unwrap();
        stage.forget().await;
        assert_eq!(get(&stage.pool, "/f").await.unwrap(), bytes);
        assert_eq!(stage.costs().await, [0, 0, 0, 3 * k, 0], "{mode}: k gets for each of three chunks");
        assert_eq!(stage.log.count_if(|call| shard(call) >= k), 0, "{mode}: parity is for rainy days");
        assert_eq!(stage.log.bytes(Verb::Get), bytes.len() as u64, "{mode}: each byte once");

        // Several chunks at a time draw on the least busy remotes, parity included; no more gets for that.
        stage.log.clear();
        let dir = tempfile::tempdir().unwrap();
        let (to, options) = (dir.path().join("f"), DownloadOptions::default());
        stage.pool.download(&path("/f"), &to, &options, &Monitor::default()).await.unwrap();
        assert_eq!(std::fs::read(to).unwrap(), bytes);
        assert_eq!(stage.costs().await, [0, 0, 0, 3 * k, 0], "{mode}");
    }
}

/// A lost shard costs one get more for its chunk (and those that failed), and listings once.
#[tokio::test]
async fn a_degraded_read_asks_once_for_what_is_gone() {
    let stage = Stage::new().await;
    let bytes = content(1, CHUNK as usize);
    put(&stage.pool, "/f", &bytes).await.unwrap();
    let lost = stage.pool.stat(&path("/f")).await.unwrap().chunks[0].shards[0].clone();
    let at: usize = lost.remote.trim_matches(|c| c == 'm' || c == ':').parse().unwrap();
    assert!(stage.world.stores[at].remove(&lost.object));
    stage.world.pass(Duration::from_secs(60));
    stage.forget().await;
    assert_eq!(get(&stage.pool, "/f").await.unwrap(), bytes);
    // Two data shards asked; one is absent, and may have moved: the journal is listed; then parity.
    assert_eq!(stage.costs().await, [0, 0, N, 3, 0], "{:?}", stage.log.calls());
}

#[tokio::test]
async fn opening_warm_lists_and_opening_cold_reads_each_commit_once() {
    let stage = Stage::new().await;
    for n in 0..20 {
        put(&stage.pool, &format!("/{n}"), &content(n, 10)).await.unwrap();
    }
    stage.forget().await;
    let commits = stage.world.stores[0].names().iter().filter(|name| name.contains("/commits/")).count();
    assert_eq!(commits, 21, "init and twenty uploads");

    let warm = open(&stage.world, stage.id, &stage.index, &stage.log).await;
    assert_eq!(names(&warm, "/").len(), 20);
    // What is where is asked of each remote, once.
    assert_eq!(stage.costs().await, [0, 0, N, 0, 0]);
    stage.log.clear();
    // Listing and looking need nothing more.
    warm.list(&path("/")).unwrap();
    warm.stat(&path("/3")).await.unwrap();
    assert_eq!(stage.costs().await, [0; 5]);

    let cold = open(&stage.world, stage.id, &Arc::new(Index::in_memory().unwrap()), &stage.log).await;
    assert_eq!(names(&cold, "/").len(), 20);
    // Beside the listings: each remote's marker, met for the first time, tells its format; each commit from one remote.
    assert_eq!(stage.costs().await, [0, 0, N, N + commits, 0]);
}

#[tokio::test]
async fn an_upload_is_its_shards_and_a_constant() {
    for (mode, objects) in [("none", 1), ("replication:2", 2), ("parity:2+1", 3), ("parity:3+1", 4)] {
        let stage = Stage::of(mode).await;
        let chunks = 8;
        let bytes = content(1, chunks * CHUNK as usize);
        put(&stage.pool, "/f", &bytes).await.unwrap();
        // A put for each shard. The commit goes to every remote. A view before, a look after. Once for each process,
        // remotes are asked how much room there is.
        let shards = chunks * objects;
        assert_eq!(stage.costs().await, [shards, N, 2 * N, 0, N], "{mode}");
        assert_eq!(stage.log.count(Verb::Usage), N);
        stage.log.clear();
        put(&stage.pool, "/g", &bytes).await.unwrap();
        assert_eq!(stage.costs().await, [shards, N, 2 * N, 0, 0], "{mode}: the second");
        let stored: u64 = stage.world.stores.iter().map(|store| store.used()).sum();
        let data = 2 * bytes.len() as u64 * objects as u64 / stage.world.settings.redundancy.data as u64;
        assert!(stored - data < 64 << 10, "{mode}: {} bytes beside the shards", stored - data);
    }
}

#[tokio::test]
async fn what_is_there_already_is_not_put_again() {
    let stage = Stage::new().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    std::fs::write(&file, content(1, 2 * CHUNK as usize)).unwrap();
    stage.upload(&file, "/f").await;
    stage.forget().await;
    stage.upload(&file, "/f").await;
    // The view says that it is there.
    assert_eq!(stage.costs().await, [0, 0, N, 0, 0]);
    stage.log.clear();
    // Touched: a commit with the new time, and a look after it.
    let time = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_500_000_000);
    std::fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    stage.upload(&file, "/f").await;
    assert_eq!(stage.costs().await, [0, N, 2 * N, 0, 0]);
}

/// Small files lie in their manifests, all of them in one commit.
#[tokio::test]
async fn a_thousand_small_files_are_one_commit() {
    const FILES: u64 = 1000;
    let stage = Stage::new().await;
    let dir = tempfile::tempdir().unwrap();
    for n in 0..FILES {
        std::fs::write(dir.path().join(n.to_string()), content(n, 100 + n as usize)).unwrap();
    }
    let report = put_directory(&stage.pool, dir.path(), "/d").await.unwrap();
    assert_eq!((report.files, report.failed, report.stale), (FILES, 0, false));
    // A view, one commit on each remote, a look; no shard, so nobody is asked for room.
    assert_eq!(stage.costs().await, [0, N, 2 * N, 0, 0]);

    stage.log.clear();
    let report = put_directory(&stage.pool, dir.path(), "/d").await.unwrap();
    assert_eq!((report.files, report.unchanged), (0, FILES));
    assert_eq!(stage.costs().await, [0, 0, N, 0, 0], "again: a view");

    stage.log.clear();
    assert_eq!(stage.pool.rename(&path("/d"), &path("/moved"), false).await.unwrap().entries, FILES);
    assert_eq!(stage.costs().await, [0, N, 2 * N, 0, 0], "moved: a view, a commit, a look");

    stage.log.clear();
    assert_eq!(stage.pool.delete(&path("/moved"), true).await.unwrap().entries, FILES);
    assert_eq!(stage.costs().await, [0, N, 2 * N, 0, 0], "deleted: a view, a commit, a look");

    stage.log.clear();
    stage.pool.mkdir(&path("/new")).await.unwrap();
    assert_eq!(stage.costs().await, [0, N, 2 * N, 0, 0], "a directory");
}

/// Files with chunks move without them.
#[tokio::test]
async fn a_move_touches_no_shard() {
    const FILES: u64 = 1000;
    let stage = Stage::of("none").await;
    let dir = tempfile::tempdir().unwrap();
    for n in 0..FILES {
        std::fs::write(dir.path().join(n.to_string()), content(n, 5000)).unwrap();
    }
    put_directory(&stage.pool, dir.path(), "/d").await.unwrap();
    // A put for each pack, one commit, a view and a look, and the question for room.
    let packs = (FILES as usize * 5000).div_ceil(CHUNK as usize);
    assert_eq!(stage.costs().await, [packs, N, 2 * N, 0, N]);
    stage.log.clear();
    assert_eq!(stage.pool.rename(&path("/d"), &path("/moved"), false).await.unwrap().entries, FILES);
    assert_eq!(stage.costs().await, [0, N, 2 * N, 0, 0]);
    assert_eq!(get(&stage.pool, "/moved/7").await.unwrap(), content(7, 5000));
}

/// Files that are larger than what manifests hold share chunks, both ways.
#[tokio::test]
async fn a_directory_of_small_files_is_its_packs() {
    const FILES: u64 = 198;
    const SIZE: usize = 16_384;
    let stage = Stage::of("parity:3+1").await;
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for n in 0..FILES {
        std::fs::write(from.path().join(n.to_string()), content(n, SIZE)).unwrap();
    }
    let report = put_directory(&stage.pool, from.path(), "/d").await.unwrap();
    assert_eq!((report.files, report.failed, report.stale), (FILES, 0, false));
    let packs = (FILES as usize).div_ceil(CHUNK as usize / SIZE);
    assert_eq!(stage.costs().await, [packs * 4, N, 2 * N, 0, N], "packs, one commit, a view, a look, room");
    let chunks: std::collections::BTreeSet<_> = stage.world.stores.iter().flat_map(|store| store.names()).collect();
    assert_eq!(chunks.iter().filter(|name| name.starts_with("data/")).count(), packs * 4);

    stage.forget().await;
    let monitor = Monitor::default();
    let read = stage.pool.download(&path("/d"), to.path(), &DownloadOptions::default(), &monitor).await.unwrap();
    assert_eq!((read.files, read.failed, read.degraded), (FILES, 0, 0));
    assert_eq!(stage.costs().await, [0, 0, 0, packs * 3, 0], "each shard once: {:?}", stage.log.calls());
    assert_eq!(stage.log.bytes(Verb::Get), FILES * SIZE as u64, "each byte once");
    for n in 0..FILES {
        assert_eq!(std::fs::read(to.path().join(n.to_string())).unwrap(), content(n, SIZE), "{n}");
    }

    // Again: nothing is put, nothing is read.
    stage.log.clear();
    assert_eq!(put_directory(&stage.pool, from.path(), "/d").await.unwrap().unchanged, FILES);
    assert_eq!(stage.costs().await, [0, 0, N, 0, 0]);
    stage.log.clear();
    let again = stage.pool.download(&path("/d"), to.path(), &DownloadOptions::default(), &monitor).await.unwrap();
    assert_eq!((again.unchanged, stage.costs().await), (FILES, [0; 5]));
}

/// One file of a pack costs the units it lies in, however large the pack is.
#[tokio::test]
async fn a_file_of_a_pack_is_read_alone() {
    let mut world = World::new(N, "parity:3+1".parse().unwrap(), 16 << 20, 1);
    world.settings.memory_bytes = 128 << 20;
    let id = world.init().await.unwrap();
    let (index, log) = (Arc::new(Index::in_memory().unwrap()), Arc::<RecordLog>::default());
    let pool = open(&world, id, &index, &log).await;
    let dir = tempfile::tempdir().unwrap();
    for n in 0..500u64 {
        std::fs::write(dir.path().join(format!("{n:03}")), content(n, 16_384)).unwrap();
    }
    put_directory(&pool, dir.path(), "/d").await.unwrap();
    log.clear();
    assert_eq!(get(&pool, "/d/321").await.unwrap(), content(321, 16_384));
    log.assert_count(Verb::Get, 1, "one unit of one shard");
    assert_eq!(log.bytes(Verb::Get), 128 << 10);
}

/// Uploads that come at once share a pack, a commit, a view and a look.
#[tokio::test]
async fn concurrent_uploads_share_all_requests() {
    let stage = Stage::new().await;
    let upload = |n: u64| {
        let (pool, size) = (stage.pool.clone(), if n.is_multiple_of(5) { 100 } else { 5000 });
        async move {
            let report = put(&pool, &format!("/c/{n}"), &content(n, size)).await.unwrap();
            assert_eq!((report.files, report.bytes, report.stale), (1, size as u64, false));
        }
    };
    futures_util::future::join_all((0..50).map(upload)).await;
    assert_eq!(stage.costs().await, [3, N, 2 * N, 0, N], "{:?}", stage.log.calls());
    for n in 0..50u64 {
        let size = if n.is_multiple_of(5) { 100 } else { 5000 };
        assert_eq!(get(&stage.pool, &format!("/c/{n}")).await.unwrap(), content(n, size));
    }
}
