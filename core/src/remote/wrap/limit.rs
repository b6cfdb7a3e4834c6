//! Doing only so much at a time.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, ErrorKind, Result};
use crate::remote::{Body, ByteStream, ObjectMeta, Remote, SharedRemote, Usage};

/// Transfers up to this size are small.
pub(super) const SMALL_BYTES: u64 = 1 << 20;

/// How many calls at a time one remote gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitOptions {
    /// Stats, deletes, listings, and transfers known to be of at most 1 MiB.
    pub small: usize,
    /// All other transfers.
    pub large: usize,
}

impl Default for LimitOptions {
    fn default() -> Self {
        Self { small: 16, large: 4 }
    }
}

/// Makes calls wait while the remote has enough to do; small ones never behind large ones.
///
/// A get holds its place until its stream begins, not until it ends: a reader draws on several shards side
/// by side and waits for all of them, so readers that each held some of a remote's places would wait for
/// each other for ever. How many streams there are is the readers' business.
#[derive(Debug)]
pub struct LimitRemote {
    remote: SharedRemote,
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

impl LimitRemote {
    /// Wraps `remote`; a limit of 0 counts as 1.
    pub fn new(remote: SharedRemote, options: &LimitOptions) -> Self {
        let semaphore = |places: usize| Arc::new(Semaphore::new(places.clamp(1, Semaphore::MAX_PERMITS)));
        Self { remote, small: semaphore(options.small), large: semaphore(options.large) }
    }

    async fn place(&self, is_small: bool) -> Result<OwnedSemaphorePermit> {
        let semaphore = Arc::clone(if is_small { &self.small } else { &self.large });
        semaphore.acquire_owned().await.map_err(|_| Error::new(ErrorKind::Internal, "a semaphore was closed"))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Remote for LimitRemote {
    fn label(&self) -> &str {
        self.remote.label()
    }

    async fn put(&self, name: &str, body: &Body) -> Result<()> {
        let _place = self.place(body.size() <= SMALL_BYTES).await?;
        self.remote.put(name, body).await
    }

    async fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<ByteStream> {
        let is_small = range.as_ref().is_some_and(|range| range.end.saturating_sub(range.start) <= SMALL_BYTES);
        let _place = self.place(is_small).await?;
        self.remote.get(name, range).await
    }

    async fn stat(&self, name: &str) -> Result<Option<u64>> {
        let _place = self.place(true).await?;
        self.remote.stat(name).await
    }

    async fn delete(&self, name: &str) -> Result<()> {
        let _place = self.place(true).await?;
        self.remote.delete(name).await
    }

    async fn list(&self, dir: &str) -> Result<BoxStream<'static, Result<ObjectMeta>>> {
        // Not held while the listing is read: its reader may well ask this remote something.
        let _place = self.place(true).await?;
        self.remote.list(dir).await
    }

    async fn usage(&self) -> Result<Usage> {
        let _place = self.place(true).await?;
        self.remote.usage().await
    }

    fn staging(&self) -> Option<&std::path::Path> {
        self.remote.staging()
    }

    async fn open(&self, name: &str, range: Range<u64>) -> Result<Option<std::fs::File>> {
        let _place = self.place(true).await?;
        self.remote.open(name, range).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::time::{Instant, timeout};

    use super::*;
    use crate::remote::MemoryRemote;
    use crate::testing::fault::{Crash, FaultPlan, FaultRemote, Faults};

    fn slow(options: &LimitOptions) -> LimitRemote {
        let second = Duration::from_secs(1);
        let faults = Faults::new(1, FaultPlan { latency: second..second, ..FaultPlan::default() });
        let inner = FaultRemote::new(Arc::new(MemoryRemote::new("m")), faults, Crash::never());
        LimitRemote::new(Arc::new(inner), options)
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_at_a_time_and_small_ones_not_behind_large_ones() {
        let remote = slow(&LimitOptions { small: 4, large: 2 });
        let (large, small) = (Body::from(vec![0; (1 << 20) + 1]), Body::from(vec![0; 1 << 20]));
        let begin = Instant::now();
        let puts = join_all((0..6).map(|i| {
            let (remote, large) = (&remote, &large);
            async move { remote.put(&format!("l{i}"), large).await }
        }));
        let stats = async {
            join_all((0..8).map(|i| {
                let (remote, small) = (&remote, &small);
                async move {
                    if i % 2 == 0 {
                        remote.put(&format!("s{i}"), small).await
                    } else {
                        remote.stat("x").await.map(drop)
                    }
                }
            }))
            .await;
            begin.elapsed().as_secs()
        };
        let (_, stats_took) = tokio::join!(puts, stats);
        assert_eq!((begin.elapsed().as_secs(), stats_took), (3, 2));
    }

    /// Else readers that draw on several shards of one remote would wait for each other for ever.
    #[tokio::test(start_paused = true)]
    async fn a_stream_that_is_not_read_keeps_nobody_waiting() {
        let remote = slow(&LimitOptions { small: 1, large: 1 });
        remote.put("a", &vec![1; 10].into()).await.unwrap();
        let held = remote.get("a", None).await.unwrap();
        let second = timeout(Duration::from_secs(100), remote.get("a", None)).await;
        assert!(second.is_ok_and(|stream| stream.is_ok()));
        drop(held);
    }
}
