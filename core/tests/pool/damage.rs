//! Objects that are gone, cut short, emptied or flipped behind the pool's back: what the redundancy tolerates is served
//! and said, what it does not is an error that names all it takes, and nothing else is lost with it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rclonepool_core::id::{PoolId, Stamp, WriterId};
use rclonepool_core::index::Index;
use rclonepool_core::journal::commit::CommitName;
use rclonepool_core::pool::{DownloadOptions, DownloadReport};
use rclonepool_core::remote::memory::MemoryStore;
use rclonepool_core::testing::fault::Crash;
use rclonepool_core::testing::world::{START_MS, World};
use rclonepool_core::{ErrorKind, Monitor, Pool};
use sha2::{Digest, Sha256};

use crate::{content, get, path, put, range};

const CHUNK: u64 = 140_000;
const SIZE: usize = 350_000;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Harm {
    Gone,
    Cut,
    Emptied,
    Flipped,
}

const HARMS: [Harm; 4] = [Harm::Gone, Harm::Cut, Harm::Emptied, Harm::Flipped];

impl Harm {
    fn on(self, store: &MemoryStore, object: &str) {
        let size = store.object(object).unwrap_or_else(|| panic!("no {object}")).len();
        let done = match self {
            Self::Gone => store.remove(object),
            Self::Cut => store.truncate(object, size / 2),
            Self::Emptied => store.truncate(object, 0),
            Self::Flipped => store.flip(object, size / 2),
        };
        assert!(done, "{object} of {size} bytes");
    }
}

/// A pool with `/d/f` of three chunks, a file like it, and an inline one.
async fn stage(n: usize, mode: &str) -> (World, PoolId, Arc<Pool>) {
    let mut world = World::new(n, mode.parse().unwrap(), CHUNK, 1);
    // One chunk after another, so that data shards come before parity.
    world.settings.download_workers = 1;
    let id = world.init().await.unwrap();
    let pool = world.open(id).await.unwrap();
    put(&pool, "/d/inline", &content(1, 100)).await.unwrap();
    put(&pool, "/d/other", &content(2, SIZE)).await.unwrap();
    put(&pool, "/d/f", &content(3, SIZE)).await.unwrap();
    pool.journal().settle(std::time::Duration::MAX).await;
    (world, id, pool)
}

fn store_of<'a>(world: &'a World, label: &str) -> &'a MemoryStore {
    &world.stores[label.trim_matches(|c| c == 'm' || c == ':').parse::<usize>().unwrap()]
}

/// Harms the shards of `/d/f`'s first `chunks` chunks that `which` names by index and copy; gives back on which remotes
/// those of the first lie.
async fn harm_shards(
    world: &World,
    pool: &Pool,
    chunks: usize,
    harm: Harm,
    which: fn(u8, u8) -> bool,
) -> BTreeSet<String> {
    let stat = pool.stat(&path("/d/f")).await.unwrap();
    let mut harmed = BTreeSet::new();
    for (n, chunk) in stat.chunks.iter().take(chunks).enumerate() {
        for shard in chunk.shards.iter().filter(|shard| which(shard.index, shard.copy)) {
            harm.on(store_of(world, &shard.remote), &shard.object);
            if n == 0 {
                harmed.insert(shard.remote.clone());
            }
        }
    }
    assert!(!harmed.is_empty());
    harmed
}

async fn download(pool: &Arc<Pool>, from: &str, to: &Path) -> DownloadReport {
    pool.download(&path(from), to, &DownloadOptions::default(), &Monitor::default()).await.unwrap()
}

async fn others_read(pool: &Arc<Pool>, what: &str) {
    for (name, want) in [("/d/inline", content(1, 100)), ("/d/other", content(2, SIZE))] {
        let got = get(pool, name).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(got == want, "{what}: {name} has other bytes");
    }
}

type Which = fn(u8, u8) -> bool;

