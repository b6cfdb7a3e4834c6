//! The version of the library, to hold against the macros of the header it was compiled with.

use std::ffi::{CStr, c_char};

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => unreachable!(), // evaluated by the compiler: a version holds no NUL
};

const VERSION_NUMBER: u32 = number(env!("CARGO_PKG_VERSION_MAJOR")) * 1_000_000
    + number(env!("CARGO_PKG_VERSION_MINOR")) * 1_000
    + number(env!("CARGO_PKG_VERSION_PATCH"));

const fn number(digits: &str) -> u32 {
    match u32::from_str_radix(digits, 10) {
        Ok(number) => number,
        Err(_) => unreachable!(), // evaluated by the compiler: cargo accepts numbers only
    }
}

/// The version of the library, as "0.1.0"; it lives for ever. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn rclonepool_version() -> *const c_char {
    VERSION.as_ptr()
}

/// The version of the library as a number, major * 1000000 + minor * 1000 + patch: what
/// `RCLONEPOOL_VERSION_NUMBER` is for the header. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn rclonepool_version_number() -> u32 {
    VERSION_NUMBER
}
