//! The guard around every body: a panic becomes an error, and never unwinds into C.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rclonepool_core::{Error, ErrorKind, Result};

use crate::error::{rclonepool_error, rclonepool_status, report};

/// Runs `body`; what it fails with, or panics with, is reported through `err` and the status.
///
/// # Safety
/// `err` is NULL or points to memory where a pointer may be written.
pub(crate) unsafe fn guard(err: *mut *mut rclonepool_error, body: impl FnOnce() -> Result<()>) -> rclonepool_status {
    // Unwind safety: after a panic the handles involved can only be freed or fail again.
    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        Err(Error::new(ErrorKind::Internal, format!("a bug in rclonepool: {}", text_of(panic.as_ref()))))
    });
    match result {
        Ok(()) => rclonepool_status::Ok,
        // SAFETY: promised by the caller.
        Err(error) => unsafe { report(&error, err) },
    }
}

/// Runs `body`, which has nothing to report; if it panics, the answer is `otherwise`.
pub(crate) fn guard_or<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(otherwise)
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{rclonepool_error_free, rclonepool_error_message, rclonepool_error_status};

    #[test]
    fn a_panic_becomes_an_internal_error() {
        let mut err = std::ptr::null_mut();
        let status = unsafe { guard(&raw mut err, || panic!("index {} is out of range", 7)) };
        assert_eq!(status, rclonepool_status::Internal);
        unsafe {
            assert_eq!(rclonepool_error_status(err), rclonepool_status::Internal);
            let text = std::ffi::CStr::from_ptr(rclonepool_error_message(err)).to_str().unwrap();
            assert_eq!(text, "a bug in rclonepool: index 7 is out of range");
            rclonepool_error_free(err);
        }
        assert_eq!(guard_or(3, || panic!("no")), 3);
    }

    #[test]
    fn success_leaves_the_error_alone() {
        let mut err = std::ptr::dangling_mut();
        let before = err;
        assert_eq!(unsafe { guard(&raw mut err, || Ok(())) }, rclonepool_status::Ok);
        assert_eq!(err, before);
    }
}
