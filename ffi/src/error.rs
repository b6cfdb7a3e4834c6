//! Status codes and the error object.

use std::ffi::{CString, c_char};

use rclonepool_core::{Error, ErrorKind};

use crate::args::{c_text, pointer};
use crate::castable::Castable;
use crate::panic::guard_or;

/// What a call returns: 0, one negative code per kind of failure, or, from iterators, 1 at the end. Codes are
/// never renumbered; later versions may add some.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum rclonepool_status {
    /// There is no more: the end of a list. No failure.
    End = 1,
    /// It worked.
    Ok = 0,
    /// The file or object is definitely not there.
    NotFound = -1,
    /// The directory is definitely not there.
    DirectoryNotFound = -2,
    /// Something is there already, and would be overwritten or is of another kind.
    AlreadyExists = -3,
    /// A path, argument or option that cannot be used.
    InvalidArgument = -4,
    /// The configuration is wrong.
    Config = -5,
    /// What was asked is not supported here (or not yet).
    Unsupported = -6,
    /// A remote (or too many of them) cannot be reached.
    Unavailable = -7,
    /// The remote asks for fewer requests.
    RateLimited = -8,
    /// A time limit passed.
    Timeout = -9,
    /// The remote refuses us: credentials, permissions, missing configuration.
    Auth = -10,
    /// The remote, the pool or the local disk is full, or over quota.
    Full = -11,
    /// Stored bytes are not what was stored.
    Corrupt = -12,
    /// Too many shards are gone: the content cannot be rebuilt.
    Unrecoverable = -13,
    /// The source changed while it was read.
    SourceChanged = -14,
    /// Another process holds what is needed.
    Busy = -15,
    /// The pool was written by a later version.
    FormatVersion = -16,
    /// Several files were asked for and some of them failed.
    Partial = -17,
    /// The caller cancelled.
    Cancelled = -18,
    /// A local file or system call failed.
    Io = -19,
    /// A bug in rclonepool.
    Internal = -20,
    /// Something is damaged, missing or badly placed, and all of it can still be read.
    Degraded = -21,
}

impl From<ErrorKind> for rclonepool_status {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::DirectoryNotFound => Self::DirectoryNotFound,
            ErrorKind::AlreadyExists => Self::AlreadyExists,
            ErrorKind::InvalidArgument => Self::InvalidArgument,
            ErrorKind::Config => Self::Config,
            ErrorKind::Unsupported => Self::Unsupported,
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::RateLimited => Self::RateLimited,
            ErrorKind::Timeout => Self::Timeout,
            ErrorKind::Auth => Self::Auth,
            ErrorKind::Full => Self::Full,
            ErrorKind::Corrupt => Self::Corrupt,
            ErrorKind::Unrecoverable => Self::Unrecoverable,
            ErrorKind::SourceChanged => Self::SourceChanged,
            ErrorKind::Busy => Self::Busy,
            ErrorKind::FormatVersion => Self::FormatVersion,
            ErrorKind::Partial => Self::Partial,
            ErrorKind::Degraded => Self::Degraded,
            ErrorKind::Cancelled => Self::Cancelled,
            ErrorKind::Io => Self::Io,
            // `ErrorKind` is non-exhaustive: a kind without a code yet is a bug of this crate.
            _ => Self::Internal,
        }
    }
}

/// Why a call failed. Owned by the caller; freed by `rclonepool_error_free`.
pub struct rclonepool_error {
    _private: [u8; 0],
}

/// What lies behind a [`rclonepool_error`].
pub(crate) struct Failure {
    status: rclonepool_status,
    retryable: bool,
    message: CString,
    remote: Option<CString>,
    path: Option<CString>,
    hint: Option<CString>,
}

impl Castable for rclonepool_error {
    type Inner = Failure;
    const KIND: &'static str = "error";
}

/// Hands `error` to the caller: the object through `err` (unless NULL), the code as the answer.
///
/// # Safety
/// `err` is NULL or points to memory where a pointer may be written.
pub(crate) unsafe fn report(error: &Error, err: *mut *mut rclonepool_error) -> rclonepool_status {
    let status = rclonepool_status::from(error.kind());
    if !err.is_null() {
        let handle = rclonepool_error::into_handle(Failure {
            status,
            retryable: error.is_retryable(),
            message: c_text(&error.to_string()),
            remote: error.remote().map(c_text),
            path: error.path().map(c_text),
            hint: error.next_step().map(c_text),
        });
        // SAFETY: not NULL; writable as promised by the caller.
        unsafe { err.write(handle) };
    }
    status
}

