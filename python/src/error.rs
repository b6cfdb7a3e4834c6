//! Errors of the core as Python exceptions; the classes stand in `rclonepool/exceptions.py`.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use rclonepool_core::{Error, ErrorKind};

/// The exception for `error`: the class of its kind, with all that the core says as attributes.
pub(crate) fn to_python(error: &Error) -> PyErr {
    Python::attach(|py| match make(py, error) {
        Ok(exception) => PyErr::from_value(exception),
        Err(failed) => failed,
    })
}

fn make<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyAny>> {
    static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let make =
        MAKE.get_or_try_init(py, || Ok::<_, PyErr>(py.import("rclonepool.exceptions")?.getattr("make")?.into()))?;
    let kind = serde_json::to_value(error.kind()).unwrap_or_default();
    let parts = (
        kind.as_str().unwrap_or("internal"),
        error.to_string(),
        error.is_retryable(),
        error.remote(),
        error.path(),
        error.next_step(),
    );
    make.bind(py).call1(parts)
}

pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}
