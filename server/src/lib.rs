//! The HTTP face of rclonepool.
//!
//! A library: it gives an [`axum::Router`] and leaves listening, TLS and shutting down to the
//! program that embeds it. Today the router answers `/healthz`; WebDAV and the REST API will join
//! it here.
#![forbid(unsafe_code)]

pub mod content;
pub mod dav;
mod principal;
pub mod status;

use axum::routing::get;
use axum::{Json, Router};

pub use principal::{Principal, Quota, Room};

/// The answer of `/healthz`.
#[derive(Debug, serde::Serialize)]
pub struct Health {
    /// Always `ok`: the process answers. It says nothing about remotes.
    pub status: &'static str,
    /// The version of rclonepool.
    pub version: &'static str,
}

/// Everything the server answers. `/healthz` needs no sign-in: supervisors and load balancers ask it.
pub fn router() -> Router {
    Router::new().route("/healthz", get(healthz))
}

/// Whether the process is alive.
pub async fn healthz() -> Json<Health> {
    Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}
