//! The command line of rclonepool: reads arguments, environment and home, and leaves the work to the
//! core. A library, so that the Python package can carry it, too.
#![forbid(unsafe_code)]

mod age;
mod args;
mod cmd;
mod context;
mod exit;
mod format;
mod log;
mod notify;
mod obscure;
mod progress;
mod prompt;
mod sections;
mod signal;
mod ui;

use std::ffi::OsString;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use clap::{ColorChoice, CommandFactory, FromArgMatches};
use rclonepool_core::{Error, ErrorKind, Result};

use args::Cli;
use context::Context;
use ui::Ui;

/// Does what a command line asks for, its first word being the program's name; gives the exit code.
///
/// The process is its own: it handles signals, and a second Ctrl-C ends it.
pub fn main(words: &[OsString]) -> u8 {
    let cli = match parse(words) {
        Ok(cli) => cli,
        Err(error) => {
            complain(words, &error);
            return u8::try_from(error.exit_code()).unwrap_or(exit::USAGE);
        }
    };
    let ui = Arc::new(Ui::new(&cli.global, cli.command.name()));
    match run(cli, &ui) {
        Ok(()) => exit::OK,
        Err(error) if ui::is_broken_pipe(&error) => exit::OK,
        Err(error) => {
            ui.error(&error);
            exit::code(error.kind())
        }
    }
}

/// Prints what is wrong with the command line, or the help that was asked for.
fn complain(words: &[OsString], error: &clap::Error) {
    if error.use_stderr() && words.iter().any(|word| word == "--json") {
        let text = error.render().to_string();
        let (message, hint) = text.split_once("\n\n").unwrap_or((&text, ""));
        let object = serde_json::json!({
            "message_type": "error",
            "kind": "usage",
            "message": message.trim_start_matches("error: ").trim(),
            "hint": hint.trim(),
            "exit_code": exit::USAGE,
        });
        // Nobody could be told that standard error is gone.
        let _ = writeln!(std::io::stderr(), "{object}");
    } else {
        let _ = error.print();
    }
}

/// The command line; `--color` holds for its own messages, too.
fn parse(words: &[OsString]) -> std::result::Result<Cli, clap::Error> {
    let after = |i: usize| words.get(i + 1).and_then(|word| word.to_str());
    let color = words.iter().enumerate().find_map(|(i, word)| match word.to_str()? {
        "--color" => after(i),
        word => word.strip_prefix("--color="),
    });
    let choice = match color {
        Some("always") => ColorChoice::Always,
        Some("never") => ColorChoice::Never,
        _ => ColorChoice::Auto,
    };
    let matches = Cli::command().color(choice).try_get_matches_from(words)?;
    Cli::from_arg_matches(&matches)
}

fn run(cli: Cli, ui: &Arc<Ui>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::new(ErrorKind::Internal, format!("cannot start threads: {e}")))?;
    let done = runtime.block_on(async {
        let context = Context { ui: ui.clone(), global: cli.global, cancel: signal::watch(ui) };
        cmd::run(cli.command, &context).await
    });
    // A thread may still wait for standard input, which never comes.
    runtime.shutdown_timeout(Duration::from_millis(100));
    done
}
