//! Single files: by their paths in the API, and at their own addresses.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rclonepool_core::PoolPath;
use rclonepool_core::journal::record::{Content, Entry};
use rclonepool_core::pool::care::{FileHealth, HealthOptions};
use rclonepool_core::pool::{ChunkStat, DeleteOptions};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::input::{Params, invalid};
use crate::auth::Who;
use crate::content;
use crate::hub::time_of_ms;
use crate::path::of_address;
use crate::problem::Problem;
use crate::status::Refusal;
use crate::transfer::read_small;

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
}

/// A file, a directory or a link.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FileInfo {
    /// Its path.
    pub path: String,
    /// The last part of it; empty for the root.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Bytes; 0 for what is no file.
    pub size: u64,
    /// When it was modified; not told for directories nobody made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<String>,
    /// When this version was put into the pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Whether it can be executed.
    pub executable: bool,
    /// Its MIME type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Its entity tag, as `ETag` has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Chunks it is stored in; none for small files, which are in the journal.
    pub chunks: usize,
    /// Where a link points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

impl FileInfo {
    /// Of an entry.
    pub fn of(entry: &Entry) -> Self {
        let (kind, target) = match &entry.content {
            Content::Directory {} => (Kind::Directory, None),
            Content::Link { target } => (Kind::Link, Some(target.clone())),
            _ => (Kind::File, None),
        };
        let is_file = kind == Kind::File;
        Self {
            path: entry.path.to_string(),
            name: entry.path.name().into(),
            kind,
            size: entry.content.size(),
            modified: u64::try_from(entry.mtime_ns / 1_000_000).ok().map(time_of_ms),
            created: Some(time_of_ms(entry.created_ms)),
            executable: entry.executable,
            content_type: is_file.then(|| content::content_type(entry).into_owned()),
            etag: is_file.then(|| content::etag(entry)).flatten(),
            chunks: entry.content.extents().len(),
            target,
        }
    }

    /// Of a directory nobody made: something lies in it.
    pub fn implied(path: &PoolPath) -> Self {
        Self {
            path: path.to_string(),
            name: path.name().into(),
            kind: Kind::Directory,
            size: 0,
            modified: None,
            created: None,
            executable: false,
            content_type: None,
            etag: None,
            chunks: 0,
            target: None,
        }
    }
}

/// Where the bytes of a file lie.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShardMap {
    /// The file.
    pub file: FileInfo,
    /// Its chunks in order, each with the shards that it is stored in.
    #[schema(value_type = Vec<Object>)]
    pub chunks: Vec<ChunkStat>,
    /// Shards that are known to be damaged: chunk, place (index, copy, remote's id) and damage.
    #[schema(value_type = Vec<Object>)]
    pub damaged: Vec<rclonepool_core::index::Finding>,
}

/// What is to be told of a file.
enum Wanted {
    Info,
    Content,
    Shards,
    Health,
}

/// The address below `/files/` that was asked for: a path, percent-encoded, and what is wanted of it. Slashes of the
/// path may be encoded, too; only a plain one begins `/content`.
fn asked(request: &Request) -> Result<(PoolPath, Wanted), Problem> {
    let path = request.uri().path();
    // The nested router leaves of the address what follows the prefix it was nested at.
    let rest = path.split_once("/files/").map(|(_, rest)| rest).unwrap_or_default();
    let (rest, wanted) = match rest.rsplit_once('/') {
        Some((rest, "content")) => (rest, Wanted::Content),
        Some((rest, "shards")) => (rest, Wanted::Shards),
        Some((rest, "health")) => (rest, Wanted::Health),
        _ => (rest, Wanted::Info),
    };
    Ok((of_address(rest)?, wanted))
}

fn problem(refusal: Refusal) -> Problem {
    let status = refusal.status;
    let retry_after = refusal.retry_after();
    let code = match status {
        StatusCode::PRECONDITION_FAILED => Some("precondition_failed"),
        StatusCode::METHOD_NOT_ALLOWED => Some("is_a_directory"),
        StatusCode::FORBIDDEN => Some("read_only"),
        _ => None,
    };
    let made = Problem::from(*refusal.error);
    let code = code.map_or(made.code.clone(), str::to_owned);
    let title = status.canonical_reason().unwrap_or_default().to_owned();
    Problem { status: status.as_u16(), code, title, retry_after, ..made }
}

