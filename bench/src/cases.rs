//! The benchmarks, one file each.

mod capi;
mod compression;
mod cpu;
mod dedup;
mod directories;
mod health;
mod in_order;
mod listing;
mod memory;
mod peers;
mod plugins;
mod python;
mod random;
mod rebuild;
mod requests;
mod scale;
mod server;
mod small;
mod sum;

use crate::table::Row;
use crate::{Result, Scale};

/// Their names, in the order they run.
pub const ALL: [&str; 18] = [
    "sum",
    "peers",
    "directories",
    "cpu",
    "compression",
    "dedup",
    "requests",
    "small",
    "random",
    "memory",
    "listing",
    "scale",
    "health",
    "rebuild",
    "capi",
    "python",
    "server",
    "plugins",
];

/// Runs one.
///
/// # Errors
/// What kept it from being measured.
pub async fn run(name: &str, scale: Scale) -> Result<Vec<Row>> {
    match name {
        "sum" => sum::run(scale).await,
        "peers" => peers::run(scale).await,
        "directories" => directories::run(scale),
        "cpu" => cpu::run(scale),
        "compression" => compression::run(scale),
        "dedup" => dedup::run(scale),
        "requests" => requests::run(scale).await,
        "small" => small::run(scale).await,
        "random" => random::run(scale).await,
        "memory" => memory::run(scale),
        "listing" => listing::run(scale),
        "health" => health::run(scale),
        "rebuild" => rebuild::run(scale).await,
        "capi" => capi::run(scale).await,
        "python" => python::run(scale).await,
        "plugins" => plugins::run(scale),
        "scale" => scale::run(scale),
        "server" => server::run(scale),
        other => Err(format!("no benchmark {other}").into()),
    }
}

const MIB: u64 = 1 << 20;

/// Bytes as MiB, for people.
#[allow(clippy::cast_precision_loss, reason = "for people")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB as f64
}

/// The bytes of all shards and commits below a directory.
fn bytes_below(directory: &std::path::Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += match metadata.is_dir() {
            true if entry.file_name() == "index" => 0,
            true => bytes_below(&entry.path())?,
            false => metadata.len(),
        };
    }
    Ok(bytes)
}
