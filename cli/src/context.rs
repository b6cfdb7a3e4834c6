//! What every command works with: the configuration, the pool, the user's wish to stop.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rclonepool_core::config::{LogLevel, redact_remote};
use rclonepool_core::journal::RemoteStatus;
use rclonepool_core::pool::OpenOptions;
use rclonepool_core::{Config, Error, ErrorKind, Monitor, Pool, Result};
use tokio_util::sync::CancellationToken;

use crate::args::Global;
use crate::ui::{Ui, describe_all};
use crate::{log, notify};

/// A wait that is longer is explained.
const PATIENCE: Duration = Duration::from_secs(2);

/// What every command works with.
#[derive(Clone)]
pub struct Context {
    pub ui: Arc<Ui>,
    pub global: Global,
    /// Cancelled by Ctrl-C.
    pub cancel: CancellationToken,
}

impl Context {
    /// Where the configuration is, or would be.
    ///
    /// # Errors
    /// `InvalidArgument` when neither `--config` nor a home directory says.
    pub fn config_path(&self) -> Result<PathBuf> {
        if let Some(path) = self.global.config.as_ref().filter(|path| !path.as_os_str().is_empty()) {
            return Ok(path.clone());
        }
        let base = match directory("XDG_CONFIG_HOME") {
            Some(base) => base,
            None => home()?.join(".config"),
        };
        Ok(base.join("rclonepool").join("config.json"))
    }

    /// The configuration in force. Starts logging, and says once what has no effect.
    ///
    /// # Errors
    /// `Config`: there is none, or it is wrong.
    pub fn config(&self) -> Result<Config> {
        self.config_for(LogLevel::Warning)
    }

