//! `cat`.

use rclonepool_core::config::ByteSize;
use rclonepool_core::{Error, ErrorKind, PoolPath, Result};
use serde_json::json;

use super::check_is_no_directory;
use crate::context::Context;

/// Write the content of files to standard output
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files of the pool
    #[arg(required = true, value_name = "POOLPATH")]
    paths: Vec<String>,

    /// Begin at this byte, such as 4096 or 64M
    #[arg(long, value_name = "SIZE", default_value = "0", hide_default_value = true)]
    offset: ByteSize,

    /// Write this many bytes at most
    #[arg(long, value_name = "SIZE")]
    count: Option<ByteSize>,
}

pub async fn run(args: Args, context: &Context) -> Result<()> {
    let paths = args.paths.iter().map(|path| PoolPath::new(path)).collect::<Result<Vec<_>>>()?;
    let start = args.offset.0;
    if paths.len() > 1 && (start > 0 || args.count.is_some()) {
        return Err(Error::new(ErrorKind::InvalidArgument, "--offset and --count are for one file"));
    }
    let end = args.count.map_or(u64::MAX, |count| start.saturating_add(count.0));
    context.ui.stdout_is_content();
    let config = context.config()?;
    context
        .with_pool(&config, async |pool| {
            let (monitor, mut out) = (context.silent_monitor(), tokio::io::stdout());
            let mut written = 0;
            for path in &paths {
                check_is_no_directory(pool, path)?;
                written += pool.read_to(path, Some(start..end), &mut out, &monitor).await?;
            }
            context.ui.summary(json!({"bytes": written, "files": paths.len()}))
        })
        .await
}
