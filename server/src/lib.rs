//! The server: one process that offers pools by WebDAV, REST, WebSocket and as metrics.
//!
//! A library: it prints nothing, ends no process and reads no environment. [`Server::builder`] takes a
//! configuration, and pools where they are open already; [`Server::addresses`] tells what it listens on;
//! [`Server::reload`] takes a changed configuration; [`Server::shutdown`] ends it in order.
#![forbid(unsafe_code)]

mod api;
mod app;
mod auth;
pub mod content;
pub mod dav;
mod front;
mod guard;
mod hub;
mod jobs;
mod metrics;
mod path;
mod principal;
mod problem;
mod routes;
mod server;
pub mod status;
mod tenant;
mod throughput;
mod tls;
mod transfer;
mod ui;
mod ws;

pub use api::document;
pub use app::{Files, Loader};
pub use auth::{hash_password, new_token};
pub use principal::{Principal, Quota, Room};
pub use server::{Address, Builder, Face, Server};
