//! Counting and timing.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use serde::Serialize;
use tokio::time::Instant;

use super::timing::{Timing, TimingSnapshot};
use crate::error::{Error, ErrorKind, Result};
use crate::remote::{Body, ByteStream, ObjectMeta, Remote, SharedRemote, Usage};

/// What may be asked of a remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Store an object.
    Put,
    /// Read an object or a range of it.
    Get,
    /// Ask for an object's size.
    Stat,
    /// Remove an object.
    Delete,
    /// List a directory.
    List,
    /// Ask for space.
    Usage,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 6] = [Self::Put, Self::Get, Self::Stat, Self::Delete, Self::List, Self::Usage];
}

/// What one remote was asked for and how it did; read by [`Metrics::snapshot`] at any time.
#[derive(Debug, Default)]
pub struct Metrics {
    operations: [AtomicU64; Verb::ALL.len()],
    in_flight: AtomicU64,
    bytes_up: AtomicU64,
    bytes_down: AtomicU64,
    // Errors are rare, and so are answers beside the work they take: a lock is cheap enough.
    errors: Mutex<HashMap<ErrorKind, u64>>,
    latency: Mutex<Option<Latency>>,
    timing: [Timing; Verb::ALL.len()],
}

/// [`Metrics`] at one moment. Counters never fall while the process lives.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MetricsSnapshot {
    /// Calls begun, by verb; each try counts.
    pub operations: BTreeMap<Verb, u64>,
    /// Calls and streams that have not ended.
    pub in_flight: u64,
    /// Bytes of the puts that succeeded.
    pub bytes_up: u64,
    /// Bytes that came from gets.
    pub bytes_down: u64,
    /// Calls and streams that failed, by kind.
    pub errors: HashMap<ErrorKind, u64>,
    /// How long the remote takes to answer; `None` before its first answer.
    pub latency: Option<Latency>,
    /// How long the calls took that succeeded, by verb; a get until its first bytes.
    pub timing: BTreeMap<Verb, TimingSnapshot>,
}

/// The time from a stat, delete or get to its answer (of a get: to its first bytes), smoothed.
///
/// Mean and deviation as TCP keeps them for its round trips (RFC 6298, section 2): an answer later
/// than `mean + 4·deviation` is unusual.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// Weighted mean, in milliseconds.
    pub mean_ms: f64,
    /// Weighted mean of the distance from it, in milliseconds.
    pub deviation_ms: f64,
}

impl Latency {
    /// How long an answer may take and still be usual.
    pub fn usual(&self) -> Duration {
        Duration::from_secs_f64(((self.mean_ms + 4.0 * self.deviation_ms) / 1000.0).clamp(0.0, 1e6))
    }

    fn next(before: Option<Self>, sample_ms: f64) -> Self {
        match before {
            None => Self { mean_ms: sample_ms, deviation_ms: sample_ms / 2.0 },
            Some(Self { mean_ms, deviation_ms }) => Self {
                deviation_ms: deviation_ms * 0.75 + (mean_ms - sample_ms).abs() * 0.25,
                mean_ms: mean_ms * 0.875 + sample_ms * 0.125,
            },
        }
    }
}

impl Metrics {
    /// Everything as it is now.
    pub fn snapshot(&self) -> MetricsSnapshot {
        MetricsSnapshot {
            operations: Verb::ALL.iter().zip(&self.operations).map(|(verb, n)| (*verb, n.load(Relaxed))).collect(),
            in_flight: self.in_flight.load(Relaxed),
            bytes_up: self.bytes_up.load(Relaxed),
            bytes_down: self.bytes_down.load(Relaxed),
            errors: self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            latency: self.latency(),
            timing: Verb::ALL.iter().zip(&self.timing).map(|(verb, t)| (*verb, t.snapshot())).collect(),
        }
    }

    /// How long the remote takes to answer; `None` before its first answer.
    pub fn latency(&self) -> Option<Latency> {
        *self.latency.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, error: &Error) {
        *self.errors.lock().unwrap_or_else(PoisonError::into_inner).entry(error.kind()).or_default() += 1;
    }

    /// A get has its first bytes.
    fn began(&self, since: Instant) {
        self.timing[Verb::Get as usize].add(since.elapsed());
        self.answered(since);
    }

    fn answered(&self, since: Instant) {
        let sample = since.elapsed().as_secs_f64() * 1000.0;
        let mut latency = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        *latency = Some(Latency::next(*latency, sample));
    }
}

