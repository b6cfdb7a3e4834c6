//! Operations under way.

use std::ffi::c_void;
use std::sync::Arc;
use std::time::Duration;

use rclonepool_core::{Error, Result};

use crate::args::{check_out, invalid};
use crate::castable::Castable;
use crate::error::{rclonepool_error, rclonepool_status, report as report_error};
use crate::event::{Taker, rclonepool_event_fn};
use crate::feed::{Feed, Outcome};
use crate::panic::{guard, guard_or};
use crate::plan::{Plan, rclonepool_plan};
use crate::pool::{hand_over, rclonepool_pool, shared};
use crate::report::{Report, rclonepool_report};
use crate::shared::{CallingBack, Shared, Task};

/// An operation under way, on the pool's threads. Functions that take it may be called from several threads at once.
/// Freed by `rclonepool_op_free`.
pub struct rclonepool_op {
    _private: [u8; 0],
}

/// What lies behind a [`rclonepool_op`].
pub(crate) struct Op {
    shared: Arc<Shared>,
    feed: Arc<Feed>,
}

impl Castable for rclonepool_op {
    type Inner = Op;
    const KIND: &'static str = "operation";
}

/// How far an operation is. Members may be added at the end: set `struct_size` to the size of the struct you know,
/// and no more is written.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct rclonepool_progress {
    /// Bytes of this struct, set by you.
    pub struct_size: u32,
    /// 1 when the operation has ended, else 0.
    pub is_done: i32,
    /// Bytes done so far.
    pub bytes_done: u64,
    /// Bytes that are known to be ahead in all; may grow, and is 0 where it is not known.
    pub bytes_total: u64,
    /// Items done so far: chunks of one file, or files of a directory.
    pub items_done: u64,
    /// Items in all, as far as is known.
    pub items_total: u64,
}

impl Op {
    /// # Safety
    /// As for [`Taker::take`].
    unsafe fn wait(&self, timeout: Option<Duration>, taker: Taker) -> bool {
        let _calling = CallingBack::of(&self.shared);
        // SAFETY: promised by the caller.
        unsafe { self.feed.wait(timeout, taker) }
    }
}

fn report_of(outcome: Outcome) -> Result<Report> {
    match outcome {
        Outcome::Report(report) => Ok(report),
        Outcome::Plan(_) => Err(invalid("this operation makes a plan: take it with rclonepool_op_take_plan")),
    }
}

fn plan_of(outcome: Outcome) -> Result<Plan> {
    match outcome {
        Outcome::Plan(plan) => Ok(plan),
        Outcome::Report(_) => Err(invalid("this operation makes a report: take it with rclonepool_op_take")),
    }
}

/// Begins what the closure makes.
///
/// # Safety
/// The pointers are as for every function that starts an operation.
pub(crate) unsafe fn start(
    pool: *const rclonepool_pool,
    made: impl FnOnce() -> Result<Task>,
    op: *mut *mut rclonepool_op,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe {
        guard(err, || {
            check_out("op", op)?;
            let shared = shared(pool)?;
            let feed = shared.start(made()?)?;
            op.write(rclonepool_op::into_handle(Op { shared: shared.clone(), feed }));
            Ok(())
        })
    }
}

/// Does what the closure makes and waits for its end, while events are handed over on this thread.
///
/// # Safety
/// `pool` is NULL or a handle that was not freed; `callback` may be called with `userdata`.
unsafe fn await_outcome(
    pool: *const rclonepool_pool,
    made: impl FnOnce() -> Result<Task>,
    callback: rclonepool_event_fn,
    userdata: *mut c_void,
) -> Result<Outcome> {
    // SAFETY: promised by the caller. Cloned, as a callback may free the handle.
    let shared = unsafe { shared(pool) }?.clone();
    let op = Op { feed: shared.start(made()?)?, shared };
    // SAFETY: promised by the caller.
    unsafe { op.wait(None, Taker { callback, userdata }) };
    op.feed.take()?
}

/// As [`await_outcome`], with a report as its outcome.
///
/// # Safety
/// The pointers are as for every function that makes a report.
pub(crate) unsafe fn run(
    pool: *const rclonepool_pool,
    made: impl FnOnce() -> Result<Task>,
    callback: rclonepool_event_fn,
    userdata: *mut c_void,
    report: *mut *mut rclonepool_report,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { give(err, report, || await_outcome(pool, made, callback, userdata).and_then(report_of)) }
}

/// As [`await_outcome`], with a plan as its outcome.
///
/// # Safety
/// The pointers are as for every function that makes a plan.
pub(crate) unsafe fn run_plan(
    pool: *const rclonepool_pool,
    made: impl FnOnce() -> Result<Task>,
    callback: rclonepool_event_fn,
    userdata: *mut c_void,
    plan: *mut *mut rclonepool_plan,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe {
        guard(err, || {
            check_out("plan", plan)?;
            let made = plan_of(await_outcome(pool, made, callback, userdata)?)?;
            plan.write(rclonepool_plan::into_handle(made));
            Ok(())
        })
    }
}

