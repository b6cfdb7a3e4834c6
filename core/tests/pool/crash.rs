//! A machine dies at each of its remote calls in turn: what was there before stays, the operation is wholly there or
//! wholly not, and another machine can do it again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rclonepool_core::error::{Error, ErrorKind};
use rclonepool_core::id::PoolId;
use rclonepool_core::index::Index;
use rclonepool_core::journal::Limits;
use rclonepool_core::journal::record::{Content, Entry, RemoteState};
use rclonepool_core::redundancy::Redundancy;
use rclonepool_core::remote::SharedRemote;
use rclonepool_core::remote::memory::MemoryStore;
use rclonepool_core::remote::wrap::Verb;
use rclonepool_core::testing::fault::{Crash, Fate, Faults};
use rclonepool_core::testing::record::RecordLog;
use rclonepool_core::testing::world::{SimEnv, World};
use rclonepool_core::{Pool, Result};

use crate::{content, get, members, path, put, put_directory, recorded_remotes};

/// Above 64 KiB, so that chunks are split and have parity.
const CHUNK: u64 = 66_000;

/// Everything in a pool: files by their bytes, `None` for directories.
type Tree = BTreeMap<String, Option<Bytes>>;

fn entries(pool: &Pool) -> Vec<Entry> {
    let mut entries = Vec::new();
    pool.walk(&path("/"), |entry| {
        entries.push(entry);
        Ok(())
    })
    .unwrap();
    entries
}

async fn tree(pool: &Arc<Pool>) -> Result<Tree> {
    let mut tree = Tree::new();
    for entry in entries(pool) {
        let name = entry.path.to_string();
        let bytes = if matches!(entry.content, Content::Directory {}) { None } else { Some(get(pool, &name).await?) };
        tree.insert(name, bytes);
    }
    Ok(tree)
}

/// Where every run begins.
struct Start {
    world: World,
    id: PoolId,
    stores: Vec<MemoryStore>,
    before: Tree,
}

impl Start {
    /// A pool of four remotes with some files; low `limits` make commits of several parts and compact early.
    async fn new(redundancy: &str, limits: Option<Limits>) -> Self {
        let sizes =
            [("/t/0", 3), ("/t/1", 5_001), ("/t/2", 4096), ("/t/3", 70_000), ("/t/u/v", 5_000), ("/keep", 6_000)];
        Self::with(redundancy, limits, &sizes).await
    }

    /// As [`Start::new`], with few files: what is asked of a joining remote grows with the commits there are.
    async fn small() -> Self {
        Self::with("parity:2+1", None, &[("/a", 66_000), ("/b", 10)]).await
    }

    async fn with(redundancy: &str, limits: Option<Limits>, files: &[(&str, usize)]) -> Self {
        let mut world = World::new(4, redundancy.parse().unwrap(), CHUNK, 1);
        world.limits = limits.unwrap_or_default();
        let id = world.init().await.unwrap();
        let pool = world.open(id).await.unwrap();
        for (name, size) in files {
            put(&pool, name, &content(*size as u64, *size)).await.unwrap();
        }
        pool.mkdir(&path("/t/empty")).await.unwrap();
        pool.journal().settle(Duration::MAX).await;
        let before = tree(&pool).await.unwrap();
        Self { stores: world.stores.iter().map(MemoryStore::snapshot).collect(), world, id, before }
    }

    /// Takes back all that was done since.
    fn restore(&mut self) {
        self.world.stores = self.stores.iter().map(MemoryStore::snapshot).collect();
    }

    /// The machine that is to die, the same each time.
    async fn machine(&self, log: &Arc<RecordLog>) -> (Arc<Pool>, Arc<Crash>) {
        let crash = Crash::never();
        let remotes = recorded_remotes(&self.world, &crash, log);
        let env = SimEnv::new(self.world.clock.clone(), 77);
        let pool = self.world.open_over(self.id, env, remotes, Index::in_memory().unwrap()).await.unwrap();
        (pool, crash)
    }

    async fn seen(&self) -> Tree {
        tree(&self.world.open(self.id).await.unwrap()).await.unwrap()
    }

    /// What a fresh machine sees without the remote `lost`.
    async fn seen_without(&self, lost: usize) -> Tree {
        self.world.faults[lost].set_lost(true);
        let seen = self.seen().await;
        self.world.faults[lost].set_lost(false);
        seen
    }
}

/// The calls of an undisturbed run at which to die, each with what may become of it.
fn deaths(log: &RecordLog) -> Vec<(u64, Fate)> {
    let fates = |verb: Verb| match verb {
        Verb::Put => vec![Fate::Nothing, Fate::Partial, Fate::Whole],
        Verb::Delete => vec![Fate::Nothing, Fate::Whole],
        // Nothing comes of a question.
        _ => vec![Fate::Nothing],
    };
    let calls = log.calls();
    assert!(calls.iter().any(|call| call.verb == Verb::Put), "an operation that does nothing");
    (1..).zip(calls).flat_map(|(n, call)| fates(call.verb).into_iter().map(move |fate| (n, fate))).collect()
}

