//! An open pool, as `rclonepool.Pool` and `rclonepool.AsyncPool` stand on it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use rclonepool_core::pool::{OpenOptions, Source, UploadOptions};
use rclonepool_core::{Config, Error, ErrorKind, Monitor, Pool, PoolPath, Result};

use crate::call::Call;
use crate::entry::PoolEntry;
use crate::error::{invalid, to_python};
use crate::file::{Owner, Pipe, Reader, Writer};
use crate::remote;
use crate::runtime::{Home, runtime};
use crate::task::{Task, Value};

/// An open pool.
#[pyclass(frozen, module = "rclonepool._rclonepool")]
pub(crate) struct Engine {
    pool: RwLock<Option<Arc<Pool>>>,
    owner: Owner,
    id: String,
}

impl Engine {
    fn new(pool: Arc<Pool>) -> Self {
        let id = pool.id().to_string();
        let owner = Owner { home: Home::here(), closed: Arc::new(AtomicBool::new(false)) };
        Self { pool: RwLock::new(Some(pool)), owner, id }
    }

    fn pool(&self) -> PyResult<Arc<Pool>> {
        self.owner.check()?;
        let pool = self.pool.read().unwrap_or_else(PoisonError::into_inner).clone();
        pool.ok_or_else(|| pyo3::exceptions::PyValueError::new_err("the pool is closed"))
    }

    /// Asks the index, without the interpreter.
    fn ask<T: Send>(&self, py: Python<'_>, ask: impl FnOnce(&Arc<Pool>) -> Result<T> + Send) -> PyResult<T> {
        let pool = self.pool()?;
        py.detach(|| ask(&pool)).map_err(|error| to_python(&error))
    }

    fn upload_task(
        &self,
        py: Python<'_>,
        path: &str,
        content_type: Option<String>,
        make: impl FnOnce() -> Result<Source> + Send + 'static,
    ) -> PyResult<Task> {
        let (pool, path) = (self.pool()?, path.to_owned());
        Task::spawn(py, |monitor| async move { upload(pool, path, content_type, make()?, monitor).await })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let pool = self.pool.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        match runtime() {
            Ok(runtime) if self.owner.home.is_here() => {
                let _inside = runtime.enter();
                drop(pool);
            }
            // In the child of a fork: rclone and the index are the parent's to end.
            _ => std::mem::forget(pool),
        }
    }
}

async fn upload(
    pool: Arc<Pool>,
    path: String,
    content_type: Option<String>,
    source: Source,
    monitor: Monitor,
) -> Result<Value> {
    let path = PoolPath::new(&path)?;
    let options = UploadOptions { content_type, ..UploadOptions::default() };
    let uploading = pool.upload(source, &path, &options, &monitor);
    Value::json(&monitor.run(uploading).await?)
}

#[pymethods]
impl Engine {
    /// Opens the pool that the configuration (JSON) describes; with `create` makes it first, unless it is there.
    #[staticmethod]
    fn open(py: Python<'_>, config: String, create: bool) -> PyResult<Task> {
        Task::spawn(py, move |monitor| async move {
            let (config, options) = (localised(Config::parse(&config)?)?, open_options());
            if create {
                monitor.run(Pool::init(&config, &options)).await?;
            }
            monitor.run(Pool::open(&config, &options)).await.map(|pool| Value::Engine(Self::new(pool)))
        })
    }

    /// The pool's id.
    #[getter]
    fn id(&self) -> &str {
        &self.id
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.owner.closed.load(Ordering::Relaxed)
    }

    /// Offers the last commits to slow remotes and stops rclone; a second call does nothing.
    fn close(&self, py: Python<'_>) -> PyResult<Task> {
        self.owner.home.check()?;
        self.owner.closed.store(true, Ordering::Relaxed);
        let pool = self.pool.write().unwrap_or_else(PoisonError::into_inner).take();
        Task::spawn(py, |monitor| async move {
            if let Some(pool) = pool {
                let closing = async {
                    pool.close().await;
                    Ok(())
                };
                monitor.run(closing).await?;
            }
            Ok(Value::Nothing)
        })
    }

    /// Starts the operation that `request` (JSON, with its name as `op`) asks for.
    fn call(&self, py: Python<'_>, request: &str) -> PyResult<Task> {
        let pool = self.pool()?;
        let call: Call = serde_json::from_str(request)
            .map_err(|e| to_python(&invalid(format!("arguments that cannot be used: {e}"))))?;
        let counts_files = call.is_of_files(&pool);
        Task::spawn(py, move |monitor| call.run(pool, monitor)).map(|task| task.counting_files(counts_files))
    }

    /// What a path holds; `None` when it holds nothing.
    fn entry(&self, py: Python<'_>, path: &str) -> PyResult<Option<PoolEntry>> {
        self.ask(py, |pool| entry(pool, path))
    }

    /// What lies directly in a directory, or with `recursive` everything below it.
    #[pyo3(signature = (path, recursive = false))]
    fn list(&self, py: Python<'_>, path: &str, recursive: bool) -> PyResult<Vec<PoolEntry>> {
        self.ask(py, |pool| list(pool, path, recursive))
    }

