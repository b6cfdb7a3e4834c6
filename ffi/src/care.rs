//! Care: is all still there, and what is done where it is not.

use std::ffi::c_void;

use rclonepool_core::path::PoolPath;
use rclonepool_core::pool::care::{FileState, GcOptions, HealthOptions, VerifyLevel, VerifyOptions};
use rclonepool_core::{Error, ErrorKind, Pool, Result};
use tokio_util::task::AbortOnDropHandle;

use crate::error::{rclonepool_error, rclonepool_status};
use crate::event::rclonepool_event_fn;
use crate::feed::Outcome;
use crate::op::{rclonepool_op, run, start};
use crate::options::{Options, rclonepool_option as Opt, rclonepool_options};
use crate::pool::{rclonepool_pool, shared};
use crate::report::{Report, rclonepool_report};
use crate::shared::{Task, task};

/// How many files are named where nobody says.
const LIST: usize = 100;

fn status() -> Result<Task> {
    Ok(task(async |pool, monitor| Report::new(&monitor.run(pool.status()).await?).map(Outcome::Report)))
}

/// # Safety
/// `options` is NULL or a handle that no other thread changes.
unsafe fn verify(options: *const rclonepool_options) -> Result<Task> {
    // SAFETY: promised by the caller.
    let options = unsafe { Options::of(options, &[Opt::Path, Opt::Level, Opt::Sample, Opt::List]) }?;
    #[allow(clippy::cast_precision_loss, reason = "at most 100,000")]
    let sample = options.integer(Opt::Sample).map(|thousandths| thousandths as f64 / 1000.0);
    let how = VerifyOptions {
        path: options.path(Opt::Path)?.unwrap_or_else(PoolPath::root),
        level: match options.integer(Opt::Level) {
            Some(0) => VerifyLevel::Quick,
            Some(2) => VerifyLevel::Deep,
            _ => VerifyLevel::Default,
        },
        sample,
        list: options.count(Opt::List).unwrap_or(LIST),
    };
    Ok(task(async move |pool, monitor| {
        let found = pool.verify(&how, &monitor).await?;
        Report::with(&found, found.outcome()).map(Outcome::Report)
    }))
}

/// # Safety
/// As for [`verify`].
unsafe fn health(options: *const rclonepool_options) -> Result<Task> {
    // SAFETY: promised by the caller.
    let options = unsafe { Options::of(options, &[Opt::Path, Opt::List, Opt::Lost]) }?;
    let how = HealthOptions {
        path: options.path(Opt::Path)?.unwrap_or_else(PoolPath::root),
        lost: options.texts(Opt::Lost).to_vec(),
        list: options.count(Opt::List).unwrap_or(LIST),
    };
    Ok(task(async move |pool, monitor| {
        let found = monitor.run(pool.health(&how)).await?;
        let outcome = match found.state {
            FileState::Healthy => None,
            FileState::Degraded | FileState::AtRisk => Some(ErrorKind::Degraded),
            FileState::Unavailable => Some(ErrorKind::Unavailable),
            FileState::Lost => Some(ErrorKind::Unrecoverable),
        };
        Report::with(&found, outcome).map(Outcome::Report)
    }))
}

/// # Safety
/// As for [`verify`].
unsafe fn gc_options(options: *const rclonepool_options) -> Result<GcOptions> {
    // SAFETY: promised by the caller.
    let options = unsafe { Options::of(options, &[Opt::MinAgeMs, Opt::AcceptLoss]) }?;
    Ok(GcOptions { min_age: options.milliseconds(Opt::MinAgeMs), accept_loss: options.flag(Opt::AcceptLoss) })
}

/// # Safety
/// As for [`verify`].
unsafe fn orphans(options: *const rclonepool_options) -> Result<Task> {
    // SAFETY: promised by the caller.
    let how = unsafe { gc_options(options) }?;
    Ok(task(async move |pool, monitor| Report::new(&pool.orphans(&how, &monitor).await?).map(Outcome::Report)))
}

/// # Safety
/// As for [`verify`].
unsafe fn gc(options: *const rclonepool_options) -> Result<Task> {
    // SAFETY: promised by the caller.
    let how = unsafe { gc_options(options) }?;
    Ok(task(async move |pool, monitor| Report::new(&pool.gc(&how, &monitor).await?).map(Outcome::Report)))
}

/// # Safety
/// `pool` is NULL or a handle that was not freed.
unsafe fn watch(pool: *const rclonepool_pool) -> Result<Task> {
    // SAFETY: promised by the caller.
    let balancing = unsafe { shared(pool) }?.balancing;
    Ok(task(async move |pool, monitor| {
        let watch = pool.watch_health(&monitor).ok_or_else(|| {
            Error::new(ErrorKind::Config, "enable_health_monitoring is false: health is not watched")
                .hint("set it to true")
        })?;
        let _healing = pool.start_healing(&monitor);
        let _balancing = balancing.map(|(every, threshold)| {
            let balanced = Pool::keep_balanced(std::sync::Arc::downgrade(&pool), every, threshold, monitor.clone());
            AbortOnDropHandle::new(tokio::spawn(balanced))
        });
        // The watch holds no pool, and ends with the monitor.
        watch.ended().await;
        Err(Error::new(ErrorKind::Cancelled, "the watch has ended"))
    }))
}

