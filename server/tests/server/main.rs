//! The server over real sockets and real directories.
#![allow(clippy::unwrap_used, clippy::panic)] // the way a test fails

mod client;
mod live;
mod members;
mod process;
mod rest;
mod sign_in;
mod users;
