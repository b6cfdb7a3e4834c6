//! Metrics for Prometheus, of one pool: names and units as its conventions have them.

mod pool;

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use rclonepool_core::{Error, ErrorKind, Result};

use crate::tenant::Tenant;

/// What the text of [`render`] is.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A request, as it is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Request {
    /// `webdav`, `rest`, …
    pub face: &'static str,
    /// The method.
    pub method: String,
    /// The route's pattern, never a path.
    pub route: String,
    /// The status.
    pub status: u16,
}

/// `upload` or `download`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Direction {
    /// From the client's view.
    pub direction: &'static str,
}

/// What is counted while it happens.
pub struct Counts {
    requests: Family<Request, Histogram>,
    transferred: Family<Direction, Counter>,
    healed: Counter,
    heal_failed: Counter,
    syncs: Counter,
    refused: Counter,
    listeners: Gauge,
}

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counts").finish_non_exhaustive()
    }
}

impl Default for Counts {
    fn default() -> Self {
        let bounds = || Histogram::new(rclonepool_core::remote::wrap::BOUNDS);
        Self {
            requests: Family::new_with_constructor(bounds),
            transferred: Family::default(),
            healed: Counter::default(),
            heal_failed: Counter::default(),
            syncs: Counter::default(),
            refused: Counter::default(),
            listeners: Gauge::default(),
        }
    }
}

impl Counts {
    /// A request was answered; its body may still be on the way.
    pub fn answered(&self, request: Request, took: Duration) {
        self.requests.get_or_create(&request).observe(took.as_secs_f64());
    }

    /// Bytes of files came from a client, or went to one.
    pub fn transferred(&self, direction: &'static str, bytes: u64) {
        self.transferred.get_or_create(&Direction { direction }).inc_by(bytes);
    }

    /// Bytes of files that came and went so far.
    pub fn transferred_so_far(&self) -> (u64, u64) {
        let of = |direction| self.transferred.get_or_create(&Direction { direction }).get();
        (of("upload"), of("download"))
    }

    /// Shards were healed.
    pub fn healed(&self, shards: u64, failed: u64) {
        self.healed.inc_by(shards);
        self.heal_failed.inc_by(failed);
    }

    /// What other machines wrote was read.
    pub fn synced(&self) {
        self.syncs.inc();
    }

    /// An attempt to sign in failed.
    pub fn refused(&self) {
        self.refused.inc();
    }

    /// One more listens on a WebSocket, or one less.
    pub fn listening(&self, by: i64) {
        self.listeners.inc_by(by);
    }
}

/// The metrics of a pool, as text.
///
/// # Errors
/// Those of the index.
pub async fn render(tenant: &Tenant) -> Result<String> {
    let mut registry = Registry::with_prefix("rclonepool");
    let counts = &tenant.counts;
    registry.register_with_unit(
        "http_request_duration",
        "Time to the head of the answer, by face, method, route and status",
        Unit::Seconds,
        counts.requests.clone(),
    );
    registry.register_with_unit(
        "transferred",
        "Bytes of files that came from clients (upload) and went to them (download)",
        Unit::Bytes,
        counts.transferred.clone(),
    );
    registry.register("healed_shards", "Shards that were rebuilt in the background", counts.healed.clone());
    registry.register("heal_failures", "Chunks that could not be healed, each time", counts.heal_failed.clone());
    registry.register("syncs", "How often what other machines wrote was read", counts.syncs.clone());
    registry.register("sign_in_failures", "Attempts to sign in that were refused", counts.refused.clone());
    registry.register("websocket_clients", "WebSocket connections that are open", counts.listeners.clone());
    let jobs: Gauge = Gauge::default();
    jobs.set(i64::try_from(tenant.jobs.running()).unwrap_or(i64::MAX));
    registry.register("jobs_running", "Jobs that are under way", jobs);
    registry.register_collector(Box::new(pool::PoolMetrics::take(tenant).await?));
    let mut text = String::new();
    let failed = |_| Error::new(ErrorKind::Internal, "the metrics cannot be written");
    encode(&mut text, &registry).map_err(failed)?;
    Ok(text)
}
