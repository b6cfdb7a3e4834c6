//! `mkdir`.

use rclonepool_core::{PoolPath, Result};
use serde_json::json;

use crate::context::Context;

/// Make empty directories
///
/// Directories above them come by themselves, and one that is there already is left as it is.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directories of the pool
    #[arg(required = true, value_name = "POOLPATH")]
    paths: Vec<String>,

    /// Accepted for habit's sake: it is always so
    #[arg(short = 'p', long)]
    parents: bool,
}

pub async fn run(args: Args, context: &Context) -> Result<()> {
    let paths = args.paths.iter().map(|path| PoolPath::new(path)).collect::<Result<Vec<_>>>()?;
    let config = context.config()?;
    context
        .with_pool(&config, async |pool| {
            let mut stale = false;
            for path in &paths {
                stale |= context.change(pool.mkdir(path)).await?;
            }
            context.report_stale(pool, stale).await;
            context.ui.summary(json!({"paths": paths, "stale": stale}))
        })
        .await
}
