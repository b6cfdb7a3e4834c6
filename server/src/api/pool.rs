//! The pool as a whole.

use std::collections::BTreeMap;

use axum::Json;
use rclonepool_core::config::redact_remote;
use rclonepool_core::pool::care::{HealthOptions, HealthReport};
use rclonepool_core::pool::{RemoteReport, RemoteState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::input::{Params, pool_path};
use crate::auth::Who;
use crate::problem::Problem;

/// The pool at a glance.
#[derive(Debug, Serialize, ToSchema)]
pub struct Status {
    /// The pool's id.
    pub pool: String,
    /// Version of the server.
    pub version: &'static str,
    /// Files.
    pub files: u64,
    /// Their bytes, before redundancy.
    pub bytes: u64,
    /// Versions in the trash.
    pub trash_versions: u64,
    /// Their bytes, before redundancy.
    pub trash_bytes: u64,
    /// Bytes of shards on all remotes.
    pub stored: u64,
    /// Plain bytes that still fit; not told where remotes do not tell their free space.
    pub free: Option<u64>,
    /// The redundancy of new files.
    pub redundancy: String,
    /// How many remotes new files survive the loss of.
    pub tolerated: usize,
    /// Whether the newest state is known for sure.
    pub complete_view: bool,
    /// Why not.
    pub lacks: Vec<String>,
    /// The remotes.
    pub remotes: Vec<RemoteInfo>,
}

/// A remote.
#[derive(Debug, Serialize, ToSchema)]
pub struct RemoteInfo {
    /// Its name in the configuration.
    pub name: String,
    /// Its id, when it is known.
    pub id: Option<String>,
    /// `active`, `joining`, `draining`, `leaving` or `removed`; null for one that is not of this pool.
    pub state: Option<String>,
    /// Whether it is configured here.
    pub configured: bool,
    /// Whether it is online.
    pub online: bool,
    /// Why it is not.
    pub error: Option<String>,
    /// Shards on it.
    pub shards: u64,
    /// Their bytes.
    pub used: u64,
    /// The bytes the pool may use on it.
    pub quota: Option<u64>,
    /// Its size, by its own word.
    pub total: Option<u64>,
    /// What is free on it, by its own word.
    pub free: Option<u64>,
}

impl RemoteInfo {
    /// Of a report.
    pub fn of(report: &RemoteReport) -> Self {
        let state = |state: RemoteState| {
            serde_json::to_value(state).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
        };
        Self {
            name: redact_remote(&report.name),
            id: report.id.map(|id| id.to_string()),
            state: report.state.map(state),
            configured: report.configured,
            online: report.online,
            error: report.error.clone(),
            shards: report.objects,
            used: report.used,
            quota: report.quota,
            total: report.usage.total,
            free: report.usage.free,
        }
    }
}

/// The pool at a glance. What remotes tell is at most some seconds old.
#[utoipa::path(get, path = "/api/v1/status", tag = "pool",
    responses((status = 200, body = Status), (status = 401, body = Problem), (status = 503, body = Problem)))]
pub async fn status(who: Who) -> Result<Json<Status>, Problem> {
    let glance = who.tenant.glance().await?;
    let status = &glance.status;
    Ok(Json(Status {
        pool: status.pool.to_string(),
        version: env!("CARGO_PKG_VERSION"),
        files: status.files,
        bytes: status.bytes,
        trash_versions: status.trash_versions,
        trash_bytes: status.trash_bytes,
        stored: status.stored,
        free: status.free,
        redundancy: status.redundancy.to_string(),
        tolerated: status.tolerated,
        complete_view: status.complete_view,
        lacks: status.lacks.clone(),
        remotes: status.remotes.iter().map(RemoteInfo::of).collect(),
    }))
}

/// What was done since the server started, and what is used.
#[derive(Debug, Serialize, ToSchema)]
pub struct Stats {
    /// Files.
    pub files: u64,
    /// Their bytes, before redundancy.
    pub bytes: u64,
    /// Bytes of shards on all remotes.
    pub stored: u64,
    /// Plain bytes of the chunks that are compressed.
    pub compressed_bytes: u64,
    /// What is stored of them, before redundancy.
    pub compressed_stored: u64,
    /// Jobs under way.
    pub jobs_running: usize,
    /// The user's quota.
    pub quota: Option<QuotaInfo>,
    /// Calls, bytes, errors and times of each remote, by name.
    #[schema(value_type = Object)]
    pub remotes: BTreeMap<String, rclonepool_core::remote::wrap::MetricsSnapshot>,
    /// How fast bytes came and went in the last minutes, the newest last.
    pub throughput: Vec<crate::throughput::Sample>,
}

