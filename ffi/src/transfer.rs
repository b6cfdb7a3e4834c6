//! Files up and down.

use std::ffi::{c_char, c_void};
use std::path::{Path, PathBuf};

use rclonepool_core::pool::{DownloadOptions, Source, UploadOptions};
use rclonepool_core::{Error, Result};

use crate::args::{pool_path, text};
use crate::error::{rclonepool_error, rclonepool_status};
use crate::event::rclonepool_event_fn;
use crate::feed::Outcome;
use crate::op::{rclonepool_op, run, start};
use crate::options::{Options, rclonepool_option as Opt, rclonepool_options};
use crate::pool::rclonepool_pool;
use crate::report::{Report, rclonepool_report};
use crate::shared::{Task, task};

const UPLOADING: [Opt; 8] =
    [Opt::Force, Opt::Checksum, Opt::MtimeNs, Opt::ContentType, Opt::Include, Opt::Exclude, Opt::Links, Opt::DryRun];
const DOWNLOADING: [Opt; 4] = [Opt::Force, Opt::Include, Opt::Exclude, Opt::DryRun];

/// How to upload.
pub(crate) fn upload_options(options: &Options) -> Result<UploadOptions> {
    Ok(UploadOptions {
        force: options.flag(Opt::Force),
        checksum: options.flag(Opt::Checksum),
        mtime_ns: options.integer(Opt::MtimeNs),
        content_type: options.text(Opt::ContentType).map(str::to_owned),
        filter: options.filter()?,
        links: options.links(),
        dry_run: options.flag(Opt::DryRun),
        ..UploadOptions::default()
    })
}

/// # Safety
/// The texts are NULL or strings, `options` is NULL or a handle.
unsafe fn upload(local: *const c_char, path: *const c_char, options: *const rclonepool_options) -> Result<Task> {
    // SAFETY: promised by the caller.
    let (local, path, options) =
        unsafe { (PathBuf::from(text("local", local)?), pool_path("path", path)?, Options::of(options, &UPLOADING)?) };
    let options = upload_options(&options)?;
    Ok(task(async move |pool, monitor| {
        let kind = std::fs::metadata(&local);
        let kind = kind.map_err(|e| Error::io("cannot read", e).at_path(local.display()))?;
        let done = if kind.is_dir() {
            pool.upload_all(&[(local, path)], &options, &monitor).await?
        } else {
            pool.upload(Source::File(local), &path, &options, &monitor).await?
        };
        Report::of_files(&done, done.failed).map(Outcome::Report)
    }))
}

/// # Safety
/// As for [`upload`].
unsafe fn download(path: *const c_char, local: *const c_char, options: *const rclonepool_options) -> Result<Task> {
    // SAFETY: promised by the caller.
    let (path, local, options) = unsafe {
        (pool_path("path", path)?, PathBuf::from(text("local", local)?), Options::of(options, &DOWNLOADING)?)
    };
    let how = DownloadOptions {
        force: options.flag(Opt::Force),
        filter: options.filter()?,
        dry_run: options.flag(Opt::DryRun),
    };
    Ok(task(async move |pool, monitor| {
        let done = pool.download(&path, &local, &how, &monitor).await?;
        Report::of_files(&done, done.failed).map(Outcome::Report)
    }))
}

/// # Safety
/// As for [`upload`].
unsafe fn repair(path: *const c_char, local: *const c_char, options: *const rclonepool_options) -> Result<Task> {
    // SAFETY: promised by the caller.
    let (path, local, options) =
        unsafe { (pool_path("path", path)?, text("local", local)?.to_owned(), Options::of(options, &[Opt::DryRun])?) };
    let dry_run = options.flag(Opt::DryRun);
    Ok(task(async move |pool, monitor| {
        let done = pool.repair(&path, Path::new(&local), dry_run, &monitor).await?;
        Report::new(&done).map(Outcome::Report)
    }))
}

