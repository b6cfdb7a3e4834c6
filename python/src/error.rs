//! Errors of the core as Python exceptions.

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

create_exception!(rclonepool, RclonePoolError, PyException, "What rclonepool raises; the text says what to do.");

/// The exception for `error`, with its `kind` and whether it is `retryable` as attributes.
pub(crate) fn to_python(error: rclonepool_core::Error) -> PyErr {
    let exception = RclonePoolError::new_err(error.to_string());
    Python::attach(|py| {
        let value = exception.value(py);
        let kind = serde_json::to_value(error.kind()).unwrap_or_default();
        value.setattr("kind", kind.as_str().unwrap_or("internal"))?;
        value.setattr("retryable", error.is_retryable())
    })
    .map_or_else(|failed| failed, |()| exception)
}
