//! `remotes drain`, `remotes replace`, `remotes remove --lost`: what is on a remote goes first, or is lost.

use std::sync::Arc;

use rclonepool_core::config::{ConfigFile, members, redact_remote};
use rclonepool_core::pool::care::{DrainPlan, RebuildOptions};
use rclonepool_core::pool::{LossPlan, RemoteState};
use rclonepool_core::{Error, ErrorKind, Pool, Result};
use serde_json::json;

use super::super::rebalance;
use super::super::transfer::{done_of, interrupted};
use super::hours;
use crate::context::{Context, open_options};
use crate::format::{self, count, size};
use crate::progress::{Files, Items, Progress};
use crate::prompt::confirm;

/// Move everything off a remote, then let it go
///
/// It takes no new data from now on. What cannot be read from it is made from the other shards. Then it leaves
/// the pool: at once with --alone; else quorums hold with and without it for 24 hours, and the command, run
/// again after that, finishes it. An interrupted drain goes on where it stopped.
#[derive(Debug, clap::Args)]
pub struct Drain {
    /// The remote, as the configuration or `remotes list` names it
    #[arg(value_name = "REMOTE")]
    remote: String,

    /// Say what would be moved and whether it fits, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,

    /// No other machine writes to this pool: the change is finished at once
    #[arg(long)]
    alone: bool,
}

/// Declare a remote lost for good and take another one in its place
///
/// What lay on OLD counts as missing from then on, and is rebuilt from the other remotes onto NEW. OLD need not
/// be reachable, and is never accepted again under its id. All other remotes must be online.
#[derive(Debug, clap::Args)]
pub struct Replace {
    /// The remote that is lost, as the configuration or `remotes list` names it
    #[arg(value_name = "OLD")]
    old: String,

    /// An empty rclone remote or directory; it may have the same name
    #[arg(value_name = "NEW")]
    new: String,

    /// Say what it costs, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,

    /// Where the configuration lists crypt_remotes: the crypt remote over NEW
    #[arg(long, value_name = "REMOTE")]
    crypt: Option<String>,

    /// No other machine writes to this pool: the change is finished at once
    #[arg(long)]
    alone: bool,
}

pub async fn drain(args: Drain, context: &Context) -> Result<()> {
    let config = context.config()?;
    let mut file = ConfigFile::load(&context.config_path()?)?;
    let (name, label) = (format::head(&args.remote), config.effective_name(&args.remote));
    let report = context
        .with_pool(&config, async |pool: &Arc<Pool>| {
            let plan = context.stoppable(pool.plan_drain(&label)).await?;
            tell_drain(context, &plan)?;
            if args.dry_run {
                context.ui.summary(json!({"dry_run": true, "plan": plan}))?;
                return Ok(None);
            }
            if plan.sinking > 0 && plan.stuck == 0 {
                let chunks = count(plan.sinking, "chunk");
                let question = format!("{chunks} will survive the loss of fewer remotes than now. Drain {name}?");
                confirm(context, &question).await?;
            }
            let progress = Progress::start(&context.ui, Items::Chunks, Files::Quiet, &context.cancel);
            let monitor = progress.monitor().clone();
            let done = pool.drain(&label, args.alone, true, &monitor).await;
            let tally = progress.finish();
            done.map(Some).map_err(|error| {
                interrupted(error, || {
                    format!("{}; the same command continues with the rest", done_of(&tally, "shard", "moved"))
                })
            })
        })
        .await?;
    let Some(report) = report else { return Ok(()) };
    let moved = format!("{}, {} moved", count(report.moved.shards, "shard"), size(report.moved.bytes));
    match &report.change {
        Some(change) if change.state == RemoteState::Removed => {
            members::forget(file.keys_mut(), &config, std::slice::from_ref(&args.remote));
            file.save()?;
            context.ui.say(&format!("{name}: {moved}; removed from the pool and the configuration"))?;
        }
        Some(change) => context.ui.say(&format!(
            "{name}: {moved}; leaving; run this again in {} to finish it (--alone finishes it at once, where no other \
             machine writes to the pool)",
            hours(change)
        ))?,
        None => context.ui.say(&format!("{name}: {moved}; it takes no new data"))?,
    }
    context.ui.summary(json!({"remote": args.remote, "report": report}))?;
    rebalance::outcome(&report.moved)?;
    match report.left {
        0 => Ok(()),
        left => Err(Error::new(ErrorKind::Partial, format!("{} are still on it", count(left, "shard")))
            .hint("run it again; shards of deleted files go with `rclonepool gc`")),
    }
}

fn tell_drain(context: &Context, plan: &DrainPlan) -> Result<()> {
    rebalance::tell_flows(context, &plan.flows)?;
    let name = format::head(&redact_remote(&plan.remote));
    context.ui.say(&format!("{name}: {}, {} to move", count(plan.shards, "shard"), size(plan.bytes)))?;
    if plan.offline && plan.shards > 0 {
        context.ui.warn(&format!("{name} is offline: what lies there is made from the other shards"));
    }
    if plan.stuck > 0 {
        context.ui.warn(&format!("{} find no room on the other remotes", size(plan.stuck)));
    }
    if plan.sinking > 0 {
        let chunks = count(plan.sinking, "chunk");
        context.ui.warn(&format!("{chunks} would survive the loss of fewer remotes than now; another remote helps"));
    }
    if plan.garbage > 0 {
        let shards = count(plan.garbage, "shard");
        context.ui.warn(&format!("{shards} of deleted files wait for `rclonepool gc` before it can leave"));
    }
    Ok(())
}

