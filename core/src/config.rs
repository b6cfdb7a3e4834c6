//! The configuration: one plain struct, its checks, its JSON schema, and edits of its file.
//!
//! [`Config::parse`] reads JSON and finds every problem at once; the struct's attributes are the
//! one source of names, defaults, ranges and descriptions, for errors, schema and documentation
//! alike. Nothing here reads the environment or `$HOME`: callers find the file, and
//! [`Config::expand_home`] takes the home directory.
//!
//! To add a key: a field here with its default, a rule in `validate.rs` if its range is not
//! enough, and a run of the documentation test with `RCLONEPOOL_UPDATE_DOCS=1`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::PoolId;
use crate::redundancy::RedundancyMode;
use crate::stage::place::Strategy;

mod effective;
mod flags;
mod forms;
mod keys;
mod label;
mod load;
mod plugins;
mod show;
mod types;
mod users;
mod validate;

pub mod edit;
pub mod members;

#[cfg(test)]
mod tests;

pub use edit::ConfigFile;
pub use effective::RemoteSettings;
pub use keys::{KeyDoc, reference};
pub use label::{RemoteKind, redact_remote};
pub use load::Problem;
pub use plugins::PluginSettings;
pub use show::Notice;
pub use types::{AuthMethod, AuthMethods, ByteSize, Chunker, FileHash, LogLevel, RemoteLimits};
pub use users::{TokenSettings, UserSettings};

/// The settings of a pool, as the configuration file gives them.
///
/// Made by [`Config::parse`], or as `Config { remotes, ..Config::default() }` and checked by
/// [`Config::validate`].
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "rclonepool configuration", description = "Settings of a pool of rclone remotes and directories.")]
pub struct Config {
    /// Where the pool's objects live, one entry for each remote: an rclone remote such as
    /// `mega1:` or `s3:bucket/dir`, or the absolute path of a directory.
    #[schemars(length(min = 1))]
    #[schemars(extend("x-allowed" = "a list of at least one rclone remote (mega1:) or absolute directory (/mnt/disk1)"))]
    pub remotes: Vec<String>,

    /// The id of the pool; only remotes whose marker carries it are used. Written by `init`.
    #[schemars(with = "Option<String>", regex(pattern = "^[0-9a-f]{32}$"))]
    #[schemars(extend("x-allowed" = "32 lower-case hex digits"))]
    pub pool_id: Option<PoolId>,

    /// Size of the chunks a file is cut into: the unit of placement and coding.
    #[schemars(range(min = 65_536, max = 4_294_967_296_u64), extend("x-unit" = "bytes"))]
    pub chunk_size: u64,

    /// Where files are cut into chunks: `fixed` after every `chunk_size` bytes, `fastcdc` where their content says so,
    /// at most `chunk_size` and about a fifth of it, so that what is inserted in a file changes few of its chunks.
    pub chunker: Chunker,

    /// Directory on every remote for shards.
    #[schemars(length(min = 1, max = 200), regex(pattern = "^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$"))]
    #[schemars(extend("x-allowed" = "a relative path of letters, digits, '.', '_', '-' and '/', without '..'"))]
    pub data_prefix: String,

    /// Directory on every remote for the pool's marker and journal.
    #[schemars(length(min = 1, max = 200), regex(pattern = "^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$"))]
    #[schemars(extend("x-allowed" = "a relative path of letters, digits, '.', '_', '-' and '/', without '..'"))]
    pub manifest_prefix: String,

    /// Whether data and journal go to `crypt_remotes` in place of `remotes`. Never falls back to
    /// plain. With `false`, `remotes` are used as they are, and may be crypt remotes themselves.
    pub use_crypt: bool,

    /// The crypt remotes for `use_crypt`: the i-th wraps the i-th of `remotes`. Empty: `crypt-NAME:`
    /// for each remote `NAME:`.
    #[schemars(extend("x-allowed" = "a list of rclone remotes, empty or as long as remotes"))]
    pub crypt_remotes: Vec<String>,

    /// Directory for staging files, used only where anonymous memory files cannot serve: the system has
    /// none, or a stored chunk is larger than `memory_limit_mb`. Unset: the system's directory for temporary files.
    #[schemars(extend("x-allowed" = "an absolute path, or one that begins with ~/"))]
    pub temp_dir: Option<PathBuf>,

