//! What the core logs goes to Python's `logging`, to the loggers `rclonepool` and `rclonepool.rclone`.
//!
//! The core logs from its own threads, perhaps with a lock held, so nothing there may wait for the interpreter: a thread
//! of its own hands the lines over.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Lines that may wait; more are dropped.
const LINES: usize = 4096;
/// How long the end of an operation waits for its lines to be logged.
const PATIENCE: Duration = Duration::from_millis(500);

static QUEUE: Mutex<Option<SyncSender<Line>>> = Mutex::new(None);
/// Lines that wait.
static PENDING: AtomicU32 = AtomicU32::new(0);
/// The least level (as `logging` counts) that anybody listens to.
static LEVEL: AtomicU32 = AtomicU32::new(30);

struct Line {
    logger: &'static str,
    level: u32,
    text: String,
}

/// Starts handing over, in this process.
pub(crate) fn start() {
    let (sender, receiver) = sync_channel(LINES);
    PENDING.store(0, Ordering::Relaxed);
    let thread = std::thread::Builder::new().name("rclonepool-log".into());
    if thread.spawn(move || hand_over(&receiver)).is_ok() {
        *QUEUE.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
    }
    // An error means that it is in place, since before a fork.
    drop(tracing::subscriber::set_global_default(tracing_subscriber::registry().with(ToPython)));
}

fn hand_over(lines: &Receiver<Line>) {
    for Line { logger, level, text } in lines {
        // None: the interpreter has ended. What logging itself fails at is nobody's error here.
        let logged = Python::try_attach(|py| {
            let logger = py.import("logging")?.call_method1("getLogger", (logger,))?;
            logger.call_method1("log", (level, "%s", text)).map(drop)
        });
        PENDING.fetch_sub(1, Ordering::Release);
        if logged.is_none() {
            return;
        }
    }
}

/// Notes which levels Python listens to now.
pub(crate) fn refresh(py: Python<'_>) -> PyResult<()> {
    static LOGGER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let logger = LOGGER.get_or_try_init(py, || {
        Ok::<_, PyErr>(py.import("logging")?.call_method1("getLogger", ("rclonepool",))?.unbind())
    })?;
    let level: u32 = logger.bind(py).call_method0("getEffectiveLevel")?.extract()?;
    LEVEL.store(level, Ordering::Relaxed);
    Ok(())
}

/// Waits until what was logged has been handed over.
pub(crate) fn flush(py: Python<'_>) {
    if PENDING.load(Ordering::Acquire) == 0 {
        return;
    }
    py.detach(|| {
        let began = Instant::now();
        while PENDING.load(Ordering::Acquire) > 0 && began.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
}

/// A line of the face's own.
pub(crate) fn line(level: u32, text: String) {
    send(Line { logger: "rclonepool", level, text });
}

fn send(line: Line) {
    if line.level < LEVEL.load(Ordering::Relaxed) {
        return;
    }
    if let Some(queue) = &*QUEUE.lock().unwrap_or_else(PoisonError::into_inner) {
        PENDING.fetch_add(1, Ordering::Relaxed);
        if queue.try_send(line).is_err() {
            PENDING.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

struct ToPython;

fn number(level: Level) -> u32 {
    match level {
        Level::ERROR => 40,
        Level::WARN => 30,
        Level::INFO => 20,
        Level::DEBUG => 10,
        Level::TRACE => 5,
    }
}

impl<S: Subscriber> Layer<S> for ToPython {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let target = metadata.target();
        (target.starts_with("rclonepool") || target == "rclone")
            && number(*metadata.level()) >= LEVEL.load(Ordering::Relaxed)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let logger = if event.metadata().target() == "rclone" { "rclonepool.rclone" } else { "rclonepool" };
        let text = text.message + &text.fields;
        send(Line { logger, level: number(*event.metadata().level()), text });
    }
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
