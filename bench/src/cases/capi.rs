//! What the C API costs beside Rust's: a file read in order, 64 KiB at a time, and what lies at a path.

use std::path::{Path, PathBuf};
use std::process::Command;

use rclonepool_core::path::PoolPath;
use rclonepool_core::pool::{OpenOptions, Source, UploadOptions};
use rclonepool_core::{Config, Monitor, Pool};
use serde_json::json;

use super::{MIB, in_order, mib};
use crate::places::{self, TestPool};
use crate::table::{Goal, Row, median};
use crate::{Result, Scale};

const PIECE: u64 = 64 << 10;
const FILE: &str = "/file";
/// Stat calls in a minute.
const STATS: f64 = 1e6;
/// Each reads the file so often; the fastest counts, as what disturbs it is not ours.
const READS: usize = 5;

pub async fn run(scale: Scale) -> Result<Vec<Row>> {
    let bytes = scale.size(256, 16) * MIB;
    let home = places::fast(4 * bytes)?;
    let made = TestPool::of_directories(home.path(), 3, json!({ "redundancy_mode": "replication" }))?;
    let config = Config::parse(&made.config.to_string())?;
    let local = home.path().join("local");
    places::random_file(&local, bytes)?;
    let path = PoolPath::new(FILE)?;
    let pool = Pool::open(&config, &OpenOptions::default()).await?;
    pool.upload(Source::File(local), &path, &UploadOptions::default(), &Monitor::default()).await?;
    pool.close().await;
    drop(pool);

    let program = compile(home.path())?;
    let stats = scale.size(100_000, 1000);
    let (mut ratios, mut c_seconds, mut rust_seconds, mut stat_seconds) = (vec![], vec![], vec![], vec![]);
    for _ in 0..scale.rounds {
        let (config, path) = (config.clone(), path.clone());
        // Each opens the pool anew, so that none finds the other's cache; each on a thread of its own, as C does.
        let rust =
            tokio::task::spawn_blocking(move || in_order::fastest(&config, &path, bytes, PIECE, READS)).await??;
        let (c, all_stats) = read_by_c(&program, &made.config.to_string(), stats, bytes)?;
        ratios.push(c / rust);
        c_seconds.push(c);
        rust_seconds.push(rust);
        stat_seconds.push(all_stats);
    }
    #[allow(clippy::cast_precision_loss, reason = "small")]
    let per_minute = stats as f64 * 60.0 / median(stat_seconds);
    let speed = |seconds: Vec<f64>| format!("{:.0} MiB/s", mib(bytes) / median(seconds));
    Ok(vec![
        Row {
            what: "64 KiB reads in order: time through C, beside Rust".into(),
            ours: speed(c_seconds),
            beside: speed(rust_seconds),
            ratio: median(ratios),
            goal: Goal::AtMost(1.05),
        },
        Row {
            what: "stat through C, from the index".into(),
            ours: format!("{:.1} million a minute", per_minute / 1e6),
            beside: format!("{:.0} million a minute", STATS / 1e6),
            ratio: per_minute / STATS,
            goal: Goal::AtLeast(1.0),
        },
    ])
}

/// The seconds of the fastest read of the file, and of all stat calls, by C.
fn read_by_c(program: &Path, config: &str, stats: u64, bytes: u64) -> Result<(f64, f64)> {
    let output = Command::new(program).args([config, FILE, &READS.to_string(), &stats.to_string()]).output()?;
    if !output.status.success() {
        return Err(format!("the C program: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let figures = text.lines().map(|line| {
        let (seconds, count) = line.split_once(' ').ok_or("no figures")?;
        Ok((seconds.parse::<f64>()?, count.parse::<u64>()?))
    });
    let figures = figures.collect::<Result<Vec<_>>>()?;
    let (stat, reads) = figures.split_last().ok_or("no figures")?;
    if reads.len() != READS || reads.iter().any(|(_, read)| *read != bytes) || stat.1 != stats {
        return Err(format!("the C program read something else: {text}").into());
    }
    Ok((reads.iter().map(|(seconds, _)| *seconds).fold(f64::MAX, f64::min), stat.0))
}

/// The C program, with the library that lies beside this one.
fn compile(directory: &Path) -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let library = here.parent().ok_or("no directory")?.join("librclonepool.so");
    if !library.exists() {
        return Err(format!("{} is not there: cargo build --release -p rclonepool-ffi", library.display()).into());
    }
    let (source, headers) = (concat!(env!("CARGO_MANIFEST_DIR"), "/src/cases/capi.c"), "/../include");
    let program = directory.join("capi");
    // By the name it gives itself.
    let (major, minor) = (env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"));
    let abi = if major == "0" { format!("0.{minor}") } else { major.to_owned() };
    std::os::unix::fs::symlink(&library, directory.join(format!("librclonepool.so.{abi}")))?;
    let compiled = Command::new("cc")
        .args(["-std=c99", "-O2", source, "-I", &format!("{}{headers}", env!("CARGO_MANIFEST_DIR"))])
        .arg(&library)
        .arg(format!("-Wl,-rpath,{}", directory.display()))
        .arg("-o")
        .arg(&program)
        .output()?;
    if !compiled.status.success() {
        return Err(format!("cc: {}", String::from_utf8_lossy(&compiled.stderr)).into());
    }
    Ok(program)
}
