//! A slow remote is no slow pool, and a healthy one is not asked for more.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};
use rclonepool_core::index::Index;
use rclonepool_core::pool::{DownloadOptions, FileHandle};
use rclonepool_core::remote::wrap::Verb;
use rclonepool_core::remote::{Body, ByteStream, ObjectMeta, Remote, SharedRemote, Usage};
use rclonepool_core::testing::fault::{Crash, FaultPlan, SplitMix};
use rclonepool_core::testing::record::RecordLog;
use rclonepool_core::testing::world::World;
use rclonepool_core::{Monitor, Pool, Result};
use tokio::time::Instant;

use crate::{content, path, put, recorded_remotes};

const MIB: u64 = 1 << 20;

/// A remote whose streams give a MiB in so much time, and stop while it is stalled.
#[derive(Debug)]
struct Paced {
    remote: SharedRemote,
    stalled: Arc<AtomicBool>,
    mib_ms: Arc<AtomicU64>,
}

#[async_trait]
impl Remote for Paced {
    fn label(&self) -> &str {
        self.remote.label()
    }
    async fn put(&self, name: &str, body: &Body) -> Result<()> {
        self.remote.put(name, body).await
    }
    async fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<ByteStream> {
        let (stalled, mib_ms) = (self.stalled.clone(), self.mib_ms.clone());
        let stream = self.remote.get(name, range).await?;
        let pieces = stream.flat_map(|piece| match piece {
            Ok(bytes) => {
                let pieces: Vec<_> = bytes.chunks(1 << 18).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
                futures_util::stream::iter(pieces)
            }
            Err(error) => futures_util::stream::iter(vec![Err(error)]),
        });
        Ok(pieces
            .then(move |piece| {
                let (stalled, ms) = (stalled.clone(), mib_ms.load(Relaxed) / 4);
                async move {
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                    while stalled.load(Relaxed) {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                    piece
                }
            })
            .boxed())
    }
    async fn stat(&self, name: &str) -> Result<Option<u64>> {
        self.remote.stat(name).await
    }
    async fn delete(&self, name: &str) -> Result<()> {
        self.remote.delete(name).await
    }
    async fn list(&self, dir: &str) -> Result<BoxStream<'static, Result<ObjectMeta>>> {
        self.remote.list(dir).await
    }
    async fn usage(&self) -> Result<Usage> {
        self.remote.usage().await
    }
    fn staging(&self) -> Option<&std::path::Path> {
        None
    }
    async fn open(&self, _: &str, _: Range<u64>) -> Result<Option<std::fs::File>> {
        Ok(None)
    }
}

struct Stage {
    world: World,
    pool: Arc<Pool>,
    log: Arc<RecordLog>,
    stalled: Vec<Arc<AtomicBool>>,
    mib_ms: Vec<Arc<AtomicU64>>,
    bytes: Bytes,
}

impl Stage {
    async fn of(mode: &str, mib: usize) -> Self {
        let world = World::new(5, mode.parse().unwrap(), 40 * MIB, 1);
        let id = world.init().await.unwrap();
        let log = Arc::<RecordLog>::default();
        let (mut stalled, mut mib_ms) = (Vec::new(), Vec::new());
        let wrap = |remote| {
            stalled.push(Arc::new(AtomicBool::new(false)));
            mib_ms.push(Arc::new(AtomicU64::new(0)));
            let paced =
                Paced { remote, stalled: stalled[stalled.len() - 1].clone(), mib_ms: mib_ms[mib_ms.len() - 1].clone() };
            Arc::new(paced) as SharedRemote
        };
        let remotes = recorded_remotes(&world, &Crash::never(), &log).into_iter().map(wrap).collect();
        let pool = world.open_over(id, world.machine(), remotes, Arc::new(Index::in_memory().unwrap())).await.unwrap();
        let bytes = content(5, mib << 20);
        put(&pool, "/f", &bytes).await.unwrap();
        pool.journal().settle(Duration::MAX).await;
        log.clear();
        Self { world, pool, log, stalled, mib_ms, bytes }
    }

    fn answer_in(&self, ms: impl Fn(usize) -> Range<u64>) {
        for (at, faults) in self.world.faults.iter().enumerate() {
            let Range { start, end } = ms(at);
            let latency = Duration::from_millis(start)..Duration::from_millis(end);
            faults.set_plan(FaultPlan { latency, ..FaultPlan::default() });
        }
    }

    /// The times of so many reads of 64 KiB, sorted.
    async fn times(&self, reads: u64, seed: u64) -> Vec<u64> {
        let (file, mut random, mut times) = (self.pool.open_file(&path("/f")).unwrap(), SplitMix(seed), Vec::new());
        for _ in 0..reads {
            times.push(self.timed(&file, random.below(self.bytes.len() as u64 / MIB) * MIB).await);
        }
        times.sort_unstable();
        times
    }

