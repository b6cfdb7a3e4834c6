//! `init`.

mod from;
mod made;
mod wizard;

use rclonepool_core::config::{ByteSize, ConfigFile};
use rclonepool_core::redundancy::Redundancy;
use rclonepool_core::{Error, ErrorKind, Pool, Result};

use crate::context::{Context, open_options};
use crate::prompt::confirm;
use made::How;

/// Memory that the default limit gives.
const DEFAULT_MEMORY_MB: u64 = 512;

/// Make a pool, or find one that exists
///
/// On a terminal it asks what it needs to know. With --remote it asks nothing. With a configuration
/// that is there already it makes the pool that the configuration describes. Run again it changes
/// nothing.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A remote of the new pool: an rclone remote (mega1:) or an absolute directory (repeatable)
    #[arg(short, long = "remote", value_name = "REMOTE")]
    remotes: Vec<String>,

    /// none, replication:2, parity:3+1, hybrid:2+1x2 … [default: none]
    #[arg(long, value_name = "MODE")]
    redundancy: Option<Redundancy>,

    /// The size files are cut into, such as 64M [default: 100M]
    #[arg(long, value_name = "SIZE")]
    chunk_size: Option<ByteSize>,

    /// Directory for shards on every remote [default: rclonepool_data]
    #[arg(long, value_name = "DIR", conflicts_with = "from")]
    data_prefix: Option<String>,

    /// Directory for the marker and manifests on every remote [default: rclonepool_manifests]
    #[arg(long, value_name = "DIR")]
    manifest_prefix: Option<String>,

    /// Do not store the lifeboat on the remotes: the format's description and a small reader in Python
    #[arg(long, conflicts_with = "from")]
    no_lifeboat: bool,

    /// Find the existing pool that these remotes belong to, and write a configuration for it
    #[arg(long, value_name = "REMOTE", num_args = 1.., conflicts_with_all = ["remotes", "redundancy", "chunk_size"])]
    from: Vec<String>,
}

impl Args {
    /// Whether any of them says what a new pool shall be.
    fn describes_a_pool(&self) -> bool {
        !self.remotes.is_empty()
            || self.redundancy.is_some()
            || self.chunk_size.is_some()
            || self.data_prefix.is_some()
            || self.manifest_prefix.is_some()
            || self.no_lifeboat
    }
}

/// What a new pool shall be.
struct Wanted {
    remotes: Vec<String>,
    redundancy: Redundancy,
    chunk_size: Option<ByteSize>,
    data_prefix: Option<String>,
    manifest_prefix: Option<String>,
    lifeboat: bool,
}

pub async fn run(args: Args, context: &Context) -> Result<()> {
    if !args.from.is_empty() {
        return from::run(&args.from, args.manifest_prefix.as_deref(), context).await;
    }
    if context.config_path()?.exists() {
        return existing(&args, context).await;
    }
    let wanted = if args.remotes.is_empty() {
        if !context.ui.is_interactive() {
            return Err(Error::new(ErrorKind::InvalidArgument, "no remotes: nobody is there to be asked for them")
                .hint("rclonepool init --remote mega1: --remote mega2: --redundancy replication:2"));
        }
        wizard::ask(&args, context).await?
    } else {
        Wanted {
            redundancy: args.redundancy.unwrap_or_default(),
            remotes: args.remotes,
            chunk_size: args.chunk_size,
            data_prefix: args.data_prefix,
            manifest_prefix: args.manifest_prefix,
            lifeboat: !args.no_lifeboat,
        }
    };
    make(&wanted, context).await
}

/// What a pool of `n` remotes best begins with: one remote may be lost, and from six on two.
fn proposal(n: usize) -> Redundancy {
    let shards = u8::try_from(n.min(20)).unwrap_or(20);
    let made = match shards {
        0 | 1 => Ok(Redundancy::NONE),
        2 => Redundancy::replication(2),
        3..6 => Redundancy::parity_of(shards - 1, 1),
        _ => Redundancy::parity_of(shards - 2, 2),
    };
    made.unwrap_or(Redundancy::NONE)
}

