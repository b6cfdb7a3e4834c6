//! PUT, DELETE, COPY and MOVE: each is one commit, and what is replaced goes when the new is there.

use axum::body::Body;
use axum::http::header::{ETAG, HeaderName};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use rclonepool_core::pool::{DeleteOptions, Replace, TransferOptions};
use rclonepool_core::{ErrorKind, Pool, PoolPath};

use super::depth::Depth;
use super::target::Target;
use super::{Access, Dav, Outside};
use crate::content;
use crate::principal::{Principal, Room};
use crate::status::{Answer, Refusal};

/// Says that a time was taken over.
pub(super) const MTIME: HeaderName = HeaderName::from_static("x-oc-mtime");

/// Answers a PUT.
pub(super) async fn put(
    dav: &Dav,
    principal: &Principal,
    target: &Target,
    headers: &HeaderMap,
    access: &Access<'_>,
    body: Body,
) -> Answer<Response> {
    let pool = &principal.pool;
    let path = &target.path;
    let admitted = (|| {
        if target.is_collection {
            return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "a file's URL does not end in a slash"));
        }
        has_parent(pool, path)?;
        access.permit(path, false)?;
        if pool.entry(path)?.is_none() { access.permit_member(path) } else { Ok(()) }
    })();
    if let Err(refusal) = admitted {
        // Read on for a moment, so that the client hears it.
        content::drain(headers, body).await;
        return Err(refusal);
    }
    let attempt = dav.failed.attempt(principal, path, headers);
    let stored = content::put(principal, path, headers, body).await?;
    attempt.succeeded();
    let status = if stored.created { StatusCode::CREATED } else { StatusCode::NO_CONTENT };
    let mut response = status.into_response();
    if let Ok(tag) = HeaderValue::from_str(&stored.etag) {
        response.headers_mut().insert(ETAG, tag);
    }
    if stored.mtime_accepted {
        response.headers_mut().insert(MTIME, HeaderValue::from_static("accepted"));
    }
    Ok(response)
}

