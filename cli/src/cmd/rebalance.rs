//! `rebalance`.

use std::sync::Arc;

use rclonepool_core::config::redact_remote;
use rclonepool_core::pool::care::{Flow, RebalancePlan, RebalanceReport};
use rclonepool_core::{Error, ErrorKind, Pool, Result};
use serde_json::json;

use super::transfer::{ParallelArgs, done_of, interrupted};
use crate::context::Context;
use crate::format::{self, count, size};
use crate::progress::{Files, Items, Progress};

/// Move data between remotes until they are filled alike
///
/// Moves as little as it takes, and to where new uploads would go: weights, priorities, quotas and failure
/// domains are obeyed, and nothing survives fewer losses than before. Every shard is copied and read
/// back before the change is committed, and only then deleted where it lay. An interrupted rebalancing goes
/// on where it stopped.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Say what would be moved, and move nothing
    #[arg(short = 'n', long)]
    dry_run: bool,

    /// How much the fills may differ afterwards, in percentage points
    #[arg(long, value_name = "POINTS", default_value_t = 5.0, value_parser = points)]
    target_variance: f64,

    #[command(flatten)]
    parallel: ParallelArgs,
}

fn points(text: &str) -> std::result::Result<f64, String> {
    let points: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.1..=100.0).contains(&points) { Ok(points) } else { Err("from 0.1 to 100 (percentage points)".into()) }
}

pub async fn run(args: Args, context: &Context) -> Result<()> {
    let mut config = context.config()?;
    args.parallel.apply(&mut config);
    context
        .with_pool(&config, async |pool| {
            let plan = context.stoppable(pool.plan_rebalance(args.target_variance)).await?;
            tell_flows(context, &plan.flows)?;
            tell_plan(context, &plan)?;
            if args.dry_run {
                return context.ui.summary(json!({"dry_run": true, "plan": plan}));
            }
            let report = perform(pool, &plan, context).await?;
            context.ui.summary(serde_json::to_value(&report).unwrap_or_default())?;
            outcome(&report)
        })
        .await
}

/// Rebalances after remotes were added, where the configuration says so.
pub async fn automatic(pool: &Arc<Pool>, threshold: f64, context: &Context) -> Result<()> {
    if pool.balance_status().await?.variance <= threshold {
        return Ok(());
    }
    let plan = context.stoppable(pool.plan_rebalance(threshold / 2.0)).await?;
    tell_flows(context, &plan.flows)?;
    perform(pool, &plan, context).await.map(drop)
}

async fn perform(pool: &Arc<Pool>, plan: &RebalancePlan, context: &Context) -> Result<RebalanceReport> {
    let progress = Progress::start(&context.ui, Items::Chunks, Files::Quiet, &context.cancel);
    let monitor = progress.monitor().clone();
    // Not raced with the signal: what is finished is still committed.
    let done = pool.rebalance(plan, &monitor).await;
    let tally = progress.finish();
    let report = done.map_err(|error| {
        interrupted(error, || {
            format!("{}; the same command continues with the rest", done_of(&tally, "shard", "moved"))
        })
    })?;
    context.report_stale(pool, report.stale).await;
    if report.shards > 0 {
        let (shards, bytes) = (count(report.shards, "shard"), size(report.bytes));
        let variance = report.variance;
        context.ui.say(&format!("moved {shards}, {bytes}; the fills now differ by {variance:.1} points"))?;
    }
    Ok(report)
}

/// From where to where.
pub fn tell_flows(context: &Context, flows: &[Flow]) -> Result<()> {
    for flow in flows {
        let name = |remote: &str| format::printable(&redact_remote(remote));
        let (shards, bytes) = (count(flow.shards, "shard"), size(flow.bytes));
        let to = format::head(&redact_remote(&flow.to));
        context.ui.say(&format!("{} -> {to}: {shards}, {bytes}", name(&flow.from)))?;
    }
    Ok(())
}

fn tell_plan(context: &Context, plan: &RebalancePlan) -> Result<()> {
    for remote in &plan.left_out {
        context.ui.warn(&format!("{remote}; it neither gives nor takes"));
    }
    let now = format!("the fills differ by {:.1} points", plan.variance);
    context.ui.say(&match (plan.shards, plan.reached) {
        (0, true) => format!("nothing to move: {now}"),
        (0, false) => format!("nothing can be moved: {now}, and placement or room allows no better"),
        (shards, reached) => {
            let more = if reached { "" } else { ", the best that placement and room allow" };
            let (shards, bytes) = (count(shards, "shard"), size(plan.bytes));
            format!("{shards}, {bytes} to move: {now}, and then by {:.1}{more}", plan.variance_after)
        }
    })
}

/// Partial failure has its exit code.
pub fn outcome(report: &RebalanceReport) -> Result<()> {
    if report.failed == 0 {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Partial, format!("{} could not be moved", count(report.failed, "shard")))
        .hint("nothing is lost; repeat it when the remotes take data"))
}
