//! A pool of very many files: what an everyday command costs, and how long a new machine takes to know it all.

use std::path::Path;

use serde_json::json;

use super::mib;
use crate::places::{self, TestPool};
use crate::table::{Goal, Row, median};
use crate::worker::{Outcome, Work};
use crate::{Result, Scale};

const REMOTES: usize = 5;
const FILES: u32 = 1000;
const RUNS: usize = 5;
const MOST_MS: f64 = 100.0;
const MOST_RESIDENT_MIB: f64 = 300.0;
/// What a new machine downloads the journal with: 160 Mbit/s.
const BYTES_PER_SECOND: f64 = 20e6;
const MOST_DOWNLOADS: f64 = 3.0;

#[allow(clippy::cast_precision_loss, reason = "for a ratio")]
pub fn run(scale: Scale) -> Result<Vec<Row>> {
    let home = places::fast(4 << 30)?;
    let mut pool = TestPool::of_directories(home.path(), REMOTES, json!({ "redundancy_mode": "parity" }))?;
    let directories = scale.size(1000, 20);
    let files = directories * FILES;
    pool.run(Work::Fill { directories, files: FILES })?;
    let list = |pool: &TestPool| pool.run(Work::List { directory: format!("/photos/{:04}", directories / 2) });
    // The first one may have something to tidy up.
    list(&pool)?;
    let runs = (0..RUNS).map(|_| list(&pool)).collect::<Result<Vec<Outcome>>>()?;
    std::fs::remove_dir_all(home.path().join("index"))?;
    // A line of this speed, whose bytes are merged while more come in.
    pool.config["bandwidth_limit_download_mbps"] = mib_per_second().into();
    let cold = list(&pool)?;
    if runs.iter().chain([&cold]).any(|run| run.entries != u64::from(FILES)) {
        return Err("the listing is not what was put there".into());
    }
    let warm = median(runs.iter().map(|run| run.all_seconds)) * 1000.0;
    let journal = bytes_below(&home.path().join("remote1"))?;
    let download = journal as f64 / BYTES_PER_SECOND;
    let resident = runs.iter().chain([&cold]).map(|run| mib(run.peak_resident)).fold(0.0, f64::max);
    let row = |what: &str, ours: String, beside: String, ratio: f64, most: f64| Row {
        what: format!("{files} files, {what}"),
        ours,
        beside,
        ratio,
        goal: Goal::AtMost(most),
    };
    Ok(vec![
        row(
            &format!("warm ls of {FILES} of them: all of the process"),
            format!("{warm:.0} ms"),
            format!("{MOST_MS:.0} ms"),
            warm / MOST_MS,
            1.0,
        ),
        row(
            "cold: a new machine's first ls over a line of 20 MB/s",
            format!("{:.1} s", cold.all_seconds),
            format!("the download of {:.0} MiB: {download:.1} s", mib(journal)),
            cold.all_seconds / download,
            MOST_DOWNLOADS,
        ),
        row(
            "most memory resident, warm or cold",
            format!("{resident:.0} MiB"),
            format!("{MOST_RESIDENT_MIB:.0} MiB"),
            resident / MOST_RESIDENT_MIB,
            1.0,
        ),
    ])
}

fn mib_per_second() -> f64 {
    BYTES_PER_SECOND / 1_048_576.0
}

fn bytes_below(directory: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { bytes_below(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
