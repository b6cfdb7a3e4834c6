//! CPU seconds of our process, beside those of `openssl sha256` over the same bytes.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::MIB;
use crate::places::{self, TestPool, directories};
use crate::table::{Goal, Row, median};
use crate::worker::{Outcome, Work};
use crate::{Result, Scale, gauge};

const REMOTES: usize = 4;
const MOST: f64 = 1.75;

pub fn run(scale: Scale) -> Result<Vec<Row>> {
    let size = scale.size(1024 * MIB, 256 * MIB);
    let parity = json!({ "redundancy_mode": "parity" });
    let mut rows = Vec::new();
    for (what, through_rclone, more) in [
        ("to directories, mode none", false, json!({})),
        ("to directories, parity 3+1", false, parity.clone()),
        ("through rclone, mode none", true, json!({})),
        ("through rclone, parity 3+1", true, parity),
    ] {
        let mut all = Vec::new();
        for _ in 0..scale.rounds {
            all.push(round(size, through_rclone, &more)?);
        }
        let row = |way: &str, outcome: &dyn Fn(&(Outcome, Outcome, f64)) -> f64, goal: Goal| Row {
            what: format!("CPU, {way} {what}"),
            ours: format!("{:.2} s", median(all.iter().map(outcome))),
            beside: format!("openssl sha256: {:.2} s", median(all.iter().map(|(_, _, openssl)| *openssl))),
            ratio: median(all.iter().map(|one| outcome(one) / one.2)),
            goal,
        };
        rows.push(row("upload", &|(up, ..)| up.cpu_seconds, Goal::AtMost(MOST)));
        rows.push(row("download", &|(_, down, _)| down.cpu_seconds, Goal::AtMost(MOST)));
        if through_rclone {
            rows.push(row("upload with rclone's own", &|(up, ..)| up.cpu_seconds + up.rclone_cpu_seconds, Goal::None));
        }
    }
    Ok(rows)
}

fn round(size: u64, through_rclone: bool, more: &Value) -> Result<(Outcome, Outcome, f64)> {
    let home = places::fast(size * 4)?;
    let (source, back) = (home.path().join("source"), home.path().join("back"));
    places::random_file(&source, size)?;
    let pool = if through_rclone {
        let mut conf = rclonepool_tests::rclone::Config::new(home.path());
        let mut labels = Vec::new();
        for (n, directory) in (1..).zip(directories(home.path(), "remote", REMOTES)?) {
            conf.directory(&format!("d{n}"), &directory);
            labels.push(format!("d{n}:"));
        }
        TestPool::init(home.path(), &labels, Some(conf.path()), more.clone())?
    } else {
        TestPool::of_directories(home.path(), REMOTES, more.clone())?
    };
    let openssl = openssl(&source)?;
    let up = pool.run(Work::Upload { from: source.clone(), to: "/file".into() })?;
    let down = pool.run(Work::Download { from: "/file".into(), to: back.clone() })?;
    places::check_same(&source, &back)?;
    Ok((up, down, f64::midpoint(openssl, self::openssl(&source)?)))
}

/// CPU seconds that `openssl` takes to hash a file.
pub fn openssl(file: &Path) -> Result<f64> {
    let before = gauge::children_cpu();
    let status = Command::new("openssl").args(["dgst", "-sha256"]).arg(file).stdout(Stdio::null()).status();
    let status = status.map_err(|e| format!("openssl cannot be run: {e}; install it"))?;
    if !status.success() {
        return Err(format!("openssl ended with {status}").into());
    }
    Ok(gauge::children_cpu() - before)
}
