//! What a remote is not even asked for: while it is down, and beyond its day's budget.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use tokio::time::Instant;

use super::limit::SMALL_BYTES;
use crate::env::SharedEnv;
use crate::error::{Error, ErrorKind, Result};
use crate::remote::{Body, ByteStream, ObjectMeta, Remote, SharedRemote, Usage};

/// Calls in a row that failed, retries and all.
const MOST_FAILURES: u32 = 3;
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const DAY_MS: u64 = 86_400_000;

/// Keeps what was moved today, beyond the life of this process.
pub trait Ledger: Send + Sync + std::fmt::Debug {
    /// Adds bytes sent to and got from a remote on a day (since 1970, UTC), as long as no sum passes its limit;
    /// gives back whether it did.
    ///
    /// # Errors
    /// Those of the storage.
    fn spend(&self, remote: &str, day: u64, bytes: [u64; 2], limits: [u64; 2]) -> Result<bool>;
}

/// How much a remote may move in a day.
#[derive(Debug, Clone)]
pub struct Budget {
    /// Bytes sent to it and got from it on a day (UTC); [`u64::MAX`] is unlimited.
    pub limits: [u64; 2],
    /// Where the sums are kept; nothing is counted before it is set.
    pub ledger: Arc<OnceLock<Arc<dyn Ledger>>>,
}

/// Fails what would fail, at once.
///
/// A circuit breaker (M. Nygard, "Release It!"): after three calls in a row that failed though they were tried again, the
/// remote is set aside for 5 s, then one call is let through; each that fails doubles the wait, up to a minute, and
/// one that is answered ends it. A transfer of more than 1 MiB that would pass the day's budget is refused; smaller ones,
/// the journal's among them, only count.
#[derive(Debug)]
pub struct GateRemote {
    remote: SharedRemote,
    env: SharedEnv,
    budget: Option<Budget>,
    breaker: Mutex<Breaker>,
}

#[derive(Debug, Default)]
struct Breaker {
    failures: u32,
    wait: Duration,
    /// Set aside until then, and why.
    aside: Option<(Instant, String)>,
    /// Whether a call is on its way to see.
    is_probed: bool,
}

/// A call that was let through to see; another may be when this one ends, however it ends.
struct Probe<'a>(&'a Mutex<Breaker>);

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        lock(self.0).is_probed = false;
    }
}

impl GateRemote {
    /// Wraps `remote`.
    pub fn new(remote: SharedRemote, budget: Option<Budget>, env: SharedEnv) -> Self {
        Self { remote, env, budget, breaker: Mutex::default() }
    }

    async fn call<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.transfer(0, 0, call).await
    }

    /// A call that sends `up` bytes, or gets `down`; they count only where the call is made.
    async fn transfer<T>(&self, up: u64, down: u64, call: impl Future<Output = Result<T>>) -> Result<T> {
        let _probe = lock(&self.breaker).admit(self.remote.label())?.then(|| Probe(&self.breaker));
        self.spend(up, down)?;
        let answer = call.await;
        let mut breaker = lock(&self.breaker);
        match &answer {
            Err(error) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout) => breaker.failed(error),
            _ => *breaker = Breaker { is_probed: breaker.is_probed, ..Breaker::default() },
        }
        answer
    }

    /// Counts a transfer on the day's budget.
    fn spend(&self, up: u64, down: u64) -> Result<()> {
        if up.max(down) == 0 {
            return Ok(());
        }
        let Some(Budget { limits, ledger }) = &self.budget else { return Ok(()) };
        let Some(ledger) = ledger.get() else { return Ok(()) };
        let (now, label) = (self.env.wall_ms(), self.remote.label());
        let refusable = up.max(down) > SMALL_BYTES;
        let limits = if refusable { *limits } else { [u64::MAX; 2] };
        if ledger.spend(label, now / DAY_MS, [up, down], limits)? {
            return Ok(());
        }
        let which = if up > 0 { "upload_per_day" } else { "download_per_day" };
        let hours = (DAY_MS - now % DAY_MS).div_ceil(3_600_000);
        let message = format!("its {which} of remote_limits is used up; a new day begins (UTC) in {hours} h");
        Err(Error::new(ErrorKind::RateLimited, message).on_remote(label))
    }
}

impl Breaker {
    /// Lets a call through, or not; `true` for the one that is to see.
    fn admit(&mut self, label: &str) -> Result<bool> {
        let Some((until, why)) = &self.aside else { return Ok(false) };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() && !self.is_probed {
            self.is_probed = true;
            return Ok(true);
        }
        let message = format!("set aside, tried again in {} s: {why}", left.as_secs() + 1);
        Err(Error::new(ErrorKind::Unavailable, message).on_remote(label))
    }

