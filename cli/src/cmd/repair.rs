//! `repair`.

use std::path::PathBuf;

use rclonepool_core::{Error, ErrorKind, PoolPath, Result};

use super::transfer::{done_of, interrupted};
use crate::context::Context;
use crate::format::{self, count, size};
use crate::progress::{Files, Items, Progress};

/// Restore a file's missing and damaged shards from a local copy of it
///
/// Works also when too few shards are left to read the file. Every shard that can be reached is read and
/// checked. A copy that is not the same content is refused, with the first offset where it differs.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file of the pool
    #[arg(value_name = "POOLPATH")]
    path: String,

    /// A copy of it on this machine
    #[arg(value_name = "LOCAL")]
    source: PathBuf,

    /// Check the copy and the shards, and restore nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub async fn run(args: Args, context: &Context) -> Result<()> {
    let path = PoolPath::new(&args.path)?;
    let config = context.config()?;
    context
        .with_pool(&config, async |pool| {
            if pool.entry(&path)?.is_none() && pool.is_directory(&path)? {
                return Err(is_directory().at_path(&path));
            }
            if args.source.is_dir() {
                return Err(is_directory().at_path(args.source.display()));
            }
            let progress = Progress::start(&context.ui, Items::Chunks, Files::Quiet, &context.cancel);
            let monitor = progress.monitor().clone();
            let done = pool.repair(&path, &args.source, args.dry_run, &monitor).await;
            let tally = progress.finish();
            let report = done.map_err(|error| {
                interrupted(error, || {
                    format!("{}; the same command continues with the rest", done_of(&tally, "chunk", "whole again"))
                })
            })?;
            context.report_stale(pool, report.rebuilt.stale).await;
            let shown = format::printable(path.as_str());
            let (damaged, checked) = (report.damaged.len() as u64, count(report.checked, "shard"));
            context.ui.say(&match (damaged, args.dry_run) {
                (0, _) => format!("{shown}: nothing to repair; {checked} checked"),
                (_, true) => format!("{shown}: {damaged} of {checked} would be restored"),
                _ => format!("{shown}: restored {damaged} of {checked}, {}", size(report.rebuilt.bytes)),
            })?;
            if report.replaced > 0 {
                let chunks = count(report.replaced, "chunk");
                context.ui.say(&format!("{chunks} stored anew: compressed today, they are other bytes"))?;
            }
            if report.unknown > 0 {
                let shards = count(report.unknown, "shard");
                context.ui.warn(&format!("{shards} on remotes that cannot be asked now were left alone"));
            }
            let mut summary = serde_json::to_value(&report).unwrap_or_default();
            summary["dry_run"] = args.dry_run.into();
            summary["seconds_elapsed"] = tally.elapsed.as_secs_f64().into();
            context.ui.summary(summary)
        })
        .await
}

fn is_directory() -> Error {
    Error::new(ErrorKind::InvalidArgument, "is a directory").hint("repair files one by one")
}
