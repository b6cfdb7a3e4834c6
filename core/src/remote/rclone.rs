//! rclone remotes: one rclone process of our own serves them all.
//!
//! `rclone rcd` listens on a socket in a private directory and is asked over HTTP. An object is put
//! by letting rclone copy it from a sealed memfd of ours (its path is below `/proc`), read through
//! rclone's own object server, and everything else goes by remote-control calls. That costs about
//! a hundredth of a process per operation, and one log-in per remote instead of one per call.
//! Without the daemon, each operation is a process: see `command`.
//!
//! Trap: a process that can talk to rclone's remote control can do whatever the user can, so the
//! socket lies in a directory of mode 0700; a TCP port gets random credentials.

mod body;
mod classify;
mod command;
mod config;
mod connect;
mod environment;
mod log;
mod object;
mod process;
mod rc;
mod read;
mod redact;
mod run_dir;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

pub use config::RemoteConfig;
pub use environment::Version;

use super::SharedRemote;
use crate::error::{Error, ErrorKind, Result};
use process::Daemon;

/// A daemon that lived this long is not one that cannot live.
const STABLE: Duration = Duration::from_secs(60);

/// How to run rclone.
#[derive(Clone)]
pub struct RcloneOptions {
    /// Name or path of the program (`rclone_binary`); a name is looked for in `PATH` of `inherit_env`.
    pub binary: PathBuf,
    /// Further arguments (`rclone_flags`), before our own; whoever takes them from a user refuses
    /// those that break safety, such as `--dry-run` or `--ignore-size`.
    pub flags: Vec<String>,
    /// The configuration file, where it is not the one rclone finds by itself.
    pub config_file: Option<PathBuf>,
    /// For the socket and, where a memfd cannot serve, for objects on their way. Made with mode
    /// 0700 when it does not exist. Its path must be short: systems allow about 100 bytes for a
    /// socket's. `None` takes what `inherit_env` names for such files (`XDG_RUNTIME_DIR`, `TMPDIR`), else /tmp.
    pub temp_dir: Option<PathBuf>,
    /// One long-lived rclone (`enable_rclone_daemon`); otherwise a process per operation.
    pub daemon: bool,
    /// Listen on this port of 127.0.0.1 with random credentials (`rclone_daemon_port`) instead of
    /// on a private socket.
    pub port: Option<u16>,
    /// Hand objects to rclone through `/proc` where that works. `false` writes each to `temp_dir` first.
    pub memfd: bool,
    /// The environment rclone gets. This library reads none, so the caller passes its own: all of it.
    /// Variables `RCLONE_*` other than `RCLONE_CONFIG*` (the configuration, its password, remotes
    /// defined in the environment) are dropped here: they act on the daemon, down to
    /// `RCLONE_DRY_RUN`, with which a put answers well and stores nothing.
    pub inherit_env: Vec<(String, String)>,
}

impl RcloneOptions {
    /// The defaults: `rclone` from `PATH`, as a daemon on a private socket.
    pub fn new(inherit_env: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            binary: "rclone".into(),
            flags: vec![],
            config_file: None,
            temp_dir: None,
            daemon: true,
            port: None,
            memfd: true,
            inherit_env: inherit_env.into_iter().collect(),
        }
    }
}

impl std::fmt::Debug for RcloneOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the environment: it may hold the password of rclone's configuration. Flags may, too.
        f.debug_struct("RcloneOptions")
            .field("binary", &self.binary)
            .field("config_file", &self.config_file)
            .field("temp_dir", &self.temp_dir)
            .field("daemon", &self.daemon)
            .field("port", &self.port)
            .field("memfd", &self.memfd)
            .finish_non_exhaustive()
    }
}

/// rclone, started and watched.
///
/// A daemon that dies is started again, sooner or later depending on how often it died; operations
/// in flight fail with `Unavailable`, which the retry wrapper repeats. Without [`Rclone::close`] the
/// process ends when the last remote is dropped, when the runtime ends, or when we are killed.
#[derive(Debug)]
pub struct Rclone(Arc<Inner>);

