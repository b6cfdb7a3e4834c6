//! `rebuild`.

use std::sync::Arc;

use rclonepool_core::config::{ConfigFile, redact_remote};
use rclonepool_core::pool::care::{ConvertPlan, RebuildOptions, RebuildPlan, RebuildReport};
use rclonepool_core::redundancy::Redundancy;
use rclonepool_core::{Config, Error, ErrorKind, Pool, PoolPath, Result};
use serde_json::json;

use super::partial;
use super::transfer::{ParallelArgs, amount, done_of, interrupted};
use super::words::too_few;
use crate::context::Context;
use crate::format::{self, count, size};
use crate::progress::{Files, Items, Progress, Tally};

/// Restore missing and damaged shards, or convert files to another redundancy
///
/// Without a path it restores what earlier commands found damaged, and what lay on remotes that were
/// removed. With a path, or --all, it lists the remotes and compares every shard of these files first.
/// Corrupt commits that `verify --deep` found are put anew, too.
/// Files in most danger come first. Only verified data is read, and everything put is read back.
/// An interrupted rebuild goes on where it stopped. What lies on an offline remote is left alone.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file, or a directory with everything in it
    #[arg(value_name = "POOLPATH")]
    path: Option<String>,

    /// List the remotes and compare every shard of the pool
    #[arg(long, conflicts_with = "path")]
    all: bool,

    /// Say what would be done, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,

    /// Convert to this redundancy: none, replication:3, parity:4+2, hybrid:2+1x2; without a path the whole
    /// pool, new files too
    #[arg(long, value_name = "MODE")]
    redundancy: Option<Redundancy>,

    /// Count as lost what a remote suddenly misses, however much it is
    #[arg(long)]
    accept_loss: bool,

    #[command(flatten)]
    parallel: ParallelArgs,
}

pub async fn run(args: Args, context: &Context) -> Result<()> {
    let path = args.path.as_deref().map(PoolPath::new).transpose()?;
    let mut config = context.config()?;
    args.parallel.apply(&mut config);
    if let Some(redundancy) = args.redundancy {
        return convert(&args, path, redundancy, config, context).await;
    }
    let options = RebuildOptions { path, all: args.all, accept_loss: args.accept_loss };
    context
        .with_pool(&config, async |pool| {
            let mut plan = context.stoppable(pool.plan_rebuild(&options, &context.silent_monitor())).await?;
            plan.remotes.iter_mut().for_each(|r| r.remote = redact_remote(&r.remote));
            plan.suspect.iter_mut().for_each(|r| r.remote = redact_remote(&r.remote));
            plan.unknown.iter_mut().for_each(|remote| *remote = redact_remote(remote));
            plan.commits.iter_mut().for_each(|commit| commit.remote = redact_remote(&commit.remote));
            tell_plan(context, &plan, &options)?;
            if args.dry_run {
                context.ui.summary(json!({"dry_run": true, "plan": plan}))?;
                return Ok(());
            }
            let (report, tally) = perform(pool, &plan, context, "the same command").await?;
            context.report_stale(pool, report.stale).await;
            tell(context, &plan, &report, tally.elapsed)?;
            let mut summary = serde_json::to_value(&report).unwrap_or_default();
            summary["suspect"] = json!(plan.suspect);
            summary["unknown"] = json!(plan.unknown);
            summary["seconds_elapsed"] = tally.elapsed.as_secs_f64().into();
            context.ui.summary(summary)?;
            outcome(&plan, &report, &options)
        })
        .await
}

fn tell_plan(context: &Context, plan: &RebuildPlan, options: &RebuildOptions) -> Result<()> {
    for remote in &plan.remotes {
        let (shards, bytes) = (count(remote.shards, "damaged shard"), size(remote.bytes));
        context.ui.say(&format!("{}: {shards}, {bytes}", format::head(&remote.remote)))?;
    }
    for remote in &plan.unknown {
        context.ui.warn(&format!("{}: cannot be asked now; what lies there is left alone", format::head(remote)));
    }
    for remote in plan.suspect.iter().filter(|_| !options.accept_loss) {
        context.ui.warn(&format!(
            "{}: {} of {} are absent, which looks like something else than loss; they are left alone without \
             --accept-loss",
            format::head(&remote.remote),
            remote.absent,
            count(remote.shards, "shard")
        ));
    }
    for commit in &plan.commits {
        context.ui.say(&format!("{}: {}: corrupt, to be put anew", format::head(&commit.remote), commit.object))?;
    }
    if plan.chunks.is_empty() && !plan.commits.is_empty() {
        return Ok(());
    }
    let line = if plan.chunks.is_empty() {
        "nothing to rebuild".to_owned()
    } else {
        let (chunks, write, read) = (plan.chunks.len() as u64, size(plan.write_bytes), size(plan.read_bytes));
        format!("{} to rebuild: at most {read} to read, {write} to write", count(chunks, "chunk"))
    };
    context.ui.say(&line)
}

