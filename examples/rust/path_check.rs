//! Checks pool paths: `cargo run -p rclonepool-examples --example path_check -- /movies /a/../b`.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a program, not a library

use std::process::ExitCode;

use rclonepool_core::path::PoolPath;

fn main() -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for argument in std::env::args().skip(1) {
        match PoolPath::new(&argument) {
            Ok(path) => println!("{path}"),
            Err(error) => {
                eprintln!("{error}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}
