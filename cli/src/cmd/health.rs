//! `health`.

use std::sync::Arc;
use std::time::Duration;

use rclonepool_core::config::redact_remote;
use rclonepool_core::pool::care::{FileState, HealthOptions, HealthReport, RemoteHealth};
use rclonepool_core::{Config, Error, ErrorKind, Event, Monitor, Pool, PoolPath, Result};
use tokio_util::task::AbortOnDropHandle;

use super::verify::{are, files};
use super::words;
use crate::context::Context;
use crate::format::{count, head, printable, size};
use crate::ui::Ui;

/// Tell how the files are, and what may still be lost
///
/// Of the whole pool, or of files at and below a path. Answered from the journal, the remotes that are online
/// and what verifications found: `verify` looks anew. With --what-if-lose it is answered from this machine's
/// index alone; no remote is asked.
///
/// A file is healthy; degraded (shards are damaged, away or badly placed); at risk (it would not survive the
/// loss of another remote, though its redundancy is meant to); unavailable (until remotes return); or lost.
/// Exit code: 0 when all are healthy, 20 when all can be read, 5 when some are unavailable, 21 when some are
/// lost. With --what-if-lose: 21 when files would be lost, else 0.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file or directory of the pool [default: everything]
    #[arg(value_name = "POOLPATH", default_value = "/", hide_default_value = true)]
    path: String,

    /// What would be left if these remotes were lost (names, as `status` has them, or ids)
    #[arg(long, value_name = "REMOTE", num_args = 1..)]
    what_if_lose: Vec<String>,

    /// List at most so many files, the worst first
    #[arg(long, value_name = "N", default_value_t = 100)]
    list: usize,

    /// Stay, check every `health_check_interval` seconds, and tell when something changed; heal and rebalance
    /// meanwhile, where `auto_heal` and `auto_rebalance` say so
    #[arg(long, conflicts_with = "what_if_lose")]
    watch: bool,
}

pub async fn run(args: Args, context: &Context) -> Result<()> {
    let path = PoolPath::new(&args.path)?;
    let options = HealthOptions { path, lost: args.what_if_lose, list: args.list };
    let config = context.config()?;
    if args.watch {
        return watch(context, &config, &options).await;
    }
    if !options.lost.is_empty()
        && let Some(report) = Pool::health_offline(&config, &options)?
    {
        return tell(context, report, &options);
    }
    context
        .with_pool(&config, async |pool| tell(context, context.stoppable(pool.health(&options)).await?, &options))
        .await
}

fn tell(context: &Context, mut report: HealthReport, options: &HealthOptions) -> Result<()> {
    report.remotes.iter_mut().for_each(|remote| remote.name = redact_remote(&remote.name));
    if context.ui.json {
        context.ui.summary(serde_json::to_value(&report).unwrap_or_default())?;
    } else {
        print(context, &report)?;
    }
    let what_if = !options.lost.is_empty();
    let found = &report.files;
    match report.state {
        FileState::Lost if what_if => {
            Err(Error::new(ErrorKind::Unrecoverable, format!("{} would be lost", count(found.lost, "file"))))
        }
        FileState::Lost => Err(Error::new(ErrorKind::Unrecoverable, format!("{} lost", are(found.lost, "file")))
            .hint("`rclonepool repair PATH LOCAL_COPY` brings a file back from a local copy of it")),
        _ if what_if => Ok(()),
        FileState::Unavailable => {
            let hint = match report.remotes.iter().any(|remote| remote.suspect.is_some()) {
                true => SUSPECT,
                false => "bring the remotes that are offline back; nothing was taken for lost",
            };
            Err(Error::new(ErrorKind::Unavailable, format!("{} unavailable", are(found.unavailable, "file")))
                .hint(hint))
        }
        FileState::Degraded | FileState::AtRisk => {
            let ill = found.degraded + found.at_risk;
            Err(Error::new(ErrorKind::Degraded, format!("{} not healthy; all can be read", are(ill, "file")))
                .hint(way_out(&report)))
        }
        FileState::Healthy => Ok(()),
    }
}

/// What helps where a remote is suspect: a plain rebuild leaves alone what it misses.
pub const SUSPECT: &str = "see that the SUSPECT remotes are what they should be: `rclonepool rebuild --all \
                           --accept-loss` rebuilds what they miss";

/// What helps where files can be read and are not healthy.
fn way_out(report: &HealthReport) -> String {
    let mut ways = Vec::new();
    if report.remotes.iter().any(|remote| remote.online == Some(false)) {
        ways.push("bring back the remotes that are offline");
    }
    if report.remotes.iter().any(|remote| remote.suspect.is_some()) {
        ways.push(SUSPECT);
    } else if report.shards.damaged() > 0 {
        ways.push("`rclonepool rebuild` makes anew what is damaged");
    }
    if report.shards.misplaced > 0 {
        ways.push("`rclonepool rebalance` puts apart what lies together");
    }
    if ways.is_empty() {
        ways.push("there are too few remotes or failure domains for the redundancy: add a remote");
    }
    ways.join("; ")
}

