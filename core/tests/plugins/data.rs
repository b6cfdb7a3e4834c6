//! Plugins that change data: what goes in comes out, the record says what it takes, and a lost plugin takes only that.

use std::sync::Arc;

use bytes::Bytes;
use rclonepool_core::journal::record::{ChunkRecord, Content};
use rclonepool_core::pool::DownloadOptions;
use rclonepool_core::stage::compress::Compression;
use rclonepool_core::testing::world::World;
use rclonepool_core::{ErrorKind, Monitor, Pool};
use serde_json::{Value, json};

use crate::{content, example, get, made, open, path, plugin, put, range, source};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn keyed(dir: &std::path::Path) -> Arc<rclonepool_core::plugin::Plugin> {
    plugin("encryption:keyed", example(dir, "keyed_encryption.py"), json!({ "key": KEY }))
}

async fn records(pool: &Arc<Pool>, of: &str) -> Vec<ChunkRecord> {
    let stat = pool.stat(&path(of)).await.unwrap();
    let record =
        |chunk: &rclonepool_core::pool::ChunkStat| pool.journal().index().chunk(chunk.chunk).unwrap().unwrap().record;
    stat.chunks.iter().map(record).collect()
}

fn applied(record: &ChunkRecord) -> Vec<String> {
    record.transforms.iter().map(|one| format!("{} {}", one.plugin, one.version)).collect()
}

fn text(size: usize) -> Bytes {
    (0..).flat_map(|n: u32| format!("{n} of a long list\n").into_bytes()).take(size).collect()
}

