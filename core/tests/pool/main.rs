//! Tests of whole pools over remotes in memory. One binary: `mod` every file here.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod acknowledge;
mod compaction;
mod compression;
mod cost;
mod crash;
mod damage;
mod duplicates;
mod hedge;
mod offline;
mod packs;
mod reads;
mod roundtrip;
mod rules;
mod simulation;
mod stall;
mod views;

use std::sync::Arc;

use bytes::Bytes;
use rclonepool_core::id::PoolId;
use rclonepool_core::index::Index;
use rclonepool_core::journal::record::RemoteState;
use rclonepool_core::pool::{Source, UploadOptions, UploadReport};
use rclonepool_core::remote::SharedRemote;
use rclonepool_core::remote::wrap::Verb;
use rclonepool_core::testing::fault::{Crash, SplitMix};
use rclonepool_core::testing::record::{RecordLog, RecordRemote};
use rclonepool_core::testing::script::{Script, ScriptRemote};
use rclonepool_core::testing::world::World;
use rclonepool_core::{Monitor, Pool, PoolPath, Result};

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

pub async fn put(pool: &Arc<Pool>, to: &str, bytes: &Bytes) -> Result<UploadReport> {
    pool.upload(Source::Bytes(bytes.clone()), &path(to), &UploadOptions::default(), &Monitor::default()).await
}

pub async fn put_directory(pool: &Arc<Pool>, from: &std::path::Path, to: &str) -> Result<UploadReport> {
    let sources = [(from.to_owned(), path(to))];
    pool.upload_all(&sources, &UploadOptions::default(), &Monitor::default()).await
}

pub async fn get(pool: &Arc<Pool>, from: &str) -> Result<Bytes> {
    range(pool, from, None).await
}

pub async fn range(pool: &Arc<Pool>, from: &str, range: Option<std::ops::Range<u64>>) -> Result<Bytes> {
    let mut out = Vec::new();
    pool.read_to(&path(from), range, &mut out, &Monitor::default()).await?;
    Ok(out.into())
}

pub fn names(pool: &Pool, directory: &str) -> Vec<String> {
    pool.list(&path(directory)).unwrap().into_iter().map(|listed| listed.path.name().to_owned()).collect()
}

/// A machine whose calls are scripted.
pub async fn scripted(world: &World, id: PoolId) -> (Arc<Pool>, Arc<Script>) {
    let script = Arc::new(Script::default());
    let remotes = ScriptRemote::wrap(world.remotes(&Crash::never()), &script);
    let pool = world.open_over(id, world.machine(), remotes, Index::in_memory().unwrap()).await.unwrap();
    (pool, script)
}

pub fn is_commit(_: &str, verb: Verb, name: &str) -> bool {
    verb == Verb::Put && name.contains("/commits/")
}

/// The remotes as a machine sees them that writes down what it asks.
pub fn recorded_remotes(world: &World, crash: &Arc<Crash>, log: &Arc<RecordLog>) -> Vec<SharedRemote> {
    let record = |remote| Arc::new(RecordRemote::new(remote, log.clone())) as SharedRemote;
    world.remotes(crash).into_iter().map(record).collect()
}

/// The states of the members that a machine knows.
pub fn members(pool: &Pool) -> Vec<RemoteState> {
    pool.journal().index().remotes().unwrap().into_iter().map(|record| record.state).collect()
}

/// Lets a change fail half way: its data is stored, and its commit reaches the first remote only.
pub async fn half_done(world: &World, id: PoolId, change: impl AsyncFnOnce(&Arc<Pool>)) {
    let (pool, script) = scripted(world, id).await;
    let others = world.faults[1..].to_vec();
    script.before(is_commit, async move { others.iter().for_each(|faults| faults.set_full(true)) });
    change(&pool).await;
    assert_eq!(script.left(), 0);
    world.faults.iter().for_each(|faults| faults.set_full(false));
}
