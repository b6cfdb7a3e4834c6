//! `balance-status`.

use rclonepool_core::Result;
use rclonepool_core::config::redact_remote;
use rclonepool_core::pool::care::RemoteBalance;
use serde_json::json;

use crate::context::Context;
use crate::format::{self, size};

/// Show how full each remote is next to the others
///
/// The fill of a remote is what the pool keeps on it over its fair share: its quota, or its size where it has
/// a disk to itself, times its weight. Where no remote tells its size, all shares are equal by weight. The
/// variance is the largest minus the smallest fill, in percentage points, among remotes of one priority.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_: Args, context: &Context) -> Result<()> {
    let config = context.config()?;
    context
        .with_pool(&config, async |pool| {
            let mut status = context.stoppable(pool.balance_status()).await?;
            status.remotes.iter_mut().for_each(|remote| remote.name = redact_remote(&remote.name));
            if context.ui.json {
                let mut summary = serde_json::to_value(&status).unwrap_or_default();
                summary["threshold"] = json!(config.rebalance_threshold);
                return context.ui.summary(summary);
            }
            let mut out = context.ui.out();
            let names: Vec<String> = status.remotes.iter().map(|r| format::printable(&r.name)).collect();
            let wide = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(6);
            out.line(&format!("{:wide$}  {:>10}  {:>10}  {:>10}  {:>8}", "REMOTE", "USED", "QUOTA", "SHARE", "FILL"))?;
            for (remote, name) in status.remotes.iter().zip(names) {
                let quota = remote.quota.map_or("-".into(), size);
                out.line(&format!(
                    "{name:wide$}  {:>10}  {quota:>10}  {:>10}  {:>6.1} %{}",
                    size(remote.used),
                    size(remote.share),
                    remote.fill,
                    remark(remote)
                ))?;
            }
            let threshold = config.rebalance_threshold;
            let advice = if status.variance > threshold { "; `rclonepool rebalance` evens it out" } else { "" };
            out.line(&format!("variance {:.1} points (threshold {threshold}){advice}", status.variance))?;
            out.flush()
        })
        .await
}

fn remark(remote: &RemoteBalance) -> String {
    remote.refuses.as_ref().map_or(String::new(), |why| format!("  {}", format::printable(why)))
}