fn changed(from: &Tree, to: &Tree) -> Vec<String> {
    let names = from.keys().chain(to.keys());
    let mut names: Vec<String> = names.filter(|name| from.get(*name) != to.get(*name)).cloned().collect();
    names.dedup();
    names
}

/// Runs `operation` (which says whether it was acknowledged with a stale view) once undisturbed, then once for each
/// way to die in it.
async fn dies_everywhere(mut start: Start, operation: impl AsyncFn(&Arc<Pool>) -> Result<bool>) {
    let log = Arc::new(RecordLog::default());
    let (pool, _) = start.machine(&log).await;
    log.clear();
    assert!(!operation(&pool).await.unwrap());
    pool.journal().settle(Duration::MAX).await;
    let deaths = deaths(&log);
    let after = start.seen().await;
    for (call, fate) in deaths {
        start.restore();
        let (pool, crash) = start.machine(&log).await;
        crash.arm_as(call, fate);
        let result = operation(&pool).await;
        pool.journal().settle(Duration::MAX).await;
        assert!(crash.happened());
        drop(pool);
        let at = format!("death in call {call}, {fate:?}, {result:?}");

        // Before anybody mends anything: as much as the layout tolerates is lost beside.
        let lost = usize::try_from(call).unwrap() % 4;
        let seen = start.seen_without(lost).await;
        let there = |seen: &Tree| {
            let (is_before, is_after) = (*seen == start.before, *seen == after);
            assert!(is_before || is_after, "{at}: half of it: {:?}", changed(&start.before, seen));
            is_after
        };
        assert!(there(&seen) || !matches!(result, Ok(false)), "{at}: acknowledged, then lost");

        let fresh = start.world.open(start.id).await.unwrap();
        let is_there = there(&tree(&fresh).await.unwrap());
        assert!(is_there || result.is_err(), "{at}: acknowledged, then gone");
        match operation(&fresh).await {
            Ok(stale) => assert!(!stale, "{at}: again, with all remotes there"),
            Err(error) => {
                let gone = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists);
                assert!(is_there && gone, "{at}: again: {error}");
            }
        }
        fresh.journal().settle(Duration::MAX).await;
        let lost = (lost + 1) % 4;
        assert_eq!(changed(&after, &start.seen_without(lost).await), Vec::<String>::new(), "{at}: done again");
    }
}

#[tokio::test]
async fn an_upload_of_several_chunks() {
    for redundancy in ["parity:2+1", "parity:3+1"] {
        let bytes = content(20, 140_000);
        let start = Start::new(redundancy, None).await;
        dies_everywhere(start, async |pool| put(pool, "/new", &bytes).await.map(|report| report.stale)).await;
    }
}

#[tokio::test]
async fn an_overwrite() {
    let bytes = content(21, 80_000);
    let start = Start::new("parity:2+1", None).await;
    dies_everywhere(start, async |pool| put(pool, "/t/3", &bytes).await.map(|report| report.stale)).await;
}

async fn upload_tree(pool: &Arc<Pool>, from: &std::path::Path) -> Result<bool> {
    let report = put_directory(pool, from, "/new").await?;
    if report.failed > 0 {
        return Err(Error::new(ErrorKind::Partial, format!("{} files failed", report.failed)));
    }
    Ok(report.stale)
}

/// Its commit has several parts: none counts before the last.
#[tokio::test]
async fn a_directorys_upload() {
    let dir = tempfile::tempdir().unwrap();
    for (n, size) in [10, 3000, 4096, 90_000, 0].into_iter().enumerate() {
        std::fs::write(dir.path().join(n.to_string()), content(n as u64 + 30, size)).unwrap();
    }
    std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
    std::fs::write(dir.path().join("a/c"), content(36, 100)).unwrap();
    let limits = Limits { part_bytes: 6_000, ..Limits::default() };
    let start = Start::new("parity:2+1", Some(limits)).await;
    dies_everywhere(start, async |pool| upload_tree(pool, dir.path()).await).await;
}

#[tokio::test]
async fn the_deletion_of_a_directory() {
    let limits = Limits { part_bytes: 300, ..Limits::default() };
    for limits in [None, Some(limits)] {
        let start = Start::new("parity:2+1", limits).await;
        dies_everywhere(start, async |pool| pool.delete(&path("/t"), true).await.map(|changed| changed.stale)).await;
    }
}