    fn failed(&mut self, error: &Error) {
        self.failures += 1;
        // What was under way when the remote was set aside says nothing new.
        let is_aside = self.aside.as_ref().is_some_and(|(until, _)| Instant::now() < *until);
        if self.failures >= MOST_FAILURES && !is_aside {
            self.wait = (self.wait * 2).clamp(FIRST_WAIT, LONGEST_WAIT);
            self.aside = Some((Instant::now() + self.wait, error.message().to_owned()));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Remote for GateRemote {
    fn label(&self) -> &str {
        self.remote.label()
    }

    async fn put(&self, name: &str, body: &Body) -> Result<()> {
        self.transfer(body.size(), 0, self.remote.put(name, body)).await
    }

    /// A read of a whole object counts as nothing: only the journal's are.
    async fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<ByteStream> {
        let bytes = range.as_ref().map_or(0, |range| range.end.saturating_sub(range.start));
        self.transfer(0, bytes, self.remote.get(name, range)).await
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

    async fn open(&self, name: &str, range: Range<u64>) -> Result<Option<std::fs::File>> {
        self.spend(0, range.end.saturating_sub(range.start))?;
        self.remote.open(name, range).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::MemoryRemote;
    use crate::testing::fault::{Crash, FaultRemote, Faults};
    use crate::testing::world::{Clock, SimEnv};

    /// Beyond the life of a gate.
    #[derive(Debug, Default)]
    struct Sums(Mutex<(u64, [u64; 2])>);

    impl Ledger for Sums {
        fn spend(&self, _: &str, day: u64, bytes: [u64; 2], limits: [u64; 2]) -> Result<bool> {
            let mut kept = lock(&self.0);
            let before = if kept.0 == day { kept.1 } else { [0; 2] };
            let after = [before[0] + bytes[0], before[1] + bytes[1]];
            let fits = (0..2).all(|way| bytes[way] == 0 || after[way] <= limits[way]);
            if fits {
                *kept = (day, after);
            }
            Ok(fits)
        }
    }

    fn gate(faults: &Arc<Faults>, budget: Option<Budget>, clock: &Arc<Clock>) -> GateRemote {
        let inner = FaultRemote::new(Arc::new(MemoryRemote::new("m")), faults.clone(), Crash::never());
        GateRemote::new(Arc::new(inner), budget, SimEnv::new(clock.clone(), 1))
    }

    #[tokio::test(start_paused = true)]
    async fn a_remote_that_is_down_is_set_aside_probed_and_taken_back() {
        let faults = Faults::none();
        let remote = gate(&faults, None, &Arc::default());
        let is_asked = async || match remote.stat("a").await {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable);
                !error.message().contains("set aside")
            }
        };
        let sleep = |seconds| tokio::time::sleep(Duration::from_secs(seconds));
        faults.set_offline(true);
        for _ in 0..MOST_FAILURES {
            assert!(is_asked().await);
        }
        assert!(!is_asked().await);
        sleep(5).await;
        assert!(is_asked().await && !is_asked().await, "one call, to see");
        sleep(9).await;
        assert!(!is_asked().await, "the wait has doubled");
        sleep(1).await;
        assert!(is_asked().await);
        faults.set_offline(false);
        assert!(!is_asked().await);
        sleep(20).await;
        assert!(is_asked().await && is_asked().await, "it is back");
        faults.set_offline(true);
        assert!(is_asked().await && is_asked().await && is_asked().await && !is_asked().await, "all is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_cancelled_lets_another_through() {
        let faults = Faults::none();
        let remote = gate(&faults, None, &Arc::default());
        faults.set_offline(true);
        for _ in 0..MOST_FAILURES {
            remote.stat("a").await.unwrap_err();
        }
        tokio::time::sleep(FIRST_WAIT).await;
        faults.set_offline(false);
        let never = remote.call(std::future::pending::<Result<()>>());
        tokio::time::timeout(Duration::from_secs(1), never).await.unwrap_err();
        remote.stat("a").await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_days_budget_bounds_large_transfers_and_ends_with_the_day() {
        let (sums, clock): (Arc<dyn Ledger>, Arc<Clock>) = (Arc::new(Sums::default()), Arc::default());
        let limits = [SMALL_BYTES * 5, SMALL_BYTES * 3];
        let budget = Budget { limits, ledger: Arc::new(OnceLock::from(sums)) };
        let faults = Faults::none();
        let remote = gate(&faults, Some(budget.clone()), &clock);
        let body = Body::from(vec![0; 2 * SMALL_BYTES as usize]);
        remote.put("a", &body).await.unwrap();
        remote.put("b", &body).await.unwrap();
        let refused = remote.put("c", &body).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::RateLimited);
        assert!(refused.message().contains("upload_per_day"), "{refused}");
        remote.put("c", &vec![0; SMALL_BYTES as usize].into()).await.unwrap();
        // Another process goes on where this one was.
        let other = gate(&faults, Some(budget), &clock);
        assert!(other.put("d", &body).await.is_err());
        let whole = Some(0..2 * SMALL_BYTES);
        drop(remote.get("a", whole.clone()).await.unwrap());
        let Err(refused) = remote.get("a", whole.clone()).await else { panic!("4 of 3 MiB") };
        assert!(refused.message().contains("download_per_day"), "{refused}");
        clock.pass(Duration::from_millis(DAY_MS));
        faults.set_offline(true);
        for _ in 0..MOST_FAILURES {
            remote.stat("a").await.unwrap_err();
        }
        for _ in 0..9 {
            assert_eq!(remote.put("c", &body).await.unwrap_err().kind(), ErrorKind::Unavailable, "and not counted");
        }
        faults.set_offline(false);
        tokio::time::sleep(FIRST_WAIT).await;
        remote.put("c", &body).await.unwrap();
        assert!(remote.get("a", whole).await.is_ok());
    }
}
