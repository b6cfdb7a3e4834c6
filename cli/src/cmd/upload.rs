//! `upload`.

use std::path::PathBuf;
use std::sync::Arc;

use rclonepool_core::pool::{LinkPolicy, Source, UploadOptions, UploadReport};
use rclonepool_core::{Error, ErrorKind, Pool, PoolPath, Result};
use serde_json::json;

use super::transfer::{FilterArgs, ParallelArgs, amount, done_of, interrupted, rate};
use super::{Target, partial, words};
use crate::context::Context;
use crate::format;
use crate::progress::{Files, Items, Progress, Tally};

/// Where the index keeps the speed of the last upload, in bytes per second.
const SPEED: &str = "upload-speed";
/// Less says nothing of the speed.
const SPEED_FROM_BYTES: u64 = 8 << 20;

/// Store files, directories or standard input in the pool
///
/// FILE /x stores it as /x; FILE /dir/ stores it as /dir/FILE; DIR /many stores DIR/a as /many/a.
/// Several sources go into the target, each under its own name. What the pool holds already is
/// skipped, and an interrupted upload continues where it was.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files and directories; - is standard input
    #[arg(required = true, value_name = "LOCAL")]
    sources: Vec<PathBuf>,

    /// Where to, in the pool
    #[arg(value_name = "POOLPATH")]
    target: String,

    #[command(flatten)]
    parallel: ParallelArgs,

    /// Store even what the pool holds already
    #[arg(short, long)]
    force: bool,

    /// Compare content instead of size and modification time
    #[arg(long, conflicts_with = "force")]
    checksum: bool,

    /// Say what would be stored and whether it fits, and store nothing
    #[arg(short = 'n', long)]
    dry_run: bool,

    #[command(flatten)]
    filter: FilterArgs,

    /// Store symbolic links as links [default: leave them out]
    #[arg(long)]
    links: bool,

    /// Store what symbolic links lead to
    #[arg(long, conflicts_with = "links")]
    copy_links: bool,
}

/// What the words on the command line come to.
enum Plan {
    Stream(Box<dyn std::io::Read + Send>, PoolPath),
    File(PathBuf, PoolPath),
    Several(Vec<(PathBuf, PoolPath)>),
}

pub async fn run(args: Args, context: &Context) -> Result<()> {
    let target = Target::new(&args.target)?;
    let plan = plan(&args.sources, &target)?;
    let options = UploadOptions {
        force: args.force,
        checksum: args.checksum,
        filter: args.filter.filter()?,
        links: match (args.links, args.copy_links) {
            (true, _) => LinkPolicy::Store,
            (_, true) => LinkPolicy::Follow,
            _ => LinkPolicy::Skip,
        },
        dry_run: args.dry_run,
        ..UploadOptions::default()
    };
    let mut config = context.config()?;
    args.parallel.apply(&mut config);
    context
        .with_pool(&config, async |pool| {
            words::warn_of_tolerance(context, pool).await;
            let (report, tally) = upload(context, pool, plan, &options).await?;
            if args.dry_run {
                return tell_plan(context, pool, &report, &tally).await;
            }
            context.report_stale(pool, report.stale).await;
            tell(context, pool, &report, &tally, &target.path)
        })
        .await
}

fn plan(sources: &[PathBuf], target: &Target) -> Result<Plan> {
    if let [source] = sources {
        if source.as_os_str() == "-" {
            return Ok(Plan::Stream(Box::new(std::io::stdin()), stream_path(target)?));
        }
        let metadata = metadata(source)?;
        if metadata.is_dir() {
            return Ok(Plan::Several(vec![(source.clone(), target.path.clone())]));
        }
        // A pipe, such as the shell's <(…).
        if !metadata.is_file() {
            let file =
                std::fs::File::open(source).map_err(|e| Error::io("cannot read", e).at_path(source.display()))?;
            return Ok(Plan::Stream(Box::new(file), stream_path(target)?));
        }
        let path =
            if target.into || target.path.is_root() { named(source, &target.path)? } else { target.path.clone() };
        return Ok(Plan::File(source.clone(), path));
    }
    let mut several = Vec::new();
    for source in sources {
        if source.as_os_str() == "-" {
            return Err(Error::new(ErrorKind::InvalidArgument, "standard input cannot be one of several sources")
                .hint("upload it alone, to the path it shall have"));
        }
        metadata(source)?;
        several.push((source.clone(), named(source, &target.path)?));
    }
    Ok(Plan::Several(several))
}

fn stream_path(target: &Target) -> Result<PoolPath> {
    if target.into || target.path.is_root() {
        return Err(Error::new(ErrorKind::InvalidArgument, "a stream has no name of its own")
            .at_path(&target.path)
            .hint("give the whole path it shall have"));
    }
    Ok(target.path.clone())
}

fn metadata(source: &std::path::Path) -> Result<std::fs::Metadata> {
    std::fs::metadata(source).map_err(|e| Error::io("cannot read", e).at_path(source.display()))
}

/// The path of a local file in a pool directory.
fn named(source: &std::path::Path, directory: &PoolPath) -> Result<PoolPath> {
    // `..` and `/` have names, too: those of the directories they are.
    let name = match source.file_name() {
        Some(name) => Some(name.to_owned()),
        None => std::fs::canonicalize(source).ok().and_then(|whole| whole.file_name().map(ToOwned::to_owned)),
    };
    let name = name.and_then(|name| name.into_string().ok()).ok_or_else(|| {
        Error::new(ErrorKind::InvalidArgument, "it has no name that can stand in a pool path")
            .at_path(source.display())
            .hint("upload it alone, to the path it shall have")
    })?;
    directory.join(&name)
}

