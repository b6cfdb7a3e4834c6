//! A transformer in Rust: every byte plus what the configuration says (`by`, 13 without), as a shared library with the
//! table of `rclonepool_plugin.h`.
//!
//!     cargo build --release -p rclonepool-examples --example plugin_rot
//!     rclonepool plugins load target/release/examples/libplugin_rot.so
//!     rclonepool plugins enable transformer:rot --set by=7
// The table is one of C.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_void};

/// `rclonepool_plugin_host`.
#[repr(C)]
pub struct Host {
    struct_size: usize,
    give: unsafe extern "C" fn(*mut c_void, *const u8, usize),
    value: unsafe extern "C" fn(*mut c_void, *const c_char),
    error: unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char),
}

type Create =
    unsafe extern "C" fn(*const c_char, *const c_char, *const c_char, *const Host, *mut c_void) -> *mut c_void;
type Call =
    unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char, *const u8, usize, *const Host, *mut c_void) -> i32;

/// `rclonepool_plugin_table`.
#[repr(C)]
pub struct Table {
    abi: u32,
    struct_size: u32,
    describe: extern "C" fn() -> *const c_char,
    create: Create,
    call: Call,
    destroy: unsafe extern "C" fn(*mut c_void),
}

static TABLE: Table = Table { abi: 1, struct_size: size_of::<Table>() as u32, describe, create, call, destroy };

struct Rot {
    by: u8,
}

/// What the library exports.
// SAFETY: nobody else exports this name from this library.
#[unsafe(no_mangle)]
pub extern "C" fn rclonepool_plugin() -> *const Table {
    &raw const TABLE
}

extern "C" fn describe() -> *const c_char {
    c"[{\"name\": \"rot\", \"version\": \"1.0\", \"description\": \"Every byte plus a number\", \"plugin_type\": \"transformer\"}]".as_ptr()
}

/// # Safety
/// As the header says.
unsafe extern "C" fn create(
    _: *const c_char,
    _: *const c_char,
    config: *const c_char,
    host: *const Host,
    reply: *mut c_void,
) -> *mut c_void {
    // SAFETY: a text that ends with a zero byte.
    let config = unsafe { CStr::from_ptr(config) }.to_str().unwrap_or_default();
    // Enough for one number; a real plugin has a JSON parser.
    let number = config.split_once("\"by\":").map_or("13", |(_, rest)| rest.trim_end_matches('}').trim());
    match number.parse() {
        Ok(by) => Box::into_raw(Box::new(Rot { by })).cast(),
        Err(_) => {
            // SAFETY: the host and the reply are those of this call.
            unsafe { ((*host).error)(reply, c"ValueError".as_ptr(), c"by is a number from 0 to 255".as_ptr()) };
            std::ptr::null_mut()
        }
    }
}

/// # Safety
/// As the header says.
unsafe extern "C" fn call(
    plugin: *mut c_void,
    method: *const c_char,
    _: *const c_char,
    data: *const u8,
    size: usize,
    host: *const Host,
    reply: *mut c_void,
) -> i32 {
    // SAFETY: one of `create`; a text that ends with a zero byte; the host of this call.
    let (rot, method, host) = unsafe { (&*plugin.cast::<Rot>(), CStr::from_ptr(method), &*host) };
    let by = match method.to_bytes() {
        b"transform" => rot.by,
        b"restore" => rot.by.wrapping_neg(),
        _ => {
            // SAFETY: the reply is that of this call.
            unsafe { (host.error)(reply, c"LookupError".as_ptr(), c"there is no such method".as_ptr()) };
            return 1;
        }
    };
    if size > 0 {
        // SAFETY: data has so many bytes.
        let data = unsafe { std::slice::from_raw_parts(data, size) };
        let changed: Vec<u8> = data.iter().map(|byte| byte.wrapping_add(by)).collect();
        // SAFETY: the reply is that of this call; the bytes are there until this returns.
        unsafe { (host.give)(reply, changed.as_ptr(), changed.len()) };
    }
    0
}

/// # Safety
/// As the header says.
unsafe extern "C" fn destroy(plugin: *mut c_void) {
    // SAFETY: one of `create`, destroyed once.
    drop(unsafe { Box::from_raw(plugin.cast::<Rot>()) });
}
