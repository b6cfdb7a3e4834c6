//! `mv`.

use rclonepool_core::{Error, ErrorKind, PoolPath, Result};
use serde_json::json;

use super::Target;
use crate::context::Context;
use crate::format;

/// Move or rename files and directories; no data moves
///
/// `mv /a /b` gives /a the name /b; `mv /a /dir/` moves it to /dir/a. Several sources need a target that
/// ends with /.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files or directories of the pool
    #[arg(required = true, value_name = "FROM")]
    sources: Vec<String>,

    /// The new path, or the directory to move into
    #[arg(value_name = "TO")]
    target: String,

    /// Replace a file that is there
    #[arg(short, long)]
    force: bool,
}

pub async fn run(args: Args, context: &Context) -> Result<()> {
    let target = Target::new(&args.target)?;
    let sources = args.sources.iter().map(|path| PoolPath::new(path)).collect::<Result<Vec<_>>>()?;
    if sources.len() > 1 && !target.into {
        return Err(Error::new(ErrorKind::InvalidArgument, "several sources need a directory to go into")
            .at_path(&target.path)
            .hint("write / at its end"));
    }
    let moves = sources.into_iter().map(|from| {
        let to = if target.into && !from.is_root() { target.path.join(from.name())? } else { target.path.clone() };
        Ok((from, to))
    });
    let moves = moves.collect::<Result<Vec<_>>>()?;
    let config = context.config()?;
    context
        .with_pool(&config, async |pool| {
            let (mut entries, mut stale) = (0, false);
            for (from, to) in &moves {
                if !target.into && pool.is_directory(to)? && !pool.is_directory(from)? {
                    return Err(Error::new(ErrorKind::AlreadyExists, "is a directory")
                        .at_path(to)
                        .hint("write / at its end to move into it"));
                }
                let changed = context.change(pool.rename(from, to, args.force)).await?;
                entries += changed.entries;
                stale |= changed.stale;
                let (from, to) = (format::printable(from.as_str()), format::printable(to.as_str()));
                context.ui.say(&format!("{from} -> {to}"))?;
            }
            context.report_stale(pool, stale).await;
            context.ui.summary(json!({"entries": entries, "stale": stale}))
        })
        .await
}
