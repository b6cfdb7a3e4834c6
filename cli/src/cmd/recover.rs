//! `recover`.

use std::path::{Path, PathBuf};

use rclonepool_core::config::redact_remote;
use rclonepool_core::pool::{LIFEBOAT, LifeboatReport, LifeboatState};
use rclonepool_core::{Error, ErrorKind, Result};
use serde_json::json;

use crate::context::Context;
use crate::format::{count, head, printable};

/// Look after the lifeboat: what restores the pool without rclonepool
///
/// A description of the format and a small reader in Python lie on every remote, below lifeboat/ in the directory for
/// manifests, unless `enable_lifeboat` is false. With them, rclone, your logins and crypt passwords, everything can be
/// read. This command tells whether they are there, whole and of this version.
///
/// Exit code: 0 when every remote has it, 20 when one has not, 5 when one cannot be asked.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write it to the remotes where it is missing, damaged, or another version's
    #[arg(long)]
    store: bool,

    /// Write it to a directory of this machine instead; needs no pool
    #[arg(long, value_name = "DIR", conflicts_with = "store")]
    to: Option<PathBuf>,
}

pub async fn run(args: Args, context: &Context) -> Result<()> {
    if let Some(directory) = &args.to {
        return write(directory, context);
    }
    let config = context.config()?;
    let reports = context
        .with_pool(&config, async |pool| context.stoppable(async { Ok(pool.lifeboat(args.store).await) }).await)
        .await?;
    tell(&reports, &config.manifest_prefix, context)
}

fn write(directory: &Path, context: &Context) -> Result<()> {
    let failed = |e| Error::io("cannot write the lifeboat", e).at_path(directory.display());
    std::fs::create_dir_all(directory).map_err(failed)?;
    for (name, text) in LIFEBOAT {
        std::fs::write(directory.join(name), text).map_err(failed)?;
    }
    let shown = directory.display().to_string();
    context.ui.say(&format!("{}: written; its README.md says what to do", printable(&shown)))?;
    context.ui.summary(json!({"directory": shown, "files": LIFEBOAT.map(|(name, _)| name)}))
}

fn tell(reports: &[LifeboatReport], prefix: &str, context: &Context) -> Result<()> {
    let mut out = context.ui.out();
    for LifeboatReport { name, state, error } in reports.iter().filter(|_| !context.ui.json) {
        let what = match (state, error) {
            (_, Some(error)) => format!("cannot be asked: {error}"),
            (LifeboatState::Whole, _) => format!("{prefix}/lifeboat is whole"),
            (LifeboatState::Stored, _) => format!("{prefix}/lifeboat was written"),
            (LifeboatState::Missing, _) => "has none".into(),
            (LifeboatState::Differs | LifeboatState::Unknown, _) => {
                format!("{prefix}/lifeboat is damaged, or another version's")
            }
        };
        out.line(&format!("{}: {}", head(&redact_remote(name)), printable(&what)))?;
    }
    out.flush()?;
    let shown = |report: &LifeboatReport| json!({"name": redact_remote(&report.name), "state": report.state, "error": report.error});
    context.ui.summary(json!({"remotes": reports.iter().map(shown).collect::<Vec<_>>()}))?;
    let unknown = reports.iter().filter(|report| report.error.is_some()).count() as u64;
    if unknown > 0 {
        return Err(Error::new(ErrorKind::Unavailable, format!("{} cannot be asked", count(unknown, "remote")))
            .hint("repeat the command when all remotes answer"));
    }
    let without = |report: &&LifeboatReport| matches!(report.state, LifeboatState::Missing | LifeboatState::Differs);
    match reports.iter().filter(without).count() as u64 {
        0 => Ok(()),
        n => Err(Error::new(ErrorKind::Degraded, format!("{} without a whole lifeboat", count(n, "remote")))
            .hint("`rclonepool recover --store` writes it")),
    }
}
