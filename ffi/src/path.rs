//! Pool paths.

use std::ffi::c_char;

use crate::args::pool_path;
use crate::error::{rclonepool_error, rclonepool_status};
use crate::panic::guard;

/// Checks that `path` can name a file or directory of a pool: absolute, components of 1 to 255
/// bytes joined by "/", none of them "." or "..", at most 4,096 bytes in all, outside the reserved
/// "/.rclonepool/". Fails with `RCLONEPOOL_STATUS_INVALID_ARGUMENT`. Since 0.1.
///
/// # Safety
/// `path` is NULL or a NUL-terminated string; `err` is NULL or points to where a pointer may be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_path_check(
    path: *const c_char,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { guard(err, || pool_path("path", path).map(drop)) }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;
    use crate::error::{rclonepool_error_free, rclonepool_error_message};

    fn check(path: *const c_char) -> (rclonepool_status, String) {
        let mut err = std::ptr::null_mut();
        unsafe {
            let status = rclonepool_path_check(path, &raw mut err);
            let text = CStr::from_ptr(rclonepool_error_message(err)).to_str().unwrap().to_owned();
            rclonepool_error_free(err);
            assert_eq!(rclonepool_path_check(path, std::ptr::null_mut()), status);
            (status, text)
        }
    }

    #[test]
    fn bad_text_is_an_error_that_says_why() {
        assert_eq!(check(c"/movies/\u{e9}.mkv".as_ptr()), (rclonepool_status::Ok, String::new()));
        for (path, why) in
            [(c"/a/../b", "\"..\""), (c"a", "begin with /"), (c"/\xff", "UTF-8"), (c"/.rclonepool", "reserved")]
        {
            let (status, text) = check(path.as_ptr());
            assert_eq!(status, rclonepool_status::InvalidArgument);
            assert!(text.contains(why), "{text}");
        }
        let (status, text) = check(std::ptr::null());
        assert_eq!((status, text.as_str()), (rclonepool_status::InvalidArgument, "path is NULL"));
    }
}
