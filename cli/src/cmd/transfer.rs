//! What upload and download share.

use std::time::Duration;

use clap::Args;
use rclonepool_core::pool::Filter;
use rclonepool_core::{Config, Error, ErrorKind, Result};

use crate::format::{self, MB};
use crate::progress::Tally;

/// Which files of a directory.
#[derive(Debug, Clone, Args)]
pub struct FilterArgs {
    /// Take only files that match, such as '*.jpg' or '/2024/**' (repeatable)
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,

    /// Leave out files and directories that match (repeatable)
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
}

impl FilterArgs {
    /// # Errors
    /// `InvalidArgument`, naming the pattern.
    pub fn filter(&self) -> Result<Filter> {
        Filter::new(&self.include, &self.exclude)
    }
}

/// How many chunks at once.
#[derive(Debug, Clone, Args)]
pub struct ParallelArgs {
    /// Move several chunks at once (N of them; else max_parallel_workers), whatever the configuration says
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=256))]
    parallel: Option<Option<u32>>,
}

impl ParallelArgs {
    pub fn apply(&self, config: &mut Config) {
        let Some(workers) = self.parallel else { return };
        (config.parallel_uploads, config.parallel_downloads) = (true, true);
        if let Some(workers) = workers {
            config.max_parallel_workers = workers;
        }
    }
}

/// `3 files, 96.0 MiB in 2.1 s (45.71 MB/s)`; the speed is that of the bytes that `moved`.
pub fn amount(files: u64, bytes: u64, moved: u64, time: Duration) -> String {
    let rate = rate(moved, time) / MB;
    format!("{}, {} in {} ({rate:.2} MB/s)", format::count(files, "file"), format::size(bytes), format::span(time))
}

/// Bytes per second.
#[allow(clippy::cast_precision_loss, reason = "for display")]
pub fn rate(bytes: u64, time: Duration) -> f64 {
    bytes as f64 / time.as_secs_f64().max(0.001)
}

/// The error of an interrupted transfer: what is kept, and how it goes on.
pub fn interrupted(error: Error, kept: impl FnOnce() -> String) -> Error {
    match error.kind() {
        ErrorKind::Cancelled => Error::new(ErrorKind::Cancelled, format!("interrupted: {}", kept())),
        _ => error,
    }
}

/// `3 of 10 chunks are stored`.
pub fn done_of(tally: &Tally, noun: &str, done: &str) -> String {
    let total = tally.total_items.unwrap_or(tally.items);
    let are = if tally.items == 1 { "is" } else { "are" };
    format!("{} of {} {are} {done}", tally.items.min(total), format::count(total, noun))
}
