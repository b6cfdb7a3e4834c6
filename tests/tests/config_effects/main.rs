//! One test per key of the configuration: change it, and see the effect in what the program does.
//!
//! `every_key_has_its_test` holds this against the list of keys.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic)] // the way a test fails

mod care;
mod coverage;
mod format;
mod freeing;
mod journal;
mod placement;
mod plugins;
mod rclone;
mod reading;
mod server;
mod transfer;
