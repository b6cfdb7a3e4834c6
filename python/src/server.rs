//! The server, and the command line: both in this process.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use rclonepool_core::config::{AuthMethod, AuthMethods, UserSettings};
use rclonepool_core::{Config, Error, ErrorKind, Pool, Result};
use rclonepool_server::{Face, Server, hash_password, new_token};
use serde::Deserialize;

use crate::error::{invalid, to_python};
use crate::pool::{localised, open_options};
use crate::runtime::{Home, runtime};
use crate::task::{Task, Value};

/// What a server is started with.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    host: String,
    port: u16,
    ssl_cert_file: Option<PathBuf>,
    ssl_key_file: Option<PathBuf>,
    users: BTreeMap<String, Registered>,
}

/// A user, and the configuration of the pool that is theirs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Registered {
    config: String,
    password: Option<String>,
    settings: UserSettings,
}

impl Start {
    async fn run(self) -> Result<Server> {
        let mut config = Config {
            api_server_host: self.host,
            api_server_port: self.port,
            enable_https: self.ssl_cert_file.is_some(),
            ssl_cert_file: self.ssl_cert_file,
            ssl_key_file: self.ssl_key_file,
            // Nobody is let in without.
            webdav_auth_method: AuthMethods::of(&[AuthMethod::Basic, AuthMethod::ApiKey, AuthMethod::Bearer]),
            ..Config::default()
        };
        let mut pools = Vec::new();
        for (name, user) in self.users {
            if let Some(password) = user.password {
                config.webdav_users.insert(name.clone(), hashed(password).await?);
            }
            config.users.insert(name.clone(), user.settings);
            pools.push((name, user.config));
        }
        let (mut builder, mut open) = (Server::builder(config).faces(&[Face::Api]), Vec::new());
        let started = async {
            for (name, text) in pools {
                // A port of rclone's is that of the pool that was registered.
                let config = Config { rclone_daemon_port: None, ..localised(Config::parse(&text)?)? };
                let pool = Pool::open(&config, &open_options()).await?;
                open.push(pool.clone());
                builder = builder.user_pool(name, pool);
            }
            builder.start().await
        };
        let started = started.await;
        if started.is_err() {
            for pool in open {
                pool.close().await;
            }
        }
        started
    }
}

/// Hashing a password takes a while, on purpose.
async fn hashed(password: String) -> Result<String> {
    let hashing = tokio::task::spawn_blocking(move || hash_password(&password)).await;
    hashing.map_err(|e| Error::new(ErrorKind::Internal, format!("hashing broke: {e}")))?
}

/// A server that runs.
#[pyclass(frozen, module = "rclonepool._rclonepool")]
pub(crate) struct Serving {
    server: Mutex<Option<Server>>,
    home: Home,
    url: String,
    port: u16,
    warnings: Vec<String>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let server = self.server.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        match runtime() {
            Ok(runtime) if self.home.is_here() => {
                let _inside = runtime.enter();
                drop(server);
            }
            // In the child of a fork: listeners and pools are the parent's to end.
            _ => std::mem::forget(server),
        }
    }
}

#[pymethods]
impl Serving {
    /// Starts a server as `request` (JSON) says.
    #[staticmethod]
    fn start(py: Python<'_>, request: &str) -> PyResult<Task> {
        let start: Start = serde_json::from_str(request)
            .map_err(|e| to_python(&invalid(format!("arguments that cannot be used: {e}"))))?;
        Task::spawn(py, |monitor| async move {
            let server = monitor.run(start.run()).await?;
            let at = server.addresses().first().map(|at| (at.url.clone(), at.address.port()));
            let (url, port) = at.ok_or_else(|| Error::new(ErrorKind::Internal, "the server listens nowhere"))?;
            let warnings = server.warnings();
            Ok(Value::Serving(Self { server: Mutex::new(Some(server)), home: Home::here(), url, port, warnings }))
        })
    }

    /// Its address for clients.
    #[getter]
    fn url(&self) -> &str {
        &self.url
    }

    /// The port in use.
    #[getter]
    fn port(&self) -> u16 {
        self.port
    }

    /// What whoever runs it must know.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }

    /// Ends it in order; a second call does nothing.
    fn stop(&self, py: Python<'_>) -> PyResult<Task> {
        self.home.check()?;
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        Task::spawn(py, |_| async move {
            if let Some(server) = server {
                server.shutdown().await;
            }
            Ok(Value::Nothing)
        })
    }
}

/// Makes a token: its text, and what the server keeps of it (JSON).
#[pyfunction]
pub(crate) fn make_token(created: u64) -> PyResult<(String, String)> {
    let (text, kept) = new_token("register_user_pool", created, None, false).map_err(|error| to_python(&error))?;
    let kept = serde_json::to_string(&kept).map_err(|e| to_python(&invalid(e.to_string())))?;
    Ok((text, kept))
}

/// Does what a command line asks for, its first word being the program's name; gives the exit code.
#[pyfunction]
pub(crate) fn command(py: Python<'_>, words: Vec<OsString>) -> u8 {
    py.detach(|| rclonepool_cli::main(&words))
}
