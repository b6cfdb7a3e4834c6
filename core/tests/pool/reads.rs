//! Reading ranges: what is kept, what is fetched ahead, what readers share; in calls, not in time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use rclonepool_core::Pool;
use rclonepool_core::index::Index;
use rclonepool_core::pool::FileHandle;
use rclonepool_core::remote::wrap::Verb;
use rclonepool_core::testing::fault::{Crash, FaultPlan, SplitMix};
use rclonepool_core::testing::record::RecordLog;
use rclonepool_core::testing::world::World;

use crate::{content, get, path, put, range, recorded_remotes};

const MIB: u64 = 1 << 20;

struct Stage {
    world: World,
    pool: Arc<Pool>,
    log: Arc<RecordLog>,
}

impl Stage {
    /// Chunks of 8 MiB; blocks are units of 1 MiB.
    async fn of(mode: &str, cache_mib: u64, prefetch_chunks: u64, level: Option<u8>) -> Self {
        let mut world = World::new(5, mode.parse().unwrap(), 8 * MIB, 1);
        world.settings.cache_bytes = cache_mib * MIB;
        world.settings.prefetch_bytes = prefetch_chunks * world.settings.chunk_size;
        world.settings.compression = level;
        let id = world.init().await.unwrap();
        let log = Arc::<RecordLog>::default();
        let remotes = recorded_remotes(&world, &Crash::never(), &log);
        let index = Arc::new(Index::in_memory().unwrap());
        let pool = world.open_over(id, world.machine(), remotes, index).await.unwrap();
        Self { world, pool, log }
    }

    async fn file(&self, mib: usize) -> (Arc<FileHandle>, Bytes) {
        let mut bytes = content(7, mib << 20);
        if self.world.settings.compression.is_some() {
            bytes = bytes.iter().map(|byte| byte & 15).collect();
        }
        put(&self.pool, "/f", &bytes).await.unwrap();
        self.pool.journal().settle(Duration::MAX).await;
        self.log.clear();
        (self.pool.open_file(&path("/f")).unwrap(), bytes)
    }

    fn gets(&self) -> usize {
        self.log.count(Verb::Get)
    }

    fn slow(&self, time: Duration) {
        for faults in &self.world.faults {
            faults.set_plan(FaultPlan { latency: time..time, ..FaultPlan::default() });
        }
    }
}

async fn read(file: &Arc<FileHandle>, at: u64, length: u64) -> Bytes {
    file.read_at(at..at + length).await.unwrap().concat().into()
}

