//! Single remotes beside the pool's own objects, rclone by itself, and the configuration file.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use pyo3::prelude::*;
use rclonepool_core::config::ConfigFile;
use rclonepool_core::pool::start_rclone;
use rclonepool_core::remote::rclone::Rclone;
use rclonepool_core::remote::{Body, SharedRemote, read_whole};
use rclonepool_core::{Config, Error, ErrorKind, Pool, Result};

use crate::error::{invalid, to_python};
use crate::pool::{localised, open_options};
use crate::runtime::Home;
use crate::task::{Task, Value};

/// The remote of a name, as the configuration has it.
fn remote_of(pool: &Pool, name: &str) -> Result<SharedRemote> {
    let found = pool.journal().remotes().iter().find(|remote| remote.label() == name).cloned();
    found.ok_or_else(|| Error::new(ErrorKind::NotFound, "the pool has no such remote").on_remote(name))
}

/// What is the pool's own is changed by the pool alone.
fn check_foreign(pool: &Pool, name: &str) -> Result<()> {
    let settings = pool.settings();
    let is_below = |prefix: &str| name == prefix || name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
    if is_below(&settings.data_prefix) || is_below(&settings.manifest_prefix) {
        return Err(invalid("is where the pool keeps its own objects").at_path(name));
    }
    Ok(())
}

/// Stores an object beside the pool's.
pub(crate) async fn put(pool: Arc<Pool>, remote: String, name: String, data: Bytes) -> Result<Value> {
    check_foreign(&pool, &name)?;
    remote_of(&pool, &remote)?.put(&name, &Body::Bytes(data)).await.map(|()| Value::Nothing)
}

/// Reads an object.
pub(crate) async fn get(pool: Arc<Pool>, remote: String, name: String) -> Result<Value> {
    let remote = remote_of(&pool, &remote)?;
    read_whole(&*remote, &name).await.map(|bytes| Value::Bytes(vec![bytes]))
}

/// The size of an object, if it is there.
pub(crate) async fn size(pool: Arc<Pool>, remote: String, name: String) -> Result<Value> {
    Value::json(&remote_of(&pool, &remote)?.stat(&name).await?)
}

/// Removes an object that is not the pool's.
pub(crate) async fn delete(pool: Arc<Pool>, remote: String, name: String) -> Result<Value> {
    check_foreign(&pool, &name)?;
    remote_of(&pool, &remote)?.delete(&name).await.map(|()| Value::Nothing)
}

/// rclone, started as a configuration says.
#[pyclass(frozen, module = "rclonepool._rclonepool")]
pub(crate) struct Daemon(Mutex<Option<Arc<Rclone>>>, Home);

impl Drop for Daemon {
    fn drop(&mut self) {
        // In the child of a fork: rclone is the parent's to end.
        if !self.1.is_here() {
            std::mem::forget(self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take());
        }
    }
}

#[pymethods]
impl Daemon {
    /// Starts rclone as the configuration (JSON) says.
    #[staticmethod]
    fn start(py: Python<'_>, config: String) -> PyResult<Task> {
        Task::spawn(py, move |monitor| async move {
            let (config, options) = (localised(Config::parse(&config)?)?, open_options());
            let rclone = monitor.run(start_rclone(&config, &options)).await?;
            Ok(Value::Daemon(Self(Mutex::new(Some(rclone)), Home::here())))
        })
    }

    /// Stops it; a second call does nothing.
    fn stop(&self, py: Python<'_>) -> PyResult<Task> {
        self.1.check()?;
        let rclone = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        Task::spawn(py, |_| async move {
            if let Some(rclone) = rclone {
                rclone.close().await;
            }
            Ok(Value::Nothing)
        })
    }
}

/// Sets keys (JSON) in the configuration file at `path`, and leaves the others as they are.
#[pyfunction]
pub(crate) fn edit_config(path: PathBuf, keys: &str) -> PyResult<()> {
    let edit = || {
        let keys: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(keys).map_err(|e| invalid(format!("keys that cannot be used: {e}")))?;
        let mut file = ConfigFile::load(&path)?;
        keys.into_iter().for_each(|(key, value)| file.set(&key, value));
        file.save()
    };
    edit().map_err(|error| to_python(&error))
}
