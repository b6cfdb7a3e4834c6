//! The rules of freeing, each switched off: then an acknowledged file is lost, and otherwise it is not.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::stream::{BoxStream, StreamExt};
use rclonepool_core::id::{Nonce, PoolId, Stamp};
use rclonepool_core::index::{Index, Mark};
use rclonepool_core::journal::Rules;
use rclonepool_core::journal::record::{Record, ShardRecord};
use rclonepool_core::pool::{Source, UploadOptions};
use rclonepool_core::remote::wrap::Verb;
use rclonepool_core::remote::{Body, ByteStream, ObjectMeta, Remote, SharedRemote, Usage};
use rclonepool_core::testing::fault::Crash;
use rclonepool_core::testing::script::{Script, ScriptRemote};
use rclonepool_core::testing::world::World;
use rclonepool_core::{Error, ErrorKind, Monitor, Pool, Result};

use crate::{DAY, chunks, content, gc, get, path, put, scripted, try_put};

fn is_commit(_: &str, verb: Verb, name: &str) -> bool {
    verb == Verb::Put && name.contains("/commits/")
}

/// A pool of four remotes under rules of which some are off.
async fn world(seed: u64, off: impl Fn(&mut Rules)) -> (World, PoolId) {
    let mut world = World::new(4, "parity:2+1".parse().unwrap(), 100_000, seed);
    off(&mut world.rules);
    let id = world.init().await.unwrap();
    (world, id)
}

/// What a new machine reads.
async fn read(world: &World, id: PoolId, at: &str) -> Result<bytes::Bytes> {
    get(&world.open(id).await?, at).await
}

/// Lets a change fail half way: its data is stored, and its commit reaches the first remote only.
async fn half_done(world: &World, id: PoolId, change: impl AsyncFnOnce(&Arc<Pool>)) {
    let (pool, script) = scripted(world, id).await;
    let others = world.faults[1..].to_vec();
    script.before(is_commit, async move { others.iter().for_each(|faults| faults.set_full(true)) });
    change(&pool).await;
    assert_eq!(script.left(), 0);
    world.faults.iter().for_each(|faults| faults.set_full(false));
}

/// Before the first commit of a machine is put anywhere, `scene` happens; gives back whether it has.
fn before_its_commit(script: &Script, scene: impl Future<Output = ()> + Send + 'static) -> Arc<AtomicBool> {
    let happened = Arc::new(AtomicBool::new(false));
    let scene: Option<futures_util::future::BoxFuture<'static, ()>> = Some(Box::pin(scene));
    let scene = Arc::new(tokio::sync::Mutex::new(scene));
    for label in ["m0:", "m1:", "m2:", "m3:"] {
        let (scene, happened) = (scene.clone(), happened.clone());
        let when = move |to: &str, verb, name: &str| to == label && is_commit(to, verb, name);
        script.before(when, async move {
            // The puts run side by side: all wait for it.
            if let Some(scene) = scene.lock().await.take() {
                scene.await;
                happened.store(true, Ordering::SeqCst);
            }
        });
    }
    happened
}

/// A remote whose listings lag behind: some objects are not shown yet.
#[derive(Debug)]
struct Lagging {
    remote: SharedRemote,
    hidden: Arc<Mutex<BTreeSet<String>>>,
}

#[async_trait]
impl Remote for Lagging {
    fn label(&self) -> &str {
        self.remote.label()
    }
    async fn put(&self, name: &str, body: &Body) -> Result<()> {
        self.remote.put(name, body).await
    }
    async fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<ByteStream> {
        self.remote.get(name, range).await
    }
    async fn stat(&self, name: &str) -> Result<Option<u64>> {
        self.remote.stat(name).await
    }
    async fn delete(&self, name: &str) -> Result<()> {
        self.remote.delete(name).await
    }
    async fn list(&self, dir: &str) -> Result<BoxStream<'static, Result<ObjectMeta>>> {
        let hidden = self.hidden.lock().unwrap().clone();
        let shown = move |object: &Result<ObjectMeta>| !object.as_ref().is_ok_and(|o| hidden.contains(&o.name));
        Ok(self.remote.list(dir).await?.filter(move |object| std::future::ready(shown(object))).boxed())
    }
    async fn usage(&self) -> Result<Usage> {
        self.remote.usage().await
    }
    fn staging(&self) -> Option<&Path> {
        self.remote.staging()
    }

    async fn open(&self, _: &str, _: Range<u64>) -> Result<Option<std::fs::File>> {
        Ok(None)
    }
}

