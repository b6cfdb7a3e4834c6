//! One operation under way: waited for, watched and cancelled from Python, in one thread or in an event loop.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rclonepool_core::monitor::Event;
use rclonepool_core::{Error, ErrorKind, Monitor, Result};
use tokio_util::sync::CancellationToken;

use crate::entry::PoolEntry;
use crate::error::to_python;

use crate::logging;
use crate::pool::Engine;
use crate::remote::Daemon;
use crate::runtime::runtime;
use crate::server::Serving;

/// How often a waiting thread looks for signals, and progress is told.
pub(crate) const SLICE: Duration = Duration::from_millis(50);
/// How long an operation that was stopped has to wind up before the caller goes on.
const GRACE: Duration = Duration::from_millis(400);

/// What an operation gives back.
pub(crate) enum Value {
    Nothing,
    Json(String),
    Bytes(Vec<Bytes>),
    Number(u64),
    Entries(Vec<PoolEntry>),
    Engine(Engine),
    Daemon(Daemon),
    Serving(Serving),
}

impl Value {
    /// As JSON.
    pub fn json(value: &impl serde::Serialize) -> Result<Self> {
        let text = serde_json::to_string(value);
        text.map(Self::Json).map_err(|e| Error::new(ErrorKind::Internal, format!("a report that is no JSON: {e}")))
    }

    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self {
            Self::Nothing => Ok(py.None()),
            Self::Json(text) => Ok(py.import("json")?.call_method1("loads", (text,))?.unbind()),
            Self::Bytes(pieces) => Ok(joined(py, &pieces)?.into_any().unbind()),
            Self::Number(number) => Ok(number.into_pyobject(py)?.into_any().unbind()),
            Self::Entries(entries) => Ok(entries.into_pyobject(py)?.into_any().unbind()),
            Self::Engine(engine) => Ok(Py::new(py, engine)?.into_any()),
            Self::Daemon(daemon) => Ok(Py::new(py, daemon)?.into_any()),
            Self::Serving(serving) => Ok(Py::new(py, serving)?.into_any()),
        }
    }
}

/// The pieces as one `bytes`, copied once.
pub(crate) fn joined<'py>(py: Python<'py>, pieces: &[Bytes]) -> PyResult<Bound<'py, PyBytes>> {
    let length = pieces.iter().map(Bytes::len).sum();
    PyBytes::new_with(py, length, |mut rest| {
        for piece in pieces {
            let (here, after) = rest.split_at_mut(piece.len());
            here.copy_from_slice(piece);
            rest = after;
        }
        Ok(())
    })
}

/// How far an operation is. `total_bytes` and `total_items` may still grow; 0 where they are not known.
#[pyclass(frozen, get_all, eq, module = "rclonepool", from_py_object)]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Bytes done.
    bytes: u64,
    /// Bytes known to be wanted.
    total_bytes: u64,
    /// Items done: chunks of one file, or files of a directory.
    items: u64,
    /// Items known to be wanted.
    total_items: u64,
    /// The file that was done last.
    path: Option<String>,
}

#[pymethods]
impl Progress {
    fn __repr__(&self) -> String {
        let Self { bytes, total_bytes, items, total_items, .. } = self;
        format!("Progress(bytes={bytes}, total_bytes={total_bytes}, items={items}, total_items={total_items})")
    }
}

