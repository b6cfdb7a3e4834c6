//! Tests of care over remotes in memory. One binary: `mod` every file here.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod balance;
mod commits;
mod compressed;
mod convert;
mod drain;
mod duplicates;
mod freeing;
mod gc;
mod health;
mod leftovers;
mod lost;
mod packs;
mod rebuild;
mod repair;
mod simulation;
mod trash;
mod trouble;
mod verify;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rclonepool_core::id::{ChunkId, PoolId};
use rclonepool_core::index::Index;
use rclonepool_core::pool::care::{GcOptions, GcReport};
use rclonepool_core::pool::{ShardStat, Source, UploadOptions, UploadReport};
use rclonepool_core::testing::fault::{Crash, SplitMix};
use rclonepool_core::testing::script::{Script, ScriptRemote};
use rclonepool_core::testing::world::World;
use rclonepool_core::{Monitor, Pool, PoolPath, Result};

/// A little more than a grace.
pub const DAY: Duration = Duration::from_secs(24 * 3600 + 60);

/// Repeatable bytes that do not compress.
pub fn content(seed: u64, size: usize) -> Bytes {
    let mut random = SplitMix(seed);
    (0..size.div_ceil(8)).flat_map(|_| random.bits().to_le_bytes()).take(size).collect()
}

pub fn path(text: &str) -> PoolPath {
    PoolPath::new(text).unwrap()
}

pub async fn try_put(pool: &Arc<Pool>, to: &str, bytes: &Bytes) -> Result<UploadReport> {
    pool.upload(Source::Bytes(bytes.clone()), &path(to), &UploadOptions::default(), &Monitor::default()).await
}

pub async fn put(pool: &Arc<Pool>, to: &str, bytes: &Bytes) -> UploadReport {
    try_put(pool, to, bytes).await.unwrap()
}

pub async fn get(pool: &Arc<Pool>, from: &str) -> Result<Bytes> {
    let mut out = Vec::new();
    pool.read_to(&path(from), None, &mut out, &Monitor::default()).await?;
    Ok(out.into())
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

pub async fn gc(pool: &Arc<Pool>) -> Result<GcReport> {
    pool.gc(&GcOptions::default(), &Monitor::default()).await
}

/// A pool of four remotes, and its world.
pub async fn world(redundancy: &str, seed: u64) -> (World, PoolId) {
    let world = World::new(4, redundancy.parse().unwrap(), 100_000, seed);
    let id = world.init().await.unwrap();
    (world, id)
}

/// A machine whose calls are scripted.
pub async fn scripted(world: &World, id: PoolId) -> (Arc<Pool>, Arc<Script>) {
    let script = Arc::new(Script::default());
    let remotes = ScriptRemote::wrap(world.remotes(&Crash::never()), &script);
    let pool = world.open_over(id, world.machine(), remotes, Index::in_memory().unwrap()).await.unwrap();
    (pool, script)
}

/// How many shard objects lie on all remotes.
pub fn objects(world: &World) -> usize {
    world.stores.iter().map(|s| s.names().iter().filter(|name| name.starts_with("data/")).count()).sum()
}

/// The chunks of a file.
pub async fn chunks(pool: &Pool, file: &str) -> Vec<ChunkId> {
    pool.stat(&path(file)).await.unwrap().chunks.into_iter().map(|chunk| chunk.chunk).collect()
}

/// How many objects of these chunks lie on all remotes.
pub fn objects_of(world: &World, chunks: &[ChunkId]) -> usize {
    let of = |name: &String| chunks.iter().any(|chunk| name.contains(&chunk.to_string()));
    world.stores.iter().map(|s| s.names().iter().filter(|name| of(name)).count()).sum()
}
