//! Chunks that are compressed: what goes in comes out, ranges cost what they touch, damage is noticed.

use std::sync::Arc;

use bytes::Bytes;
use rclonepool_core::config::FileHash;
use rclonepool_core::id::{ChunkId, PoolId, Stamp};
use rclonepool_core::index::Index;
use rclonepool_core::journal::record::{ChunkRecord, Content, Entry, Record};
use rclonepool_core::pool::{ChunkStat, DownloadOptions, Source, UploadOptions};
use rclonepool_core::remote::wrap::Verb;
use rclonepool_core::stage::compress::{Compression, Frame};
use rclonepool_core::stage::layout::Layout;
use rclonepool_core::testing::fault::Crash;
use rclonepool_core::testing::record::RecordLog;
use rclonepool_core::testing::world::World;
use rclonepool_core::{ErrorKind, Monitor, Pool};

use crate::{content, get, path, put, range, recorded_remotes};

const CHUNK: u64 = 5_000_000;
const MIB: usize = 1 << 20;

fn text(seed: u64, size: usize) -> Bytes {
    let line = |n: u64| format!("{n} {:x} of a long list\n", n.wrapping_mul(seed * 2 + 0x9e37_79b9) % 100_000);
    (0..).flat_map(|n| line(n).into_bytes()).take(size).collect()
}

fn joined(parts: &[Bytes]) -> Bytes {
    parts.concat().into()
}

async fn made(n: usize, redundancy: &str) -> (World, PoolId, Arc<Pool>) {
    let mut world = World::new(n, redundancy.parse().unwrap(), CHUNK, 1);
    world.settings.compression = Some(3);
    let id = world.init().await.unwrap();
    let pool = world.open(id).await.unwrap();
    (world, id, pool)
}

async fn chunks(pool: &Pool, of: &str) -> Vec<ChunkStat> {
    pool.stat(&path(of)).await.unwrap().chunks
}

#[tokio::test]
async fn every_mode_and_content_reads_back_whole_and_in_ranges() {
    let contents = [
        ("text", text(1, 9 * MIB + 77), true),
        ("noise", content(2, 6_000_000), false),
        ("zeros", vec![0; 7 * MIB].into(), true),
        ("text, then noise", joined(&[text(3, 2 * MIB), content(4, 5 * MIB)]), true),
        ("noise, then text", joined(&[content(5, 2 * MIB), text(6, 3 * MIB)]), true),
        ("short", text(7, 5_000), true),
        ("short noise", content(8, 5_000), false),
    ];
    for redundancy in ["none", "replication:2", "parity:3+1", "parity:4+2", "hybrid:2+1x2"] {
        let (world, id, pool) = made(6, redundancy).await;
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes, smaller) in &contents {
            let (streamed, file) = (format!("/{name}"), format!("/{name} from a file"));
            put(&pool, &streamed, bytes).await.unwrap();
            std::fs::write(dir.path().join("f"), bytes).unwrap();
            let source = Source::File(dir.path().join("f"));
            pool.upload(source, &path(&file), &UploadOptions::default(), &Monitor::default()).await.unwrap();
            for at in [&streamed, &file] {
                let stored: u64 = chunks(&pool, at).await.iter().map(|c| c.stored).sum();
                // Of a stream only the first row of a chunk tells.
                if at != "/noise, then text" {
                    assert_eq!(stored < bytes.len() as u64, *smaller, "{redundancy}, {at}: {stored}");
                }
                assert!(stored <= bytes.len() as u64, "{redundancy}, {at}: {stored}");
                assert_eq!(&get(&pool, at).await.unwrap(), bytes, "{redundancy}, {at}");
                let size = bytes.len() as u64;
                for from in [0, 1, MIB as u64 - 1, MIB as u64, CHUNK - 1, size - 1, size] {
                    for length in [0, 1, 2, 70_000, 2 * MIB as u64 + 3] {
                        let (from, to) = (from.min(size), (from + length).min(size));
                        let found = range(&pool, at, Some(from..to)).await.unwrap();
                        assert!(found == bytes[from as usize..to as usize], "{redundancy}, {at}: {from}..{to}");
                    }
                }
            }
        }
        let other = world.open(id).await.unwrap();
        let target = dir.path().join("back");
        let (options, monitor) = (DownloadOptions::default(), Monitor::default());
        let report = other.download(&path("/"), &target, &options, &monitor).await.unwrap();
        assert_eq!((report.files, report.failed, report.degraded), (2 * contents.len() as u64, 0, 0));
        for (name, bytes, _) in &contents {
            assert!(std::fs::read(target.join(name)).unwrap() == *bytes, "{name}");
        }
    }
}

