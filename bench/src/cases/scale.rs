//! A pool of very many files: what everyday commands cost, and how long a new machine takes to know it all.

use std::time::Instant;

use serde_json::json;

use super::mib;
use crate::places::{self, TestPool};
use crate::table::{Goal, Row, median};
use crate::worker::{Outcome, Work};
use crate::{Result, Scale};

const REMOTES: usize = 5;
const FILES: u32 = 1000;
const RUNS: usize = 5;

pub fn run(scale: Scale) -> Result<Vec<Row>> {
    let home = places::fast(12 << 30)?;
    let pool = TestPool::of_directories(home.path(), REMOTES, json!({ "redundancy_mode": "parity" }))?;
    let directories = scale.size(1000, 100);
    let begin = Instant::now();
    let filled = pool.run(Work::Fill { directories, files: FILES })?;
    eprintln!("filled in {:?} {:?}", begin.elapsed(), filled);
    let list = || pool.run(Work::List { directory: format!("/photos/{:04}", directories / 2) });
    list()?;
    let runs = (0..RUNS).map(|_| list()).collect::<Result<Vec<Outcome>>>()?;
    eprintln!("{:?}", runs[0]);
    std::fs::remove_dir_all(home.path().join("index"))?;
    let cold = list()?;
    eprintln!("{cold:?}");
    let all = median(runs.iter().map(|run| run.all_seconds));
    eprintln!(
        "{:?}",
        std::process::Command::new("sh")
            .arg("-c")
            .arg(format!(
                "du -sh {0}/index {0}/remote1; ls {0}/remote1/*manifests/commits | wc -l",
                home.path().display()
            ))
            .output()
    );
    Ok(vec![Row {
        what: format!("warm ls of {FILES} files among {}: all of the process", directories * FILES),
        ours: format!("{:.0} ms, {:.0} MiB", all * 1000.0, mib(cold.peak_resident)),
        beside: "100 ms".into(),
        ratio: all * 10.0,
        goal: Goal::AtMost(1.0),
    }])
}
