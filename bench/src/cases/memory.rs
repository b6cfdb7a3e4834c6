//! The most memory our process takes while a large file streams through it.

use serde_json::{Value, json};

use super::{MIB, mib};
use crate::places::{self, TestPool, directories};
use crate::table::{Goal, Row};
use crate::worker::{Job, Outcome, Work};
use crate::{Result, Scale};

const REMOTES: usize = 4;
/// What a process needs besides `memory_limit_mb`.
const BESIDES: u64 = 128 * MIB;

pub fn run(scale: Scale) -> Result<Vec<Row>> {
    let size = scale.size(4096 * MIB, 512 * MIB);
    let mut rows = Vec::new();
    let modes = [("mode none", json!({})), ("parity 3+1", json!({ "redundancy_mode": "parity" }))];
    for (mode, more) in modes {
        // The default limit, and the least that is promised for chunks of the default size.
        for (limit, through_rclone) in [(512, false), (512, true), (128, true)] {
            let mut more = more.clone();
            more["memory_limit_mb"] = limit.into();
            let (up, down) = measure(size, through_rclone, &more)?;
            for (what, outcome) in [("upload", up), ("download", down)] {
                rows.push(row(what, size, limit * MIB, through_rclone, mode, &outcome));
            }
        }
    }
    Ok(rows)
}

#[allow(clippy::cast_precision_loss, reason = "for a ratio")]
fn row(what: &str, size: u64, limit: u64, through_rclone: bool, mode: &str, outcome: &Outcome) -> Row {
    // Memory files count, although the kernel charges them to nobody.
    let peak = outcome.peak_memory.max(outcome.peak_resident);
    let most = limit + BESIDES;
    let rclone = outcome.rclone_peak_resident;
    let and = if through_rclone { format!("; rclone itself {:.0} MiB", mib(rclone)) } else { String::new() };
    Row {
        what: format!(
            "memory of a {:.1} GiB {what} {}, {mode}, limit {:.0} MiB",
            mib(size) / 1024.0,
            if through_rclone { "through rclone" } else { "on directories" },
            mib(limit)
        ),
        ours: format!("{:.0} MiB ({:.0} resident)", mib(peak), mib(outcome.peak_resident)),
        beside: format!("limit + 128: {:.0} MiB{and}", mib(most)),
        ratio: peak as f64 / most as f64,
        goal: Goal::AtMost(1.0),
    }
}

fn measure(size: u64, through_rclone: bool, more: &Value) -> Result<(Outcome, Outcome)> {
    let home = places::disk()?;
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
    let watched = |work| Job { watch_memory: true, ..Job::new(&pool.config, work) }.run();
    let up = watched(Work::Stream { bytes: size, to: "/file".into() })?;
    let down = watched(Work::Download { from: "/file".into(), to: home.path().join("back") })?;
    Ok((up, down))
}
