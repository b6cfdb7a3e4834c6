//! Reading at any position, and writing in order.

use std::io::Read;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Buf, Bytes};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView, PySlice};
use rclonepool_core::Result;
use rclonepool_core::pool::FileHandle;
use tokio::sync::mpsc;

use crate::error::to_python;
use crate::runtime::{Home, runtime};
use crate::task::{SLICE, Task, Value, joined};

/// The most that one call of `write` takes, in bytes.
const PIECE_BYTES: usize = 4 << 20;
/// Pieces on their way to the pool.
const PIECES: usize = 2;

/// What a pool's files must know of it.
#[derive(Clone)]
pub(crate) struct Owner {
    pub home: Home,
    pub closed: Arc<AtomicBool>,
}

impl Owner {
    pub fn check(&self) -> PyResult<()> {
        self.home.check()?;
        if self.closed.load(Ordering::Relaxed) {
            return Err(PyValueError::new_err("the pool is closed"));
        }
        Ok(())
    }
}

/// A file open for reading; any number of threads may read at once.
#[pyclass(frozen, module = "rclonepool._rclonepool")]
pub(crate) struct Reader {
    handle: Option<Arc<FileHandle>>,
    owner: Owner,
}

impl Reader {
    pub fn new(handle: Arc<FileHandle>, owner: Owner) -> Self {
        Self { handle: Some(handle), owner }
    }

    fn handle(&self) -> PyResult<&Arc<FileHandle>> {
        self.owner.check()?;
        self.handle.as_ref().ok_or_else(|| PyValueError::new_err("the file is closed"))
    }

    /// Reads in this thread, without the interpreter, and looks for signals meanwhile.
    fn pieces(&self, py: Python<'_>, range: Range<u64>) -> PyResult<Vec<Bytes>> {
        let (handle, runtime) = (self.handle()?, runtime()?);
        let mut reading = pin!(handle.read_at(range));
        loop {
            let slice = py.detach(|| runtime.block_on(async { tokio::time::timeout(SLICE, reading.as_mut()).await }));
            match slice {
                Ok(read) => return read.map_err(|error| to_python(&error)),
                // Dropping the read stops it.
                Err(_) => py.check_signals()?,
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // What belongs to another process is not this one's to end.
        if !self.owner.home.is_here() {
            std::mem::forget(self.handle.take());
        }
    }
}

#[pymethods]
impl Reader {
    /// The file's length in bytes.
    #[getter]
    fn size(&self) -> PyResult<u64> {
        self.handle().map(|handle| handle.size())
    }

    /// Bytes from `offset`; fewer only at the end.
    fn read<'py>(&self, py: Python<'py>, offset: u64, length: u64) -> PyResult<Bound<'py, PyBytes>> {
        joined(py, &self.pieces(py, offset..offset.saturating_add(length))?)
    }

    /// Fills a buffer from `offset`; gives the number of bytes.
    fn readinto(&self, py: Python<'_>, offset: u64, buffer: &Bound<'_, PyAny>) -> PyResult<usize> {
        let view = PyMemoryView::from(buffer)?;
        // Views without bytes cannot be cast.
        if view.getattr("nbytes")?.extract::<usize>()? == 0 {
            return Ok(0);
        }
        let view = if view.getattr("format")?.extract::<&str>()? == "B" && view.getattr("ndim")?.extract::<u8>()? == 1 {
            view.into_any()
        } else {
            view.call_method1("cast", ("B",))?
        };
        let wanted = view.len()? as u64;
        let (mut at, pieces) = (0, self.pieces(py, offset..offset.saturating_add(wanted))?);
        for piece in pieces {
            let end = at + piece.len();
            let here = view.get_item(PySlice::new(py, isize(at)?, isize(end)?, 1))?;
            PyBuffer::<u8>::get(&here)?.copy_from_slice(py, &piece)?;
            at = end;
        }
        Ok(at)
    }

    /// As `read`, as a task.
    fn read_task(&self, py: Python<'_>, offset: u64, length: u64) -> PyResult<Task> {
        let handle = self.handle()?.clone();
        Task::spawn(py, |monitor| async move {
            let reading = handle.read_at(offset..offset.saturating_add(length));
            monitor.run(reading).await.map(Value::Bytes)
        })
    }
}

fn isize(n: usize) -> PyResult<isize> {
    isize::try_from(n).map_err(|_| PyValueError::new_err("the buffer is too long"))
}

enum Piece {
    Data(Bytes),
    End,
}