    async fn timed(&self, file: &Arc<FileHandle>, at: u64) -> u64 {
        let begin = Instant::now();
        let read = file.read_at(at..at + 65_536).await.unwrap().concat();
        assert_eq!(read, self.bytes[at as usize..][..65_536]);
        begin.elapsed().as_millis() as u64
    }

    async fn download(&self) -> Duration {
        let (dir, begin) = (tempfile::tempdir().unwrap(), Instant::now());
        let to = dir.path().join("f");
        self.pool.download(&path("/f"), &to, &DownloadOptions::default(), &Monitor::default()).await.unwrap();
        let took = begin.elapsed();
        assert!(std::fs::read(to).unwrap() == self.bytes);
        took
    }
}

fn p99(times: &[u64]) -> u64 {
    times[times.len() * 99 / 100]
}

#[tokio::test(start_paused = true)]
async fn a_remote_twenty_times_slower_does_not_slow_reads_down() {
    for mode in ["parity:4+1", "parity:3+1", "replication:2"] {
        let stage = Stage::of(mode, 80).await;
        stage.answer_in(|_| 30..60);
        let healthy = p99(&stage.times(300, 1).await);
        let slow = stage.pool.stat(&path("/f")).await.unwrap().chunks[0].shards[0].remote.clone();
        stage.answer_in(|at| if slow == format!("m{at}:") { 600..1200 } else { 30..60 });
        let times = stage.times(300, 2).await;
        assert!(p99(&times) * 2 <= healthy * 3, "{mode}: {} beside {healthy}: {times:?}", p99(&times));
        // It gets well again, and is asked again.
        stage.answer_in(|_| 30..60);
        tokio::time::sleep(Duration::from_secs(70)).await;
        stage.times(20, 3).await;
        tokio::time::sleep(Duration::from_secs(70)).await;
        stage.times(20, 3).await;
        stage.log.clear();
        stage.times(100, 4).await;
        assert!(stage.log.count_if(|call| call.remote == slow) >= 10, "{mode}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_remote_that_hangs_keeps_nobody_waiting() {
    let stage = Stage::of("parity:3+1", 40).await;
    stage.answer_in(|_| 30..60);
    stage.times(20, 1).await;
    stage.world.faults[1].set_plan(FaultPlan { hang: 1.0, ..FaultPlan::default() });
    let times = stage.times(100, 2).await;
    assert!(times[99] <= 5000 && times[98] <= 1000, "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn healthy_remotes_are_asked_for_a_tenth_more_at_most() {
    for mode in ["parity:4+1", "replication:2"] {
        let stage = Stage::of(mode, 80).await;
        // Now and then one takes long.
        stage.answer_in(|_| 20..120);
        stage.log.clear();
        let reads = 500;
        stage.times(reads, 1).await;
        let gets = stage.log.count(Verb::Get) as u64;
        assert!(gets <= reads + reads / 10 + 4, "{mode}: {gets} gets for {reads} reads");
    }
}

/// In the middle of a chunk, and for good.
#[tokio::test(start_paused = true)]
async fn a_stream_that_stalls_is_replaced() {
    for mode in ["parity:3+1", "parity:4+1"] {
        let stage = Stage::of(mode, 80).await;
        stage.mib_ms.iter().for_each(|ms| ms.store(200, Relaxed));
        let healthy = stage.download().await;
        let chunk = &stage.pool.stat(&path("/f")).await.unwrap().chunks[0];
        let at: usize = chunk.shards[1].remote.trim_matches(|c| c == 'm' || c == ':').parse().unwrap();
        let stall = async {
            tokio::time::sleep(Duration::from_millis(900)).await;
            stage.stalled[at].store(true, Relaxed);
        };
        let (took, ()) = tokio::join!(stage.download(), stall);
        assert!(took <= healthy * 2 + Duration::from_secs(3), "{mode}: {took:?} beside {healthy:?}");
        // Afterwards nobody turns to it first.
        let again = stage.download().await;
        assert!(again <= healthy * 3 / 2, "{mode}: {again:?} beside {healthy:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_remote_is_no_slow_download() {
    let stage = Stage::of("parity:3+1", 80).await;
    stage.mib_ms.iter().for_each(|ms| ms.store(100, Relaxed));
    let healthy = stage.download().await;
    stage.mib_ms[3].store(2000, Relaxed);
    stage.download().await;
    let took = stage.download().await;
    assert!(took <= healthy * 3 / 2, "{took:?} beside {healthy:?}");
}
