//! `delete`.

use rclonepool_core::pool::DeleteOptions;
use rclonepool_core::{ErrorKind, PoolPath, Result};
use serde_json::json;

use super::partial;
use crate::context::Context;
use crate::format;
use crate::prompt::confirm;
use crate::ui::describe;

/// Delete files, and with -r directories (also: rm)
///
/// Files go to the trash: `trash restore` brings them back for trash_retention_hours. `gc` frees the space of what
/// is not kept any more.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files or directories of the pool
    #[arg(required = true, value_name = "POOLPATH")]
    paths: Vec<String>,

    /// Delete directories and all that lies in them
    #[arg(short, long)]
    recursive: bool,

    /// Not to the trash: gone for good, with older versions of it
    #[arg(long)]
    purge: bool,
}

pub async fn run(args: Args, context: &Context) -> Result<()> {
    let paths = args.paths.iter().map(|path| PoolPath::new(path)).collect::<Result<Vec<_>>>()?;
    let config = context.config()?;
    if args.recursive && paths.iter().any(PoolPath::is_root) {
        confirm(context, "Delete everything in the pool?").await?;
    }
    context
        .with_pool(&config, async |pool| {
            let options = DeleteOptions { recursive: args.recursive, purge: args.purge, ..DeleteOptions::default() };
            let (mut entries, mut stale, mut failed) = (0, false, 0);
            for path in &paths {
                match context.change(pool.delete_with(path, &options)).await {
                    Ok(changed) => {
                        entries += changed.entries;
                        stale |= changed.stale;
                        let below =
                            if changed.entries > 1 { format!(" ({} entries)", changed.entries) } else { String::new() };
                        context.ui.say(&format!("deleted {}{below}", format::printable(path.as_str())))?;
                    }
                    Err(error) if paths.len() == 1 || error.kind() == ErrorKind::Cancelled => return Err(error),
                    Err(error) => {
                        failed += 1;
                        context.ui.failure(&describe(&error));
                    }
                }
            }
            context.report_stale(pool, stale).await;
            context.ui.summary(json!({"entries": entries, "failed": failed, "stale": stale}))?;
            if failed > 0 { Err(partial(failed, paths.len() as u64, "path")) } else { Ok(()) }
        })
        .await
}
