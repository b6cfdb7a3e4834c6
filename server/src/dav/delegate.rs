//! What dav-server answers: OPTIONS, MKCOL, LOCK and UNLOCK. It sees checked requests only, and of the pool no more
//! than these need.

use std::future::ready;
use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dav_server::davpath::DavPath;
use dav_server::fs::{
    DavDirEntry, DavFile, DavMetaData, FsError, FsFuture, FsResult, FsStream, GuardedFileSystem, OpenOptions,
    ReadDirMeta,
};
use dav_server::{DavHandler, DavMethod, DavMethodSet};
use http_body_util::Full;
use parking_lot::Mutex;
use rclonepool_core::journal::record::Entry;
use rclonepool_core::pool::{Source, UploadOptions};
use rclonepool_core::{Error, ErrorKind, Monitor, PoolPath};

use super::change::MTIME;
use super::locks::{Locks, pool_path};
use super::target::{Target, href};
use crate::content::{etag, http_time, turn};
use crate::principal::Principal;
use crate::status::{Answer, Refusal};

/// The methods it may say that there are.
const METHODS: [DavMethod; 12] = [
    DavMethod::Head,
    DavMethod::Get,
    DavMethod::Put,
    DavMethod::Options,
    DavMethod::PropFind,
    DavMethod::PropPatch,
    DavMethod::MkCol,
    DavMethod::Copy,
    DavMethod::Move,
    DavMethod::Delete,
    DavMethod::Lock,
    DavMethod::Unlock,
];

/// Who asks, and what went wrong meanwhile: dav-server's errors are few.
#[derive(Clone)]
struct Context {
    principal: Principal,
    mtime_ns: Option<i64>,
    error: Arc<Mutex<Option<Error>>>,
}

/// Lets dav-server answer a request.
pub(super) async fn answer(
    principal: &Principal,
    locks: Locks,
    base: &str,
    target: Option<&Target>,
    parts: Parts,
    body: Bytes,
) -> Answer<Response> {
    let mut allowed = DavMethodSet::none();
    METHODS.into_iter().for_each(|method| {
        allowed.add(method);
    });
    let handler: DavHandler<Context> = DavHandler::builder()
        .filesystem(Box::new(Fs))
        .locksystem(Box::new(locks))
        .methods(allowed)
        .strip_prefix(base)
        .build_handler();
    let context = Context {
        principal: principal.clone(),
        mtime_ns: crate::content::mtime_ns(&parts.headers)?,
        error: Arc::default(),
    };
    let mut request = Request::from_parts(parts, Full::new(body));
    if let Some(target) = target {
        // Said once and for all what the path means.
        let path = href(&target.path, target.is_collection, base);
        *request.uri_mut() = Uri::try_from(path).map_err(|error| {
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the path cannot be passed on: {error}"))
        })?;
    }
    let name = principal.name.as_deref().unwrap_or_default().to_owned();
    let response = handler.handle_guarded(request, name, context.clone()).await;
    let failed = context.error.lock().take();
    if let Some(error) = failed.filter(|_| response.status().is_server_error()) {
        return Err(error.into());
    }
    let mut response = response.map(Body::new).into_response();
    if context.mtime_ns.is_some() && response.status() == StatusCode::CREATED {
        response.headers_mut().insert(MTIME, HeaderValue::from_static("accepted"));
    }
    Ok(response)
}

/// A file system of what may be asked of it.
#[derive(Clone)]
struct Fs;

impl Context {
    fn find(&self, path: &DavPath) -> FsResult<Meta> {
        let path = pool_path(path).ok_or(FsError::NotFound)?;
        let pool = &self.principal.pool;
        let entry = pool.entry(&path).map_err(|error| self.failed(error))?;
        match entry {
            Some(entry) if !entry.content.is_directory() => Ok(Meta::File(Arc::new(entry))),
            _ if pool.is_directory(&path).map_err(|error| self.failed(error))? => Ok(Meta::Directory),
            _ => Err(FsError::NotFound),
        }
    }

    /// Keeps an error for the answer.
    fn failed(&self, error: Error) -> FsError {
        let as_theirs = match error.kind() {
            ErrorKind::AlreadyExists => FsError::Exists,
            ErrorKind::Full => FsError::InsufficientStorage,
            _ => FsError::GeneralFailure,
        };
        *self.error.lock() = Some(error);
        as_theirs
    }

