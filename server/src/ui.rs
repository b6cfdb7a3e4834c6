//! The web page: what a browser gets at `/`, and its parts below the reserved path. Built into the program; in debug
//! builds read from the sources' directory, so that a change shows at once.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::app::App;
use crate::front::Client;
use crate::problem::Problem;

/// Nothing of another host, nothing inline; frames only for what the page itself fetched (PDF).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
    media-src 'self'; connect-src 'self'; frame-src blob:; object-src blob:; base-uri 'self'; form-action 'none'; \
    frame-ancestors 'none'";

#[derive(RustEmbed)]
#[folder = "ui/"]
struct Assets;

/// The page's parts; they hold nothing of the pool, and need no sign-in.
pub fn router(app: &Arc<App>) -> Router {
    Router::new().route("/ui/{*file}", get(asset)).with_state(app.clone())
}

async fn asset(State(app): State<Arc<App>>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    match Assets::get(&name).filter(|_| app.config().enable_webui && name != "index.html") {
        Some(file) => answer(&file, &headers, &name, None),
        None => {
            Problem::new(StatusCode::NOT_FOUND, "no_such_address", "there is nothing at this address").into_response()
        }
    }
}

/// The page for people, where a browser asks for `/`.
pub async fn page(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let accepts = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let is_page = *request.method() == Method::GET
        && request.uri().path() == "/"
        && accepts.is_some_and(|accept| accept.contains("text/html"));
    if !is_page || !app.config().enable_webui {
        return next.run(request).await;
    }
    let base = request.extensions().get::<Client>().map_or_else(String::new, |client| client.base.to_string());
    match Assets::get("index.html") {
        Some(file) => answer(&file, request.headers(), "index.html", Some(&base)),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A part; of the page itself, `BASE` is where a proxy offers it.
fn answer(file: &EmbeddedFile, asked: &HeaderMap, name: &str, base: Option<&str>) -> Response {
    let tag = format!("\"{}\"", crate::auth::hex(&file.metadata.sha256_hash()[..16]));
    let known = asked.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    let mut response = if base.is_none() && known.is_some_and(|known| known.contains(&tag)) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let body = match base {
            Some(base) => String::from_utf8_lossy(&file.data).replace("BASE", &escape(base)).into_bytes(),
            None => file.data.to_vec(),
        };
        body.into_response()
    };
    let headers = response.headers_mut();
    let kind = mime_guess::from_path(name).first_or_octet_stream();
    let kind = if kind.type_() == "text" { format!("{kind}; charset=utf-8") } else { kind.to_string() };
    let values = [
        (header::CONTENT_TYPE, kind.as_str()),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        // Asked for again each time, and sent only when it has changed: a new version is there at once.
        (header::CACHE_CONTROL, "no-cache"),
        (header::VARY, "Accept"),
    ];
    for (name, value) in values {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    if base.is_none()
        && let Ok(tag) = HeaderValue::from_str(&tag)
    {
        headers.insert(header::ETAG, tag);
    }
    response
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_vendored(name: &str) -> bool {
        name.starts_with("vendor/") && !name.ends_with("SHA256SUMS") && !name.ends_with(".d.ts")
    }

    #[test]
    fn all_parts_are_there_and_the_vendored_ones_unchanged() {
        let sums = Assets::get("vendor/SHA256SUMS").unwrap();
        let sums = std::str::from_utf8(&sums.data).unwrap();
        assert!(sums.lines().count() >= 4, "{sums}");
        for line in sums.lines() {
            let (sum, name) = line.split_once("  ").unwrap();
            let file = Assets::get(&format!("vendor/{name}")).unwrap();
            assert_eq!(crate::auth::hex(&file.metadata.sha256_hash()), sum, "{name}");
        }
        for name in Assets::iter().filter(|name| is_vendored(name)) {
            assert!(sums.contains(&name["vendor/".len()..]), "{name} is not in the list");
        }
    }

    #[test]
    fn the_page_is_answered_below_a_base_path() {
        let file = Assets::get("index.html").unwrap();
        let response = answer(&file, &HeaderMap::new(), "index.html", Some("/a\"b"));
        assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
        assert!(!POLICY.contains("unsafe"));
        let page = std::str::from_utf8(&file.data).unwrap();
        assert!(page.contains("\"BASE/.rclonepool/ui/app.js\""), "{page}");
        assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains("onclick"), "{page}");
    }

    #[test]
    fn a_part_that_is_known_is_not_sent_again() {
        let file = Assets::get("app.css").unwrap();
        let first = answer(&file, &HeaderMap::new(), "app.css", None);
        let tag = first.headers()["etag"].clone();
        let again = answer(&file, &HeaderMap::from_iter([(header::IF_NONE_MATCH, tag)]), "app.css", None);
        assert_eq!((first.status(), again.status()), (StatusCode::OK, StatusCode::NOT_MODIFIED));
        assert_eq!(first.headers()["content-type"], "text/css; charset=utf-8");
    }
}