    /// As [`Context::config`], with another level of the log where neither file nor command line says one.
    ///
    /// # Errors
    /// As [`Context::config`].
    pub fn config_for(&self, level: LogLevel) -> Result<Config> {
        let path = self.config_path()?;
        let config = Config::load(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => first_run(&path),
            _ => error,
        })?;
        let config = self.localise(config)?;
        self.log_as(&config, level);
        if !config.show_progress {
            self.ui.hide_progress();
        }
        let notices = config.notices();
        match notices.as_slice() {
            [] => {}
            [one] => self.ui.warn(&one.message),
            several => {
                let keys: Vec<&str> = several.iter().map(|notice| notice.key.as_str()).collect();
                self.ui.warn(&format!(
                    "{} keys of the configuration have no effect in this version: {} (`rclonepool config validate` says more)",
                    keys.len(),
                    keys.join(", ")
                ));
            }
        }
        Ok(config)
    }

    /// Logs as the configuration says, else at a level.
    pub fn log_as(&self, config: &Config, level: LogLevel) {
        let level = if config.given.contains("log_level") { config.log_level } else { level };
        log::start(&self.ui, self.global.verbose, level);
    }

    /// Puts this machine's directories in their places.
    ///
    /// # Errors
    /// `Config` when a path needs the home directory and there is none.
    pub fn localise(&self, mut config: Config) -> Result<Config> {
        if !config.given.contains("manifest_cache_dir")
            && let Some(cache) = directory("XDG_CACHE_HOME")
        {
            config.manifest_cache_dir = cache.join("rclonepool");
        }
        if let Ok(home) = home() {
            config.expand_home(&home);
        } else if config.enable_manifest_cache && config.manifest_cache_dir.starts_with("~") {
            // Nothing to keep an index in, and nothing said about where.
            config.enable_manifest_cache = false;
        }
        Ok(config)
    }

    /// Opens the pool, warns of what is amiss with it, does `work` and closes it, whatever happened.
    ///
    /// # Errors
    /// Those of opening and of the work; `Cancelled`.
    pub async fn with_pool<T>(&self, config: &Config, work: impl AsyncFnOnce(&Arc<Pool>) -> Result<T>) -> Result<T> {
        let pool = self.stoppable(Pool::open(config, &open_options())).await?;
        self.report_view(&pool).await;
        let known = pool.damage().map_or(0, |found| found.len());
        let done = work(&pool).await;
        self.report_damage(&pool, known);
        self.close(&pool).await;
        done
    }

    /// Closes the pool, which gives slow remotes some time to take the last commits.
    async fn close(&self, pool: &Pool) {
        let stopped = self.cancel.is_cancelled();
        let mut closing = std::pin::pin!(pool.close());
        if tokio::time::timeout(PATIENCE, &mut closing).await.is_ok() {
            return;
        }
        self.ui.log(
            "note",
            "waiting for slow remotes to take the last changes; Ctrl-C ends the wait, and they get them next time",
        );
        tokio::select! {
            () = closing => {}
            // A wish to stop that came before was for the work.
            () = self.cancel.cancelled(), if !stopped => {}
        }
    }

    /// Does `work` unless the user stops it.
    ///
    /// # Errors
    /// `Cancelled`, or those of the work.
    pub async fn stoppable<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.silent_monitor().run(work).await
    }

    /// Makes a change unless the user stops it.
    ///
    /// # Errors
    /// `Cancelled`, or those of the change.
    pub async fn change<T>(&self, change: impl Future<Output = Result<T>>) -> Result<T> {
        self.stoppable(change).await.map_err(|error| match error.kind() {
            ErrorKind::Cancelled => {
                Error::new(ErrorKind::Cancelled, "interrupted: the change may have been made, or may not")
            }
            _ => error,
        })
    }

    /// Stops when the user says so, and reports nothing.
    pub fn silent_monitor(&self) -> Monitor {
        Monitor::new(Arc::new(|_| ()), self.cancel.clone())
    }

    /// Stops when the user says so, and passes notices on.
    pub fn notices(&self) -> Monitor {
        let ui = self.ui.clone();
        let listener = move |event: &rclonepool_core::monitor::Event| {
            if let rclonepool_core::monitor::Event::Notice { message } = event {
                ui.log("note", message);
            }
        };
        Monitor::new(Arc::new(listener), self.cancel.clone())
    }

    async fn report_view(&self, pool: &Pool) {
        let view = pool.view().await;
        for status in &view.remotes {
            if let RemoteStatus::Offline(error) = status {
                self.ui.warn(&describe_all(error));
            }
        }
        if let Some(error) = &view.later_format {
            self.ui.warn(error);
        } else if !view.complete {
            self.ui.warn(&format!("what is shown may be out of date: {}", view.lacks.join("; ")));
        }
    }

    /// Says that damage was found that was not known before.
    fn report_damage(&self, pool: &Pool, known: usize) {
        let found = pool.damage().map_or(0, |found| found.len());
        if found > known {
            let shards = crate::format::count((found - known) as u64, "damaged shard");
            let them = if found - known == 1 { "it" } else { "them" };
            // A plain rebuild leaves alone what is missing where too much is.
            let how = match pool.would_be_suspect() {
                Ok(remotes) if remotes.is_empty() => format!("`rclonepool rebuild` restores {them}"),
                Ok(remotes) => {
                    let names: Vec<_> = remotes.iter().map(|name| redact_remote(name)).collect();
                    format!(
                        "much is missing on {}: see that it is what it should be; `rclonepool rebuild --all \
                         --accept-loss` restores {them}",
                        crate::format::printable(&names.join(", "))
                    )
                }
                Err(_) => "see `rclonepool verify`".into(),
            };
            self.ui.warn(&format!("found {shards}; {how}"));
        }
    }

    /// Says that a change was acknowledged on less than a view.
    pub async fn report_stale(&self, pool: &Pool, stale: bool) {
        if stale {
            let lacks = pool.view().await.lacks.join("; ");
            // What was lacking while it was done may be there again.
            let lacks = if lacks.is_empty() { lacks } else { format!(" ({lacks})") };
            self.ui.warn(&format!(
                "done with too few remotes to be sure of the newest state{lacks}: another machine's change may \
                 have been missed, and fewer losses are survived until the others have it"
            ));
        }
    }
}

/// What to do where there is no configuration yet.
pub fn first_run(path: &Path) -> Error {
    Error::new(ErrorKind::Config, format!("there is no pool yet: no configuration {}", path.display())).hint(
        "`rclone config` tells rclone of your accounts, `rclonepool init` makes a pool of them (it asks its questions on \
         a terminal); `rclonepool init --from REMOTE` finds a pool that exists; --config names another file; \
         `rclonepool doctor` says what is missing",
    )
}

/// A directory that an environment variable gives; relative ones are void, as the XDG specification says.
fn directory(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

fn home() -> Result<PathBuf> {
    std::env::home_dir().filter(|path| path.is_absolute()).ok_or_else(|| {
        Error::new(ErrorKind::Config, "there is no home directory").hint("set HOME, or name the file with --config")
    })
}

/// The environment rclone gets.
pub fn open_options() -> OpenOptions {
    let ours =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let harmless = |name: &str| !name.starts_with("RCLONE_") || name.starts_with("RCLONE_CONFIG");
    let ours = ours.filter(|(name, _)| harmless(name) && name != notify::SOCKET);
    OpenOptions { inherit_env: ours.collect(), loaders: vec![rclonepool_plugin_native::loader()] }
}
