//! Directories: listing, searching, moving; and uploads of files of the server's machine.

use std::path::{Path, PathBuf};

use axum::Json;
use axum::http::StatusCode;
use axum::response::Response;
use rclonepool_core::journal::record::Entry;
use rclonepool_core::pool::{Source, UploadOptions};
use rclonepool_core::{Config, Error, ErrorKind, PoolPath, Result as CoreResult};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::files::{ChangedInfo, FileInfo};
use super::input::{Input, Links, Params, invalid, pool_path};
use super::jobs::{Wait, run};
use crate::auth::Who;
use crate::hub::Topic;
use crate::jobs::JobInfo;
use crate::problem::Problem;

/// So many entries at a time, at most.
const PAGE_MAX: usize = 10_000;
/// So many entries are looked at by one search; then it says where to go on.
const SEARCHED_MAX: usize = 200_000;

fn page() -> usize {
    1000
}

fn root() -> String {
    "/".into()
}

/// What to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct List {
    /// The directory.
    #[serde(default = "root")]
    #[param(example = "/backups")]
    pub dir: String,
    /// All that lies below it, not only in it. Directories that exist only by what lies in them are left out.
    #[serde(default)]
    pub recursive: bool,
    /// How many entries at most, up to 10,000.
    #[serde(default = "page")]
    #[param(minimum = 1, maximum = 10000)]
    pub limit: usize,
    /// Begin behind this path: `next` of the page before.
    pub after: Option<String>,
}

/// A page of entries.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page {
    /// By path.
    pub entries: Vec<FileInfo>,
    /// Where the next page begins; not there on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

fn check_limit(limit: usize) -> Result<usize, Problem> {
    if (1..=PAGE_MAX).contains(&limit) { Ok(limit) } else { Err(invalid(format!("limit is from 1 to {PAGE_MAX}"))) }
}

/// Work on the index, off the threads that answer requests.
async fn indexed<T: Send + 'static>(work: impl FnOnce() -> CoreResult<T> + Send + 'static) -> Result<T, Problem> {
    let failed = |e| Error::new(ErrorKind::Internal, format!("a look into the index failed: {e}"));
    Ok(tokio::task::spawn_blocking(work).await.map_err(failed)??)
}

/// What lies in a directory.
#[utoipa::path(get, path = "/api/v1/files", tag = "files", params(List),
    responses((status = 200, body = Page), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem)))]
pub async fn list(who: Who, Params(asked): Params<List>) -> Result<Json<Page>, Problem> {
    let (directory, limit) = (pool_path(&asked.dir)?, check_limit(asked.limit)?);
    let after = asked.after.as_deref().map(pool_path).transpose()?;
    let pool = who.principal.pool.clone();
    pool.check_listing().await?;
    let page = indexed(move || {
        let mut entries = if asked.recursive {
            if !pool.is_directory(&directory)? {
                return Err(
                    Error::new(ErrorKind::DirectoryNotFound, "no such directory in the pool").at_path(directory)
                );
            }
            let found = pool.journal().index().entries_below(&directory, after.as_ref(), limit + 1)?;
            found.iter().map(FileInfo::of).collect::<Vec<_>>()
        } else {
            let listed = pool.list(&directory)?;
            let listed = listed.into_iter().filter(|one| after.as_ref().is_none_or(|after| one.path > *after));
            let info = |one: rclonepool_core::index::Listed| match &one.entry {
                Some(entry) => FileInfo::of(entry),
                None => FileInfo::implied(&one.path),
            };
            listed.take(limit + 1).map(info).collect()
        };
        let more = entries.len() > limit;
        entries.truncate(limit);
        let next = entries.last().filter(|_| more).map(|last| last.path.clone());
        Ok(Page { entries, next })
    });
    Ok(Json(page.await?))
}

