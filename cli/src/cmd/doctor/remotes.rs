//! The remotes of the configuration, and what their journals say of the clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rclonepool_core::config::redact_remote;
use rclonepool_core::pool::RemoteAnswer;
use rclonepool_core::remote::rclone::Rclone;
use rclonepool_core::{Config, Error, ErrorKind, Pool, Result};

use super::Report;
use crate::context::Context;
use crate::format::{count, head, size, span};

const REMOTE: &str = "remote";
const CLOCK: &str = "clock";

/// A listing that takes longer makes every command wait.
const SLOW: Duration = Duration::from_secs(10);

/// Clocks differ by seconds; a commit that is so much newer than now was made by another idea of the time.
const AHEAD_MS: u64 = 60_000;

/// 2025 began; no clock that is right shows an earlier time.
const EARLIEST_MS: u64 = 1_735_689_600_000;

/// # Errors
/// `Cancelled`.
pub async fn check(
    context: &Context,
    config: &Config,
    rclone: Option<&Arc<Rclone>>,
    report: &mut Report,
) -> Result<()> {
    let answers = context.stoppable(async { Ok(Pool::ask_remotes(config, rclone).await) }).await?;
    for answer in &answers {
        one(answer, config, report);
    }
    together(&answers, report);
    clock(&answers, report);
    Ok(())
}

fn one(answer: &RemoteAnswer, config: &Config, report: &mut Report) {
    let name = head(&redact_remote(&answer.name));
    let Some((_, id)) = answer.marker.filter(|_| answer.error.is_none()) else {
        let unknown = Error::new(ErrorKind::Internal, "it gave no answer").on_remote(&answer.name);
        let hint = "see what rclone itself says: `rclone -vv lsd REMOTE`; of a directory, is it there?";
        return report.problem(REMOTE, answer.error.as_ref().unwrap_or(&unknown), hint);
    };
    let took = Duration::from_millis(answer.listed_ms);
    let commits = count(answer.commits as u64, "commit");
    let space = answer.usage.free.map_or("does not tell its free space".into(), |free| format!("{} free", size(free)));
    report.ok(REMOTE, format!("{name}: {id}, {commits}, {space}, answers in {}", span(took)));
    if answer.usage.free.is_some_and(|free| free < config.chunk_size) {
        let message = format!("{name}: nearly full: less than one chunk ({}) is free", size(config.chunk_size));
        report.warn(
            REMOTE,
            message,
            "`rclonepool rebalance` moves data away; `remotes add` adds room; `gc` frees some",
        );
    }
    if took > SLOW {
        let hint = "is the connection slow, or are there many commits (`rclonepool gc` packs them)?";
        report.warn(REMOTE, format!("{name}: took {} to be listed", span(took)), hint);
    }
}

/// What no remote shows alone.
fn together(answers: &[RemoteAnswer], report: &mut Report) {
    let mut places = BTreeMap::<_, Vec<String>>::new();
    for answer in answers {
        if let Some((_, id)) = answer.marker {
            places.entry(id).or_default().push(head(&redact_remote(&answer.name)));
        }
    }
    for (id, names) in places.iter().filter(|(_, names)| names.len() > 1) {
        let error = Error::new(ErrorKind::Config, format!("{} carry the same marker, {id}", names.join(" and ")));
        let hint = "one is a copy of the other, or the same place under two names; take it out of the configuration";
        report.problem(REMOTE, &error, hint);
    }
    let pools: BTreeSet<_> = answers.iter().filter_map(|answer| answer.marker).map(|(pool, _)| pool).collect();
    if pools.len() > 1 {
        let names: Vec<String> = pools.iter().map(ToString::to_string).collect();
        let error = Error::new(ErrorKind::Config, format!("they belong to several pools: {}", names.join(", ")));
        report.problem(REMOTE, &error, "configure the remotes of one pool only, and set pool_id");
    }
}

/// The remotes' clocks cannot be asked through rclone; what other machines, or this one, wrote there can.
fn clock(answers: &[RemoteAnswer], report: &mut Report) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let newest = answers.iter().filter_map(|answer| answer.newest_ms).max();
    const SET: &str = "let the clock be set by the network: `timedatectl set-ntp true`";
    if now_ms < EARLIEST_MS {
        let error = Error::new(ErrorKind::Config, "this machine's clock shows a time before 2025");
        return report.problem(CLOCK, &error, SET);
    }
    match newest.map(|newest| newest.saturating_sub(now_ms)) {
        Some(ahead) if ahead > AHEAD_MS => {
            let by = span(Duration::from_millis(ahead));
            report.warn(CLOCK, format!("the pool's newest change is {by} in the future: a clock is wrong"), SET);
        }
        Some(_) => report.ok(CLOCK, "not behind the pool's newest change"),
        None => report.ok(CLOCK, "plausible; there is no change to hold it against"),
    }
}
