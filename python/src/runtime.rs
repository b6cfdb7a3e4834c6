//! The threads that do the work: one tokio runtime for the process, started when it is first needed.

use std::sync::Mutex;
use std::sync::PoisonError;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Runtime};

/// The process it was started in, and the runtime. It lives as long as the process.
static RUNTIME: Mutex<Option<(u32, &'static Runtime)>> = Mutex::new(None);

/// The runtime of this process. After a fork the child has none of the parent's threads, and gets a runtime of its own.
pub(crate) fn runtime() -> PyResult<&'static Runtime> {
    let mut kept = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    match *kept {
        Some((pid, runtime)) if pid == std::process::id() => Ok(runtime),
        _ => {
            let made = Builder::new_multi_thread().enable_all().thread_name("rclonepool").build()?;
            let made: &'static Runtime = Box::leak(Box::new(made));
            *kept = Some((std::process::id(), made));
            crate::logging::start();
            Ok(made)
        }
    }
}

/// The process something belongs to: its threads, sockets and locks are not those of a fork's child.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Home(u32);

impl Home {
    pub fn here() -> Self {
        Self(std::process::id())
    }

    pub fn is_here(self) -> bool {
        self.0 == std::process::id()
    }

    /// Fails in another process than the one it was made in.
    pub fn check(self) -> PyResult<()> {
        if self.is_here() {
            return Ok(());
        }
        Err(PyRuntimeError::new_err(
            "the pool was opened before this process was forked: open it in the child, or start children with \
             multiprocessing's \"spawn\" method",
        ))
    }
}
