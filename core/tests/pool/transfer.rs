//! Copies by reference, moves that replace, and what is noted beside the content.

use std::sync::Arc;
use std::time::Duration;

use rclonepool_core::config::FileHash;
use rclonepool_core::id::PoolId;
use rclonepool_core::journal::record::{FileHashes, Property};
use rclonepool_core::pool::{DeleteOptions, Replace, Source, TransferOptions, UploadOptions};
use rclonepool_core::testing::world::World;
use rclonepool_core::{ErrorKind, Monitor, Pool};

use crate::{content, get, names, path, put};

const CHUNK: u64 = 100_000;

async fn made() -> (World, PoolId, Arc<Pool>) {
    let world = World::new(3, "parity:2+1".parse().unwrap(), CHUNK, 1);
    let id = world.init().await.unwrap();
    let pool = world.open(id).await.unwrap();
    (world, id, pool)
}

fn shards(world: &World) -> usize {
    let data = |name: &String| name.starts_with("data/");
    world.stores.iter().map(|store| store.names().iter().filter(|name| data(name)).count()).sum()
}

#[tokio::test]
async fn a_copy_outlives_its_source() {
    let (mut world, id, pool) = made().await;
    world.settings.sole_writer = true;
    let bytes = content(1, 250_000);
    for name in ["/d/large", "/d/sub/small", "/d/sub/tiny"] {
        let end = if name.ends_with("large") {
            250_000
        } else if name.ends_with("tiny") {
            10
        } else {
            9000
        };
        put(&pool, name, &bytes.slice(..end)).await.unwrap();
    }
    let before = shards(&world);
    let copied = pool.copy(&path("/d"), &path("/e"), false).await.unwrap();
    assert_eq!((copied.entries, shards(&world)), (3, before), "no data moved");
    pool.delete_with(&path("/d"), &DeleteOptions { recursive: true, purge: true, ..DeleteOptions::default() })
        .await
        .unwrap();
    let other = world.open(id).await.unwrap();
    // What the copies need is no garbage.
    for _ in 0..3 {
        other.gc(&Default::default(), &Monitor::default()).await.unwrap();
        world.pass(Duration::from_secs(48 * 3600));
    }
    assert_eq!(shards(&world), before);
    assert_eq!(get(&other, "/e/large").await.unwrap(), bytes);
    assert_eq!(get(&other, "/e/sub/small").await.unwrap(), bytes.slice(..9000));
    assert_eq!(get(&other, "/e/sub/tiny").await.unwrap(), bytes.slice(..10));
    assert!(get(&other, "/d/large").await.is_err());
}

#[tokio::test]
async fn what_is_replaced_goes_with_the_same_commit() {
    let (world, id, pool) = made().await;
    for name in ["/from/a", "/from/b/c", "/to/a", "/to/x/y", "/f"] {
        put(&pool, name, &content(name.len() as u64, 20_000)).await.unwrap();
    }
    let refused = pool.rename(&path("/from"), &path("/to"), true).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
    for (from, to) in [("/from", "/from/b/z"), ("/from/b", "/from"), ("/f", "/"), ("/f", "/f")] {
        let options = TransferOptions { replace: Replace::Anything, ..TransferOptions::default() };
        let refused = pool.transfer(&path(from), &path(to), &options).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{from} {to}");
    }
    let options = TransferOptions {
        replace: Replace::Anything,
        keep_parent: true,
        mtime_ns: Some(7),
        ..TransferOptions::default()
    };
    assert_eq!(pool.transfer(&path("/from"), &path("/to"), &options).await.unwrap().entries, 2);
    assert_eq!((names(&pool, "/"), names(&pool, "/to")), (vec!["f".into(), "to".into()], vec!["a".into(), "b".into()]));
    pool.transfer(&path("/to/b/c"), &path("/to/a"), &options).await.unwrap();
    assert_eq!(pool.entry(&path("/to/a")).unwrap().unwrap().mtime_ns, 7);
    assert!(names(&pool, "/to/b").is_empty(), "a directory lasts when that is asked for");
    pool.transfer(&path("/f"), &path("/to"), &options).await.unwrap();
    let other = world.open(id).await.unwrap();
    assert_eq!(names(&other, "/"), ["to"]);
    assert_eq!(get(&other, "/to").await.unwrap(), content(2, 20_000));
}

