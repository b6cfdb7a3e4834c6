//! Whole files from and into memory.

use std::ffi::{c_char, c_void};

use bytes::Bytes;
use rclonepool_core::pool::Source;
use rclonepool_core::{Error, ErrorKind, Monitor, Result};

use crate::args::{bytes, check_out, pool_path};
use crate::castable::Castable;
use crate::error::{rclonepool_error, rclonepool_status};
use crate::options::{Options, rclonepool_option as Opt, rclonepool_options};
use crate::panic::{guard, guard_or};
use crate::pool::{hand_over, rclonepool_pool, shared};
use crate::report::{Report, rclonepool_report};
use crate::transfer::upload_options;

/// Bytes that the library holds for you. Freed by `rclonepool_buffer_free`.
pub struct rclonepool_buffer {
    _private: [u8; 0],
}

impl Castable for rclonepool_buffer {
    type Inner = Vec<u8>;
    const KIND: &'static str = "buffer";
}

/// What a file that is not a local one may be stored with.
pub(crate) const STORING: [Opt; 3] = [Opt::Force, Opt::MtimeNs, Opt::ContentType];

/// Stores `size` bytes as the file `path`; they are copied. What was there goes to the trash. Options: `FORCE`,
/// `MTIME_NS`, `CONTENT_TYPE`. The report (which may be NULL) is that of `rclonepool_upload`. Fails with
/// `_ALREADY_EXISTS` where the path is a directory, `_FULL`, `_UNAVAILABLE`. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `path` is a NUL-terminated string; `data` points to `size` bytes, or is
/// NULL and `size` is 0; `options` is NULL or a handle that no other thread changes; `report` and `err` are NULL or
/// point to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_put(
    pool: *const rclonepool_pool,
    path: *const c_char,
    data: *const c_void,
    size: usize,
    options: *const rclonepool_options,
    report: *mut *mut rclonepool_report,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe {
        guard(err, || {
            let (call, path) = (shared(pool)?.enter()?, pool_path("path", path)?);
            let data = Bytes::copy_from_slice(bytes("data", data.cast(), size)?);
            let options = upload_options(&Options::of(options, &STORING)?)?;
            let done = call.block_on(call.upload(Source::Bytes(data), &path, &options, &Monitor::default()))?;
            hand_over(Report::new(&done)?, report);
            Ok(())
        })
    }
}

/// Reads the whole file `path` into memory: for small files; large ones are for `rclonepool_reader_open`. Fails with
/// `_NOT_FOUND`, `_INVALID_ARGUMENT` for what is no file, `_UNAVAILABLE`, `_UNRECOVERABLE`. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `path` is a NUL-terminated string; `buffer` can be written; `err` is NULL
/// or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_get(
    pool: *const rclonepool_pool,
    path: *const c_char,
    buffer: *mut *mut rclonepool_buffer,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe {
        guard(err, || {
            check_out("buffer", buffer)?;
            let (call, path) = (shared(pool)?.enter()?, pool_path("path", path)?);
            let read = call.block_on(async {
                let mut reader = call.reader(&path, None)?;
                let size = reader.entry().content.size();
                let mut whole = Vec::new();
                let room = usize::try_from(size).ok().filter(|size| whole.try_reserve_exact(*size).is_ok());
                room.ok_or_else(|| too_large(size).at_path(&path))?;
                while let Some(piece) = reader.next().await.map_err(|e| e.at_path(&path))? {
                    whole.extend_from_slice(&piece);
                }
                Result::Ok(whole)
            })?;
            buffer.write(rclonepool_buffer::into_handle(read));
            Ok(())
        })
    }
}

fn too_large(size: u64) -> Error {
    Error::new(ErrorKind::Full, format!("there is no memory for {size} bytes"))
        .hint("read it bit by bit: rclonepool_reader_open")
}

/// The bytes of a buffer, which live until it is freed; never NULL but for NULL. Since 0.1.
///
/// # Safety
/// `buffer` is NULL or a handle that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_buffer_data(buffer: *const rclonepool_buffer) -> *const c_void {
    guard_or(std::ptr::null(), || {
        // SAFETY: promised by the caller.
        unsafe { rclonepool_buffer::inner(buffer) }.map_or(std::ptr::null(), |buffer| buffer.as_ptr().cast())
    })
}

/// How many bytes a buffer has; 0 for NULL. Since 0.1.
///
/// # Safety
/// `buffer` is NULL or a handle that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_buffer_size(buffer: *const rclonepool_buffer) -> usize {
    // SAFETY: promised by the caller.
    guard_or(0, || unsafe { rclonepool_buffer::inner(buffer) }.map_or(0, Vec::len))
}

/// Frees a buffer; NULL is allowed. Since 0.1.
///
/// # Safety
/// `buffer` is NULL or a handle that was not freed; it is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_buffer_free(buffer: *mut rclonepool_buffer) {
    // SAFETY: promised by the caller.
    guard_or((), || unsafe { rclonepool_buffer::free(buffer) });
}