    /// The rclone program.
    #[schemars(length(min = 1), extend("x-allowed" = "a program's name, an absolute path, or a path that begins with ~/"))]
    pub rclone_binary: PathBuf,

    /// rclone's configuration file. Unset: rclone's own default.
    #[schemars(extend("x-allowed" = "an absolute path, or one that begins with ~/"))]
    pub rclone_config_file: Option<PathBuf>,

    /// More flags for rclone's command line. Flags that break the pool's safety are refused by name.
    #[schemars(extend("x-allowed" = "a list of rclone flags, such as [\"--fast-list\", \"--bwlimit=10M\"]"))]
    pub rclone_flags: Vec<String>,

    /// Whether one long-lived rclone serves all operations; `false` starts a process for each.
    pub enable_rclone_daemon: bool,

    /// TCP port on 127.0.0.1 for the long-lived rclone, guarded by random credentials. Unset: a
    /// private Unix socket (where there are none: a free port).
    #[schemars(range(min = 1, max = 65_535))]
    pub rclone_daemon_port: Option<u16>,

    /// Transfers of shards at a time on one remote.
    #[schemars(range(min = 1, max = 64))]
    pub remote_connections: u32,

    /// How long a remote may be silent during a call before the call is given up.
    #[schemars(range(min = 1, max = 86_400), extend("x-unit" = "seconds"))]
    pub operation_timeout: u64,

    /// How long a command waits at its end for slow remotes to take its commits, once enough have.
    #[schemars(range(min = 0, max = 3_600), extend("x-unit" = "seconds"))]
    pub commit_offer_timeout: u64,

    /// The memory for transfer buffers and the block cache together. What cannot hold two chunks, coded, makes the
    /// chunks of new files smaller than `chunk_size`.
    #[schemars(range(min = 16, max = 1_048_576), extend("x-unit" = "MiB"))]
    pub memory_limit_mb: u64,

    /// How many remotes must hold a commit before it is acknowledged. Unset: more than half of the
    /// remotes, and one more than the redundancy tolerates to lose.
    #[schemars(range(min = 1, max = 1_000))]
    pub commit_quorum: Option<u32>,

    /// Whether failed calls are made again where that may help.
    pub enable_retry: bool,

    /// How often a failed call is made again.
    #[schemars(range(min = 0, max = 100))]
    pub max_retries: u32,

    /// The pause before the first retry; it doubles with each, with jitter.
    #[schemars(range(min = 0.0, max = 3_600.0), extend("x-unit" = "seconds"))]
    pub retry_delay: f64,

    /// Whether the index of the pool is kept between runs; `false`: in a private temporary file.
    pub enable_manifest_cache: bool,

    /// Directory for the index of the pool; may be deleted at any time.
    #[schemars(extend("x-allowed" = "an absolute path, or one that begins with ~/"))]
    pub manifest_cache_dir: PathBuf,

    /// Whether an upload skips files that the pool already holds.
    pub enable_duplicate_detection: bool,

    /// How long deleted and overwritten files can be brought back with `trash restore`; 0: not at all.
    /// The trash is emptied earlier, oldest first, where a remote runs short of space.
    #[schemars(range(min = 0, max = 876_000), extend("x-unit" = "hours"))]
    pub trash_retention_hours: u64,

    /// Whether no other machine ever writes to the pool: `gc` and `orphans` then free space at once, where
    /// nothing is being uploaded and all remotes are online, and not after a grace of 24 hours.
    pub sole_writer: bool,

    /// Whether each remote gets a copy of the format's description and of a small reader in Python when it joins, so that
    /// the pool can be restored with nothing but them and rclone.
    pub enable_lifeboat: bool,

    /// Whether an upload moves several shards at a time.
    pub parallel_uploads: bool,

    /// Whether a download moves several shards at a time.
    pub parallel_downloads: bool,

    /// How many chunks are worked on at a time.
    #[schemars(range(min = 1, max = 256))]
    pub max_parallel_workers: u32,

    /// Whether verified blocks are kept in memory for later reads.
    pub enable_chunk_cache: bool,

    /// The most memory the block cache takes, within `memory_limit_mb`.
    #[schemars(range(min = 1, max = 1_048_576), extend("x-unit" = "MiB"))]
    pub chunk_cache_size_mb: u64,

