//! Reading an object through rclone's object server.
//!
//! Trap: once the answer has begun, a failure is only a body that ends early, and the server does
//! not go on where it broke: we do. Breaking twice at one place means that there is something wrong
//! there, and another way of reading tells what.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::BodyStream;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::classify::{Attempt, Failure};
use super::object::Shared;
use super::process::Daemon;
use super::rc::with_causes;
use crate::error::{Error, ErrorKind, Result};

/// How often a body that broke is asked for again before the caller hears of it.
const RESUMES: u32 = 3;

/// A get in progress.
pub(super) struct Download {
    shared: Arc<Shared>,
    daemon: Arc<Daemon>,
    name: String,
    /// Where the next byte comes from.
    at: u64,
    /// Where it ends; unknown only for objects rclone does not know the length of.
    end: Option<u64>,
    body: BodyStream<Incoming>,
    resumes: u32,
    /// Where it broke last.
    broke_at: Option<u64>,
}

impl Download {
    /// Opens `name`; a range must not be empty.
    pub async fn open(shared: Arc<Shared>, daemon: Arc<Daemon>, name: &str, range: Option<Range<u64>>) -> Result<Self> {
        let opened = match daemon.rc.open(shared.fs(), name, range.as_ref()).await {
            Err(failure) if failure.status == Some(404) && !failure.json => {
                explain(&shared, &daemon, name, range.as_ref(), failure).await?
            }
            other => other.map_err(|f| shared.failed(&f, Attempt::Get, name))?,
        };
        let at = range.as_ref().map_or(0, |range| range.start);
        let end = range.map(|range| range.end).or(opened.length);
        let body = BodyStream::new(opened.body);
        Ok(Self { shared, daemon, name: name.to_owned(), at, end, body, resumes: 0, broke_at: None })
    }

    /// The next piece and what comes after it.
    pub async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        loop {
            let broke = match self.body.next().await {
                Some(Ok(frame)) => {
                    // Trailers are no data.
                    let Ok(piece) = frame.into_data() else { continue };
                    self.at += piece.len() as u64;
                    return Ok(Some((piece, self)));
                }
                None if self.end.is_none_or(|end| self.at == end) => return Ok(None),
                None => "the body ended early".to_owned(),
                Some(Err(error)) => with_causes(&error),
            };
            self.resume(&broke).await?;
        }
    }

    async fn resume(&mut self, broke: &str) -> Result<()> {
        let cut = |why: &str| {
            let message = format!("reading broke off at byte {}: {why}", self.at);
            Error::new(ErrorKind::Unavailable, message).on_remote(self.shared.fs()).at_path(&self.name)
        };
        let Some(end) = self.end else { return Err(cut(broke)) };
        if !self.daemon.is_alive() || self.resumes >= RESUMES {
            return Err(cut(broke));
        }
        if self.broke_at == Some(self.at) {
            return Err(match second_opinion(&self.shared, &self.daemon, &self.name).await {
                Err(error) => error,
                Ok(()) => cut(broke),
            });
        }
        tracing::debug!(name = self.name, at = self.at, broke, "going on with a get that broke");
        self.broke_at = Some(self.at);
        self.resumes += 1;
        let range = self.at..end;
        let again = self.daemon.rc.open(self.shared.fs(), &self.name, Some(&range)).await;
        let opened = match again {
            Ok(opened) => opened,
            Err(failure) if failure.status == Some(404) && !failure.json => {
                explain(&self.shared, &self.daemon, &self.name, Some(&range), failure).await?
            }
            Err(failure) => return Err(self.shared.failed(&failure, Attempt::Get, &self.name)),
        };
        self.body = BodyStream::new(opened.body);
        Ok(())
    }
}

/// Finds out why an object could not be opened, or opens it after all.
///
/// Trap: the object server says `404 Not Found`, in prose, for whatever kept it from opening the
/// object: permissions, a full disk, a wrong password. It never means that the object is absent.
async fn explain(
    shared: &Shared,
    daemon: &Daemon,
    name: &str,
    range: Option<&Range<u64>>,
    failure: Failure,
) -> Result<super::rc::Download> {
    let error = |kind, message: String| Err(Error::new(kind, message).on_remote(shared.fs()).at_path(name));
    match (shared.stat(daemon, name).await?, range) {
        (None, _) => return error(ErrorKind::NotFound, "no such object".into()),
        (Some(size), Some(range)) if range.end > size => {
            let message = format!("the object has {size} bytes, asked for {} to {}", range.start, range.end);
            return error(ErrorKind::Corrupt, message);
        }
        _ => {}
    }
    if let Ok(opened) = daemon.rc.open(shared.fs(), name, range).await {
        return Ok(opened);
    }
    second_opinion(shared, daemon, name).await?;
    // It can be read after all: passing trouble.
    error(ErrorKind::Unavailable, format!("rclone could not open the object: {}", failure.text))
}

/// Reads the whole object in the way that says what is wrong. Dear, but only for what failed twice.
async fn second_opinion(shared: &Shared, daemon: &Daemon, name: &str) -> Result<()> {
    let copy = format!("look-{:016x}", rand::random::<u64>());
    let arguments = json!({
        "srcFs": shared.fs(), "srcRemote": name,
        "dstFs": daemon.stage, "dstRemote": copy,
        "_config": { "NoCheckDest": true },
    });
    let copied = daemon.rc.call::<Value>("operations/copyfile", &arguments).await;
    let _ = tokio::fs::remove_file(daemon.stage.join(copy)).await;
    copied.map(drop).map_err(|f| shared.failed(&f, Attempt::Get, name))
}
