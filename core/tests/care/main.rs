//! Tests of care over remotes in memory. One binary: `mod` every file here.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod balance;
mod convert;
mod drain;
mod lost;
mod rebuild;
mod repair;

use std::sync::Arc;

use bytes::Bytes;
use rclonepool_core::pool::{ShardStat, Source, UploadOptions};
use rclonepool_core::testing::fault::SplitMix;
use rclonepool_core::testing::world::World;
use rclonepool_core::{Monitor, Pool, PoolPath, Result};

/// Repeatable bytes that do not compress.
pub fn content(seed: u64, size: usize) -> Bytes {
    let mut random = SplitMix(seed);
    (0..size.div_ceil(8)).flat_map(|_| random.bits().to_le_bytes()).take(size).collect()
}

pub fn path(text: &str) -> PoolPath {
    PoolPath::new(text).unwrap()
}

pub async fn put(pool: &Arc<Pool>, to: &str, bytes: &Bytes) -> Result<rclonepool_core::pool::UploadReport> {
    pool.upload(Source::Bytes(bytes.clone()), &path(to), &UploadOptions::default(), &Monitor::default()).await
}

pub async fn get(pool: &Arc<Pool>, from: &str) -> Result<Bytes> {
    let mut out = Vec::new();
    pool.read_to(&path(from), None, &mut out, &Monitor::default()).await?;
    Ok(out.into())
}

/// The shards of a file, chunk after chunk.
pub async fn shards(pool: &Arc<Pool>, of: &str) -> Vec<Vec<ShardStat>> {
    pool.stat(&path(of)).await.unwrap().chunks.into_iter().map(|chunk| chunk.shards).collect()
}

/// The number of the store that holds an object.
pub fn store_of(world: &World, object: &str) -> Option<usize> {
    world.stores.iter().position(|store| store.object(object).is_some())
}

/// Takes a shard's object away.
pub fn remove(world: &World, shard: &ShardStat) {
    let at = store_of(world, &shard.object).unwrap();
    assert!(world.stores[at].remove(&shard.object));
}

/// Every shard of the file lies whole where the journal says, in as many objects as there are places.
pub async fn assert_whole(world: &World, pool: &Arc<Pool>, of: &str) {
    for shard in shards(pool, of).await.into_iter().flatten() {
        let at = store_of(world, &shard.object).unwrap_or_else(|| panic!("{} is nowhere", shard.object));
        assert_eq!(world.stores[at].object(&shard.object).unwrap().len() as u64, shard.size, "{}", shard.object);
        assert_eq!(shard.remote, format!("m{at}:"), "{}", shard.object);
    }
}
