//! Listing a directory of a large pool whose index is warm.

use serde_json::json;

use crate::places::{self, TestPool};
use crate::table::{Goal, Row, median};
use crate::worker::{Outcome, Work};
use crate::{Result, Scale};

const REMOTES: usize = 4;
const FILES: u32 = 1000;
const MOST_MS: f64 = 50.0;
const RUNS: usize = 9;

pub fn run(scale: Scale) -> Result<Vec<Row>> {
    let home = places::fast(1 << 30)?;
    let pool = TestPool::of_directories(home.path(), REMOTES, json!({}))?;
    let directories = scale.size(100, 10);
    pool.run(Work::Fill { directories, files: FILES })?;
    let list = || pool.run(Work::List { directory: format!("/photos/{:04}", directories / 2) });
    // The first one may have something to tidy up.
    list()?;
    let runs = (0..RUNS).map(|_| list()).collect::<Result<Vec<Outcome>>>()?;
    if runs.iter().any(|run| run.entries != u64::from(FILES)) {
        return Err("the listing is not what was put there".into());
    }
    let calls: Vec<String> =
        runs[0].calls.iter().filter(|(_, n)| **n > 0).map(|(verb, n)| format!("{n} {verb}")).collect();
    // On directories the remotes' part takes next to nothing: all of the process is an upper bound.
    let all = median(runs.iter().map(|run| run.all_seconds)) * 1000.0;
    let index = median(runs.iter().map(|run| run.work_seconds)) * 1000.0;
    Ok(vec![Row {
        what: format!("warm ls of {FILES} files among {}: all of the process", directories * FILES),
        ours: format!("{all:.1} ms (index {index:.1} ms)"),
        beside: format!("{MOST_MS:.0} ms; remote calls: {} on {REMOTES} remotes", calls.join(", ")),
        ratio: all / MOST_MS,
        goal: Goal::AtMost(1.0),
    }])
}
