//! Everything that can be chosen, by its id.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use super::kinds::{PluginChunker, PluginCompression, PluginHandler, PluginTransform, Zstd};
use super::storage::PluginRemote;
use super::{Balancer, Compressing, EventHandler, Plugin, PluginId, PluginKind};
use crate::error::Result;
use crate::remote::{DirectoryRemote, SharedRemote};
use crate::stage::chunk::content::FastCdc;
use crate::stage::chunk::{Chunker, Fixed};
use crate::stage::place::Strategy;
use crate::stage::transform::Transform;

/// The version of what is built in.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Keeps objects.
#[async_trait]
pub trait StorageBackend: Send + Sync + Debug {
    /// The remote that an entry of `remotes` means; `root` is what of the entry is for the backend.
    ///
    /// # Errors
    /// Why it cannot be had.
    async fn connect(&self, label: &str, root: &str) -> Result<SharedRemote>;
}

/// Something that can be chosen.
#[derive(Debug, Clone)]
pub enum Implementation {
    /// Chooses remotes.
    Balancer(Arc<dyn Balancer>),
    /// Cuts files.
    Chunker(Arc<dyn Chunker>),
    /// Keeps objects.
    StorageBackend(Arc<dyn StorageBackend>),
    /// Makes bytes fewer.
    Compression(Arc<dyn Compressing>),
    /// Encrypts.
    Encryption(Arc<Plugin>),
    /// Is told what happens.
    EventHandler(Arc<dyn EventHandler>),
    /// Changes bytes.
    Transformer(Arc<Plugin>),
}

impl Implementation {
    /// A plugin, by its kind.
    pub fn of(plugin: &Arc<Plugin>) -> Self {
        let plugin = plugin.clone();
        match plugin.id().kind {
            PluginKind::Balancer => Self::Balancer(plugin),
            PluginKind::Chunker => Self::Chunker(Arc::new(PluginChunker(plugin))),
            PluginKind::StorageBackend => Self::StorageBackend(Arc::new(Kept(plugin))),
            PluginKind::Compression => Self::Compression(Arc::new(PluginCompression(plugin))),
            PluginKind::Encryption => Self::Encryption(plugin),
            PluginKind::EventHandler => Self::EventHandler(Arc::new(PluginHandler::new(plugin))),
            PluginKind::Transformer => Self::Transformer(plugin),
        }
    }

    /// What it does to bytes, if it does something.
    ///
    /// # Errors
    /// Those of starting the plugin.
    pub fn transform(&self) -> Result<Option<Arc<dyn Transform>>> {
        match self {
            Self::Compression(one) => one.transform(),
            Self::Encryption(plugin) | Self::Transformer(plugin) => Ok(Some(Arc::new(PluginTransform::of(plugin)?))),
            _ => Ok(None),
        }
    }
}

/// A backend that is a plugin.
#[derive(Debug)]
struct Kept(Arc<Plugin>);

#[async_trait]
impl StorageBackend for Kept {
    async fn connect(&self, label: &str, root: &str) -> Result<SharedRemote> {
        Ok(Arc::new(PluginRemote::new(label, root, self.0.clone())))
    }
}

/// A plain directory.
#[derive(Debug)]
struct Directories;

#[async_trait]
impl StorageBackend for Directories {
    async fn connect(&self, label: &str, _: &str) -> Result<SharedRemote> {
        Ok(Arc::new(DirectoryRemote::new(label)))
    }
}

/// An entry of the registry.
#[derive(Debug, Clone)]
pub struct Registered {
    /// What it is.
    pub implementation: Implementation,
    /// The plugin behind it; `None`: it is built in.
    pub plugin: Option<Arc<Plugin>>,
}

impl Registered {
    /// The version of what is built in; that of a plugin is known once it runs.
    pub fn built_in_version(&self) -> Option<&'static str> {
        self.plugin.is_none().then_some(VERSION)
    }
}

/// Everything that can be chosen, by its id.
#[derive(Debug, Clone)]
pub struct Registry {
    entries: BTreeMap<PluginId, Registered>,
}

impl Default for Registry {
    /// What is built in, but for rclone, which needs a configuration.
    fn default() -> Self {
        let mut registry = Self { entries: BTreeMap::new() };
        for strategy in [
            Strategy::LeastUsed,
            Strategy::RoundRobin,
            Strategy::Weighted,
            Strategy::Random,
            Strategy::RoundRobinLeastUsed,
        ] {
            registry.build_in(strategy.as_str(), Implementation::Balancer(Arc::new(strategy)));
        }
        registry.build_in("fixed", Implementation::Chunker(Arc::new(Fixed)));
        registry.build_in("fastcdc", Implementation::Chunker(Arc::new(FastCdc)));
        registry.build_in("zstd", Implementation::Compression(Arc::new(Zstd)));
        registry.build_in("directory", Implementation::StorageBackend(Arc::new(Directories)));
        registry
    }
}

impl Registry {
    /// Adds what is built in.
    pub fn build_in(&mut self, name: &str, implementation: Implementation) {
        let kind = match &implementation {
            Implementation::Balancer(_) => PluginKind::Balancer,
            Implementation::Chunker(_) => PluginKind::Chunker,
            Implementation::StorageBackend(_) => PluginKind::StorageBackend,
            Implementation::Compression(_) => PluginKind::Compression,
            Implementation::Encryption(_) => PluginKind::Encryption,
            Implementation::EventHandler(_) => PluginKind::EventHandler,
            Implementation::Transformer(_) => PluginKind::Transformer,
        };
        let id = PluginId { kind, name: name.into() };
        self.entries.insert(id, Registered { implementation, plugin: None });
    }

    /// Adds a plugin.
    pub fn add(&mut self, plugin: &Arc<Plugin>) {
        let entry = Registered { implementation: Implementation::of(plugin), plugin: Some(plugin.clone()) };
        self.entries.insert(plugin.id().clone(), entry);
    }

    /// What has this id.
    pub fn get(&self, id: &PluginId) -> Option<&Registered> {
        self.entries.get(id)
    }

    /// Whether something built in has this id.
    pub fn is_built_in(&self, id: &PluginId) -> bool {
        self.get(id).is_some_and(|entry| entry.plugin.is_none())
    }

    /// All of a kind, by name.
    pub fn of_kind(&self, kind: PluginKind) -> impl Iterator<Item = (&PluginId, &Registered)> {
        self.entries.iter().filter(move |(id, _)| id.kind == kind)
    }

    /// All of it.
    pub fn iter(&self) -> impl Iterator<Item = (&PluginId, &Registered)> {
        self.entries.iter()
    }
}
