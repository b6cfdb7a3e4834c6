//! The Python face of rclonepool: the extension module `rclonepool._rclonepool`.
//!
//! Thin: it converts arguments, calls `rclonepool-core` and turns errors into exceptions. What
//! Python users import stands in `python/rclonepool/__init__.py`, its types in `_rclonepool.pyi`.

use pyo3::prelude::*;

mod error;

/// The module's initialisation, called by the interpreter on import.
#[pymodule(gil_used = false)]
mod _rclonepool {
    use pyo3::prelude::*;
    use rclonepool_core::path::PoolPath;

    #[pymodule_export]
    use crate::error::RclonePoolError;

    #[pymodule_export]
    #[allow(non_upper_case_globals)] // Python's name for it
    const __version__: &str = env!("CARGO_PKG_VERSION");

    /// The pool path `path` in its canonical form.
    #[pyfunction]
    fn check_path(path: &str) -> PyResult<String> {
        PoolPath::new(path).map(|path| path.to_string()).map_err(crate::error::to_python)
    }
}
