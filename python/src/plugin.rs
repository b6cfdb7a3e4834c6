//! Plugins in this process: Python files that the interpreter runs, without a child in between.
//!
//! What runs here cannot be ended when it hangs; the programs run plugins in processes of their own.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rclonepool_core::plugin::{Answer, Fault, Instance, Loader, Metadata, PAYLOAD_BYTES_MAX, PluginId};
use serde_json::{Map, Value, json};

/// Runs Python files in this interpreter.
pub(crate) fn loader() -> Arc<dyn Loader> {
    Arc::new(Here)
}

#[derive(Debug)]
struct Here;

/// The Python side's host for one plugin.
struct Host(Py<PyAny>);

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Host in this process")
    }
}

/// Does something with the interpreter, unless that is at its end.
fn attached<T>(work: impl FnOnce(Python<'_>) -> PyResult<T>) -> Result<T, Fault> {
    let done = Python::try_attach(|py| work(py).map_err(|error| raised(py, &error)));
    done.unwrap_or_else(|| Err(Fault::broken("the interpreter is at its end")))
}

fn raised(py: Python<'_>, error: &PyErr) -> Fault {
    let kind = error.get_type(py).name().map_or_else(|_| "Exception".into(), |name| name.to_string());
    let text = error.value(py).str().map_or_else(|_| String::new(), |text| text.to_string());
    let message = if text.is_empty() { kind.clone() } else { text.chars().take(2000).collect() };
    Fault::Raised { kind, message }
}

impl Host {
    fn new() -> Result<Self, Fault> {
        attached(|py| Ok(Self(py.import("rclonepool.plugin_system")?.getattr("Host")?.call0()?.unbind())))
    }

    fn ask(&self, method: &str, args: &Value, data: &[u8]) -> Result<Answer, Fault> {
        attached(|py| {
            let answer =
                self.0.bind(py).call_method1("call_json", (method, args.to_string(), PyBytes::new(py, data)))?;
            let (value, data): (String, Bound<'_, PyBytes>) = answer.extract()?;
            if data.as_bytes().len() > PAYLOAD_BYTES_MAX {
                return Err(PyException::new_err(format!("more than {PAYLOAD_BYTES_MAX} bytes")));
            }
            let value = serde_json::from_str(&value).map_err(|e| PyException::new_err(e.to_string()))?;
            Ok(Answer { value, data: data.as_bytes().to_vec() })
        })
    }
}

impl Loader for Here {
    fn takes(&self, file: &Path) -> bool {
        file.extension().is_some_and(|extension| extension == "py")
    }

    fn describe(&self, file: &Path, _: Duration) -> Result<Vec<Metadata>, Fault> {
        let answer = Host::new()?.ask("describe", &json!({ "path": file.display().to_string() }), &[])?;
        serde_json::from_value(answer.value).map_err(|e| Fault::Broken(format!("its metadata is wrong: {e}")))
    }

    fn start(
        &self,
        file: &Path,
        id: &PluginId,
        config: &Map<String, Value>,
        _: Duration,
    ) -> Result<(Box<dyn Instance>, Metadata), Fault> {
        let host = Host::new()?;
        let args = json!({"path": file.display().to_string(), "kind": id.kind, "name": id.name, "config": config});
        let answer = host.ask("start", &args, &[])?;
        let metadata =
            serde_json::from_value(answer.value).map_err(|e| Fault::Broken(format!("its metadata is wrong: {e}")))?;
        Ok((Box::new(host), metadata))
    }
}

impl Instance for Host {
    fn call(&mut self, method: &str, args: Value, data: &[u8], time: Duration) -> Result<Answer, Fault> {
        let since = Instant::now();
        let answer = self.ask(method, &args, data)?;
        // It cannot be ended; but who is late like that is not asked for ever.
        if since.elapsed() > time {
            return Err(Fault::Broken(format!("took {:.1} s", since.elapsed().as_secs_f64())));
        }
        Ok(answer)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // What it raises now helps nobody.
        let _ = self.ask("shutdown", &json!({}), &[]);
    }
}
