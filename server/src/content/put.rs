//! PUT: a file's bytes into the pool, as they come.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use rclonepool_core::config::FileHash;
use rclonepool_core::journal::record::{Entry, FileHashes};
use rclonepool_core::pool::{Source, UploadOptions, UploadReport};
use rclonepool_core::{Error, ErrorKind, Monitor, Pool, PoolPath};

use super::body::{Incoming, drain, pipe};
use super::{Conditions, Verdict, etag, hashes, http_time, turn};
use crate::principal::{Principal, Room};
use crate::status::{Answer, Refusal};

/// The longest content type that is kept, in bytes.
const TYPE_BYTES_MAX: usize = 255;

/// What a PUT stored.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The version that is there now.
    pub entry: Entry,
    /// Whether nothing was there before.
    pub created: bool,
    /// Its entity tag, with quotes.
    pub etag: String,
    /// Whether the modification time is the one that `X-OC-Mtime` asked for.
    pub mtime_accepted: bool,
    /// Acknowledged without a view, or by fewer remotes than the rule asks for.
    pub stale: bool,
}

/// What the headers announce.
struct Announced {
    length: Option<u64>,
    hashes: FileHashes,
    mtime_ns: Option<i64>,
    content_type: Option<String>,
}

/// Stores a request's body at `path`, all of it or nothing.
///
/// Heeded are `Content-Length`, `X-Expected-Entity-Length` and `OC-Total-Length` (all that was announced must come),
/// `OC-Checksum` (held against the bytes, and kept), `X-OC-Mtime`, `Content-Type`, `If-Match`, `If-None-Match` and
/// `If-Unmodified-Since`. Needs a runtime of several threads.
///
/// # Errors
/// 403 for who may only read, 400 for a body that is not what was announced, 405 where a directory is, 409 below a
/// file, 412 for a condition that does not hold, 507 over quota, and those of the pool. Nothing has changed then.
pub async fn put(principal: &Principal, path: &PoolPath, headers: &HeaderMap, body: Body) -> Answer<Stored> {
    let room = Arc::new(Mutex::new(None));
    let announced = match admit(principal, path, headers, &room) {
        Ok(announced) => announced,
        Err(refusal) => {
            drain(headers, body).await;
            return Err(refusal);
        }
    };
    let mut incoming = Incoming::new(body, announced.length, room.clone());
    let stored = store(principal, path, headers, &mut incoming, announced, room).await;
    if stored.is_err() {
        incoming.drain().await;
    }
    stored
}

/// What can be said before the first byte came.
fn admit(principal: &Principal, path: &PoolPath, headers: &HeaderMap, room: &Mutex<Option<Room>>) -> Answer<Announced> {
    if principal.read_only {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "this user may only read"));
    }
    if principal.pool.is_directory(path)? {
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, format!("{path} is a directory")));
    }
    if headers.contains_key(CONTENT_RANGE) {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "a part of a file cannot be put"));
    }
    let announced = Announced::read(headers)?;
    check(&principal.pool, path, headers)?;
    if let Some(quota) = &principal.quota {
        *room.lock() = Some(quota.reserve(announced.length.unwrap_or(0))?);
    }
    Ok(announced)
}

/// Holds the conditions against what is there; gives it back.
fn check(pool: &Pool, path: &PoolPath, headers: &HeaderMap) -> Answer<Option<Entry>> {
    let there = pool.entry(path)?;
    let tag = there.as_ref().and_then(etag);
    let modified = there.as_ref().map(|entry| http_time(entry.mtime_ns));
    match (Conditions { exists: there.is_some(), etag: tag.as_deref(), modified }).verdict(headers, false) {
        Verdict::Go => Ok(there),
        _ => Err(Refusal::new(StatusCode::PRECONDITION_FAILED, format!("{path} is not what the request expects"))),
    }
}

async fn store(
    principal: &Principal,
    path: &PoolPath,
    headers: &HeaderMap,
    incoming: &mut Incoming,
    announced: Announced,
    room: Arc<Mutex<Option<Room>>>,
) -> Answer<Stored> {
    let pool = &principal.pool;
    let before = pool.entry(path)?;
    let options = UploadOptions {
        mtime_ns: announced.mtime_ns,
        content_type: announced.content_type,
        properties: before.map(|entry| entry.properties).unwrap_or_default(),
        // Who sends one compares later: rclone by MD5, whatever it sent.
        hashes: if announced.hashes.is_empty() { Vec::new() } else { vec![FileHash::Md5, FileHash::Sha1] },
        expect: announced.hashes,
        ..UploadOptions::default()
    };
    let head = incoming.head().await?;
    let (there, report) = if head.is_whole {
        let _turn = turn(pool, path).await;
        let there = check(pool, path, headers)?;
        let upload = upload(pool, path, Source::Bytes(head.bytes.clone()), options, room);
        (there, joined(upload.await)?)
    } else {
        let (feeder, fed) = pipe(head.bytes.clone());
        drop(head);
        let upload = upload(pool, path, Source::Stream(Box::new(fed)), options, room);
        while let Some(bytes) = incoming.next().await? {
            if !feeder.give(bytes).await {
                // The upload failed, and says why.
                return match joined(upload.await) {
                    Ok(_) => Err(Error::new(ErrorKind::Internal, "an upload ended before its end").into()),
                    Err(refusal) => Err(refusal),
                };
            }
        }
        let _turn = turn(pool, path).await;
        let there = check(pool, path, headers)?;
        feeder.end().await;
        (there, joined(upload.await)?)
    };
    let entry = pool.entry(path)?.ok_or_else(|| {
        Refusal::new(StatusCode::CONFLICT, format!("{path} was stored, and deleted by somebody else meanwhile"))
    })?;
    let mtime_accepted = announced.mtime_ns.is_some_and(|mtime_ns| mtime_ns == entry.mtime_ns);
    let tag = etag(&entry).unwrap_or_default();
    Ok(Stored { entry, created: there.is_none(), etag: tag, mtime_accepted, stale: report.stale })
}

