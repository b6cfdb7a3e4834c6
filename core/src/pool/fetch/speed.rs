//! How long remotes usually take, so that what is late can be had from others.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::id::RemoteId;

/// Nothing is late before.
const SHORTEST: Duration = Duration::from_millis(100);
/// Where nothing is known.
const UNKNOWN: Duration = Duration::from_secs(2);
/// A remote that takes so many times as long as the others is left alone where there are enough of these.
const SLOW: f64 = 2.0;
/// Within this they are all the same, in seconds.
const ALIKE: f64 = 0.010;
/// Requests that a request may bring beside it, over time; and how many may be saved up for one bad moment.
const EXTRA: f64 = 0.1;
const SAVED: f64 = 4.0;
/// Shorter transfers tell nothing of a rate.
const LEAST_BYTES: usize = 64 << 10;
/// A slow remote is asked again after this time; the time doubles.
const FIRST_PROBE: Duration = Duration::from_secs(5);
const LONGEST_PROBE: Duration = Duration::from_secs(60);

/// What reads saw of the remotes of a pool.
///
/// For each, the time to the first bytes of a get and the time that each byte takes after that, as weighted means with
/// their deviations (as TCP keeps them for round trips: RFC 6298, section 2). They include waiting for a turn, as
/// that is what a reader waits for.
#[derive(Debug, Default)]
pub(in crate::pool) struct Speeds(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    remotes: BTreeMap<RemoteId, Speed>,
    /// Used up so far of what may be asked beside the rest; it falls with each request.
    spent: f64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Speed {
    first: Option<Mean>,
    byte: Option<Mean>,
    /// Of one that is left alone: when it was asked last, and how long to wait.
    probe: Option<(Instant, Duration)>,
}

/// In seconds.
#[derive(Debug, Clone, Copy)]
struct Mean {
    mean: f64,
    deviation: f64,
}

impl Mean {
    fn next(before: Option<Self>, sample: f64, weight: f64) -> Self {
        let Some(Self { mean, deviation }) = before else { return Self { mean: sample, deviation: sample / 2.0 } };
        Self {
            deviation: deviation + ((mean - sample).abs() - deviation) * (weight * 2.0).min(0.5),
            mean: mean + (sample - mean) * weight,
        }
    }
}

impl Speed {
    /// A remote that is left alone is hardly asked: one good answer must tell.
    fn next(&self, before: Option<Mean>, sample: f64) -> Mean {
        let weight = match (self.probe, before) {
            (Some(_), Some(before)) if sample < before.mean => 1.0,
            (Some(_), _) => 0.5,
            (None, _) => 0.125,
        };
        Mean::next(before, sample, weight)
    }

    fn expected(&self, bytes: u64) -> Option<f64> {
        Some(self.first?.mean + self.byte.map_or(0.0, |byte| byte.mean) * bytes as f64)
    }

    fn usual(&self, bytes: u64) -> Option<f64> {
        let deviation = self.first?.deviation + self.byte.map_or(0.0, |byte| byte.deviation) * bytes as f64;
        Some(self.expected(bytes)? + 4.0 * deviation)
    }
}

impl State {
    /// The median of the other remotes.
    fn others(&self, remote: RemoteId, of: impl Fn(&Speed) -> Option<f64>) -> Option<f64> {
        let mut known: Vec<f64> =
            self.remotes.iter().filter(|(id, _)| **id != remote).filter_map(|(_, speed)| of(speed)).collect();
        known.sort_by(f64::total_cmp);
        known.get(known.len().saturating_sub(1) / 2).copied()
    }

    fn is_slow(&self, remote: RemoteId, bytes: u64) -> bool {
        let own = self.remotes.get(&remote).and_then(|speed| speed.expected(bytes));
        let others = self.others(remote, |speed| speed.expected(bytes));
        own.zip(others).is_some_and(|(own, others)| own > SLOW * others + ALIKE)
    }
}

impl Speeds {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first bytes of a get came after this time.
    pub fn began(&self, remote: RemoteId, time: Duration) {
        let mut state = self.lock();
        let speed = state.remotes.entry(remote).or_default();
        speed.first = Some(speed.next(speed.first, time.as_secs_f64()));
    }

    /// So many bytes more came in this time.
    pub fn moved(&self, remote: RemoteId, bytes: usize, time: Duration) {
        if bytes < LEAST_BYTES {
            return;
        }
        let mut state = self.lock();
        let speed = state.remotes.entry(remote).or_default();
        speed.byte = Some(speed.next(speed.byte, time.as_secs_f64() / bytes as f64));
    }

    /// Nobody waited any longer for this many bytes: it takes longer than this, as far as is known twice as long.
    pub fn cut(&self, remote: RemoteId, bytes: u64, time: Duration) {
        let mut state = self.lock();
        let speed = state.remotes.entry(remote).or_default();
        let (sample, bytes) = (2.0 * time.as_secs_f64(), bytes.max(1) as f64);
        if speed.first.is_none_or(|first| first.mean < sample) {
            speed.first = Some(Mean::next(speed.first, sample, 0.5));
            speed.byte = speed.byte.map(|byte| Mean::next(Some(byte), byte.mean.max(sample / bytes), 0.25));
        }
    }

    /// Whether others are so much faster that a remote had better not be asked for so many bytes.
    pub fn is_slow(&self, remote: RemoteId, bytes: u64) -> bool {
        let mut state = self.lock();
        let is_slow = state.is_slow(remote, bytes);
        if let Some(speed) = state.remotes.get_mut(&remote).filter(|_| !is_slow) {
            speed.probe = None;
        }
        is_slow
    }

    /// Whether it is time to see how a slow remote does now.
    pub fn is_probed(&self, remote: RemoteId) -> bool {
        let mut state = self.lock();
        let Some(speed) = state.remotes.get_mut(&remote) else { return false };
        let (since, wait) = *speed.probe.get_or_insert((Instant::now(), FIRST_PROBE));
        let is_due = since.elapsed() >= wait;
        if is_due {
            speed.probe = Some((Instant::now(), (wait * 2).min(LONGEST_PROBE)));
        }
        is_due
    }

    /// After what time so many bytes are late.
    pub fn late_after(&self, remote: RemoteId, bytes: u64) -> Duration {
        let state = self.lock();
        let own = state.remotes.get(&remote).and_then(|speed| speed.usual(bytes));
        let others = state.others(remote, |speed| speed.usual(bytes)).map(|time| SLOW * time);
        let least = own.into_iter().chain(others).min_by(f64::total_cmp);
        let late = least.and_then(|time| Duration::try_from_secs_f64(time).ok()).unwrap_or(UNKNOWN);
        late.max(SHORTEST)
    }

    /// Counts requests that a read needs.
    pub fn earn(&self) {
        let mut state = self.lock();
        state.spent = (state.spent - EXTRA).max(0.0);
    }

    /// Whether so many requests more may be made now.
    pub fn spend(&self, requests: usize) -> bool {
        let mut state = self.lock();
        let spent = state.spent + requests as f64;
        let may = spent <= SAVED;
        if may {
            state.spent = spent;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn ms(time: u64) -> Duration {
        Duration::from_millis(time)
    }

    fn pool(times: &[u64]) -> Speeds {
        let speeds = Speeds::default();
        for _ in 0..20 {
            for (at, time) in times.iter().enumerate() {
                speeds.began(RemoteId(at as u128), ms(*time));
                speeds.moved(RemoteId(at as u128), MIB, ms(4 * *time));
            }
        }
        speeds
    }

    #[tokio::test(start_paused = true)]
    async fn late_is_beyond_the_usual_time_of_its_own_or_twice_that_of_the_others() {
        let speeds = pool(&[50, 50, 50, 1000]);
        let steady = speeds.late_after(RemoteId(0), 1 << 20);
        assert!(steady >= ms(250) && steady < ms(300), "{steady:?}");
        let slow = speeds.late_after(RemoteId(3), 1 << 20);
        assert!(slow >= ms(500) && slow < ms(600), "{slow:?}");
        assert!([0, 1, 2].iter().all(|n| !speeds.is_slow(RemoteId(*n), 1 << 20)));
        assert!(speeds.is_slow(RemoteId(3), 1 << 20));
        let new = speeds.late_after(RemoteId(9), 10);
        assert!(new >= ms(100) && new < ms(110), "{new:?}");
        assert_eq!(Speeds::default().late_after(RemoteId(9), 10), UNKNOWN);
        assert!(!speeds.is_slow(RemoteId(9), 10));
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_cut_off_once_is_left_alone_and_asked_again_later() {
        let speeds = pool(&[50, 50, 50, 50]);
        let one = RemoteId(1);
        speeds.cut(one, 1 << 20, ms(600));
        assert!(speeds.is_slow(one, 1 << 20) && !speeds.is_probed(one));
        tokio::time::sleep(FIRST_PROBE).await;
        assert!(speeds.is_probed(one) && !speeds.is_probed(one));
        for _ in 0..4 {
            speeds.began(one, ms(50));
            speeds.moved(one, MIB, ms(200));
        }
        assert!(!speeds.is_slow(one, 1 << 20));
    }

    #[test]
    fn a_tenth_more_requests_and_not_more() {
        let speeds = Speeds::default();
        let made: usize = (0..1000)
            .map(|_| {
                speeds.earn();
                usize::from(speeds.spend(1))
            })
            .sum();
        assert!((90..=105).contains(&made), "{made}");
    }
}
