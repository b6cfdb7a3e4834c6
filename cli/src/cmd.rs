//! The commands, one file each.

pub mod balance_status;
pub mod cat;
pub mod completions;
pub mod config;
pub mod delete;
pub mod doctor;
pub mod download;
pub mod gc;
pub mod health;
pub mod init;
pub mod ls;
pub mod man;
pub mod mkdir;
pub mod mv;
pub mod orphans;
pub mod plugins;
pub mod rebalance;
pub mod rebuild;
pub mod recover;
pub mod recovery_sheet;
pub mod remotes;
pub mod repair;
pub mod serve;
pub mod stat;
pub mod status;
pub mod torture;
mod transfer;
pub mod trash;
pub mod upload;
pub mod user;
pub mod verify;
pub mod version;
mod words;

use rclonepool_core::{Error, ErrorKind, Pool, PoolPath, Result};

use crate::args::Command;
use crate::context::Context;

/// Does what was asked for.
///
/// # Errors
/// What the command failed with.
pub async fn run(command: Command, context: &Context) -> Result<()> {
    match command {
        Command::Init(args) => init::run(args, context).await,
        Command::Upload(args) => upload::run(args, context).await,
        Command::Download(args) => download::run(args, context).await,
        Command::Ls(args) => ls::run(args, context).await,
        Command::Cat(args) => cat::run(args, context).await,
        Command::Stat(args) => stat::run(args, context).await,
        Command::Mv(args) => mv::run(args, context).await,
        Command::Delete(args) => delete::run(args, context).await,
        Command::Mkdir(args) => mkdir::run(args, context).await,
        Command::Status(args) => status::run(args, context).await,
        Command::Verify(args) => verify::run(args, context).await,
        Command::Health(args) => health::run(args, context).await,
        Command::BalanceStatus(args) => balance_status::run(args, context).await,
        Command::Rebalance(args) => rebalance::run(args, context).await,
        Command::Rebuild(args) => rebuild::run(args, context).await,
        Command::Repair(args) => repair::run(args, context).await,
        Command::Trash(args) => trash::run(args, context).await,
        Command::Orphans(args) => orphans::run(args, context).await,
        Command::Gc(args) => gc::run(args, context).await,
        Command::Remotes(args) => remotes::run(args, context).await,
        Command::Plugins(args) => plugins::run(args, context).await,
        Command::Config(args) => config::run(args, context),
        Command::RecoverySheet(args) => recovery_sheet::run(args, context).await,
        Command::Recover(args) => recover::run(args, context).await,
        Command::Doctor(args) => doctor::run(args, context).await,
        Command::Serve(args) => serve::run(args, context).await,
        Command::Api(args) => serve::api(args, context).await,
        Command::User(args) => user::run(args, context).await,
        Command::Torture(args) => torture::run(args, context).await,
        Command::Completions(args) => completions::run(&args, context),
        Command::Man(args) => man::run(&args, context),
        Command::Version(_) => version::run(context),
    }
}

/// A pool path and whether it was written with a `/` at its end, which means "into it".
pub struct Target {
    pub path: PoolPath,
    pub into: bool,
}

impl Target {
    /// # Errors
    /// `InvalidArgument`, as [`PoolPath::new`].
    pub fn new(text: &str) -> Result<Self> {
        Ok(Self { path: PoolPath::new(text)?, into: text.ends_with('/') })
    }
}

/// Refuses to read a directory as if it were a file.
///
/// # Errors
/// `InvalidArgument`; those of the index.
pub fn check_is_no_directory(pool: &Pool, path: &PoolPath) -> Result<()> {
    if pool.entry(path)?.is_some() || !pool.is_directory(path)? {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidArgument, "is a directory").at_path(path).hint("`download` writes directories"))
}

/// The error of a command that did only a part of what it was asked for.
pub fn partial(failed: u64, of: u64, noun: &str) -> Error {
    Error::new(ErrorKind::Partial, format!("{failed} of {} failed", crate::format::count(of, noun)))
        .hint("the messages above say why; what did not fail is done")
}
