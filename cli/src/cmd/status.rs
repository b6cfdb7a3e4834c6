//! `status`.

use rclonepool_core::config::{ByteSize, redact_remote};
use rclonepool_core::pool::{PoolStatus, RemoteReport, RemoteState};
use rclonepool_core::{Error, ErrorKind, Result};
use serde_json::json;

use super::words;
use crate::context::Context;
use crate::format::{self, count, size};

/// Show what the pool holds, what still fits and what may be lost (also: df)
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Tell whether so much still fits; exit code 24 when it does not
    #[arg(long, value_name = "SIZE")]
    fits: Option<ByteSize>,
}

pub async fn run(args: Args, context: &Context) -> Result<()> {
    let config = context.config()?;
    context
        .with_pool(&config, async |pool| {
            let mut status = context.stoppable(pool.status()).await?;
            for remote in &mut status.remotes {
                remote.name = redact_remote(&remote.name);
            }
            let fits = args.fits.and_then(|wanted| status.free.map(|free| wanted.0 <= free));
            if context.ui.json {
                let mut summary = serde_json::to_value(&status).unwrap_or_default();
                if let Some(wanted) = args.fits {
                    summary["fits"] = json!({"bytes": wanted.0, "fits": fits});
                }
                context.ui.summary(summary)?;
            } else {
                print(context, &status)?;
            }
            let Some(wanted) = args.fits else { return Ok(()) };
            match fits {
                Some(true) => context.ui.say(&format!("{} fit.", size(wanted.0))),
                Some(false) => Err(Error::new(ErrorKind::Full, format!("{} do not fit", size(wanted.0)))
                    .hint("add a remote, or raise a quota")),
                None => Err(Error::new(ErrorKind::Unsupported, "whether it fits is not known")
                    .hint("give remote_quotas for the remotes that do not tell their free space")),
            }
        })
        .await
}

fn print(context: &Context, status: &PoolStatus) -> Result<()> {
    let members: Vec<&RemoteReport> = status.remotes.iter().filter(|r| r.state.is_some()).collect();
    let offline = members.iter().filter(|remote| !remote.online).count();
    let mut out = context.ui.out();
    out.line(&format!("Pool {}, redundancy {}", status.pool, status.redundancy))?;
    let (files, plain, stored) = (count(status.files, "file"), size(status.bytes), size(status.stored));
    out.line(&format!("  {files}, {plain}; {stored} on the remotes"))?;
    if status.deduplicated_bytes > 0 {
        let (unique, saved) = (size(status.unique_bytes), size(status.deduplicated_bytes));
        out.line(&format!("  deduplicated: {plain} are {unique} of different content, {saved} saved"))?;
    }
    if status.compressed_bytes > 0 {
        let (plain, stored) = (size(status.compressed_bytes), size(status.compressed_stored));
        out.line(&format!("  compressed: {plain} take {stored}, before redundancy"))?;
    }
    if status.trash_versions > 0 {
        let versions = count(status.trash_versions, "version");
        out.line(&format!("  the trash: {versions}, {}", size(status.trash_bytes)))?;
    }
    out.line(&match status.free {
        Some(free) => format!("  {} still fit (free space after redundancy)", size(free)),
        None => "  how much still fits is not known: not all remotes tell their free space; give remote_quotas".into(),
    })?;
    let tolerance = words::tolerance(status.tolerated, members.len());
    let now = match (offline, status.tolerated.checked_sub(offline)) {
        (0, _) => String::new(),
        (n, None) => format!("; {n} are offline now, more than that: files may be unreadable until they return"),
        (n, Some(0)) => format!("; {n} offline now, so no further one"),
        (n, Some(left)) => format!("; {n} offline now, so {left} more"),
    };
    out.line(&format!("  New files: {tolerance}{now}"))?;
    if let Some(cost) = words::too_few(status.redundancy, members.len()) {
        out.line(&format!("  {cost}"))?;
    }
    if !status.complete_view {
        out.line(&format!("  This may be out of date: {}", status.lacks.join("; ")))?;
    }
    out.line("")?;
    table(&mut out, &status.remotes)?;
    out.flush()
}

/// One line per remote.
pub fn table(out: &mut crate::ui::Out, remotes: &[RemoteReport]) -> Result<()> {
    let names: Vec<String> = remotes.iter().map(|r| format::printable(&r.name)).collect();
    let wide = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(6);
    out.line(&format!("{:wide$}  {:>10}  {:>10}  {:>10}  {:>7}  STATE", "REMOTE", "USED", "FREE", "QUOTA", "SHARDS"))?;
    for (remote, name) in remotes.iter().zip(names) {
        let or_dash = |bytes: Option<u64>| bytes.map_or("-".into(), size);
        out.line(&format!(
            "{name:wide$}  {:>10}  {:>10}  {:>10}  {:>7}  {}",
            size(remote.used),
            or_dash(remote.usage.free),
            or_dash(remote.quota),
            remote.objects,
            state(remote)
        ))?;
    }
    Ok(())
}

/// `online`, `OFFLINE: …`, with what is unusual about its membership.
pub fn state(remote: &RemoteReport) -> String {
    let membership = match remote.state {
        Some(RemoteState::Active) => "",
        Some(RemoteState::Joining) => ", joining",
        Some(RemoteState::Draining) => ", draining",
        Some(RemoteState::Leaving) => ", leaving",
        Some(RemoteState::Removed) => ", removed",
        None => ", not a member",
    };
    match (&remote.error, remote.online) {
        (_, true) => format!("online{membership}"),
        (Some(error), false) => {
            // The line begins with the remote's name.
            let error = error
                .strip_prefix(&format!("remote {}: ", remote.name.strip_suffix(':').unwrap_or(&remote.name)))
                .unwrap_or(error);
            let error = error.strip_prefix("offline: ").unwrap_or(error);
            format!("OFFLINE{membership}: {}", format::printable(error))
        }
        (None, false) => format!("OFFLINE{membership}"),
    }
}