    fn parent_is_there(&self, path: &PoolPath) -> FsResult<()> {
        let parent = path.parent().unwrap_or_else(PoolPath::root);
        match self.principal.pool.is_directory(&parent) {
            Ok(true) => Ok(()),
            Ok(false) => Err(FsError::NotFound),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Makes an empty file, for a lock on what is not there.
    async fn make_file(&self, path: &DavPath) -> FsResult<()> {
        let path = pool_path(path).ok_or(FsError::NotFound)?;
        self.parent_is_there(&path)?;
        let room = match &self.principal.quota {
            Some(quota) => Some(quota.reserve(0).map_err(|error| self.failed(error))?),
            None => None,
        };
        let pool = &self.principal.pool;
        let _turn = turn(pool, &path).await;
        if pool.entry(&path).map_err(|error| self.failed(error))?.is_some() {
            return Err(FsError::Exists);
        }
        let options = UploadOptions::default();
        let made = pool.upload(Source::Bytes(Bytes::new()), &path, &options, &Monitor::default()).await;
        made.map_err(|error| self.failed(error))?;
        if let Some(room) = room {
            room.keep();
        }
        Ok(())
    }

    async fn make_directory(&self, path: &DavPath) -> FsResult<()> {
        let path = pool_path(path).ok_or(FsError::NotFound)?;
        let pool = &self.principal.pool;
        if pool.entry(&path).map_err(|error| self.failed(error))?.is_some()
            || pool.is_directory(&path).is_ok_and(|is| is)
        {
            return Err(FsError::Exists);
        }
        self.parent_is_there(&path)?;
        pool.mkdir_at(&path, self.mtime_ns).await.map_err(|error| self.failed(error))?;
        Ok(())
    }
}

impl GuardedFileSystem<Context> for Fs {
    fn open<'a>(&'a self, path: &'a DavPath, options: OpenOptions, who: &'a Context) -> FsFuture<'a, Box<dyn DavFile>> {
        Box::pin(async move {
            if !options.write || !options.create {
                return Err(FsError::NotFound);
            }
            who.make_file(path).await?;
            Ok(Box::new(Made) as Box<dyn DavFile>)
        })
    }

    fn read_dir<'a>(
        &'a self,
        _: &'a DavPath,
        _: ReadDirMeta,
        _: &'a Context,
    ) -> FsFuture<'a, FsStream<Box<dyn DavDirEntry>>> {
        Box::pin(ready(Err(FsError::NotImplemented)))
    }

    fn metadata<'a>(&'a self, path: &'a DavPath, who: &'a Context) -> FsFuture<'a, Box<dyn DavMetaData>> {
        Box::pin(ready(who.find(path).map(|meta| Box::new(meta) as Box<dyn DavMetaData>)))
    }

    fn create_dir<'a>(&'a self, path: &'a DavPath, who: &'a Context) -> FsFuture<'a, ()> {
        Box::pin(who.make_directory(path))
    }
}

/// What is there.
#[derive(Debug, Clone)]
enum Meta {
    File(Arc<Entry>),
    Directory,
}

impl DavMetaData for Meta {
    fn len(&self) -> u64 {
        match self {
            Self::File(entry) => entry.content.size(),
            Self::Directory => 0,
        }
    }

    fn modified(&self) -> FsResult<SystemTime> {
        match self {
            Self::File(entry) => Ok(http_time(entry.mtime_ns)),
            Self::Directory => Err(FsError::NotImplemented),
        }
    }

    fn is_dir(&self) -> bool {
        matches!(self, Self::Directory)
    }

    fn etag(&self) -> Option<String> {
        match self {
            // It puts the quotes around it itself.
            Self::File(entry) => etag(entry).map(|tag| tag.trim_matches('"').to_owned()),
            Self::Directory => None,
        }
    }
}

/// An empty file that was made. There is nothing to do with it.
#[derive(Debug)]
struct Made;

fn nothing<'a, T: Send + 'a>() -> FsFuture<'a, T> {
    Box::pin(ready(Err(FsError::NotImplemented)))
}

impl DavFile for Made {
    fn metadata(&'_ mut self) -> FsFuture<'_, Box<dyn DavMetaData>> {
        nothing()
    }

    fn write_buf(&'_ mut self, _: Box<dyn bytes::Buf + Send>) -> FsFuture<'_, ()> {
        nothing()
    }

    fn write_bytes(&'_ mut self, _: Bytes) -> FsFuture<'_, ()> {
        nothing()
    }

    fn read_bytes(&'_ mut self, _: usize) -> FsFuture<'_, Bytes> {
        nothing()
    }

    fn seek(&'_ mut self, _: std::io::SeekFrom) -> FsFuture<'_, u64> {
        nothing()
    }

    fn flush(&'_ mut self) -> FsFuture<'_, ()> {
        nothing()
    }
}