#[tokio::test]
async fn shards_within_tolerance() {
    // (remotes, mode, which shards, whether a read that prefers data shards notices)
    let cases: [(usize, &str, Which, bool); 9] = [
        (4, "replication:2", |_, copy| copy == 0, true),
        (4, "replication:2", |_, copy| copy == 1, false),
        (4, "parity:2+1", |index, _| index == 0, true),
        (4, "parity:2+1", |index, _| index == 1, true),
        (4, "parity:2+1", |index, _| index == 2, false),
        (6, "hybrid:2+1x2", |index, copy| (index, copy) == (0, 0), true),
        (6, "hybrid:2+1x2", |_, copy| copy == 0, true),
        (6, "hybrid:2+1x2", |index, _| index == 1, true),
        (6, "hybrid:2+1x2", |index, copy| index == 2 || copy == 0, true),
    ];
    let bytes = content(3, SIZE);
    for (n, mode, which, noticed) in cases {
        for harm in HARMS {
            let (world, id, pool) = stage(n, mode).await;
            let harmed = harm_shards(&world, &pool, 3, harm, which).await;
            let what = format!("{mode}, {harm:?} on {harmed:?}");
            // One that has seen all before, and one that has seen nothing.
            for pool in [pool, world.open(id).await.unwrap()] {
                assert!(get(&pool, "/d/f").await.unwrap_or_else(|e| panic!("{what}: {e}")) == bytes, "{what}");
                for (from, to) in [(0, 10), (139_990, 140_010), (100_000, 350_000)] {
                    let part = range(&pool, "/d/f", Some(from as u64..to as u64)).await.unwrap();
                    assert!(part == bytes[from..to], "{what}: {from}..{to}");
                }
                let dir = tempfile::tempdir().unwrap();
                let report = download(&pool, "/d", &dir.path().join("d")).await;
                assert_eq!((report.files, report.failed, report.degraded), (3, 0, u64::from(noticed)), "{what}");
                assert!(std::fs::read(dir.path().join("d/f")).unwrap() == bytes, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn shards_beyond_tolerance() {
    let cases: [(usize, &str, Which); 7] = [
        (4, "none", |_, _| true),
        (4, "replication:2", |_, _| true),
        (4, "parity:2+1", |index, _| index < 2),
        (4, "parity:2+1", |index, _| index > 0),
        (4, "parity:2+1", |_, _| true),
        (6, "hybrid:2+1x2", |index, _| index != 2),
        (6, "hybrid:2+1x2", |index, _| index != 1),
    ];
    let bytes = content(3, SIZE);
    for (n, mode, which) in cases {
        for harm in HARMS {
            let (world, id, pool) = stage(n, mode).await;
            let harmed = harm_shards(&world, &pool, 1, harm, which).await;
            let what = format!("{mode}, {harm:?} on {harmed:?}");
            for pool in [pool, world.open(id).await.unwrap()] {
                let error = get(&pool, "/d/f").await.unwrap_err();
                assert_eq!((error.kind(), error.path()), (ErrorKind::Unrecoverable, Some("/d/f")), "{what}: {error}");
                assert!(error.next_step().is_some(), "{what}: {error}");
                for remote in &harmed {
                    assert!(error.to_string().contains(remote), "{what}: {remote} is not named: {error}");
                }
                // The other chunks and the other files are as they were.
                let rest = range(&pool, "/d/f", Some(CHUNK..SIZE as u64)).await.unwrap();
                assert!(rest == bytes[CHUNK as usize..], "{what}");
                others_read(&pool, &what).await;
                let dir = tempfile::tempdir().unwrap();
                let report = download(&pool, "/d", &dir.path().join("d")).await;
                assert_eq!((report.files, report.failed), (2, 1), "{what}");
                let left = std::fs::read_dir(dir.path().join("d")).unwrap().count();
                assert_eq!(left, 2, "{what}: a half file is left");
            }
            let pool = world.open(id).await.unwrap();
            assert!(!put(&pool, "/d/f", &bytes).await.unwrap().stale, "{what}");
            assert!(get(&pool, "/d/f").await.unwrap() == bytes, "{what}: stored again");
        }
    }
}

/// The commit that brought `/d/f`, the newest.
fn newest_commit(world: &World) -> String {
    let names = world.stores[0].names().into_iter().filter(|name| name.contains("/commits/"));
    names.max().unwrap()
}

/// One copy of a commit is enough for all; what lacks it gets it again.
#[tokio::test]
async fn a_commit_within_tolerance() {
    for harm in HARMS {
        let (world, id, old) = stage(4, "parity:2+1").await;
        let commit = newest_commit(&world);
        let whole = world.stores[0].object(&commit).unwrap();
        world.stores[..3].iter().for_each(|store| harm.on(store, &commit));
        let pool = world.open(id).await.unwrap();
        assert!(get(&pool, "/d/f").await.unwrap() == content(3, SIZE), "{harm:?}");
        others_read(&pool, &format!("{harm:?}")).await;
        assert!(!put(&pool, "/new", &content(4, 10)).await.unwrap().stale, "{harm:?}");
        if harm != Harm::Flipped {
            // Only a listing tells; a copy that is flipped but not cut looks whole in it.
            pool.journal().settle(std::time::Duration::MAX).await;
            assert!(world.stores.iter().all(|store| store.object(&commit).as_ref() == Some(&whole)), "{harm:?}");
        }
        assert!(old.sync().await.unwrap().complete, "{harm:?}");
    }
}

/// Whoever has read it before says that it is missing, and does not take the rest for the whole.
#[tokio::test]
async fn a_commit_that_remotes_lost_is_missed() {
    for harm in [Harm::Gone, Harm::Cut, Harm::Emptied] {
        let (world, _, old) = stage(4, "parity:2+1").await;
        let commit = newest_commit(&world);
        world.stores[..3].iter().for_each(|store| harm.on(store, &commit));
        let view = old.sync().await.unwrap();
        assert!(!view.complete);
        for remote in ["m0:", "m1:", "m2:"] {
            let says = format!("remote {remote} lacks 1 commits it had");
            assert!(view.notes.contains(&says), "{harm:?}: {:?}", view.notes);
        }
    }
}

#[tokio::test]
async fn a_commit_beyond_tolerance() {
    for harm in HARMS {
        let (world, id, old) = stage(4, "parity:2+1").await;
        let commit = newest_commit(&world);
        world.stores.iter().for_each(|store| harm.on(store, &commit));
        let pool = world.open(id).await.unwrap();
        others_read(&pool, &format!("{harm:?}")).await;
        let error = get(&pool, "/d/f").await.unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::NotFound, Some("/d/f")), "{error}");
        if harm == Harm::Flipped {
            // It is known that something is missing, what and where.
            let view = pool.view().await;
            let name = commit.rsplit('/').next().unwrap();
            let says = |text: &str| view.lacks.iter().any(|why| why.contains(text));
            assert!(!view.complete && says(name) && says("remote m") && says("damaged"), "{:?}", view.lacks);
            assert!(put(&pool, "/new", &content(4, 10)).await.unwrap().stale);
        }
        // Who has read it before goes on.
        assert!(!old.sync().await.unwrap().complete || harm == Harm::Flipped);
        assert!(get(&old, "/d/f").await.unwrap() == content(3, SIZE), "{harm:?}");
        others_read(&old, &format!("{harm:?}")).await;
    }
}

fn marker(store: &MemoryStore) -> String {
    store.names().into_iter().find(|name| name.contains("/remote-")).unwrap()
}

#[tokio::test]
async fn markers_within_tolerance_and_beyond() {
    for harm in HARMS {
        let (world, id, old) = stage(4, "parity:2+1").await;
        let bytes = content(3, SIZE);
        let first = old.stat(&path("/d/f")).await.unwrap().chunks[0].shards[0].remote.clone();
        let before: Vec<Bytes> = world.stores.iter().map(|store| store.object(&marker(store)).unwrap()).collect();
        let names: Vec<String> = world.stores.iter().map(marker).collect();

        harm.on(store_of(&world, &first), &marker(store_of(&world, &first)));
        let pool = world.open(id).await.unwrap();
        assert!(get(&pool, "/d/f").await.unwrap() == bytes, "{harm:?}");
        others_read(&pool, &format!("{harm:?}")).await;
        let status = pool.status().await.unwrap();
        let remote = status.remotes.iter().find(|remote| remote.name == first).unwrap();
        let why = remote.error.clone().unwrap_or_default();
        assert!(!remote.online && why.contains("marker"), "{harm:?}: {why:?}");
        if harm != Harm::Gone {
            // What it says to do helps.
            let (json, _) = why.split_once("put ").and_then(|(_, rest)| rest.split_once(" into ")).unwrap();
            let store = store_of(&world, &first);
            store.insert(marker(store), json.to_owned());
            let mended = world.open(id).await.unwrap();
            assert_eq!(mended.view().await.online().len(), 4, "{:?}", mended.view().await.remotes);
            harm.on(store, &marker(store));
        }
        // It is away, not lost: nothing is copied to it, nothing taken from the others.
        assert!(!put(&pool, "/new", &content(4, SIZE)).await.unwrap().stale, "{harm:?}");

        for store in &world.stores {
            if store.object(&marker_or(store, &names)).is_some_and(|now| before.contains(&now)) {
                harm.on(store, &marker(store));
            }
        }
        let error = world.open(id).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        for remote in ["m0:", "m1:", "m2:", "m3:"] {
            assert!(error.to_string().contains(remote), "{harm:?}: {error}");
        }
        assert!(error.next_step().is_some());
        // Nor is a new pool made over it.
        assert!(world.init().await.is_err(), "{harm:?}");
        // Two of four: too few for any chunk on the others.
        for (store, (name, bytes)) in world.stores.iter().zip(names.iter().zip(&before)).take(2) {
            store.insert(name.clone(), bytes.clone());
        }
        let half = world.open(id).await.unwrap();
        assert_eq!(get(&half, "/d/inline").await.unwrap(), content(1, 100));
        if let Err(error) = get(&half, "/d/f").await {
            let text = error.to_string();
            assert_eq!((error.kind(), error.path()), (ErrorKind::Unavailable, Some("/d/f")), "{text}");
            assert!((text.contains("m2:") || text.contains("m3:")) && error.next_step().is_some(), "{text}");
        }
        for (store, (name, bytes)) in world.stores.iter().zip(names.iter().zip(&before)) {
            store.insert(name.clone(), bytes.clone());
        }
        let pool = world.open(id).await.unwrap();
        assert!(pool.view().await.complete, "{harm:?}: {:?}", pool.view().await.lacks);
        for (name, want) in [("/d/f", bytes), ("/new", content(4, SIZE))] {
            assert!(get(&pool, name).await.unwrap() == want, "{harm:?}: {name}");
        }
    }
}

/// The name of the marker there is, or was.
fn marker_or(store: &MemoryStore, names: &[String]) -> String {
    let there = store.names();
    names.iter().find(|name| there.contains(name)).cloned().unwrap_or_default()
}

/// An object that is named as a commit of these bytes.
fn forged(bytes: &[u8], compressed: bool) -> String {
    let digest = Sha256::digest(bytes).iter().take(8).fold(0, |n, byte| n << 8 | u64::from(*byte));
    let stamp = Stamp { ms: START_MS + 1, counter: 0, writer: WriterId(9) };
    let name = CommitName { stamp, size: bytes.len() as u64, digest, compressed };
    format!("manifests/commits/{name}")
}

fn zstd_of(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 3).unwrap()
}

/// Commits whose bytes are what their names say and that make no sense.
#[tokio::test]
async fn commits_that_make_no_sense() {
    let cut = zstd_of(&content(5, 5000));
    let senseless: [(&[u8], bool); 8] = [
        (b"", false),
        (b"not json", false),
        (b"{\"format\":1}", false),
        (b"{\"format\":1,\"pool\":3,\"records\":[[]]}", false),
        (b"[[[[[[[[[[", false),
        (b"not zstd", true),
        (&cut[..cut.len() / 2], true),
        (&zstd_of(b"{\"format\":-1,\"records\":null}"), true),
    ];
    for (bytes, compressed) in senseless {
        let (world, id, old) = stage(4, "parity:2+1").await;
        let name = forged(bytes, compressed);
        let what = format!("{:?}", String::from_utf8_lossy(bytes));
        // On one remote: never acknowledged, so it stops nobody.
        world.stores[2].insert(name.clone(), bytes.to_vec());
        for pool in [old, world.open(id).await.unwrap()] {
            let view = pool.sync().await.unwrap();
            assert!(view.complete && view.notes.iter().any(|note| note.contains("cannot be read")), "{what}");
            assert!(get(&pool, "/d/f").await.unwrap() == content(3, SIZE), "{what}");
            assert!(!put(&pool, "/new", &content(4, 10)).await.unwrap().stale, "{what}");
        }
        // On all of them it might have been: reads go on, and writes say that they may have missed something.
        world.stores.iter().for_each(|store| store.insert(name.clone(), bytes.to_vec()));
        let pool = world.open(id).await.unwrap();
        assert!(!pool.view().await.complete, "{what}");
        assert!(get(&pool, "/d/f").await.unwrap() == content(3, SIZE), "{what}");
        others_read(&pool, &what).await;
        assert!(put(&pool, "/new", &content(4, 11)).await.unwrap().stale, "{what}");
    }
}

/// What a later version wrote is not touched, and what is understood can be read.
#[tokio::test]
async fn a_later_format() {
    let later: &[u8] = b"{\"format\":2,\"pool\":\"?\",\"new\":true}";
    let feature: &[u8] = b"{\"format\":1,\"requires\":[\"packs\"],\"records\":[]}";
    for (bytes, needs) in [(later, "format 2"), (feature, "packs")] {
        let (world, id, old) = stage(4, "parity:2+1").await;
        world.stores[1].insert(forged(bytes, false), bytes.to_vec());
        for pool in [old, world.open(id).await.unwrap()] {
            let objects: Vec<_> = world.stores.iter().map(MemoryStore::names).collect();
            let error = put(&pool, "/new", &content(4, SIZE)).await.unwrap_err();
            let text = error.to_string();
            assert!(error.kind() == ErrorKind::FormatVersion && text.contains(needs), "{text}");
            assert!(text.contains("nothing was changed") && text.contains("install a later version"), "{text}");
            assert_eq!(world.stores.iter().map(MemoryStore::names).collect::<Vec<_>>(), objects, "{needs}");
            assert!(get(&pool, "/d/f").await.unwrap() == content(3, SIZE), "{needs}");
            others_read(&pool, needs).await;
        }
    }
    // In a marker, too.
    let (world, id, _) = stage(4, "parity:2+1").await;
    let name = marker(&world.stores[3]);
    let text = String::from_utf8(world.stores[3].object(&name).unwrap().to_vec()).unwrap();
    world.stores[3].insert(name, text.replace("\"format\":1", "\"format\":2"));
    let pool = world.open(id).await.unwrap();
    assert_eq!(put(&pool, "/new", &content(4, 10)).await.unwrap_err().kind(), ErrorKind::FormatVersion);
    assert!(get(&pool, "/d/f").await.unwrap() == content(3, SIZE));
}

/// Objects that are none of the pool's.
#[tokio::test]
async fn strange_objects_are_left_alone() {
    let (world, id, _) = stage(4, "parity:2+1").await;
    let strange = [
        "manifests/commits/junk",
        "manifests/commits/0-0-0000000000000000.json",
        "manifests/commits/sub/dir.json",
        "manifests/remote-.json",
        "manifests/remote-x-y.json",
        "manifests/notes.txt",
        "data/0/junk",
        "elsewhere/file",
    ];
    for store in &world.stores {
        strange.iter().for_each(|name| store.insert(*name, ""));
    }
    let index = Arc::new(Index::in_memory().unwrap());
    let pool = world.open_as(id, world.machine(), &Crash::never(), index).await.unwrap();
    let view = pool.view().await;
    assert!(view.complete && view.notes.is_empty(), "{:?} {:?}", view.lacks, view.notes);
    others_read(&pool, "strange objects").await;
    assert!(!put(&pool, "/new", &content(4, SIZE)).await.unwrap().stale);
    for store in &world.stores {
        assert!(strange.iter().all(|name| store.object(name).is_some()));
    }
}
