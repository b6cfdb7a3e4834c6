//! Wrappers: each is a [`Remote`](super::Remote) around another and adds one behaviour.
//!
//! [`stack`] is the one place that puts them on a remote. From the caller to the remote:
//!
//! 1. [`RetryRemote`]: outermost, so that a call that waits for its next try holds nothing.
//! 2. [`LimitRemote`]: a try waits here for its turn; that is no fault of the remote, so it counts
//!    neither as its latency nor against the time-out.
//! 3. [`MetricsRemote`]: sees each try, time-outs included.
//! 4. [`TimeoutRemote`]: innermost, so that it measures the remote and nothing else.

mod limit;
mod metrics;
mod retry;
mod timeout;

use std::sync::Arc;

pub use limit::{LimitOptions, LimitRemote};
pub use metrics::{Latency, Metrics, MetricsRemote, MetricsSnapshot, Verb};
pub use retry::{RetryOptions, RetryRemote};
pub use timeout::{TimeoutOptions, TimeoutRemote};

use super::SharedRemote;
use crate::env::SharedEnv;

/// What [`stack`] puts around a remote.
#[derive(Debug, Clone, Default)]
pub struct StackOptions {
    /// `None` tries everything once.
    pub retry: Option<RetryOptions>,
    /// How much at a time.
    pub limit: LimitOptions,
    /// How long is too long.
    pub timeout: TimeoutOptions,
}

/// Puts the wrappers around `remote`, in the order the module describes; the metrics are of this remote alone.
pub fn stack(remote: SharedRemote, options: &StackOptions, env: &SharedEnv) -> (SharedRemote, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::default());
    let remote: SharedRemote = Arc::new(TimeoutRemote::new(remote, options.timeout.clone()));
    let remote: SharedRemote = Arc::new(MetricsRemote::new(remote, Arc::clone(&metrics)));
    let remote: SharedRemote = Arc::new(LimitRemote::new(remote, &options.limit));
    let remote = match &options.retry {
        Some(retry) => Arc::new(RetryRemote::new(remote, retry.clone(), Arc::clone(env))),
        None => remote,
    };
    (remote, metrics)
}