fn print(context: &Context, report: &HealthReport) -> Result<()> {
    let mut out = context.ui.out();
    let assumed: Vec<String> = report.remotes.iter().filter(|r| r.assumed_lost).map(|r| printable(&r.name)).collect();
    if !assumed.is_empty() {
        out.line(&format!("If {} were lost, as far as this machine knows:", assumed.join(" and ")))?;
    }
    let found = &report.files;
    let states = [
        (found.healthy, "healthy"),
        (found.degraded, "degraded"),
        (found.at_risk, "at risk"),
        (found.unavailable, "unavailable"),
        (found.lost, "lost"),
    ];
    let parts: Vec<String> = states.iter().filter(|(n, _)| *n > 0).map(|(n, state)| format!("{n} {state}")).collect();
    let all = if parts.is_empty() { "nothing there".into() } else { parts.join(", ") };
    out.line(&format!("{}: {all}", count(found.total(), "file")))?;
    let left = report.remotes.iter().filter(|remote| !remote.assumed_lost && remote.online != Some(false)).count();
    if found.total() > found.lost + found.unavailable {
        out.line(&format!("  Of the files that can be read: {}", words::tolerance(report.tolerated_remotes, left)))?;
        if report.domains < report.remotes.iter().filter(|remote| !remote.assumed_lost).count() {
            let (may, n) = (report.tolerated_domains, count(report.domains as u64, "failure domain"));
            out.line(&format!("  and, whichever, {may} of {n}"))?;
        }
    }
    for remote in &report.remotes {
        for line in about(remote) {
            out.line(&format!("  {}: {line}", head(&remote.name)))?;
        }
    }
    if let Some(trash) = report.trash.filter(|trash| trash.versions > 0) {
        out.line(&format!("  In the trash: {}, {}", count(trash.versions, "version"), size(trash.bytes)))?;
    }
    files(&mut out, &report.listed, report.unlisted)?;
    out.flush()
}

fn about(remote: &RemoteHealth) -> Vec<String> {
    let mut lines = Vec::new();
    if remote.online == Some(false) {
        lines.push("OFFLINE: what lies there is not lost, and does not count now".into());
    }
    if let Some(suspect) = &remote.suspect {
        lines.push(format!(
            "SUSPECT: {} of {} looked absent when it was verified",
            suspect.absent,
            count(suspect.of, "shard")
        ));
    }
    if remote.files_lost_without > 0 {
        lines.push(format!("its loss alone would lose {}", count(remote.files_lost_without, "file")));
    }
    lines
}

async fn watch(context: &Context, config: &Config, options: &HealthOptions) -> Result<()> {
    if !options.path.is_root() {
        return Err(Error::new(ErrorKind::InvalidArgument, "--watch watches all of the pool, not a part of it"));
    }
    context
        .with_pool(config, async |pool| {
            let ui = context.ui.clone();
            let monitor = Monitor::new(Arc::new(move |event| changed(&ui, event)), context.cancel.clone());
            let watch = pool.watch_health(&monitor).ok_or_else(|| {
                Error::new(ErrorKind::Config, "enable_health_monitoring is false: health is not watched")
                    .hint("set it to true, or run `rclonepool health` without --watch")
            })?;
            let _healing = pool.start_healing(&monitor);
            let balancing = config.auto_rebalance.then(|| {
                let every = Duration::from_secs(config.health_check_interval);
                let balanced =
                    Pool::keep_balanced(Arc::downgrade(pool), every, config.rebalance_threshold, monitor.clone());
                AbortOnDropHandle::new(tokio::spawn(balanced))
            });
            watch.ended().await;
            drop(balancing);
            Err(Error::new(ErrorKind::Cancelled, "the watch has ended"))
        })
        .await
}

fn changed(ui: &Ui, event: &Event) {
    match event {
        Event::Health { state, files, offline, suspect, tolerated_remotes, .. } => {
            // A reader that went away is met again at the end.
            let _ = if ui.json {
                let mut value = serde_json::to_value(event).unwrap_or_default();
                value.as_object_mut().map(|object| object.remove("message_type"));
                ui.json_line("health", value)
            } else {
                let mut line = format!("{}: {}", crate::format::now(), state.as_str());
                line += &format!("; {} more may be lost", count(*tolerated_remotes as u64, "remote"));
                line += &format!("; {} of {} healthy", files.healthy, count(files.total(), "file"));
                for (names, what) in [(offline, "offline"), (suspect, "suspect")] {
                    if !names.is_empty() {
                        let names: Vec<String> = names.iter().map(|name| printable(&redact_remote(name))).collect();
                        line += &format!("; {what}: {}", names.join(", "));
                    }
                }
                ui.print(&line)
            };
        }
        Event::Notice { message } => ui.warn(message),
        _ => {}
    }
}