/// An upload dies, and is resumed and acknowledged just when a collector is about to commit what it found:
/// that nobody refers to what the upload had stored. The collector's listings do not show the upload's commit
/// for some minutes. Gives back whether the file is there in the end.
async fn resumed_beside_a_collector(off: impl Fn(&mut Rules)) -> bool {
    let (world, id) = world(20, off).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    std::fs::write(&file, content(3, 900_000)).unwrap();
    let index = Arc::new(Index::in_memory().unwrap());
    let crash = Crash::never();
    let dying = world.open_as(id, world.machine(), &crash, index.clone()).await.unwrap();
    crash.arm(26);
    upload(&dying, &file).await.unwrap_err();
    drop(dying);

    let script = Arc::new(Script::default());
    let hidden = Arc::new(Mutex::new(BTreeSet::new()));
    let lag = |remote| -> SharedRemote { Arc::new(Lagging { remote, hidden: hidden.clone() }) };
    let remotes = world.remotes(&Crash::never()).into_iter().map(lag).collect();
    let remotes = ScriptRemote::wrap(remotes, &script);
    let collector = world.open_over(id, world.machine(), remotes, Index::in_memory().unwrap()).await.unwrap();
    assert_eq!(gc(&collector).await.unwrap().marked, 0);
    world.pass(DAY);

    let resuming = world.open_as(id, world.machine(), &Crash::never(), index).await.unwrap();
    let (stores, hide) = (world.stores.clone(), hidden.clone());
    let happened = before_its_commit(&script, async move {
        let before: BTreeSet<String> = stores.iter().flat_map(|store| store.names()).collect();
        let report = upload(&resuming, &file).await.unwrap();
        assert!(report.resumed_bytes > 0 && !report.stale, "{report:?}");
        let new = stores.iter().flat_map(|store| store.names()).filter(|name| !before.contains(name));
        hide.lock().unwrap().extend(new.filter(|name| name.contains("/commits/")));
    });
    gc(&collector).await.unwrap();
    assert!(happened.load(Ordering::SeqCst));
    hidden.lock().unwrap().clear();
    for _ in 0..2 {
        world.pass(DAY);
        gc(&collector).await.unwrap();
    }
    read(&world, id, "/f").await.is_ok_and(|bytes| bytes == content(3, 900_000))
}

async fn upload(pool: &Arc<Pool>, file: &std::path::Path) -> Result<rclonepool_core::pool::UploadReport> {
    let options = UploadOptions::default();
    pool.upload(Source::File(file.to_owned()), &path("/f"), &options, &Monitor::default()).await
}

#[tokio::test(start_paused = true)]
async fn marked_before_dropped() {
    assert!(resumed_beside_a_collector(|_| ()).await);
    assert!(!resumed_beside_a_collector(|rules| rules.condemn_first = false).await);
}

#[tokio::test(start_paused = true)]
async fn a_grace_above_the_lag_of_listings() {
    assert!(!resumed_beside_a_collector(|rules| rules.grace_before_drop = false).await);
}

#[tokio::test(start_paused = true)]
async fn a_look_after_the_grace() {
    assert!(!resumed_beside_a_collector(|rules| rules.look_before_drop = false).await);
}

