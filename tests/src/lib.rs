//! What the end-to-end tests share: the repository, the built programs, real rclone remotes.
//!
//! Everything here is for tests: a helper that cannot do its work panics and says what is missing.
#![forbid(unsafe_code)]
#![allow(clippy::panic)] // the way a test fails

pub mod built;
#[cfg(unix)]
pub mod c;
pub mod cli;
pub mod home;
pub mod rclone;
pub mod repository;
pub mod served;
pub mod shell;
pub mod wrapper;

/// A private directory that is gone when the value is dropped.
pub fn scratch() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("rclonepool-test-").tempdir().expect("a temporary directory can be made")
}

/// A TCP port of 127.0.0.1 that was free a moment ago. Prefer to let a server choose (port 0).
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    listener.local_addr().expect("a bound socket has an address").port()
}