/// Says what declaring remotes lost costs, and asks.
async fn ask_loss(context: &Context, plan: &LossPlan, dry_run: bool) -> Result<()> {
    let going = plan.remotes.iter().filter(|name| !plan.gone.contains(name));
    let names: Vec<String> = going.map(|name| format::printable(&redact_remote(name))).collect();
    let names = names.join(", ");
    for remote in &plan.gone {
        context.ui.say(&format!("{}: the pool let go of it before", format::head(&redact_remote(remote))))?;
    }
    if names.is_empty() {
        // Nothing more is lost; what broke off is completed.
        return if dry_run { context.ui.summary(json!({"dry_run": true, "plan": plan})) } else { Ok(()) };
    }
    context.ui.say(&format!(
        "{}: {}, {} count as missing then",
        format::head(&names),
        count(plan.shards, "shard"),
        size(plan.bytes)
    ))?;
    for remote in &plan.online {
        context.ui.warn(&format!("{remote} is online: `rclonepool remotes drain` would keep what lies on it"));
    }
    if plan.unreadable > 0 {
        context
            .ui
            .warn(&format!("{} cannot be read without it, and are lost with it", count(plan.unreadable, "chunk")));
    }
    if dry_run {
        return context.ui.summary(json!({"dry_run": true, "plan": plan}));
    }
    confirm(context, &format!("Declare {names} lost for good? It is never accepted again as it is.")).await
}

/// `remotes remove --lost`.
pub async fn lost(names: &[String], dry_run: bool, context: &Context) -> Result<()> {
    let config = context.config()?;
    let mut file = ConfigFile::load(&context.config_path()?)?;
    let labels: Vec<String> = names.iter().map(|name| config.effective_name(name)).collect();
    let report = context
        .with_pool(&config, async |pool: &Arc<Pool>| {
            let plan = context.stoppable(pool.plan_loss(&labels)).await?;
            ask_loss(context, &plan, dry_run).await?;
            if dry_run {
                return Ok(None);
            }
            context.change(pool.remove_lost(&labels)).await.map(Some)
        })
        .await?;
    let Some(report) = report else { return Ok(()) };
    members::forget(file.keys_mut(), &config, names);
    file.save()?;
    let name = format::head(&names.join(", "));
    context.ui.say(&format!(
        "{name}: removed from the pool and the configuration; `rclonepool rebuild --all` restores what lay there"
    ))?;
    if report.forgotten > 0 {
        context.ui.warn(&format!("{} that nobody else held are gone", count(report.forgotten as u64, "change")));
    }
    context.ui.summary(json!({"remotes": names, "report": report}))
}

/// `remotes replace`.
pub async fn replace(args: Replace, context: &Context) -> Result<()> {
    let config = context.config()?;
    let mut file = ConfigFile::load(&context.config_path()?)?;
    let before = members::Before::of(file.keys_mut());
    let lists_crypt = config.use_crypt && !config.crypt_remotes.is_empty();
    if args.crypt.is_some() != (lists_crypt && args.old != args.new) {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            "--crypt goes with a NEW name where crypt_remotes are listed",
        ));
    }
    let old_label = config.effective_name(&args.old);
    members::replace(file.keys_mut(), &config, &args.old, &args.new, args.crypt.as_deref());
    let after = context.localise(file.config()?)?;
    let new_label = after.effective_name(&args.new);
    let report = context
        .with_pool(&config, async |pool: &Arc<Pool>| {
            let plan = context.stoppable(pool.plan_loss(std::slice::from_ref(&old_label))).await?;
            ask_loss(context, &plan, args.dry_run).await?;
            if args.dry_run {
                return Ok(None);
            }
            // In the configuration first: a remote that joined must not be forgotten.
            file.save()?;
            let options = open_options();
            let replaced = pool.replace_lost(&old_label, &after, &new_label, &options, args.alone);
            let replaced = context.change(replaced).await;
            if replaced.is_err() {
                before.restore(file.keys_mut());
                file.save()?;
            }
            replaced.map(Some)
        })
        .await?;
    let Some(report) = report else { return Ok(()) };
    let new = format::printable(&args.new);
    context.ui.say(&format!("{}: lost; {new} is in its place", format::head(&args.old)))?;
    let rebuilt = context.with_pool(&after, async |pool: &Arc<Pool>| rebuild(pool, context).await).await?;
    context.ui.summary(json!({"old": args.old, "new": args.new, "report": report, "rebuilt": rebuilt.0}))?;
    match rebuilt.1 {
        0 => Ok(()),
        failed => Err(Error::new(ErrorKind::Partial, format!("{} could not be made whole", count(failed, "chunk")))
            .hint("see `rclonepool rebuild --all`")),
    }
}

/// Rebuilds what the lost remote held; gives back shards put anew, and chunks that failed.
async fn rebuild(pool: &Arc<Pool>, context: &Context) -> Result<(u64, u64)> {
    let options = RebuildOptions::default();
    let plan = context.stoppable(pool.plan_rebuild(&options, &context.silent_monitor())).await?;
    let (report, _) = super::super::rebuild::perform(pool, &plan, context, "`rclonepool rebuild`").await?;
    context.ui.say(&format!("rebuilt {}, {}", count(report.shards, "shard"), size(report.bytes)))?;
    Ok((report.shards, report.failed + report.unrecoverable))
}