/// A file is looked at in several places: text after noise is found, and where it gains too little all is plain.
#[tokio::test]
async fn what_gains_too_little_is_stored_plain() {
    let (_world, _, pool) = made(3, "none").await;
    let dir = tempfile::tempdir().unwrap();
    // The places that are looked at get smaller, and nothing between them.
    let mut bytes = content(1, 4 * MIB).to_vec();
    for span in rclonepool_core::stage::compress::sample_spans(4 * MIB as u64) {
        bytes[span.offset as usize..(span.offset + span.length) as usize].fill(0);
    }
    for (name, bytes) in [("misleading", &bytes[..]), ("nearly", &content(2, 3 * MIB))] {
        std::fs::write(dir.path().join(name), bytes).unwrap();
        let to = format!("/{name}");
        let source = Source::File(dir.path().join(name));
        pool.upload(source, &path(&to), &UploadOptions::default(), &Monitor::default()).await.unwrap();
        assert!(chunks(&pool, &to).await.iter().all(|c| c.stored == c.size), "{name}");
        assert!(get(&pool, &to).await.unwrap() == *bytes);
    }
}

#[tokio::test]
async fn whole_file_hashes_are_those_of_the_plain_bytes() {
    let (mut world, id, _) = made(3, "parity:2+1").await;
    world.settings.file_hashes = vec![FileHash::Sha256];
    let pool = world.open(id).await.unwrap();
    let bytes = text(1, 6 * MIB);
    put(&pool, "/f", &bytes).await.unwrap();
    let Content::File { hashes, extents, .. } = pool.entry(&path("/f")).unwrap().unwrap().content else { panic!() };
    assert_eq!(hashes.sha256, Some(rclonepool_core::stage::hash::sha256(&bytes).to_string()));
    assert_eq!(extents[0].sha256, rclonepool_core::stage::hash::sha256(&bytes[..CHUNK as usize]));
}

#[tokio::test]
async fn a_range_fetches_the_units_of_the_frames_it_touches() {
    let (world, id, pool) = made(4, "parity:3+1").await;
    let bytes = joined(&[text(1, MIB), content(2, 3 * MIB), text(3, 100_000)]);
    put(&pool, "/f", &bytes).await.unwrap();
    let (index, log) = (Index::in_memory().unwrap(), Arc::<RecordLog>::default());
    let remotes = recorded_remotes(&world, &Crash::never(), &log);
    let reader = world.open_over(id, world.machine(), remotes, index).await.unwrap();
    for (at, units, why) in [
        (10, 1, "the first frame lies in the first unit"),
        (4 * MIB as u64 + 5, 1, "the last in the last"),
        (2 * MIB as u64, 2, "one of a whole unit's length lies in two"),
    ] {
        log.clear();
        assert_eq!(range(&reader, "/f", Some(at..at + 1)).await.unwrap(), bytes[at as usize..at as usize + 1]);
        assert_eq!(log.count(Verb::Get), units, "{why}");
        assert!(log.bytes(Verb::Get) <= units as u64 * MIB as u64, "{why}");
    }
}

#[tokio::test]
async fn all_losses_that_the_layout_tolerates_read_back() {
    for (n, redundancy, tolerated) in [(4, "parity:3+1", 1), (6, "parity:4+2", 2), (3, "replication:2", 1)] {
        let (world, id, pool) = made(n, redundancy).await;
        let bytes = joined(&[text(1, 5 * MIB), content(2, 2 * MIB), text(9, 50_000)]);
        put(&pool, "/f", &bytes).await.unwrap();
        for lost in (0u32..1 << n).filter(|lost| lost.count_ones() <= tolerated) {
            world.faults.iter().enumerate().for_each(|(i, faults)| faults.set_lost(lost & 1 << i != 0));
            let pool = world.open(id).await.unwrap();
            assert!(get(&pool, "/f").await.unwrap() == bytes, "{redundancy} without {lost:b}");
            let part = range(&pool, "/f", Some(4_999_990..5_100_000)).await.unwrap();
            assert!(part == bytes[4_999_990..5_100_000], "{redundancy} without {lost:b}");
        }
    }
}

