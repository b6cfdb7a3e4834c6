//! Five clouds of equal bandwidth: how much of their sum one file gets.
//!
//! Whole commands are timed, from the start of the process and of its rclone to its end. Beside them, what rclone
//! alone gets out of one such cloud.

use std::path::Path;
use std::time::{Duration, Instant};

use rclonepool_tests::rclone;
use serde_json::json;

use super::MIB;
use crate::clouds::{Clouds, Protocol};
use crate::places::{self, TestPool};
use crate::slowcloud::Limits;
use crate::table::{Goal, Row, median};
use crate::worker::Work;
use crate::{Result, Scale};

const CLOUDS: usize = 5;
/// So little that neither we nor `rclone serve` are what limits.
const BYTES_PER_SECOND: f64 = 5e6;
const ROUND_TRIP: Duration = Duration::from_millis(40);
/// What a cloud gives in a few seconds: so the last chunks keep all clouds busy to the end.
const CHUNK_BYTES: u64 = 8 * MIB;
const LEAST_SHARE: f64 = 0.95;
/// Opening tries the dead one, too.
const LEAST_DEGRADED: f64 = 0.9;
/// Twice the default: four chunks of four shards at a time do not keep five clouds busy all the time.
const WORKERS: u32 = 8;

#[derive(Default)]
struct Shares {
    up: Vec<f64>,
    down: Vec<f64>,
    one_up: Vec<f64>,
    one_down: Vec<f64>,
    /// Seconds until the pool was open, of the upload and of the download.
    open: [Vec<f64>; 2],
}

pub async fn run(scale: Scale) -> Result<Vec<Row>> {
    let size = scale.size(1024 * MIB, 64 * MIB);
    let mut rows = Vec::new();
    for (data, parity, alive) in [(3, 1, CLOUDS), (4, 1, CLOUDS), (3, 1, CLOUDS - 1)] {
        let mut shares = Shares::default();
        for _ in 0..scale.rounds {
            round(size, (data, parity), alive, &mut shares).await?;
        }
        let state = if alive < CLOUDS { ", one of 5 dead" } else { "" };
        let goal = Goal::AtLeast(if alive < CLOUDS { LEAST_DEGRADED } else { LEAST_SHARE });
        let [open_up, open_down] = shares.open;
        let row = |what: &str, ours: Vec<f64>, open: Vec<f64>, one: &[f64]| {
            let share = median(ours);
            Row {
                what: format!("{what} {data}+{parity}{state}, share of {alive} clouds' bandwidth"),
                ours: format!("{share:.3} (opening {:.1} s)", median(open)),
                beside: format!("rclone of one: {:.3}", median(one.iter().copied())),
                ratio: share,
                goal,
            }
        };
        rows.push(row("upload (with parity)", shares.up, open_up, &shares.one_up));
        rows.push(row("download", shares.down, open_down, &shares.one_down));
    }
    Ok(rows)
}

#[allow(clippy::cast_precision_loss, reason = "for a ratio")]
async fn round(size: u64, (data, parity): (u8, u8), alive: usize, shares: &mut Shares) -> Result<()> {
    let home = places::fast(size * 5)?;
    let (source, back) = (home.path().join("source"), home.path().join("back"));
    places::random_file(&source, size)?;
    let limits = Limits { bytes_per_second: Some(BYTES_PER_SECOND), round_trip: ROUND_TRIP, requests_per_second: None };
    let clouds = Clouds::start(home.path(), Protocol::S3, CLOUDS, limits).await?;
    let redundancy = json!({
        "chunk_size": CHUNK_BYTES, "max_parallel_workers": WORKERS,
        "redundancy_mode": "parity", "parity_data_shards": data, "parity_parity_shards": parity,
    });
    let pool = TestPool::init(home.path(), &clouds.labels, Some(clouds.conf.path()), redundancy)?;
    let ideal = |bytes: u64, clouds: usize| bytes as f64 / (BYTES_PER_SECOND * clouds as f64);
    let upload = |to: &str| Work::Upload { from: source.clone(), to: to.into() };
    let download = Work::Download { from: "/file".into(), to: back.clone() };
    let mut up = pool.run(upload("/file"))?;
    if alive < CLOUDS {
        // What is read was stored on all.
        clouds.kill_last();
        up = pool.run(upload("/other"))?;
    }
    shares.up.push(ideal(up.stored_bytes, alive) / up.all_seconds);
    let down = pool.run(download)?;
    shares.down.push(ideal(size, alive) / down.all_seconds);
    shares.open[0].push(up.open_seconds);
    shares.open[1].push(down.open_seconds);
    places::check_same(&source, &back)?;

    // As much as one of them gets of it.
    let part = home.path().join("part");
    places::random_file(&part, size / CLOUDS as u64)?;
    let one = format!("{}/alone", clouds.labels[0]);
    let timed = |from: &Path, to: &Path| {
        let begin = Instant::now();
        rclone_copyto(&clouds, from, to);
        ideal(size / CLOUDS as u64, 1) / begin.elapsed().as_secs_f64()
    };
    shares.one_up.push(timed(&part, Path::new(&one)));
    shares.one_down.push(timed(Path::new(&one), &back));
    Ok(())
}

fn rclone_copyto(clouds: &Clouds, from: &Path, to: &Path) {
    let conf = clouds.conf.path();
    rclone::run([Path::new("--config"), conf, Path::new("copyto"), from, to]);
}