/// The code of the failure; `RCLONEPOOL_STATUS_OK` for NULL. Since 0.1.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_error_status(error: *const rclonepool_error) -> rclonepool_status {
    guard_or(rclonepool_status::Internal, || {
        // SAFETY: promised by the caller.
        unsafe { rclonepool_error::inner(error) }.map_or(rclonepool_status::Ok, |failure| failure.status)
    })
}

/// What failed, where, why and what to do about it, on one line; "" for NULL. The text lives
/// until the error is freed. Since 0.1.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_error_message(error: *const rclonepool_error) -> *const c_char {
    guard_or(c"".as_ptr(), || {
        // SAFETY: promised by the caller.
        unsafe { rclonepool_error::inner(error) }.map_or(c"".as_ptr(), |failure| failure.message.as_ptr())
    })
}

/// 1 when the same call may succeed a little later, else 0; 0 for NULL. Since 0.1.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_error_retryable(error: *const rclonepool_error) -> i32 {
    guard_or(0, || {
        // SAFETY: promised by the caller.
        unsafe { rclonepool_error::inner(error) }.map_or(0, |failure| failure.retryable.into())
    })
}

/// The remote it happened on, as the configuration names it; NULL where there is none. The text lives until the error is
/// freed. Since 0.1.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_error_remote(error: *const rclonepool_error) -> *const c_char {
    guard_or(std::ptr::null(), || {
        // SAFETY: promised by the caller.
        pointer(unsafe { rclonepool_error::inner(error) }.and_then(|failure| failure.remote.as_ref()))
    })
}

/// The path in the pool, the local path or the object it happened to; NULL where there is none. The text lives until the error is
/// freed. Since 0.1.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_error_path(error: *const rclonepool_error) -> *const c_char {
    guard_or(std::ptr::null(), || {
        // SAFETY: promised by the caller.
        pointer(unsafe { rclonepool_error::inner(error) }.and_then(|failure| failure.path.as_ref()))
    })
}

/// What to do about it; NULL where there is none. The text lives until the error is
/// freed. Since 0.1.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_error_hint(error: *const rclonepool_error) -> *const c_char {
    guard_or(std::ptr::null(), || {
        // SAFETY: promised by the caller.
        pointer(unsafe { rclonepool_error::inner(error) }.and_then(|failure| failure.hint.as_ref()))
    })
}

/// Frees an error; NULL is allowed. Since 0.1.
///
/// # Safety
/// `error` is NULL or an error that was not freed; it is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_error_free(error: *mut rclonepool_error) {
    // SAFETY: promised by the caller.
    guard_or((), || unsafe { rclonepool_error::free(error) });
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    #[test]
    fn the_object_carries_code_text_and_retryability() {
        let error = Error::new(ErrorKind::RateLimited, "429\0 too many").on_remote("mega1:").hint("wait");
        let mut err = std::ptr::null_mut();
        unsafe {
            assert_eq!(report(&error, &raw mut err), rclonepool_status::RateLimited);
            assert_eq!(rclonepool_error_status(err) as i32, -8);
            assert_eq!(rclonepool_error_retryable(err), 1);
            let text = CStr::from_ptr(rclonepool_error_message(err)).to_str().unwrap();
            assert_eq!(text, "remote mega1: 429\\0 too many (wait)");
            rclonepool_error_free(err);
        }
    }

    #[test]
    fn null_is_allowed_everywhere() {
        let error = Error::new(ErrorKind::Busy, "x");
        unsafe {
            assert_eq!(report(&error, std::ptr::null_mut()), rclonepool_status::Busy);
            assert_eq!(rclonepool_error_status(std::ptr::null()), rclonepool_status::Ok);
            assert_eq!(rclonepool_error_retryable(std::ptr::null()), 0);
            assert_eq!(CStr::from_ptr(rclonepool_error_message(std::ptr::null())), c"");
            rclonepool_error_free(std::ptr::null_mut());
        }
    }
}