/// An upload on its own: what has come whole is stored even if the client does not wait for the answer.
fn upload(
    pool: &Arc<Pool>,
    path: &PoolPath,
    source: Source,
    options: UploadOptions,
    room: Arc<Mutex<Option<Room>>>,
) -> tokio::task::JoinHandle<rclonepool_core::Result<UploadReport>> {
    let (pool, path) = (pool.clone(), path.clone());
    tokio::spawn(async move {
        let report = pool.upload(source, &path, &options, &Monitor::default()).await?;
        if let Some(room) = room.lock().take() {
            room.keep();
        }
        Ok(report)
    })
}

fn joined(ended: Result<rclonepool_core::Result<UploadReport>, tokio::task::JoinError>) -> Answer<UploadReport> {
    match ended {
        Ok(done) => Ok(done?),
        Err(error) => Err(Error::new(ErrorKind::Internal, format!("an upload failed: {error}")).into()),
    }
}

impl Announced {
    fn read(headers: &HeaderMap) -> Answer<Self> {
        let mut length = None;
        // Finder sends no Content-Length, ownCloud's clients send both.
        for name in [CONTENT_LENGTH.as_str(), "x-expected-entity-length", "oc-total-length"] {
            let Some(text) = text(headers, name)? else { continue };
            let Ok(bytes) = text.parse::<u64>() else {
                return Err(Refusal::new(StatusCode::BAD_REQUEST, format!("the header {name} is no number of bytes")));
            };
            if length.replace(bytes).is_some_and(|other| other != bytes) {
                return Err(Refusal::new(StatusCode::BAD_REQUEST, "two lengths are announced that differ"));
            }
        }
        let hashes = text(headers, "oc-checksum")?.map(hashes::announced).transpose()?.unwrap_or_default();
        Ok(Self { length, hashes, mtime_ns: mtime_ns(headers)?, content_type: kept_type(headers) })
    }
}

/// The time that `X-OC-Mtime` asks for, in nanoseconds since 1970; it is in seconds.
pub(crate) fn mtime_ns(headers: &HeaderMap) -> Answer<Option<i64>> {
    let Some(text) = text(headers, "x-oc-mtime")? else { return Ok(None) };
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let nanos = || {
        let seconds = whole.parse::<i64>().ok()?.checked_mul(1_000_000_000)?;
        let digits = part.get(..part.len().min(9))?;
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let nanos = format!("{digits:0<9}").parse::<i64>().ok()?;
        seconds.checked_add(if whole.starts_with('-') { -nanos } else { nanos })
    };
    match nanos() {
        Some(nanos) => Ok(Some(nanos)),
        None => Err(Refusal::new(StatusCode::BAD_REQUEST, "X-OC-Mtime is no time in seconds since 1970")),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Answer<Option<&'a str>> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    match value.to_str() {
        Ok(text) => Ok(Some(text.trim())),
        Err(_) => Err(Refusal::new(StatusCode::BAD_REQUEST, format!("the header {name} is malformed"))),
    }
}

/// The type worth keeping: one that says more than that there are bytes, or how a form sent them.
fn kept_type(headers: &HeaderMap) -> Option<String> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?.trim();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let says_nothing = matches!(
        essence.as_str(),
        "application/octet-stream" | "binary/octet-stream" | "application/x-www-form-urlencoded"
    );
    let is_type = essence.split_once('/').is_some_and(|(kind, sub)| {
        !sub.is_empty()
            && matches!(kind, "application" | "audio" | "font" | "image" | "message" | "model" | "text" | "video")
    });
    (is_type && !says_nothing && kind.len() <= TYPE_BYTES_MAX).then(|| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn times_are_seconds() {
        for (text, expected) in [
            ("0", 0),
            ("1700000000", 1_700_000_000_000_000_000),
            ("1700000000.5", 1_700_000_000_500_000_000),
            ("1700000000.123456789999", 1_700_000_000_123_456_789),
            ("-1.5", -1_500_000_000),
        ] {
            assert_eq!(mtime_ns(&headers("x-oc-mtime", text)).unwrap(), Some(expected), "{text}");
        }
        for bad in ["", "now", "1.x", "99999999999999", "1e9", "1.é"] {
            let mut headers = HeaderMap::new();
            headers.insert("x-oc-mtime", axum::http::HeaderValue::from_bytes(bad.as_bytes()).unwrap());
            assert_eq!(mtime_ns(&headers).unwrap_err().status, StatusCode::BAD_REQUEST, "{bad}");
        }
    }

    #[test]
    fn types_that_say_something_are_kept() {
        assert_eq!(kept_type(&headers("content-type", "text/css; charset=utf-8")).unwrap(), "text/css; charset=utf-8");
        for nothing in ["application/octet-stream", "application/x-www-form-urlencoded", "junk", "text/", "x/y"] {
            assert_eq!(kept_type(&headers("content-type", nothing)), None, "{nothing}");
        }
    }
}