/// Gives a report to C. Where files failed, it gets both the report and the error that says so: nobody should take
/// part of the work for all of it.
///
/// # Safety
/// `err` and `out` are NULL or can be written.
unsafe fn give(
    err: *mut *mut rclonepool_error,
    out: *mut *mut rclonepool_report,
    made: impl FnOnce() -> Result<Report>,
) -> rclonepool_status {
    let mut partial = None;
    // SAFETY: promised by the caller.
    let status = unsafe {
        guard(err, || {
            let report = made()?;
            partial = report.files_failed();
            hand_over(report, out);
            Ok(())
        })
    };
    match partial {
        // SAFETY: promised by the caller.
        Some(error) => unsafe { report_error(&error, err) },
        None => status,
    }
}

/// 1 when an operation has ended, else 0; 1 for NULL. Calls nobody back and never waits. Since 0.1.
///
/// # Safety
/// `op` is NULL or a handle that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_op_is_done(op: *const rclonepool_op) -> i32 {
    guard_or(1, || {
        // SAFETY: promised by the caller.
        unsafe { rclonepool_op::inner(op) }.is_none_or(|op| op.feed.is_ended()).into()
    })
}

/// Writes how far an operation is to `progress`, of which `struct_size` must be set. Never waits. Since 0.1.
///
/// # Safety
/// `op` is a handle that was not freed; `progress` points to as many bytes as its `struct_size` says; `err` is NULL
/// or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_op_progress(
    op: *const rclonepool_op,
    progress: *mut rclonepool_progress,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe {
        guard(err, || {
            check_out("progress", progress)?;
            let op = rclonepool_op::get(op)?;
            let (is_done, counts) = (op.feed.is_ended().into(), op.feed.counts());
            let size = (&raw const (*progress).struct_size).read();
            let known = size_of::<rclonepool_progress>().min(size as usize);
            if known < size_of::<rclonepool_progress>() {
                return Err(invalid(format!("struct_size is {size}: set it to the size of rclonepool_progress")));
            }
            let now = rclonepool_progress {
                struct_size: size,
                is_done,
                bytes_done: counts.bytes_done,
                bytes_total: counts.bytes_total,
                items_done: counts.items_done,
                items_total: counts.items_total,
            };
            progress.write(now);
            Ok(())
        })
    }
}

/// Waits until an operation has ended, `timeout_ms` have passed (0: not at all, below 0: for ever), whichever is
/// first, and writes 1 or 0 to `is_done` (which may be NULL). What it tells meanwhile, and told before, is handed to
/// `callback` (which may be NULL) on this thread; a callback that answers not 0 cancels the operation. A time-out is
/// no failure. Where several threads wait, each event goes to one of them. Since 0.1.
///
/// # Safety
/// `op` is a handle that is not freed meanwhile; `callback` may be called with `userdata`; `is_done` is NULL or can
/// be written; `err` is NULL or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_op_wait(
    op: *const rclonepool_op,
    timeout_ms: i64,
    callback: rclonepool_event_fn,
    userdata: *mut c_void,
    is_done: *mut i32,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe {
        guard(err, || {
            let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
            let ended = rclonepool_op::get(op)?.wait(timeout, Taker { callback, userdata });
            if !is_done.is_null() {
                is_done.write(ended.into());
            }
            Ok(())
        })
    }
}

/// Asks an operation to stop, and returns at once; it ends with `RCLONEPOOL_STATUS_CANCELLED`, unless it was done
/// before. NULL is allowed. Since 0.1.
///
/// # Safety
/// `op` is NULL or a handle that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_op_cancel(op: *const rclonepool_op) {
    guard_or((), || {
        // SAFETY: promised by the caller.
        if let Some(op) = unsafe { rclonepool_op::inner(op) } {
            op.feed.cancel();
        }
    });
}

/// Takes the outcome of an operation that has ended: its failure, or its report (which may be NULL where it does not
/// matter). Can be done once. Fails with `_BUSY` while the operation runs. Since 0.1.
///
/// # Safety
/// `op` is a handle that was not freed; `report` and `err` are NULL or point to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_op_take(
    op: *const rclonepool_op,
    report: *mut *mut rclonepool_report,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { give(err, report, || report_of(rclonepool_op::get(op)?.feed.take()??)) }
}

/// Takes the plan that an operation begun by a `…_plan_start` has made. As `rclonepool_op_take`. Since 0.1.
///
/// # Safety
/// `op` is a handle that was not freed; `plan` can be written; `err` is NULL or points to where a pointer may be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_op_take_plan(
    op: *const rclonepool_op,
    plan: *mut *mut rclonepool_plan,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe {
        guard(err, || {
            check_out("plan", plan)?;
            let taken = plan_of(rclonepool_op::get(op)?.feed.take()??)?;
            plan.write(rclonepool_plan::into_handle(taken));
            Ok(())
        })
    }
}

/// Frees an operation; one that runs is cancelled and not waited for. NULL is allowed. Since 0.1.
///
/// # Safety
/// `op` is NULL or a handle that was not freed; it is not used again, and no other thread uses it now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_op_free(op: *mut rclonepool_op) {
    guard_or((), || {
        // SAFETY: promised by the caller.
        if let Some(op) = unsafe { rclonepool_op::take(op) } {
            op.feed.cancel();
        }
    });
}

impl Report {
    /// The error of an operation on files some of which failed.
    fn files_failed(&self) -> Option<Error> {
        let failed = self.failed_files();
        (failed > 0).then(|| {
            let message = format!("{failed} files failed");
            Error::new(rclonepool_core::ErrorKind::Partial, message).hint("the events name each with its error")
        })
    }
}
