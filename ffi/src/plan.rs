//! Plans: what would be done, to be looked at and then performed.

use std::sync::Arc;

use rclonepool_core::pool::care::{ConvertPlan, RebalancePlan, RebuildPlan};
use rclonepool_core::{ErrorKind, Monitor, Pool, Result};
use serde::Serialize;

use crate::castable::Castable;
use crate::error::{rclonepool_error, rclonepool_status};
use crate::event::rclonepool_event_fn;
use crate::feed::Outcome;
use crate::op::{rclonepool_op, run, start};
use crate::panic::guard_or;
use crate::pool::rclonepool_pool;
use crate::report::{Report, rclonepool_report};
use crate::shared::{Task, task};

/// What would be done. It may be performed more than once: what is done already is found done. Freed by
/// `rclonepool_plan_free`.
pub struct rclonepool_plan {
    _private: [u8; 0],
}

/// What lies behind a [`rclonepool_plan`]: what to do, and the handle of the report that it lends.
pub(crate) struct Plan {
    steps: Steps,
    /// Freed with the plan.
    report: *mut rclonepool_report,
}

// SAFETY: the report behind the pointer belongs to the plan alone, is only read until the plan is dropped, and is Send
// and Sync itself.
unsafe impl Send for Plan {}
// SAFETY: as above.
unsafe impl Sync for Plan {}

impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: made by into_handle, and freed here only.
        unsafe { rclonepool_report::free(self.report) };
    }
}

/// What a plan does when it is performed.
#[derive(Clone)]
pub(crate) enum Steps {
    Rebuild(Arc<RebuildPlan>),
    Rebalance(Arc<RebalancePlan>),
    Convert(Arc<ConvertPlan>),
    Drain { remote: String, alone: bool, force: bool },
    Loss(Vec<String>),
}

impl Plan {
    /// A plan and what it says.
    pub fn outcome(steps: Steps, says: &impl Serialize) -> Result<Outcome> {
        let report = rclonepool_report::into_handle(Report::new(says)?);
        Ok(Outcome::Plan(Self { steps, report }))
    }
}

impl Castable for rclonepool_plan {
    type Inner = Plan;
    const KIND: &'static str = "plan";
}

async fn perform(steps: Steps, pool: Arc<Pool>, monitor: Monitor) -> Result<Outcome> {
    let partly = |failed: u64| (failed > 0).then_some(ErrorKind::Partial);
    let report = match steps {
        Steps::Rebuild(plan) => {
            let done = pool.rebuild(&plan, &monitor).await?;
            let lost = (done.unrecoverable > 0).then_some(ErrorKind::Unrecoverable);
            Report::with(&done, lost.or_else(|| partly(done.failed + done.commits_failed)))
        }
        Steps::Rebalance(plan) => {
            let done = pool.rebalance(&plan, &monitor).await?;
            Report::with(&done, partly(done.failed))
        }
        Steps::Convert(plan) => {
            let done = pool.convert(&plan, &monitor).await?;
            Report::with(&done, partly(done.failed))
        }
        Steps::Drain { remote, alone, force } => {
            let done = pool.drain(&remote, alone, force, &monitor).await?;
            Report::with(&done, partly(done.moved.failed))
        }
        Steps::Loss(names) => Report::new(&monitor.run(pool.remove_lost(&names)).await?),
    };
    report.map(Outcome::Report)
}

/// # Safety
/// `plan` is NULL or a handle that was not freed.
unsafe fn performance(plan: *const rclonepool_plan) -> Result<Task> {
    // SAFETY: promised by the caller.
    let steps = unsafe { rclonepool_plan::get(plan) }?.steps.clone();
    Ok(task(|pool, monitor| perform(steps, pool, monitor)))
}

/// What a plan says, as a report that belongs to it: never free it, and do not use it after the plan was freed. NULL
/// for NULL. Since 0.1.
///
/// # Safety
/// `plan` is NULL or a handle that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_plan_report(plan: *const rclonepool_plan) -> *const rclonepool_report {
    guard_or(std::ptr::null(), || {
        // SAFETY: promised by the caller.
        unsafe { rclonepool_plan::inner(plan) }.map_or(std::ptr::null(), |plan| plan.report.cast_const())
    })
}

/// Does what a plan says. Broken off anywhere, a new plan goes on with the rest. The report's status is `_PARTIAL`
/// where single chunks or shards failed, `_UNRECOVERABLE` where too little is left of some; the call succeeds then
/// all the same. Since 0.1.
///
/// # Safety
/// `pool` and `plan` are handles that were not freed; `callback` may be called with `userdata`; `report` is NULL or
/// points to where a pointer may be written; so is `err`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_plan_perform(
    pool: *const rclonepool_pool,
    plan: *const rclonepool_plan,
    callback: rclonepool_event_fn,
    userdata: *mut std::ffi::c_void,
    report: *mut *mut rclonepool_report,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { run(pool, || performance(plan), callback, userdata, report, err) }
}

/// Begins what `rclonepool_plan_perform` does. The plan may be freed at once. Since 0.1.
///
/// # Safety
/// `pool` and `plan` are handles that were not freed; `op` can be written; `err` is NULL or points to where a
/// pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_plan_perform_start(
    pool: *const rclonepool_pool,
    plan: *const rclonepool_plan,
    op: *mut *mut rclonepool_op,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { start(pool, || performance(plan), op, err) }
}

/// Frees a plan and its report; NULL is allowed. Since 0.1.
///
/// # Safety
/// `plan` is NULL or a handle that was not freed; it is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_plan_free(plan: *mut rclonepool_plan) {
    // SAFETY: promised by the caller.
    guard_or((), || unsafe { rclonepool_plan::free(plan) });
}