/// Answers a DELETE.
pub(super) async fn delete(
    dav: &Dav,
    principal: &Principal,
    target: &Target,
    headers: &HeaderMap,
    access: &Access<'_>,
) -> Answer<Response> {
    let path = &target.path;
    if path.is_root() {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "the root cannot be deleted"));
    }
    let is_directory = principal.pool.is_directory(path)?;
    if is_directory && Depth::of(headers)?.is_some_and(|depth| depth != Depth::Infinity) {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "a directory is deleted with all that lies in it"));
    }
    access.permit(path, true)?;
    access.permit_member(path)?;
    if dav.failed.takes(principal, path, headers) {
        let message = format!("{path} is as it was before the upload that failed; delete it again to delete it");
        return Err(Refusal::new(StatusCode::CONFLICT, message));
    }
    let options = DeleteOptions { recursive: true, keep_parent: true, ..DeleteOptions::default() };
    principal.pool.delete_with(path, &options).await?;
    dav.locks.of(&principal.pool).forget(path);
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Answers a COPY or a MOVE.
#[allow(clippy::too_many_arguments, reason = "the parts of one request")]
pub(super) async fn transfer(
    dav: &Dav,
    principal: &Principal,
    target: &Target,
    headers: &HeaderMap,
    uri: &Uri,
    outside: &Outside,
    access: &Access<'_>,
    copy: bool,
) -> Answer<Response> {
    let (pool, from) = (&principal.pool, &target.path);
    let to = destination(headers, uri, outside)?.path;
    if from.is_root() || to.is_root() || *from == to {
        return Err(Refusal::new(StatusCode::FORBIDDEN, format!("{from} cannot become {to}")));
    }
    let shallow = match (Depth::of(headers)?, copy) {
        (None | Some(Depth::Infinity), _) => false,
        (Some(Depth::Zero), true) => true,
        (Some(Depth::Zero), false) if !pool.is_directory(from)? => false,
        _ => return Err(Refusal::new(StatusCode::BAD_REQUEST, "this depth makes no sense here")),
    };
    let may_replace = match headers.get("overwrite").map(|value| value.as_bytes().trim_ascii()) {
        None | Some(b"T" | b"t") => true,
        Some(b"F" | b"f") => false,
        Some(_) => return Err(Refusal::new(StatusCode::BAD_REQUEST, "the header Overwrite is neither T nor F")),
    };
    if pool.entry(from)?.is_none() && !pool.is_directory(from)? {
        return Err(Refusal::new(StatusCode::NOT_FOUND, format!("{from}: no such file or directory in the pool")));
    }
    has_parent(pool, &to)?;
    let is_there = pool.entry(&to)?.is_some() || pool.is_directory(&to)?;
    if !copy {
        access.permit(from, true)?;
        access.permit_member(from)?;
    }
    access.permit(&to, true)?;
    if !is_there {
        access.permit_member(&to)?;
    } else if !may_replace {
        return Err(Refusal::new(StatusCode::PRECONDITION_FAILED, format!("{to} is there already")));
    }
    let mtime_ns = content::mtime_ns(headers)?;
    let options = TransferOptions {
        copy,
        replace: if may_replace { Replace::Anything } else { Replace::Nothing },
        shallow,
        keep_parent: true,
        mtime_ns,
    };
    let room = if copy { reserve(principal, from, shallow)? } else { None };
    let moved = pool.transfer(from, &to, &options).await;
    moved.map_err(|error| match error.kind() {
        ErrorKind::InvalidArgument => Refusal::from(error).with_status(StatusCode::FORBIDDEN),
        // Somebody was quicker.
        ErrorKind::AlreadyExists => Refusal::from(error).with_status(StatusCode::PRECONDITION_FAILED),
        _ => error.into(),
    })?;
    if let Some(room) = room {
        room.keep();
    }
    if !copy {
        dav.locks.of(pool).forget(from);
    }
    let mut response = if is_there { StatusCode::NO_CONTENT } else { StatusCode::CREATED }.into_response();
    if mtime_ns.is_some() {
        response.headers_mut().insert(MTIME, HeaderValue::from_static("accepted"));
    }
    Ok(response)
}

fn destination(headers: &HeaderMap, uri: &Uri, outside: &Outside) -> Answer<Target> {
    let bad = || Refusal::new(StatusCode::BAD_REQUEST, "the header Destination is missing or malformed");
    let text = std::str::from_utf8(headers.get("destination").ok_or_else(bad)?.as_bytes()).map_err(|_| bad())?;
    Target::named(text, headers, uri, outside)
}

/// Fails where a path's directory is not there: WebDAV makes none unasked.
fn has_parent(pool: &Pool, path: &PoolPath) -> Answer<()> {
    match path.parent() {
        Some(parent) if !pool.is_directory(&parent)? => {
            Err(Refusal::new(StatusCode::CONFLICT, format!("the directory {parent} is not there")))
        }
        _ => Ok(()),
    }
}

/// Room for a copy of all that lies at a path.
fn reserve(principal: &Principal, path: &PoolPath, shallow: bool) -> Answer<Option<Room>> {
    let Some(quota) = &principal.quota else { return Ok(None) };
    let (mut files, mut bytes) = (0u64, 0u64);
    let mut count = |size: u64, is_directory: bool| {
        files += u64::from(!is_directory);
        bytes = bytes.saturating_add(size);
    };
    if let Some(entry) = principal.pool.entry(path)? {
        count(entry.content.size(), entry.content.is_directory());
    }
    if !shallow && principal.pool.is_directory(path)? {
        principal.pool.walk(path, |entry| {
            count(entry.content.size(), entry.content.is_directory());
            Ok(())
        })?;
    }
    Ok(Some(quota.reserve_files(files, bytes)?))
}
