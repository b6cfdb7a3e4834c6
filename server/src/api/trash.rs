//! The trash.

use std::time::Duration;

use axum::Json;
use rclonepool_core::id::Stamp;
use rclonepool_core::pool::care::{EmptyOptions, Restored, Trashed, TrashedKind};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::files::Kind;
use super::input::{Input, Params, invalid, pool_path};
use super::namespace::optional_path;
use crate::auth::Who;
use crate::problem::Problem;

/// What of the trash.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Part {
    /// This path and what lay below it; left out: all.
    pub path: Option<String>,
}

/// A version in the trash.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrashInfo {
    /// Its path.
    pub path: String,
    /// What it is of.
    pub kind: Kind,
    /// Names the version.
    pub version: String,
    /// Its length in bytes.
    pub size: u64,
    /// How long ago it came here, in seconds.
    pub age_seconds: u64,
    /// How long it stays, in seconds.
    pub left_seconds: u64,
    /// Whether what it holds lies elsewhere in the pool, too.
    pub shared: bool,
    /// Whether it cannot be restored any more.
    pub expiring: bool,
}

/// What lies in the trash.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrashList {
    /// By path, the newest version first.
    pub versions: Vec<TrashInfo>,
}

fn info(one: &Trashed) -> TrashInfo {
    TrashInfo {
        path: one.path.to_string(),
        kind: match one.kind {
            TrashedKind::File => Kind::File,
            TrashedKind::Directory => Kind::Directory,
            TrashedKind::Link => Kind::Link,
        },
        version: one.version.to_string(),
        size: one.size,
        age_seconds: one.age_ms / 1000,
        left_seconds: one.left_ms / 1000,
        shared: one.shared,
        expiring: one.expiring,
    }
}

/// What was deleted or overwritten and can still be restored.
#[utoipa::path(get, path = "/api/v1/trash", tag = "trash", params(Part),
    responses((status = 200, body = TrashList), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub async fn list(who: Who, Params(part): Params<Part>) -> Result<Json<TrashList>, Problem> {
    let path = optional_path(part.path.as_deref())?;
    let pool = who.principal.pool.clone();
    let listed = tokio::task::spawn_blocking(move || pool.trash(path.as_ref())).await;
    let listed = listed.map_err(|e| invalid(e.to_string()))??;
    Ok(Json(TrashList { versions: listed.iter().map(info).collect() }))
}

/// What to restore.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// A file, or a directory: with it comes what was deleted along with it.
    pub path: String,
    /// Which version; left out: the newest.
    pub version: Option<String>,
    /// To where; left out: to its own path.
    pub to: Option<String>,
}

/// What was restored.
#[derive(Debug, Serialize, ToSchema)]
pub struct RestoredInfo {
    /// The paths, as they are now.
    pub paths: Vec<String>,
    /// Bytes.
    pub bytes: u64,
    /// Acknowledged by fewer remotes than the rule asks for.
    pub stale: bool,
}

/// Brings a version back.
#[utoipa::path(post, path = "/api/v1/trash/restore", tag = "trash", request_body = Restore,
    responses((status = 200, body = RestoredInfo), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 415, body = Problem)))]
pub async fn restore(who: Who, Input(asked): Input<Restore>) -> Result<Json<RestoredInfo>, Problem> {
    let (path, to) = (pool_path(&asked.path)?, optional_path(asked.to.as_deref())?);
    let version: Option<Stamp> = match &asked.version {
        Some(text) => Some(text.parse().map_err(|_| invalid("version is none of the trash's"))?),
        None => None,
    };
    let Restored { paths, bytes, stale } = who.principal.pool.restore(&path, version, to.as_ref()).await?;
    Ok(Json(RestoredInfo { paths: paths.iter().map(ToString::to_string).collect(), bytes, stale }))
}

/// What to empty.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Empty {
    /// This path and what lay below it; left out: all.
    pub path: Option<String>,
    /// Only what lies there for at least so many seconds.
    pub older_than_seconds: Option<u64>,
}

/// What was emptied.
#[derive(Debug, Serialize, ToSchema)]
pub struct Emptied {
    /// Versions that cannot be restored any more.
    pub versions: u64,
}

/// Empties the trash.
#[utoipa::path(delete, path = "/api/v1/trash", tag = "trash", params(Empty),
    responses((status = 200, body = Emptied), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem)))]
pub async fn empty(who: Who, Params(asked): Params<Empty>) -> Result<Json<Emptied>, Problem> {
    let path = optional_path(asked.path.as_deref())?;
    let options = EmptyOptions { path, older_than: asked.older_than_seconds.map(Duration::from_secs) };
    Ok(Json(Emptied { versions: who.principal.pool.empty_trash(&options).await? }))
}
