//! `download`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rclonepool_core::pool::{DownloadOptions, DownloadReport};
use rclonepool_core::{Error, ErrorKind, Event, Pool, PoolPath, Result};
use serde_json::json;

use super::transfer::{FilterArgs, ParallelArgs, amount, done_of, interrupted};
use super::{check_is_no_directory, partial};
use crate::context::Context;
use crate::format;
use crate::progress::{Files, Items, Progress, Tally};

/// Write files or directories of the pool to this machine
///
/// A file gets its name when all of it is there and verified; an interrupted download leaves no half
/// file. A directory /many downloaded to back gives back/a for /many/a. Files that are there already,
/// with the same size and modification time, are skipped.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file or directory of the pool
    #[arg(value_name = "POOLPATH")]
    source: String,

    /// Where to: a file, a directory, or - for standard output [default: its name, here]
    #[arg(value_name = "LOCAL")]
    target: Option<PathBuf>,

    #[command(flatten)]
    parallel: ParallelArgs,

    /// Write even what is there already
    #[arg(short, long)]
    force: bool,

    /// Say what would be written, and write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,

    #[command(flatten)]
    filter: FilterArgs,
}

pub async fn run(args: Args, context: &Context) -> Result<()> {
    let source = PoolPath::new(&args.source)?;
    let target = match &args.target {
        Some(target) => target.clone(),
        None if source.is_root() => {
            return Err(Error::new(ErrorKind::InvalidArgument, "the whole pool has no name of its own")
                .hint("say where to: rclonepool download / DIRECTORY"));
        }
        None => PathBuf::from(source.name()),
    };
    let options = DownloadOptions { force: args.force, filter: args.filter.filter()?, dry_run: args.dry_run };
    let to_stdout = target.as_os_str() == "-";
    if to_stdout {
        context.ui.stdout_is_content();
        if args.dry_run {
            return Err(Error::new(ErrorKind::InvalidArgument, "--dry-run has nothing to say of standard output"));
        }
    }
    let mut config = context.config()?;
    args.parallel.apply(&mut config);
    context
        .with_pool(&config, async |pool| {
            if to_stdout {
                return write_out(context, pool, &source).await;
            }
            let target = place(pool, &source, target)?;
            let (report, tally) = download(context, pool, &source, &target, &options).await?;
            tell(context, &report, &tally, &target, options.dry_run)
        })
        .await
}

/// `dir/` is a directory, also one that does not exist yet.
fn place(pool: &Pool, source: &PoolPath, target: PathBuf) -> Result<PathBuf> {
    let into = target.as_os_str().to_string_lossy().ends_with(std::path::is_separator);
    let is_file = pool.entry(source)?.is_some_and(|entry| !entry.content.is_directory());
    if into && is_file { Ok(target.join(source.name())) } else { Ok(target) }
}

async fn download(
    context: &Context,
    pool: &Arc<Pool>,
    source: &PoolPath,
    target: &Path,
    options: &DownloadOptions,
) -> Result<(DownloadReport, Tally)> {
    let items =
        if pool.entry(source)?.is_some_and(|e| !e.content.is_directory()) { Items::Chunks } else { Items::Files };
    let files = match (options.dry_run, context.global.verbose > 0) {
        (true, _) => Files::Planned,
        (false, true) => Files::Named,
        (false, false) => Files::Quiet,
    };
    let progress = Progress::start(&context.ui, items, files, &context.cancel);
    let monitor = progress.monitor().clone();
    let done = monitor.run(pool.download(source, target, options, &monitor)).await;
    let tally = progress.finish();
    let report = done.map_err(|error| {
        interrupted(error, || match items {
            Items::Chunks => "no half file was left; the same command begins anew".into(),
            Items::Files => {
                format!("{}; the same command continues with the rest", done_of(&tally, "file", "written"))
            }
        })
    })?;
    Ok((report, tally))
}

async fn write_out(context: &Context, pool: &Arc<Pool>, source: &PoolPath) -> Result<()> {
    check_is_no_directory(pool, source)?;
    let size = pool.entry(source)?.map_or(0, |entry| entry.content.size());
    let progress = Progress::start(&context.ui, Items::Files, Files::Quiet, &context.cancel);
    progress.monitor().event(&Event::Total { bytes: size, items: 1 });
    let written = pool.read_to(source, None, &mut tokio::io::stdout(), progress.monitor()).await;
    let tally = progress.finish();
    let bytes = written?;
    context.ui.summary(json!({"bytes": bytes, "files": 1, "seconds_elapsed": tally.elapsed.as_secs_f64()}))
}

fn tell(context: &Context, report: &DownloadReport, tally: &Tally, target: &Path, dry_run: bool) -> Result<()> {
    let shown = format::printable(&target.display().to_string());
    let mut parts = Vec::new();
    if dry_run {
        parts.push(format!("would write {}, {}", format::count(report.files, "file"), format::size(report.bytes)));
    } else if report.files > 0 {
        parts.push(format!("downloaded {}", amount(report.files, report.bytes, report.bytes, tally.elapsed)));
    }
    if report.unchanged > 0 {
        parts.push(format!("{} unchanged", format::count(report.unchanged, "file")));
    }
    if parts.is_empty() {
        parts.push("nothing to download".into());
    }
    context.ui.say(&format!("{shown}: {}", parts.join("; ")))?;
    if report.degraded > 0 {
        context.ui.warn(&format!(
            "shards of {} are missing, damaged or offline, and were rebuilt",
            format::count(report.degraded, "file")
        ));
    }
    let mut summary = serde_json::to_value(report).unwrap_or_default();
    summary["target"] = target.display().to_string().into();
    summary["seconds_elapsed"] = tally.elapsed.as_secs_f64().into();
    summary["dry_run"] = dry_run.into();
    context.ui.summary(summary)?;
    let all = report.files + report.unchanged + report.failed;
    if report.failed > 0 { Err(partial(report.failed, all, "file")) } else { Ok(()) }
}
