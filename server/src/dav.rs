//! WebDAV (RFC 4918, classes 1, 2 and 3) over the pool of whoever asks.
//!
//! Contents, listings, properties and all that changes files are answered here, each change as one commit of the
//! journal. dav-server answers the protocol's small methods (OPTIONS, MKCOL, LOCK, UNLOCK) behind the same checks: of
//! headers, paths, XML, read-only users, and of panics.

mod change;
mod delegate;
mod depth;
mod failed;
mod find;
mod if_header;
mod locks;
mod patch;
mod property;
mod target;
mod xml;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ALLOW, HeaderName};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::{BodyExt, Limited};
use rclonepool_core::PoolPath;

use crate::content::{self, Conditions, Verdict};
use crate::principal::Principal;
use crate::status::{Answer, Refusal};
use if_header::{List, State as Wanted};
use target::Target;

/// The methods there are.
const METHODS: &str = "OPTIONS, GET, HEAD, PUT, DELETE, PROPFIND, PROPPATCH, MKCOL, COPY, MOVE, LOCK, UNLOCK";
/// What is promised in OPTIONS. dav-server would promise partial updates, too.
const CLASSES: HeaderValue = HeaderValue::from_static("1, 2, 3");

/// How the server looks from outside, where that is not how it looks from here: a trusted proxy lies between. Put into
/// a request's extensions by who knows.
#[derive(Debug, Clone, Default)]
pub struct Outside {
    /// The path that all URLs begin with there and none does here: empty, or with a slash at its beginning and none
    /// at its end.
    pub base: Arc<str>,
    /// Host and port, as clients name them.
    pub authority: Option<Arc<str>>,
}

/// WebDAV for all pools of the process.
#[derive(Debug, Default)]
pub struct Dav {
    locks: locks::Tables,
    failed: failed::Failed,
    free: find::Free,
}

/// Answers every path as one of the pool. Each request needs a [`Principal`] in its extensions, and may have an
/// [`Outside`].
pub fn router() -> Router {
    let dav = Arc::new(Dav::default());
    Router::new()
        .fallback(|State(dav): State<Arc<Dav>>, request: Request<Body>| async move { dav.answer(request).await })
        .with_state(dav)
}

impl Dav {
    /// Answers a request, as [`router`] says.
    pub async fn answer(&self, request: Request<Body>) -> Response {
        let is_head = request.method() == Method::HEAD;
        match AssertUnwindSafe(self.handle(request)).catch_unwind().await {
            Ok(Ok(response)) => response,
            Ok(Err(refusal)) => {
                let is_method = refusal.status == StatusCode::METHOD_NOT_ALLOWED;
                let mut response = refusal.into_response();
                if is_method {
                    response.headers_mut().insert(ALLOW, HeaderValue::from_static(METHODS));
                }
                if is_head {
                    *response.body_mut() = Body::empty();
                }
                response
            }
            Err(_) => {
                // The hook for panics has said where.
                tracing::error!("a WebDAV request panicked");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }

    async fn handle(&self, request: Request<Body>) -> Answer<Response> {
        let (mut parts, body) = request.into_parts();
        let Some(principal) = parts.extensions.remove::<Principal>() else {
            return Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "nobody said who asks"));
        };
        let outside = parts.extensions.remove::<Outside>().unwrap_or_default();
        let (headers, uri) = (&parts.headers, &parts.uri);
        if parts.method == Method::OPTIONS && uri.path() == "*" {
            return self.delegate(&principal, &outside, None, parts, Bytes::new()).await;
        }
        let target = Target::of(uri.path())?;
        let (path, pool) = (&target.path, &principal.pool);
        let method = parts.method.as_str().to_owned();
        let reads = matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS" | "PROPFIND");
        if principal.read_only && !reads {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "this user may only read"));
        }
        match method.as_str() {
            "GET" | "HEAD" => return Ok(content::get(&principal, path, headers, method == "HEAD").await),
            "PUT" => {
                let access = self.access(&principal, path, headers, uri, &outside)?;
                return change::put(self, &principal, &target, headers, &access, body).await;
            }
            _ => {}
        }
        let body = small(body).await?;
        match method.as_str() {
            "PROPFIND" => find::propfind(self, &principal, &target, headers, &outside.base, body).await,
            "PROPPATCH" => {
                let access = self.access(&principal, path, headers, uri, &outside)?;
                let entry = pool.entry(path)?;
                let is_directory = pool.is_directory(path)?;
                if entry.is_none() && !is_directory {
                    let message = format!("{path}: no such file or directory in the pool");
                    return Err(Refusal::new(StatusCode::NOT_FOUND, message));
                }
                conditions(&principal, path, headers)?;
                access.permit(path, false)?;
                patch::proppatch(&principal, &target, &outside.base, body, entry.as_ref()).await
            }
            "DELETE" => {
                no_body(&body)?;
                let access = self.access(&principal, path, headers, uri, &outside)?;
                conditions(&principal, path, headers)?;
                change::delete(self, &principal, &target, headers, &access).await
            }
            "COPY" | "MOVE" => {
                no_body(&body)?;
                let access = self.access(&principal, path, headers, uri, &outside)?;
                conditions(&principal, path, headers)?;
                let copy = method == "COPY";
                change::transfer(self, &principal, &target, headers, uri, &outside, &access, copy).await
            }
            "MKCOL" | "LOCK" => {
                if !body.is_empty() && method == "LOCK" {
                    // Its parser recurses as deep as it is asked to.
                    xml::Document::read(&body)?;
                }
                if pool.entry(path)?.is_none() && !pool.is_directory(path)? {
                    self.access(&principal, path, headers, uri, &outside)?.permit_member(path)?;
                }
                self.delegate(&principal, &outside, Some(&target), parts, body).await
            }
            "OPTIONS" | "UNLOCK" => self.delegate(&principal, &outside, Some(&target), parts, body).await,
            _ => Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "there is no such method")),
        }
    }

    async fn delegate(
        &self,
        principal: &Principal,
        outside: &Outside,
        target: Option<&Target>,
        parts: axum::http::request::Parts,
        body: Bytes,
    ) -> Answer<Response> {
        let locks = self.locks.of(&principal.pool);
        let mut response = delegate::answer(principal, locks, &outside.base, target, parts, body).await?;
        let classes = HeaderName::from_static("dav");
        if response.headers().contains_key(&classes) {
            response.headers_mut().insert(classes, CLASSES);
        }
        Ok(response)
    }

    /// Holds a request's `If` header against what is there; the tokens it brings count from here on.
    fn access<'a>(
        &self,
        principal: &'a Principal,
        path: &PoolPath,
        headers: &HeaderMap,
        uri: &Uri,
        outside: &Outside,
    ) -> Answer<Access<'a>> {
        let lists = if_header::read(headers)?;
        let locks = self.locks.of(&principal.pool);
        let mut tokens = Vec::new();
        for condition in lists.iter().flatten().flat_map(|list| &list.conditions) {
            if let Wanted::Token(token) = &condition.state {
                tokens.push(token.clone());
            }
        }
        let access = Access { principal, locks, tokens };
        let mut holds = lists.is_none();
        for list in lists.iter().flatten() {
            let about = match &list.tag {
                None => Some(path.clone()),
                // What is elsewhere has neither locks nor tags here.
                Some(tag) => Target::named(tag, headers, uri, outside).ok().map(|target| target.path),
            };
            holds = holds || access.holds(list, about.as_ref())?;
        }
        if holds {
            Ok(access)
        } else {
            Err(Refusal::new(StatusCode::PRECONDITION_FAILED, "no list of the header If holds"))
        }
    }
}

