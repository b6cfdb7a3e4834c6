//! `orphans`.

use std::time::Duration;

use rclonepool_core::pool::care::{GcOptions, Orphans, RepackPlan, Stage};
use rclonepool_core::{Error, ErrorKind, Result};
use serde_json::json;

use super::gc;
use crate::age::Age;
use crate::context::Context;
use crate::format::{self, count, size};
use crate::prompt::confirm;

/// List what no record refers to, and with --delete free it
///
/// It is marked first, and deleted when this is run again 24 hours later. What an upload may still need is left
/// alone. What uploads that broke off left under unfinished names is deleted when it is 24 hours old.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Free it
    #[arg(long)]
    delete: bool,

    /// Leave alone what this machine has seen for a shorter time and no record names [default: 24h]
    #[arg(long, value_name = "TIME")]
    min_age: Option<Age>,

    /// Go on although a remote looks as if it had lost its data
    #[arg(long)]
    accept_loss: bool,
}

pub async fn run(args: Args, context: &Context) -> Result<()> {
    let config = context.config()?;
    let at_once = args.min_age.is_some_and(|age| age.0 == Duration::ZERO);
    if args.delete && at_once && !context.global.yes {
        return Err(Error::new(ErrorKind::InvalidArgument, "--min-age 0s takes what an upload may have just stored")
            .hint("--yes says that nobody uploads, on this machine or any other"));
    }
    let options = GcOptions { min_age: args.min_age.map(|age| age.0), accept_loss: args.accept_loss };
    context
        .with_pool(&config, async |pool| {
            let mut found = pool.orphans(&options, &context.notices()).await.map_err(gc::broken_off)?;
            redact(&mut found);
            if !args.delete {
                return show(context, &found, None);
            }
            if found.is_empty() {
                context.ui.say("Nothing to free.")?;
                return context.ui.summary(json!({"reclaimed": 0, "waiting": 0}));
            }
            confirm(context, &format!("Free {} that nobody needs?", size(found.bytes()))).await?;
            let report = pool.free_orphans(&options, &context.notices()).await.map_err(gc::broken_off)?;
            gc::tell(context, &report)
        })
        .await
}

/// Takes what is secret out of the names of remotes.
pub fn redact(found: &mut Orphans) {
    use rclonepool_core::config::redact_remote;
    found.leftovers.iter_mut().for_each(|leftover| leftover.remote = redact_remote(&leftover.remote));
}

/// Lists what nobody needs, and what would be packed anew.
pub fn show(context: &Context, found: &Orphans, repack: Option<&RepackPlan>) -> Result<()> {
    if context.ui.json {
        let mut all = json!(found);
        if let Some(plan) = repack {
            all["repack"] = json!(plan);
        }
        return context.ui.summary(all);
    }
    let mut out = context.ui.out();
    if let Some(plan) = repack.filter(|plan| plan.packs > 0) {
        let (packs, copied, unneeded) = (count(plan.packs, "pack"), size(plan.copied), size(plan.unneeded));
        out.line(&format!("{packs} of small files written anew: {copied} copied, {unneeded} become garbage"))?;
    }
    if found.is_empty() {
        out.line("Nothing lies on the remotes that nobody needs.")?;
    }
    for (stage, what) in [
        (Stage::Dropped, "deleted by the next run: dropped before"),
        (Stage::Due, "deleted by the next run: marked long enough ago"),
        (Stage::Unmarked, "marked by the next run"),
        (Stage::Waiting, "marked, and waiting"),
        (Stage::Young, "without a record, and so young that an upload may need it"),
        (Stage::Resumable, "kept for an upload of this machine that broke off"),
    ] {
        let some: Vec<_> = found.orphans.iter().filter(|orphan| orphan.stage == stage).collect();
        if let Some(left) = some.iter().map(|orphan| orphan.left_ms).min() {
            let left = if left > 0 {
                format!(" (for {} more)", format::left(Duration::from_millis(left)))
            } else {
                String::new()
            };
            let (chunks, bytes) = (count(some.len() as u64, "chunk"), size(found.bytes_at(stage)));
            out.line(&format!("{bytes} in {chunks}: {what}{left}"))?;
        }
    }
    for (young, what) in [(false, "deleted by the next run"), (true, "so young that they may be under way")] {
        let some: Vec<_> = found.leftovers.iter().filter(|leftover| (leftover.left_ms > 0) == young).collect();
        if let Some(left) = some.iter().map(|leftover| leftover.left_ms).min() {
            let left = if young {
                format!(" (for {} more)", format::left(Duration::from_millis(left)))
            } else {
                String::new()
            };
            let bytes = some.iter().map(|leftover| leftover.bytes).sum();
            let uploads = count(some.len() as u64, "unfinished object");
            out.line(&format!("{} in {uploads}: {what}{left}", size(bytes)))?;
        }
    }
    for remote in &found.remotes {
        let name = format::head(&rclonepool_core::config::redact_remote(&remote.name));
        out.line(&format!("  {name}: {}, {}", size(remote.bytes), count(remote.objects, "object")))?;
    }
    for name in &found.unknown {
        let name = format::head(&rclonepool_core::config::redact_remote(name));
        out.line(&format!("  {name}: unknown, as it is offline"))?;
    }
    out.flush()
}
