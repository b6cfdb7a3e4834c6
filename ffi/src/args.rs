//! What comes from C: text, paths, bytes, flags, and where answers go.

use std::ffi::{CStr, CString, c_char};

use rclonepool_core::path::PoolPath;
use rclonepool_core::{Error, ErrorKind, Result};

/// An argument that cannot be used.
pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

/// Text that came from C.
///
/// # Safety
/// `text` is NULL or points to a NUL-terminated string that stays as it is while the answer lives.
pub(crate) unsafe fn text<'a>(name: &str, text: *const c_char) -> Result<&'a str> {
    if text.is_null() {
        return Err(invalid(format!("{name} is NULL")));
    }
    // SAFETY: not NULL; a string as promised by the caller.
    unsafe { CStr::from_ptr(text) }.to_str().map_err(|_| invalid(format!("{name} is not valid UTF-8")))
}

/// A path in the pool.
///
/// # Safety
/// As for [`text`].
pub(crate) unsafe fn pool_path(name: &str, path: *const c_char) -> Result<PoolPath> {
    // SAFETY: promised by the caller.
    PoolPath::new(unsafe { text(name, path) }?)
}

/// Bytes that came from C; NULL will do for none.
///
/// # Safety
/// `data` is NULL or points to `length` bytes that stay as they are while the answer lives.
pub(crate) unsafe fn bytes<'a>(name: &str, data: *const u8, length: usize) -> Result<&'a [u8]> {
    check_span(name, data.is_null(), length)?;
    if length == 0 {
        return Ok(&[]);
    }
    // SAFETY: not NULL, readable as promised by the caller, and not longer than an object can be.
    Ok(unsafe { std::slice::from_raw_parts(data, length) })
}

/// Memory of C that is to be written; NULL will do for none.
///
/// # Safety
/// `data` is NULL or points to `length` bytes that nobody else uses while the answer lives.
pub(crate) unsafe fn room<'a>(name: &str, data: *mut u8, length: usize) -> Result<&'a mut [u8]> {
    check_span(name, data.is_null(), length)?;
    if length == 0 {
        return Ok(&mut []);
    }
    // SAFETY: not NULL, writable as promised by the caller, and not longer than an object can be. What C left
    // uninitialised there is only written, never read.
    Ok(unsafe { std::slice::from_raw_parts_mut(data, length) })
}

fn check_span(name: &str, is_null: bool, length: usize) -> Result<()> {
    if isize::try_from(length).is_err() {
        return Err(invalid(format!("{name} cannot be {length} bytes long")));
    }
    if is_null && length > 0 {
        return Err(invalid(format!("{name} is NULL and its length is {length}")));
    }
    Ok(())
}

/// Fails unless an answer can be written there: before anything is done, not after.
pub(crate) fn check_out<T>(name: &str, out: *mut T) -> Result<()> {
    if out.is_null() { Err(invalid(format!("{name} is NULL: there is nowhere to put the answer"))) } else { Ok(()) }
}

/// Text for C; a NUL within it is shown as `\0` and does not cut it.
pub(crate) fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "\\0")).unwrap_or_default()
}

/// A pointer to text, or NULL.
pub(crate) fn pointer(text: Option<&CString>) -> *const c_char {
    text.map_or(std::ptr::null(), |text| text.as_ptr())
}
