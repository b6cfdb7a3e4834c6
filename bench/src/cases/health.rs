//! The health of a large pool, from the index alone.

use serde_json::json;

use super::mib;
use crate::places::{self, TestPool};
use crate::table::{Goal, Row, median};
use crate::worker::{Outcome, Work};
use crate::{Result, Scale};

const REMOTES: usize = 5;
const FILES: u32 = 1000;
const MOST_SECONDS: f64 = 2.0;
const RUNS: usize = 5;

pub fn run(scale: Scale) -> Result<Vec<Row>> {
    let home = places::fast(2 << 30)?;
    let pool = TestPool::of_directories(home.path(), REMOTES, json!({ "redundancy_mode": "parity" }))?;
    let directories = scale.size(100, 10);
    pool.run(Work::FillChunks { directories, files: FILES })?;
    let runs = (0..RUNS).map(|_| pool.run(Work::Health)).collect::<Result<Vec<Outcome>>>()?;
    let files = u64::from(directories * FILES);
    if runs.iter().any(|run| run.entries != files) {
        return Err("the pool is not as healthy as it was made".into());
    }
    let all = median(runs.iter().map(|run| run.all_seconds));
    Ok(vec![Row {
        what: format!("health of {files} files of a chunk each: all of the process"),
        ours: format!("{all:.2} s, {:.0} MiB resident", mib(runs[0].peak_resident)),
        beside: format!("{MOST_SECONDS:.0} s; no remote is asked"),
        ratio: all / MOST_SECONDS,
        goal: Goal::AtMost(1.0),
    }])
}