fn stores_hold(world: &World, needle: &[u8]) -> bool {
    world.stores.iter().any(|store| {
        let names = store.names();
        names
            .iter()
            .any(|name| store.object(name).is_some_and(|bytes| bytes.windows(needle.len()).any(|w| w == needle)))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encrypted_files_read_back_whole_in_ranges_and_as_packs() {
    let dir = tempfile::tempdir().unwrap();
    for compression in [None, Some(3)] {
        let mut world = World::new(4, "parity:2+1".parse().unwrap(), 3_000_000, 1);
        world.settings.compression = compression;
        let id = world.init().await.unwrap();
        let keyed = keyed(dir.path());
        let pool = open(&world, id, &[&keyed]).await;
        let files = [
            ("/large", text(7_000_000)),
            ("/noise", content(2, 3_500_000)),
            ("/small", text(9_000)),
            ("/tiny", text(100)),
            ("/empty", Bytes::new()),
        ];
        for (name, bytes) in &files {
            put(&pool, name, bytes).await.unwrap();
        }
        let fresh = open(&world, id, &[&self::keyed(dir.path())]).await;
        for (name, bytes) in &files {
            assert!(get(&fresh, name).await.unwrap() == *bytes, "{name}");
            let end = bytes.len() as u64;
            for (from, to) in [(0, end.min(10)), (end / 2, end.min(end / 2 + 1_500_000))] {
                assert!(
                    range(&fresh, name, Some(from..to)).await.unwrap() == bytes[from as usize..to as usize],
                    "{name}"
                );
            }
            for record in records(&fresh, name).await {
                assert_eq!(applied(&record), ["encryption:keyed 1.0"]);
                let is_zstd = matches!(record.compression, Some(Compression::Zstd { .. }));
                assert_eq!(is_zstd, compression.is_some() && *name != "/noise", "{name}");
            }
        }
        // Not even the smallest is to be seen anywhere.
        assert!(!stores_hold(&world, b"of a long list"));
        let target = dir.path().join("out");
        fresh.download(&path("/large"), &target, &DownloadOptions::default(), &Monitor::default()).await.unwrap();
        assert!(std::fs::read(&target).unwrap() == files[0].1);
        std::fs::remove_file(target).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_three_are_applied_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(3, "replication:2".parse().unwrap(), 1_000_000, 1);
    let id = world.init().await.unwrap();
    let lzma = plugin("compression:lzma", example(dir.path(), "lzma_compression.py"), Value::Null);
    let delta = plugin("transformer:delta", example(dir.path(), "delta_transformer.py"), Value::Null);
    let pool = open(&world, id, &[&keyed(dir.path()), &lzma, &delta]).await;
    let (bytes, noise) = (text(1_500_000), content(1, 300_000));
    put(&pool, "/text", &bytes).await.unwrap();
    put(&pool, "/noise", &noise).await.unwrap();
    assert!(get(&pool, "/text").await.unwrap() == bytes && get(&pool, "/noise").await.unwrap() == noise);
    let all = ["transformer:delta 1.0", "compression:lzma 1.0", "encryption:keyed 1.0"];
    for record in records(&pool, "/text").await {
        assert_eq!(applied(&record), all);
        assert!(record.stored < record.size / 3 && matches!(record.compression, Some(Compression::Pieces { .. })));
    }
    // What does not get smaller is not compressed.
    assert_eq!(applied(&records(&pool, "/noise").await[0]), [all[0], all[2]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_plugin_takes_exactly_what_needs_it() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(3, "replication:2".parse().unwrap(), 1_000_000, 1);
    let id = world.init().await.unwrap();
    let (plain, secret) = (text(600_000), text(700_000));
    put(&world.open(id).await.unwrap(), "/plain", &plain).await.unwrap();
    put(&open(&world, id, &[&keyed(dir.path())]).await, "/secret", &secret).await.unwrap();
    let without = world.open(id).await.unwrap();
    assert!(get(&without, "/plain").await.unwrap() == plain);
    let error = get(&without, "/secret").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("encryption:keyed 1.0") && error.to_string().contains("/secret"), "{error}");
    // What needs no plain bytes goes on: all of it is verified, and stays.
    let report = without.verify(&Default::default(), &Monitor::default()).await.unwrap();
    assert_eq!((report.files.total(), report.shards), (2, Default::default()));
    put(&without, "/later", &plain).await.unwrap();
    assert!(get(&without, "/later").await.unwrap() == plain);
    let with = open(&world, id, &[&keyed(dir.path())]).await;
    assert!(get(&with, "/secret").await.unwrap() == secret);
    // Another key is no other content.
    let key = "ff".repeat(32);
    let other = plugin("encryption:keyed", example(dir.path(), "keyed_encryption.py"), json!({ "key": key }));
    let error = get(&open(&world, id, &[&other]).await, "/secret").await.unwrap_err();
    assert!(error.to_string().contains("another key, or damaged"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_version_reads_only_what_it_says_it_reads() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(3, "replication:2".parse().unwrap(), 1_000_000, 1);
    let id = world.init().await.unwrap();
    let body = "def transform(self, data):\n    return data[::-1]\ndef restore(self, data):\n    return data[::-1]";
    let bytes = content(3, 200_000);
    put(&open(&world, id, &[&made(dir.path(), "transformer:x", body)]).await, "/f", &bytes).await.unwrap();
    let later = plugin("transformer:x", source(dir.path(), "transformer:x", "2.0", body), Value::Null);
    let error = get(&open(&world, id, &[&later]).await, "/f").await.unwrap_err();
    assert!(error.to_string().contains("transformer:x 1.0, and version 2.0 does not say that it reads it"), "{error}");
    let text = std::fs::read_to_string(source(dir.path(), "transformer:x", "2.0", body)).unwrap();
    let reads = crate::write(dir.path(), "reads.py", &text.replace("version=\"2.0\"", "version='2.0', reads=('1.0',)"));
    let reads = plugin("transformer:x", reads, Value::Null);
    assert!(get(&open(&world, id, &[&reads]).await, "/f").await.unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_come_back_is_not_stored() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(3, "replication:2".parse().unwrap(), 1_000_000, 1);
    let id = world.init().await.unwrap();
    for (name, body, said) in [
        (
            "lossy",
            "def transform(self, data):\n    return data\ndef restore(self, data):\n    return data[:-1] + b'?'",
            "does not bring back",
        ),
        (
            "void",
            "def transform(self, data):\n    return b''\ndef restore(self, data):\n    return b''",
            "made 0 bytes",
        ),
        (
            "huge",
            "def transform(self, data):\n    return data * 9\ndef restore(self, data):\n    return data[:len(data) // 9]",
            "made",
        ),
        ("dead", "def transform(self, data):\n    os._exit(1)", "died"),
    ] {
        let id_of = format!("transformer:{name}");
        let pool = open(&world, id, &[&made(dir.path(), &id_of, body)]).await;
        let error = put(&pool, "/f", &content(1, 1_000_000)).await.unwrap_err();
        assert!(error.to_string().contains(said) && error.to_string().contains(&id_of), "{error}");
        assert!(pool.entry(&path("/f")).unwrap().is_none());
    }
    let empty = open(&world, id, &[&made(dir.path(), "transformer:void", "pass")]).await;
    put(&empty, "/empty", &Bytes::new()).await.unwrap();
    assert!(matches!(empty.entry(&path("/empty")).unwrap().unwrap().content, Content::Inline { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_is_rebuilt_without_the_plugin() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(4, "parity:2+1".parse().unwrap(), 1_000_000, 1);
    let id = world.init().await.unwrap();
    let bytes = text(2_500_000);
    put(&open(&world, id, &[&keyed(dir.path())]).await, "/f", &bytes).await.unwrap();
    let shards: Vec<String> = world.stores[0].names().into_iter().filter(|name| name.starts_with("data/")).collect();
    assert!(shards.iter().all(|name| world.stores[0].remove(name)));
    let with = open(&world, id, &[&keyed(dir.path())]).await;
    assert!(get(&with, "/f").await.unwrap() == bytes, "from the other shards");
    let without = world.open(id).await.unwrap();
    without.verify(&Default::default(), &Monitor::default()).await.unwrap();
    let options = rclonepool_core::pool::care::RebuildOptions { all: true, ..Default::default() };
    if let Ok(plan) = without.plan_rebuild(&options, &Monitor::default()).await {
        without.rebuild(&plan, &Monitor::default()).await.unwrap();
    }
    assert!(get(&with, "/f").await.unwrap() == bytes);
}
