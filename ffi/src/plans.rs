//! What makes plans.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use rclonepool_core::Result;
use rclonepool_core::pool::care::RebuildOptions;

use crate::args::{invalid, pool_path, text};
use crate::error::{rclonepool_error, rclonepool_status};
use crate::event::rclonepool_event_fn;
use crate::op::{rclonepool_op, run_plan, start};
use crate::options::{Options, rclonepool_option as Opt, rclonepool_options};
use crate::plan::{Plan, Steps, rclonepool_plan};
use crate::pool::rclonepool_pool;
use crate::shared::{Task, task};

/// # Safety
/// `options` is NULL or a handle that no other thread changes.
unsafe fn rebuild(options: *const rclonepool_options) -> Result<Task> {
    // SAFETY: promised by the caller.
    let options = unsafe { Options::of(options, &[Opt::Path, Opt::All, Opt::AcceptLoss]) }?;
    let how = RebuildOptions {
        path: options.path(Opt::Path)?,
        all: options.flag(Opt::All),
        accept_loss: options.flag(Opt::AcceptLoss),
    };
    Ok(task(async move |pool, monitor| {
        let plan = Arc::new(pool.plan_rebuild(&how, &monitor).await?);
        Plan::outcome(Steps::Rebuild(plan.clone()), &*plan)
    }))
}

fn rebalance(target: f64) -> Result<Task> {
    if !(0.0..=100.0).contains(&target) {
        return Err(invalid(format!("a variance of {target} percentage points cannot be aimed at")));
    }
    Ok(task(async move |pool, monitor| {
        let plan = Arc::new(monitor.run(pool.plan_rebalance(target)).await?);
        Plan::outcome(Steps::Rebalance(plan.clone()), &*plan)
    }))
}

/// # Safety
/// `remote` is NULL or a string, `options` as for [`rebuild`].
unsafe fn drain(remote: *const c_char, options: *const rclonepool_options) -> Result<Task> {
    // SAFETY: promised by the caller.
    let (remote, options) =
        unsafe { (text("remote", remote)?.to_owned(), Options::of(options, &[Opt::Alone, Opt::Force])?) };
    Ok(task(async move |pool, monitor| {
        let plan = monitor.run(pool.plan_drain(&remote)).await?;
        Plan::outcome(Steps::Drain { remote, alone: options.flag(Opt::Alone), force: options.flag(Opt::Force) }, &plan)
    }))
}

/// # Safety
/// The texts are NULL or strings.
unsafe fn convert(path: *const c_char, redundancy: *const c_char) -> Result<Task> {
    // SAFETY: promised by the caller.
    let (path, redundancy) = unsafe { (pool_path("path", path)?, text("redundancy", redundancy)?.parse()?) };
    Ok(task(async move |pool, monitor| {
        let plan = Arc::new(monitor.run(async { pool.plan_convert(&path, redundancy) }).await?);
        Plan::outcome(Steps::Convert(plan.clone()), &*plan)
    }))
}

/// # Safety
/// `names` is NULL or points to `count` strings.
unsafe fn loss(names: *const *const c_char, count: usize) -> Result<Task> {
    if names.is_null() || !names.is_aligned() || count == 0 || count > REMOTES_MAX {
        return Err(invalid(format!("remotes is NULL, or {count} is no number of remotes")));
    }
    // SAFETY: not NULL, and that many as promised by the caller.
    let names = unsafe { std::slice::from_raw_parts(names, count) };
    // SAFETY: strings, as promised by the caller.
    let names = names.iter().map(|name| unsafe { text("a name in remotes", *name) }.map(str::to_owned));
    let names: Vec<String> = names.collect::<Result<_>>()?;
    Ok(task(async move |pool, monitor| {
        let plan = monitor.run(pool.plan_loss(&names)).await?;
        Plan::outcome(Steps::Loss(names), &plan)
    }))
}

/// No pool has as many remotes.
const REMOTES_MAX: usize = 1 << 16;

/// Finds missing and damaged shards: those that reads and verifications met, or with `ALL` or `PATH` all that one
/// listing per remote shows. Changes nothing. Options: `PATH`, `ALL`, `ACCEPT_LOSS`. The plan has "chunks",
/// "write_bytes", "read_bytes", "remotes", "suspect", "unknown"; performed, it puts them anew from the others.
/// Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `options` is NULL or a handle that no other thread changes; `callback` may be called with `userdata`;
/// `plan` can be written; `err` is NULL or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_rebuild_plan(
    pool: *const rclonepool_pool,
    options: *const rclonepool_options,
    callback: rclonepool_event_fn,
    userdata: *mut c_void,
    plan: *mut *mut rclonepool_plan,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { run_plan(pool, || rebuild(options), callback, userdata, plan, err) }
}

