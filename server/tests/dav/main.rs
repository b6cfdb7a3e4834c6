//! WebDAV over real sockets. One binary: `mod` every file here.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod clients;
mod crowd;
mod faults;
mod harness;
mod litmus;
mod namespace;
mod properties;
mod rclone;
mod reading;
mod recorded;
mod writing;
