//! Giving up on what does not answer.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};

use crate::error::{Error, ErrorKind, Result};
use crate::remote::{Body, ByteStream, ObjectMeta, Remote, SharedRemote, Usage};

/// How long is too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeoutOptions {
    /// How long an operation, or the next piece of a stream, may take. Above rclone's own limits
    /// (60 s without a byte, two tries), whose errors say more than ours.
    pub idle: Duration,
    /// What a put may take on top: its size at this rate, as its progress cannot be seen from here.
    pub slowest_put_bytes_per_second: u64,
}

impl Default for TimeoutOptions {
    fn default() -> Self {
        Self { idle: Duration::from_secs(240), slowest_put_bytes_per_second: 16 << 10 }
    }
}

/// Turns a call that takes too long into an error of kind `Timeout`, and cancels it.
#[derive(Debug)]
pub struct TimeoutRemote {
    remote: SharedRemote,
    options: TimeoutOptions,
}

impl TimeoutRemote {
    /// Wraps `remote`.
    pub fn new(remote: SharedRemote, options: TimeoutOptions) -> Self {
        Self { remote, options }
    }

    async fn within<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        within(self.options.idle, self.label(), call).await
    }

    /// Limits each item of a stream.
    fn guard<T: Send + 'static>(&self, stream: BoxStream<'static, Result<T>>) -> BoxStream<'static, Result<T>> {
        let (idle, label) = (self.options.idle, self.label().to_owned());
        stream::try_unfold((stream, label), move |(mut stream, label)| async move {
            let item = within(idle, &label, async { stream.next().await.transpose() }).await?;
            Ok(item.map(|item| (item, (stream, label))))
        })
        .boxed()
    }
}

async fn within<T>(limit: Duration, label: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(limit, call).await.unwrap_or_else(|_| {
        Err(Error::new(ErrorKind::Timeout, format!("no answer for {} s", limit.as_secs_f64())).on_remote(label))
    })
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Remote for TimeoutRemote {
    fn label(&self) -> &str {
        self.remote.label()
    }

    async fn put(&self, name: &str, body: &Body) -> Result<()> {
        let transfer = Duration::from_secs(body.size() / self.options.slowest_put_bytes_per_second.max(1));
        within(self.options.idle + transfer, self.label(), self.remote.put(name, body)).await
    }

    async fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<ByteStream> {
        Ok(self.guard(self.within(self.remote.get(name, range)).await?))
    }

    async fn stat(&self, name: &str) -> Result<Option<u64>> {
        self.within(self.remote.stat(name)).await
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.within(self.remote.delete(name)).await
    }

    async fn list(&self, dir: &str) -> Result<BoxStream<'static, Result<ObjectMeta>>> {
        Ok(self.guard(self.within(self.remote.list(dir)).await?))
    }

    async fn usage(&self) -> Result<Usage> {
        self.within(self.remote.usage()).await
    }

    fn staging(&self) -> Option<&std::path::Path> {
        self.remote.staging()
    }

    async fn open(&self, name: &str, range: Range<u64>) -> Result<Option<std::fs::File>> {
        self.within(self.remote.open(name, range)).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::Instant;

    use super::*;
    use crate::remote::MemoryRemote;
    use crate::testing::{
        conformance,
        fault::{Crash, FaultPlan, FaultRemote, Faults},
    };

    #[tokio::test(start_paused = true)]
    async fn what_hangs_is_cut_and_a_large_put_has_its_time() {
        let hanging = Faults::new(1, FaultPlan { hang: 1.0, ..FaultPlan::default() });
        let inner = FaultRemote::new(Arc::new(MemoryRemote::new("m")), hanging, Crash::never());
        let options = TimeoutOptions { idle: Duration::from_secs(10), slowest_put_bytes_per_second: 1000 };
        let remote = TimeoutRemote::new(Arc::new(inner), options);
        let begin = Instant::now();
        let error = remote.stat("a").await.unwrap_err();
        assert_eq!((error.kind(), error.remote()), (ErrorKind::Timeout, Some("m")));
        assert_eq!(begin.elapsed().as_secs(), 10);
        let error = remote.put("a", &vec![0; 20_000].into()).await.unwrap_err();
        assert_eq!((error.kind(), begin.elapsed().as_secs()), (ErrorKind::Timeout, 40));
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_is_for_each_piece_not_for_the_whole() {
        #[derive(Debug)]
        struct Slow(MemoryRemote);
        #[async_trait]
        impl Remote for Slow {
            fn label(&self) -> &str {
                self.0.label()
            }
            async fn put(&self, name: &str, body: &Body) -> Result<()> {
                self.0.put(name, body).await
            }
            async fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<ByteStream> {
                let pieces = self.0.get(name, range).await?.enumerate();
                Ok(pieces
                    .then(|(i, piece)| async move {
                        tokio::time::sleep(Duration::from_secs(if i < 20 { 9 } else { 11 })).await;
                        piece
                    })
                    .boxed())
            }
            async fn stat(&self, name: &str) -> Result<Option<u64>> {
                self.0.stat(name).await
            }
            async fn delete(&self, name: &str) -> Result<()> {
                self.0.delete(name).await
            }
            async fn list(&self, dir: &str) -> Result<BoxStream<'static, Result<ObjectMeta>>> {
                self.0.list(dir).await
            }
            async fn usage(&self) -> Result<Usage> {
                self.0.usage().await
            }

            fn staging(&self) -> Option<&std::path::Path> {
                self.0.staging()
            }

            async fn open(&self, name: &str, range: Range<u64>) -> Result<Option<std::fs::File>> {
                self.0.open(name, range).await
            }
        }
        let options = TimeoutOptions { idle: Duration::from_secs(10), ..TimeoutOptions::default() };
        let remote = TimeoutRemote::new(Arc::new(Slow(MemoryRemote::new("m"))), options);
        let piece = 256 << 10;
        for (pieces, fine) in [(20, true), (21, false)] {
            let name = format!("o{pieces}");
            remote.put(&name, &conformance::content(1, pieces * piece).into()).await.unwrap();
            let begin = Instant::now();
            let got = conformance::read(&remote, &name, None).await;
            assert!(begin.elapsed().as_secs() >= 180);
            assert_eq!(
                got.map(|b| b.len()).map_err(|e| e.kind()),
                if fine { Ok(pieces * piece) } else { Err(ErrorKind::Timeout) }
            );
        }
    }
}
