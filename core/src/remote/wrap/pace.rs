//! Doing things only so fast: what the configuration allows, and what the remote asks for.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{BoxStream, StreamExt};
use tokio::time::{Instant, sleep_until};

use crate::error::{ErrorKind, Result};
use crate::remote::{Body, ByteStream, ObjectMeta, Remote, SharedRemote, Usage};

/// The pause between calls after the first "slow down".
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// What it grows to.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A shorter one is none.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);

/// So much a second, on average at any time since the first: a leaky bucket kept as the time when it is empty
/// ("virtual scheduling", ITU-T I.371, without a burst). Who shares it, shares the rate.
#[derive(Debug)]
pub struct Rate {
    per_second: f64,
    empty: Mutex<Option<Instant>>,
}

impl Rate {
    /// `per_second` units a second; 0 is unlimited.
    pub fn new(per_second: f64) -> Self {
        Self { per_second, empty: Mutex::new(None) }
    }

    fn is_limited(&self) -> bool {
        self.per_second > 0.0
    }

    /// When this much may begin and when the next may; `None` without a limit.
    fn reserve(&self, amount: u64) -> Option<(Instant, Instant)> {
        if !self.is_limited() {
            return None;
        }
        let takes = Duration::try_from_secs_f64(amount as f64 / self.per_second).unwrap_or(LONGEST_PAUSE);
        let mut empty = lock(&self.empty);
        let begin = empty.unwrap_or_else(Instant::now).max(Instant::now());
        let end = begin + takes;
        *empty = Some(end);
        Some((begin, end))
    }
}

/// How fast one remote is used.
#[derive(Debug, Clone)]
pub struct PaceOptions {
    /// Bytes a second to all remotes together.
    pub pool_up: Arc<Rate>,
    /// Bytes a second from all remotes together.
    pub pool_down: Arc<Rate>,
    /// Bytes a second to this remote; 0 is unlimited.
    pub up: f64,
    /// Bytes a second from this remote; 0 is unlimited.
    pub down: f64,
    /// Calls a second; 0 is unlimited.
    pub requests: f64,
}

impl Default for PaceOptions {
    fn default() -> Self {
        let unlimited = || Arc::new(Rate::new(0.0));
        Self { pool_up: unlimited(), pool_down: unlimited(), up: 0.0, down: 0.0, requests: 0.0 }
    }
}

/// Makes calls wait until their time has come.
///
/// A put begins when those before it have had their time, and ends when it has had its own, as its bytes cannot be
/// slowed down on their way; a get's bytes are passed on in their time. Besides, a remote that answers
/// "too many requests" is obeyed at once: calls then come one at a time with a pause between them, which doubles
/// with each such answer and shrinks by an eighth with each good one.
#[derive(Debug)]
pub struct PaceRemote {
    remote: SharedRemote,
    up: [Arc<Rate>; 2],
    down: [Arc<Rate>; 2],
    requests: Rate,
    ease: Mutex<Ease>,
}

/// What a remote asked for.
#[derive(Debug, Default)]
struct Ease {
    pause: Duration,
    /// When the next call may be made.
    next: Option<Instant>,
    /// When the pause was last made longer.
    slowed: Option<Instant>,
}

impl PaceRemote {
    /// Wraps `remote`.
    pub fn new(remote: SharedRemote, options: &PaceOptions) -> Self {
        Self {
            remote,
            up: [options.pool_up.clone(), Arc::new(Rate::new(options.up))],
            down: [options.pool_down.clone(), Arc::new(Rate::new(options.down))],
            requests: Rate::new(options.requests),
            ease: Mutex::default(),
        }
    }

    /// Makes a call in its time, and learns from the answer.
    async fn call<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let eased = lock(&self.ease).turn();
        let turn = self.requests.reserve(1).map(|(begin, _)| begin).max(eased);
        if let Some(turn) = turn {
            sleep_until(turn).await;
        }
        let answer = call.await;
        match &answer {
            Err(error) if error.kind() == ErrorKind::RateLimited => lock(&self.ease).slow_down(self.remote.label()),
            Err(error) if error.is_retryable() => {}
            _ => lock(&self.ease).speed_up(),
        }
        answer
    }
}

impl Ease {
    fn turn(&mut self) -> Option<Instant> {
        if self.pause.is_zero() {
            return None;
        }
        let turn = self.next.unwrap_or_else(Instant::now).max(Instant::now());
        self.next = Some(turn + self.pause);
        Some(turn)
    }

    fn slow_down(&mut self, remote: &str) {
        let now = Instant::now();
        // Answers to calls that were under way together ask for one thing.
        if self.slowed.is_some_and(|at| now < at + self.pause) {
            return;
        }
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        (self.slowed, self.next) = (Some(now), Some(now + self.pause));
        tracing::debug!(remote, pause = ?self.pause, "slowing down");
    }

    fn speed_up(&mut self) {
        self.pause = self.pause * 7 / 8;
        if self.pause < SHORTEST_PAUSE {
            *self = Self::default();
        }
    }
}