#[tokio::test]
async fn the_move_of_a_directory() {
    let limits = Limits { part_bytes: 3_000, ..Limits::default() };
    for limits in [None, Some(limits)] {
        let start = Start::new("parity:2+1", limits).await;
        let moved = async |pool: &Arc<Pool>| pool.rename(&path("/t"), &path("/moved"), false).await;
        dies_everywhere(start, async |pool| moved(pool).await.map(|changed| changed.stale)).await;
    }
}

/// Nothing is to be seen of it, at any moment, with any one remote lost.
#[tokio::test]
async fn compaction() {
    let limits = Limits { compact_from: 4, ..Limits::default() };
    let start = Start::new("parity:2+1", Some(limits)).await;
    let commits = |store: &MemoryStore| store.names().iter().filter(|name| name.contains("/commits/")).count();
    let before = commits(&start.stores[0]);
    assert!(before >= 8, "only {before} commits to merge");
    dies_everywhere(start, async |pool| {
        pool.journal().compact().await?;
        Ok(false)
    })
    .await;
}

/// Making a pool: whoever does it again makes the same one, whole.
#[tokio::test]
async fn init() {
    let log = Arc::new(RecordLog::default());
    let fresh = || World::new(4, "parity:2+1".parse::<Redundancy>().unwrap(), CHUNK, 2);
    let world = fresh();
    world.init_over(&recorded_remotes(&world, &Crash::never(), &log)).await.unwrap();
    for (call, fate) in deaths(&log) {
        let (world, crash) = (fresh(), Crash::never());
        crash.arm_as(call, fate);
        let result = world.init_over(&world.remotes(&crash)).await;
        assert!(crash.happened());
        let at = format!("death in call {call}, {fate:?}, {result:?}");
        let again = world.init().await.unwrap_or_else(|error| panic!("{at}: again: {error}"));
        assert!(result.is_err() || result.is_ok_and(|id| id == again), "{at}: another pool");
        let pool = world.open(again).await.unwrap();
        let view = pool.view().await;
        assert!(view.complete && view.online().len() == 4, "{at}: {:?}", view.remotes);
        assert_eq!(members(&pool), [RemoteState::Active; 4], "{at}");
        drop(pool);
        // What is told to be made outlives a remote.
        world.faults[(call % 4) as usize].set_lost(true);
        let pool = world.open(again).await.unwrap();
        assert!(!put(&pool, "/f", &content(1, 100_000)).await.unwrap().stale, "{at}");
        assert_eq!(get(&pool, "/f").await.unwrap(), content(1, 100_000), "{at}");
    }
}

/// More remotes beside those of the pool.
fn more(start: &mut Start, count: usize) {
    for _ in 0..count {
        start.world.stores.push(MemoryStore::default());
        start.world.faults.push(Faults::none());
        start.stores.push(MemoryStore::default());
    }
}

/// A machine whose configuration has these remotes only.
async fn narrow(start: &Start, env: Arc<SimEnv>, remotes: &[SharedRemote]) -> Arc<Pool> {
    start.world.open_over(start.id, env, remotes.to_vec(), Index::in_memory().unwrap()).await.unwrap()
}

async fn dies_joining(count: usize, alone: bool) {
    let mut start = Start::small().await;
    more(&mut start, count);
    let all_active = vec![RemoteState::Active; 4 + count];
    let log = Arc::new(RecordLog::default());
    let settings = start.world.settings.clone();
    let join = async |start: &Start, crash: &Arc<Crash>, death: Option<(u64, Fate)>| {
        let remotes = recorded_remotes(&start.world, crash, &log);
        let pool = narrow(start, SimEnv::new(start.world.clock.clone(), 78), &remotes[..4]).await;
        log.clear();
        if let Some((call, fate)) = death {
            crash.arm_as(call, fate);
        }
        let joined = pool.add_connected(&settings, &remotes[4..], alone).await;
        pool.journal().settle(Duration::MAX).await;
        joined
    };
    join(&start, &Crash::never(), None).await.unwrap();
    for (call, fate) in deaths(&log) {
        start.restore();
        let crash = Crash::never();
        let result = join(&start, &crash, Some((call, fate))).await;
        assert!(crash.happened());
        let at = format!("death in call {call}, {fate:?}, {result:?}");
        // Both the configuration before and the one after serve all files.
        let remotes = start.world.remotes(&Crash::never());
        let pool = narrow(&start, start.world.machine(), &remotes[..4]).await;
        assert_eq!(changed(&start.before, &tree(&pool).await.unwrap()), Vec::<String>::new(), "{at}");
        assert_eq!(changed(&start.before, &start.seen().await), Vec::<String>::new(), "{at}");

        let states = members(&pool);
        match pool.add_connected(&settings, &remotes[4..], alone).await {
            Ok(change) => {
                let state = if alone { RemoteState::Active } else { RemoteState::Joining };
                assert_eq!((change.state, change.remotes.len()), (state, count), "{at}");
            }
            Err(error) => {
                assert_eq!(states, all_active, "{at}: again: {error}");
                assert!(error.kind() == ErrorKind::AlreadyExists && error.to_string().contains("it is a member"));
            }
        }
        if !alone {
            start.world.pass(Duration::from_secs(25 * 3600));
            let change = pool.add_connected(&settings, &remotes[4..], false).await.unwrap();
            assert_eq!((change.state, change.grace_left_ms), (RemoteState::Active, 0), "{at}");
        }
        pool.journal().settle(Duration::MAX).await;
        let pool = start.world.open(start.id).await.unwrap();
        let view = pool.view().await;
        assert_eq!(members(&pool), all_active, "{at}");
        assert!(view.complete && view.online().len() == 4 + count, "{at}: {:?}", view.remotes);
        // Each holds all there is.
        for remote in &remotes[4..] {
            let one = narrow(&start, start.world.machine(), std::slice::from_ref(remote)).await;
            assert_eq!(entries(&one), entries(&pool), "{at}");
        }
    }
}