/// Answers GET and HEAD below `/files/`.
pub async fn read(who: Who, method: Method, request: Request) -> Result<Response, Problem> {
    let (path, wanted) = asked(&request)?;
    match wanted {
        Wanted::Content => Ok(get_content(&who, &path, request.headers(), method == Method::HEAD).await),
        Wanted::Info => Ok(Json(info(&who, &path).await?).into_response()),
        Wanted::Shards => Ok(Json(shards(&who, &path).await?).into_response()),
        Wanted::Health => Ok(Json(health(&who, &path).await?).into_response()),
    }
}

/// A file, a directory or a link.
#[utoipa::path(get, path = "/api/v1/files/{path}", tag = "files",
    params(("path" = String, Path, description = "The path, percent-encoded, without its first slash")),
    responses((status = 200, body = FileInfo), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem)))]
async fn info(who: &Who, path: &PoolPath) -> Result<FileInfo, Problem> {
    let pool = &who.principal.pool;
    if let Some(entry) = pool.entry(path)? {
        return Ok(FileInfo::of(&entry));
    }
    if pool.is_directory(path)? {
        return Ok(FileInfo::implied(path));
    }
    pool.check_listing().await?;
    let error = rclonepool_core::Error::new(rclonepool_core::ErrorKind::NotFound, "no such file in the pool");
    Err(error.at_path(path).into())
}

/// The bytes of a file; `Range`, `If-Range`, `If-None-Match` and their kin are heeded.
#[utoipa::path(get, path = "/api/v1/files/{path}/content", tag = "files",
    params(("path" = String, Path, description = "The path, percent-encoded, without its first slash"),
        ("Range" = Option<String>, Header, description = "bytes=0-99")),
    responses((status = 200, description = "The file", content_type = "*/*"),
        (status = 206, description = "The range", content_type = "*/*"),
        (status = 304, description = "Not modified"), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem), (status = 405, body = Problem, description = "A directory"),
        (status = 412, body = Problem), (status = 416, body = Problem)))]
async fn get_content(who: &Who, path: &PoolPath, headers: &HeaderMap, is_head: bool) -> Response {
    let response = content::get(&who.principal, path, headers, is_head).await;
    if response.status().as_u16() < 400 || is_head {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = read_small(body, 64 << 10, Duration::from_secs(5)).await.unwrap_or_default();
    let code = match parts.status {
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::METHOD_NOT_ALLOWED => "is_a_directory",
        StatusCode::PRECONDITION_FAILED => "precondition_failed",
        StatusCode::RANGE_NOT_SATISFIABLE => "range_not_satisfiable",
        StatusCode::SERVICE_UNAVAILABLE => "unavailable",
        status if status.is_client_error() => "invalid_argument",
        _ => "internal",
    };
    let detail = String::from_utf8_lossy(&text).trim().to_owned();
    let mut problem = Problem::new(parts.status, code, detail).into_response();
    for name in [header::CONTENT_RANGE, header::ALLOW, header::RETRY_AFTER, header::ACCEPT_RANGES] {
        if let Some(value) = parts.headers.get(&name) {
            problem.headers_mut().insert(name, value.clone());
        }
    }
    problem
}

/// Where a file's chunks lie, shard by shard.
#[utoipa::path(get, path = "/api/v1/files/{path}/shards", tag = "files",
    params(("path" = String, Path, description = "The path, percent-encoded, without its first slash")),
    responses((status = 200, body = ShardMap), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem)))]
async fn shards(who: &Who, path: &PoolPath) -> Result<ShardMap, Problem> {
    let mut stat = who.principal.pool.stat(path).await?;
    for shard in stat.chunks.iter_mut().flat_map(|chunk| &mut chunk.shards) {
        shard.remote = rclonepool_core::config::redact_remote(&shard.remote);
    }
    let mut damaged = who.principal.pool.journal().index().findings()?;
    let chunks: std::collections::BTreeSet<_> = stat.chunks.iter().map(|chunk| chunk.chunk).collect();
    damaged.retain(|finding| chunks.contains(&finding.chunk));
    Ok(ShardMap { file: FileInfo::of(&stat.entry), chunks: stat.chunks, damaged })
}

