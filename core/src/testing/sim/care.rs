//! Machines that free space by the pool's own care, as users do, only with a shorter grace.

use std::time::Duration;

use crate::error::{ErrorKind, Result};
use crate::monitor::Monitor;
use crate::pool::Pool;
use crate::pool::care::Times;

/// Marks, waits, and frees what was marked before and is still not needed.
///
/// # Errors
/// Those of the index. Trouble with remotes ends the attempt with words.
pub(super) async fn collect(pool: &Pool, grace: Duration) -> Result<String> {
    let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
    let times = Times { age_ms: grace_ms / 2, grace_ms };
    let mut said = String::new();
    for wait in [true, false] {
        let freed = match pool.free_by(times, None, false, &Monitor::default()).await {
            Ok(report) => format!("marked {}, dropped {}, deleted {}", report.marked, report.dropped, report.objects),
            Err(error) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Busy) => {
                format!("nothing: {error}")
            }
            Err(error) => return Err(error),
        };
        said = format!("{said}{freed}; ");
        if wait {
            tokio::time::sleep(grace).await;
        }
    }
    Ok(said)
}
