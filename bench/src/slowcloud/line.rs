//! A line that carries so much a second.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A token bucket, kept as the time at which the line is free again: what passes takes the line for as long as it
/// takes at the line's rate, one after another, whoever sends it. Late timers lose nothing: the next one is served
/// from the time it should have been.
#[derive(Debug)]
pub struct Line {
    /// Seconds a unit takes; 0 for a line without limit.
    unit_seconds: f64,
    /// How far an idle line gets ahead.
    burst: Duration,
    free_at: Mutex<Instant>,
}

impl Line {
    /// A line of `rate` units a second (`None`: no limit) that can send `burst` units at once after a pause.
    pub fn new(rate: Option<f64>, burst: f64) -> Self {
        let unit_seconds = rate.map_or(0.0, |rate| 1.0 / rate);
        Self { unit_seconds, burst: Duration::from_secs_f64(burst * unit_seconds), free_at: Mutex::new(Instant::now()) }
    }

    /// Waits until `units` have passed.
    pub async fn pass(&self, units: usize) {
        if self.unit_seconds == 0.0 {
            return;
        }
        tokio::time::sleep_until(self.take(units, Instant::now())).await;
    }

    /// When `units` that come `now` have passed.
    #[allow(clippy::cast_precision_loss, reason = "a piece of a few KiB")]
    fn take(&self, units: usize, now: Instant) -> Instant {
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = now.checked_sub(self.burst).map_or(*free_at, |earliest| earliest.max(*free_at));
        *free_at = begin + Duration::from_secs_f64(units as f64 * self.unit_seconds);
        *free_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn everyone_shares_the_rate_and_a_pause_gains_a_burst() {
        let line = Line::new(Some(1000.0), 100.0);
        tokio::time::advance(Duration::from_secs(5)).await;
        let begin = Instant::now();
        tokio::join!(line.pass(600), line.pass(500));
        assert_eq!(begin.elapsed().as_millis(), 1000);
        Line::new(None, 0.0).pass(1 << 40).await;
        assert_eq!(begin.elapsed().as_millis(), 1000);
    }
}