/// What to search for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Search {
    /// A part of the name; capitals and small letters are one.
    #[param(min_length = 1, max_length = 255)]
    pub q: String,
    /// Below this directory.
    #[serde(default = "root")]
    pub dir: String,
    /// How many entries at most, up to 10,000.
    #[serde(default = "page")]
    #[param(minimum = 1, maximum = 10000)]
    pub limit: usize,
    /// Go on behind this path: `next` of the page before.
    pub after: Option<String>,
}

/// Files, links and made directories whose names hold a text. A page may hold fewer than `limit`, or none, and have a
/// `next` all the same: the search goes on there.
#[utoipa::path(get, path = "/api/v1/search", tag = "files", params(Search),
    responses((status = 200, body = Page), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem)))]
pub async fn search(who: Who, Params(asked): Params<Search>) -> Result<Json<Page>, Problem> {
    if asked.q.is_empty() || asked.q.len() > 255 {
        return Err(invalid("q has 1 to 255 bytes"));
    }
    let (directory, limit) = (pool_path(&asked.dir)?, check_limit(asked.limit)?);
    let mut after = asked.after.as_deref().map(pool_path).transpose()?;
    let (pool, wanted) = (who.principal.pool.clone(), asked.q.to_lowercase());
    pool.check_listing().await?;
    let page = indexed(move || {
        if !pool.is_directory(&directory)? {
            return Err(Error::new(ErrorKind::DirectoryNotFound, "no such directory in the pool").at_path(directory));
        }
        let (mut found, mut searched) = (Vec::new(), 0);
        loop {
            let batch: Vec<Entry> = pool.journal().index().entries_below(&directory, after.as_ref(), 1024)?;
            let is_last = batch.len() < 1024;
            for entry in batch {
                searched += 1;
                after = Some(entry.path.clone());
                if entry.path.name().to_lowercase().contains(&wanted) {
                    found.push(FileInfo::of(&entry));
                    if found.len() >= limit {
                        return Ok(Page { entries: found, next: after.map(|path| path.to_string()) });
                    }
                }
            }
            if is_last {
                return Ok(Page { entries: found, next: None });
            }
            if searched >= SEARCHED_MAX {
                return Ok(Page { entries: found, next: after.map(|path| path.to_string()) });
            }
        }
    });
    Ok(Json(page.await?))
}

/// A directory to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Mkdir {
    /// Its path.
    #[schema(example = "/backups")]
    pub path: String,
}

/// Makes an empty directory; one that is there stays as it is.
#[utoipa::path(post, path = "/api/v1/mkdir", tag = "files", request_body = Mkdir,
    responses((status = 200, body = FileInfo), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 409, body = Problem), (status = 415, body = Problem)))]
pub async fn mkdir(who: Who, Input(asked): Input<Mkdir>) -> Result<Json<FileInfo>, Problem> {
    let path = pool_path(&asked.path)?;
    let pool = &who.principal.pool;
    pool.mkdir(&path).await?;
    Ok(Json(pool.entry(&path)?.map_or_else(|| FileInfo::implied(&path), |entry| FileInfo::of(&entry))))
}

/// What to move or copy.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// From where.
    #[schema(example = "/a")]
    pub from: String,
    /// To where.
    #[schema(example = "/b")]
    pub to: String,
    /// Replace a file that is there.
    #[serde(default)]
    pub overwrite: bool,
}

/// Moves a file or a whole directory; no data moves.
#[utoipa::path(post, path = "/api/v1/move", tag = "files", request_body = Transfer,
    responses((status = 200, body = ChangedInfo), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 415, body = Problem)))]
pub async fn rename(who: Who, Input(asked): Input<Transfer>) -> Result<Json<ChangedInfo>, Problem> {
    let (from, to) = (pool_path(&asked.from)?, pool_path(&asked.to)?);
    Ok(Json(who.principal.pool.rename(&from, &to, asked.overwrite).await?.into()))
}

/// Copies a file or a whole directory by reference: the data is stored once.
#[utoipa::path(post, path = "/api/v1/copy", tag = "files", request_body = Transfer,
    responses((status = 200, body = ChangedInfo), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 415, body = Problem), (status = 507, body = Problem)))]
