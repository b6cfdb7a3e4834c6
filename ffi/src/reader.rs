//! Files read bit by bit, or at any position.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use rclonepool_core::Result;
use rclonepool_core::pool::FileHandle;

use crate::args::{check_out, invalid, pool_path, room};
use crate::castable::Castable;
use crate::error::{rclonepool_error, rclonepool_status};
use crate::panic::{guard, guard_or};
use crate::pool::{rclonepool_pool, shared};
use crate::shared::Shared;

/// A file that is being read, as it was when it was opened, as long as the trash keeps it. Several threads may call `rclonepool_reader_pread` at
/// once; `_read` and `_seek` move its position and are for one thread at a time. Freed by `rclonepool_reader_free`.
pub struct rclonepool_reader {
    _private: [u8; 0],
}

/// What lies behind a [`rclonepool_reader`].
pub(crate) struct Reader {
    shared: Arc<Shared>,
    file: Arc<FileHandle>,
    at: u64,
}

impl Castable for rclonepool_reader {
    type Inner = Reader;
    const KIND: &'static str = "reader";
}

/// From where `rclonepool_reader_seek` counts.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum rclonepool_whence {
    /// From the beginning, as SEEK_SET.
    Set = 0,
    /// From where it is, as SEEK_CUR.
    Current = 1,
    /// From the end, as SEEK_END.
    End = 2,
}

impl Reader {
    /// Reads at a position, as much as there is room for or until the file's end; gives back how much.
    fn read_at(&self, offset: u64, room: &mut [u8]) -> Result<usize> {
        let call = self.shared.enter()?;
        let end = offset.saturating_add(room.len() as u64).min(self.file.size());
        if offset >= end {
            return Ok(0);
        }
        let mut filled = 0;
        for piece in call.block_on(self.file.read_at(offset..end))? {
            room[filled..filled + piece.len()].copy_from_slice(&piece);
            filled += piece.len();
        }
        Ok(filled)
    }

    fn seek(&mut self, offset: i64, whence: i32) -> Result<u64> {
        const SET: i32 = rclonepool_whence::Set as i32;
        const CURRENT: i32 = rclonepool_whence::Current as i32;
        const END: i32 = rclonepool_whence::End as i32;
        let from = match whence {
            SET => 0,
            CURRENT => self.at,
            END => self.file.size(),
            _ => return Err(invalid(format!("whence cannot be {whence}"))),
        };
        let to = from.checked_add_signed(offset).filter(|to| i64::try_from(*to).is_ok());
        self.at = to.ok_or_else(|| invalid(format!("there is no position {from} + {offset}")))?;
        Ok(self.at)
    }
}

/// Opens the file `path` for reading. Reads nothing yet. Fails with `_NOT_FOUND`, and with `_INVALID_ARGUMENT` for
/// what is no file. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `path` is a NUL-terminated string; `reader` can be written; `err` is NULL
/// or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_reader_open(
    pool: *const rclonepool_pool,
    path: *const c_char,
    reader: *mut *mut rclonepool_reader,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe {
        guard(err, || {
            check_out("reader", reader)?;
            let (shared, path) = (shared(pool)?, pool_path("path", path)?);
            let call = shared.enter()?;
            let file = call.open_file(&path)?;
            reader.write(rclonepool_reader::into_handle(Reader { shared: shared.clone(), file, at: 0 }));
            Ok(())
        })
    }
}

/// The length of the file in bytes; 0 for NULL. Since 0.1.
///
/// # Safety
/// `reader` is NULL or a handle that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_reader_size(reader: *const rclonepool_reader) -> u64 {
    // SAFETY: promised by the caller.
    guard_or(0, || unsafe { rclonepool_reader::inner(reader) }.map_or(0, |reader| reader.file.size()))
}

/// Reads from the reader's position, which moves on. Writes to `buffer` as many bytes as there is room for, or as
/// are left of the file, and to `read` how many these are: 0 at the end. Fails with `_UNAVAILABLE`,
/// `_UNRECOVERABLE`, `_CORRUPT`; the position is then as before. Since 0.1.
///
/// # Safety
/// `reader` is a handle that was not freed and that no other thread uses; `buffer` points to `size` bytes, or is
/// NULL and `size` is 0; `read` can be written; `err` is NULL or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_reader_read(
    reader: *mut rclonepool_reader,
    buffer: *mut c_void,
    size: usize,
    read: *mut usize,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe {
        guard(err, || {
            check_out("read", read)?;
            let reader = rclonepool_reader::get_mut(reader)?;
            let length = reader.read_at(reader.at, room("buffer", buffer.cast(), size)?)?;
            reader.at += length as u64;
            read.write(length);
            Ok(())
        })
    }
}

/// As `rclonepool_reader_read`, from the byte `offset` on; the reader's position stays. Several threads may call it
/// at once. A read that begins where one ended is the fastest. Since 0.1.
///
/// # Safety
/// `reader` is a handle that was not freed; else as for `rclonepool_reader_read`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_reader_pread(
    reader: *const rclonepool_reader,
    offset: u64,
    buffer: *mut c_void,
    size: usize,
    read: *mut usize,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe {
        guard(err, || {
            check_out("read", read)?;
            let reader = rclonepool_reader::get(reader)?;
            read.write(reader.read_at(offset, room("buffer", buffer.cast(), size)?)?);
            Ok(())
        })
    }
}

/// Moves the reader's position to `offset` bytes from `whence`, one of `rclonepool_whence`, and writes where it is now
/// to `position` (which may be NULL). It may lie behind the end, where nothing is read. Since 0.1.
///
/// # Safety
/// `reader` is a handle that was not freed and that no other thread uses; `position` is NULL or can be written; `err`
/// is NULL or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_reader_seek(
    reader: *mut rclonepool_reader,
    offset: i64,
    whence: i32,
    position: *mut u64,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe {
        guard(err, || {
            let at = rclonepool_reader::get_mut(reader)?.seek(offset, whence)?;
            if !position.is_null() {
                position.write(at);
            }
            Ok(())
        })
    }
}

/// Frees a reader; NULL is allowed. Since 0.1.
///
/// # Safety
/// `reader` is NULL or a handle that was not freed; it is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_reader_free(reader: *mut rclonepool_reader) {
    // SAFETY: promised by the caller.
    guard_or((), || unsafe { rclonepool_reader::free(reader) });
}