fn tell(context: &Context, plan: &RebuildPlan, report: &RebuildReport, elapsed: std::time::Duration) -> Result<()> {
    if !plan.chunks.is_empty() {
        let rate = super::transfer::rate(report.bytes, elapsed) / format::MB;
        context.ui.say(&format!(
            "rebuilt {} of {}, {} in {} ({rate:.2} MB/s)",
            count(report.shards, "shard"),
            count(report.chunks, "chunk"),
            size(report.bytes),
            format::span(elapsed)
        ))?;
    }
    if report.commits > 0 {
        context.ui.say(&format!("put {} anew", count(report.commits, "commit")))?;
    }
    if report.twins > 0 {
        let chunks = count(report.twins, "chunk");
        context.ui.say(&format!("{chunks} could not be read; others of the same content stand for them now"))?;
    }
    if report.trash_failed > 0 {
        let chunks = count(report.trash_failed, "chunk");
        context.ui.warn(&format!("{chunks} of versions in the trash could not be made whole"));
    }
    if report.crowded > 0 {
        context.ui.warn(&format!(
            "{} survive fewer losses than their redundancy promises: several of their shards lie on one remote or \
             failure domain, as there is no other place; add a remote",
            count(report.crowded, "chunk")
        ));
    }
    Ok(())
}

fn outcome(plan: &RebuildPlan, report: &RebuildReport, options: &RebuildOptions) -> Result<()> {
    let all = plan.chunks.len() as u64;
    if report.unrecoverable > 0 {
        return Err(Error::new(
            ErrorKind::Unrecoverable,
            format!("{} of {} cannot be rebuilt: too few shards are left", report.unrecoverable, count(all, "chunk")),
        )
        .hint("`rclonepool repair POOLPATH LOCAL` restores a file from a copy of it"));
    }
    if report.failed > 0 {
        return Err(partial(report.failed, all, "chunk"));
    }
    if report.commits_failed > 0 {
        return Err(partial(report.commits_failed, plan.commits.len() as u64, "commit"));
    }
    if !plan.suspect.is_empty() && !options.accept_loss {
        return Err(Error::new(ErrorKind::Partial, "shards that a remote suddenly misses were left alone")
            .hint("see that the remote is what it should be; --accept-loss rebuilds them"));
    }
    Ok(())
}

async fn convert(
    args: &Args,
    path: Option<PoolPath>,
    redundancy: Redundancy,
    config: Config,
    context: &Context,
) -> Result<()> {
    // The whole pool: new files are stored so, too.
    let mut file = None;
    let mut config = config;
    if path.is_none() {
        let mut edited = ConfigFile::load(&context.config_path()?)?;
        edited.set_redundancy(redundancy);
        config = context.localise(edited.config()?)?;
        args.parallel.apply(&mut config);
        file = Some(edited);
    }
    context
        .with_pool(&config, async |pool: &Arc<Pool>| {
            let plan = pool.plan_convert(path.as_ref().unwrap_or(&PoolPath::root()), redundancy)?;
            tell_conversion(context, &plan)?;
            if !plan.chunks.is_empty()
                && let Some(cost) = too_few(redundancy, pool.view().await.online().len())
            {
                context.ui.warn(&cost);
            }
            if args.dry_run {
                return context.ui.summary(json!({"dry_run": true, "plan": plan}));
            }
            let mut stale = false;
            if let Some(file) = &mut file {
                file.save()?;
                stale = context.change(pool.write_settings()).await?;
            }
            let progress = Progress::start(&context.ui, Items::Chunks, Files::Quiet, &context.cancel);
            let monitor = progress.monitor().clone();
            let done = pool.convert(&plan, &monitor).await;
            let tally = progress.finish();
            // Of the settings and the chunks together.
            context.report_stale(pool, stale || done.as_ref().is_ok_and(|report| report.stale)).await;
            let report = done.map_err(|error| {
                interrupted(error, || {
                    format!("{}; the same command continues with the rest", done_of(&tally, "chunk", "converted"))
                })
            })?;
            if report.chunks > 0 {
                let what = amount(plan.files, report.bytes, report.bytes, tally.elapsed);
                context.ui.say(&format!("converted {what} to {redundancy}; what it takes no longer is freed by gc"))?;
            }
            let mut summary = serde_json::to_value(&report).unwrap_or_default();
            summary["redundancy"] = redundancy.to_string().into();
            summary["seconds_elapsed"] = tally.elapsed.as_secs_f64().into();
            context.ui.summary(summary)?;
            if report.failed > 0 { Err(partial(report.failed, plan.chunks.len() as u64, "chunk")) } else { Ok(()) }
        })
        .await
}

fn tell_conversion(context: &Context, plan: &ConvertPlan) -> Result<()> {
    if plan.chunks.is_empty() {
        return context.ui.say(&format!("nothing to convert: all of it has the redundancy {}", plan.redundancy));
    }
    context.ui.say(&format!(
        "{} ({}) to convert to {}: {} to read, {} to write",
        count(plan.files, "file"),
        count(plan.chunks.len() as u64, "chunk"),
        plan.redundancy,
        size(plan.bytes),
        size(plan.write_bytes)
    ))
}

/// Rebuilds with progress; an interruption says that `again` continues.
pub async fn perform(
    pool: &Arc<Pool>,
    plan: &RebuildPlan,
    context: &Context,
    again: &str,
) -> Result<(RebuildReport, Tally)> {
    let progress = Progress::start(&context.ui, Items::Chunks, Files::Quiet, &context.cancel);
    let monitor = progress.monitor().clone();
    // Not raced with the signal: what is finished is still committed.
    let done = pool.rebuild(plan, &monitor).await;
    let tally = progress.finish();
    let rest = || format!("{}; {again} continues with the rest", done_of(&tally, "chunk", "whole again"));
    let report = done.map_err(|error| interrupted(error, rest))?;
    Ok((report, tally))
}
