//! The C ABI of rclonepool: `librclonepool` and `include/rclonepool.h`.
//!
//! Conventions, for callers and for whoever adds a function:
//!
//! - Names are `rclonepool_<object>_<verb>`; the object comes first, the error last.
//! - Handles are opaque. What `_new`, `_open` or an error parameter gives is freed by the object's
//!   `_free`, which takes NULL too.
//! - A call that can fail returns a [`rclonepool_status`]: 0, or a negative code that is never
//!   renumbered. Its last parameter, `rclonepool_error **`, may be NULL; it is written only on failure.
//! - Text that goes in is NUL-terminated UTF-8; text that comes out lives as long as its owner.
//! - Every body runs behind `panic::guard`: no panic crosses into C.
//! - Any function may be called from any thread; a handle taken by a non-const pointer must not be
//!   in use elsewhere at that time.
#![allow(unsafe_code, non_camel_case_types)] // unsafe: the boundary itself; names: they are C's

mod castable;
mod error;
mod panic;
mod path;
mod version;

pub use error::{
    rclonepool_error, rclonepool_error_free, rclonepool_error_message, rclonepool_error_retryable,
    rclonepool_error_status, rclonepool_status,
};
pub use path::rclonepool_path_check;
pub use version::{rclonepool_version, rclonepool_version_number};
