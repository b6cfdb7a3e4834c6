//! The command line: global options and the commands.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::{cmd, exit};

const GLOBAL: &str = "Global options";

/// One storage pool out of many rclone remotes.
#[derive(Debug, Parser)]
#[command(name = "rclonepool", version, after_help = exit::help(), arg_required_else_help = true)]
#[command(max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The configuration file [default: ~/.config/rclonepool/config.json]
    #[arg(long, global = true, env = "RCLONEPOOL_CONFIG", hide_env_values = true, value_name = "FILE")]
    #[arg(help_heading = GLOBAL)]
    pub config: Option<PathBuf>,

    /// Print JSON lines: progress and a final "summary" on standard output, an error as one object on
    /// standard error
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub json: bool,

    /// Show no progress
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub no_progress: bool,

    /// Print only what was asked for, and errors
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = GLOBAL)]
    pub quiet: bool,

    /// Say more: -v what is done, -vv how, -vvv everything
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = GLOBAL)]
    pub verbose: u8,

    /// Answer every question with yes
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    pub yes: bool,

    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    #[arg(help = "When to use colours: auto, always or never", hide_default_value = true, help_heading = GLOBAL)]
    pub color: Color,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    Init(cmd::init::Args),
    Upload(cmd::upload::Args),
    Download(cmd::download::Args),
    Ls(cmd::ls::Args),
    Cat(cmd::cat::Args),
    Stat(cmd::stat::Args),
    Mv(cmd::mv::Args),
    #[command(alias = "rm")]
    Delete(cmd::delete::Args),
    Mkdir(cmd::mkdir::Args),
    #[command(alias = "df")]
    Status(cmd::status::Args),
    Verify(cmd::verify::Args),
    Health(cmd::health::Args),
    BalanceStatus(cmd::balance_status::Args),
    Rebalance(cmd::rebalance::Args),
    Rebuild(cmd::rebuild::Args),
    Repair(cmd::repair::Args),
    #[command(subcommand)]
    Trash(cmd::trash::Args),
    Orphans(cmd::orphans::Args),
    Gc(cmd::gc::Args),
    #[command(subcommand)]
    Remotes(cmd::remotes::Args),
    #[command(subcommand)]
    Plugins(cmd::plugins::Args),
    #[command(subcommand)]
    Config(cmd::config::Args),
    RecoverySheet(cmd::recovery_sheet::Args),
    Recover(cmd::recover::Args),
    Doctor(cmd::doctor::Args),
    Serve(cmd::serve::Args),
    Api(cmd::serve::ApiArgs),
    #[command(subcommand)]
    User(cmd::user::Args),
    Torture(cmd::torture::Args),
    Completions(cmd::completions::Args),
    Man(cmd::man::Args),
    Version(cmd::version::Args),
}

impl Command {
    /// The command's name in summaries.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Init(_) => "init",
            Self::Upload(_) => "upload",
            Self::Download(_) => "download",
            Self::Ls(_) => "ls",
            Self::Cat(_) => "cat",
            Self::Stat(_) => "stat",
            Self::Mv(_) => "mv",
            Self::Delete(_) => "delete",
            Self::Mkdir(_) => "mkdir",
            Self::Status(_) => "status",
            Self::Verify(_) => "verify",
            Self::Health(_) => "health",
            Self::BalanceStatus(_) => "balance-status",
            Self::Rebalance(_) => "rebalance",
            Self::Rebuild(_) => "rebuild",
            Self::Repair(_) => "repair",
            Self::Trash(_) => "trash",
            Self::Orphans(_) => "orphans",
            Self::Gc(_) => "gc",
            Self::Remotes(_) => "remotes",
            Self::Plugins(_) => "plugins",
            Self::Config(_) => "config",
            Self::RecoverySheet(_) => "recovery-sheet",
            Self::Recover(_) => "recover",
            Self::Doctor(_) => "doctor",
            Self::Serve(_) => "serve",
            Self::Api(_) => "api",
            Self::User(_) => "user",
            Self::Torture(_) => "torture",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
            Self::Version(_) => "version",
        }
    }
}
