//! The API's description, and a page that shows it without the network.

use std::sync::{Arc, LazyLock};

use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use utoipa::OpenApi;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{OpenApi as Document, PathItem, RefOr, Server};
use utoipa_swagger_ui::Config;

use super::input::Links;
use super::{care, convert, files, jobs, namespace, pool, remotes, session, trash};
use crate::problem::Problem;

#[derive(OpenApi)]
#[openapi(
    info(title = "rclonepool", description = "A storage pool out of many rclone remotes.",
        license(name = "MIT", identifier = "MIT")),
    paths(
        pool::status, pool::stats, pool::health, pool::balance, pool::sync,
        namespace::list, namespace::upload, namespace::search, namespace::mkdir, namespace::rename, namespace::copy,
        files::info, files::get_content, files::put_content, files::shards, files::health, files::delete,
        care::verify, care::repair, care::rebuild, convert::convert, care::rebalance, care::orphans, care::gc,
        trash::list, trash::restore, trash::empty,
        remotes::list, remotes::add, remotes::remove, remotes::drain,
        jobs::list, jobs::find, jobs::cancel,
        session::sign_in, session::sign_out, session::me, session::ticket,
    ),
    components(schemas(crate::hub::Topic)),
    tags(
        (name = "pool", description = "The pool as a whole"),
        (name = "files", description = "Files and directories"),
        (name = "care", description = "Long operations, each a job: 202 and Location, or its result within ?wait=SECONDS"),
        (name = "trash", description = "What was deleted or overwritten"),
        (name = "remotes", description = "Who belongs to the pool"),
        (name = "jobs", description = "Long operations, watched and cancelled"),
        (name = "session", description = "Signing in"),
    ),
)]
struct Api;

static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
    let mut document = Api::openapi();
    document.info.version = env!("CARGO_PKG_VERSION").into();
    let components = document.components.get_or_insert_default();
    let http = |scheme| SecurityScheme::Http(HttpBuilder::new().scheme(scheme).build());
    components.add_security_scheme("basic", http(HttpAuthScheme::Basic));
    components.add_security_scheme("bearer", http(HttpAuthScheme::Bearer));
    let key = ApiKey::Header(ApiKeyValue::new("X-API-Key"));
    components.add_security_scheme("api_key", SecurityScheme::ApiKey(key));
    let cookie = ApiKey::Cookie(ApiKeyValue::new(crate::auth::COOKIE_NAME));
    components.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
    let any = ["basic", "bearer", "api_key", "session"];
    document.paths.paths.values_mut().for_each(name_problems);
    document.security = Some(any.map(|name| SecurityRequirement::new(name, [""; 0])).into());
    document
});

/// Says of every refusal that it is a problem body, as [`Problem`] is sent.
fn name_problems(path: &mut PathItem) {
    let operations = [&mut path.get, &mut path.put, &mut path.post, &mut path.delete];
    for (status, response) in operations.into_iter().flatten().flat_map(|o| &mut o.responses.responses) {
        if let (true, RefOr::T(response)) = (status.starts_with(['4', '5']), response)
            && let Some(content) = response.content.shift_remove("application/json")
        {
            response.content.insert("application/problem+json".into(), content);
        }
    }
}

/// The OpenAPI 3.1 document of the REST API.
pub fn document() -> Document {
    DOCUMENT.clone()
}

/// Gives the document, with the address it is served at.
pub async fn openapi(links: Links) -> Json<Document> {
    let mut document = document();
    let base = links.to("");
    let base = base.strip_suffix("/api/v1").unwrap_or_default();
    document.servers = Some(vec![Server::new(if base.is_empty() { "/" } else { base })]);
    Json(document)
}

/// Leads to the page.
pub async fn to_page(links: Links) -> Redirect {
    Redirect::permanent(&links.to("/docs/"))
}

/// The page.
pub async fn page() -> Response {
    asset("index.html")
}

/// What the page is made of.
pub async fn file(Path(file): Path<String>) -> Response {
    asset(&file)
}

fn asset(file: &str) -> Response {
    let config = Arc::new(Config::new(["../openapi.json"]));
    match utoipa_swagger_ui::serve(file, config) {
        Ok(Some(found)) => {
            let policy =
                "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'";
            let mut response = found.bytes.into_owned().into_response();
            let headers = response.headers_mut();
            if let Ok(kind) = found.content_type.parse() {
                headers.insert(header::CONTENT_TYPE, kind);
            }
            headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            response
        }
        _ => Problem::new(StatusCode::NOT_FOUND, "no_such_address", "the docs have no such part").into_response(),
    }
}
