//! GET and HEAD.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, RANGE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use rclonepool_core::journal::record::{Content, Entry};
use rclonepool_core::pool::{FileHandle, FileReader};
use rclonepool_core::{Error, ErrorKind, Pool, PoolPath};

use super::range::{Wanted, wanted};
use super::{Conditions, Verdict, content_type, etag, http_time, kind};
use crate::principal::Principal;
use crate::status::{Answer, Refusal};

/// What is read in one go, in bytes; more goes to the client as it comes from the remotes.
const SHORT: u64 = 1 << 20;
/// The methods that directories have.
const OF_DIRECTORIES: &str = "OPTIONS, PROPFIND, PROPPATCH, COPY, MOVE, DELETE, LOCK, UNLOCK";

/// Answers a GET, or with `is_head` a HEAD, of a file: whole, in one range, or in several
/// (`multipart/byteranges`), under the request's conditions.
///
/// The answer is 200, 206, 304, 404, 405 (a directory), 412, 416, or an error before the first byte. An error later
/// breaks the connection: the client gets all that was announced, or knows that it did not.
pub async fn get(principal: &Principal, path: &PoolPath, headers: &HeaderMap, is_head: bool) -> Response {
    match answer(principal, path, headers, is_head).await {
        Ok(response) => response,
        Err(refusal) => {
            let is_method = refusal.status == StatusCode::METHOD_NOT_ALLOWED;
            let mut response = refusal.into_response();
            if is_method {
                response.headers_mut().insert(ALLOW, HeaderValue::from_static(OF_DIRECTORIES));
            }
            response
        }
    }
}

async fn answer(principal: &Principal, path: &PoolPath, headers: &HeaderMap, is_head: bool) -> Answer<Response> {
    let pool = &principal.pool;
    let entry = match pool.entry(path)? {
        Some(entry) if is_file(&entry) => entry,
        None if !pool.is_directory(path)? => {
            // What is not known here may be there all the same.
            pool.check_listing().await?;
            return Err(Refusal::new(StatusCode::NOT_FOUND, format!("{path}: no such file in the pool")));
        }
        Some(entry) if !entry.content.is_directory() => {
            return Err(Refusal::new(StatusCode::NOT_FOUND, format!("{path} is a link")));
        }
        _ => return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, format!("{path} is a directory"))),
    };
    let tag = etag(&entry).unwrap_or_default();
    let modified = http_time(entry.mtime_ns);
    let conditions = Conditions { exists: true, etag: Some(&tag), modified: Some(modified) };
    let verdict = conditions.verdict(headers, true);
    if verdict == Verdict::Failed {
        return Err(Refusal::new(StatusCode::PRECONDITION_FAILED, format!("{path} is another version")));
    }
    let mut response = Response::new(Body::empty());
    let out = response.headers_mut();
    out.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    out.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    out.insert(LAST_MODIFIED, value(&httpdate::fmt_http_date(modified)));
    out.insert(ETAG, value(&tag));
    if verdict == Verdict::NotModified {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let kind = content_type(&entry);
    kind::set(out, &kind);
    let size = entry.content.size();
    // RFC 9110 knows ranges of GET only.
    let asked = headers.get(RANGE).filter(|_| !is_head && conditions.range_counts(headers));
    let parts = match asked.and_then(|range| range.to_str().ok()).map_or(Wanted::Whole, |range| wanted(range, size)) {
        Wanted::Whole => vec![Part::File(0..size)],
        Wanted::One(range) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            response.headers_mut().insert(CONTENT_RANGE, value(&content_range(&range, size)));
            vec![Part::File(range)]
        }
        Wanted::Several(ranges) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let boundary = boundary(&tag);
            let multipart = format!("multipart/byteranges; boundary={boundary}");
            response.headers_mut().insert(CONTENT_TYPE, value(&multipart));
            multipart_of(&ranges, size, &kind, &boundary)
        }
        Wanted::Unsatisfiable => {
            let mut refused =
                Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, format!("{path} has {size} bytes")).into_response();
            refused.headers_mut().insert(CONTENT_RANGE, value(&format!("bytes */{size}")));
            return Ok(refused);
        }
    };
    let length: u64 = parts.iter().map(Part::length).sum();
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    if !is_head && length > 0 {
        let mut sending = Sending { parts: open(pool, &entry, parts)? };
        // What fails at once is an answer of its own.
        let first = sending.next().await?;
        let rest = stream::try_unfold((first, sending), |(first, mut sending)| async move {
            let piece = match first {
                Some(piece) => Some(piece),
                None => sending.next().await.inspect_err(|error| tracing::warn!("a download broke off: {error}"))?,
            };
            Ok::<_, Error>(piece.map(|piece| (piece, (None, sending))))
        });
        *response.body_mut() = Body::from_stream(rest);
    }
    Ok(response)
}