/// What a request may do where there are locks.
struct Access<'a> {
    principal: &'a Principal,
    locks: locks::Locks,
    tokens: Vec<String>,
}

impl Access<'_> {
    fn name(&self) -> &str {
        self.principal.name.as_deref().unwrap_or_default()
    }

    /// Fails where somebody else's lock covers a path, with `deep` or anything below it.
    fn permit(&self, path: &PoolPath, deep: bool) -> Answer<()> {
        self.locks.permit(path, deep, self.name(), &self.tokens)
    }

    /// Fails where somebody else's lock keeps a directory from getting or losing this member.
    fn permit_member(&self, path: &PoolPath) -> Answer<()> {
        match path.parent() {
            Some(parent) => self.permit(&parent, false),
            None => Ok(()),
        }
    }

    fn holds(&self, list: &List, about: Option<&PoolPath>) -> Answer<bool> {
        let Some(path) = about else { return Ok(list.conditions.iter().all(|condition| condition.is_negated)) };
        for condition in &list.conditions {
            let is = match &condition.state {
                Wanted::Token(token) => self.locks.has(path, token),
                Wanted::Tag(tag) => {
                    let entry = self.principal.pool.entry(path)?;
                    entry.and_then(|entry| content::etag(&entry)).is_some_and(|found| found == *tag)
                }
            };
            if is == condition.is_negated {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Holds the `If-*` headers of HTTP against what is there.
fn conditions(principal: &Principal, path: &PoolPath, headers: &HeaderMap) -> Answer<()> {
    let entry = principal.pool.entry(path)?;
    let tag = entry.as_ref().and_then(content::etag);
    let modified = entry.as_ref().map(|entry| content::http_time(entry.mtime_ns));
    let exists = entry.is_some() || principal.pool.is_directory(path)?;
    match (Conditions { exists, etag: tag.as_deref(), modified }).verdict(headers, false) {
        Verdict::Go => Ok(()),
        _ => Err(Refusal::new(StatusCode::PRECONDITION_FAILED, format!("{path} is not what the request expects"))),
    }
}

/// A body that is XML, or nothing.
async fn small(body: Body) -> Answer<Bytes> {
    match tokio::time::timeout(content::IDLE, Limited::new(body, xml::BYTES_MAX).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            let message = format!("the body has more than {} bytes", xml::BYTES_MAX);
            Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message))
        }
        Ok(Err(error)) => Err(Refusal::new(StatusCode::BAD_REQUEST, format!("the body broke off: {error}"))),
        Err(_) => Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not come")),
    }
}

fn no_body(body: &Bytes) -> Answer<()> {
    if body.is_empty() {
        Ok(())
    } else {
        Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "this method takes no body"))
    }
}
