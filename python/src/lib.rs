//! The Python face of rclonepool: the extension module `rclonepool._rclonepool`.
//!
//! Thin: it converts arguments, calls `rclonepool-core` and turns errors into exceptions. Every operation is a task,
//! which the package's Python side waits for in a thread or in an event loop. What Python users import stands in
//! `python/rclonepool`, the types of this module in `_rclonepool.pyi`.

use pyo3::prelude::*;

mod call;
mod entry;
mod error;
mod file;
mod logging;
mod members;
mod plugin;
mod pool;
mod remote;
mod runtime;
mod server;
mod task;

/// The module's initialisation, called by the interpreter on import.
#[pymodule(gil_used = false)]
mod _rclonepool {
    use pyo3::prelude::*;
    use rclonepool_core::path::PoolPath;

    #[pymodule_export]
    use crate::entry::PoolEntry;
    #[pymodule_export]
    use crate::file::{Reader, Writer};
    #[pymodule_export]
    use crate::pool::Engine;
    #[pymodule_export]
    use crate::remote::{Daemon, edit_config};
    #[pymodule_export]
    use crate::server::{Serving, command, make_token};
    #[pymodule_export]
    use crate::task::{Progress, Task};

    #[pymodule_export]
    #[allow(non_upper_case_globals)] // Python's name for it
    const __version__: &str = env!("CARGO_PKG_VERSION");

    /// The pool path `path` in its canonical form.
    #[pyfunction]
    fn check_path(path: &str) -> PyResult<String> {
        PoolPath::new(path).map(|path| path.to_string()).map_err(|error| crate::error::to_python(&error))
    }
}
