//! `verify`.

use rclonepool_core::config::redact_remote;
use rclonepool_core::pool::care::{FileHealth, VerifyLevel, VerifyOptions, VerifyReport};
use rclonepool_core::{Error, ErrorKind, PoolPath, Result};
use serde_json::json;

use super::health::SUSPECT;
use crate::context::Context;
use crate::format::{count, head, printable, size};
use crate::progress::{Files, Items, Progress};
use crate::ui::Out;

/// Verify that the remotes hold what was stored
///
/// Of the whole pool, or of files at and below a path. From one listing of each remote: that everything
/// exists, and has its size. --deep reads every byte and holds it against its checksums. Nothing is changed.
/// Remotes that are offline are unknown, never missing.
///
/// Exit code: 21 when a file is lost; else 22 when bytes differ from what was stored; else 5 when a file
/// cannot be read until remotes return; else 20 when something is missing, truncated or badly placed and all
/// can be read; else 5 when something could not be looked at; 0 when all is well.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file or directory of the pool [default: everything]
    #[arg(value_name = "POOLPATH", default_value = "/", hide_default_value = true)]
    path: String,

    /// Only that everything exists
    #[arg(long, conflicts_with_all = ["deep", "sample"])]
    quick: bool,

    /// Read every byte of every shard and commit
    #[arg(long)]
    deep: bool,

    /// Read only so much of the chunks, those not verified for longest: every run takes others
    #[arg(long, value_name = "N%", value_parser = percent)]
    sample: Option<f64>,

    /// List at most so many files, the worst first
    #[arg(long, value_name = "N", default_value_t = 100)]
    list: usize,
}

fn percent(text: &str) -> std::result::Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim();
    match number.parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(percent),
        _ => Err("above 0% and up to 100%".into()),
    }
}

pub async fn run(args: Args, context: &Context) -> Result<()> {
    let level = match (args.quick, args.deep || args.sample.is_some()) {
        (true, _) => VerifyLevel::Quick,
        (_, true) => VerifyLevel::Deep,
        _ => VerifyLevel::Default,
    };
    let options = VerifyOptions { path: PoolPath::new(&args.path)?, level, sample: args.sample, list: args.list };
    let config = context.config()?;
    context
        .with_pool(&config, async |pool| {
            let progress = Progress::start(&context.ui, Items::Chunks, Files::Quiet, &context.cancel);
            let verified = pool.verify(&options, progress.monitor()).await;
            progress.finish();
            let mut report = verified.map_err(|error| match error.kind() {
                ErrorKind::Cancelled => Error::new(
                    ErrorKind::Cancelled,
                    "interrupted: what was found is kept; with --sample the same command goes on with other chunks",
                ),
                _ => error,
            })?;
            report.remotes.iter_mut().for_each(|remote| remote.name = redact_remote(&remote.name));
            report.commits.damaged.iter_mut().for_each(|commit| commit.remote = redact_remote(&commit.remote));
            let outcome = outcome(&report);
            if context.ui.json {
                let mut summary = serde_json::to_value(&report).unwrap_or_default();
                summary["outcome"] = json!(report.outcome());
                context.ui.summary(summary)?;
            } else {
                print(&mut context.ui.out(), &report)?;
            }
            outcome
        })
        .await
}

fn print(out: &mut Out, report: &VerifyReport) -> Result<()> {
    let checked = &report.checked;
    let how = match report.level {
        VerifyLevel::Quick => "existence",
        VerifyLevel::Default => "existence and size",
        VerifyLevel::Deep => "existence, size and content",
    };
    out.line(&format!(
        "Verified {how}: {}, {}, {}, {}",
        count(checked.files, "file"),
        count(checked.chunks, "chunk"),
        count(checked.shards, "shard"),
        count(report.commits.checked, "commit"),
    ))?;
    if report.level == VerifyLevel::Deep {
        let (chunks, shards) = (count(checked.chunks_read, "chunk"), count(checked.shards_read, "shard"));
        out.line(&format!("  read {shards} of {chunks}, {}", size(checked.bytes_read)))?;
    }
    for remote in &report.remotes {
        let name = head(&remote.name);
        let found = [(remote.missing, "missing"), (remote.truncated, "truncated"), (remote.corrupt, "corrupt")];
        let found: Vec<String> = found.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        if !found.is_empty() {
            out.line(&format!("  {name}: of {} {}", count(remote.shards, "shard"), found.join(", ")))?;
        }
        if let Some(suspect) = &remote.suspect {
            out.line(&format!(
                "  {name}: SUSPECT: {} of {} look absent; is it the right place, and whole? Nothing is taken for lost",
                suspect.absent,
                count(suspect.of, "shard")
            ))?;
        }
        if let Some(why) = &remote.unknown {
            let why = why.strip_prefix("offline: ").unwrap_or(why);
            out.line(&format!("  {name}: UNKNOWN: {}", printable(why)))?;
        }
    }
    for commit in &report.commits.damaged {
        out.line(&format!("  {}: {}: {}", head(&commit.remote), commit.object, commit.damage.as_str()))?;
    }
    if report.trash.damaged > 0 {
        let chunks = count(report.trash.chunks, "chunk");
        out.line(&format!("  In the trash: of {chunks} {} damaged", are(report.trash.damaged, "shard")))?;
    }
    files(out, &report.listed, report.unlisted)?;
    if report.outcome().is_none() {
        out.line("All is well.")?;
    }
    out.flush()
}

