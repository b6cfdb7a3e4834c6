//! Tests of care over remotes in memory. One binary: `mod` every file here.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod health;
mod verify;
mod watch;

use std::sync::Arc;

use bytes::Bytes;
use rclonepool_core::id::PoolId;
use rclonepool_core::pool::{ShardStat, Source, UploadOptions};
use rclonepool_core::testing::fault::SplitMix;
use rclonepool_core::testing::world::World;
use rclonepool_core::{Monitor, Pool, PoolPath};

/// Repeatable bytes that do not compress.
pub fn content(seed: u64, size: usize) -> Bytes {
    let mut random = SplitMix(seed);
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        bytes.extend_from_slice(&random.bits().to_le_bytes());
    }
    bytes.truncate(size);
    bytes.into()
}

pub fn path(text: &str) -> PoolPath {
    PoolPath::new(text).unwrap()
}

pub async fn put(pool: &Arc<Pool>, to: &str, bytes: &Bytes) {
    let options = UploadOptions::default();
    pool.upload(Source::Bytes(bytes.clone()), &path(to), &options, &Monitor::default()).await.unwrap();
}

/// A pool of `n` remotes, and the world it lies in.
pub async fn made(n: usize, redundancy: &str, chunk_size: u64) -> (World, PoolId, Arc<Pool>) {
    let world = World::new(n, redundancy.parse().unwrap(), chunk_size, 7);
    let id = world.init().await.unwrap();
    let pool = world.open(id).await.unwrap();
    (world, id, pool)
}

/// The shards of a file: of each chunk, in order.
pub async fn shards(pool: &Pool, of: &str) -> Vec<Vec<ShardStat>> {
    pool.stat(&path(of)).await.unwrap().chunks.into_iter().map(|chunk| chunk.shards).collect()
}

/// The number of the world's remote that a shard lies on.
pub fn at(shard: &ShardStat) -> usize {
    shard.remote.trim_start_matches('m').trim_end_matches(':').parse().unwrap()
}