/// Stores a local file at `path`, or what lies below a local directory below `path`. What is there already with the
/// same size and time is skipped. Options: `FORCE`, `CHECKSUM`, `MTIME_NS`, `CONTENT_TYPE`, `INCLUDE`, `EXCLUDE`,
/// `LINKS`, `DRY_RUN`. The report has "files", "bytes", "unchanged", "resumed_bytes", "skipped", "failed", "stale".
/// Where single files of a directory fail, the others go on, and the call fails with `_PARTIAL` at the end, giving
/// the report all the same. Fails with `_NOT_FOUND`, `_SOURCE_CHANGED`, `_FULL`, `_UNAVAILABLE`, `_CANCELLED`, and
/// then nothing of the file is to be seen in the pool. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `local` and `path` are NUL-terminated strings; `options` is NULL or a
/// handle that no other thread changes; `callback` may be called with `userdata`;
/// `report` is NULL or points to where a pointer may be written; `err` is NULL or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_upload(
    pool: *const rclonepool_pool,
    local: *const c_char,
    path: *const c_char,
    options: *const rclonepool_options,
    callback: rclonepool_event_fn,
    userdata: *mut c_void,
    report: *mut *mut rclonepool_report,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { run(pool, || upload(local, path, options), callback, userdata, report, err) }
}

/// Begins what `rclonepool_upload` does; the arguments are copied. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `local` and `path` are NUL-terminated strings; `options` is NULL or a
/// handle that no other thread changes; `op` can be written; `err` is NULL or points to
/// where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_upload_start(
    pool: *const rclonepool_pool,
    local: *const c_char,
    path: *const c_char,
    options: *const rclonepool_options,
    op: *mut *mut rclonepool_op,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { start(pool, || upload(local, path, options), op, err) }
}

/// Writes a file of the pool to the local file (or into the local directory) `local`, or what lies below a directory
/// of the pool below `local`. A file appears under its name when all of it is there and verified. Options: `FORCE`,
/// `INCLUDE`, `EXCLUDE`, `DRY_RUN`. The report has "files", "bytes", "unchanged", "failed", "degraded". Fails as
/// `rclonepool_upload` does, and with `_UNRECOVERABLE`. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `path` and `local` are NUL-terminated strings; `options` is NULL or a
/// handle that no other thread changes; `callback` may be called with `userdata`;
/// `report` is NULL or points to where a pointer may be written; `err` is NULL or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_download(
    pool: *const rclonepool_pool,
    path: *const c_char,
    local: *const c_char,
    options: *const rclonepool_options,
    callback: rclonepool_event_fn,
    userdata: *mut c_void,
    report: *mut *mut rclonepool_report,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { run(pool, || download(path, local, options), callback, userdata, report, err) }
}

/// Begins what `rclonepool_download` does; the arguments are copied. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `path` and `local` are NUL-terminated strings; `options` is NULL or a
/// handle that no other thread changes; `op` can be written; `err` is NULL or points to
/// where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_download_start(
    pool: *const rclonepool_pool,
    path: *const c_char,
    local: *const c_char,
    options: *const rclonepool_options,
    op: *mut *mut rclonepool_op,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { start(pool, || download(path, local, options), op, err) }
}

/// Puts the missing and damaged shards of a file anew from a local copy of it, and reads back what it put. Option:
/// `DRY_RUN`. The report has "checked", "damaged", "unknown", "replaced", "rebuilt". Fails with `_INVALID_ARGUMENT`
/// when the copy is not the same content. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `path` and `local` are NUL-terminated strings; `options` is NULL or a
/// handle that no other thread changes; `callback` may be called with `userdata`;
/// `report` is NULL or points to where a pointer may be written; `err` is NULL or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_repair(
    pool: *const rclonepool_pool,
    path: *const c_char,
    local: *const c_char,
    options: *const rclonepool_options,
    callback: rclonepool_event_fn,
    userdata: *mut c_void,
    report: *mut *mut rclonepool_report,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { run(pool, || repair(path, local, options), callback, userdata, report, err) }
}

/// Begins what `rclonepool_repair` does; the arguments are copied. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `path` and `local` are NUL-terminated strings; `options` is NULL or a
/// handle that no other thread changes; `op` can be written; `err` is NULL or points to
/// where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_repair_start(
    pool: *const rclonepool_pool,
    path: *const c_char,
    local: *const c_char,
    options: *const rclonepool_options,
    op: *mut *mut rclonepool_op,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { start(pool, || repair(path, local, options), op, err) }
}