pub async fn copy(who: Who, Input(asked): Input<Transfer>) -> Result<Json<ChangedInfo>, Problem> {
    let (from, to) = (pool_path(&asked.from)?, pool_path(&asked.to)?);
    let pool = &who.principal.pool;
    let room = match &who.principal.quota {
        None => None,
        Some(quota) => {
            let (mut files, mut bytes) = (0, 0);
            let mut count = |entry: Entry| {
                files += 1;
                bytes += entry.content.size();
                Ok(())
            };
            if let Some(entry) = pool.entry(&from)? {
                count(entry)?;
            }
            if pool.is_directory(&from)? {
                pool.walk(&from, count)?;
            }
            Some(quota.reserve_files(files, bytes)?)
        }
    };
    let copied = pool.copy(&from, &to, asked.overwrite).await?;
    room.into_iter().for_each(crate::principal::Room::keep);
    Ok(Json(copied.into()))
}

/// A file of the server's machine.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Upload {
    /// Where it lies on the server's machine: below a directory of `api_local_roots`.
    #[schema(example = "/srv/import/movie.mkv")]
    pub local_path: String,
    /// Where to store it.
    #[schema(example = "/movies/movie.mkv")]
    pub remote_path: String,
    /// Store it even if the same is there already.
    #[serde(default)]
    pub force: bool,
}

/// Stores a file of the server's machine, in a job.
#[utoipa::path(post, path = "/api/v1/files", tag = "files", request_body = Upload, params(Wait),
    responses((status = 200, body = JobInfo), (status = 202, body = JobInfo), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem, description = "code local_path_not_allowed"),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 415, body = Problem),
        (status = 507, body = Problem)))]
pub async fn upload(
    who: Who,
    links: Links,
    Params(wait): Params<Wait>,
    Input(asked): Input<Upload>,
) -> Result<Response, Problem> {
    let to = pool_path(&asked.remote_path)?;
    let local = local_path(&who.tenant.config(), &asked.local_path)?;
    let size = std::fs::metadata(&local).map_err(|e| Error::io("cannot read", e).at_path(&asked.local_path))?;
    if !size.is_file() {
        return Err(invalid("local_path is no file"));
    }
    let room = who.principal.quota.as_ref().map(|quota| quota.reserve(size.len())).transpose()?;
    let pool = who.principal.pool.clone();
    let subject = Some(to.to_string());
    run(&who, &links, &wait, "upload", subject, Some(Topic::UploadProgress), move |monitor| async move {
        let options = UploadOptions { force: asked.force, ..UploadOptions::default() };
        let report = pool.upload(Source::File(local), &to, &options, &monitor).await?;
        if let Some(room) = room.filter(|_| report.files > 0) {
            room.keep();
        }
        Ok(serde_json::to_value(&report).unwrap_or_default())
    })
    .await
}

/// A path of the server's machine that may be read: below one of the roots, links resolved.
///
/// # Errors
/// 403 with the code `local_path_not_allowed`, whether or not anything is there.
pub fn local_path(config: &Config, text: &str) -> Result<PathBuf, Problem> {
    let refused = || {
        let problem = Problem::new(
            StatusCode::FORBIDDEN,
            "local_path_not_allowed",
            "no file of the server's machine may be read there",
        );
        problem.hint("api_local_roots names the directories that may")
    };
    let asked = Path::new(text);
    if !asked.is_absolute() || config.api_local_roots.is_empty() {
        return Err(refused());
    }
    let real = std::fs::canonicalize(asked).map_err(|_| refused())?;
    let roots = config.api_local_roots.iter().filter_map(|root| std::fs::canonicalize(root).ok());
    if roots.into_iter().any(|root| real.starts_with(root)) { Ok(real) } else { Err(refused()) }
}

/// A pool path out of a body, which may be left out.
pub fn optional_path(text: Option<&str>) -> Result<Option<PoolPath>, Problem> {
    text.map(pool_path).transpose()
}