/// Half of an overwrite lies on a remote that goes away; its data is collected; the remote comes back.
async fn half_an_overwrite_returns(off: impl Fn(&mut Rules)) -> bool {
    let (world, id) = world(21, off).await;
    let pool = world.open(id).await.unwrap();
    put(&pool, "/f", &content(1, 150_000)).await;
    half_done(&world, id, async |pool| drop(try_put(pool, "/f", &content(2, 150_000)).await.unwrap_err())).await;
    world.faults[0].set_offline(true);
    let collector = world.open(id).await.unwrap();
    let mut freed = 0;
    for _ in 0..3 {
        freed += gc(&collector).await.unwrap().objects;
        world.pass(DAY);
    }
    assert!(freed > 0);
    world.faults[0].set_offline(false);
    read(&world, id, "/f").await.is_ok_and(|bytes| bytes == content(1, 150_000))
}

#[tokio::test(start_paused = true)]
async fn dropped_before_deleted() {
    assert!(half_an_overwrite_returns(|_| ()).await);
    assert!(!half_an_overwrite_returns(|rules| rules.drop_before_delete = false).await);
}

/// As before, but the remote comes back when the data is marked, and not dropped yet. One collector sees it;
/// another, asleep in the middle of its run, does not.
async fn half_an_overwrite_returns_early(off: impl Fn(&mut Rules)) -> bool {
    let (world, id) = world(22, off).await;
    let pool = world.open(id).await.unwrap();
    put(&pool, "/f", &content(1, 150_000)).await;
    half_done(&world, id, async |pool| drop(try_put(pool, "/f", &content(2, 150_000)).await.unwrap_err())).await;
    world.faults[0].set_offline(true);
    let (sleeper, script) = scripted(&world, id).await;
    let awake = world.open(id).await.unwrap();
    gc(&sleeper).await.unwrap();
    world.pass(DAY);
    assert!(gc(&sleeper).await.unwrap().marked > 0);
    world.pass(DAY);
    let (away, clock) = (world.faults[0].clone(), world.clock.clone());
    let happened = before_its_commit(&script, async move {
        away.set_offline(false);
        for _ in 0..3 {
            clock.pass(DAY);
            awake.sync().await.unwrap();
            gc(&awake).await.unwrap();
        }
    });
    let _ = gc(&sleeper).await;
    assert!(happened.load(Ordering::SeqCst));
    read(&world, id, "/f").await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn a_condemned_version_shadows_nothing() {
    assert!(half_an_overwrite_returns_early(|_| ()).await);
    assert!(!half_an_overwrite_returns_early(|rules| rules.shadow = false).await);
}

/// What one remote alone says of an overwrite is not a reason to free the old version; that remote is lost.
async fn half_an_overwrite_is_lost(off: impl Fn(&mut Rules)) -> bool {
    let off = |rules: &mut Rules| {
        rules.anti_entropy = false;
        off(rules);
    };
    let (world, id) = world(23, off).await;
    let pool = world.open(id).await.unwrap();
    put(&pool, "/f", &content(1, 150_000)).await;
    half_done(&world, id, async |pool| drop(try_put(pool, "/f", &content(2, 150_000)).await.unwrap_err())).await;
    for _ in 0..3 {
        pool.sync().await.unwrap();
        gc(&pool).await.unwrap();
        world.pass(DAY);
    }
    world.faults[0].set_lost(true);
    read(&world, id, "/f").await.is_ok_and(|bytes| bytes == content(1, 150_000) || bytes == content(2, 150_000))
}

#[tokio::test(start_paused = true)]
async fn complete_before_consume() {
    assert!(half_an_overwrite_is_lost(|_| ()).await);
    assert!(!half_an_overwrite_is_lost(|rules| rules.complete_before_consume = false).await);
}

/// A shard is put anew, and its record comes only after a collector dropped the object.
async fn a_late_move(off: impl Fn(&mut Rules)) -> (bool, bool) {
    let (world, id) = world(24, off).await;
    let pool = world.open(id).await.unwrap();
    put(&pool, "/f", &content(1, 150_000)).await;
    let mover = world.open(id).await.unwrap();
    let chunk = chunks(&pool, "/f").await[0];
    let record = pool.journal().index().chunk(chunk).unwrap().unwrap().record;
    let old = record.shards[0];
    let new = rclonepool_core::journal::record::Place { nonce: Nonce(7), ..old };
    let name = format!("data/{}/{chunk}.{}.{}", chunk.directory(), new.index, new.nonce);
    let at = pool.view().await.remotes.iter().position(|status| status.id() == Some(new.remote)).unwrap();
    world.stores[at].insert(name, content(9, 50_000));
    for _ in 0..2 {
        gc(&pool).await.unwrap();
        world.pass(DAY);
    }
    let view = mover.sync().await.unwrap();
    let record = Record::Shard(ShardRecord { chunk, stamp: Stamp::ZERO, place: new });
    let receipt = mover.journal().commit(&view, vec![record]).await.unwrap();
    let places = mover.journal().index().chunk(chunk).unwrap().unwrap().record.shards;
    assert!(places.contains(&old) && !places.contains(&new), "a place that is dropped is void");
    (receipt.marked.get(&chunk) == Some(&Mark::Astray), read(&world, id, "/f").await.is_ok())
}

#[tokio::test(start_paused = true)]
async fn a_move_to_a_dropped_object_is_void_and_its_maker_hears_of_it() {
    assert_eq!(a_late_move(|_| ()).await, (true, true));
    assert_eq!(a_late_move(|rules| rules.look_after_commit = false).await, (false, true));
}

/// Two processes of one machine whose configuration says that nobody else writes; one of them uploads a stream.
async fn a_sole_writer_beside_an_upload(off: impl Fn(&mut Rules)) -> Result<()> {
    let (mut world, id) = world(25, off).await;
    world.settings.sole_writer = true;
    let dir = tempfile::tempdir().unwrap();
    let script = Arc::new(Script::default());
    let remotes = ScriptRemote::wrap(world.remotes(&Crash::never()), &script);
    let env = world.machine();
    let uploads = world.open_over(id, env.clone(), remotes, Index::open(dir.path(), id)?).await?;
    let frees = world.open_as(id, env, &Crash::never(), Index::open(dir.path(), id)?).await?;
    let freed = frees.clone();
    let happened = before_its_commit(&script, async move {
        freed.sync().await.unwrap();
        gc(&freed).await.unwrap();
    });
    let stream = Source::Stream(Box::new(std::io::Cursor::new(content(1, 250_000))));
    let done = uploads.upload(stream, &path("/f"), &UploadOptions::default(), &Monitor::default()).await;
    assert!(happened.load(Ordering::SeqCst));
    done?;
    assert_eq!(read(&world, id, "/f").await?, content(1, 250_000));
    // Nothing is under way: space is free at once.
    uploads.delete(&path("/f"), false).await?;
    frees.sync().await?;
    let report = gc(&frees).await?;
    if report.at_once && report.objects > 0 {
        Ok(())
    } else {
        Err(Error::new(ErrorKind::Internal, "nothing was freed"))
    }
}

#[tokio::test(start_paused = true)]
async fn alone_where_there_is_no_grace() {
    a_sole_writer_beside_an_upload(|_| ()).await.unwrap();
    let error = a_sole_writer_beside_an_upload(|rules| rules.alone_for_no_grace = false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
}

/// With a remote away even a sole writer waits.
#[tokio::test(start_paused = true)]
async fn a_sole_writer_sees_every_remote() {
    let (mut world, id) = world(26, |_| ()).await;
    world.settings.sole_writer = true;
    let dir = tempfile::tempdir().unwrap();
    let index = Index::open(dir.path(), id).unwrap();
    let pool = world.open_as(id, world.machine(), &Crash::never(), index).await.unwrap();
    put(&pool, "/f", &content(1, 150_000)).await;
    pool.delete(&path("/f"), false).await.unwrap();
    world.faults[1].set_offline(true);
    pool.sync().await.unwrap();
    let report = gc(&pool).await.unwrap();
    assert!(!report.at_once && report.marked > 0 && report.objects == 0, "{report:?}");
    world.faults[1].set_offline(false);
    world.pass(std::time::Duration::from_secs(3600));
    let report = gc(&pool).await.unwrap();
    assert!(report.at_once && report.objects > 0, "{report:?}");
}
