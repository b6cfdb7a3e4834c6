//! From a configuration to an open pool.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;

use super::{Found, InitReport, PlacementSettings, Pool, Settings, init, lifeboat};
use crate::config::{Config, RemoteKind};
use crate::env::{SharedEnv, SystemEnv};
use crate::error::{Error, ErrorKind, Result};
use crate::id::PoolId;
use crate::index::Index;
use crate::journal::{Journal, Rules};
use crate::plugin::{Implementation, Loader, Plugins, StorageBackend};
use crate::remote::rclone::{Rclone, RcloneOptions};
use crate::remote::wrap::{
    Budget, Ledger, LimitOptions, Metrics, PaceOptions, Rate, RetryOptions, StackOptions, TimeoutOptions, stack,
};
use crate::remote::{DirectoryRemote, SharedRemote};

/// All remotes are listed together, and one that is down would hold up the others; it is offline until the next view.
const LIST_RETRIES: u32 = 1;

/// Bytes.
const MB: f64 = 1_048_576.0;

/// What a face gives beside the configuration.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// The environment for rclone: all of this process's but `RCLONE_*`, plus `RCLONE_CONFIG*`.
    pub inherit_env: Vec<(String, String)>,
    /// Ways to run plugins, before that of Python files in child processes.
    pub loaders: Vec<Arc<dyn Loader>>,
}

impl OpenOptions {
    /// The ways to run plugins: those given, then Python files in child processes, where the system has what that
    /// takes.
    pub fn plugin_loaders(&self, config: &Config) -> Vec<Arc<dyn Loader>> {
        let mut loaders = self.loaders.clone();
        #[cfg(unix)]
        loaders.push(Arc::new(crate::plugin::ChildLoader::new(&config.plugin_python, &self.inherit_env)));
        #[cfg(not(unix))]
        let _ = config;
        loaders
    }

    /// The system's directory for temporary files, by the environment given.
    pub fn temp_dir(&self) -> PathBuf {
        let of = |wanted: &&str| self.inherit_env.iter().find(|(name, value)| name == wanted && !value.is_empty());
        let named = ["TMPDIR", "TEMP"].iter().find_map(of);
        named.map_or_else(|| "/tmp".into(), |(_, value)| value.into())
    }
}

/// The configured remotes, wrapped.
pub(super) struct Connected {
    pub remotes: Vec<SharedRemote>,
    pub rclone: Option<Arc<Rclone>>,
    pub metrics: Vec<Arc<Metrics>>,
    pub plugins: Plugins,
    /// Where budgets are kept, once there is an index.
    pub ledger: Arc<OnceLock<Arc<dyn Ledger>>>,
}

/// The remotes of rclone, which is started for the first of them.
#[derive(Debug)]
struct RcloneBackend {
    config: Config,
    options: OpenOptions,
    rclone: tokio::sync::OnceCell<Arc<Rclone>>,
}

#[async_trait]
impl StorageBackend for RcloneBackend {
    async fn connect(&self, label: &str, _: &str) -> Result<SharedRemote> {
        let rclone = self.rclone.get_or_try_init(|| start_rclone(&self.config, &self.options)).await?;
        bare(&self.config, label, Some(rclone)).await
    }
}

/// Starts rclone as the configuration says, for whoever needs it beside a pool (listing its remotes, say).
///
/// # Errors
/// Those of [`Rclone::start`].
pub async fn start_rclone(config: &Config, options: &OpenOptions) -> Result<Arc<Rclone>> {
    let started = RcloneOptions {
        binary: config.rclone_binary.clone(),
        flags: config.rclone_args(),
        config_file: config.rclone_config_file.clone(),
        temp_dir: config.temp_dir.clone(),
        daemon: config.enable_rclone_daemon,
        port: config.rclone_daemon_port,
        ..RcloneOptions::new(options.inherit_env.iter().cloned())
    };
    Rclone::start(started).await
}

