//! Five clouds of equal bandwidth: reading anywhere in a file, again, in order, and while one of them is slow.

use std::time::Duration;

use serde_json::{Value, json};

use super::MIB;
use crate::clouds::{Clouds, Protocol};
use crate::places::{self, TestPool};
use crate::slowcloud::Limits;
use crate::table::{Goal, Row, median};
use crate::worker::{Outcome, Work};
use crate::{Result, Scale};

const CLOUDS: usize = 5;
const BYTES_PER_SECOND: f64 = 5e6;
const ROUND_TRIP: Duration = Duration::from_millis(40);
const CHUNK_BYTES: u64 = 32 * MIB;
const SLOWER: u32 = 20;
/// Round trips a read may take beside its bytes.
const ROUND_TRIPS: f64 = 1.2;

#[derive(Default)]
struct Times {
    /// Median and 99th percentile, in milliseconds: of 1 MiB, of 64 KiB, and of 1 MiB while one is slow.
    mib: [Vec<f64>; 2],
    small: Vec<f64>,
    slow: [Vec<f64>; 2],
    again: Vec<f64>,
    sequence: Vec<f64>,
}

pub async fn run(scale: Scale) -> Result<Vec<Row>> {
    let mut times = Times::default();
    for _ in 0..scale.rounds {
        round(scale, &mut times).await?;
    }
    let [p50, p99] = times.mib.map(median);
    let [slow50, slow99] = times.slow.map(median);
    let trip = ROUND_TRIP.as_secs_f64() * 1000.0;
    // A block is the least that can be verified; two of them come side by side.
    let block = super::mib(MIB) * 1000.0 * 1_048_576.0 / BYTES_PER_SECOND;
    let ideal = ROUND_TRIPS * trip + block;
    let ms = |time: f64| format!("{time:.0} ms");
    let row = |what: &str, ours: String, beside: String, ratio: f64, goal: Goal| Row {
        what: what.into(),
        ours,
        beside,
        ratio,
        goal,
    };
    let beside = format!("{ROUND_TRIPS} round trips + transfer: {}", ms(ideal));
    let trips = 2.0 * trip + block;
    let both = format!("with the HEAD that rclone sends first: {}", ms(trips));
    let again = median(times.again);
    let sequence = median(times.sequence);
    let small = median(times.small);
    Ok(vec![
        row("1 MiB at a random offset (S3, 4+1), median", ms(p50), beside, p50 / ideal, Goal::AtMost(1.0)),
        row("the same", ms(p50), both, p50 / trips, Goal::None),
        row("64 KiB at a random offset, median, to that of 1 MiB", ms(small), ms(p50), small / p50, Goal::AtMost(1.0)),
        row(
            "1 MiB, one of 5 clouds 20 times slower, 99th percentile, to all healthy",
            ms(slow99),
            ms(p99),
            slow99 / p99,
            Goal::AtMost(1.5),
        ),
        row("the same, median", ms(slow50), ms(p50), slow50 / p50, Goal::None),
        row("requests for ten reads done before", format!("{again:.0}"), "0".into(), again, Goal::AtMost(0.0)),
        row(
            "reading in order by position, throughput to `download`",
            format!("{sequence:.3}"),
            "1".into(),
            sequence,
            Goal::AtLeast(0.95),
        ),
    ])
}

async fn round(scale: Scale, times: &mut Times) -> Result<()> {
    let (size, reads) = (scale.size(512 * MIB, 64 * MIB), scale.size(300, 20));
    let home = places::fast(size * 3)?;
    let (source, back) = (home.path().join("source"), home.path().join("back"));
    places::random_file(&source, size)?;
    let limits = Limits { bytes_per_second: Some(BYTES_PER_SECOND), round_trip: ROUND_TRIP, requests_per_second: None };
    let clouds = Clouds::start(home.path(), Protocol::S3, CLOUDS, limits).await?;
    let settings = |cache: bool| -> Value {
        json!({
            "chunk_size": CHUNK_BYTES, "enable_chunk_cache": cache, "max_parallel_workers": 8, "memory_limit_mb": 1024,
            "redundancy_mode": "parity", "parity_data_shards": 4, "parity_parity_shards": 1,
        })
    };
    let mut pool = TestPool::init(home.path(), &clouds.labels, Some(clouds.conf.path()), settings(false))?;
    pool.run(Work::Upload { from: source.clone(), to: "/file".into() })?;
    let random = |reads: u32, bytes: u64| Work::Random { from: "/file".into(), reads, bytes };
    let healthy = pool.run(random(reads, MIB))?;
    keep(&mut times.mib, &healthy);
    times.small.push(percentile(&pool.run(random(reads / 3, 64 << 10))?, 50));
    let by_position = pool.run(Work::Sequence { from: "/file".into(), step: 256 << 10 })?;
    let download = pool.run(Work::Download { from: "/file".into(), to: back.clone() })?;
    places::check_same(&source, &back)?;
    times.sequence.push(download.work_seconds / by_position.work_seconds);
    pool.config["enable_chunk_cache"] = true.into();
    #[allow(clippy::cast_precision_loss, reason = "a count")]
    times.again.push(pool.run(random(20, MIB))?.again as f64);
    pool.config["enable_chunk_cache"] = false.into();
    clouds.slow_last(SLOWER);
    keep(&mut times.slow, &pool.run(random(reads, MIB))?);
    Ok(())
}

fn keep(times: &mut [Vec<f64>; 2], outcome: &Outcome) {
    times[0].push(percentile(outcome, 50));
    times[1].push(percentile(outcome, 99));
}

fn percentile(outcome: &Outcome, percent: usize) -> f64 {
    let times = &outcome.times_ms;
    times.get((times.len() * percent / 100).min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}
