//! What is said of a pool that was made, or was there.

use std::path::Path;

use rclonepool_core::pool::{InitReport, start_rclone, tolerated};
use rclonepool_core::{Config, Result};
use serde_json::json;

use super::proposal;
use crate::cmd::words;
use crate::context::{Context, open_options};
use crate::format;
use crate::sections::{self, Encryption};

/// Tells of the pool, what it survives, what is not encrypted and what must be kept elsewhere.
pub async fn tell(context: &Context, config: &Config, report: &InitReport, path: &Path) -> Result<()> {
    let (redundancy, labels) = (config.redundancy(), config.effective_remotes());
    let plain = unencrypted(config, &labels).await;
    let may_be_lost = tolerated(redundancy, labels.len());
    let shown = format::printable(&path.display().to_string());
    let say = |text: &str| context.ui.say(text);
    if report.created {
        say(&format!("Pool {} made of {}.", report.pool, format::count(labels.len() as u64, "remote")))?;
    } else {
        say(&format!("Pool {} was there already; nothing on its remotes was changed.", report.pool))?;
    }
    say(&format!("  configuration: {shown}"))?;
    say(&format!("  redundancy {redundancy}: {}", words::tolerance(may_be_lost, labels.len())))?;
    if let Some(cost) = words::too_few(redundancy, labels.len()) {
        context.ui.warn(&cost);
    }
    let better = proposal(labels.len());
    if report.created && may_be_lost == 0 && better.tolerated() > 0 && redundancy.tolerated() == 0 {
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
        "pool": report.pool,
        "created": report.created,
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