#[derive(Default)]
struct State {
    progress: Progress,
    told: Progress,
    /// Whether items are files, and how many are done.
    counts_files: bool,
    files: u64,
    failures: Vec<(String, String)>,
    outcome: Option<Result<Value>>,
    is_done: bool,
    wake: Option<Py<PyAny>>,
    woken: Option<Instant>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, event: &Event) {
        let mut state = self.lock();
        let progress = &mut state.progress;
        match event {
            Event::Total { bytes, items } => (progress.total_bytes, progress.total_items) = (*bytes, *items),
            Event::Progress { bytes, items } => {
                progress.bytes += bytes;
                progress.items += items;
            }
            Event::File { path, .. } => {
                progress.path = Some(path.to_string());
                state.files += 1;
            }
            Event::FileFailed { path, error } => {
                state.files += 1;
                logging::line(30, format!("{path}: {error}"));
                state.failures.push((path.clone(), error.clone()));
            }
            Event::Notice { message } => logging::line(20, message.clone()),
            _ => {}
        }
        let due = state.wake.is_some() && state.woken.is_none_or(|at| at.elapsed() >= SLICE);
        if due {
            state.woken = Some(Instant::now());
        }
        drop(state);
        if due {
            self.wake(false);
        }
    }

    fn finish(&self, outcome: Result<Value>) {
        let mut state = self.lock();
        (state.outcome, state.is_done) = (Some(outcome), true);
        drop(state);
        self.changed.notify_all();
        self.wake(true);
    }

    /// Tells who listens in an event loop. The core's threads wait for the interpreter here, holding nothing.
    fn wake(&self, last: bool) {
        if self.lock().wake.is_none() {
            return;
        }
        Python::try_attach(|py| {
            let mut state = self.lock();
            // What listens may hold the task: at the end both must go.
            let wake = if last { state.wake.take() } else { state.wake.as_ref().map(|wake| wake.clone_ref(py)) };
            drop(state);
            // A loop that is closed wants to hear nothing more.
            wake.map(|wake| wake.call0(py).map(drop))
        });
    }

    fn wait(&self, at_most: Duration) -> bool {
        let state = self.lock();
        let waited = self.changed.wait_timeout_while(state, at_most, |state| !state.is_done);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_done
    }

    /// How far it is, if that is news.
    fn news(&self) -> Option<Progress> {
        let mut state = self.lock();
        let mut now = state.progress.clone();
        if state.counts_files {
            now.items = state.files;
        }
        (now != state.told).then(|| {
            state.told = now.clone();
            now
        })
    }
}

/// An operation under way.
#[pyclass(frozen, module = "rclonepool._rclonepool")]
#[derive(Clone)]
pub(crate) struct Task {
    shared: Arc<Shared>,
    cancel: CancellationToken,
}

impl Task {
    /// Starts `work` on the runtime.
    pub fn spawn<F>(py: Python<'_>, work: impl FnOnce(Monitor) -> F) -> PyResult<Self>
    where
        F: Future<Output = Result<Value>> + Send + 'static,
    {
        let runtime = runtime()?;
        logging::refresh(py)?;
        let (shared, cancel) = (Arc::new(Shared::default()), CancellationToken::new());
        let listener = shared.clone();
        let monitor = Monitor::new(Arc::new(move |event: &Event| listener.note(event)), cancel.clone());
        let working = runtime.spawn(work(monitor));
        let finished = shared.clone();
        runtime.spawn(async move {
            let outcome = working.await;
            finished.finish(outcome.unwrap_or_else(|e| Err(Error::new(ErrorKind::Internal, format!("it broke: {e}")))));
        });
        Ok(Self { shared, cancel })
    }

    /// Counts files, not chunks.
    pub fn counting_files(self, counts_files: bool) -> Self {
        self.shared.lock().counts_files = counts_files;
        self
    }
}

#[pymethods]
impl Task {
    /// Waits for the end; `progress` is called meanwhile. A signal's exception, or one from `progress`, stops it.
    #[pyo3(signature = (progress = None))]
    pub fn run(&self, py: Python<'_>, progress: Option<Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        let tell = || match (&progress, self.shared.news()) {
            (Some(progress), Some(news)) => progress.call1((news,)).map(drop),
            _ => Ok(()),
        };
        loop {
            let is_done = py.detach(|| self.shared.wait(SLICE));
            if let Err(stop) = tell().and_then(|()| if is_done { Ok(()) } else { py.check_signals() }) {
                self.cancel.cancel();
                py.detach(|| self.shared.wait(GRACE));
                return Err(stop);
            }
            if is_done {
                return self.result(py);
            }
        }
    }

    /// Has `wake` called, from any thread, when there is news and at the end.
    fn watch(&self, py: Python<'_>, wake: Py<PyAny>) -> PyResult<()> {
        let mut state = self.shared.lock();
        if !state.is_done {
            state.wake = Some(wake);
            return Ok(());
        }
        drop(state);
        wake.call0(py).map(drop)
    }

    /// How far it is, if that has changed since it was asked last.
    fn news(&self) -> Option<Progress> {
        self.shared.news()
    }

    /// Whether it has ended.
    fn done(&self) -> bool {
        self.shared.lock().is_done
    }

    /// What it gave, once.
    pub fn result(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        logging::flush(py);
        let outcome = self.shared.lock().outcome.take();
        match outcome {
            Some(Ok(value)) => value.into_python(py),
            Some(Err(error)) => Err(to_python(&error)),
            None => Err(PyRuntimeError::new_err("the result is not there, or was taken")),
        }
    }

    /// Files that failed, with the reasons.
    fn failures(&self) -> Vec<(String, String)> {
        self.shared.lock().failures.clone()
    }

    /// Stops it; it still winds up.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }
}
