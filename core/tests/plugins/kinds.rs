//! Balancers, chunkers and storage backends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rclonepool_core::config::Chunker;
use rclonepool_core::plugin::{FAILURES_MAX, Implementation, PluginId, PluginKind, Registry};
use rclonepool_core::pool::PlacementSettings;
use rclonepool_core::remote::SharedRemote;
use rclonepool_core::testing::conformance;
use rclonepool_core::testing::world::World;
use rclonepool_core::{ErrorKind, Pool};
use serde_json::{Value, json};

use crate::{content, example, get, made, open, path, plugin, plugin_with, put, source};

/// Where the shards of a file lie, in order.
async fn remotes_of(pool: &Arc<Pool>, of: &str) -> Vec<String> {
    let stat = pool.stat(&path(of)).await.unwrap();
    stat.chunks.iter().flat_map(|chunk| chunk.shards.iter().map(|shard| shard.remote.clone())).collect()
}

#[test]
fn what_is_built_in_stands_in_the_same_registry() {
    let registry = Registry::default();
    let names = |kind| registry.of_kind(kind).map(|(id, _)| id.name.clone()).collect::<Vec<_>>();
    let balancers = ["least_used", "random", "round_robin", "round_robin_least_used", "weighted"];
    assert_eq!(names(PluginKind::Balancer), balancers);
    assert_eq!(names(PluginKind::Chunker), ["fastcdc", "fixed"]);
    assert_eq!(
        (names(PluginKind::Compression), names(PluginKind::StorageBackend)),
        (vec!["zstd".into()], vec!["directory".into()])
    );
    for (id, entry) in registry.iter() {
        assert!(registry.is_built_in(id) && entry.built_in_version().is_some());
        if let Implementation::Balancer(balancer) = &entry.implementation {
            assert_eq!(balancer.strategy().unwrap().as_str(), id.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_balancer_chooses_and_hard_rules_hold() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(4, "replication:2".parse().unwrap(), 1_000_000, 1);
    let id = world.init().await.unwrap();
    // Always the last one, by name.
    let body = "def select_remote(self, remotes, chunk_size):\n    assert chunk_size > 0\n    \
                assert all(set(r) == {'name', 'id', 'used', 'free', 'total', 'weight', 'priority'} for r in remotes)\n    \
                return remotes[-1]['name']";
    let pool = open(&world, id, &[&made(dir.path(), "balancer:last", body)]).await;
    for n in 0..3 {
        put(&pool, &format!("/{n}"), &content(n, 200_000)).await.unwrap();
        // Once for each copy, without those that have one.
        assert_eq!(remotes_of(&pool, &format!("/{n}")).await, ["m3:", "m2:"]);
    }
    // Where two remotes would die together, the second copy goes elsewhere whatever was said.
    let mut world = World::new(4, "replication:2".parse().unwrap(), 1_000_000, 1);
    let domain = |name: &str| PlacementSettings { domain: Some(name.into()), ..PlacementSettings::default() };
    world.settings.placement = BTreeMap::from([("m3:".into(), domain("one")), ("m2:".into(), domain("one"))]);
    let id = world.init().await.unwrap();
    let pool = open(&world, id, &[&made(dir.path(), "balancer:last", body)]).await;
    put(&pool, "/f", &content(1, 200_000)).await.unwrap();
    let chosen = remotes_of(&pool, "/f").await;
    assert!(chosen[0] == "m3:" && chosen[1] != "m2:", "{chosen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balancer_that_fails_is_replaced_by_the_strategy() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(3, "replication:2".parse().unwrap(), 1_000_000, 1);
    let id = world.init().await.unwrap();
    for (name, body) in [
        ("raises", "def select_remote(self, remotes, chunk_size):\n    raise RuntimeError('no')"),
        ("nonsense", "def select_remote(self, remotes, chunk_size):\n    return 'nobody:'"),
        ("number", "def select_remote(self, remotes, chunk_size):\n    return 7"),
        ("dies", "def select_remote(self, remotes, chunk_size):\n    os._exit(1)"),
        ("hangs", "def select_remote(self, remotes, chunk_size):\n    time.sleep(100)"),
    ] {
        let text = format!(
            "{body}\ndef initialize(self, config):\n    open({:?}, 'a').write('x')",
            dir.path().join(name).display().to_string()
        );
        let file = source(dir.path(), &format!("balancer:{name}"), "1", &text);
        let balancer = plugin_with(&format!("balancer:{name}"), file, Value::Null, Duration::from_millis(1500));
        let pool = open(&world, id, &[&balancer]).await;
        for n in 0..5 {
            let bytes = content(n, 100_000);
            put(&pool, &format!("/{name}{n}"), &bytes).await.unwrap();
            assert!(get(&pool, &format!("/{name}{n}")).await.unwrap() == bytes);
        }
        assert!(balancer.is_aside() && pool.plugins().balancer().is_none(), "{name}");
        let starts = std::fs::read(dir.path().join(name)).unwrap().len();
        assert!(starts <= FAILURES_MAX as usize, "{name}: {starts}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_balancer_takes_its_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(4, "none".parse().unwrap(), 1_000_000, 1);
    let id = world.init().await.unwrap();
    let file = example(dir.path(), "custom_balancer.py");
    let balancer = plugin("balancer:custom_balancer", file, json!({"favourite": "m2:"}));
    let pool = open(&world, id, &[&balancer]).await;
    put(&pool, "/f", &content(1, 3_000_000)).await.unwrap();
    assert_eq!(remotes_of(&pool, "/f").await, ["m2:"; 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chunker_cuts_files_and_streams_alike() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(3, "none".parse().unwrap(), 500_000, 1);
    let id = world.init().await.unwrap();
    let lines = plugin("chunker:lines", example(dir.path(), "line_chunker.py"), json!({"least": 100_000}));
    let pool = open(&world, id, &[&lines]).await;
    let text: bytes::Bytes = (0..90_000u32).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
    let local = dir.path().join("text");
    std::fs::write(&local, &text).unwrap();
    let from_file = rclonepool_core::pool::Source::File(local);
    pool.upload(from_file, &path("/file"), &Default::default(), &Default::default()).await.unwrap();
    let streamed = rclonepool_core::pool::Source::Stream(Box::new(std::io::Cursor::new(text.clone())));
    pool.upload(streamed, &path("/stream"), &Default::default(), &Default::default()).await.unwrap();
    let extents = |of: &str| {
        pool.entry(&path(of)).unwrap().unwrap().content.extents().iter().map(|e| e.length).collect::<Vec<_>>()
    };
    let lengths = extents("/file");
    assert_eq!(lengths, extents("/stream"));
    assert!(lengths.len() > 5);
    let mut at = 0;
    for length in &lengths {
        at += *length as usize;
        assert_eq!(text[at - 1], b'\n');
        assert!(*length <= 100_020);
    }
    assert!(get(&pool, "/file").await.unwrap() == text && get(&pool, "/stream").await.unwrap() == text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunker_cannot_go_beyond_its_limits() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(3, "none".parse().unwrap(), 500_000, 1);
    let id = world.init().await.unwrap();
    let bytes = content(1, 1_300_000);
    let never =
        made(dir.path(), "chunker:never", "def find_boundary(self, data, position, chunk_size):\n    return None");
    let pool = open(&world, id, &[&never]).await;
    put(&pool, "/f", &bytes).await.unwrap();
    let lengths: Vec<u64> =
        pool.entry(&path("/f")).unwrap().unwrap().content.extents().iter().map(|e| e.length).collect();
    assert_eq!(lengths, [500_000, 500_000, 300_000]);
    for (name, answer, said) in [
        ("zero", "0", "nonsense"),
        ("beyond", "len(data) + 1", "nonsense"),
        ("text", "'x'", "nonsense"),
        ("raise", "1 // 0", "ZeroDivisionError"),
    ] {
        let body = format!("def find_boundary(self, data, position, chunk_size):\n    return {answer}");
        let id_of = format!("chunker:{name}");
        let pool = open(&world, id, &[&made(dir.path(), &id_of, &body)]).await;
        let error = put(&pool, "/g", &bytes).await.unwrap_err();
        assert!(error.to_string().contains(said) && error.to_string().contains(&id_of), "{error}");
    }
    assert!(pool.plugins().chunker(Chunker::Fixed).is_ok());
}

async fn kept(dir: &std::path::Path, root: &str) -> SharedRemote {
    let store = plugin("storage_backend:files", example(dir, "file_store.py"), Value::Null);
    let root = dir.join(root);
    std::fs::create_dir_all(&root).unwrap();
    let Implementation::StorageBackend(backend) = Implementation::of(&store) else { panic!("a backend") };
    let root = root.display().to_string();
    backend.connect(&format!("storage_backend:files:{root}"), &root).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storage_backend_passes_the_conformance_suite() {
    let dir = tempfile::tempdir().unwrap();
    conformance::run_all(&*kept(dir.path(), "root").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_lives_on_storage_backends() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(3, "replication:2".parse().unwrap(), 1_000_000, 1);
    let mut remotes = Vec::new();
    for name in ["a", "b", "c"] {
        remotes.push(kept(dir.path(), name).await);
    }
    let id = world.init_over(&remotes).await.unwrap();
    let index = || rclonepool_core::index::Index::in_memory().unwrap();
    let bytes = content(1, 2_500_000);
    let pool = world.open_over(id, world.machine(), remotes.clone(), index()).await.unwrap();
    put(&pool, "/f", &bytes).await.unwrap();
    // One of them is lost.
    std::fs::remove_dir_all(dir.path().join("b")).unwrap();
    let pool = world.open_over(id, world.machine(), remotes, index()).await.unwrap();
    assert!(get(&pool, "/f").await.unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storage_backend_that_breaks_is_a_remote_that_is_offline() {
    let dir = tempfile::tempdir().unwrap();
    let body = "def stat(self, root, name):\n    raise OSError('disk')\ndef list(self, root, directory):\n    os._exit(1)\n\
                def get(self, root, name, offset, length):\n    return b''\ndef put(self, root, name, data):\n    raise PermissionError('no')";
    let store = made(dir.path(), "storage_backend:bad", body);
    let Implementation::StorageBackend(backend) = Implementation::of(&store) else { panic!("a backend") };
    let remote = backend.connect("storage_backend:bad:x", "x").await.unwrap();
    for error in [
        remote.stat("a").await.unwrap_err(),
        remote.list("").await.map(drop).unwrap_err(),
        remote.put("a", &bytes::Bytes::from_static(b"x").into()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        let text = error.to_string();
        assert!(text.contains("plugin storage_backend:bad") && text.contains("remote storage_backend:bad:x"), "{text}");
    }
    assert!("storage_backend:bad".parse::<PluginId>().is_ok());
}
