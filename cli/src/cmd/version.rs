//! `version`.

use rclonepool_core::Result;
use rclonepool_core::journal::commit::FORMAT;
use serde_json::json;

use crate::context::Context;

/// Print the version
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(context: &Context) -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    if context.ui.json {
        return context.ui.summary(json!({"version": version, "format": FORMAT}));
    }
    context.ui.print(&format!("rclonepool {version} (pool format {FORMAT})"))
}