async fn upload(
    context: &Context,
    pool: &Arc<Pool>,
    plan: Plan,
    options: &UploadOptions,
) -> Result<(UploadReport, Tally)> {
    let items = if matches!(plan, Plan::Several(_)) { Items::Files } else { Items::Chunks };
    let files = match (options.dry_run, context.global.verbose > 0) {
        (true, _) => Files::Planned,
        (false, true) => Files::Named,
        (false, false) => Files::Quiet,
    };
    let progress = Progress::start(&context.ui, items, files, &context.cancel);
    let monitor = progress.monitor().clone();
    let stream = matches!(plan, Plan::Stream(..));
    let done = match plan {
        Plan::Stream(reader, path) if options.dry_run => {
            drop(reader);
            Err(Error::new(ErrorKind::InvalidArgument, "a stream's size is not known before it is read")
                .at_path(&path)
                .hint("--dry-run works for files and directories"))
        }
        Plan::Stream(reader, path) => pool.upload(Source::Stream(reader), &path, options, &monitor).await,
        Plan::File(file, path) => pool.upload(Source::File(file), &path, options, &monitor).await,
        Plan::Several(sources) => pool.upload_all(&sources, options, &monitor).await,
    };
    let tally = progress.finish();
    let report = done.map_err(|error| {
        interrupted(error, || match items {
            _ if stream => "nothing is stored; a stream must be given again from its beginning".into(),
            Items::Chunks => {
                format!("{}; the same command continues there", done_of(&tally, "chunk", "stored"))
            }
            Items::Files => {
                format!("{}; the same command continues with the rest", done_of(&tally, "file", "stored"))
            }
        })
    })?;
    Ok((report, tally))
}

fn tell(context: &Context, pool: &Pool, report: &UploadReport, tally: &Tally, target: &PoolPath) -> Result<()> {
    let moved = report.bytes.saturating_sub(report.resumed_bytes);
    if moved >= SPEED_FROM_BYTES {
        // Only a later estimate needs it.
        drop(pool.journal().index().set_meta(SPEED, &format!("{:.0}", rate(moved, tally.elapsed))));
    }
    let mut parts = Vec::new();
    if report.files > 0 {
        parts.push(format!("uploaded {}", amount(report.files, report.bytes, moved, tally.elapsed)));
    }
    if report.resumed_bytes > 0 {
        parts.push(format!("{} of it were there from an interrupted upload", format::size(report.resumed_bytes)));
    }
    if report.deduplicated_bytes > 0 {
        parts.push(format!("{} of it were in the pool already", format::size(report.deduplicated_bytes)));
    }
    if report.unchanged > 0 {
        parts.push(format!("{} unchanged", format::count(report.unchanged, "file")));
    }
    if report.skipped > 0 {
        parts.push(format!("{} left out (links and special files)", report.skipped));
    }
    if parts.is_empty() {
        parts.push("nothing to upload".into());
    }
    context.ui.say(&format!("{}: {}", format::printable(target.as_str()), parts.join("; ")))?;
    let mut summary = serde_json::to_value(report).unwrap_or_default();
    summary["target"] = target.as_str().into();
    summary["seconds_elapsed"] = tally.elapsed.as_secs_f64().into();
    context.ui.summary(summary)?;
    let all = report.files + report.unchanged + report.failed;
    if report.failed > 0 { Err(partial(report.failed, all, "file")) } else { Ok(()) }
}

async fn tell_plan(context: &Context, pool: &Pool, report: &UploadReport, tally: &Tally) -> Result<()> {
    let status = context.stoppable(pool.status()).await?;
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate"
    )]
    let stored = (report.bytes as f64 * status.redundancy.overhead()) as u64;
    let fits = status.free.map(|free| report.bytes <= free);
    let speed = pool.journal().index().meta(SPEED)?.and_then(|text| text.parse::<f64>().ok()).filter(|s| *s > 0.0);
    #[allow(clippy::cast_precision_loss, reason = "an estimate")]
    let seconds = speed.map(|speed| (report.bytes as f64 / speed).min(3.0e9));
    let say = |text: String| context.ui.say(&text);
    say(format!(
        "would upload {}, {}; on the remotes {} ({}){}",
        format::count(report.files, "file"),
        format::size(report.bytes),
        format::size(stored),
        status.redundancy,
        if report.unchanged > 0 {
            format!("; {} unchanged", format::count(report.unchanged, "file"))
        } else {
            String::new()
        },
    ))?;
    say(match (fits, status.free) {
        (Some(true), Some(free)) => format!("it fits: {} are free after redundancy", format::size(free)),
        (Some(false), Some(free)) => format!("it does NOT fit: only {} are free after redundancy", format::size(free)),
        _ => "whether it fits is not known: not all remotes tell their free space (remote_quotas can)".into(),
    })?;
    say(match (seconds, speed) {
        (Some(seconds), Some(speed)) => format!(
            "it would take about {} at {:.2} MB/s, the speed of the last upload",
            format::span(std::time::Duration::from_secs_f64(seconds)),
            speed / format::MB
        ),
        _ => "how long it takes is not known before a first upload".into(),
    })?;
    context.ui.summary(json!({
        "dry_run": true,
        "files": report.files,
        "bytes": report.bytes,
        "bytes_stored": stored,
        "unchanged": report.unchanged,
        "skipped": report.skipped,
        "failed": report.failed,
        "bytes_free": status.free,
        "fits": fits,
        "seconds_estimated": seconds,
    }))?;
    let all = report.files + report.unchanged + report.failed;
    match fits {
        _ if report.failed > 0 => Err(partial(tally.failed.max(report.failed), all, "file")),
        Some(false) => Err(Error::new(ErrorKind::Full, "it does not fit").hint("add a remote, or raise a quota")),
        _ => Ok(()),
    }
}