#[tokio::test]
async fn a_damaged_unit_is_rebuilt_before_it_is_decompressed() {
    let (world, _, pool) = made(4, "parity:3+1").await;
    let bytes = text(1, 4 * MIB);
    put(&pool, "/f", &bytes).await.unwrap();
    let shard = &chunks(&pool, "/f").await[0].shards[0];
    let store = world.stores.iter().find(|store| store.object(&shard.object).is_some()).unwrap();
    assert!(store.flip(&shard.object, 1000));
    assert!(get(&pool, "/f").await.unwrap() == bytes);
    assert_eq!(range(&pool, "/f", Some(5..9)).await.unwrap(), bytes[5..9]);
}

/// Stores a copy of a file's only chunk whose record says what `change` makes of it.
async fn forged(world: &World, pool: &Arc<Pool>, of: &str, to: &str, change: impl Fn(&mut ChunkRecord)) {
    let mut entry = pool.entry(&path(of)).unwrap().unwrap();
    let old = entry.content.extents()[0].chunk;
    let mut record = pool.journal().index().chunk(old).unwrap().unwrap().record;
    record.chunk = ChunkId(old.0 ^ 1);
    record.stamp = Stamp::ZERO;
    for store in &world.stores {
        for name in store.names().iter().filter(|name| name.contains(&old.to_string())) {
            let bytes = store.object(name).unwrap();
            store.insert(name.replace(&old.to_string(), &record.chunk.to_string()), bytes);
        }
    }
    change(&mut record);
    let Content::File { extents, .. } = &mut entry.content else { panic!("not a file") };
    extents[0].chunk = record.chunk;
    let entry = Entry { path: path(to), stamp: Stamp::ZERO, ..entry };
    let records = vec![Record::Chunk(record), Record::Entry(entry)];
    assert!(!pool.journal().commit(&*pool.view().await, records).await.unwrap().stale);
}

#[tokio::test]
async fn verified_bytes_that_do_not_decompress_are_an_error() {
    let (world, _, pool) = made(3, "parity:2+1").await;
    let bytes = text(1, 2 * MIB);
    put(&pool, "/f", &bytes).await.unwrap();
    forged(&world, &pool, "/f", "/swapped", |record| {
        let Some(Compression::Zstd { frames }) = &mut record.compression else { panic!("not compressed") };
        let [Frame { stored: first, .. }, Frame { stored: second, .. }] = &mut frames[..] else { panic!() };
        (*first, *second) = (*first + 1, *second - 1);
    })
    .await;
    let error = get(&pool, "/swapped").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("a compressed frame is damaged"), "{error}");
    assert!(range(&pool, "/swapped", Some(0..1)).await.is_err());
    assert!(get(&pool, "/f").await.unwrap() == bytes);
    // What cannot be at all is no commit: nobody else believes it.
    forged(&world, &pool, "/f", "/bomb", |record| {
        record.compression = Some(Compression::Zstd { frames: vec![Frame { plain: u32::MAX, stored: 1 }] });
    })
    .await;
    let other = world.open(pool.id()).await.unwrap();
    assert!(other.entry(&path("/bomb")).unwrap().is_none());
    assert!(get(&other, "/f").await.unwrap() == bytes);
}

