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

mod args;
mod care;
mod castable;
mod data;
mod entry;
mod error;
mod event;
mod feed;
mod log;
mod namespace;
mod op;
mod options;
mod panic;
mod path;
mod pipe;
mod plan;
mod plans;
mod pool;
mod reader;
mod report;
mod shared;
mod transfer;
mod version;
mod writer;

pub use care::{
    rclonepool_gc, rclonepool_gc_start, rclonepool_health, rclonepool_health_start, rclonepool_orphans,
    rclonepool_orphans_start, rclonepool_pool_status, rclonepool_pool_status_start, rclonepool_verify,
    rclonepool_verify_start, rclonepool_watch_start,
};
pub use data::{
    rclonepool_buffer, rclonepool_buffer_data, rclonepool_buffer_free, rclonepool_buffer_size, rclonepool_get,
    rclonepool_put,
};
pub use entry::{
    rclonepool_entry, rclonepool_entry_content_type, rclonepool_entry_executable, rclonepool_entry_free,
    rclonepool_entry_get_kind, rclonepool_entry_kind, rclonepool_entry_link_target, rclonepool_entry_mtime_ns,
    rclonepool_entry_name, rclonepool_entry_path, rclonepool_entry_size, rclonepool_list, rclonepool_list_free,
    rclonepool_list_next, rclonepool_list_open, rclonepool_stat,
};
pub use error::{
    rclonepool_error, rclonepool_error_free, rclonepool_error_hint, rclonepool_error_message, rclonepool_error_path,
    rclonepool_error_remote, rclonepool_error_retryable, rclonepool_error_status, rclonepool_status,
};
pub use event::{rclonepool_event, rclonepool_event_fn, rclonepool_event_kind};
pub use log::{rclonepool_destroy_fn, rclonepool_log_fn, rclonepool_log_level, rclonepool_log_set};
pub use namespace::{
    rclonepool_copy, rclonepool_delete, rclonepool_layout, rclonepool_mkdir, rclonepool_rename, rclonepool_restore,
    rclonepool_trash, rclonepool_trash_empty,
};
pub use op::{
    rclonepool_op, rclonepool_op_cancel, rclonepool_op_free, rclonepool_op_is_done, rclonepool_op_progress,
    rclonepool_op_take, rclonepool_op_take_plan, rclonepool_op_wait, rclonepool_progress,
};
pub use options::{
    rclonepool_level, rclonepool_links, rclonepool_option, rclonepool_options, rclonepool_options_free,
    rclonepool_options_new, rclonepool_options_set_integer, rclonepool_options_set_text,
};
pub use path::rclonepool_path_check;
pub use plan::{
    rclonepool_plan, rclonepool_plan_free, rclonepool_plan_perform, rclonepool_plan_perform_start,
    rclonepool_plan_report,
};
pub use plans::{
    rclonepool_convert_plan, rclonepool_convert_plan_start, rclonepool_drain_plan, rclonepool_drain_plan_start,
    rclonepool_loss_plan, rclonepool_loss_plan_start, rclonepool_rebalance_plan, rclonepool_rebalance_plan_start,
    rclonepool_rebuild_plan, rclonepool_rebuild_plan_start,
};
pub use pool::{
    rclonepool_init, rclonepool_init_json, rclonepool_pool, rclonepool_pool_close, rclonepool_pool_free,
    rclonepool_pool_open, rclonepool_pool_open_json, rclonepool_pool_refresh,
};
pub use reader::{
    rclonepool_reader, rclonepool_reader_free, rclonepool_reader_open, rclonepool_reader_pread, rclonepool_reader_read,
    rclonepool_reader_seek, rclonepool_reader_size, rclonepool_whence,
};
pub use report::{
    rclonepool_report, rclonepool_report_free, rclonepool_report_integer, rclonepool_report_json,
    rclonepool_report_length, rclonepool_report_real, rclonepool_report_status, rclonepool_report_text,
};
pub use transfer::{
    rclonepool_download, rclonepool_download_start, rclonepool_repair, rclonepool_repair_start, rclonepool_upload,
    rclonepool_upload_start,
};
pub use version::{rclonepool_version, rclonepool_version_number};
pub use writer::{
    rclonepool_writer, rclonepool_writer_abort, rclonepool_writer_commit, rclonepool_writer_free,
    rclonepool_writer_open, rclonepool_writer_write,
};
