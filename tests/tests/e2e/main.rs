//! Everything tested through the built programs and libraries, in one test program.
//!
//! A new file here needs its `mod` line; `repository::every_file_is_compiled` fails without it.
#![allow(clippy::unwrap_used, clippy::panic)] // the way a test fails

#[cfg(unix)]
mod book;
mod c_abi;
#[cfg(unix)]
mod cli;
mod examples;
mod features;
mod main_job;
mod rclone_remotes;
mod reader;
mod repository;
#[cfg(unix)]
mod rest_schema;
#[cfg(unix)]
mod service;
