//! Trying again.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};

use crate::env::SharedEnv;
use crate::error::{Error, ErrorKind, Result};
use crate::remote::{Body, ByteStream, ObjectMeta, Remote, SharedRemote, Usage};

/// How often and when to try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryOptions {
    /// Tries after the first one (`max_retries`).
    pub max_retries: u32,
    /// The most of them for a listing.
    pub list_retries: u32,
    /// The longest wait before the second try (`retry_delay`); it doubles from try to try.
    pub delay: Duration,
    /// What the wait grows to.
    pub max_delay: Duration,
}

impl Default for RetryOptions {
    fn default() -> Self {
        Self {
            max_retries: 3,
            list_retries: u32::MAX,
            delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(30),
        }
    }
}

/// Repeats what failed in a way that may pass ([`ErrorKind::is_retryable`]), and nothing else.
///
/// A remote that asks to slow down gets twice as many tries. The wait before try n is random between 0 and `delay`·2ⁿ ("full jitter": AWS Architecture Blog,
/// "Exponential Backoff and Jitter"), so that many clients of one struggling remote spread out.
///
/// A put that failed may have succeeded: it is asked for first, and the right size is success
/// (names are unique, so what lies there is of this put). A stream that breaks continues where it
/// broke, its tries counted anew whenever bytes came. A listing that breaks after its first entry
/// is the caller's to repeat.
#[derive(Debug)]
pub struct RetryRemote(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    remote: SharedRemote,
    options: RetryOptions,
    env: SharedEnv,
}

impl RetryRemote {
    /// Wraps `remote`; `env` gives the randomness of the waits.
    pub fn new(remote: SharedRemote, options: RetryOptions, env: SharedEnv) -> Self {
        Self(Arc::new(Inner { remote, options, env }))
    }

    async fn repeat<T, F: Future<Output = Result<T>>>(&self, call: impl Fn() -> F) -> Result<T> {
        self.repeat_within(u32::MAX, call).await
    }

    async fn repeat_within<T, F: Future<Output = Result<T>>>(&self, most: u32, call: impl Fn() -> F) -> Result<T> {
        let mut tries = Tries { most, ..Tries::default() };
        loop {
            match call().await {
                Ok(done) => return Ok(done),
                Err(error) => self.0.wait(&mut tries, error).await?,
            }
        }
    }
}

/// Failures in a row.
struct Tries {
    failed: u32,
    /// Retries there are at most, whatever the options say.
    most: u32,
}

impl Default for Tries {
    fn default() -> Self {
        Self { failed: 0, most: u32::MAX }
    }
}

impl Inner {
    /// Waits before the next try, or gives `error` back when there is none.
    async fn wait(&self, tries: &mut Tries, error: Error) -> Result<()> {
        // Who asks for patience is not down.
        let patience = if error.kind() == ErrorKind::RateLimited { 2 } else { 1 };
        if !error.is_retryable() || tries.failed >= self.options.max_retries.min(tries.most).saturating_mul(patience) {
            return Err(error);
        }
        let longest = self.options.delay.saturating_mul(1 << tries.failed.min(20)).min(self.options.max_delay);
        // The top bits, as a fraction in [0, 1).
        let fraction = (self.env.random() >> 75) as f64 / (1u64 << 53) as f64;
        let delay = longest.mul_f64(fraction);
        tries.failed += 1;
        tracing::debug!(%error, attempt = tries.failed, ?delay, "trying again");
        tokio::time::sleep(delay).await;
        Ok(())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Remote for RetryRemote {
    fn label(&self) -> &str {
        self.0.remote.label()
    }

    async fn put(&self, name: &str, body: &Body) -> Result<()> {
        let mut tries = Tries::default();
        loop {
            let Err(error) = self.0.remote.put(name, body).await else { return Ok(()) };
            let wait = self.0.wait(&mut tries, error).await;
            let unknown = wait.as_ref().err().is_none_or(Error::is_retryable);
            if unknown && matches!(self.0.remote.stat(name).await, Ok(Some(size)) if size == body.size()) {
                return Ok(());
            }
            wait?;
        }
    }

    async fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<ByteStream> {
        let first = self.repeat(|| self.0.remote.get(name, range.clone())).await?;
        let (at, end) = range.map_or((0, None), |range| (range.start, Some(range.end)));
        let reading = Reading {
            inner: Arc::clone(&self.0),
            name: name.to_owned(),
            at,
            end,
            stream: Some(first),
            tries: Tries::default(),
        };
        Ok(stream::try_unfold(reading, Reading::next).boxed())
    }

    async fn stat(&self, name: &str) -> Result<Option<u64>> {
        self.repeat(|| self.0.remote.stat(name)).await
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.repeat(|| self.0.remote.delete(name)).await
    }

    async fn list(&self, dir: &str) -> Result<BoxStream<'static, Result<ObjectMeta>>> {
        // The first entry belongs to the try: many listings fail there.
        self.repeat_within(self.0.options.list_retries, || async {
            let mut listing = self.0.remote.list(dir).await?.peekable();
            match std::pin::Pin::new(&mut listing).next_if(Result::is_err).await {
                Some(Err(error)) => Err(error),
                _ => Ok(listing.boxed()),
            }
        })
        .await
    }

    async fn usage(&self) -> Result<Usage> {
        self.repeat(|| self.0.remote.usage()).await
    }

    fn staging(&self) -> Option<&std::path::Path> {
        self.0.remote.staging()
    }

    /// Tried once: who cannot have the file reads the stream.
    async fn open(&self, name: &str, range: Range<u64>) -> Result<Option<std::fs::File>> {
        self.0.remote.open(name, range).await
    }
}

/// A get in progress.
struct Reading {
    inner: Arc<Inner>,
    name: String,
    /// Where the next byte comes from.
    at: u64,
    /// Where the range ends; not known while the whole object is read.
    end: Option<u64>,
    stream: Option<ByteStream>,
    tries: Tries,
}

impl Reading {
    async fn next(mut self) -> Result<Option<(bytes::Bytes, Self)>> {
        loop {
            let stream = match self.stream.take() {
                Some(stream) => Ok(stream),
                None => self.reopen().await,
            };
            let error = match stream {
                Ok(mut stream) => match stream.next().await {
                    None => return Ok(None),
                    Some(Ok(piece)) => {
                        self.at += piece.len() as u64;
                        self.stream = Some(stream);
                        if !piece.is_empty() {
                            self.tries = Tries::default();
                        }
                        return Ok(Some((piece, self)));
                    }
                    Some(Err(error)) => error,
                },
                Err(error) => error,
            };
            self.inner.wait(&mut self.tries, error).await?;
        }
    }

    async fn reopen(&mut self) -> Result<ByteStream> {
        let remote = &self.inner.remote;
        let end = match self.end {
            Some(end) => end,
            None => remote.stat(&self.name).await?.ok_or_else(|| {
                let message = "the object went away while it was read";
                Error::new(ErrorKind::NotFound, message).on_remote(remote.label()).at_path(&self.name)
            })?,
        };
        self.end = Some(end);
        if self.at >= end {
            return Ok(stream::empty().boxed());
        }
        remote.get(&self.name, Some(self.at..end)).await
    }
}

#[cfg(test)]
mod tests;
