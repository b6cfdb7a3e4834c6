//! A file read in order by Rust, for holding other languages against it.

use std::sync::Arc;
use std::time::Instant;

use rclonepool_core::path::PoolPath;
use rclonepool_core::pool::OpenOptions;
use rclonepool_core::{Config, Pool};

use crate::Result;

/// The seconds of the fastest of so many reads of a file of `bytes`, `piece` bytes at a time into a buffer.
///
/// # Errors
/// Those of the pool; when it reads something else.
pub fn fastest(config: &Config, path: &PoolPath, bytes: u64, piece: u64, times: usize) -> Result<f64> {
    // As many threads as a pool of C has.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let pool: Arc<Pool> = runtime.block_on(Pool::open(config, &OpenOptions::default()))?;
    let mut buffer = vec![0; usize::try_from(piece)?];
    let mut fastest = f64::MAX;
    for _ in 0..times {
        let (from, mut at) = (Instant::now(), 0);
        let file = pool.open_file(path)?;
        loop {
            let pieces = runtime.block_on(file.read_at(at..at + piece))?;
            let mut filled = 0;
            for piece in pieces {
                buffer[filled..filled + piece.len()].copy_from_slice(&piece);
                filled += piece.len();
            }
            if filled == 0 {
                break;
            }
            at += filled as u64;
        }
        fastest = fastest.min(from.elapsed().as_secs_f64());
        if at != bytes {
            return Err(format!("Rust read {at} bytes of {bytes}").into());
        }
    }
    runtime.block_on(pool.close());
    Ok(fastest)
}