pub(super) async fn connect(
    config: &Config,
    labels: &[String],
    options: &OpenOptions,
    env: &SharedEnv,
) -> Result<Connected> {
    let retry = RetryOptions {
        max_retries: config.max_retries,
        list_retries: LIST_RETRIES,
        delay: Duration::try_from_secs_f64(config.retry_delay).unwrap_or_default(),
        ..RetryOptions::default()
    };
    let connections = usize::try_from(config.remote_connections).unwrap_or(1);
    let stacked = StackOptions {
        retry: config.enable_retry.then_some(retry),
        limit: LimitOptions { large: connections, ..LimitOptions::default() },
        timeout: TimeoutOptions { idle: Duration::from_secs(config.operation_timeout), ..TimeoutOptions::default() },
        ..StackOptions::default()
    };
    let [pool_up, pool_down] = [config.bandwidth_limit_upload_mbps, config.bandwidth_limit_download_mbps]
        .map(|mbps| Arc::new(Rate::new(mbps * MB)));
    let settings = config.remote_settings();
    let ledger = Arc::default();
    let mut plugins = Plugins::of(config, &options.plugin_loaders(config))?;
    let rclone = Arc::new(RcloneBackend {
        config: config.clone(),
        options: options.clone(),
        rclone: tokio::sync::OnceCell::new(),
    });
    plugins.registry_mut().build_in("rclone", Implementation::StorageBackend(rclone.clone()));
    let (remotes, metrics) = (Vec::new(), Vec::new());
    let mut connected = Connected { remotes, rclone: None, metrics, plugins, ledger };
    for label in labels {
        let (backend, root) = match RemoteKind::of(label)? {
            RemoteKind::Directory => ("directory", ""),
            RemoteKind::Rclone => ("rclone", ""),
            RemoteKind::Plugin => RemoteKind::plugin(label).unwrap_or_default(),
        };
        let backend = connected.plugins.backend(backend).map_err(|e| e.on_remote(label))?;
        let bare = backend.connect(label, root).await;
        connected.rclone = rclone.rclone.get().cloned();
        let bare = bare?;
        let limits = settings.iter().find(|s| s.label == *label).map(|s| s.limits.clone()).unwrap_or_default();
        let per_day = [limits.upload_per_day, limits.download_per_day];
        let budget = per_day.iter().any(|size| size.0 > 0).then(|| Budget {
            limits: per_day.map(|size| if size.0 > 0 { size.0 } else { u64::MAX }),
            ledger: connected.ledger.clone(),
        });
        let pace = PaceOptions {
            pool_up: pool_up.clone(),
            pool_down: pool_down.clone(),
            up: limits.upload_mbps * MB,
            down: limits.download_mbps * MB,
            requests: limits.requests_per_second,
        };
        let (remote, metrics) = stack(bare, &StackOptions { pace, budget, ..stacked.clone() }, env);
        connected.remotes.push(remote);
        connected.metrics.push(metrics);
    }
    Ok(connected)
}

/// A remote as it is, without wrappers; one of rclone's is looked up, and nothing is asked of it.
///
/// # Errors
/// `Config` for a label that is none, a remote that must encrypt and does not, and where rclone is needed and does not
/// run.
pub(super) async fn bare(config: &Config, label: &str, rclone: Option<&Arc<Rclone>>) -> Result<SharedRemote> {
    match RemoteKind::of(label)? {
        RemoteKind::Directory => return Ok(Arc::new(DirectoryRemote::new(label))),
        RemoteKind::Plugin => {
            return Err(Error::new(ErrorKind::Unsupported, "a plugin keeps it; it is asked where a pool is opened")
                .on_remote(label));
        }
        RemoteKind::Rclone => {}
    }
    let Some(rclone) = rclone else {
        return Err(Error::new(ErrorKind::Config, "rclone is needed for it, and does not run").on_remote(label));
    };
    if config.use_crypt {
        check_crypt(rclone, label).await?;
    }
    Ok(rclone.remote(label))
}

/// Under `use_crypt` nothing goes to a remote that does not encrypt.
async fn check_crypt(rclone: &Rclone, label: &str) -> Result<()> {
    let name = label.split(':').next().unwrap_or_default();
    let found = rclone.remote_config(name).await?;
    let kind = found.as_ref().map(|remote| remote.kind().to_owned());
    if kind.as_deref() == Some("crypt") {
        return Ok(());
    }
    let what = kind.map_or_else(|| "is not in rclone's configuration".into(), |k| format!("is of type {k}, not crypt"));
    Err(Error::new(ErrorKind::Config, format!("use_crypt is on and {what}")).on_remote(label).hint(format!(
        "rclone config create {name} crypt remote=THE_PLAIN_REMOTE:DIRECTORY password=$(rclone obscure PASSWORD)"
    )))
}

