//! Opening, making and closing pools.

use std::ffi::c_char;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rclonepool_core::pool::OpenOptions;
use rclonepool_core::{Config, Error, ErrorKind, Pool, Result};

use crate::args::{check_out, text};
use crate::castable::Castable;
use crate::error::{rclonepool_error, rclonepool_status};
use crate::options::{Options, rclonepool_option as Opt, rclonepool_options};
use crate::panic::{guard, guard_or};
use crate::report::{Report, rclonepool_report};
use crate::shared::{Shared, refuse_own_thread, runtime};

/// An open pool, with threads of its own. All functions that take it may be called from several threads at once.
/// Freed by `rclonepool_pool_free`, which closes it.
///
/// After fork(), a child cannot use what its parent opened: calls fail with `RCLONEPOOL_STATUS_UNSUPPORTED`, freeing
/// does nothing but give up the handle, and the child may open pools of its own. When the last pool is closed no
/// thread of the library is left, so it may be unloaded then.
pub struct rclonepool_pool {
    _private: [u8; 0],
}

impl Castable for rclonepool_pool {
    type Inner = Arc<Shared>;
    const KIND: &'static str = "pool";
}

/// What opening and making may be told.
const OPENING: [Opt; 4] = [Opt::Workers, Opt::InheritEnv, Opt::Env, Opt::Home];
const WORKERS: usize = 2;

/// What it takes to connect.
struct Opening {
    config: Config,
    options: OpenOptions,
    workers: usize,
}

/// From a configuration and options; `file` says whether `given` names a file or is the text itself.
///
/// # Safety
/// `given` is NULL or a string, `options` NULL or a handle that nobody changes meanwhile.
unsafe fn opening(given: *const c_char, file: bool, options: *const rclonepool_options) -> Result<Opening> {
    // SAFETY: promised by the caller.
    let (given, options) =
        unsafe { (text(if file { "config_file" } else { "config_json" }, given)?, Options::of(options, &OPENING)?) };
    let mut config = if file { Config::load(Path::new(given))? } else { Config::parse(given)? };
    let inherits = options.flag(Opt::InheritEnv);
    let mut home = options.text(Opt::Home).map(PathBuf::from);
    let mut env = Vec::new();
    if inherits {
        home = home.or_else(std::env::home_dir);
        let ours = std::env::vars_os().filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?)));
        env.extend(ours.filter(|(name, _)| !name.starts_with("RCLONE_") || name.starts_with("RCLONE_CONFIG")));
    }
    env.extend(options.env()?);
    match home.filter(|home| home.is_absolute()) {
        Some(home) => config.expand_home(&home),
        None if config.enable_manifest_cache && config.manifest_cache_dir.starts_with("~") => {
            return Err(Error::new(
                ErrorKind::Config,
                "manifest_cache_dir begins with ~, and nobody said what that is",
            )
            .hint("set RCLONEPOOL_OPTION_INHERIT_ENV or RCLONEPOOL_OPTION_HOME, or an absolute manifest_cache_dir"));
        }
        None => {}
    }
    let workers = options.count(Opt::Workers).unwrap_or(WORKERS);
    Ok(Opening {
        config,
        options: OpenOptions { inherit_env: env, loaders: vec![rclonepool_plugin_native::loader()] },
        workers,
    })
}

/// # Safety
/// As for [`opening`]; `pool` is NULL or can be written.
unsafe fn open(
    given: *const c_char,
    file: bool,
    options: *const rclonepool_options,
    pool: *mut *mut rclonepool_pool,
) -> Result<()> {
    check_out("pool", pool)?;
    // SAFETY: promised by the caller.
    let Opening { config, options, workers } = unsafe { opening(given, file, options) }?;
    let opened = Shared::open(&config, &options, workers)?;
    // SAFETY: not NULL; writable as promised by the caller.
    unsafe { pool.write(rclonepool_pool::into_handle(opened)) };
    Ok(())
}

/// # Safety
/// As for [`opening`]; `report` is NULL or can be written.
unsafe fn init(
    given: *const c_char,
    file: bool,
    options: *const rclonepool_options,
    report: *mut *mut rclonepool_report,
) -> Result<()> {
    // SAFETY: promised by the caller.
    let Opening { config, options, workers } = unsafe { opening(given, file, options) }?;
    refuse_own_thread()?;
    let made = runtime(workers)?.block_on(Pool::init(&config, &options))?;
    // SAFETY: promised by the caller.
    unsafe { hand_over(Report::new(&made)?, report) };
    Ok(())
}

