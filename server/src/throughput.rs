//! How fast bytes come and go: samples of the last minutes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::json;
use tokio_util::task::AbortOnDropHandle;

use crate::hub::Topic;
use crate::tenant::Tenant;

/// The time between samples.
const EVERY: Duration = Duration::from_secs(2);
/// Five minutes.
const KEPT: usize = 150;

/// Bytes per second at a time.
#[derive(Debug, Clone, Copy, Serialize, utoipa::ToSchema)]
pub struct Sample {
    /// Milliseconds since 1970.
    pub time_ms: u64,
    /// Bytes per second of files that clients sent.
    pub uploaded: u64,
    /// Bytes per second of files that clients were given.
    pub downloaded: u64,
    /// Bytes per second written to remotes; what was written counts when it is done.
    pub written: u64,
    /// Bytes per second read from remotes.
    pub read: u64,
}

/// The last samples.
#[derive(Debug, Default)]
pub struct Throughput(Mutex<VecDeque<Sample>>);

impl Throughput {
    /// All that are kept, the newest last.
    pub fn samples(&self) -> Vec<Sample> {
        self.0.lock().iter().copied().collect()
    }

    fn add(&self, sample: Sample) {
        let mut samples = self.0.lock();
        if samples.len() >= KEPT {
            samples.pop_front();
        }
        samples.push_back(sample);
    }
}

/// What was moved so far: uploaded, downloaded, written and read.
fn moved(tenant: &Tenant) -> [u64; 4] {
    let (uploaded, downloaded) = tenant.counts.transferred_so_far();
    let pool = tenant.pool();
    let remotes = pool.metrics().iter().map(|metrics| metrics.snapshot());
    let (written, read) = remotes.fold((0, 0), |(up, down), one| (up + one.bytes_up, down + one.bytes_down));
    [uploaded, downloaded, written, read]
}

/// Samples as long as the handle lives.
pub fn sampling(tenant: &Arc<Tenant>) -> AbortOnDropHandle<()> {
    let tenant = Arc::downgrade(tenant);
    AbortOnDropHandle::new(tokio::spawn(async move {
        let mut before: Option<(Instant, [u64; 4])> = None;
        loop {
            {
                let Some(tenant) = tenant.upgrade() else { return };
                let (now, sum) = (Instant::now(), moved(&tenant));
                if let Some((since, last)) = before {
                    let seconds = now.duration_since(since).as_secs_f64().max(0.001);
                    let rate = |at: usize| (sum[at].saturating_sub(last[at]) as f64 / seconds) as u64;
                    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                    let sample = Sample {
                        time_ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
                        uploaded: rate(0),
                        downloaded: rate(1),
                        written: rate(2),
                        read: rate(3),
                    };
                    tenant.throughput.add(sample);
                    tenant.hub.tell(Topic::Throughput, json!(sample));
                }
                before = Some((now, sum));
            }
            tokio::time::sleep(EVERY).await;
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_minutes_are_kept() {
        let throughput = Throughput::default();
        for time_ms in 0..KEPT as u64 + 3 {
            throughput.add(Sample { time_ms, uploaded: 0, downloaded: 0, written: 0, read: 0 });
        }
        let samples = throughput.samples();
        assert_eq!((samples.len(), samples[0].time_ms), (KEPT, 3));
    }
}