fn reserve(rates: &[Arc<Rate>; 2], bytes: u64) -> Option<(Instant, Instant)> {
    let slots = rates.iter().filter_map(|rate| rate.reserve(bytes));
    slots.reduce(|one, other| (one.0.max(other.0), one.1.max(other.1)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Remote for PaceRemote {
    fn label(&self) -> &str {
        self.remote.label()
    }

    async fn put(&self, name: &str, body: &Body) -> Result<()> {
        let slot = reserve(&self.up, body.size());
        if let Some((begin, _)) = slot {
            sleep_until(begin).await;
        }
        self.call(self.remote.put(name, body)).await?;
        if let Some((_, end)) = slot {
            sleep_until(end).await;
        }
        Ok(())
    }

    async fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<ByteStream> {
        let stream = self.call(self.remote.get(name, range)).await?;
        if !self.down.iter().any(|rate| rate.is_limited()) {
            return Ok(stream);
        }
        let down = self.down.clone();
        let paced = stream.then(move |piece| {
            let slot = piece.as_ref().ok().and_then(|bytes| reserve(&down, bytes.len() as u64));
            async move {
                if let Some((_, end)) = slot {
                    sleep_until(end).await;
                }
                piece
            }
        });
        Ok(paced.boxed())
    }

    async fn stat(&self, name: &str) -> Result<Option<u64>> {
        self.call(self.remote.stat(name)).await
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.call(self.remote.delete(name)).await
    }

    async fn list(&self, dir: &str) -> Result<BoxStream<'static, Result<ObjectMeta>>> {
        self.call(self.remote.list(dir)).await
    }

    async fn usage(&self) -> Result<Usage> {
        self.call(self.remote.usage()).await
    }

    fn staging(&self) -> Option<&std::path::Path> {
        self.remote.staging()
    }

    /// `None` under a limit for gets: what is read from a file cannot be slowed down.
    async fn open(&self, name: &str, range: Range<u64>) -> Result<Option<std::fs::File>> {
        if self.down.iter().any(|rate| rate.is_limited()) {
            return Ok(None);
        }
        self.remote.open(name, range).await
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;
    use futures_util::future::join_all;

    use super::*;
    use crate::remote::MemoryRemote;
    use crate::testing::fault::{Crash, FaultPlan, FaultRemote, Faults};

    fn memory() -> SharedRemote {
        Arc::new(MemoryRemote::new("m"))
    }

    async fn read(remote: &PaceRemote, name: &str) -> usize {
        let stream = remote.get(name, None).await.unwrap();
        stream.try_fold(0, |n, piece| std::future::ready(Ok(n + piece.len()))).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_each_way_and_requests() {
        let options = PaceOptions { up: 1000.0, down: 500.0, ..PaceOptions::default() };
        let remote = PaceRemote::new(memory(), &options);
        let begin = Instant::now();
        let body = Body::from(vec![1; 2000]);
        join_all((0..3).map(|n| remote.put(["a", "b", "c"][n], &body))).await;
        assert_eq!(begin.elapsed().as_secs(), 6, "6,000 bytes at 1,000 a second");
        assert_eq!(read(&remote, "a").await, 2000);
        assert_eq!(begin.elapsed().as_secs(), 6 + 4);

        let remote = PaceRemote::new(memory(), &PaceOptions { requests: 2.0, ..PaceOptions::default() });
        let begin = Instant::now();
        join_all((0..11).map(|_| remote.stat("a"))).await;
        assert_eq!(begin.elapsed().as_secs(), 5, "the first at once");
    }

    #[tokio::test(start_paused = true)]
    async fn remotes_of_a_pool_share_its_rate() {
        let options = PaceOptions { pool_up: Arc::new(Rate::new(1000.0)), ..PaceOptions::default() };
        let remotes = [PaceRemote::new(memory(), &options), PaceRemote::new(memory(), &options)];
        let (begin, body) = (Instant::now(), Body::from(vec![1; 2000]));
        join_all(remotes.iter().map(|remote| remote.put("a", &body))).await;
        assert_eq!(begin.elapsed().as_secs(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_reads_no_files_directly() {
        let home = tempfile::tempdir().unwrap();
        let directory: SharedRemote = Arc::new(crate::remote::DirectoryRemote::new(home.path()));
        directory.put("a", &vec![1; 10].into()).await.unwrap();
        let open = async |options| PaceRemote::new(directory.clone(), &options).open("a", 0..10).await.unwrap();
        assert!(open(PaceOptions::default()).await.is_some());
        assert!(open(PaceOptions { down: 1.0, ..PaceOptions::default() }).await.is_none());
        assert!(open(PaceOptions { pool_down: Arc::new(Rate::new(1.0)), ..PaceOptions::default() }).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn slow_down_is_obeyed_and_forgotten_gently() {
        let latency = Duration::from_millis(10)..Duration::from_millis(10);
        let plan = FaultPlan { latency, rate_limited: 1.0, ..FaultPlan::default() };
        let faults = Faults::new(1, plan.clone());
        let inner = FaultRemote::new(memory(), faults.clone(), Crash::never());
        let remote = PaceRemote::new(Arc::new(inner), &PaceOptions::default());
        let timed = async |calls: usize| {
            let begin = Instant::now();
            join_all((0..calls).map(|_| remote.stat("a"))).await;
            begin.elapsed().as_millis()
        };
        assert_eq!(timed(8).await, 10, "they were under way together");
        assert_eq!(timed(1).await, 260);
        assert_eq!(timed(1).await, 510);
        faults.set_plan(FaultPlan { rate_limited: 0.0, ..plan });
        assert_eq!(timed(1).await, 1010);
        let gently = timed(10).await;
        assert!(gently > 5 * 875, "{gently}");
        timed(40).await;
        assert_eq!(timed(100).await, 10);
    }
}
