//! What of the C library takes long, or needs more tools than compilers: `make test-c-full` (about 15 minutes). A tool
//! that is missing leaves out what needs it, loudly.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic)] // the way a test fails

mod baseline;
mod found;
mod programs;
