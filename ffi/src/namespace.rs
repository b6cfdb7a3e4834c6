//! Directories, deleting, moving, and the trash.

use std::ffi::c_char;

use rclonepool_core::Result;
use rclonepool_core::pool::DeleteOptions;
use rclonepool_core::pool::care::EmptyOptions;
use serde_json::json;

use crate::args::{check_out, pool_path};
use crate::error::{rclonepool_error, rclonepool_status};
use crate::options::{Options, rclonepool_option as Opt, rclonepool_options};
use crate::panic::guard;
use crate::pool::{hand_over, rclonepool_pool, shared};
use crate::report::{Report, rclonepool_report};
use crate::shared::Call;

/// A short call that ends in a report, which C may not want.
///
/// # Safety
/// `pool` is NULL or a handle, `report` and `err` are NULL or can be written.
unsafe fn reported(
    pool: *const rclonepool_pool,
    report: *mut *mut rclonepool_report,
    err: *mut *mut rclonepool_error,
    work: impl FnOnce(&Call) -> Result<Report>,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe {
        guard(err, || {
            let made = work(&shared(pool)?.enter()?)?;
            hand_over(made, report);
            Ok(())
        })
    }
}

/// Where the shards of a file lie: its manifest as "entry", and "chunks" with their "shards". Fails with
/// `_NOT_FOUND`. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `path` is a NUL-terminated string; `report` can be written; `err` is NULL
/// or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_layout(
    pool: *const rclonepool_pool,
    path: *const c_char,
    report: *mut *mut rclonepool_report,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe {
        reported(pool, report, err, |call| {
            check_out("report", report)?;
            Report::new(&call.block_on(call.stat(&pool_path("path", path)?))?)
        })
    }
}

/// Makes a directory; one that is there already is left as it is. Directories above it need not be made. Fails with
/// `_ALREADY_EXISTS` where the path, or one above it, is a file. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `path` is a NUL-terminated string; `err` is NULL or points to where a
/// pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_mkdir(
    pool: *const rclonepool_pool,
    path: *const c_char,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe {
        guard(err, || {
            let call = shared(pool)?.enter()?;
            call.block_on(call.mkdir(&pool_path("path", path)?)).map(drop)
        })
    }
}

/// Deletes a file, or with `RECURSIVE` a directory and all below it, into the trash, or with `PURGE` for good. The
/// report (which may be NULL) has "entries" and "stale". Fails with `_NOT_FOUND`, and with `_INVALID_ARGUMENT` for a
/// directory that is not empty without `RECURSIVE`. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `path` is a NUL-terminated string; `options` is NULL or a handle that no
/// other thread changes; `report` and `err` are NULL or point to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_delete(
    pool: *const rclonepool_pool,
    path: *const c_char,
    options: *const rclonepool_options,
    report: *mut *mut rclonepool_report,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe {
        reported(pool, report, err, |call| {
            let options = Options::of(options, &[Opt::Recursive, Opt::Purge])?;
            let how = DeleteOptions {
                recursive: options.flag(Opt::Recursive),
                purge: options.flag(Opt::Purge),
                ..DeleteOptions::default()
            };
            Report::new(&call.block_on(call.delete_with(&pool_path("path", path)?, &how))?)
        })
    }
}

/// Moves a file or a whole directory as one operation; no data moves. The report (which may be NULL) has "entries"
/// and "stale". Fails with `_NOT_FOUND`, and with `_ALREADY_EXISTS` where something is at `to`, unless both are files
/// and `OVERWRITE` is set. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `from` and `to` are NUL-terminated strings; `options` is NULL or a handle
/// that no other thread changes; `report` and `err` are NULL or point to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_rename(
    pool: *const rclonepool_pool,
    from: *const c_char,
    to: *const c_char,
    options: *const rclonepool_options,
    report: *mut *mut rclonepool_report,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe {
        reported(pool, report, err, |call| {
            let overwrite = Options::of(options, &[Opt::Overwrite])?.flag(Opt::Overwrite);
            let (from, to) = (pool_path("from", from)?, pool_path("to", to)?);
            Report::new(&call.block_on(call.rename(&from, &to, overwrite))?)
        })
    }
}

/// Copies a file or a whole directory as one operation; no data moves, as the copies share it. The report (which may
/// be NULL) has "entries" and "stale". Fails as `rclonepool_rename`. Since 0.1.
///
/// # Safety
/// As for `rclonepool_rename`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_copy(
    pool: *const rclonepool_pool,
    from: *const c_char,
    to: *const c_char,
    options: *const rclonepool_options,
    report: *mut *mut rclonepool_report,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe {
        reported(pool, report, err, |call| {
            let overwrite = Options::of(options, &[Opt::Overwrite])?.flag(Opt::Overwrite);
            let (from, to) = (pool_path("from", from)?, pool_path("to", to)?);
            Report::new(&call.block_on(call.copy(&from, &to, overwrite))?)
        })
    }
}

/// What lies in the trash, by path, the newest version first: a report that is a list of objects with "path",
/// "version", "size", "by", "left_ms" and more. Option: `PATH`. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `options` is NULL or a handle that no other thread changes; `report` can
/// be written; `err` is NULL or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_trash(
    pool: *const rclonepool_pool,
    options: *const rclonepool_options,
    report: *mut *mut rclonepool_report,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe {
        reported(pool, report, err, |call| {
            check_out("report", report)?;
            let path = Options::of(options, &[Opt::Path])?.path(Opt::Path)?;
            Report::new(&call.trash(path.as_ref())?)
        })
    }
}

/// Brings back what was deleted or overwritten at `path`: the newest version, or `VERSION`; to its own path, or
/// `TO`. Where nothing of that path is in the trash, what was deleted below it comes back. The report (which may be
/// NULL) has "paths", "bytes" and "stale". Fails with `_NOT_FOUND`, `_BUSY`, `_ALREADY_EXISTS`. Since 0.1.
///
/// # Safety
/// As for `rclonepool_delete`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_restore(
    pool: *const rclonepool_pool,
    path: *const c_char,
    options: *const rclonepool_options,
    report: *mut *mut rclonepool_report,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe {
        reported(pool, report, err, |call| {
            let options = Options::of(options, &[Opt::Version, Opt::To])?;
            let (path, to) = (pool_path("path", path)?, options.path(Opt::To)?);
            let version = options.text(Opt::Version).map(str::parse).transpose()?;
            Report::new(&call.block_on(call.restore(&path, version, to.as_ref()))?)
        })
    }
}

/// Empties the trash: what was in it cannot be brought back, and is freed by `rclonepool_gc`. Options: `PATH`,
/// `MIN_AGE_MS`. The report (which may be NULL) has "versions". Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `options` is NULL or a handle that no other thread changes; `report` and
/// `err` are NULL or point to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_trash_empty(
    pool: *const rclonepool_pool,
    options: *const rclonepool_options,
    report: *mut *mut rclonepool_report,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe {
        reported(pool, report, err, |call| {
            let options = Options::of(options, &[Opt::Path, Opt::MinAgeMs])?;
            let which =
                EmptyOptions { path: options.path(Opt::Path)?, older_than: options.milliseconds(Opt::MinAgeMs) };
            Report::new(&json!({ "versions": call.block_on(call.empty_trash(&which))? }))
        })
    }
}
