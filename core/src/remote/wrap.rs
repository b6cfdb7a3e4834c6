//! Wrappers: each is a [`Remote`](super::Remote) around another and adds one behaviour.
//!
//! [`stack`] is the one place that puts them on a remote. From the caller to the remote:
//!
//! 1. [`GateRemote`]: outermost, so that only what failed in spite of all tries counts against the remote.
//! 2. [`RetryRemote`]: outside of the rest, so that a call that waits for its next try holds nothing.
//! 3. [`LimitRemote`]: a try waits here for its turn, and
//! 4. [`PaceRemote`]: here for its time; that is no fault of the remote, so it counts
//!    neither as its latency nor against the time-out.
//! 5. [`MetricsRemote`]: sees each try, time-outs included.
//! 6. [`TimeoutRemote`]: innermost, so that it measures the remote and nothing else.

mod gate;
mod limit;
mod metrics;
mod pace;
mod retry;
mod timeout;
mod timing;

use std::sync::Arc;

pub use gate::{Budget, GateRemote, Ledger};
pub use limit::{LimitOptions, LimitRemote};
pub use metrics::{Latency, Metrics, MetricsRemote, MetricsSnapshot, Verb};
pub use pace::{PaceOptions, PaceRemote, Rate};
pub use retry::{RetryOptions, RetryRemote};
pub use timeout::{TimeoutOptions, TimeoutRemote};
pub use timing::{BOUNDS, Timing, TimingSnapshot};

use super::SharedRemote;
use crate::env::SharedEnv;

/// What [`stack`] puts around a remote.
#[derive(Debug, Clone, Default)]
pub struct StackOptions {
    /// `None` tries everything once.
    pub retry: Option<RetryOptions>,
    /// How much at a time.
    pub limit: LimitOptions,
    /// How much in how much time.
    pub pace: PaceOptions,
    /// How much in a day; `None` is any amount.
    pub budget: Option<Budget>,
    /// How long is too long.
    pub timeout: TimeoutOptions,
}

/// Puts the wrappers around `remote`, in the order the module describes; the metrics are of this remote alone.
pub fn stack(remote: SharedRemote, options: &StackOptions, env: &SharedEnv) -> (SharedRemote, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::default());
    let remote: SharedRemote = Arc::new(TimeoutRemote::new(remote, options.timeout.clone()));
    let remote: SharedRemote = Arc::new(MetricsRemote::new(remote, Arc::clone(&metrics)));
    let remote: SharedRemote = Arc::new(PaceRemote::new(remote, &options.pace));
    let remote: SharedRemote = Arc::new(LimitRemote::new(remote, &options.limit));
    let remote: SharedRemote = match &options.retry {
        Some(retry) => Arc::new(RetryRemote::new(remote, retry.clone(), Arc::clone(env))),
        None => remote,
    };
    (Arc::new(GateRemote::new(remote, options.budget.clone(), Arc::clone(env))), metrics)
}
