//! Between an operation, which runs on the pool's threads, and whoever waits for it on a thread of C: events one
//! way, cancellation the other, and the outcome at the end.
//!
//! Events wait here until a call of C takes them, so callbacks run on C's own threads, outside of every lock.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rclonepool_core::monitor::Listener;
use rclonepool_core::{Error, ErrorKind, Event, Monitor, Result};
use tokio_util::sync::CancellationToken;

use crate::event::{Counts, Taker, Told};
use crate::plan::Plan;
use crate::report::Report;

/// So many events wait at most; then the oldest go.
const WAITING_MAX: usize = 1 << 16;

/// What an operation came to.
pub(crate) enum Outcome {
    Report(Report),
    Plan(Plan),
}

#[derive(Default)]
struct State {
    counts: Counts,
    /// Whether the counts changed since they were last told.
    stirred: bool,
    waiting: VecDeque<Told>,
    dropped: u64,
    ended: bool,
    outcome: Option<Result<Outcome>>,
}

pub(crate) struct Feed {
    state: Mutex<State>,
    moved: Condvar,
    cancel: CancellationToken,
}

impl Feed {
    /// A feed that ends with `closing`.
    pub fn new(closing: &CancellationToken) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), moved: Condvar::new(), cancel: closing.child_token() })
    }

    /// The monitor for the operation.
    pub fn monitor(self: &Arc<Self>) -> Monitor {
        let feed = self.clone();
        let listener: Listener = Arc::new(move |event| feed.tell(event));
        Monitor::new(listener, self.cancel.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: &Event) {
        let mut state = self.lock();
        if state.counts.add(event) {
            state.stirred = true;
        } else if let Some(told) = Told::of(event) {
            if state.waiting.len() >= WAITING_MAX {
                state.waiting.pop_front();
                state.dropped += 1;
            }
            state.waiting.push_back(told);
        }
        drop(state);
        self.moved.notify_all();
    }

    /// The operation has ended.
    pub fn end(&self, outcome: Result<Outcome>) {
        let mut state = self.lock();
        if !state.ended {
            (state.ended, state.outcome) = (true, Some(outcome));
        }
        drop(state);
        self.moved.notify_all();
    }

    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    pub fn is_ended(&self) -> bool {
        self.lock().ended
    }

    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Takes the outcome.
    ///
    /// # Errors
    /// `Busy` while the operation runs, `InvalidArgument` when it was taken already.
    pub fn take(&self) -> Result<Result<Outcome>> {
        let mut state = self.lock();
        if !state.ended {
            return Err(Error::new(ErrorKind::Busy, "the operation is still running"));
        }
        let taken = || Error::new(ErrorKind::InvalidArgument, "the outcome of this operation was taken already");
        state.outcome.take().ok_or_else(taken)
    }

    /// Hands events to `taker` until the operation has ended or the time is over; gives back whether it has ended.
    /// Every event that was told before the end is handed over before.
    ///
    /// # Safety
    /// As for [`Taker::take`].
    pub unsafe fn wait(&self, timeout: Option<Duration>, taker: Taker) -> bool {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let (batch, counts, dropped, ended) = {
                let mut state = self.lock();
                let batch = std::mem::take(&mut state.waiting);
                let stirred = std::mem::take(&mut state.stirred);
                let dropped = std::mem::take(&mut state.dropped);
                if batch.is_empty() && !stirred {
                    if state.ended {
                        return true;
                    }
                    match until {
                        None => drop(self.moved.wait(state).unwrap_or_else(PoisonError::into_inner)),
                        Some(until) => {
                            let left = until.saturating_duration_since(Instant::now());
                            if left.is_zero() {
                                return false;
                            }
                            drop(self.moved.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner));
                        }
                    }
                    continue;
                }
                (batch, state.counts, dropped, state.ended)
            };
            let lost = if dropped > 0 {
                Told::notice(&format!("{dropped} events were dropped, as nobody took them"))
            } else {
                None
            };
            let told = lost.into_iter().chain(batch);
            for told in told.chain(std::iter::once(Told::progress())) {
                // SAFETY: promised by the caller.
                if unsafe { taker.take(&told, counts) } && !ended {
                    self.cancel();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::c_void;

    use super::*;
    use crate::event::{rclonepool_event, rclonepool_event_kind};

    unsafe extern "C" fn note(userdata: *mut c_void, event: *const rclonepool_event) -> i32 {
        unsafe {
            let (seen, event) = (&mut *userdata.cast::<Vec<(i32, u64)>>(), &*event);
            assert_eq!(event.struct_size as usize, size_of::<rclonepool_event>());
            seen.push((event.kind as i32, event.bytes_done));
            i32::from(event.kind == rclonepool_event_kind::FileFailed)
        }
    }

    #[test]
    fn events_are_taken_in_order_and_can_cancel() {
        let feed = Feed::new(&CancellationToken::new());
        let monitor = feed.monitor();
        let mut seen: Vec<(i32, u64)> = Vec::new();
        let taker = Taker { callback: Some(note), userdata: (&raw mut seen).cast() };
        monitor.notice("a");
        monitor.progress(5, 1);
        unsafe {
            assert!(!feed.wait(Some(Duration::from_millis(1)), taker));
        }
        assert_eq!(seen, [(4, 5), (1, 5)]);
        monitor.event(&Event::FileFailed { path: "/x".into(), error: "no".into() });
        unsafe {
            assert!(!feed.wait(Some(Duration::ZERO), taker));
        }
        assert!(monitor.check().is_err(), "cancelled by the callback");
        assert!(feed.take().is_err_and(|e| e.kind() == ErrorKind::Busy));
        feed.end(Err(Error::new(ErrorKind::Cancelled, "cancelled")));
        unsafe { assert!(feed.wait(None, taker)) };
        assert!(feed.take().unwrap().is_err_and(|e| e.kind() == ErrorKind::Cancelled));
        assert!(feed.take().is_err_and(|e| e.kind() == ErrorKind::InvalidArgument));
    }

    #[test]
    fn what_nobody_takes_does_not_pile_up_without_end() {
        let feed = Feed::new(&CancellationToken::new());
        let monitor = feed.monitor();
        for _ in 0..WAITING_MAX + 3 {
            monitor.notice("a");
        }
        let mut seen: Vec<(i32, u64)> = Vec::new();
        unsafe {
            feed.wait(Some(Duration::ZERO), Taker { callback: Some(note), userdata: (&raw mut seen).cast() });
        }
        assert_eq!(seen.len(), WAITING_MAX + 2, "all that is kept, a word on the rest, and the progress");
    }
}