#[tokio::test]
async fn what_is_noted_survives_everything() {
    let (world, id, pool) = made().await;
    let bytes = content(1, 20_000);
    put(&pool, "/d/f", &bytes).await.unwrap();
    let property = Property { namespace: "urn:x".into(), name: "y".into(), xml: "<y xmlns=\"urn:x\">1</y>".into() };
    for name in ["/d/f", "/d"] {
        let noted = property.clone();
        let changed = pool
            .set_metadata(&path(name), |metadata| {
                metadata.properties.push(noted);
                metadata.mtime_ns = 5;
                Ok(())
            })
            .await;
        assert_eq!(changed.unwrap().entries, 1);
        assert_eq!(pool.set_metadata(&path(name), |_| Ok(())).await.unwrap().entries, 0);
    }
    assert_eq!(pool.set_metadata(&path("/"), |_| Ok(())).await.unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(pool.set_metadata(&path("/none"), |_| Ok(())).await.unwrap_err().kind(), ErrorKind::NotFound);
    pool.copy(&path("/d"), &path("/copy"), false).await.unwrap();
    pool.rename(&path("/d"), &path("/moved"), false).await.unwrap();
    // Merged into one commit, which another machine reads.
    pool.close().await;
    let other = world.open(id).await.unwrap();
    for name in ["/copy/f", "/copy", "/moved/f", "/moved"] {
        let entry = other.entry(&path(name)).unwrap().unwrap();
        assert_eq!((entry.properties, entry.mtime_ns), (vec![property.clone()], 5), "{name}");
    }
    assert_eq!(get(&other, "/moved/f").await.unwrap(), bytes);
    let texts: Vec<String> = world.stores[0]
        .names()
        .iter()
        .filter(|name| name.ends_with(".json") && name.contains("/commits/"))
        .map(|name| String::from_utf8(world.stores[0].object(name).unwrap().to_vec()).unwrap())
        .collect();
    for text in texts.iter().filter(|text| text.contains("\"properties\":[")) {
        assert!(text.contains("\"uses\":[\"properties\"]"), "{text}");
    }
}

#[tokio::test]
async fn bytes_that_are_not_what_was_announced_are_not_stored() {
    let (_, _, pool) = made().await;
    for size in [10, 6000, 300_000] {
        let bytes = content(1, size);
        let good = FileHashes::of(&bytes, &[FileHash::Md5, FileHash::Sha1]);
        let bad = FileHashes { md5: Some("0".repeat(32)), ..good.clone() };
        for stream in [false, true] {
            let source = || match stream {
                true => Source::Stream(Box::new(std::io::Cursor::new(bytes.clone()))),
                false => Source::Bytes(bytes.clone()),
            };
            let options = |expect: &FileHashes| UploadOptions {
                force: true,
                expect: expect.clone(),
                hashes: vec![FileHash::Sha256],
                ..UploadOptions::default()
            };
            let (to, monitor) = (path(&format!("/{size}")), Monitor::default());
            let refused = pool.upload(source(), &to, &options(&bad), &monitor).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
            assert!(refused.to_string().contains("MD5"), "{refused}");
            assert!(pool.entry(&to).unwrap().is_none());
            pool.upload(source(), &to, &options(&good), &monitor).await.unwrap();
            assert_eq!(get(&pool, &format!("/{size}")).await.unwrap(), bytes);
            if let rclonepool_core::journal::record::Content::File { hashes, .. } =
                pool.entry(&to).unwrap().unwrap().content
            {
                assert_eq!((&hashes.md5, &hashes.sha1), (&good.md5, &good.sha1));
                assert!(hashes.sha256.is_some());
            }
            pool.delete(&to, false).await.unwrap();
        }
    }
}
