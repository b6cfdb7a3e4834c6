//! Files written bit by bit.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use rclonepool_core::pool::Source;
use rclonepool_core::{Error, ErrorKind, Result};
use tokio_util::task::AbortOnDropHandle;

use crate::args::{bytes, check_out, pool_path};
use crate::castable::Castable;
use crate::data::STORING;
use crate::error::{rclonepool_error, rclonepool_status};
use crate::event::Taker;
use crate::feed::{Feed, Outcome};
use crate::options::{Options, rclonepool_options};
use crate::panic::{guard, guard_or};
use crate::pipe::{Pipe, PipeReader};
use crate::pool::{hand_over, rclonepool_pool, shared};
use crate::report::{Report, rclonepool_report};
use crate::shared::{refuse_own_thread, task};
use crate::transfer::upload_options;

/// A file that is being written. Nothing of it is to be seen in the pool before `rclonepool_writer_commit`. Freed by
/// `rclonepool_writer_free`; it must not be used by two threads at once.
pub struct rclonepool_writer {
    _private: [u8; 0],
}

/// What lies behind a [`rclonepool_writer`].
pub(crate) struct Writer {
    feed: Arc<Feed>,
    pipe: Arc<Pipe>,
    is_over: bool,
}

impl Castable for rclonepool_writer {
    type Inner = Writer;
    const KIND: &'static str = "writer";
}

const SILENT: Taker = Taker { callback: None, userdata: std::ptr::null_mut() };

impl Writer {
    fn check(&self) -> Result<()> {
        if self.is_over {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "the writer is over: it was committed, aborted or failed",
            ));
        }
        refuse_own_thread()
    }

    fn write(&mut self, data: &[u8]) -> Result<()> {
        self.check()?;
        if self.pipe.write(data) {
            return Ok(());
        }
        // Nobody reads any more: the upload has failed, and says why.
        self.end().map(drop)?;
        Err(Error::new(ErrorKind::Internal, "the upload ended before its end was written"))
    }

    fn commit(&mut self) -> Result<Report> {
        self.check()?;
        self.pipe.finish();
        self.end()
    }

    fn abort(&mut self) {
        if !self.is_over {
            self.pipe.break_off();
            self.feed.cancel();
        }
        self.is_over = true;
    }

    /// Waits for the end of the upload.
    fn end(&mut self) -> Result<Report> {
        self.is_over = true;
        // SAFETY: there is no callback to call.
        unsafe { self.feed.wait(None, SILENT) };
        match self.feed.take()?? {
            Outcome::Report(report) => Ok(report),
            Outcome::Plan(_) => Err(Error::new(ErrorKind::Internal, "an upload made a plan")),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.abort();
    }
}

/// Begins to write the file `path`. Options: `FORCE`, `MTIME_NS`, `CONTENT_TYPE`. What is wrong with the path is
/// told by a later call, as the pool is not asked yet. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `path` is a NUL-terminated string; `options` is NULL or a handle that no
/// other thread changes; `writer` can be written; `err` is NULL or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_writer_open(
    pool: *const rclonepool_pool,
    path: *const c_char,
    options: *const rclonepool_options,
    writer: *mut *mut rclonepool_writer,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe {
        guard(err, || {
            check_out("writer", writer)?;
            let (shared, path) = (shared(pool)?, pool_path("path", path)?);
            let options = upload_options(&Options::of(options, &STORING)?)?;
            let pipe = Arc::new(Pipe::default());
            let reader = PipeReader(pipe.clone());
            // Whatever ends the upload wakes the writer.
            let end = PipeReader(pipe.clone());
            let feed = shared.start(task(async move |pool, monitor| {
                // The thread that waits for the writer knows of no cancellation but this.
                let (cancelled, breaks) = (monitor.clone(), end.0.clone());
                let _breaking = AbortOnDropHandle::new(tokio::spawn(async move {
                    let _ = cancelled.run(std::future::pending::<Result<()>>()).await;
                    breaks.break_off();
                }));
                let done = pool.upload(Source::Stream(Box::new(reader)), &path, &options, &monitor).await;
                drop(end);
                let done = done.map_err(|error| monitor.check().err().unwrap_or(error))?;
                Report::new(&done).map(Outcome::Report)
            }))?;
            writer.write(rclonepool_writer::into_handle(Writer { feed, pipe, is_over: false }));
            Ok(())
        })
    }
}

/// Writes `size` bytes, which are copied; waits while the remotes are slower. After a failure, which may be one of
/// bytes written before, the writer can only be freed. Since 0.1.
///
/// # Safety
/// `writer` is a handle that was not freed and that no other thread uses; `data` points to `size` bytes, or is NULL
/// and `size` is 0; `err` is NULL or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_writer_write(
    writer: *mut rclonepool_writer,
    data: *const c_void,
    size: usize,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { guard(err, || rclonepool_writer::get_mut(writer)?.write(bytes("data", data.cast(), size)?)) }
}

/// Stores what was written as the file: when it returns `RCLONEPOOL_STATUS_OK` the file is in the pool, else nothing
/// of it is. The report (which may be NULL) is that of `rclonepool_upload`. Done once. Fails as
/// `rclonepool_upload`. Since 0.1.
///
/// # Safety
/// `writer` is a handle that was not freed and that no other thread uses; `report` and `err` are NULL or point to
/// where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_writer_commit(
    writer: *mut rclonepool_writer,
    report: *mut *mut rclonepool_report,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe {
        guard(err, || {
            let made = rclonepool_writer::get_mut(writer)?.commit()?;
            hand_over(made, report);
            Ok(())
        })
    }
}

/// Gives up what was written: nothing appears in the pool. After a commit, and for NULL, nothing happens. Since 0.1.
///
/// # Safety
/// `writer` is NULL or a handle that was not freed and that no other thread uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_writer_abort(writer: *mut rclonepool_writer) {
    guard_or((), || {
        // SAFETY: promised by the caller.
        if let Ok(writer) = unsafe { rclonepool_writer::get_mut(writer) } {
            writer.abort();
        }
    });
}

/// Frees a writer; one that was not committed is aborted. NULL is allowed. Since 0.1.
///
/// # Safety
/// `writer` is NULL or a handle that was not freed; it is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_writer_free(writer: *mut rclonepool_writer) {
    // SAFETY: promised by the caller.
    guard_or((), || unsafe { rclonepool_writer::free(writer) });
}
