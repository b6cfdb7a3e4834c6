//! Signs requests in, and keeps out what may not be.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rclonepool_core::config::{AuthMethod, AuthMethods};

use crate::app::App;
use crate::auth::{Denied, Who};
use crate::front::{Client, is_foreign};
use crate::metrics;
use crate::problem::Problem;
use crate::transfer;

/// What is behind a guard.
#[derive(Clone)]
pub struct Guard {
    /// All that is served.
    pub app: Arc<App>,
    /// `webdav`, `rest`, …
    pub face: &'static str,
}

/// Requests that change nothing, by method.
fn is_safe(method: &Method) -> bool {
    matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS" | "PROPFIND")
}

/// Posts that change nothing in the pool.
fn is_harmless(route: &str) -> bool {
    ["/session", "/ws-ticket", "/verify", "/orphans"].iter().any(|end| route.ends_with(end))
}

/// Passes a request on with its [`Who`] and [`crate::Principal`], or refuses it.
pub async fn guard(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let since = Instant::now();
    let (app, method) = (&guard.app, request.method().clone());
    let Some(client) = request.extensions().get::<Client>().cloned() else {
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "nobody knows the client").into_response();
    };
    let who = match app.auth.sign_in(request.headers(), client.address).await {
        Ok(who) => who,
        Err(denied) => {
            if denied != Denied::Unknown {
                app.main().into_iter().for_each(|tenant| tenant.counts.refused());
            }
            return refusal(denied, &app.auth.directory().methods, request.headers());
        }
    };
    let route = route(&guard, &request);
    let is_writing = !is_safe(&method);
    if is_writing && who.is_ambient && is_foreign(request.headers(), &client, &app.config()) {
        let problem = Problem::new(StatusCode::FORBIDDEN, "foreign_origin", "another site's page sent this");
        return problem.hint("cors_origins names the sites that may").into_response();
    }
    if is_writing && who.principal.read_only && !is_harmless(&route) {
        return Problem::new(StatusCode::FORBIDDEN, "read_only", "this user or token may only read").into_response();
    }
    let tenant = who.tenant.clone();
    let path = transfer_path(&guard, &request);
    request.extensions_mut().insert(who.principal.clone());
    request.extensions_mut().insert(who);
    let response = match path {
        Some(path) if method == Method::PUT => {
            let (request, upload) = transfer::upload(request, &tenant, &path);
            let response = next.run(request).await;
            upload.answered(response.status());
            response
        }
        Some(path) => transfer::download(&method, next.run(request).await, &tenant, &path),
        None => next.run(request).await,
    };
    if is_writing && response.status().is_success() {
        tenant.forget_glance().await;
        tenant.recount();
    }
    let request =
        metrics::Request { face: guard.face, method: name_of(&method), route, status: response.status().as_u16() };
    tenant.counts.answered(request, since.elapsed());
    response
}

/// Methods come from clients: only known ones become labels.
fn name_of(method: &Method) -> String {
    const KNOWN: [&str; 16] = [
        "GET",
        "HEAD",
        "PUT",
        "POST",
        "DELETE",
        "OPTIONS",
        "PATCH",
        "PROPFIND",
        "PROPPATCH",
        "MKCOL",
        "COPY",
        "MOVE",
        "LOCK",
        "UNLOCK",
        "REPORT",
        "SEARCH",
    ];
    if KNOWN.contains(&method.as_str()) { method.to_string() } else { "other".into() }
}

fn route(guard: &Guard, request: &Request) -> String {
    let matched = request.extensions().get::<MatchedPath>();
    matched.map_or_else(
        || if guard.face == "webdav" { "/{path}".into() } else { "other".into() },
        |path| path.as_str().to_owned(),
    )
}

/// The path of the file whose bytes this request may carry or ask for.
fn transfer_path(guard: &Guard, request: &Request) -> Option<String> {
    let (method, path) = (request.method(), request.uri().path());
    if *method != Method::GET && *method != Method::PUT {
        return None;
    }
    let path = match guard.face {
        "webdav" => path,
        _ => path.split_once("/files/")?.1.strip_suffix("/content")?,
    };
    let path = crate::path::decode(path)?;
    Some(format!("/{}", path.trim_matches('/')))
}

/// The answer to who may not.
pub fn refusal(denied: Denied, methods: &AuthMethods, headers: &HeaderMap) -> Response {
    let problem = match denied {
        Denied::Unknown => Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "sign in first"),
        Denied::Wrong => Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "the user, password or token is wrong"),
        Denied::Slow(left) => {
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", "too many attempts to sign in failed")
                .retry_after(left.as_secs().max(1))
        }
        Denied::Busy => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "too many are signing in just now").retry_after(1)
        }
    };
    let mut response = problem.into_response();
    if response.status() == StatusCode::UNAUTHORIZED {
        // A page's script asks itself; the browser's own window would come before it.
        let by_script = headers.get("sec-fetch-dest").is_some_and(|dest| dest.as_bytes() == b"empty");
        let challenges = response.headers_mut();
        for method in methods.methods() {
            match method {
                AuthMethod::Basic if !by_script => challenges.append(
                    header::WWW_AUTHENTICATE,
                    HeaderValue::from_static("Basic realm=\"rclonepool\", charset=\"UTF-8\""),
                ),
                AuthMethod::Basic => false,
                AuthMethod::Bearer | AuthMethod::ApiKey => {
                    challenges.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"rclonepool\""))
                }
            };
        }
    }
    response
}

/// Who asks, in a handler behind a guard.
impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Who {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, _: &S) -> Result<Self, Problem> {
        let nobody = || Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "sign in first");
        parts.extensions.get::<Self>().cloned().ok_or_else(nobody)
    }
}

/// Where the request comes from, in a handler.
impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Client {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, _: &S) -> Result<Self, Problem> {
        let nobody = || Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "nobody knows the client");
        parts.extensions.get::<Self>().cloned().ok_or_else(nobody)
    }
}
