//! Event handlers: every hook, its payload, its order; and refusals.

use std::path::Path;
use std::sync::Arc;

use rclonepool_core::plugin::Plugin;
use rclonepool_core::pool::care::{RebuildOptions, VerifyOptions};
use rclonepool_core::pool::{DownloadOptions, Source};
use rclonepool_core::testing::world::World;
use rclonepool_core::{ErrorKind, Monitor};
use serde_json::{Value, json};

use crate::{content, example, get, made, open, path, plugin, put};

fn log(dir: &Path, protected: &[&str]) -> Arc<Plugin> {
    let config = json!({"file": dir.join("log").display().to_string(), "protected": protected});
    plugin("event_handler:event_log", example(dir, "event_log.py"), config)
}

fn told(dir: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn hooks(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["hook"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hooks_come_in_order_with_their_payload() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(3, "replication:2".parse().unwrap(), 1_000_000, 1);
    world.settings.auto_heal = false;
    let id = world.init().await.unwrap();
    let pool = open(&world, id, &[&log(dir.path(), &[])]).await;
    let bytes = content(1, 1_500_000);
    put(&pool, "/f", &bytes).await.unwrap();
    pool.plugins().settle().await;
    let target = dir.path().join("out");
    pool.download(&path("/f"), &target, &DownloadOptions::default(), &Monitor::default()).await.unwrap();
    pool.plugins().settle().await;
    pool.verify(&VerifyOptions::default(), &Monitor::default()).await.unwrap();
    // One shard is gone: the verification tells, the rebuild mends.
    let shard = world.stores.iter().find_map(|s| Some((s, s.names().into_iter().find(|n| n.starts_with("data/"))?)));
    let (store, name) = shard.unwrap();
    store.remove(&name);
    pool.verify(&VerifyOptions::default(), &Monitor::default()).await.unwrap();
    let plan = pool.plan_rebuild(&RebuildOptions::default(), &Monitor::default()).await.unwrap();
    pool.rebuild(&plan, &Monitor::default()).await.unwrap();
    pool.plugins().settle().await;
    pool.delete(&path("/f"), false).await.unwrap();
    world.faults[1].set_offline(true);
    pool.sync().await.unwrap();
    pool.sync().await.unwrap();
    pool.close().await;
    let events = told(dir.path());
    assert_eq!(
        hooks(&events),
        [
            "PRE_UPLOAD",
            "POST_UPLOAD",
            "PRE_DOWNLOAD",
            "POST_DOWNLOAD",
            "FILE_VERIFIED",
            "CHUNK_MISSING",
            "FILE_VERIFIED",
            "FILE_REPAIRED",
            "PRE_DELETE",
            "POST_DELETE",
            "REMOTE_ERROR",
        ]
    );
    for event in &events[..4] {
        assert_eq!((&event["path"], &event["size"]), (&json!("/f"), &json!(1_500_000)), "{event}");
    }
    assert_eq!((&events[4]["state"], &events[4]["path"]), (&json!("healthy"), &json!("/f")));
    assert!(events[5]["object"].as_str().unwrap() == name && events[5]["chunk"].as_str().unwrap().len() == 32);
    assert_ne!(events[6]["state"], "healthy");
    assert_eq!((&events[7]["path"], &events[7]["shards"]), (&json!("/f"), &json!(1)));
    assert_eq!((&events[8]["recursive"], &events[9]["entries"]), (&json!(false), &json!(1)));
    assert!(events[10]["remote"] == "m1:" && events[10]["error"].is_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_the_error_and_nothing_happens() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(3, "replication:2".parse().unwrap(), 1_000_000, 1);
    let id = world.init().await.unwrap();
    let (bytes, small) = (content(1, 500_000), content(2, 100));
    let unguarded = world.open(id).await.unwrap();
    for name in ["/keep/a", "/keep/b"] {
        put(&unguarded, name, &small).await.unwrap();
    }
    let pool = open(&world, id, &[&log(dir.path(), &["/keep"])]).await;
    let stream = Source::Stream(Box::new(std::io::Cursor::new(bytes.clone())));
    let out = dir.path().join("out");
    for error in [
        put(&pool, "/keep/large", &bytes).await.unwrap_err(),
        put(&pool, "/keep/small", &small).await.unwrap_err(),
        pool.upload(stream, &path("/keep/s"), &Default::default(), &Monitor::default()).await.map(drop).unwrap_err(),
        pool.download(&path("/keep/a"), &out, &DownloadOptions::default(), &Monitor::default())
            .await
            .map(drop)
            .unwrap_err(),
        get(&pool, "/keep/a").await.map(drop).unwrap_err(),
        pool.delete(&path("/keep/a"), false).await.map(drop).unwrap_err(),
        pool.delete(&path("/keep"), true).await.map(drop).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert_eq!(error.message(), "/keep is protected");
        assert!(error.to_string().contains("event_handler:event_log") && error.path().is_some(), "{error}");
    }
    assert!(!out.exists());
    assert_eq!(pool.list(&path("/keep")).unwrap().len(), 2);
    // Of a directory, only what is refused stays behind.
    std::fs::create_dir_all(dir.path().join("tree/keep")).unwrap();
    std::fs::write(dir.path().join("tree/keep/x"), &small).unwrap();
    std::fs::write(dir.path().join("tree/y"), &small).unwrap();
    let report = pool
        .upload_all(&[(dir.path().join("tree"), path("/"))], &Default::default(), &Monitor::default())
        .await
        .unwrap();
    assert_eq!((report.files, report.failed), (1, 1));
    pool.close().await;
    assert_eq!(hooks(&told(dir.path())), ["PRE_UPLOAD", "POST_UPLOAD"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_breaks_holds_up_only_what_it_may_refuse() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(3, "replication:2".parse().unwrap(), 1_000_000, 1);
    let id = world.init().await.unwrap();
    let bytes = content(1, 10_000);
    let after = made(
        dir.path(),
        "event_handler:after",
        "def get_hooks(self):\n    return [PluginHook.POST_UPLOAD]\ndef handle_event(self, hook, data):\n    os._exit(1)",
    );
    let pool = open(&world, id, &[&after]).await;
    for n in 0..5 {
        put(&pool, &format!("/{n}"), &bytes).await.unwrap();
    }
    pool.close().await;
    let before = made(
        dir.path(),
        "event_handler:before",
        "def get_hooks(self):\n    return ['PRE_UPLOAD']\ndef handle_event(self, hook, data):\n    os._exit(1)",
    );
    let pool = open(&world, id, &[&before]).await;
    let error = put(&pool, "/f", &bytes).await.unwrap_err();
    assert!(error.to_string().contains("event_handler:before") && error.to_string().contains("died"), "{error}");
    assert!(get(&pool, "/0").await.unwrap() == bytes);
}
