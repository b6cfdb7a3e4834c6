//! Balancing by itself, for processes that live long.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::RebalanceReport;
use crate::error::{ErrorKind, Result};
use crate::monitor::Monitor;
use crate::pool::Pool;

impl Pool {
    /// Rebalances when the variance is above `threshold` percentage points, to half of it, so that little
    /// changes do not start it again soon; gives back what was done, if anything.
    ///
    /// Several machines may do so at once: they plan from the same figures, and a shard that two of them
    /// moved counts where the later record says; the other copy is freed.
    ///
    /// # Errors
    /// As [`Pool::rebalance`].
    pub async fn auto_rebalance(
        self: &Arc<Self>,
        threshold: f64,
        monitor: &Monitor,
    ) -> Result<Option<RebalanceReport>> {
        self.sync().await?;
        if self.balance_status().await?.variance <= threshold {
            return Ok(None);
        }
        let plan = self.plan_rebalance(threshold / 2.0).await?;
        if plan.shards == 0 {
            return Ok(None);
        }
        self.rebalance(&plan, monitor).await.map(Some)
    }

    /// Looks `every` so often whether to rebalance, until the monitor is cancelled or the pool is gone.
    /// Trouble is told as a notice, and tried again the next time.
    pub async fn keep_balanced(pool: Weak<Self>, every: Duration, threshold: f64, monitor: Monitor) {
        // Machines that were started together do not look together.
        let jitter = pool.upgrade().map_or(0, |pool| pool.env.random() % 1000);
        #[allow(clippy::cast_precision_loss, reason = "below 1000")]
        let mut wait = every.mul_f64(0.75 + jitter as f64 / 4000.0);
        loop {
            let slept = async {
                tokio::time::sleep(wait).await;
                Ok(())
            };
            if monitor.run(slept).await.is_err() {
                return;
            }
            wait = every;
            let Some(pool) = pool.upgrade() else { return };
            match pool.auto_rebalance(threshold, &monitor).await {
                Ok(Some(report)) => monitor.notice(format!(
                    "rebalanced: {} shards moved, {} bytes; the fills now differ by {:.1} points",
                    report.shards, report.bytes, report.variance
                )),
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::Cancelled => return,
                Err(error) => monitor.notice(format!("not rebalanced: {error}")),
            }
        }
    }
}