/// A call that has not ended; a cancelled one ends by being dropped.
struct InFlight(Arc<Metrics>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// Keeps [`Metrics`] of a remote.
#[derive(Debug)]
pub struct MetricsRemote {
    remote: SharedRemote,
    metrics: Arc<Metrics>,
}

impl MetricsRemote {
    /// Wraps `remote` and counts in `metrics`.
    pub fn new(remote: SharedRemote, metrics: Arc<Metrics>) -> Self {
        Self { remote, metrics }
    }

    fn begin(&self, verb: Verb) -> InFlight {
        self.metrics.operations[verb as usize].fetch_add(1, Relaxed);
        self.metrics.in_flight.fetch_add(1, Relaxed);
        InFlight(Arc::clone(&self.metrics))
    }

    async fn count<T>(&self, verb: Verb, call: impl Future<Output = Result<T>>) -> Result<T> {
        let (_running, since) = (self.begin(verb), Instant::now());
        let result = call.await;
        match &result {
            Ok(_) => {
                self.metrics.timing[verb as usize].add(since.elapsed());
                if matches!(verb, Verb::Stat | Verb::Delete) {
                    self.metrics.answered(since);
                }
            }
            Err(error) => self.metrics.failed(error),
        }
        result
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Remote for MetricsRemote {
    fn label(&self) -> &str {
        self.remote.label()
    }

    async fn put(&self, name: &str, body: &Body) -> Result<()> {
        self.count(Verb::Put, self.remote.put(name, body)).await?;
        self.metrics.bytes_up.fetch_add(body.size(), Relaxed);
        Ok(())
    }

    async fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<ByteStream> {
        let (running, since) = (self.begin(Verb::Get), Instant::now());
        let stream = self.remote.get(name, range).await.inspect_err(|e| self.metrics.failed(e))?;
        Ok(stream::unfold((stream, running, Some(since)), |(mut stream, running, mut since)| async move {
            let item = stream.next().await;
            let metrics = &running.0;
            match &item {
                Some(Err(error)) => metrics.failed(error),
                Some(Ok(piece)) => {
                    metrics.bytes_down.fetch_add(piece.len() as u64, Relaxed);
                    since.take().into_iter().for_each(|since| metrics.began(since));
                }
                None => since.take().into_iter().for_each(|since| metrics.began(since)),
            }
            item.map(|item| (item, (stream, running, since)))
        })
        .boxed())
    }

    async fn stat(&self, name: &str) -> Result<Option<u64>> {
        self.count(Verb::Stat, self.remote.stat(name)).await
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.count(Verb::Delete, self.remote.delete(name)).await
    }

    async fn list(&self, dir: &str) -> Result<BoxStream<'static, Result<ObjectMeta>>> {
        let listing = self.count(Verb::List, self.remote.list(dir)).await?;
        let metrics = Arc::clone(&self.metrics);
        Ok(listing.inspect(move |item| item.as_ref().err().into_iter().for_each(|e| metrics.failed(e))).boxed())
    }

    async fn usage(&self) -> Result<Usage> {
        self.count(Verb::Usage, self.remote.usage()).await
    }

    fn staging(&self) -> Option<&std::path::Path> {
        self.remote.staging()
    }

    /// A file that was opened counts as read.
    async fn open(&self, name: &str, range: Range<u64>) -> Result<Option<std::fs::File>> {
        let bytes = range.end.saturating_sub(range.start);
        let file = self.remote.open(name, range).await.inspect_err(|e| self.metrics.failed(e))?;
        if file.is_some() {
            drop(self.begin(Verb::Get));
            self.metrics.bytes_down.fetch_add(bytes, Relaxed);
        }
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::MemoryRemote;
    use crate::testing::conformance::{listed, read};
    use crate::testing::fault::{Crash, FaultPlan, FaultRemote, Faults};

    #[tokio::test(start_paused = true)]
    async fn counts_times_and_errors() {
        let step = Duration::from_millis(100);
        let faults = Faults::new(1, FaultPlan { latency: step..step, ..FaultPlan::default() });
        let inner = FaultRemote::new(Arc::new(MemoryRemote::new("m")), Arc::clone(&faults), Crash::never());
        let metrics = Arc::new(Metrics::default());
        let remote = MetricsRemote::new(Arc::new(inner), Arc::clone(&metrics));
        assert_eq!(metrics.latency(), None);
        remote.put("a", &vec![1; 1000].into()).await.unwrap();
        let stream = remote.get("a", None).await.unwrap();
        assert_eq!(metrics.snapshot().in_flight, 1);
        drop(stream);
        assert_eq!(read(&remote, "a", Some(0..10)).await.unwrap().len(), 10);
        assert_eq!(remote.stat("b").await.unwrap(), None);
        assert_eq!(read(&remote, "b", None).await.unwrap_err().kind(), ErrorKind::NotFound);
        listed(&remote, "").await.unwrap();
        faults.set_offline(true);
        remote.delete("a").await.unwrap_err();
        remote.usage().await.unwrap_err();
        let cancelled = tokio::time::timeout(step / 2, remote.stat("a")).await;
        assert!(cancelled.is_err());

        let seen = metrics.snapshot();
        assert_eq!(seen.operations.values().copied().collect::<Vec<_>>(), [1, 3, 2, 1, 1, 1]);
        assert_eq!((seen.bytes_up, seen.bytes_down, seen.in_flight), (1000, 10, 0));
        assert_eq!(seen.errors, HashMap::from([(ErrorKind::NotFound, 1), (ErrorKind::Unavailable, 2)]));
        let latency = seen.latency.unwrap();
        assert!((latency.mean_ms - 100.0).abs() < 2.0, "{latency:?}");
        let timed: Vec<u64> = seen.timing.values().map(|timing| timing.counts.iter().sum()).collect();
        assert_eq!(timed, [1, 1, 1, 0, 1, 0], "those that succeeded");
        let json = serde_json::to_value(&seen).unwrap();
        assert_eq!((&json["operations"]["put"], &json["errors"]["not_found"]), (&1.into(), &1.into()));
    }

    #[test]
    fn latency_follows_slowly_and_knows_what_is_unusual() {
        let steady = (0..100).fold(None, |l, i| Some(Latency::next(l, 50.0 + f64::from(i % 2)))).unwrap();
        assert!((steady.mean_ms - 50.5).abs() < 1.0 && steady.deviation_ms < 1.0, "{steady:?}");
        assert!(steady.usual() < Duration::from_millis(60));
        let after = Latency::next(Some(steady), 500.0);
        assert!(after.mean_ms < 120.0 && after.usual() > Duration::from_millis(400), "{after:?}");
    }
}
