//! The operations that take plain arguments and give a report: read from JSON, done, given back as JSON.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rclonepool_core::pool::care::{EmptyOptions, GcOptions, HealthOptions, RebuildOptions, VerifyLevel, VerifyOptions};
use rclonepool_core::pool::{DeleteOptions, DownloadOptions, Filter, LinkPolicy, Source, UploadOptions};
use rclonepool_core::redundancy::Redundancy;
use rclonepool_core::{Error, Monitor, Pool, PoolPath, Result};
use serde::Deserialize;

use crate::error::invalid;
use crate::members::Membership;
use crate::task::Value;

/// An operation and its arguments.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Call {
    Upload(Upload),
    Download(Download),
    Rm { path: String, recursive: bool, purge: bool },
    Mv { source: String, target: String, overwrite: bool },
    Cp { source: String, target: String, overwrite: bool },
    Mkdir { path: String },
    Manifest { path: String },
    Verify { path: String, level: VerifyLevel, sample: Option<f64>, list: usize },
    Health { path: String, lost: Vec<String>, list: usize },
    Rebuild { path: Option<String>, all: bool, accept_loss: bool, dry_run: bool },
    Convert { path: String, redundancy: String, dry_run: bool },
    Repair { path: String, source: PathBuf, dry_run: bool },
    Rebalance { target_variance: f64, dry_run: bool },
    BalanceStatus,
    Orphans { delete: bool, min_age: Option<f64>, accept_loss: bool },
    Gc { min_age: Option<f64>, accept_loss: bool },
    Trash { path: Option<String> },
    Restore { path: String, to: Option<String> },
    EmptyTrash { path: Option<String>, older_than: Option<f64> },
    CacheStats,
    Status,
    Sync,
    WriteSettings,
    Membership(Membership),
}

/// The arguments of an upload.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upload {
    sources: Vec<PathBuf>,
    path: String,
    force: bool,
    checksum: bool,
    include: Vec<String>,
    exclude: Vec<String>,
    links: String,
    dry_run: bool,
    content_type: Option<String>,
    mtime_ns: Option<i64>,
}

/// The arguments of a download.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Download {
    path: String,
    target: PathBuf,
    force: bool,
    include: Vec<String>,
    exclude: Vec<String>,
    dry_run: bool,
}

fn path(text: Option<String>) -> Result<Option<PoolPath>> {
    text.as_deref().map(PoolPath::new).transpose()
}

fn seconds(number: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(number).map_err(|e| invalid(format!("{number} seconds: {e}")))
}

impl Call {
    /// Whether its items are files; those of other operations are chunks.
    pub fn is_of_files(&self, pool: &Pool) -> bool {
        match self {
            Self::Upload(call) => !matches!(call.sources.as_slice(), [one] if one.is_file()),
            Self::Download(call) => {
                PoolPath::new(&call.path).and_then(|path| pool.is_directory(&path)).unwrap_or_default()
            }
            _ => false,
        }
    }

    /// Does it.
    pub async fn run(self, pool: Arc<Pool>, monitor: Monitor) -> Result<Value> {
        match self {
            Self::Upload(call) => call.run(&pool, &monitor).await,
            Self::Download(call) => call.run(&pool, &monitor).await,
            Self::Rm { path, recursive, purge } => {
                let options = DeleteOptions { recursive, purge, ..DeleteOptions::default() };
                Value::json(&monitor.run(pool.delete_with(&PoolPath::new(&path)?, &options)).await?)
            }
            Self::Mv { source, target, overwrite } => {
                let (source, target) = (PoolPath::new(&source)?, PoolPath::new(&target)?);
                Value::json(&monitor.run(pool.rename(&source, &target, overwrite)).await?)
            }
            Self::Cp { source, target, overwrite } => {
                let (source, target) = (PoolPath::new(&source)?, PoolPath::new(&target)?);
                Value::json(&monitor.run(pool.copy(&source, &target, overwrite)).await?)
            }
            Self::Mkdir { path } => Value::json(&monitor.run(pool.mkdir(&PoolPath::new(&path)?)).await?),
            Self::Manifest { path } => Value::json(&monitor.run(pool.stat(&PoolPath::new(&path)?)).await?),
            Self::Status => Value::json(&monitor.run(pool.status()).await?),
            Self::BalanceStatus => Value::json(&monitor.run(pool.balance_status()).await?),
            Self::WriteSettings => Value::json(&monitor.run(pool.write_settings()).await?),
            Self::CacheStats => Value::json(&pool.cache_stats()),
            Self::Membership(change) => change.run(&pool, &monitor).await,
            Self::Sync => {
                let view = monitor.run(pool.sync()).await?;
                Value::json(&serde_json::json!({"complete": view.complete, "lacks": view.lacks}))
            }
            Self::Trash { path: below } => Value::json(&pool.trash(path(below)?.as_ref())?),
            Self::Restore { path: from, to } => {
                let to = path(to)?;
                Value::json(&monitor.run(pool.restore(&PoolPath::new(&from)?, None, to.as_ref())).await?)
            }
            Self::EmptyTrash { path: below, older_than } => {
                let options = EmptyOptions { path: path(below)?, older_than: older_than.map(seconds).transpose()? };
                monitor.run(pool.empty_trash(&options)).await.map(Value::Number)
            }
            care => care.care(pool, monitor).await,
        }
    }

