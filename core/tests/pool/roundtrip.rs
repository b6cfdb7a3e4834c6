//! What goes in comes out: every mode, size and range, with remotes lost.

use rclonepool_core::ErrorKind;
use rclonepool_core::redundancy::Redundancy;
use rclonepool_core::testing::world::World;

use crate::{content, get, names, path, put, range};

const CHUNK: u64 = 300_000;

fn modes() -> Vec<Redundancy> {
    let parse = |text: &str| text.parse().unwrap();
    ["none", "replication:2", "replication:3", "parity:2+1", "parity:3+1", "parity:4+2", "hybrid:2+1x2"]
        .map(parse)
        .into()
}

fn sizes() -> Vec<usize> {
    let chunk = usize::try_from(CHUNK).unwrap();
    vec![0, 1, 4096, 4097, 65_536, 65_537, 100_000, chunk - 1, chunk, chunk + 1, 3 * chunk + 12_345]
}

#[tokio::test]
async fn every_mode_and_size_reads_back_whole_and_in_ranges() {
    for redundancy in modes() {
        let world = World::new(6, redundancy, CHUNK, 1);
        let id = world.init().await.unwrap();
        let pool = world.open(id).await.unwrap();
        for size in sizes() {
            let (name, bytes) = (format!("/d/{size}"), content(size as u64, size));
            let report = put(&pool, &name, &bytes).await.unwrap();
            assert!(!report.stale, "{redundancy}");
            assert_eq!(get(&pool, &name).await.unwrap(), bytes, "{redundancy}, {size} bytes");
            for (from, to) in
                [(0, 1), (size / 2, size / 2 + 70_000), (size.saturating_sub(10), size + 10), (size, size)]
            {
                let want = &bytes[from.min(size)..to.min(size)];
                let got = range(&pool, &name, Some(from as u64..to as u64)).await.unwrap();
                assert_eq!(got, want, "{redundancy}, {from}..{to} of {size}");
            }
        }
        // A machine without any local state sees the same.
        let other = world.open(id).await.unwrap();
        assert_eq!(names(&other, "/d"), names(&pool, "/d"));
        assert_eq!(get(&other, "/d/100000").await.unwrap(), content(100_000, 100_000));
    }
}

#[tokio::test]
async fn all_losses_that_the_layout_tolerates_read_back_and_one_more_is_an_error() {
    for (n, text) in
        [(3, "parity:2+1"), (4, "parity:3+1"), (6, "parity:4+2"), (6, "hybrid:2+1x2"), (3, "replication:3")]
    {
        let redundancy: Redundancy = text.parse().unwrap();
        let world = World::new(n, redundancy, CHUNK, 2);
        let id = world.init().await.unwrap();
        let bytes = content(7, 700_001);
        put(&world.open(id).await.unwrap(), "/f", &bytes).await.unwrap();
        for lost in 0u32..1 << n {
            let count = lost.count_ones() as usize;
            if count > redundancy.tolerated() + 1 || count == n {
                continue;
            }
            for (i, faults) in world.faults.iter().enumerate() {
                faults.set_lost(lost & 1 << i != 0);
            }
            let pool = world.open(id).await.unwrap();
            let read = get(&pool, "/f").await;
            let part = range(&pool, "/f", Some(299_990..300_010)).await;
            if count <= redundancy.tolerated() {
                assert_eq!(read.unwrap(), bytes, "{text} without {lost:b}");
                assert_eq!(part.unwrap(), bytes[299_990..300_010], "{text} without {lost:b}");
            } else if text.starts_with("parity") {
                // Offline is not lost: the error names the remotes and says so.
                let error = read.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                assert!(error.to_string().contains("offline"), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn namespace_operations_show_on_another_machine() {
    let world = World::new(3, Redundancy::NONE, CHUNK, 3);
    let id = world.init().await.unwrap();
    let (a, b) = (world.open(id).await.unwrap(), world.open(id).await.unwrap());
    put(&a, "/x/1", &content(1, 10)).await.unwrap();
    put(&a, "/x/y/2", &content(2, 100_000)).await.unwrap();
    a.mkdir(&path("/empty/dir")).await.unwrap();
    b.sync().await.unwrap();
    assert_eq!(names(&b, "/"), ["empty", "x"]);
    assert_eq!(names(&b, "/x"), ["1", "y"]);
    assert_eq!(b.rename(&path("/x"), &path("/z"), false).await.unwrap().entries, 2);
    a.sync().await.unwrap();
    assert_eq!(names(&a, "/"), ["empty", "z"]);
    assert_eq!(get(&a, "/z/y/2").await.unwrap(), content(2, 100_000));
    assert_eq!(a.list(&path("/x")).unwrap_err().kind(), ErrorKind::DirectoryNotFound);
    assert!(a.delete(&path("/z"), false).await.is_err());
    assert_eq!(a.delete(&path("/z"), true).await.unwrap().entries, 2);
    assert_eq!(names(&a, "/"), ["empty"]);
    assert_eq!(a.delete(&path("/z"), true).await.unwrap_err().kind(), ErrorKind::NotFound);
    b.sync().await.unwrap();
    assert_eq!(get(&b, "/z/1").await.unwrap_err().kind(), ErrorKind::NotFound);
}

/// Several shards of every chunk on one remote, several chunks at a time, few connections: nobody waits for ever.
#[tokio::test(start_paused = true)]
async fn fewer_remotes_than_shards_and_few_connections_do_not_lock_up() {
    let mut world = World::new(2, "parity:4+2".parse().unwrap(), CHUNK, 4);
    world.connections = Some(1);
    let id = world.init().await.unwrap();
    let pool = world.open(id).await.unwrap();
    let bytes = content(9, 40 * usize::try_from(CHUNK).unwrap());
    put(&pool, "/f", &bytes).await.unwrap();
    let target = tempfile::tempdir().unwrap();
    let (target, from) = (target.path().join("f"), path("/f"));
    let (options, monitor) = (rclonepool_core::pool::DownloadOptions::default(), rclonepool_core::Monitor::default());
    let download = pool.download(&from, &target, &options, &monitor);
    tokio::time::timeout(std::time::Duration::from_secs(3600), download).await.unwrap().unwrap();
    assert_eq!(std::fs::read(target).unwrap(), bytes);
}