/// Begins what `rclonepool_rebuild_plan` does; the arguments are copied. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `options` is NULL or a handle that no other thread changes; `op` can be written; `err` is NULL or points to
/// where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_rebuild_plan_start(
    pool: *const rclonepool_pool,
    options: *const rclonepool_options,
    op: *mut *mut rclonepool_op,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { start(pool, || rebuild(options), op, err) }
}

/// Finds the moves after which the fills of the remotes differ by at most `target` percentage points. Changes nothing.
/// The plan has "variance", "variance_after", "reached", "shards", "bytes", "flows" and more. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `callback` may be called with `userdata`;
/// `plan` can be written; `err` is NULL or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_rebalance_plan(
    pool: *const rclonepool_pool,
    target: f64,
    callback: rclonepool_event_fn,
    userdata: *mut c_void,
    plan: *mut *mut rclonepool_plan,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { run_plan(pool, || rebalance(target), callback, userdata, plan, err) }
}

/// Begins what `rclonepool_rebalance_plan` does; the arguments are copied. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `op` can be written; `err` is NULL or points to
/// where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_rebalance_plan_start(
    pool: *const rclonepool_pool,
    target: f64,
    op: *mut *mut rclonepool_op,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { start(pool, || rebalance(target), op, err) }
}

/// Finds what it takes to empty a remote, after which it leaves the pool. Changes nothing. Options, for when it is
/// performed: `ALONE`, `FORCE`. The plan has "shards", "bytes", "flows", "stuck", "sinking" and more. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `remote` is a NUL-terminated string; `options` is NULL or a handle that
/// no other thread changes; `callback` may be called with `userdata`;
/// `plan` can be written; `err` is NULL or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_drain_plan(
    pool: *const rclonepool_pool,
    remote: *const c_char,
    options: *const rclonepool_options,
    callback: rclonepool_event_fn,
    userdata: *mut c_void,
    plan: *mut *mut rclonepool_plan,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { run_plan(pool, || drain(remote, options), callback, userdata, plan, err) }
}

/// Begins what `rclonepool_drain_plan` does; the arguments are copied. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `remote` is a NUL-terminated string; `options` is NULL or a handle that
/// no other thread changes; `op` can be written; `err` is NULL or points to
/// where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_drain_plan_start(
    pool: *const rclonepool_pool,
    remote: *const c_char,
    options: *const rclonepool_options,
    op: *mut *mut rclonepool_op,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { start(pool, || drain(remote, options), op, err) }
}

/// Finds the chunks at and below `path` that are not of a redundancy, such as "replication:3" or "parity:4+2"; performed,
/// it codes them anew. The plan has "files", "chunks", "bytes", "write_bytes". Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `path` and `redundancy` are NUL-terminated strings; `callback` may be called with `userdata`;
/// `plan` can be written; `err` is NULL or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_convert_plan(
    pool: *const rclonepool_pool,
    path: *const c_char,
    redundancy: *const c_char,
    callback: rclonepool_event_fn,
    userdata: *mut c_void,
    plan: *mut *mut rclonepool_plan,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { run_plan(pool, || convert(path, redundancy), callback, userdata, plan, err) }
}

/// Begins what `rclonepool_convert_plan` does; the arguments are copied. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `path` and `redundancy` are NUL-terminated strings; `op` can be written; `err` is NULL or points to
/// where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_convert_plan_start(
    pool: *const rclonepool_pool,
    path: *const c_char,
    redundancy: *const c_char,
    op: *mut *mut rclonepool_op,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { start(pool, || convert(path, redundancy), op, err) }
}

/// What it means to give remotes up for lost, by their names; performed, they leave the pool for ever. What they held is
/// rebuilt by a plan of its own. The plan has "shards", "bytes", "unreadable", "left" and more. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `remotes` points to `count` NUL-terminated strings; `callback` may be called with `userdata`;
/// `plan` can be written; `err` is NULL or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_loss_plan(
    pool: *const rclonepool_pool,
    remotes: *const *const c_char,
    count: usize,
    callback: rclonepool_event_fn,
    userdata: *mut c_void,
    plan: *mut *mut rclonepool_plan,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { run_plan(pool, || loss(remotes, count), callback, userdata, plan, err) }
}

/// Begins what `rclonepool_loss_plan` does; the arguments are copied. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `remotes` points to `count` NUL-terminated strings; `op` can be written; `err` is NULL or points to
/// where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_loss_plan_start(
    pool: *const rclonepool_pool,
    remotes: *const *const c_char,
    count: usize,
    op: *mut *mut rclonepool_op,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { start(pool, || loss(remotes, count), op, err) }
}
