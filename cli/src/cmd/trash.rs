//! `trash`.

use std::time::Duration;

use rclonepool_core::id::Stamp;
use rclonepool_core::index::Killer;
use rclonepool_core::pool::care::{EmptyOptions, TrashedKind};
use rclonepool_core::{Error, ErrorKind, PoolPath, Result};
use serde_json::json;

use crate::age::Age;
use crate::context::Context;
use crate::format::{self, count, size};
use crate::prompt::confirm;

/// Bring back what was deleted or overwritten
#[derive(Debug, clap::Subcommand)]
pub enum Args {
    List(List),
    Restore(Restore),
    Empty(Empty),
}

/// List what can be brought back
///
/// Files stay in the trash for trash_retention_hours, counted from when this machine learned that they were deleted
/// or overwritten.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Only this path and what lies below it
    #[arg(value_name = "POOLPATH")]
    path: Option<String>,
}

/// Bring back a file, or a directory with what was deleted along with it
///
/// What stands in its place goes to the trash itself.
#[derive(Debug, clap::Args)]
pub struct Restore {
    /// The file or directory as it was called
    #[arg(value_name = "POOLPATH")]
    path: String,

    /// Which version, as `trash list` names it [default: the newest]
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,

    /// Where to, instead of its own path
    #[arg(long, value_name = "POOLPATH")]
    to: Option<String>,
}

/// Let what is in the trash go for good
///
/// Its space is freed by `gc`.
#[derive(Debug, clap::Args)]
pub struct Empty {
    /// Only this path and what lies below it
    #[arg(value_name = "POOLPATH")]
    path: Option<String>,

    /// Only what has been in the trash for at least so long
    #[arg(long, value_name = "TIME")]
    older_than: Option<Age>,
}

pub async fn run(args: Args, context: &Context) -> Result<()> {
    match args {
        Args::List(args) => list(args, context).await,
        Args::Restore(args) => restore(args, context).await,
        Args::Empty(args) => empty(args, context).await,
    }
}

async fn list(args: List, context: &Context) -> Result<()> {
    let path = args.path.as_deref().map(PoolPath::new).transpose()?;
    let config = context.config()?;
    context
        .with_pool(&config, async |pool| {
            let found = pool.trash(path.as_ref())?;
            let bytes: u64 = found.iter().filter(|t| !t.shared).map(|t| t.size).sum();
            if context.ui.json {
                return context.ui.summary(json!({"versions": found, "bytes": bytes}));
            }
            let mut out = context.ui.out();
            for trashed in &found {
                let (ago, left) = (Duration::from_millis(trashed.age_ms), Duration::from_millis(trashed.left_ms));
                let how = match (trashed.by, trashed.shared) {
                    (Killer::Overwritten, _) => "overwritten",
                    (Killer::Deleted, true) => "moved or copied, then deleted",
                    (Killer::Deleted, false) => "deleted",
                };
                let stays = if trashed.expiring { "going now".into() } else { format!("{} left", format::left(left)) };
                let slash = if trashed.kind == TrashedKind::Directory { "/" } else { "" };
                out.line(&format!(
                    "{}  {}  {how} {}, {stays}  {}{slash}",
                    trashed.version,
                    size(trashed.size),
                    format::ago(ago),
                    format::printable(trashed.path.as_str()),
                ))?;
            }
            if found.is_empty() {
                out.line("The trash is empty.")?;
            } else {
                out.line(&format!("{}, {}", count(found.len() as u64, "version"), size(bytes)))?;
            }
            out.flush()
        })
        .await
}

async fn restore(args: Restore, context: &Context) -> Result<()> {
    let path = PoolPath::new(&args.path)?;
    let to = args.to.as_deref().map(PoolPath::new).transpose()?;
    let version = args.version.as_deref().map(str::parse::<Stamp>).transpose().map_err(|_| {
        let given = format::printable(args.version.as_deref().unwrap_or_default());
        Error::new(ErrorKind::InvalidArgument, format!("{given}: is not the name of a version"))
            .hint("`trash list` shows the names")
    })?;
    let config = context.config()?;
    context
        .with_pool(&config, async |pool| {
            let restored = context.change(pool.restore(&path, version, to.as_ref())).await?;
            for path in &restored.paths {
                context.ui.say(&format!("restored {}", format::printable(path.as_str())))?;
            }
            context.report_stale(pool, restored.stale).await;
            context.ui.summary(json!(restored))
        })
        .await
}

async fn empty(args: Empty, context: &Context) -> Result<()> {
    let path = args.path.as_deref().map(PoolPath::new).transpose()?;
    let config = context.config()?;
    context
        .with_pool(&config, async |pool| {
            let older_than = args.older_than.map(|age| age.0);
            let older_ms = older_than.map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
            let found = pool.trash(path.as_ref())?.into_iter().filter(|t| t.age_ms >= older_ms).count() as u64;
            if found > 0 {
                confirm(context, &format!("Let {} go for good?", count(found, "version"))).await?;
            }
            let gone = context.change(pool.empty_trash(&EmptyOptions { path, older_than })).await?;
            context.ui.say(&format!("{} gone for good; `rclonepool gc` frees the space", count(gone, "version")))?;
            context.ui.summary(json!({"versions": gone}))
        })
        .await
}