/// One line per file that is not as it should be.
pub fn files(out: &mut Out, listed: &[FileHealth], unlisted: u64) -> Result<()> {
    for file in listed {
        let shards = &file.shards;
        let found = [
            (shards.missing, "missing"),
            (shards.truncated, "truncated"),
            (shards.corrupt, "corrupt"),
            (shards.misplaced, "misplaced"),
            (shards.unknown, "unknown"),
        ];
        let found: Vec<String> = found.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        let found = if found.is_empty() { String::new() } else { format!("  (shards: {})", found.join(", ")) };
        out.line(&format!("{:11}  {}{found}", file.state.as_str(), printable(file.path.as_str())))?;
    }
    if unlisted > 0 {
        out.line(&format!("and {} more (--list N lists more)", count(unlisted, "file")))?;
    }
    Ok(())
}

/// Every command copies commits to the remotes that lack them.
const COMMITS_COME_BACK: &str = "commits are read from the other remotes; every command copies them to a remote that \
                                 lacks them and takes writes";
/// A corrupt copy is in the way of a good one.
const COMMITS_ANEW: &str = "commits are read from the other remotes; `rclonepool rebuild` puts the corrupt ones anew";

/// The error that the outcome amounts to.
fn outcome(report: &VerifyReport) -> Result<()> {
    let Some(kind) = report.outcome() else { return Ok(()) };
    let (shards, commits) = (&report.shards, report.commits.damaged.len() as u64);
    let suspect = report.remotes.iter().any(|remote| remote.suspect.is_some());
    let and_commits = if commits > 0 { format!(" and {}", count(commits, "commit")) } else { String::new() };
    let error = match kind {
        ErrorKind::Unrecoverable => {
            Error::new(kind, format!("{} lost: too many of their shards are gone", are(report.files.lost, "file")))
                .hint("`rclonepool repair PATH LOCAL_COPY` brings a file back from a local copy of it")
        }
        ErrorKind::Corrupt if shards.corrupt == 0 => {
            Error::new(kind, format!("bytes differ from what was stored: {}", count(commits, "commit")))
                .hint(COMMITS_ANEW)
        }
        ErrorKind::Corrupt => Error::new(
            kind,
            format!("bytes differ from what was stored: {}{and_commits}", count(shards.corrupt, "shard")),
        )
        .hint(match suspect {
            true => format!("reads do not use what is corrupt; {SUSPECT}"),
            false => "reads do not use what is corrupt; `rclonepool rebuild` makes the shards anew".into(),
        }),
        ErrorKind::Degraded => {
            let mut parts = Vec::new();
            if shards.damaged() > 0 {
                parts.push(format!("{} missing or truncated", are(shards.damaged(), "shard")));
            }
            if shards.misplaced > 0 {
                parts.push(format!("{} more of a chunk on one remote than need be", are(shards.misplaced, "shard")));
            }
            if report.trash.damaged > 0 {
                parts.push(format!("{} damaged that only the trash needs", are(report.trash.damaged, "shard")));
            }
            if commits > 0 {
                parts.push(format!("{} missing or truncated on a remote", are(commits, "commit")));
            }
            Error::new(kind, format!("{}; everything can still be read", parts.join(", "))).hint(if suspect {
                SUSPECT
            } else if shards.damaged() + report.trash.damaged > 0 {
                "`rclonepool rebuild` makes anew what is missing"
            } else if shards.misplaced > 0 {
                "`rclonepool rebalance` puts them apart"
            } else {
                COMMITS_COME_BACK
            })
        }
        _ if report.files.unavailable > 0 => {
            Error::new(kind, format!("{} not readable until remotes return", are(report.files.unavailable, "file")))
                .hint(if suspect {
                    SUSPECT
                } else {
                    "bring the remotes that are UNKNOWN back; nothing was taken for lost"
                })
        }
        _ => Error::new(kind, "not everything could be looked at; nothing is known to be wrong")
            .hint("bring the remotes that are UNKNOWN back and verify again"),
    };
    Err(error)
}

/// `1 file is`, `3 files are`.
pub fn are(n: u64, noun: &str) -> String {
    format!("{} {}", count(n, noun), if n == 1 { "is" } else { "are" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_a_percentage() {
        assert_eq!((percent("5%"), percent("0.5"), percent("100 %")), (Ok(5.0), Ok(0.5), Ok(100.0)));
        for bad in ["0", "0%", "-1%", "101%", "many", "%", "NaN", "inf"] {
            percent(bad).unwrap_err();
        }
    }
}