    /// Whether sequential reads fetch ahead.
    pub enable_prefetch: bool,

    /// How many chunks a sequential read fetches ahead at most.
    #[schemars(range(min = 0, max = 64))]
    pub prefetch_chunks: u32,

    /// Whether commands show progress bars.
    pub show_progress: bool,

    /// Whole-file hashes kept beside the SHA-256 of each extent.
    #[schemars(extend("uniqueItems" = true, "x-allowed" = "a list of sha256, md5, sha1, none of them twice"))]
    pub file_hashes: Vec<FileHash>,

    /// How the remotes of a chunk are chosen.
    pub balancing_strategy: Strategy,

    /// Share of new data of a remote relative to the others; 1 where not given.
    #[schemars(extend("x-allowed" = "a map of remotes to numbers above 0, at most 1,000,000"))]
    #[schemars(extend("additionalProperties" = {"type": "number", "exclusiveMinimum": 0, "maximum": 1_000_000}))]
    pub remote_weights: BTreeMap<String, f64>,

    /// Remotes of higher priority are filled first; 0 where not given.
    #[schemars(extend("x-allowed" = "a map of remotes to whole numbers"))]
    pub remote_priorities: BTreeMap<String, i64>,

    /// How much the pool may store on a remote. Needed where the remote does not tell its size.
    #[schemars(extend("x-allowed" = "a map of remotes to sizes: bytes above 0, or texts such as 15GiB (powers of 1,024)"))]
    pub remote_quotas: BTreeMap<String, ByteSize>,

    /// How much a remote may be used.
    #[schemars(extend("x-allowed" = "a map of remotes to objects of upload_mbps, download_mbps (MB/s, 1 MB = 2^20 bytes), requests_per_second, upload_per_day, download_per_day (sizes such as 750GiB; a day begins at 00:00 UTC); 0 or left out is unlimited"))]
    pub remote_limits: BTreeMap<String, RemoteLimits>,

    /// Remotes of one domain are expected to fail together (accounts of one owner, disks of one
    /// machine): shards of one chunk go to different domains where there are enough.
    #[schemars(extend("x-allowed" = "a map of remotes to names of domains, not empty"))]
    pub failure_domains: BTreeMap<String, String>,

    /// Whether data is moved between remotes when their fills differ by more than
    /// `rebalance_threshold`.
    pub auto_rebalance: bool,

    /// The difference between the largest and the smallest fill that starts a rebalancing.
    #[schemars(range(min = 0.1, max = 100.0), extend("x-unit" = "percentage points"))]
    pub rebalance_threshold: f64,

    /// The redundancy of new files.
    pub redundancy_mode: RedundancyMode,

    /// Copies of every chunk (replication) or of every shard (hybrid).
    #[schemars(range(min = 1, max = 16))]
    pub replication_factor: u8,

    /// Data shards of a chunk (parity and hybrid).
    #[schemars(range(min = 1, max = 254))]
    pub parity_data_shards: u8,

    /// Parity shards of a chunk (parity and hybrid); data and parity together at most 255.
    #[schemars(range(min = 1, max = 254))]
    pub parity_parity_shards: u8,

    /// Whether long-lived processes check the pool's health.
    pub enable_health_monitoring: bool,

    /// Whether long-lived processes rebuild shards that reads find damaged.
    pub auto_heal: bool,

    /// The time between health checks.
    #[schemars(range(min = 1, max = 31_536_000), extend("x-unit" = "seconds"))]
    pub health_check_interval: u64,

    /// Whether content the pool already holds is stored once.
    pub enable_deduplication: bool,

    /// Whether new chunks are compressed (zstd) where that makes them smaller. What is stored already stays as it is.
    pub enable_compression: bool,

    /// How hard compression tries; high levels take much longer and save little more.
    #[schemars(range(min = 1, max = 22))]
    pub compression_level: u8,

    /// Upload limit of the whole pool, of one process (1 MB = 2^20 bytes); 0 is unlimited.
    #[schemars(range(min = 0.0, max = 1_000_000.0), extend("x-unit" = "MB/s"))]
    pub bandwidth_limit_upload_mbps: f64,

