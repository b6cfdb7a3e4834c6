//! How fast it goes now. Bytes are reported when a shard has arrived, so they come in lumps.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What happened longer ago says little of now,
const WINDOW: Duration = Duration::from_secs(20);
/// but fewer lumps than this say little of anything.
const LUMPS: usize = 6;

/// Bytes per second, from the totals at several instants.
pub struct Speed {
    samples: VecDeque<(Instant, u64)>,
}

impl Speed {
    pub fn new(began: Instant) -> Self {
        Self { samples: VecDeque::from([(began, 0)]) }
    }

    /// Notes that `total` bytes are done.
    pub fn note(&mut self, now: Instant, total: u64) {
        self.samples.push_back((now, total));
        while self.samples.len() > LUMPS && self.samples.get(1).is_some_and(|(at, _)| now - *at > WINDOW) {
            self.samples.pop_front();
        }
    }

    /// Bytes per second; `None` while nothing has arrived.
    pub fn rate(&self, now: Instant) -> Option<f64> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        (last.1 > first.1).then(|| average(last.1 - first.1, now - first.0))
    }
}

/// Bytes per second.
#[allow(clippy::cast_precision_loss, reason = "for display")]
pub fn average(bytes: u64, time: Duration) -> f64 {
    bytes as f64 / time.as_secs_f64().max(0.001)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_follows_the_last_seconds_but_survives_slow_lumps() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut speed = Speed::new(began);
        assert_eq!(speed.rate(at(1)), None);
        for second in 1..=60 {
            speed.note(at(second), second * 100);
        }
        for second in 61..=100 {
            speed.note(at(second), 6000 + (second - 60) * 10);
        }
        let rate = speed.rate(at(100)).unwrap();
        assert!((9.0..11.0).contains(&rate), "only the slow part counts: {rate}");

        let mut slow = Speed::new(began);
        slow.note(at(25), 25_000);
        slow.note(at(50), 50_000);
        let rate = slow.rate(at(60)).unwrap();
        assert!((800.0..1000.0).contains(&rate), "a lump every 25 s: {rate}");
    }
}