/// The other end of a [`Writer`], where the pool reads.
pub(crate) struct Pipe {
    pieces: mpsc::Receiver<Piece>,
    current: Bytes,
    ended: bool,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Piece::Data(bytes)) => self.current = bytes,
                Some(Piece::End) => self.ended = true,
                None => return Err(std::io::Error::other("the writer gave up before the end")),
            }
        }
        let n = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..n]);
        Ok(n)
    }
}

/// A file being written; it is stored when it is finished, and only then.
#[pyclass(frozen, module = "rclonepool._rclonepool")]
pub(crate) struct Writer {
    pieces: std::sync::Mutex<Option<mpsc::Sender<Piece>>>,
    uploading: Task,
    owner: Owner,
}

impl Writer {
    /// A writer, and an upload that `upload` makes of what is written.
    pub fn start<F>(
        py: Python<'_>,
        owner: Owner,
        upload: impl FnOnce(Pipe, rclonepool_core::Monitor) -> F,
    ) -> PyResult<Self>
    where
        F: Future<Output = Result<Value>> + Send + 'static,
    {
        let (sender, pieces) = mpsc::channel(PIECES);
        let pipe = Pipe { pieces, current: Bytes::new(), ended: false };
        let uploading = Task::spawn(py, |monitor| upload(pipe, monitor))?;
        Ok(Self { pieces: std::sync::Mutex::new(Some(sender)), uploading, owner })
    }

    fn sender(&self) -> PyResult<mpsc::Sender<Piece>> {
        self.owner.check()?;
        let sender = self.pieces.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        sender.ok_or_else(|| PyValueError::new_err("write to a file that is finished"))
    }

    fn send(&self, py: Python<'_>, piece: Piece) -> PyResult<()> {
        let (sender, runtime) = (self.sender()?, runtime()?);
        let mut sending = pin!(sender.send(piece));
        loop {
            let slice = py.detach(|| runtime.block_on(async { tokio::time::timeout(SLICE, sending.as_mut()).await }));
            match slice {
                Ok(Ok(())) => return Ok(()),
                // The upload has ended before its time, and says why.
                Ok(Err(_)) => return self.uploading.run(py, None).map(drop),
                Err(_) => py.check_signals()?,
            }
        }
    }
}

#[pymethods]
impl Writer {
    /// Takes bytes, not always all of them; gives how many.
    fn write(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        let taken = taken(data)?;
        let length = taken.len();
        self.send(py, Piece::Data(taken))?;
        Ok(length)
    }

    /// As `write`, as a task.
    fn write_task(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<Task> {
        let (sender, taken) = (self.sender()?, taken(data)?);
        Task::spawn(py, |monitor| async move {
            let length = taken.len() as u64;
            // An upload that ended early says why when it is finished.
            let send = async { Ok(sender.send(Piece::Data(taken)).await.is_ok()) };
            Ok(Value::Number(if monitor.run(send).await? { length } else { 0 }))
        })
    }

    /// Ends the file, and waits until it is stored.
    fn finish(&self, py: Python<'_>) -> PyResult<()> {
        self.send(py, Piece::End)?;
        self.drop_sender();
        self.uploading.run(py, None).map(drop)
    }

    /// As `finish`, for an event loop, which then waits for `uploading`.
    fn finish_task(&self, py: Python<'_>) -> PyResult<Task> {
        let sender = self.sender()?;
        self.drop_sender();
        Task::spawn(py, |monitor| async move {
            let send = async { Ok(sender.send(Piece::End).await.is_ok()) };
            monitor.run(send).await.map(|_| Value::Nothing)
        })
    }

    /// The upload, whose end is the file's.
    #[getter]
    fn uploading(&self) -> Task {
        self.uploading.clone()
    }

    /// Gives up: nothing is stored.
    fn discard(&self) {
        self.drop_sender();
        self.uploading.cancel();
    }
}

impl Writer {
    fn drop_sender(&self) {
        self.pieces.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    }
}

/// The bytes of any object that has some, up to a piece.
fn taken(data: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    if let Ok(bytes) = data.cast::<PyBytes>() {
        let all = bytes.as_bytes();
        return Ok(Bytes::copy_from_slice(&all[..all.len().min(PIECE_BYTES)]));
    }
    let view = PyMemoryView::from(data).map_err(|_| PyTypeError::new_err("a bytes-like object is required"))?;
    // Views without bytes cannot be cast.
    if view.getattr("nbytes")?.extract::<usize>()? == 0 {
        return Ok(Bytes::new());
    }
    let view = view.call_method1("cast", ("B",))?;
    let length = view.len()?.min(PIECE_BYTES);
    let here = view.get_item(PySlice::new(data.py(), 0, isize(length)?, 1))?;
    Ok(PyBuffer::<u8>::get(&here)?.to_vec(data.py())?.into())
}