/// Gives a report to C, unless it wants none.
///
/// # Safety
/// `out` is NULL or can be written.
pub(crate) unsafe fn hand_over(report: Report, out: *mut *mut rclonepool_report) {
    if !out.is_null() {
        // SAFETY: not NULL; writable as promised by the caller.
        unsafe { out.write(rclonepool_report::into_handle(report)) };
    }
}

/// The pool behind a handle.
///
/// # Safety
/// `pool` is NULL or a handle that was not freed.
pub(crate) unsafe fn shared<'a>(pool: *const rclonepool_pool) -> Result<&'a Arc<Shared>> {
    // SAFETY: promised by the caller.
    unsafe { rclonepool_pool::get(pool) }
}

/// Opens the pool that a configuration file describes: connects to its remotes and lists each once, which may take
/// seconds. `options` (`WORKERS`, `INHERIT_ENV`, `ENV`, `HOME`) may be NULL. rclone finds its own configuration by
/// the environment it is given, so `INHERIT_ENV` is what most programs want. Fails with `_CONFIG`, `_UNSUPPORTED`,
/// and `_UNAVAILABLE` when no remote carries the pool's marker. Since 0.1.
///
/// # Safety
/// `config_file` is a NUL-terminated string; `options` is NULL or a handle that no other thread changes; `pool` can
/// be written; `err` is NULL or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_pool_open(
    config_file: *const c_char,
    options: *const rclonepool_options,
    pool: *mut *mut rclonepool_pool,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { guard(err, || open(config_file, true, options, pool)) }
}

/// As `rclonepool_pool_open`, with the JSON text of a configuration instead of a file. Since 0.1.
///
/// # Safety
/// As for `rclonepool_pool_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_pool_open_json(
    config_json: *const c_char,
    options: *const rclonepool_options,
    pool: *mut *mut rclonepool_pool,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { guard(err, || open(config_json, false, options, pool)) }
}

/// Makes the pool that a configuration file describes: a marker on every remote, then the first entry of its
/// journal. Done again it changes nothing. The report (which may be NULL) has "pool", the id, which belongs into
/// the configuration as "pool_id", and "created". Fails with `_ALREADY_EXISTS` when a remote belongs to another
/// pool. Since 0.1.
///
/// # Safety
/// As for `rclonepool_pool_open`; `report` is NULL or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_init(
    config_file: *const c_char,
    options: *const rclonepool_options,
    report: *mut *mut rclonepool_report,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { guard(err, || init(config_file, true, options, report)) }
}

/// As `rclonepool_init`, with the JSON text of a configuration instead of a file. Since 0.1.
///
/// # Safety
/// As for `rclonepool_init`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_init_json(
    config_json: *const c_char,
    options: *const rclonepool_options,
    report: *mut *mut rclonepool_report,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { guard(err, || init(config_json, false, options, report)) }
}

/// Lists the remotes anew and takes in what other machines have changed since. Calls that write do so by
/// themselves; those that only look answer from what is known here. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `err` is NULL or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_pool_refresh(
    pool: *const rclonepool_pool,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe {
        guard(err, || {
            let call = shared(pool)?.enter()?;
            call.block_on(call.sync()).map(drop)
        })
    }
}

/// Closes a pool: cancels what is running, waits for it, offers the last changes to slow remotes (for a bounded
/// time) and ends the pool's threads. The handle, and those made of it, stay to be freed; other calls with them fail
/// with `_INVALID_ARGUMENT`. Closed again, nothing happens. Fails with `_BUSY` from a callback of this pool and from
/// a log callback, with `_UNSUPPORTED` after fork(). Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `err` is NULL or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_pool_close(
    pool: *const rclonepool_pool,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { guard(err, || shared(pool)?.close()) }
}

/// Closes a pool that is not closed, as `rclonepool_pool_close`, and frees it; NULL is allowed. From one of the
/// library's callbacks it returns at once, and the pool is closed by a thread of its own. Since 0.1.
///
/// # Safety
/// `pool` is NULL or a handle that was not freed; it is not used again, and no other thread uses it now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_pool_free(pool: *mut rclonepool_pool) {
    guard_or((), || {
        // SAFETY: promised by the caller.
        if let Some(shared) = unsafe { rclonepool_pool::take(pool) } {
            shared.abandon();
        }
    });
}