    /// Download limit of the whole pool, of one process (1 MB = 2^20 bytes); 0 is unlimited.
    #[schemars(range(min = 0.0, max = 1_000_000.0), extend("x-unit" = "MB/s"))]
    pub bandwidth_limit_download_mbps: f64,

    /// Address the WebDAV server listens on.
    #[schemars(length(min = 1, max = 253), extend("x-allowed" = "an IP address or a host name, without a port"))]
    pub webdav_host: String,

    /// Port of the WebDAV server.
    #[schemars(range(min = 1, max = 65_535))]
    pub webdav_port: u16,

    /// How clients of the servers sign in.
    #[schemars(extend("x-allowed" = "none, basic, api_key or bearer, or a list of these without none"))]
    pub webdav_auth_method: AuthMethods,

    /// The servers' users and the Argon2id hashes of their passwords. Set by `rclonepool user add`.
    #[schemars(extend("x-allowed" = "a map of user names to Argon2id hashes made by `rclonepool user add NAME`"))]
    pub webdav_users: BTreeMap<String, String>,

    /// What the servers' users may do, their quotas, their own pools and their tokens. Set by `rclonepool user`.
    #[schemars(extend("x-allowed" = "a map of user names to objects of config (the configuration of the user's own pool; left out: this one), quota (a size), quota_files, read_only, tokens"))]
    pub users: BTreeMap<String, UserSettings>,

    /// Path below which a reverse proxy offers the servers, such as `/pool`; whether the proxy takes it off or not.
    #[schemars(length(max = 200), regex(pattern = "^(/[A-Za-z0-9._~-]+)*$"))]
    #[schemars(extend("x-allowed" = "empty, or a path that begins with / and does not end with it"))]
    pub server_base_path: String,

    /// Reverse proxies whose `X-Forwarded-*` headers are believed.
    #[schemars(extend("x-allowed" = "a list of IP addresses"))]
    pub trusted_proxies: Vec<std::net::IpAddr>,

    /// Web pages of other origins that may use the REST API.
    #[schemars(extend("x-allowed" = "a list of origins, such as https://app.example"))]
    pub cors_origins: Vec<String>,

    /// How long a stopping server waits for requests and jobs that are under way, before it breaks them off.
    #[schemars(range(min = 0, max = 3_600), extend("x-unit" = "seconds"))]
    pub shutdown_timeout: u64,

    /// How often a server looks for what other machines wrote.
    #[schemars(range(min = 1, max = 86_400), extend("x-unit" = "seconds"))]
    pub sync_interval: u64,

    /// Whether the servers speak HTTPS.
    pub enable_https: bool,

    /// The servers' certificate (PEM). Unset, with `ssl_key_file`: a self-signed one is made.
    #[schemars(extend("x-allowed" = "an absolute path, or one that begins with ~/"))]
    pub ssl_cert_file: Option<PathBuf>,

    /// The certificate's private key (PEM).
    #[schemars(extend("x-allowed" = "an absolute path, or one that begins with ~/"))]
    pub ssl_key_file: Option<PathBuf>,

    /// Whether `serve` offers the web page.
    pub enable_webui: bool,

    /// Whether `serve` also starts the REST server.
    pub enable_api_server: bool,

    /// Address the REST server listens on.
    #[schemars(length(min = 1, max = 253), extend("x-allowed" = "an IP address or a host name, without a port"))]
    pub api_server_host: String,

    /// Port of the REST server.
    #[schemars(range(min = 1, max = 65_535))]
    pub api_server_port: u16,

    /// Directories of the server's machine that the REST API may read files from (`local_path`, `local_source`).
    #[schemars(extend("x-allowed" = "a list of absolute paths, or such that begin with ~/"))]
    pub api_local_roots: Vec<PathBuf>,

    /// Whether plugins are loaded; each must be enabled, too.
    pub enable_plugins: bool,

    /// Directory of plugins.
    #[schemars(extend("x-allowed" = "an absolute path, or one that begins with ~/"))]
    pub plugins_dir: PathBuf,

    /// Plugins that are known: whether each is in force, its file in `plugins_dir`, and its own configuration. Set by
    /// `rclonepool plugins`.
    #[schemars(extend("x-allowed" = "a map of ids (balancer:custom_balancer) to objects of enabled, file, read_only (it serves data that needs it, and is not used for new data) and config (an object for the plugin); of balancer, chunker and compression one may be enabled"))]
    pub plugins: BTreeMap<String, PluginSettings>,

