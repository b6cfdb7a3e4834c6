//! What is in force in a pool: which implementation of each kind, and who is told what happens.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::kinds::lacking;
use super::{
    Balancer, EventHandler, Fault, Hook, Implementation, Loader, Metadata, Plugin, PluginId, PluginKind, Registry,
    StorageBackend, check_safe,
};
use crate::config::{self, Config};
use crate::error::{Error, ErrorKind, Result};
use crate::local::blocking;
use crate::stage::chunk::{Chunker, Fixed};
use crate::stage::transform::{Applied, Transforms};

/// How long a closing pool waits for event handlers to take what happened.
const SETTLE: Duration = Duration::from_secs(30);
/// Events that wait for slow handlers; what comes beyond is lost to them, never memory.
const WAITING: usize = 10_000;

/// What is in force in a pool. By default what is built in, and nobody is told anything.
#[derive(Debug)]
pub struct Plugins {
    registry: Registry,
    /// Enabled, and why they cannot be had.
    missing: BTreeMap<PluginId, String>,
    /// Known, and not enabled.
    disabled: BTreeSet<PluginId>,
    /// Enabled, but not for new data.
    read_only: Vec<PluginId>,
    handlers: Vec<(PluginId, Arc<dyn EventHandler>)>,
    queue: Mutex<Option<SyncSender<Message>>>,
    balancer_warned: AtomicBool,
}

enum Message {
    Event(Hook, Value),
    Flush(tokio::sync::oneshot::Sender<()>),
}

impl Default for Plugins {
    fn default() -> Self {
        Self {
            registry: Registry::default(),
            missing: BTreeMap::new(),
            disabled: BTreeSet::new(),
            read_only: Vec::new(),
            handlers: Vec::new(),
            queue: Mutex::default(),
            balancer_warned: AtomicBool::new(false),
        }
    }
}

/// Where a plugin's file lies: in `plugins_dir`, unless an absolute path says otherwise.
fn place(dir: &Path, file: &Path) -> PathBuf {
    // An absolute path replaces the directory.
    dir.join(file)
}

impl Plugins {
    /// The plugins a configuration enables; none is started. One that is not there is missed when it is needed.
    ///
    /// # Errors
    /// `Config` for an id that is none.
    pub fn of(config: &Config, loaders: &[Arc<dyn Loader>]) -> Result<Self> {
        let mut plugins = Self::default();
        if !config.enable_plugins {
            for (id, _) in config.plugins.iter().filter(|(_, settings)| settings.enabled) {
                plugins.missing.insert(id.parse()?, "and enable_plugins is off".into());
            }
            return Ok(plugins);
        }
        let time = Duration::try_from_secs_f64(config.plugin_timeout).unwrap_or(Duration::from_secs(5));
        for (text, settings) in &config.plugins {
            let id: PluginId = text.parse()?;
            if !settings.enabled {
                plugins.disabled.insert(id);
                continue;
            }
            let Some(file) = settings.file.as_ref().map(|file| place(&config.plugins_dir, file)) else {
                plugins.missing.insert(id, "whose file the configuration does not name".into());
                continue;
            };
            if !file.exists() {
                let why = format!("whose file {} is not there", file.display());
                plugins.missing.insert(id, why);
                continue;
            }
            let Some(loader) = loaders.iter().find(|loader| loader.takes(&file)) else {
                plugins.missing.insert(id, format!("whose file {} cannot be run here", file.display()));
                continue;
            };
            if settings.read_only {
                plugins.read_only.push(id.clone());
            }
            plugins.add(&Plugin::new(id, file, loader.clone(), settings.config.clone(), time));
        }
        Ok(plugins)
    }

    /// Adds a plugin, and puts it in force.
    pub fn add(&mut self, plugin: &Arc<Plugin>) {
        self.registry.add(plugin);
        if let Some(Implementation::EventHandler(handler)) =
            self.registry.get(plugin.id()).map(|entry| &entry.implementation)
        {
            self.handlers.push((plugin.id().clone(), handler.clone()));
        }
    }

