//! Histograms of how long calls take.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::Serialize;

/// Upper bounds of the buckets, in seconds; one more bucket holds what took longer.
pub const BOUNDS: [f64; 12] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// Counts calls by how long they took.
#[derive(Debug, Default)]
pub struct Timing {
    counts: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// [`Timing`] at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TimingSnapshot {
    /// Calls that took at most as long as the bound of the same place, and longer than the one before; the last
    /// counts the rest.
    pub counts: Vec<u64>,
    /// Seconds that all of them took.
    pub sum: f64,
}

impl Timing {
    /// Counts a call.
    pub fn add(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let at = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.counts[at].fetch_add(1, Relaxed);
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Everything as it is now.
    pub fn snapshot(&self) -> TimingSnapshot {
        let sum = Duration::from_micros(self.micros.load(Relaxed)).as_secs_f64();
        TimingSnapshot { counts: self.counts.iter().map(|count| count.load(Relaxed)).collect(), sum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_how_long_they_took() {
        let timing = Timing::default();
        for ms in [0, 1, 2, 60_000, 60_001] {
            timing.add(Duration::from_millis(ms));
        }
        let seen = timing.snapshot();
        assert_eq!(seen.counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert!((seen.sum - 120.004).abs() < 1e-9, "{seen:?}");
    }
}