#[tokio::test(start_paused = true)]
async fn what_was_read_is_kept_and_read_again_for_nothing() {
    for (mode, level) in [("parity:3+1", None), ("none", None), ("replication:2", None), ("parity:3+1", Some(3))] {
        let stage = Stage::of(mode, 64, 0, level).await;
        let (file, bytes) = stage.file(20).await;
        let mut random = SplitMix(3);
        let places: Vec<u64> = (0..20).map(|_| random.below(20 * MIB - MIB)).collect();
        for round in 0..2 {
            for at in &places {
                assert_eq!(read(&file, *at, 65_536).await, bytes[*at as usize..][..65_536], "{mode}");
            }
            if round == 0 {
                let chunk = &stage.pool.stat(&path("/f")).await.unwrap().chunks[0];
                assert_eq!(chunk.stored < chunk.size, level.is_some());
                assert!(stage.gets() <= 40, "{mode}: {}", stage.gets());
                stage.log.clear();
            }
        }
        stage.log.assert_count(Verb::Get, 0, "all of it is kept");
        let seen = stage.pool.cache_stats();
        assert!(seen.hits >= 20 && seen.misses >= 10 && seen.bytes <= seen.capacity, "{mode}: {seen:?}");
        // Another handle of the file, and whoever reads in order.
        let at = places[0];
        assert_eq!(range(&stage.pool, "/f", Some(at..at + 10)).await.unwrap(), bytes[at as usize..][..10]);
        stage.log.assert_count(Verb::Get, 0, "of the same pool");
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_cache_nothing_is_kept() {
    let stage = Stage::of("parity:3+1", 0, 2, None).await;
    let (file, _) = stage.file(20).await;
    for n in 1..4 {
        read(&file, 5 * MIB + 10, 100).await;
        assert_eq!(stage.gets(), n);
    }
    assert_eq!(stage.pool.cache_stats().bytes, 0);
}

#[tokio::test(start_paused = true)]
async fn the_cache_is_bounded_and_yields_to_transfers() {
    let stage = Stage::of("parity:3+1", 10, 0, None).await;
    let (file, bytes) = stage.file(40).await;
    for at in (0..40).rev() {
        read(&file, at * MIB, 10).await;
    }
    let full = stage.pool.cache_stats();
    assert!(full.bytes <= 10 * MIB && full.bytes >= 8 * MIB, "{full:?}");

    let mut world = World::new(5, "parity:3+1".parse().unwrap(), 8 * MIB, 1);
    world.settings.memory_bytes = 32 * MIB;
    world.settings.cache_bytes = 500 * MIB;
    let pool = world.open(world.init().await.unwrap()).await.unwrap();
    put(&pool, "/f", &bytes).await.unwrap();
    let file = pool.open_file(&path("/f")).unwrap();
    for at in (0..40).rev() {
        assert_eq!(read(&file, at * MIB, 10).await, bytes[(at * MIB) as usize..][..10]);
    }
    let full = pool.cache_stats();
    assert!(full.bytes <= 32 * MIB && full.bytes >= 16 * MIB, "{full:?}");
    // An upload takes what it needs: with the cache in its way it would wait for ever.
    put(&pool, "/g", &bytes).await.unwrap();
    assert!(pool.cache_stats().bytes < full.bytes);
    assert_eq!(get(&pool, "/g").await.unwrap(), bytes);
}

#[tokio::test(start_paused = true)]
async fn readers_at_once_share_one_fetch_and_who_gives_up_spoils_nothing() {
    let stage = Stage::of("parity:3+1", 64, 0, None).await;
    let (file, bytes) = stage.file(20).await;
    stage.slow(Duration::from_millis(100));
    // The first one to ask gives up.
    let leader = tokio::spawn({
        let file = file.clone();
        async move { read(&file, 0, 10).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let others = join_all((0..20).map(|n| read(&file, n, 10)));
    tokio::time::timeout(Duration::from_millis(10), others).await.unwrap_err();
    let others = join_all((0..20).map(|n| read(&file, n, 10)));
    leader.abort();
    for (n, read) in others.await.into_iter().enumerate() {
        assert_eq!(read, bytes[n..][..10]);
    }
    stage.log.assert_count(Verb::Get, 1, "for all of them");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_to_all_who_wait_and_not_kept() {
    let stage = Stage::of("none", 64, 0, None).await;
    let (file, bytes) = stage.file(20).await;
    stage.slow(Duration::from_millis(100));
    stage.world.faults.iter().for_each(|faults| faults.set_offline(true));
    for outcome in join_all((0..5).map(|_| file.read_at(0..10))).await {
        outcome.unwrap_err();
    }
    assert_eq!(stage.gets(), 1);
    stage.world.faults.iter().for_each(|faults| faults.set_offline(false));
    assert_eq!(read(&file, 0, 10).await, bytes[..10]);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_goes_on_is_fetched_for_ahead_and_a_seek_is_one_round_trip() {
    let stage = Stage::of("parity:4+1", 256, 2, None).await;
    let (file, bytes) = stage.file(120).await;
    let trip = Duration::from_millis(100);
    stage.slow(trip);
    let (mut waits, mut at) = (0, 0);
    while at < 60 * MIB {
        let begin = tokio::time::Instant::now();
        assert_eq!(read(&file, at, 65_536).await, bytes[at as usize..][..65_536]);
        waits += u32::from(begin.elapsed() >= trip);
        at += 65_536;
        // As fast as 64 MiB a second.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(waits <= 8, "{waits} reads had to wait");
    let gets = stage.gets();
    assert!(gets <= 60, "{gets} gets for 60 blocks of 8 chunks");

    let (begin, before) = (tokio::time::Instant::now(), stage.gets());
    assert_eq!(read(&file, 100 * MIB + 5, 100).await, bytes[(100 << 20) + 5..][..100]);
    assert_eq!((begin.elapsed(), stage.gets() - before), (trip, 1), "a round trip, and nothing else asked for");
    // What was on its way for the place that was left is not gone on with.
    let got = stage.log.bytes(Verb::Get);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((stage.log.bytes(Verb::Get), stage.gets()), (got, before + 1));
}

#[tokio::test(start_paused = true)]
async fn players_side_by_side_are_each_fetched_for_ahead() {
    let stage = Stage::of("parity:4+1", 256, 2, None).await;
    let (file, bytes) = stage.file(120).await;
    let trip = Duration::from_millis(100);
    stage.slow(trip);
    let mut waits = 0;
    for step in 0..320 {
        for player in 0..3 {
            let at = player * 40 * MIB + step * 65_536;
            let begin = tokio::time::Instant::now();
            assert_eq!(read(&file, at, 65_536).await, bytes[at as usize..][..65_536]);
            waits += u32::from(begin.elapsed() >= trip);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(waits <= 18, "{waits} of 960 reads had to wait");
}

#[tokio::test(start_paused = true)]
async fn who_leaves_ends_what_was_fetched_for_him() {
    let stage = Stage::of("parity:4+1", 256, 2, None).await;
    let (file, _) = stage.file(120).await;
    stage.slow(Duration::from_millis(100));
    let mut reader = file.reader(None);
    for _ in 0..6 {
        reader.next().await.unwrap().unwrap();
    }
    drop((reader, file));
    let got = (stage.gets(), stage.log.bytes(Verb::Get));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((stage.gets(), stage.log.bytes(Verb::Get)), got);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_pauses_holds_no_memory_for_long() {
    let mut world = World::new(5, "parity:3+1".parse().unwrap(), 8 * MIB, 1);
    world.settings.memory_bytes = 32 * MIB;
    world.settings.cache_bytes = 16 * MIB;
    world.settings.prefetch_bytes = 16 * MIB;
    let pool = world.open(world.init().await.unwrap()).await.unwrap();
    let bytes = content(1, 24 << 20);
    put(&pool, "/f", &bytes).await.unwrap();
    let mut readers: Vec<_> = (0..4).map(|_| pool.reader(&path("/f"), None).unwrap()).collect();
    for reader in &mut readers {
        assert_eq!(reader.next().await.unwrap().unwrap(), bytes[..1 << 20]);
    }
    put(&pool, "/g", &bytes).await.unwrap();
    for mut reader in readers {
        let mut rest = Vec::new();
        while let Some(piece) = reader.next().await.unwrap() {
            rest.extend_from_slice(&piece);
        }
        assert!(rest == bytes[1 << 20..]);
    }
}

#[tokio::test(start_paused = true)]
async fn reading_in_order_asks_each_shard_once_and_spoils_no_cache() {
    for (cache, prefetch) in [(64, 2), (64, 0), (0, 2), (0, 0)] {
        let stage = Stage::of("parity:4+1", cache, prefetch, None).await;
        let (file, bytes) = stage.file(80).await;
        let hot = 77 * MIB;
        read(&file, hot, 10).await;
        stage.log.clear();
        let (mut reader, mut found) = (file.reader(Some(0..72 * MIB)), Vec::new());
        while let Some(piece) = reader.next().await.unwrap() {
            found.extend_from_slice(&piece);
        }
        assert!(found == bytes[..72 << 20]);
        stage.log.assert_count(Verb::Get, 9 * 4, "nine chunks of four shards");
        assert_eq!(stage.log.bytes(Verb::Get), 72 * MIB);
        stage.log.clear();
        read(&file, hot, 10).await;
        assert_eq!(stage.gets(), usize::from(cache == 0), "what is read at random stays");
    }
}

/// Two readers of one stream, one a little behind the other.
#[tokio::test(start_paused = true)]
async fn two_who_read_the_same_in_order_fetch_it_once() {
    let stage = Stage::of("parity:4+1", 64, 2, None).await;
    let (file, bytes) = stage.file(40).await;
    stage.slow(Duration::from_millis(20));
    let read = |delay| {
        let (mut reader, bytes) = (file.reader(None), bytes.clone());
        async move {
            tokio::time::sleep(Duration::from_millis(delay)).await;
            let mut at = 0;
            while let Some(piece) = reader.next().await.unwrap() {
                assert!(piece == bytes[at..][..piece.len()]);
                at += piece.len();
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            assert_eq!(at, bytes.len());
        }
    };
    tokio::join!(read(0), read(7));
    assert_eq!((stage.log.bytes(Verb::Get), stage.gets()), (40 * MIB, 5 * 4));
}

#[tokio::test(start_paused = true)]
async fn what_was_opened_stays_though_its_path_changes() {
    let stage = Stage::of("parity:3+1", 64, 2, None).await;
    let (file, bytes) = stage.file(20).await;
    put(&stage.pool, "/f", &content(8, 9 << 20)).await.unwrap();
    stage.pool.delete(&path("/f"), false).await.unwrap();
    assert_eq!(file.size(), 20 * MIB);
    assert_eq!(file.read_at(0..u64::MAX).await.unwrap().concat(), bytes);
    stage.pool.open_file(&path("/f")).unwrap_err();
}
