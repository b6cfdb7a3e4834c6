//! Plugins of every kind, in real child processes. One binary: `mod` every file here.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]
#![cfg(unix)]

mod data;
mod events;
mod host;
mod kinds;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rclonepool_core::id::PoolId;
use rclonepool_core::plugin::{ChildLoader, Loader, Plugin, PluginId, Plugins};
use rclonepool_core::pool::{Source, UploadOptions};
use rclonepool_core::testing::fault::SplitMix;
use rclonepool_core::testing::world::World;
use rclonepool_core::{Monitor, Pool, PoolPath, Result};
use serde_json::{Map, Value};

pub const TIME: Duration = Duration::from_secs(20);

/// The tests' own environment, which has the way to python3.
pub fn loader() -> Arc<dyn Loader> {
    let env: Vec<(String, String)> = std::env::vars().collect();
    Arc::new(ChildLoader::new("python3", &env))
}

/// A file of examples/plugins, where nobody else may write.
pub fn example(dir: &Path, name: &str) -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/plugins").join(name);
    write(dir, name, &std::fs::read_to_string(from).unwrap())
}

pub fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let file = dir.join(name);
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    file
}

pub fn plugin_with(id: &str, file: PathBuf, config: Value, time: Duration) -> Arc<Plugin> {
    let config: Map<String, Value> = config.as_object().cloned().unwrap_or_default();
    Plugin::new(id.parse::<PluginId>().unwrap(), file, loader(), config, time)
}

pub fn plugin(id: &str, file: PathBuf, config: Value) -> Arc<Plugin> {
    plugin_with(id, file, config, TIME)
}

/// A plugin of one class, whose body this is.
pub fn made(dir: &Path, id: &str, body: &str) -> Arc<Plugin> {
    plugin(id, source(dir, id, "1.0", body), Value::Null)
}

pub fn source(dir: &Path, id: &str, version: &str, body: &str) -> PathBuf {
    let (kind, name) = id.split_once(':').unwrap();
    let class: String = kind.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
    let body: String = body.lines().map(|line| format!("    {line}\n")).collect();
    let text = format!(
        "import os, sys, time\nfrom rclonepool.plugin_system import *\n\nclass P({class}Plugin):\n    \
         def get_metadata(self):\n        return PluginMetadata(name={name:?}, version={version:?}, plugin_type=PluginType({kind:?}))\n{body}"
    );
    write(dir, &format!("{kind}_{name}_{version}.py"), &text)
}

/// A machine with these plugins.
pub async fn open(world: &World, id: PoolId, plugins: &[&Arc<Plugin>]) -> Arc<Pool> {
    let mut all = Plugins::default();
    plugins.iter().for_each(|plugin| all.add(plugin));
    let pool = world.open(id).await.unwrap();
    Arc::new(Arc::into_inner(pool).unwrap().with_plugins(all))
}

pub fn content(seed: u64, size: usize) -> Bytes {
    let mut random = SplitMix(seed);
    (0..size).map(|_| random.bits() as u8).collect::<Vec<_>>().into()
}

pub fn path(text: &str) -> PoolPath {
    PoolPath::new(text).unwrap()
}

pub async fn put(pool: &Arc<Pool>, to: &str, bytes: &Bytes) -> Result<()> {
    let source = Source::Bytes(bytes.clone());
    pool.upload(source, &path(to), &UploadOptions::default(), &Monitor::default()).await.map(drop)
}

pub async fn get(pool: &Arc<Pool>, from: &str) -> Result<Bytes> {
    range(pool, from, None).await
}

pub async fn range(pool: &Arc<Pool>, from: &str, range: Option<std::ops::Range<u64>>) -> Result<Bytes> {
    let mut out = Vec::new();
    pool.read_to(&path(from), range, &mut out, &Monitor::default()).await?;
    Ok(out.into())
}