/// A quota, and what of it is used. A limit of null is none.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuotaInfo {
    /// Bytes used, the trash and uploads under way included.
    pub bytes_used: u64,
    /// Bytes allowed.
    pub bytes_max: Option<u64>,
    /// Files used.
    pub files_used: u64,
    /// Files allowed.
    pub files_max: Option<u64>,
}

impl QuotaInfo {
    /// Of who asks.
    pub fn of(who: &Who) -> Option<Self> {
        let quota = who.principal.quota.as_ref()?;
        let ((bytes_used, files_used), (bytes_max, files_max)) = (quota.used(), quota.limits());
        let limit = |max: u64| (max < u64::MAX).then_some(max);
        Some(Self { bytes_used, bytes_max: limit(bytes_max), files_used, files_max: limit(files_max) })
    }
}

/// Figures of the pool and of what its remotes did since the server started.
#[utoipa::path(get, path = "/api/v1/stats", tag = "pool",
    responses((status = 200, body = Stats), (status = 401, body = Problem), (status = 503, body = Problem)))]
pub async fn stats(who: Who) -> Result<Json<Stats>, Problem> {
    let glance = who.tenant.glance().await?;
    let (pool, status) = (&who.principal.pool, &glance.status);
    let names = pool.journal().remotes().iter().map(|remote| redact_remote(remote.label()));
    Ok(Json(Stats {
        files: status.files,
        bytes: status.bytes,
        stored: status.stored,
        compressed_bytes: status.compressed_bytes,
        compressed_stored: status.compressed_stored,
        jobs_running: who.tenant.jobs.running(),
        quota: QuotaInfo::of(&who),
        remotes: names.zip(pool.metrics().iter().map(|metrics| metrics.snapshot())).collect(),
        throughput: who.tenant.throughput.samples(),
    }))
}

/// Of what to tell the health.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Health {
    /// A file, or a directory with all below it; left out: all.
    pub path: Option<String>,
    /// How many files that are not well are listed at most, the worst first; up to 10,000.
    #[param(minimum = 0, maximum = 10000)]
    pub limit: Option<usize>,
}

/// How the pool is: what is damaged, and what may still be lost. Asks no remote.
#[utoipa::path(get, path = "/api/v1/health", tag = "pool", params(Health),
    responses((status = 200, body = Object, description = "state, recoverable, files by state, shards, remotes, list"),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn health(who: Who, Params(asked): Params<Health>) -> Result<Json<HealthReport>, Problem> {
    let defaults = HealthOptions::default();
    let path = asked.path.as_deref().map(pool_path).transpose()?.unwrap_or_else(|| defaults.path.clone());
    let list = asked.limit.unwrap_or(defaults.list).min(10_000);
    let mut report = who.principal.pool.health(&HealthOptions { path, list, ..defaults }).await?;
    for remote in &mut report.remotes {
        remote.name = redact_remote(&remote.name);
    }
    Ok(Json(report))
}

/// How full the remotes are.
#[utoipa::path(get, path = "/api/v1/balance-status", tag = "pool",
    responses((status = 200, body = Object, description = "variance, used, remotes with used, share, fill, weight"),
        (status = 401, body = Problem), (status = 503, body = Problem)))]
pub async fn balance(who: Who) -> Result<Json<rclonepool_core::pool::care::BalanceStatus>, Problem> {
    let mut balance = who.tenant.glance().await?.balance.clone();
    for remote in &mut balance.remotes {
        remote.name = redact_remote(&remote.name);
    }
    Ok(Json(balance))
}

/// What a look at the remotes came to.
#[derive(Debug, Serialize, ToSchema)]
pub struct Synced {
    /// Remotes that are online.
    pub online: usize,
    /// Whether the newest state is known for sure.
    pub complete_view: bool,
    /// Why not.
    pub lacks: Vec<String>,
}

/// Looks for what other machines wrote, now.
#[utoipa::path(post, path = "/api/v1/sync", tag = "pool",
    responses((status = 200, body = Synced), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub async fn sync(who: Who) -> Result<Json<Synced>, Problem> {
    let view = who.principal.pool.sync().await?;
    Ok(Json(Synced { online: view.online().len(), complete_view: view.complete, lacks: view.lacks.clone() }))
}
