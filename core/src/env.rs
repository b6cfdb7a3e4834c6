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
    /// What [`Env::boot_ms`] counts from: another number after every start of the machine.
    fn boot_id(&self) -> u128;
    /// 128 random bits.
    fn random(&self) -> u128;
    /// The present, to measure from.
    fn now(&self) -> Moment {
        Moment { wall_ms: self.wall_ms(), boot_id: self.boot_id(), boot_ms: self.boot_ms() }
    }
}

/// A moment on one machine, from which later processes can measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock in milliseconds since 1970.
    pub wall_ms: u64,
    /// [`Env::boot_id`].
    pub boot_id: u128,
    /// [`Env::boot_ms`].
    pub boot_ms: u64,
}

impl Moment {
    /// Milliseconds since `earlier`: by the boot clock, which nobody sets, unless the machine was started
    /// anew between the two.
    pub fn since(&self, earlier: &Self) -> u64 {
        if self.boot_id == earlier.boot_id {
            self.boot_ms.saturating_sub(earlier.boot_ms)
        } else {
            self.wall_ms.saturating_sub(earlier.wall_ms)
        }
    }
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

    fn boot_id(&self) -> u128 {
        boot_id()
    }

    fn random(&self) -> u128 {
        rand::random()
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn boot_id() -> u128 {
    static ID: std::sync::OnceLock<u128> = std::sync::OnceLock::new();
    *ID.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
        // Where it cannot be read, every process counts as a start of its own.
        u128::from_str_radix(&digits, 16).unwrap_or_else(|_| rand::random())
    })
}

// The clock below counts from the start of the process.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn boot_id() -> u128 {
    static ID: std::sync::OnceLock<u128> = std::sync::OnceLock::new();
    *ID.get_or_init(rand::random)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_changes_no_measurement_but_across_a_start() {
        let earlier = Moment { wall_ms: 1_000_000, boot_id: 1, boot_ms: 500 };
        let later = |wall_ms, boot_id| Moment { wall_ms, boot_id, boot_ms: 700 };
        assert_eq!(later(99_000_000, 1).since(&earlier), 200);
        assert_eq!(later(0, 1).since(&earlier), 200);
        assert_eq!(later(1_000_300, 2).since(&earlier), 300);
        assert_eq!(later(0, 2).since(&earlier), 0);
    }

    #[test]
    fn one_start_of_the_machine_has_one_id() {
        assert_eq!(SystemEnv.boot_id(), SystemEnv.boot_id());
        assert_ne!(SystemEnv.boot_id(), 0);
    }
}
