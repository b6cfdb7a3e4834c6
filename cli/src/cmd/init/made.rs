//! What is said of a pool that was made, or was there.

use std::path::Path;

use rclonepool_core::id::PoolId;
use rclonepool_core::pool::{InitReport, start_rclone, tolerated};
use rclonepool_core::{Config, Result};
use serde_json::json;

use super::proposal;
use crate::cmd::words;
use crate::context::{Context, open_options};
use crate::format;
use crate::sections::{self, Encryption};

/// How the pool came to be here.
pub enum How {
    /// Made, or there already.
    Init(InitReport),
    /// Found by `--from`: how many members it has, whether they were found or not.
    Found(PoolId, usize),
}

/// Tells of the pool, what it survives, what is not encrypted and what must be kept elsewhere.
pub async fn tell(context: &Context, config: &Config, how: &How, path: &Path) -> Result<()> {
    let (redundancy, labels) = (config.redundancy(), config.effective_remotes());
    let plain = unencrypted(config, &labels).await;
    let (pool, created, members) = match how {
        How::Init(report) => (report.pool, report.created, labels.len()),
        How::Found(pool, members) => (*pool, false, *members),
    };
    let may_be_lost = tolerated(redundancy, members);
    let shown = format::printable(&path.display().to_string());
    let say = |text: &str| context.ui.say(text);
    let remotes = format::count(labels.len() as u64, "remote");
    say(&match how {
        How::Found(..) => format!("Pool {pool} found: {} of its {members} remotes.", labels.len()),
        How::Init(_) if created => format!("Pool {pool} made of {remotes}."),
        How::Init(_) => format!("Pool {pool} was there already; nothing on its remotes was changed."),
    })?;
    say(&format!("  configuration: {shown}"))?;
    say(&format!("  redundancy {redundancy}: {}", words::tolerance(may_be_lost, members)))?;
    if let Some(cost) = words::too_few(redundancy, members) {
        context.ui.warn(&cost);
    }
    let better = proposal(members);
    if created && may_be_lost == 0 && better.tolerated() > 0 && redundancy.tolerated() == 0 {
        say(&format!("  (--redundancy {better} survives the loss of {})", better.tolerated()))?;
    }
    if !plain.is_empty() {
        context.ui.warn(&format!(
            "NOT encrypted: {}. Whoever runs these remotes can read what is stored there (rclone's crypt encrypts)",
            plain.join(", ")
        ));
    }
    say("Keep your rclone.conf: logins and crypt passwords are the one thing the pool cannot give back.")?;
    say("  rclonepool recovery-sheet FILE    writes down what is needed")?;
    context.ui.summary(json!({
        "pool": pool,
        "created": created,
        "config": path.display().to_string(),
        "remotes": config.masked()["remotes"],
        "redundancy": redundancy.to_string(),
        "tolerated": may_be_lost,
        "not_encrypted": plain,
    }))
}

/// The remotes whose owners can read what is stored, as far as can be told.
async fn unencrypted(config: &Config, labels: &[String]) -> Vec<String> {
    let needs_rclone = labels.iter().any(|label| !sections::is_directory(label));
    let rclone = match needs_rclone {
        true => start_rclone(config, &open_options()).await.ok(),
        false => None,
    };
    let mut plain = Vec::new();
    for label in labels {
        if sections::encryption(rclone.as_deref(), label).await == Encryption::None {
            plain.push(rclonepool_core::config::redact_remote(label));
        }
    }
    if let Some(rclone) = rclone {
        rclone.close().await;
    }
    plain
}
