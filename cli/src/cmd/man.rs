//! `man`.

use std::path::PathBuf;

use clap::CommandFactory;
use rclonepool_core::{Error, Result};
use serde_json::json;

use crate::args::Cli;
use crate::context::Context;
use crate::format::count;

/// Write the manual pages: one for the program, one for each command
///
/// rclonepool man ~/.local/share/man/man1; then `man rclonepool` and `man rclonepool-upload` show them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory to write them into; it is made where it is not there
    directory: PathBuf,
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    let failed = |e| Error::io("cannot write the manual pages", e).at_path(args.directory.display());
    std::fs::create_dir_all(&args.directory).map_err(failed)?;
    let mut pages = Vec::new();
    // Built: otherwise the options that all commands take would stand in one page only.
    let mut program = without_help(Cli::command());
    program.build();
    page(program, &args.directory, &mut pages).map_err(failed)?;
    context.ui.say(&format!("{}: {}", args.directory.display(), count(pages.len() as u64, "page")))?;
    context.ui.summary(json!({"directory": args.directory.display().to_string(), "pages": pages}))
}

/// `help` is no command of its own: every other one has it.
fn without_help(command: clap::Command) -> clap::Command {
    command.disable_help_subcommand(true).mut_subcommands(without_help)
}

/// Writes the page of a command, and those of the commands below it.
fn page(command: clap::Command, directory: &std::path::Path, pages: &mut Vec<String>) -> std::io::Result<()> {
    let below = command.get_subcommands().filter(|below| !below.is_hide_set());
    for below in below.cloned().collect::<Vec<_>>() {
        page(below, directory, pages)?;
    }
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let file = format!("{name}.1");
    let man = clap_mangen::Man::new(command.name(name).flatten_help(false)).manual("rclonepool");
    let mut text = Vec::new();
    man.render(&mut text)?;
    std::fs::write(directory.join(&file), text)?;
    pages.push(file);
    Ok(())
}