#[tokio::test]
async fn commits_say_what_it_takes_to_read_them_and_keep_it_when_they_are_merged() {
    let (mut world, id, _) = made(3, "none").await;
    world.limits.compact_from = 4;
    let pool = world.open(id).await.unwrap();
    let requires = |world: &World| {
        let mut found = Vec::new();
        for name in world.stores[0].names().into_iter().filter(|name| name.contains("/commits/")) {
            let bytes = world.stores[0].object(&name).unwrap();
            let json =
                if name.ends_with(".zst") { zstd::stream::decode_all(&bytes[..]).unwrap() } else { bytes.to_vec() };
            let commit: serde_json::Value = serde_json::from_slice(&json).unwrap();
            found.push(commit["requires"].to_string());
        }
        found
    };
    put(&pool, "/noise", &content(1, 100_000)).await.unwrap();
    assert!(requires(&world).iter().all(|of| of == "null"));
    put(&pool, "/text", &text(1, 100_000)).await.unwrap();
    assert_eq!(requires(&world).iter().filter(|of| *of == "[\"zstd\"]").count(), 1);
    for n in 0..8 {
        pool.mkdir(&path(&format!("/d{n}"))).await.unwrap();
    }
    let mut merged = 0;
    while pool.journal().compact().await.unwrap().is_some() {
        merged += 1;
    }
    assert!(merged > 0);
    assert_eq!(requires(&world).iter().filter(|of| *of == "[\"zstd\"]").count(), 1);
    assert_eq!(get(&world.open(id).await.unwrap(), "/text").await.unwrap(), text(1, 100_000));
}

#[tokio::test]
async fn an_interrupted_upload_goes_on_with_what_it_stored() {
    let (world, id, _) = made(3, "parity:2+1").await;
    let dir = tempfile::tempdir().unwrap();
    let (file, bytes) = (dir.path().join("f"), text(1, 6 * usize::try_from(CHUNK).unwrap()));
    std::fs::write(&file, &bytes).unwrap();
    let (index, crash) = (Arc::new(Index::in_memory().unwrap()), Crash::never());
    let pool = world.open_as(id, world.machine(), &crash, index.clone()).await.unwrap();
    crash.arm(12);
    let upload = |pool: Arc<Pool>| {
        let source = Source::File(file.clone());
        async move { pool.upload(source, &path("/f"), &UploadOptions::default(), &Monitor::default()).await }
    };
    upload(pool).await.unwrap_err();
    let pool = world.open_as(id, world.machine(), &Crash::never(), index).await.unwrap();
    assert!(upload(pool.clone()).await.unwrap().resumed_bytes > 0);
    assert!(get(&pool, "/f").await.unwrap() == bytes);
}

/// Room is reserved for what a chunk may take, and given back once it is known to take less.
#[tokio::test]
async fn what_is_saved_is_free_for_others() {
    let mut world = World::new(1, "none".parse().unwrap(), CHUNK, 1);
    world.settings.compression = Some(3);
    let quota = rclonepool_core::pool::PlacementSettings { quota: Some(2 * CHUNK), ..Default::default() };
    world.settings.placement.insert("m0:".into(), quota);
    world.settings.upload_workers = 1;
    let id = world.init().await.unwrap();
    let pool = world.open(id).await.unwrap();
    for n in 0..4 {
        put(&pool, &format!("/f{n}"), &text(n, CHUNK as usize)).await.unwrap();
    }
    put(&pool, "/noise", &content(1, CHUNK as usize)).await.unwrap();
}

/// However little memory there is.
#[tokio::test]
async fn memory_stays_within_the_limit_however_little_that_is() {
    let (mut world, id, _) = made(4, "parity:3+1").await;
    world.settings.memory_bytes = 64 << 10;
    world.settings.compression = Some(19);
    let pool = world.open(id).await.unwrap();
    let bytes = text(1, 11 * MIB);
    put(&pool, "/f", &bytes).await.unwrap();
    assert!(get(&pool, "/f").await.unwrap() == bytes);
}

#[test]
fn layouts_follow_the_stored_bytes() {
    // 5,000,000 zeros are a few hundred bytes: stored whole, in copies.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let (_world, _, pool) = made(4, "parity:3+1").await;
        put(&pool, "/zeros", &vec![0; CHUNK as usize].into()).await.unwrap();
        let chunk = chunks(&pool, "/zeros").await.remove(0);
        assert_eq!(chunk.layout, Layout::choose(3, 1, 1, chunk.stored));
        assert_eq!((chunk.layout.data, chunk.layout.copies, chunk.shards.len()), (1, 2, 2));
    });
}