    /// How long a plugin may take to start, and for each call.
    #[schemars(range(min = 0.1, max = 3_600.0), extend("x-unit" = "seconds"))]
    pub plugin_timeout: f64,

    /// The Python (3.10 or later) that runs plugins.
    #[schemars(length(min = 1), extend("x-allowed" = "a program's name, an absolute path, or a path that begins with ~/"))]
    pub plugin_python: PathBuf,

    /// How much is logged.
    #[schemars(extend("x-allowed" = "off, error (or critical), warning, info, debug or trace, in any case"))]
    pub log_level: LogLevel,

    /// Whether `serve` offers metrics for Prometheus.
    pub enable_metrics: bool,

    /// Address the metrics are offered on.
    #[schemars(length(min = 1, max = 253), extend("x-allowed" = "an IP address or a host name, without a port"))]
    pub metrics_host: String,

    /// Port of the metrics.
    #[schemars(range(min = 1, max = 65_535))]
    pub metrics_port: u16,

    /// The keys the file gives, as opposed to defaults; no key itself.
    #[serde(skip)]
    pub given: BTreeSet<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            remotes: Vec::new(),
            pool_id: None,
            chunk_size: 104_857_600,
            chunker: Chunker::Fixed,
            data_prefix: "rclonepool_data".into(),
            manifest_prefix: "rclonepool_manifests".into(),
            use_crypt: false,
            crypt_remotes: Vec::new(),
            temp_dir: None,
            rclone_binary: "rclone".into(),
            rclone_config_file: None,
            rclone_flags: Vec::new(),
            enable_rclone_daemon: true,
            rclone_daemon_port: None,
            remote_connections: 4,
            operation_timeout: 120,
            commit_offer_timeout: 15,
            memory_limit_mb: 512,
            commit_quorum: None,
            enable_retry: true,
            max_retries: 3,
            retry_delay: 1.0,
            enable_manifest_cache: true,
            manifest_cache_dir: "~/.cache/rclonepool".into(),
            enable_duplicate_detection: true,
            trash_retention_hours: 24,
            sole_writer: false,
            enable_lifeboat: true,
            parallel_uploads: true,
            parallel_downloads: true,
            max_parallel_workers: 4,
            enable_chunk_cache: true,
            chunk_cache_size_mb: 500,
            enable_prefetch: true,
            prefetch_chunks: 2,
            show_progress: true,
            file_hashes: Vec::new(),
            balancing_strategy: Strategy::LeastUsed,
            remote_weights: BTreeMap::new(),
            remote_priorities: BTreeMap::new(),
            remote_quotas: BTreeMap::new(),
            remote_limits: BTreeMap::new(),
            failure_domains: BTreeMap::new(),
            auto_rebalance: false,
            rebalance_threshold: 10.0,
            redundancy_mode: RedundancyMode::None,
            replication_factor: 2,
            parity_data_shards: 3,
            parity_parity_shards: 1,
            enable_health_monitoring: true,
            auto_heal: true,
            health_check_interval: 3600,
            enable_deduplication: false,
            enable_compression: false,
            compression_level: crate::stage::compress::DEFAULT_LEVEL,
            bandwidth_limit_upload_mbps: 0.0,
            bandwidth_limit_download_mbps: 0.0,
            webdav_host: "127.0.0.1".into(),
            webdav_port: 8080,
            webdav_auth_method: AuthMethods::default(),
            webdav_users: BTreeMap::new(),
            users: BTreeMap::new(),
            server_base_path: String::new(),
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            shutdown_timeout: 30,
            sync_interval: 60,
            enable_https: false,
            ssl_cert_file: None,
            ssl_key_file: None,
            enable_webui: true,
            enable_api_server: false,
            api_server_host: "127.0.0.1".into(),
            api_server_port: 8081,
            api_local_roots: Vec::new(),
            enable_plugins: true,
            plugins_dir: "~/.config/rclonepool/plugins".into(),
            plugins: BTreeMap::new(),
            plugin_timeout: 5.0,
            plugin_python: "python3".into(),
            log_level: LogLevel::Info,
            enable_metrics: false,
            metrics_host: "127.0.0.1".into(),
            metrics_port: 9090,
            given: BTreeSet::new(),
        }
    }
}