/// Makes a pool and writes a configuration for it.
async fn make(wanted: &Wanted, context: &Context) -> Result<()> {
    let mut file = ConfigFile::create(&context.config_path()?);
    file.set("remotes", wanted.remotes.clone());
    if let Some(size) = wanted.chunk_size {
        file.set("chunk_size", size.0);
    }
    for (key, prefix) in [("data_prefix", &wanted.data_prefix), ("manifest_prefix", &wanted.manifest_prefix)] {
        if let Some(prefix) = prefix {
            file.set(key, prefix.as_str());
        }
    }
    if !wanted.lifeboat {
        file.set("enable_lifeboat", false);
    }
    file.set_redundancy(wanted.redundancy);
    fit_memory(&mut file, wanted.chunk_size.map_or(104_857_600, |size| size.0), wanted.redundancy);
    let config = context.localise(file.config()?)?;
    let report = context.stoppable(Pool::init(&config, &open_options())).await?;
    if !report.created {
        let from = wanted.remotes.join(" ");
        return Err(Error::new(
            ErrorKind::AlreadyExists,
            format!("these remotes are a pool already ({}); nothing was changed", report.pool),
        )
        .hint(format!("`rclonepool init --from {from}` writes a configuration for it")));
    }
    file.set("pool_id", report.pool.to_string());
    file.save()?;
    made::tell(context, &config, &How::Init(report), file.path()).await
}

/// Makes the pool that the configuration describes.
async fn existing(args: &Args, context: &Context) -> Result<()> {
    let path = context.config_path()?;
    if args.describes_a_pool() {
        return Err(Error::new(
            ErrorKind::AlreadyExists,
            format!("the configuration {} is there already", path.display()),
        )
        .hint("`rclonepool init --yes` makes the pool it describes; --config FILE makes another configuration"));
    }
    let mut file = ConfigFile::load(&path)?;
    let config = context.config()?;
    if config.pool_id.is_none() {
        let remotes = config.effective_remotes().len();
        confirm(context, &format!("Make a pool of the {remotes} remotes that {} names?", path.display())).await?;
    }
    let report = context.stoppable(Pool::init(&config, &open_options())).await?;
    if file.get("pool_id").is_none_or(serde_json::Value::is_null) {
        file.set("pool_id", report.pool.to_string());
        file.save()?;
    }
    made::tell(context, &config, &How::Init(report), &path).await
}

/// Raises the memory limit where chunks would be smaller than wanted for want of it.
fn fit_memory(file: &mut ConfigFile, chunk_size: u64, redundancy: Redundancy) {
    let shards = u64::from(redundancy.shards());
    let need = chunk_size.saturating_mul(shards).div_ceil(u64::from(redundancy.data.max(1)));
    // Two chunks: one is read while the other is on its way; each with a row of units of at most 1 MiB.
    let need_mb = 2 * (need.div_ceil(1 << 20) + shards);
    if need_mb > DEFAULT_MEMORY_MB {
        file.set("memory_limit_mb", need_mb);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parity_is_proposed_from_three_remotes_up() {
        let text = |n| proposal(n).to_string();
        assert_eq!([text(1), text(2), text(3), text(4)], ["none", "replication:2", "parity:2+1", "parity:3+1"]);
        assert_eq!([text(6), text(30)], ["parity:4+2", "parity:18+2"]);
    }

    #[test]
    fn the_memory_limit_holds_a_chunk() {
        let mut file = ConfigFile::create(std::path::Path::new("/nowhere/config.json"));
        file.set("remotes", vec!["/a", "/b"]);
        file.set("chunk_size", 1u64 << 30);
        let redundancy = Redundancy::parity_of(2, 1).unwrap();
        file.set_redundancy(redundancy);
        assert!(file.config().unwrap().chunk_bytes() < 1 << 30, "the default is too small");
        fit_memory(&mut file, 1 << 30, redundancy);
        let config = file.config().unwrap();
        assert_eq!((config.memory_limit_mb, config.chunk_bytes()), (3078, 1 << 30));
    }
}