    /// Everything that can be chosen.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// As [`Plugins::registry`], for adding what is built in.
    pub fn registry_mut(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// The plugins of a kind that are in force for new data.
    fn in_force(&self, kind: PluginKind) -> impl Iterator<Item = (&PluginId, &super::Registered)> {
        let of_kind = self.registry.of_kind(kind).filter(|(_, entry)| entry.plugin.is_some());
        of_kind.filter(|(id, _)| !self.read_only.contains(id))
    }

    /// Refuses to go on without a plugin of these kinds that is enabled.
    fn check_there(&self, kinds: &[PluginKind]) -> Result<()> {
        let missed = self.missing.iter().find(|(id, _)| kinds.contains(&id.kind));
        let Some((id, why)) = missed else { return Ok(()) };
        Err(Error::new(ErrorKind::Config, format!("nothing is stored without the plugin {id}, {why}"))
            .hint(format!("bring it back, or: rclonepool plugins disable {id}")))
    }

    /// The balancer that is a plugin, unless it was set aside.
    pub fn balancer(&self) -> Option<(&PluginId, Arc<dyn Balancer>)> {
        let found = self.in_force(PluginKind::Balancer).next();
        if found.is_none()
            && let Some((id, why)) = self.missing.iter().find(|(id, _)| id.kind == PluginKind::Balancer)
        {
            self.warn_of_balancer(id, why);
        }
        let (id, entry) = found?;
        if entry.plugin.as_ref().is_some_and(|plugin| plugin.is_aside()) {
            return None;
        }
        match &entry.implementation {
            Implementation::Balancer(balancer) => Some((id, balancer.clone())),
            _ => None,
        }
    }

    /// Says that the configured strategy serves in a balancer's place: once, then only in detail.
    pub fn warn_of_balancer(&self, id: &PluginId, why: &dyn std::fmt::Display) {
        if self.balancer_warned.swap(true, Ordering::Relaxed) {
            tracing::debug!("{id}: {why}");
        } else {
            tracing::warn!("remotes are chosen by balancing_strategy instead of the plugin {id}: {why}");
        }
    }

    /// The chunker in force: a plugin, else the configured one.
    ///
    /// # Errors
    /// `Config` where a plugin is enabled and not there.
    pub fn chunker(&self, configured: config::Chunker) -> Result<Arc<dyn Chunker>> {
        self.check_there(&[PluginKind::Chunker])?;
        let built_in = PluginId::new(PluginKind::Chunker, &configured.to_string())?;
        let found = self.in_force(PluginKind::Chunker).next().map(|(_, entry)| entry);
        match found.or_else(|| self.registry.get(&built_in)).map(|entry| &entry.implementation) {
            Some(Implementation::Chunker(chunker)) => Ok(chunker.clone()),
            _ => Err(Error::new(ErrorKind::Internal, format!("there is no {built_in}"))),
        }
    }

    /// How many chunks a file of so many bytes has, about.
    pub fn chunks_of(&self, configured: config::Chunker, longest: NonZeroU64, bytes: u64) -> u64 {
        let average = self.chunker(configured).map_or_else(|_| Fixed.average(longest), |one| one.average(longest));
        bytes.div_ceil(average.max(1)).max(1)
    }

    /// How new data is encoded: the level of zstd, if any, and what is done then. Starts plugins; blocks.
    ///
    /// # Errors
    /// `Config` where a plugin is enabled and not there; those of the plugins.
    pub fn encoding(&self, level: Option<u8>) -> Result<(Option<u8>, Transforms)> {
        use PluginKind::{Compression, Encryption, Transformer};
        self.check_there(&[Compression, Encryption, Transformer])?;
        let mut transforms = Transforms::default();
        let mut level = level;
        for kind in [Transformer, Compression, Encryption] {
            for (_, entry) in self.in_force(kind) {
                if kind == Compression {
                    level = None;
                }
                transforms.0.extend(entry.implementation.transform()?);
            }
        }
        Ok((level, transforms))
    }

    /// Whether files are cut by a plugin.
    pub fn has_chunker(&self) -> bool {
        self.in_force(PluginKind::Chunker).next().is_some()
    }

    /// Which plugins change new data; empty for none.
    pub fn fingerprint(&self) -> String {
        use PluginKind::{Compression, Encryption, Transformer};
        let kinds = [Transformer, Compression, Encryption].into_iter();
        kinds.flat_map(|kind| self.in_force(kind)).map(|(id, _)| format!("|{id}")).collect()
    }

    /// Whether new data is changed by plugins, which takes memory, and may be done to hide it.
    pub fn changes_data(&self) -> bool {
        use PluginKind::{Compression, Encryption, Transformer};
        let kinds = [Compression, Encryption, Transformer];
        kinds.iter().any(|kind| self.in_force(*kind).next().is_some()) || self.check_there(&kinds).is_err()
    }

    /// Whether new data is not to be seen as it is, so that no manifest may hold it.
    pub fn hides_data(&self) -> bool {
        let kinds = [PluginKind::Encryption, PluginKind::Transformer];
        kinds.iter().any(|kind| self.in_force(*kind).next().is_some()) || self.check_there(&kinds).is_err()
    }

    /// What undoes what a chunk's record names. Starts plugins; blocks.
    ///
    /// # Errors
    /// `Unsupported`, naming the plugin that cannot be had.
    pub fn decoding(&self, applied: &[Applied]) -> Result<Transforms> {
        let mut transforms = Transforms::default();
        for one in applied {
            let id: PluginId = one.plugin.parse().map_err(|_| lacking(one, "which is no plugin's id"))?;
            let Some(entry) = self.registry.get(&id) else {
                return Err(lacking(one, self.why_not(&id)));
            };
            let broken = |e: Error| lacking(one, &format!("which does not run: {}", e.message()));
            if let Some(plugin) = &entry.plugin {
                let metadata = plugin.metadata().map_err(broken)?;
                if !metadata.reads(&one.version) {
                    return Err(lacking(
                        one,
                        &format!("and version {} does not say that it reads it", metadata.version),
                    ));
                }
            }
            let transform = entry.implementation.transform().map_err(broken)?;
            transforms.0.push(transform.ok_or_else(|| lacking(one, "which changes no bytes"))?);
        }
        Ok(transforms)
    }

    fn why_not(&self, id: &PluginId) -> &str {
        match self.missing.get(id) {
            Some(why) => why,
            None if self.disabled.contains(id) => "which is not enabled",
            None => "which is not here",
        }
    }

    /// A backend for remotes.
    ///
    /// # Errors
    /// `Config`, naming what is not there.
    pub fn backend(&self, name: &str) -> Result<Arc<dyn StorageBackend>> {
        let id = PluginId::new(PluginKind::StorageBackend, name)?;
        match self.registry.get(&id).map(|entry| &entry.implementation) {
            Some(Implementation::StorageBackend(backend)) => Ok(backend.clone()),
            _ => {
                let why = self.why_not(&id);
                Err(Error::new(ErrorKind::Config, format!("the remote needs the plugin {id}, {why}"))
                    .hint(format!("`rclonepool plugins load FILE`, then `rclonepool plugins enable {id}`")))
            }
        }
    }

    /// Whether anybody is told anything.
    pub fn has_handlers(&self) -> bool {
        !self.handlers.is_empty()
    }

    /// Asks all handlers before something is done.
    ///
    /// # Errors
    /// `InvalidArgument` with the words of the one that refuses; those of one that is broken.
    pub async fn before(&self, hook: Hook, event: impl FnOnce() -> Value) -> Result<()> {
        if self.handlers.is_empty() {
            return Ok(());
        }
        let (handlers, event) = (self.handlers.clone(), event());
        blocking(move || {
            for (id, handler) in &handlers {
                if handler.hooks()?.contains(&hook)
                    && let Err(words) = handler.handle(hook, &event)?
                {
                    return Err(Error::new(ErrorKind::InvalidArgument, words)
                        .hint(format!("refused by the plugin {id}, {}", hook.as_str())));
                }
            }
            Ok(())
        })
        .await
    }

    /// Tells all handlers what happened, in order, without waiting for them.
    pub fn after(&self, hook: Hook, event: impl FnOnce() -> Value) {
        if self.handlers.is_empty() {
            return;
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = queue.get_or_insert_with(|| {
            let (sender, events) = mpsc::sync_channel(WAITING);
            let handlers = self.handlers.clone();
            std::thread::spawn(move || tell(&handlers, &events));
            sender
        });
        if sender.try_send(Message::Event(hook, event())).is_err() {
            tracing::warn!("event handlers are slow: a {} was not told", hook.as_str());
        }
    }

    /// Waits until the handlers took what happened, for a bounded time.
    pub async fn settle(&self) {
        let done = {
            let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(sender) = &*queue else { return };
            let (done, told) = tokio::sync::oneshot::channel();
            // Where the queue is full, `told` ends at once.
            let _ = sender.try_send(Message::Flush(done));
            told
        };
        if !matches!(tokio::time::timeout(SETTLE, done).await, Ok(Ok(()))) {
            tracing::warn!("event handlers are slow: they will not be told all that happened");
        }
    }
}

fn tell(handlers: &[(PluginId, Arc<dyn EventHandler>)], events: &mpsc::Receiver<Message>) {
    for message in events {
        let (hook, event) = match message {
            Message::Event(hook, event) => (hook, event),
            Message::Flush(done) => {
                let _ = done.send(());
                continue;
            }
        };
        for (id, handler) in handlers {
            let told = handler
                .hooks()
                .and_then(|hooks| if hooks.contains(&hook) { handler.handle(hook, &event) } else { Ok(Ok(())) });
            match told {
                Ok(Ok(())) => {}
                Ok(Err(words)) => tracing::warn!("the plugin {id} failed at {}: {words}", hook.as_str()),
                // Said once is enough for one that was set aside.
                Err(error) if error.message().contains("was set aside") => tracing::debug!("{error}"),
                Err(error) => tracing::warn!("{} is not told: {error}", hook.as_str()),
            }
        }
    }
}

/// What hooks are told of a file.
pub(crate) fn of_file(path: &dyn std::fmt::Display, size: Option<u64>) -> Value {
    let mut event = Map::new();
    event.insert("path".into(), path.to_string().into());
    if let Some(size) = size {
        event.insert("size".into(), json!(size));
    }
    Value::Object(event)
}

/// Which plugins a file has. Runs it.
///
/// # Errors
/// Those of [`check_safe`]; `Unsupported` where nothing here runs such a file; `InvalidArgument`, saying what is wrong
/// with it.
pub fn describe(loaders: &[Arc<dyn Loader>], file: &Path, time: Duration) -> Result<Vec<Metadata>> {
    check_safe(file)?;
    let Some(loader) = loaders.iter().find(|loader| loader.takes(file)) else {
        return Err(Error::new(ErrorKind::Unsupported, "is no plugin that can be run here")
            .at_path(file.display())
            .hint("plugins are Python files (.py) and shared libraries"));
    };
    let found = loader.describe(file, time).map_err(|fault| {
        let why = match fault {
            Fault::Raised { kind, message } => format!("{kind}: {message}"),
            Fault::Broken(why) => why,
        };
        Error::new(ErrorKind::InvalidArgument, format!("is no plugin: {why}")).at_path(file.display())
    })?;
    for metadata in &found {
        metadata.id().map_err(|e| e.at_path(file.display()))?;
    }
    Ok(found)
}
