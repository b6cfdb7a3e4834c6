//! A remote that misbehaves on purpose, the same way each time for one seed.
//!
//! Nothing here uses threads, the wall clock or hash order: under a current-thread runtime with
//! paused time a run repeats exactly.

mod remote;

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use remote::FaultRemote;

use crate::error::{Error, ErrorKind};

/// How likely each misfortune is at each call, from 0 to 1. The default is a remote without faults.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FaultPlan {
    /// Any call fails with `Unavailable` and does nothing.
    pub unavailable: f64,
    /// Any call fails with `RateLimited` and does nothing.
    pub rate_limited: f64,
    /// Any call fails with `Timeout` and does nothing.
    pub timeout: f64,
    /// Any call never answers (it sleeps for a year of the runtime's time).
    pub hang: f64,
    /// A put stores the beginning of the object, under its final name, and fails with `Unavailable`.
    pub put_partial: f64,
    /// A put stores the object and fails with `Timeout`: the answer was lost.
    pub put_unanswered: f64,
    /// A get delivers one bit turned over.
    pub get_flip: f64,
    /// A get breaks off with `Unavailable`.
    pub get_cut: f64,
    /// A get ends early as if it were complete, which no remote may do; readers shall notice anyway.
    pub get_short: f64,
    /// A listing lacks some of the objects among the last [`FaultPlan::STALE_PUTS`] that were put.
    pub list_stale: f64,
    /// Any call waits so long first; from a range, so that concurrent calls overtake each other.
    pub latency: Range<Duration>,
}

impl FaultPlan {
    /// How many of the newest objects a stale listing may hide.
    pub const STALE_PUTS: usize = 16;
}

/// The state of one misbehaving remote: seed, plan and switches. Shared by all wrappers of the one
/// remote, one for each simulated machine that uses it.
#[derive(Debug)]
pub struct Faults(Mutex<State>);

#[derive(Debug)]
struct State {
    random: SplitMix,
    plan: FaultPlan,
    offline: bool,
    lost: bool,
    read_only: bool,
    full: bool,
    /// While emptied: the objects put since.
    emptied: Option<BTreeSet<String>>,
    recent: VecDeque<String>,
}

impl Faults {
    /// Faults by `plan`, with the randomness of `seed`.
    pub fn new(seed: u64, plan: FaultPlan) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            random: SplitMix(seed),
            plan,
            offline: false,
            lost: false,
            read_only: false,
            full: false,
            emptied: None,
            recent: VecDeque::new(),
        })))
    }

    /// A remote without faults; for the switches alone.
    pub fn none() -> Arc<Self> {
        Self::new(0, FaultPlan::default())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the plan from here on.
    pub fn set_plan(&self, plan: FaultPlan) {
        self.lock().plan = plan;
    }

    /// Not reachable: every call fails with `Unavailable`, until it is switched off.
    pub fn set_offline(&self, on: bool) {
        self.lock().offline = on;
    }

    /// The account is gone: every call fails with `Auth`.
    pub fn set_lost(&self, on: bool) {
        self.lock().lost = on;
    }

    /// Whether the account is gone.
    pub fn is_lost(&self) -> bool {
        self.lock().lost
    }

    /// Puts and deletes fail with `Auth`.
    pub fn set_read_only(&self, on: bool) {
        self.lock().read_only = on;
    }

    /// Puts fail with `Full`.
    pub fn set_full(&self, on: bool) {
        self.lock().full = on;
    }

    /// Shows none of the objects there were when it was switched on, as an unmounted or wiped disk
    /// does; new ones can be put. Switched off, the old ones are there again, and the new ones too.
    pub fn set_emptied(&self, on: bool) {
        self.lock().emptied = on.then(BTreeSet::new);
    }
}

/// What becomes of a put or delete that does not end well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It does not happen.
    Nothing,
    /// Of a put, the beginning of the object is stored, under its final name; a delete does not happen.
    Partial,
    /// It happens, and nobody hears of it.
    Whole,
}

/// Kills one simulated machine at its Nth remote call. Shared by all its remotes.
#[derive(Debug)]
pub struct Crash {
    calls: AtomicU64,
    at: AtomicU64,
    fate: Mutex<Option<Fate>>,
}

const NEVER: u64 = u64::MAX;

impl Crash {
    /// A machine that counts its calls and lives.
    pub fn never() -> Arc<Self> {
        Self::at(NEVER)
    }

    /// A machine that dies in its call number `call`, counted from 1 over all its remotes. That
    /// call may still have its effect, or half of it; whatever the machine calls later fails.
    pub fn at(call: u64) -> Arc<Self> {
        Arc::new(Self { calls: AtomicU64::new(0), at: AtomicU64::new(call), fate: Mutex::new(None) })
    }

    /// How many calls there were, those after its death included.
    pub fn calls(&self) -> u64 {
        self.calls.load(SeqCst)
    }

    /// Dies in the call that comes `calls` calls later (1: the next one).
    pub fn arm(&self, calls: u64) {
        self.at.store(self.calls().saturating_add(calls.max(1)), SeqCst);
    }

    /// As [`Crash::arm`], and says what becomes of that call; without it the remote's randomness does.
    pub fn arm_as(&self, calls: u64, fate: Fate) {
        *self.fate.lock().unwrap_or_else(PoisonError::into_inner) = Some(fate);
        self.arm(calls);
    }

    fn fate(&self) -> Option<Fate> {
        *self.fate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is dead.
    pub fn happened(&self) -> bool {
        self.calls() >= self.at.load(SeqCst)
    }

    /// Whether `error` is what calls of a dead machine fail with.
    pub fn is_crash(error: &Error) -> bool {
        error.message() == CRASHED
    }

    fn error() -> Error {
        // Not retryable, and not a kind that asks for another remote.
        Error::new(ErrorKind::Cancelled, CRASHED)
    }
}

const CRASHED: &str = "simulated crash: this machine is dead";

/// The generator SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators",
/// 2014): the same numbers in every version of everything.
#[derive(Debug)]
pub struct SplitMix(pub u64);

impl SplitMix {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        // The bias of 2^-64 x end does not matter here.
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }

    /// True with the probability `p`; uses no randomness where that is 0.
    pub fn chance(&mut self, p: f64) -> bool {
        p > 0.0 && ((self.bits() >> 11) as f64 / (1u64 << 53) as f64) < p
    }
}

#[cfg(test)]
mod tests;