impl Rclone {
    /// Starts rclone and checks that it can serve. Needs a tokio runtime with I/O and time.
    ///
    /// # Errors
    /// `Config` when rclone is missing, too old or refuses its arguments, or `temp_dir` cannot be used;
    /// `Unavailable` when it does not come up.
    pub async fn start(options: RcloneOptions) -> Result<Arc<Self>> {
        let rclone = Self(Arc::new(Inner {
            options,
            closed: AtomicBool::new(false),
            configuring: Mutex::new(()),
            slot: Mutex::new(Slot { current: None, generation: 0, failures: 0, not_before: Instant::now() }),
        }));
        if rclone.0.options.daemon {
            rclone.0.daemon().await?;
        } else {
            environment::check_version(&rclone.0.options).await?;
        }
        Ok(Arc::new(rclone))
    }

    /// The remote that rclone calls `label`: `name:`, `name:directory` or a connection string.
    /// Nothing is asked of it yet.
    pub fn remote(&self, label: &str) -> SharedRemote {
        let inner = Arc::clone(&self.0);
        match self.0.options.daemon {
            true => Arc::new(object::RcloneRemote::new(inner, label)),
            false => Arc::new(command::RcloneCommandRemote::new(inner, label)),
        }
    }

    /// The version that runs.
    ///
    /// # Errors
    /// As [`Rclone::start`].
    pub async fn version(&self) -> Result<Version> {
        match self.0.options.daemon {
            true => Ok(self.0.daemon().await?.version),
            false => environment::check_version(&self.0.options).await,
        }
    }

    /// The process id of the daemon, where one runs.
    pub async fn pid(&self) -> Option<u32> {
        let slot = self.0.slot.lock().await;
        slot.current.as_ref().filter(|daemon| daemon.is_alive()).map(|daemon| daemon.pid)
    }

    /// Ends rclone, which gets 15 s for what it is doing. Remotes fail with `Cancelled` from here on.
    pub async fn close(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
        self.0.stop_daemon().await;
    }
}

/// What all remotes share.
#[derive(Debug)]
struct Inner {
    options: RcloneOptions,
    closed: AtomicBool,
    slot: Mutex<Slot>,
    /// Held while rclone's configuration is used: without `daemon` the process runs for that call alone.
    configuring: Mutex<()>,
}

/// The daemon that runs, or when to start the next one.
#[derive(Debug)]
struct Slot {
    current: Option<Arc<Daemon>>,
    /// Counts daemons.
    generation: u64,
    /// Daemons in a row that died young.
    failures: u32,
    not_before: Instant,
}

impl Inner {
    /// The daemon; started, or started again, if need be.
    async fn daemon(&self) -> Result<Arc<Daemon>> {
        self.check_open()?;
        let mut slot = self.slot.lock().await;
        if let Some(daemon) = &slot.current {
            if daemon.is_alive() {
                return Ok(Arc::clone(daemon));
            }
            tracing::warn!(pid = daemon.pid, end = daemon.last_words(), "rclone ended and is started again");
            slot.failures = if daemon.started.elapsed() < STABLE { slot.failures + 1 } else { 1 };
            slot.back_off();
            slot.current = None;
        }
        tokio::time::sleep_until(slot.not_before).await;
        self.check_open()?;
        slot.generation += 1;
        match Daemon::start(&self.options, slot.generation).await {
            Ok(daemon) => {
                let daemon = Arc::new(daemon);
                slot.current = Some(Arc::clone(&daemon));
                Ok(daemon)
            }
            Err(error) => {
                slot.failures += 1;
                slot.back_off();
                Err(error)
            }
        }
    }

    async fn stop_daemon(&self) {
        let daemon = self.slot.lock().await.current.take();
        if let Some(daemon) = daemon {
            daemon.stop().await;
        }
    }

    fn check_open(&self) -> Result<()> {
        match self.closed.load(Ordering::SeqCst) {
            true => Err(Error::new(ErrorKind::Cancelled, "rclone was closed")),
            false => Ok(()),
        }
    }
}

impl Slot {
    /// 0.1 s after the first failure, twice that after each further one, 30 s at most.
    fn back_off(&mut self) {
        let wait = Duration::from_millis(100).saturating_mul(1 << self.failures.saturating_sub(1).min(10));
        self.not_before = Instant::now() + wait.min(Duration::from_secs(30));
    }
}