/// How a file is: what of it is damaged, and what may still be lost. Asks no remote.
#[utoipa::path(get, path = "/api/v1/files/{path}/health", tag = "files",
    params(("path" = String, Path, description = "The path, percent-encoded, without its first slash")),
    responses((status = 200, body = Object, description = "state, recoverable, tolerated_remotes, shards, …"),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
async fn health(who: &Who, path: &PoolPath) -> Result<FileHealth, Problem> {
    let options = HealthOptions { path: path.clone(), list: 1, ..HealthOptions::default() };
    let pool = &who.principal.pool;
    if pool.entry(path)?.is_none_or(|entry| entry.content.is_directory()) {
        let error = rclonepool_core::Error::new(rclonepool_core::ErrorKind::NotFound, "no such file in the pool");
        return Err(error.at_path(path).into());
    }
    let report = pool.health(&options).await?;
    let found = report.listed.into_iter().next();
    found.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "not_found", "nothing is known of this file's health"))
}

/// Answers PUT below `/files/`.
pub async fn write(who: Who, request: Request) -> Result<Response, Problem> {
    let (path, wanted) = asked(&request)?;
    if !matches!(wanted, Wanted::Content) {
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "only content can be put");
        return Err(problem.hint("put the bytes to /files/PATH/content"));
    }
    let (parts, body) = request.into_parts();
    put_content(&who, &path, &parts.headers, body).await
}

/// Stores a file: all of the body, or nothing of it.
#[utoipa::path(put, path = "/api/v1/files/{path}/content", tag = "files",
    params(("path" = String, Path, description = "The path, percent-encoded, without its first slash")),
    request_body(content_type = "application/octet-stream", description = "The bytes"),
    responses((status = 200, body = FileInfo, description = "Replaced"),
        (status = 201, body = FileInfo, description = "New"), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 405, body = Problem), (status = 409, body = Problem), (status = 412, body = Problem),
        (status = 507, body = Problem)))]
async fn put_content(who: &Who, path: &PoolPath, headers: &HeaderMap, body: Body) -> Result<Response, Problem> {
    let stored = content::put(&who.principal, path, headers, body).await.map_err(problem)?;
    let status = if stored.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, [(header::ETAG, stored.etag)], Json(FileInfo::of(&stored.entry))).into_response())
}

/// How to delete.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Delete {
    /// A directory too, with all that lies in it.
    #[serde(default)]
    pub recursive: bool,
    /// Not to the trash: it cannot be brought back.
    #[serde(default)]
    pub purge: bool,
}

/// What was changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangedInfo {
    /// Entries that were changed.
    pub entries: u64,
    /// Done with too few remotes to be sure of the newest state.
    pub stale: bool,
}

impl From<rclonepool_core::pool::Changed> for ChangedInfo {
    fn from(changed: rclonepool_core::pool::Changed) -> Self {
        Self { entries: changed.entries, stale: changed.stale }
    }
}

/// Deletes a file, or a directory with all that lies in it. It goes to the trash.
#[utoipa::path(delete, path = "/api/v1/files/{path}", tag = "files",
    params(("path" = String, Path, description = "The path, percent-encoded, without its first slash"), Delete),
    responses((status = 200, body = ChangedInfo), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn delete(who: Who, Params(how): Params<Delete>, request: Request) -> Result<Json<ChangedInfo>, Problem> {
    let rest = request.uri().path().split_once("/files/").map(|(_, rest)| rest).unwrap_or_default();
    let path = of_address(rest)?;
    if path.is_root() {
        return Err(invalid("the root cannot be deleted"));
    }
    let options = DeleteOptions { recursive: how.recursive, purge: how.purge, ..DeleteOptions::default() };
    Ok(Json(who.principal.pool.delete_with(&path, &options).await?.into()))
}