    /// Does what keeps a pool whole. Plans are raced with the wish to stop; what performs them winds up by itself, so
    /// that what is finished is kept.
    async fn care(self, pool: Arc<Pool>, monitor: Monitor) -> Result<Value> {
        match self {
            Self::Verify { path, level, sample, list } => {
                let options = VerifyOptions { path: PoolPath::new(&path)?, level, sample, list };
                let report = pool.verify(&options, &monitor).await?;
                let mut json = json_of(&report)?;
                json["outcome"] = json_of(&report.outcome())?;
                Value::json(&json)
            }
            Self::Health { path, lost, list } => {
                let options = HealthOptions { path: PoolPath::new(&path)?, lost, list };
                Value::json(&monitor.run(pool.health(&options)).await?)
            }
            Self::Rebuild { path: below, all, accept_loss, dry_run } => {
                let options = RebuildOptions { path: path(below)?, all, accept_loss };
                let plan = monitor.run(pool.plan_rebuild(&options, &monitor)).await?;
                if dry_run { Value::json(&plan) } else { Value::json(&pool.rebuild(&plan, &monitor).await?) }
            }
            Self::Convert { path, redundancy, dry_run } => {
                let redundancy: Redundancy = redundancy.parse()?;
                let plan = pool.plan_convert(&PoolPath::new(&path)?, redundancy)?;
                if dry_run { Value::json(&plan) } else { Value::json(&pool.convert(&plan, &monitor).await?) }
            }
            Self::Repair { path, source, dry_run } => {
                Value::json(&pool.repair(&PoolPath::new(&path)?, &source, dry_run, &monitor).await?)
            }
            Self::Rebalance { target_variance, dry_run } => {
                let plan = monitor.run(pool.plan_rebalance(target_variance)).await?;
                if dry_run { Value::json(&plan) } else { Value::json(&pool.rebalance(&plan, &monitor).await?) }
            }
            Self::Orphans { delete, min_age, accept_loss } => {
                let options = GcOptions { min_age: min_age.map(seconds).transpose()?, accept_loss };
                if delete {
                    Value::json(&pool.free_orphans(&options, &monitor).await?)
                } else {
                    Value::json(&monitor.run(pool.orphans(&options, &monitor)).await?)
                }
            }
            Self::Gc { min_age, accept_loss } => {
                let options = GcOptions { min_age: min_age.map(seconds).transpose()?, accept_loss };
                Value::json(&pool.gc(&options, &monitor).await?)
            }
            other => Err(invalid(format!("{other:?} is no care"))),
        }
    }
}

pub(crate) fn json_of(value: &impl serde::Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(value).map_err(|e| Error::new(rclonepool_core::ErrorKind::Internal, e.to_string()))
}

impl Upload {
    async fn run(self, pool: &Arc<Pool>, monitor: &Monitor) -> Result<Value> {
        let options = UploadOptions {
            force: self.force,
            checksum: self.checksum,
            filter: Filter::new(&self.include, &self.exclude)?,
            links: match self.links.as_str() {
                "skip" => LinkPolicy::Skip,
                "store" => LinkPolicy::Store,
                "follow" => LinkPolicy::Follow,
                other => return Err(invalid(format!("links={other:?}: skip, store or follow"))),
            },
            dry_run: self.dry_run,
            content_type: self.content_type,
            mtime_ns: self.mtime_ns,
            ..UploadOptions::default()
        };
        let into = self.path.ends_with('/');
        let target = PoolPath::new(&self.path)?;
        let report = match self.sources.as_slice() {
            [one] if metadata(one)?.is_file() => {
                let target = if into { named(one, &target)? } else { target };
                monitor.run(pool.upload(Source::File(one.clone()), &target, &options, monitor)).await?
            }
            [one] => monitor.run(pool.upload_all(&[(one.clone(), target)], &options, monitor)).await?,
            several => {
                let placed = several.iter().map(|source| {
                    metadata(source)?;
                    Ok((source.clone(), named(source, &target)?))
                });
                let placed = placed.collect::<Result<Vec<_>>>()?;
                monitor.run(pool.upload_all(&placed, &options, monitor)).await?
            }
        };
        Value::json(&report)
    }
}

fn metadata(source: &Path) -> Result<std::fs::Metadata> {
    std::fs::metadata(source).map_err(|e| Error::io("cannot read", e).at_path(source.display()))
}

/// The path of a local file in a pool directory.
fn named(source: &Path, directory: &PoolPath) -> Result<PoolPath> {
    let name = source.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        invalid("it has no name that can stand in a pool path")
            .at_path(source.display())
            .hint("give the whole path it shall have")
    })?;
    directory.join(name)
}

impl Download {
    async fn run(self, pool: &Arc<Pool>, monitor: &Monitor) -> Result<Value> {
        let options = DownloadOptions {
            force: self.force,
            filter: Filter::new(&self.include, &self.exclude)?,
            dry_run: self.dry_run,
        };
        let path = PoolPath::new(&self.path)?;
        // `dir/` is a directory, also one that does not exist yet.
        let into = self.target.as_os_str().to_string_lossy().ends_with(std::path::is_separator);
        let is_file = pool.entry(&path)?.is_some_and(|entry| !entry.content.is_directory());
        let target = if into && is_file { self.target.join(path.name()) } else { self.target };
        Value::json(&monitor.run(pool.download(&path, &target, &options, monitor)).await?)
    }
}
