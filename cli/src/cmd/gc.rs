//! `gc`.

use rclonepool_core::pool::care::{GcOptions, GcReport};
use rclonepool_core::{Error, ErrorKind, Result};
use serde_json::json;

use super::orphans;
use super::transfer::interrupted;
use crate::context::Context;
use crate::format::{count, left, size};

/// Free the space of what was deleted, and tidy the journal
///
/// What nobody needs any more is marked first, and deleted by the first run that comes 24 hours later: another
/// machine may be using it. Versions in the trash are needed until their time is over, or until a remote runs
/// short of space (less than a twentieth of it, and less than 10 GiB, is free). Small files share chunks: where
/// less than half of such a pack is needed, that half is copied to a new one. Run it daily.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show what would be freed, and free nothing
    #[arg(short = 'n', long)]
    dry_run: bool,

    /// Go on although a remote looks as if it had lost its data
    #[arg(long)]
    accept_loss: bool,
}

pub async fn run(args: Args, context: &Context) -> Result<()> {
    let config = context.config()?;
    let options = GcOptions { min_age: None, accept_loss: args.accept_loss };
    context
        .with_pool(&config, async |pool| {
            if args.dry_run {
                let mut found = pool.orphans(&options, &context.notices()).await.map_err(broken_off)?;
                orphans::redact(&mut found);
                return orphans::show(context, &found, Some(&pool.plan_repack()?));
            }
            let report = pool.gc(&options, &context.notices()).await.map_err(broken_off)?;
            tell(context, &report)
        })
        .await
}

/// The error of an interruption.
pub fn broken_off(error: Error) -> Error {
    interrupted(error, || "what was freed stays freed; the same command continues with the rest".into())
}

/// Says what was freed.
pub fn tell(context: &Context, report: &GcReport) -> Result<()> {
    let (chunks, objects) = (count(report.dropped, "chunk"), count(report.objects, "object"));
    let unfinished =
        if report.leftovers > 0 { format!(", {} of them unfinished", report.leftovers) } else { String::new() };
    let mut said = format!("{} freed ({chunks} dropped, {objects} deleted{unfinished})", size(report.reclaimed));
    if report.repacked > 0 {
        let packs = count(report.repacked, "pack");
        said += &format!("; {packs} of small files written anew ({} copied)", size(report.copied));
    }
    if report.marked > 0 && !report.at_once {
        said += &format!("; {} marked", count(report.marked, "chunk"));
    }
    context.ui.say(&said)?;
    if report.waiting > 0 {
        let next = report.next_ms.map(|ms| format!(", the first in {}", left(std::time::Duration::from_millis(ms))));
        context.ui.say(&format!(
            "{} wait for the end of a grace{}; run this again then",
            size(report.waiting),
            next.unwrap_or_default()
        ))?;
    }
    if !report.unknown.is_empty() {
        let names: Vec<String> = report.unknown.iter().map(|n| rclonepool_core::config::redact_remote(n)).collect();
        context.ui.warn(&format!(
            "what lies on {} goes when it is online again, or when `remotes replace` or `remotes remove --lost` lets \
             go of it",
            crate::format::printable(&names.join(", "))
        ));
    }
    context.ui.summary(json!(report))?;
    if report.failed > 0 {
        return Err(Error::new(ErrorKind::Partial, format!("{} could not be deleted", count(report.failed, "object")))
            .hint("the messages above say why; run it again when the remotes take deletions"));
    }
    Ok(())
}
