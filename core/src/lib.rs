//! The rclonepool engine: one storage pool out of many rclone remotes.
//!
//! Data flows one way: a *driver* (write, read) reads bytes, hands them to pure *stages*
//! (chunk, stripe, erasure, place), moves the shards through the [`remote`] seam and records what
//! is where in the [`journal`]. ARCHITECTURE.md in the repository draws the map; FORMAT.md
//! specifies every byte on the remotes.
//!
//! The library never prints, never exits, and reads neither the environment nor `$HOME`.
// Only the vector kernels of the erasure stage allow it; a test in tests/layering.rs sees to that.
#![deny(unsafe_code)]

mod buffer;
pub mod config;
pub mod env;
pub mod error;
pub mod id;
pub mod index;
pub mod journal;
pub mod local;
pub mod monitor;
pub mod path;
pub mod plugin;
pub mod pool;
pub mod redundancy;
pub mod remote;
pub mod scratch;
pub mod stage;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use config::Config;
pub use error::{Error, ErrorKind, Result};
pub use monitor::{Event, Monitor};
pub use path::PoolPath;
pub use pool::Pool;