fn is_file(entry: &Entry) -> bool {
    matches!(entry.content, Content::File { .. } | Content::Inline { .. })
}

/// A part of an answer's body.
enum Part {
    Text(Bytes),
    File(Range<u64>),
}

impl Part {
    fn length(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::File(range) => range.end - range.start,
        }
    }
}

fn multipart_of(ranges: &[Range<u64>], size: u64, kind: &str, boundary: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    for (n, range) in ranges.iter().enumerate() {
        let before = if n == 0 { "" } else { "\r\n" };
        let kind: String = kind.chars().filter(|c| !c.is_control()).collect();
        let head = format!(
            "{before}--{boundary}\r\nContent-Type: {kind}\r\nContent-Range: {}\r\n\r\n",
            content_range(range, size)
        );
        parts.push(Part::Text(head.into()));
        parts.push(Part::File(range.clone()));
    }
    parts.push(Part::Text(format!("\r\n--{boundary}--\r\n").into()));
    parts
}

/// What cannot stand in the file but by somebody who knows the process's own secret: a text made of it and the tag.
fn boundary(tag: &str) -> String {
    use std::hash::{BuildHasher, RandomState};
    use std::sync::LazyLock;
    static SECRET: LazyLock<(RandomState, RandomState)> = LazyLock::new(Default::default);
    format!("{:016x}{:016x}", SECRET.0.hash_one(tag), SECRET.1.hash_one(tag))
}

fn content_range(range: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1))
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

/// A part that can be sent.
enum Open {
    Text(Bytes),
    /// A few bytes, of which others may be asked for soon: blocks of them are kept.
    Short {
        file: Arc<FileHandle>,
        range: Range<u64>,
    },
    File {
        reader: Box<FileReader>,
        left: u64,
    },
}

/// Opens every part of one and the same version.
fn open(pool: &Arc<Pool>, entry: &Entry, parts: Vec<Part>) -> Answer<VecDeque<Open>> {
    let file = pool.open_entry(entry.clone())?;
    let open = parts.into_iter().map(|part| match part {
        Part::Text(text) => Open::Text(text),
        Part::File(range) if range.end - range.start <= SHORT => Open::Short { file: file.clone(), range },
        Part::File(range) => {
            let left = range.end - range.start;
            Open::File { reader: Box::new(file.reader(Some(range))), left }
        }
    });
    Ok(open.collect())
}

fn differ(entry: &Entry) -> Error {
    Error::new(ErrorKind::Corrupt, "its manifest and its data differ in length").at_path(&entry.path)
}

/// A body on its way to the client.
struct Sending {
    parts: VecDeque<Open>,
}

impl Sending {
    /// The next bytes; `None` when all that was announced was given.
    async fn next(&mut self) -> rclonepool_core::Result<Option<Bytes>> {
        while let Some(part) = self.parts.front_mut() {
            match part {
                Open::Text(text) => {
                    let text = std::mem::take(text);
                    self.parts.pop_front();
                    return Ok(Some(text));
                }
                Open::Short { file, range } => match range.clone() {
                    range if range.is_empty() => drop(self.parts.pop_front()),
                    whole => {
                        let pieces = file.read_at(whole.clone()).await?;
                        let length: usize = pieces.iter().map(Bytes::len).sum();
                        if length as u64 != whole.end - whole.start {
                            return Err(differ(file.entry()));
                        }
                        self.parts.pop_front();
                        for piece in pieces.into_iter().rev() {
                            self.parts.push_front(Open::Text(piece));
                        }
                    }
                },
                Open::File { left: 0, .. } => drop(self.parts.pop_front()),
                Open::File { reader, left } => match reader.next().await? {
                    Some(bytes) if bytes.len() as u64 <= *left => {
                        *left -= bytes.len() as u64;
                        return Ok(Some(bytes));
                    }
                    _ => return Err(differ(reader.entry())),
                },
            }
        }
        Ok(None)
    }
}
