//! `stat`.

use rclonepool_core::{ErrorKind, Pool, PoolPath, Result};
use serde_json::{Value, json};

use crate::context::Context;

/// Print a path's manifest and where its shards lie, as JSON
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file or directory of the pool
    #[arg(value_name = "POOLPATH")]
    path: String,
}

pub async fn run(args: Args, context: &Context) -> Result<()> {
    let path = PoolPath::new(&args.path)?;
    let config = context.config()?;
    context
        .with_pool(&config, async |pool| {
            let found = match pool.stat(&path).await {
                Ok(stat) => serde_json::to_value(stat).unwrap_or_default(),
                // A directory may exist only by what lies in it.
                Err(error) if error.kind() == ErrorKind::NotFound && pool.is_directory(&path)? => implied(pool, &path)?,
                Err(error) => return Err(error),
            };
            match () {
                () if context.ui.json => context.ui.summary(found),
                () if console::user_attended() => {
                    context.ui.print(&serde_json::to_string_pretty(&found).unwrap_or_default())
                }
                () => context.ui.print(&found.to_string()),
            }
        })
        .await
}

fn implied(pool: &Pool, path: &PoolPath) -> Result<Value> {
    let (mut files, mut bytes) = (0u64, 0u64);
    pool.walk(path, |entry| {
        files += u64::from(!entry.content.is_directory());
        bytes += entry.content.size();
        Ok(())
    })?;
    Ok(json!({"directory": {"path": path, "files": files, "bytes": bytes}}))
}