#[tokio::test]
async fn a_remote_joins() {
    dies_joining(1, false).await;
}

#[tokio::test]
async fn two_remotes_join_with_nobody_else_about() {
    dies_joining(2, true).await;
}

async fn dies_leaving(alone: bool) {
    let mut start = Start::small().await;
    more(&mut start, 1);
    let remotes = start.world.remotes(&Crash::never());
    let pool = narrow(&start, start.world.machine(), &remotes[..4]).await;
    pool.add_connected(&start.world.settings, &remotes[4..], true).await.unwrap();
    pool.journal().settle(Duration::MAX).await;
    start.stores = start.world.stores.iter().map(MemoryStore::snapshot).collect();
    let marker = |store: &MemoryStore| store.names().into_iter().find(|name| name.contains("/remote-"));
    let old = marker(&start.stores[4]).unwrap();

    let log = Arc::new(RecordLog::default());
    let (pool, _) = start.machine(&log).await;
    log.clear();
    pool.remove_remote("m4:", alone).await.unwrap();
    pool.journal().settle(Duration::MAX).await;
    for (call, fate) in deaths(&log) {
        start.restore();
        let (pool, crash) = start.machine(&log).await;
        crash.arm_as(call, fate);
        let result = pool.remove_remote("m4:", alone).await;
        pool.journal().settle(Duration::MAX).await;
        assert!(crash.happened());
        let at = format!("death in call {call}, {fate:?}, {result:?}");
        let pool = start.world.open(start.id).await.unwrap();
        assert_eq!(changed(&start.before, &tree(&pool).await.unwrap()), Vec::<String>::new(), "{at}");

        let again = async || match pool.remove_remote("m4:", alone).await {
            // It was gone to the last before.
            Err(error) if error.kind() == ErrorKind::NotFound => RemoteState::Removed,
            change => change.unwrap_or_else(|error| panic!("{at}: again: {error}")).state,
        };
        let mut state = again().await;
        if !alone {
            assert_eq!(state, RemoteState::Leaving, "{at}");
            start.world.pass(Duration::from_secs(25 * 3600));
            state = again().await;
        }
        assert_eq!(state, RemoteState::Removed, "{at}");
        pool.journal().settle(Duration::MAX).await;
        assert_eq!(marker(&start.world.stores[4]), None, "{at}: the marker goes last");
        let remotes = start.world.remotes(&Crash::never());
        let pool = narrow(&start, start.world.machine(), &remotes[..4]).await;
        assert!(pool.view().await.complete, "{at}: {:?}", pool.view().await.lacks);
        assert_eq!(changed(&start.before, &tree(&pool).await.unwrap()), Vec::<String>::new(), "{at}");
        assert_eq!(members(&pool).iter().filter(|state| **state == RemoteState::Active).count(), 4, "{at}");

        // A removed id counts no more, though its marker comes back; the place may join again under another.
        start.world.stores[4].insert(old.clone(), start.stores[4].object(&old).unwrap());
        let wide = start.world.open(start.id).await.unwrap();
        assert_eq!(wide.view().await.online().len(), 4, "{at}");
        pool.add_connected(&start.world.settings, &remotes[4..], true).await.unwrap();
        assert_ne!(marker(&start.world.stores[4]).unwrap(), old, "{at}");
        assert_eq!(start.world.open(start.id).await.unwrap().view().await.online().len(), 5, "{at}");
    }
}

#[tokio::test]
async fn a_remote_leaves() {
    dies_leaving(false).await;
}

#[tokio::test]
async fn a_remote_leaves_with_nobody_else_about() {
    dies_leaving(true).await;
}
