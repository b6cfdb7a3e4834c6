//! What the engine takes from the machine besides files: time and randomness.
//!
//! Injected, so that the simulation replays from a seed and with clocks that lie.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Wall clock, boot clock and randomness.
pub trait Env: Send + Sync + Debug {
    /// The wall clock in milliseconds since 1970. May be wrong, may jump.
    fn wall_ms(&self) -> u64;
    /// Milliseconds since some fixed instant; never jumps back, and counts while the machine sleeps.
    fn boot_ms(&self) -> u64;
    /// 128 random bits.
    fn random(&self) -> u128;
}

/// A shared [`Env`].
pub type SharedEnv = Arc<dyn Env>;

/// The real machine.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemEnv;

impl Env for SystemEnv {
    fn wall_ms(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
    }

    fn boot_ms(&self) -> u64 {
        boot_ms()
    }

    fn random(&self) -> u128 {
        rand::random()
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn boot_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000
}

// Elsewhere the monotonic clock of std is the best there is; on Windows and macOS it may stop in sleep.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn boot_ms() -> u64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    u64::try_from(START.get_or_init(std::time::Instant::now).elapsed().as_millis()).unwrap_or(u64::MAX)
}