impl Settings {
    /// The drivers' part of a configuration.
    pub fn of(config: &Config) -> Self {
        let workers = |parallel: bool| {
            if parallel { usize::try_from(config.max_parallel_workers).unwrap_or(1).max(1) } else { 1 }
        };
        let placement = config.remote_settings().into_iter().map(|r| {
            let settings =
                PlacementSettings { weight: r.weight, priority: r.priority, quota: r.quota, domain: r.domain };
            (r.label, settings)
        });
        Self {
            data_prefix: config.data_prefix.clone(),
            manifest_prefix: config.manifest_prefix.clone(),
            chunk_size: config.chunk_bytes(),
            redundancy: config.redundancy(),
            strategy: config.balancing_strategy,
            placement: placement.collect(),
            upload_workers: workers(config.parallel_uploads),
            download_workers: workers(config.parallel_downloads),
            memory_bytes: config.memory_limit_mb << 20,
            temp_dir: config.temp_dir.clone(),
            commit_quorum: config.commit_quorum,
            auto_heal: config.auto_heal,
            duplicate_detection: config.enable_duplicate_detection,
            deduplication: config.enable_deduplication,
            chunker: config.chunker,
            trash_hours: config.trash_retention_hours,
            sole_writer: config.sole_writer,
            lifeboat: config.enable_lifeboat,
            compression: config.enable_compression.then_some(config.compression_level),
            file_hashes: config.file_hashes.clone(),
            cache_bytes: if config.enable_chunk_cache { config.chunk_cache_size_mb << 20 } else { 0 },
            prefetch_bytes: if config.enable_prefetch {
                config.chunk_size.saturating_mul(config.prefetch_chunks.into())
            } else {
                0
            },
            offer_timeout: Duration::from_secs(config.commit_offer_timeout),
            health_check: config
                .enable_health_monitoring
                .then(|| Duration::from_secs(config.health_check_interval.max(1))),
        }
    }
}

impl Pool {
    /// Opens the pool a configuration describes: connects to its remotes and lists each once.
    ///
    /// # Errors
    /// `Config` and `Unsupported` for what cannot be used; `Unavailable` when no remote carries the
    /// pool's marker.
    pub async fn open(config: &Config, options: &OpenOptions) -> Result<Arc<Self>> {
        let env: SharedEnv = Arc::new(SystemEnv);
        let labels = config.effective_remotes();
        let connected = connect(config, &labels, options, &env).await?;
        let opened = Self::open_connected(config, &connected, options, env).await;
        match opened {
            Ok(mut pool) => {
                pool.rclone = connected.rclone;
                pool.plugins = Arc::new(connected.plugins);
                if pool.plugins.has_handlers() {
                    pool.tell_offline(None, &*pool.view().await);
                }
                pool.metrics = connected.metrics;
                Ok(Arc::new(pool))
            }
            Err(error) => {
                close(connected.rclone).await;
                Err(error)
            }
        }
    }

    async fn open_connected(
        config: &Config,
        connected: &Connected,
        options: &OpenOptions,
        env: SharedEnv,
    ) -> Result<Self> {
        let mut settings = Settings::of(config);
        settings.temp_dir.get_or_insert_with(|| options.temp_dir());
        let pool = match config.pool_id {
            Some(pool) => pool,
            None => init::identify(&settings.manifest_prefix, &connected.remotes).await?,
        };
        let index = Arc::new(open_index(config, pool)?);
        // Nothing has been counted before.
        let _ = connected.ledger.set(index.clone());
        let journal = Journal::new(pool, &settings.manifest_prefix, connected.remotes.clone(), index, env.clone())?;
        Self::over(journal, settings, env).await
    }

    /// Makes the pool a configuration describes: a marker on every remote, then the first commit. Run
    /// again it changes nothing.
    ///
    /// # Errors
    /// `AlreadyExists` when a remote belongs to another pool; those of the remotes, all of which must be
    /// online.
    pub async fn init(config: &Config, options: &OpenOptions) -> Result<InitReport> {
        let env: SharedEnv = Arc::new(SystemEnv);
        let connected = connect(config, &config.effective_remotes(), options, &env).await?;
        let made = init::init(&Settings::of(config), &connected.remotes, config.pool_id, &env, Rules::default()).await;
        if config.enable_lifeboat && made.as_ref().is_ok_and(|report| report.created) {
            lifeboat::launch(&connected.remotes, &config.manifest_prefix).await;
        }
        close(connected.rclone).await;
        made
    }

    /// Finds an existing pool from any of its remotes; of `config` only what leads to them is used.
    ///
    /// # Errors
    /// `NotFound` when none of them carries a marker; those of the remotes.
    pub async fn find(config: &Config, labels: &[String], options: &OpenOptions) -> Result<Found> {
        let env: SharedEnv = Arc::new(SystemEnv);
        let connected = connect(config, labels, options, &env).await?;
        let found = init::find(&config.manifest_prefix, &connected.remotes, &env).await;
        close(connected.rclone).await;
        found
    }
}

fn open_index(config: &Config, pool: PoolId) -> Result<Index> {
    if config.enable_manifest_cache { Index::open(&config.manifest_cache_dir, pool) } else { Index::temporary() }
}

async fn close(rclone: Option<Arc<Rclone>>) {
    if let Some(rclone) = rclone {
        rclone.close().await;
    }
}