/// The pool at a glance: files, bytes, remotes, free space; asks each online remote for its usage. The report has
/// "pool", "files", "bytes", "stored", "tolerated", "complete_view", "remotes", "free" and more. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `callback` may be called with `userdata`;
/// `report` is NULL or points to where a pointer may be written; `err` is NULL or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_pool_status(
    pool: *const rclonepool_pool,
    callback: rclonepool_event_fn,
    userdata: *mut c_void,
    report: *mut *mut rclonepool_report,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { run(pool, status, callback, userdata, report, err) }
}

/// Begins what `rclonepool_pool_status` does; the arguments are copied. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `op` can be written; `err` is NULL or points to
/// where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_pool_status_start(
    pool: *const rclonepool_pool,
    op: *mut *mut rclonepool_op,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { start(pool, status, op, err) }
}

/// Verifies that the remotes hold what the journal says, and notes what they do not; changes nothing. Options: `PATH`,
/// `LEVEL`, `SAMPLE`, `LIST`. The report has "state", "files", "shards", "remotes", "listed" and more, and its status
/// says what it amounts to: damage is no failure of the call. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `options` is NULL or a handle that no other thread changes; `callback` may be called with `userdata`;
/// `report` is NULL or points to where a pointer may be written; `err` is NULL or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_verify(
    pool: *const rclonepool_pool,
    options: *const rclonepool_options,
    callback: rclonepool_event_fn,
    userdata: *mut c_void,
    report: *mut *mut rclonepool_report,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { run(pool, || verify(options), callback, userdata, report, err) }
}

/// Begins what `rclonepool_verify` does; the arguments are copied. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `options` is NULL or a handle that no other thread changes; `op` can be written; `err` is NULL or points to
/// where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_verify_start(
    pool: *const rclonepool_pool,
    options: *const rclonepool_options,
    op: *mut *mut rclonepool_op,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { start(pool, || verify(options), op, err) }
}

/// What every file survives, from the index and what verifications found; asks no remote. Options: `PATH`, `LIST`,
/// `LOST`. The report has "state", "recoverable", "files", "tolerated_remotes", "remotes", "listed" and more.
/// Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `options` is NULL or a handle that no other thread changes; `callback` may be called with `userdata`;
/// `report` is NULL or points to where a pointer may be written; `err` is NULL or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_health(
    pool: *const rclonepool_pool,
    options: *const rclonepool_options,
    callback: rclonepool_event_fn,
    userdata: *mut c_void,
    report: *mut *mut rclonepool_report,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { run(pool, || health(options), callback, userdata, report, err) }
}

/// Begins what `rclonepool_health` does; the arguments are copied. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `options` is NULL or a handle that no other thread changes; `op` can be written; `err` is NULL or points to
/// where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_health_start(
    pool: *const rclonepool_pool,
    options: *const rclonepool_options,
    op: *mut *mut rclonepool_op,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { start(pool, || health(options), op, err) }
}

/// Lists what nobody needs, and how far it is on its way out; changes nothing on the remotes. Options: `MIN_AGE_MS`,
/// `ACCEPT_LOSS`. The report has "orphans", "leftovers", "remotes", "unknown". Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `options` is NULL or a handle that no other thread changes; `callback` may be called with `userdata`;
/// `report` is NULL or points to where a pointer may be written; `err` is NULL or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_orphans(
    pool: *const rclonepool_pool,
    options: *const rclonepool_options,
    callback: rclonepool_event_fn,
    userdata: *mut c_void,
    report: *mut *mut rclonepool_report,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { run(pool, || orphans(options), callback, userdata, report, err) }
}

/// Begins what `rclonepool_orphans` does; the arguments are copied. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `options` is NULL or a handle that no other thread changes; `op` can be written; `err` is NULL or points to
/// where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_orphans_start(
    pool: *const rclonepool_pool,
    options: *const rclonepool_options,
    op: *mut *mut rclonepool_op,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { start(pool, || orphans(options), op, err) }
}

/// Frees what nobody needs: marks it, and deletes what was marked a day ago. Options: `MIN_AGE_MS`, `ACCEPT_LOSS`. The
/// report has "marked", "dropped", "objects", "reclaimed", "waiting", "next_ms" and more. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `options` is NULL or a handle that no other thread changes; `callback` may be called with `userdata`;
/// `report` is NULL or points to where a pointer may be written; `err` is NULL or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_gc(
    pool: *const rclonepool_pool,
    options: *const rclonepool_options,
    callback: rclonepool_event_fn,
    userdata: *mut c_void,
    report: *mut *mut rclonepool_report,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { run(pool, || gc(options), callback, userdata, report, err) }
}

/// Begins what `rclonepool_gc` does; the arguments are copied. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `options` is NULL or a handle that no other thread changes; `op` can be written; `err` is NULL or points to
/// where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_gc_start(
    pool: *const rclonepool_pool,
    options: *const rclonepool_options,
    op: *mut *mut rclonepool_op,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { start(pool, || gc(options), op, err) }
}

/// Watches over a pool until the operation is cancelled, and tells by events: its health, when first known and
/// whenever it changes, as often as the configuration says (`health_check_interval`). Where the configuration says so
/// too, what is found damaged is rebuilt (`auto_heal`) and the remotes are kept filled alike (`auto_rebalance`). Ends
/// with `_CANCELLED`, or with `_CONFIG` where health is not to be watched. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `op` can be written; `err` is NULL or points to where a pointer may be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_watch_start(
    pool: *const rclonepool_pool,
    op: *mut *mut rclonepool_op,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { start(pool, || watch(pool), op, err) }
}
