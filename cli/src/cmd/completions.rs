//! `completions`.

use clap::CommandFactory;
use clap_complete::Shell;
use rclonepool_core::{Error, ErrorKind, Result};
use serde_json::json;

use crate::args::Cli;
use crate::context::Context;

/// Print a script that completes the command line in a shell
///
/// bash: rclonepool completions bash > ~/.local/share/bash-completion/completions/rclonepool
/// zsh: rclonepool completions zsh > a directory of $fpath, as _rclonepool
/// fish: rclonepool completions fish > ~/.config/fish/completions/rclonepool.fish
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    shell: Shell,
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "rclonepool", &mut script);
    let script = String::from_utf8(script).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
    if context.ui.json {
        return context.ui.summary(json!({"shell": args.shell.to_string(), "script": script}));
    }
    let mut out = context.ui.out();
    out.text(&script)?;
    out.flush()
}
