//! The types of `rclonepool_plugin.h`, field by field.

use std::ffi::{CStr, c_char, c_void};

/// `RCLONEPOOL_PLUGIN_ABI`.
pub(crate) const ABI: u32 = 1;

/// `rclonepool_plugin_reply`: what a call is answered, and opaque to the plugin.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub data: Vec<u8>,
    pub value: Option<Vec<u8>>,
    pub error: Option<(String, String)>,
}

/// `rclonepool_plugin_host`.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Host {
    struct_size: usize,
    give: unsafe extern "C" fn(*mut Reply, *const u8, usize),
    value: unsafe extern "C" fn(*mut Reply, *const c_char),
    error: unsafe extern "C" fn(*mut Reply, *const c_char, *const c_char),
}

/// `rclonepool_plugin_table`. Functions that a library leaves out are NULL.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Table {
    pub abi: u32,
    pub struct_size: u32,
    pub describe: Option<unsafe extern "C" fn() -> *const c_char>,
    pub create: Option<
        unsafe extern "C" fn(*const c_char, *const c_char, *const c_char, *const Host, *mut Reply) -> *mut c_void,
    >,
    pub call: Option<
        unsafe extern "C" fn(
            *mut c_void,
            *const c_char,
            *const c_char,
            *const u8,
            usize,
            *const Host,
            *mut Reply,
        ) -> i32,
    >,
    pub destroy: Option<unsafe extern "C" fn(*mut c_void)>,
}

pub(crate) static HOST: Host = Host { struct_size: size_of::<Host>(), give, value, error };

/// # Safety
/// `reply` is one of a call under way; `data` has `size` bytes.
unsafe extern "C" fn give(reply: *mut Reply, data: *const u8, size: usize) {
    if data.is_null() || size == 0 {
        return;
    }
    // SAFETY: promised by the plugin.
    let (reply, bytes) = unsafe { (reply.as_mut(), std::slice::from_raw_parts(data, size)) };
    if let Some(reply) = reply {
        reply.data.extend_from_slice(bytes);
    }
}

/// # Safety
/// `reply` is one of a call under way; `json` is NULL or ends with a zero byte.
unsafe extern "C" fn value(reply: *mut Reply, json: *const c_char) {
    if json.is_null() {
        return;
    }
    // SAFETY: promised by the plugin.
    let (reply, json) = unsafe { (reply.as_mut(), CStr::from_ptr(json)) };
    if let Some(reply) = reply {
        reply.value = Some(json.to_bytes().to_vec());
    }
}

/// # Safety
/// `reply` is one of a call under way; the texts are NULL or end with a zero byte.
unsafe extern "C" fn error(reply: *mut Reply, kind: *const c_char, message: *const c_char) {
    // SAFETY: promised by the plugin.
    let (reply, kind, message) = unsafe { (reply.as_mut(), super::read(kind), super::read(message)) };
    if let Some(reply) = reply {
        reply.error = Some((kind, message));
    }
}