    /// As `list`, as a task.
    fn list_task(&self, py: Python<'_>, path: String, recursive: bool) -> PyResult<Task> {
        let pool = self.pool()?;
        Task::spawn(py, move |_| async move {
            let listing = tokio::task::spawn_blocking(move || list(&pool, &path, recursive)).await;
            let listed = listing.map_err(|e| Error::new(ErrorKind::Internal, format!("a listing broke: {e}")))?;
            listed.map(Value::Entries)
        })
    }

    /// Opens a file for reading.
    fn reader(&self, py: Python<'_>, path: &str) -> PyResult<Reader> {
        let owner = self.owner.clone();
        self.ask(py, |pool| Ok(Reader::new(pool.open_file(&PoolPath::new(path)?)?, owner)))
    }

    /// A file to be written.
    #[pyo3(signature = (path, content_type = None))]
    fn writer(&self, py: Python<'_>, path: &str, content_type: Option<String>) -> PyResult<Writer> {
        // What is wrong with the path is said before anything is written.
        self.ask(py, |pool| {
            let path = PoolPath::new(path)?;
            if pool.is_directory(&path)? {
                return Err(Error::new(ErrorKind::AlreadyExists, "is a directory").at_path(path));
            }
            Ok(())
        })?;
        let (pool, path) = (self.pool()?, path.to_owned());
        Writer::start(py, self.owner.clone(), |pipe: Pipe, monitor| {
            upload(pool, path, content_type, Source::Stream(Box::new(pipe)), monitor)
        })
    }

    /// Stores bytes.
    #[pyo3(signature = (path, data, content_type = None))]
    fn write(
        &self,
        py: Python<'_>,
        path: &str,
        data: &Bound<'_, PyAny>,
        content_type: Option<String>,
    ) -> PyResult<Task> {
        let bytes = bytes_of(data)?;
        self.upload_task(py, path, content_type, || Ok(Source::Bytes(bytes)))
    }

    /// Stores an object on one remote, beside the pool's own.
    fn remote_put(&self, py: Python<'_>, remote: String, name: String, data: &Bound<'_, PyAny>) -> PyResult<Task> {
        let (pool, bytes) = (self.pool()?, bytes_of(data)?);
        Task::spawn(py, |monitor| async move { monitor.run(remote::put(pool, remote, name, bytes)).await })
    }

    /// Reads an object of one remote.
    fn remote_get(&self, py: Python<'_>, remote: String, name: String) -> PyResult<Task> {
        let pool = self.pool()?;
        Task::spawn(py, |monitor| async move { monitor.run(remote::get(pool, remote, name)).await })
    }

    /// The size of an object of one remote, `None` where it is absent.
    fn remote_size(&self, py: Python<'_>, remote: String, name: String) -> PyResult<Task> {
        let pool = self.pool()?;
        Task::spawn(py, |monitor| async move { monitor.run(remote::size(pool, remote, name)).await })
    }

    /// Removes an object of one remote that is not the pool's.
    fn remote_delete(&self, py: Python<'_>, remote: String, name: String) -> PyResult<Task> {
        let pool = self.pool()?;
        Task::spawn(py, |monitor| async move { monitor.run(remote::delete(pool, remote, name)).await })
    }
}

/// A copy of the bytes of any object that has some.
fn bytes_of(data: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    match data.cast::<pyo3::types::PyBytes>() {
        Ok(bytes) => Ok(Bytes::copy_from_slice(bytes.as_bytes())),
        Err(_) => Ok(Bytes::from(PyBuffer::<u8>::get(data)?.to_vec(data.py())?)),
    }
}

fn entry(pool: &Pool, path: &str) -> Result<Option<PoolEntry>> {
    let path = PoolPath::new(path)?;
    if let Some(entry) = pool.entry(&path)? {
        return Ok(Some(PoolEntry::new(&entry)));
    }
    Ok(pool.is_directory(&path)?.then(|| PoolEntry::directory(&path)))
}

fn list(pool: &Pool, path: &str, recursive: bool) -> Result<Vec<PoolEntry>> {
    let path = PoolPath::new(path)?;
    if !recursive {
        return Ok(pool.list(&path)?.iter().map(PoolEntry::listed).collect());
    }
    let mut found = Vec::new();
    pool.walk(&path, |entry| {
        // Not the directory itself, where it has a manifest of its own.
        if entry.path != path {
            found.push(PoolEntry::new(&entry));
        }
        Ok(())
    })?;
    Ok(found)
}

/// Puts this machine's directories in their places.
pub(crate) fn localised(mut config: Config) -> Result<Config> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(cache) = cache.filter(|_| !config.given.contains("manifest_cache_dir")) {
        config.manifest_cache_dir = cache.join("rclonepool");
    }
    if let Some(home) = std::env::home_dir().filter(|path| path.is_absolute()) {
        config.expand_home(&home);
    } else if config.enable_manifest_cache && config.manifest_cache_dir.starts_with("~") {
        return Err(Error::new(ErrorKind::Config, "there is no home directory to keep the index in")
            .hint("set manifest_cache_dir, or enable_manifest_cache to false"));
    }
    Ok(config)
}

/// The environment for rclone.
pub(crate) fn open_options() -> OpenOptions {
    let ours =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let harmless = |name: &str| !name.starts_with("RCLONE_") || name.starts_with("RCLONE_CONFIG");
    let loaders = vec![crate::plugin::loader(), rclonepool_plugin_native::loader()];
    OpenOptions { inherit_env: ours.filter(|(name, _)| harmless(name)).collect(), loaders }
}
