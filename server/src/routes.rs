//! Which address leads where, on each listener.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde_json::json;
use tower_http::catch_panic::CatchPanicLayer;

use crate::api;
use crate::app::App;
use crate::auth::Who;
use crate::dav::{self, Outside};
use crate::front::{Client, Front, front};
use crate::guard::{Guard, guard};
use crate::metrics;
use crate::problem::Problem;
use crate::ui;
use crate::ws;

/// What belongs to the server lies below this path of the pool's own address; no pool path begins so.
pub const RESERVED: &str = "/.rclonepool";

/// Below which path of a listener the server's own addresses lie.
#[derive(Debug, Clone, Copy)]
pub struct Mount(pub &'static str);

/// WebDAV, the page, and everything else below the reserved path.
pub fn serve(front_of: Front) -> Router {
    let app = front_of.app.clone();
    let own = own(&app, Mount(RESERVED)).merge(ui::router(&app)).fallback(nothing);
    let guarded = from_fn_with_state(Guard { app: app.clone(), face: "webdav" }, guard);
    let files = dav::router().layer(from_fn(outside)).layer(guarded).layer(from_fn_with_state(app, ui::page));
    let router = Router::new().nest(RESERVED, own).fallback_service(files);
    finish(router, front_of)
}

/// REST and WebSocket.
pub fn api(front_of: Front) -> Router {
    let app = front_of.app.clone();
    finish(own(&app, Mount("")).fallback(nothing), front_of)
}

/// Metrics.
pub fn metrics(front_of: Front) -> Router {
    let app = front_of.app.clone();
    let guarded = from_fn_with_state(Guard { app: app.clone(), face: "metrics" }, guard);
    let router = Router::new().route("/metrics", get(scrape)).layer(guarded);
    finish(router.merge(probes(&app)).fallback(nothing), front_of)
}

fn own(app: &Arc<App>, mount: Mount) -> Router {
    let guarded = from_fn_with_state(Guard { app: app.clone(), face: "rest" }, guard);
    let rest = api::guarded(app.clone()).layer(guarded).merge(api::open(app.clone()));
    Router::new()
        .nest("/api/v1", rest.fallback(nothing))
        .route("/ws", get(ws::open).with_state(app.clone()))
        .merge(probes(app))
        .layer(Extension(mount))
}

fn probes(app: &Arc<App>) -> Router {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz)).with_state(app.clone())
}

/// Tells WebDAV how the server looks from outside; keeps out preflights that nobody allowed, which would look like
/// questions of a WebDAV client.
async fn outside(client: Client, mut request: Request, next: Next) -> Response {
    let is_preflight =
        *request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if is_preflight {
        return StatusCode::FORBIDDEN.into_response();
    }
    let Client { base, host, .. } = client;
    request.extensions_mut().insert(Outside { base, authority: host.map(Into::into) });
    next.run(request).await
}

fn finish(router: Router, front_of: Front) -> Router {
    let inner = router.layer(CatchPanicLayer::custom(panicked));
    // As a fallback, so that addresses are looked up after the base path was taken off.
    Router::new().fallback_service(inner).layer(from_fn_with_state(front_of, front))
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a request met a bug in rclonepool");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "a bug in rclonepool").into_response()
}

async fn nothing() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_address", "there is nothing at this address")
}

/// Whether the process is alive; needs no sign-in, as supervisors ask it.
async fn healthz() -> Response {
    let mut response = Json(json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")})).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Whether it can answer: it is not about to stop, and every pool has a remote online.
async fn readyz(State(app): State<Arc<App>>) -> Response {
    let mut is_ready = !app.closing.is_cancelled();
    for tenant in app.all() {
        is_ready &= !tenant.pool().view().await.online().is_empty();
    }
    let (status, word) =
        if is_ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    let mut response = (status, Json(json!({ "status": word }))).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn scrape(who: Who) -> Result<Response, Problem> {
    let text = metrics::render(&who.tenant).await?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use rclonepool_core::Config;
    use rclonepool_core::pool::OpenOptions;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_handler_that_panics_answers_and_the_next_request_is_served() {
        let app = App::new(Config::default(), Vec::new(), Vec::new(), None, OpenOptions::default()).unwrap();
        let front_of = Front { app: Arc::new(app), https: false, is_local: true };
        async fn bug() -> Response {
            panic!("a bug")
        }
        let router = finish(Router::new().route("/bug", get(bug)).route("/healthz", get(healthz)), front_of);
        for (path, status) in [("/bug", 500), ("/healthz", 200), ("/bug", 500)] {
            let request = Request::builder().uri(path).header("host", "localhost").body(Body::empty()).unwrap();
            let answer = router.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), status, "{path}");
            if status == 500 {
                assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json");
            }
        }
    }
}
