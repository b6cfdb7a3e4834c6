//! REST, version 1.
#![allow(clippy::result_large_err, reason = "a problem is made once for a request, and sent")]

mod care;
mod convert;
mod docs;
mod files;
mod input;
mod jobs;
mod namespace;
mod pool;
mod remotes;
mod session;
mod trash;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::app::App;

pub use docs::document;

/// What needs sign-in.
pub fn guarded(app: Arc<App>) -> Router {
    let router = Router::new()
        .route("/status", get(pool::status))
        .route("/stats", get(pool::stats))
        .route("/health", get(pool::health))
        .route("/sync", post(pool::sync))
        .route("/balance-status", get(pool::balance))
        .route("/search", get(namespace::search))
        .route("/files", get(namespace::list).post(namespace::upload))
        .route("/files/{*path}", get(files::read).put(files::write).delete(files::delete))
        .route("/mkdir", post(namespace::mkdir))
        .route("/move", post(namespace::rename))
        .route("/copy", post(namespace::copy))
        .route("/verify", post(care::verify))
        .route("/repair", post(care::repair))
        .route("/rebuild", post(care::rebuild))
        .route("/convert", post(convert::convert))
        .route("/rebalance", post(care::rebalance))
        .route("/orphans", post(care::orphans))
        .route("/gc", post(care::gc))
        .route("/trash", get(trash::list).delete(trash::empty))
        .route("/trash/restore", post(trash::restore))
        .route("/remotes", get(remotes::list).post(remotes::add))
        .route("/remotes/{name}", axum::routing::delete(remotes::remove))
        .route("/remotes/{name}/drain", post(remotes::drain))
        .route("/jobs", get(jobs::list))
        .route("/jobs/{id}", get(jobs::find).delete(jobs::cancel))
        .route("/me", get(session::me))
        .route("/ws-ticket", post(session::ticket));
    router.with_state(app)
}

/// What does not.
pub fn open(app: Arc<App>) -> Router {
    Router::new()
        .route("/session", post(session::sign_in).delete(session::sign_out))
        .route("/openapi.json", get(docs::openapi))
        .route("/docs", get(docs::to_page))
        .route("/docs/", get(docs::page))
        .route("/docs/{*file}", get(docs::file))
        .with_state(app)
}
