//! What the library has to say beside the operations.

use std::ffi::{CString, c_char, c_void};
use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use rclonepool_core::{Error, ErrorKind, Result};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::args::{c_text, invalid};
use crate::error::{rclonepool_error, rclonepool_status};
use crate::panic::guard;

/// How important a message is.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum rclonepool_log_level {
    /// Nothing at all.
    Off = 0,
    /// Something failed.
    Error = 1,
    /// Something is not as it should be.
    Warn = 2,
    /// What happens.
    Info = 3,
    /// What happens, in detail.
    Debug = 4,
    /// Everything.
    Trace = 5,
}

use rclonepool_log_level as Log;

/// Takes a message: where in the library it comes from, and the text; both live until it returns. Called from any
/// thread, the library's own included, and from several at once, with no lock held. It must return soon, and cannot
/// call functions that wait for the pool: on the library's own threads they fail with `RCLONEPOOL_STATUS_BUSY`.
pub type rclonepool_log_fn = Option<
    unsafe extern "C" fn(
        userdata: *mut c_void,
        level: rclonepool_log_level,
        target: *const c_char,
        message: *const c_char,
    ),
>;

/// Lets userdata go: called once, when nothing uses it any more.
pub type rclonepool_destroy_fn = Option<unsafe extern "C" fn(userdata: *mut c_void)>;

/// Who takes messages.
struct Sink {
    callback: unsafe extern "C" fn(*mut c_void, Log, *const c_char, *const c_char),
    destroy: rclonepool_destroy_fn,
    userdata: *mut c_void,
}

// SAFETY: whoever gave the userdata promised that it may be used from any thread, and from several at once.
unsafe impl Send for Sink {}
// SAFETY: as above.
unsafe impl Sync for Sink {}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy {
            // SAFETY: nobody has the userdata any more: the last use of the sink is over.
            unsafe { destroy(self.userdata) };
        }
    }
}

static SINK: RwLock<Option<Arc<Sink>>> = RwLock::new(None);
/// The level asked for; read at every message.
static LEVEL: AtomicI32 = AtomicI32::new(0);
/// Whether messages come here; another subscriber may have been first.
static INSTALLED: OnceLock<bool> = OnceLock::new();

fn number(level: Level) -> Log {
    match level {
        Level::ERROR => Log::Error,
        Level::WARN => Log::Warn,
        Level::INFO => Log::Info,
        Level::DEBUG => Log::Debug,
        _ => Log::Trace,
    }
}

struct ToC;

impl Subscriber for ToC {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        number(*metadata.level()) as i32 <= LEVEL.load(Ordering::Relaxed)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match LEVEL.load(Ordering::Relaxed) {
            1 => LevelFilter::ERROR,
            2 => LevelFilter::WARN,
            3 => LevelFilter::INFO,
            4 => LevelFilter::DEBUG,
            5 => LevelFilter::TRACE,
            _ => LevelFilter::OFF,
        })
    }

    fn event(&self, event: &Event<'_>) {
        // The lock is let go before the callback runs, which may set another.
        let sink = SINK.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(sink) = sink else { return };
        let mut line = Line::default();
        event.record(&mut line);
        let (target, text) = (c_text(event.metadata().target()), c_text(&(line.message + &line.fields)));
        sink.call(number(*event.metadata().level()), &target, &text);
    }

    // Messages only: where they stand in is not told.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

impl Sink {
    fn call(&self, level: Log, target: &CString, text: &CString) {
        // SAFETY: promised when the callback was set; the texts outlive the call.
        unsafe { (self.callback)(self.userdata, level, target.as_ptr(), text.as_ptr()) };
    }
}

/// A message and its fields.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a String does not fail.
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }
}

fn set(sink: Option<Arc<Sink>>, level: i32) -> Result<()> {
    if !(Log::Off as i32..=Log::Trace as i32).contains(&level) {
        return Err(invalid(format!("there is no log level {level}")));
    }
    let level = if sink.is_some() { level } else { Log::Off as i32 };
    let install = || tracing::subscriber::set_global_default(ToC).is_ok();
    if sink.is_some() && !INSTALLED.get_or_init(install) {
        return Err(Error::new(ErrorKind::Busy, "this process takes the library's messages elsewhere already"));
    }
    LEVEL.store(level, Ordering::Relaxed);
    let before = std::mem::replace(&mut *SINK.write().unwrap_or_else(PoisonError::into_inner), sink);
    tracing::callsite::rebuild_interest_cache();
    // Destroyed here, without the lock, unless it is in use on another thread.
    drop(before);
    Ok(())
}

/// Hands the library's messages up to `level`, one of `rclonepool_log_level`, to `callback` from now on, in place of
/// any that was set before; NULL for none. Holds for the process. `destroy` (which may be NULL) is called with
/// `userdata` when the callback was replaced and its last call is over, also where this call fails. Before the library
/// is unloaded, set NULL. Fails with `_BUSY` where a Rust program takes the messages already. Since 0.1.
///
/// # Safety
/// `callback` and `destroy` may be called with `userdata` from any thread, until `destroy` was; `err` is NULL or points
/// to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_log_set(
    callback: rclonepool_log_fn,
    level: i32,
    userdata: *mut c_void,
    destroy: rclonepool_destroy_fn,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // Made first, so that it is destroyed whatever happens.
    let sink = callback.map(|callback| Arc::new(Sink { callback, destroy, userdata }));
    // SAFETY: promised by the caller.
    unsafe { guard(err, || set(sink, level)) }
}
