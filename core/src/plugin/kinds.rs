//! The traits of the kinds that need no stage or remote of their own, and what makes them of a [`Plugin`].

use std::fmt::Debug;
use std::num::NonZeroU64;
use std::sync::{Arc, OnceLock};

use serde::Serialize;
use serde_json::{Value, json};

use super::{Hook, Metadata, Plugin, PluginKind};
use crate::error::{Error, ErrorKind, Result};
use crate::stage::chunk::{Boundaries, Chunker};
use crate::stage::place::Strategy;
use crate::stage::transform::{Applied, Transform};

/// The most bytes that a chunker is given at a time.
const LOOK_BYTES: usize = 1 << 20;

/// A remote as a balancer sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Offer {
    /// Its name in the configuration.
    pub name: String,
    /// Its id in the pool.
    pub id: String,
    /// Bytes of the pool on it.
    pub used: u64,
    /// Bytes it can still take, as far as it says.
    pub free: Option<u64>,
    /// Its share: its quota, or its total if it has that to itself.
    pub total: Option<u64>,
    /// How much it should get, relative to others.
    pub weight: f64,
    /// Higher is used first, by the built-in strategies.
    pub priority: i64,
}

/// What a balancer says of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The placing stage goes by this strategy.
    Strategy(Strategy),
    /// The remote at this position of the offers, where the hard rules allow.
    Remote(usize),
}

/// Chooses remotes.
pub trait Balancer: Send + Sync + Debug {
    /// The strategy it stands for, where it is one of the placing stage's.
    fn strategy(&self) -> Option<Strategy> {
        None
    }

    /// Chooses the remote of one shard of so many bytes; offers are in the order of the configuration.
    ///
    /// # Errors
    /// Its own, naming it; placement then goes on by the configured strategy.
    fn choose(&self, offers: &[Offer], bytes: u64) -> Result<Choice>;
}

impl Balancer for Strategy {
    fn strategy(&self) -> Option<Strategy> {
        Some(*self)
    }

    fn choose(&self, _: &[Offer], _: u64) -> Result<Choice> {
        Ok(Choice::Strategy(*self))
    }
}

/// Makes bytes fewer.
pub trait Compressing: Send + Sync + Debug {
    /// The transform it is; `None`: the frames of zstd, which the compressing stage makes by itself.
    ///
    /// # Errors
    /// Why it cannot be had.
    fn transform(&self) -> Result<Option<Arc<dyn Transform>>>;
}

/// Is told what happens.
pub trait EventHandler: Send + Sync + Debug {
    /// Which hooks it is called for.
    ///
    /// # Errors
    /// Its own, naming it.
    fn hooks(&self) -> Result<Vec<Hook>>;

    /// Takes an event; gives its words where it refuses.
    ///
    /// # Errors
    /// Its own, naming it.
    fn handle(&self, hook: Hook, event: &Value) -> Result<std::result::Result<(), String>>;
}

/// zstd, as the compressing stage does it.
#[derive(Debug)]
pub(super) struct Zstd;

impl Compressing for Zstd {
    fn transform(&self) -> Result<Option<Arc<dyn Transform>>> {
        Ok(None)
    }
}

impl Balancer for Plugin {
    fn choose(&self, offers: &[Offer], bytes: u64) -> Result<Choice> {
        let answer = self.call("select_remote", json!({"remotes": offers, "chunk_size": bytes}), &[]);
        let answer = answer.inspect_err(|error| {
            if !self.is_aside() {
                self.count_failure(error);
            }
        })?;
        let chosen = answer.value.as_str().and_then(|name| offers.iter().position(|offer| offer.name == name));
        chosen.map(Choice::Remote).ok_or_else(|| {
            let said: String = answer.value.to_string().chars().take(80).collect();
            self.nonsense(format!("{said} is none of the remotes offered"))
        })
    }
}

/// A chunker that is a plugin.
#[derive(Debug)]
pub(super) struct PluginChunker(pub Arc<Plugin>);

impl Chunker for PluginChunker {
    fn average(&self, longest: NonZeroU64) -> u64 {
        // Nobody knows; the number is for progress bars.
        (longest.get() / 2).max(1)
    }

    fn begin(&self, longest: NonZeroU64) -> Box<dyn Boundaries> {
        Box::new(PluginBoundaries { plugin: self.0.clone(), longest: longest.get(), taken: 0 })
    }
}

struct PluginBoundaries {
    plugin: Arc<Plugin>,
    longest: u64,
    /// Bytes of the present chunk so far.
    taken: u64,
}

impl Boundaries for PluginBoundaries {
    fn push(&mut self, bytes: &[u8]) -> Result<Option<usize>> {
        let mut at = 0;
        while at < bytes.len() {
            let left = usize::try_from(self.longest - self.taken).unwrap_or(usize::MAX);
            let look = &bytes[at..at + left.min(bytes.len() - at).min(LOOK_BYTES)];
            let args = json!({"position": self.taken, "chunk_size": self.longest});
            let answer = self.plugin.call("find_boundary", args, look)?.value;
            let end = match answer {
                Value::Null => None,
                other => {
                    let end = other.as_u64().and_then(|n| usize::try_from(n).ok());
                    let end = end.filter(|n| (1..=look.len()).contains(n));
                    let why = || format!("{other} is no number from 1 to {}", look.len());
                    Some(end.ok_or_else(|| self.plugin.nonsense(why()))?)
                }
            };
            let end = end.or((look.len() == left).then_some(left));
            if let Some(end) = end {
                self.taken = 0;
                return Ok(Some(at + end));
            }
            self.taken += look.len() as u64;
            at += look.len();
        }
        Ok(None)
    }
}

/// A compression, encryption or transformer that is a plugin.
#[derive(Debug)]
pub(super) struct PluginTransform {
    plugin: Arc<Plugin>,
    applied: Applied,
    methods: [&'static str; 2],
}

impl PluginTransform {
    /// Starts it.
    ///
    /// # Errors
    /// Those of the plugin.
    pub fn of(plugin: &Arc<Plugin>) -> Result<Self> {
        let methods = match plugin.id().kind {
            PluginKind::Compression => ["compress", "decompress"],
            PluginKind::Encryption => ["encrypt", "decrypt"],
            _ => ["transform", "restore"],
        };
        let Metadata { version, .. } = &*plugin.metadata()?;
        let applied = Applied { plugin: plugin.id().to_string(), version: version.clone() };
        Ok(Self { plugin: plugin.clone(), applied, methods })
    }
}

impl Transform for PluginTransform {
    fn applied(&self) -> Applied {
        self.applied.clone()
    }

    fn is_optional(&self) -> bool {
        self.plugin.id().kind == PluginKind::Compression
    }

    fn apply(&self, piece: &[u8]) -> Result<Vec<u8>> {
        self.plugin.call(self.methods[0], json!({}), piece).map(|answer| answer.data)
    }

    fn undo(&self, piece: &[u8]) -> Result<Vec<u8>> {
        self.plugin.call(self.methods[1], json!({}), piece).map(|answer| answer.data)
    }
}

/// A compression that is a plugin.
#[derive(Debug)]
pub(super) struct PluginCompression(pub Arc<Plugin>);

impl Compressing for PluginCompression {
    fn transform(&self) -> Result<Option<Arc<dyn Transform>>> {
        Ok(Some(Arc::new(PluginTransform::of(&self.0)?)))
    }
}

/// An event handler that is a plugin.
#[derive(Debug)]
pub(super) struct PluginHandler {
    plugin: Arc<Plugin>,
    /// Asked once.
    hooks: OnceLock<Vec<Hook>>,
}

impl PluginHandler {
    pub fn new(plugin: Arc<Plugin>) -> Self {
        Self { plugin, hooks: OnceLock::new() }
    }
}

impl EventHandler for PluginHandler {
    fn hooks(&self) -> Result<Vec<Hook>> {
        if let Some(hooks) = self.hooks.get() {
            return Ok(hooks.clone());
        }
        let answer = self.plugin.call("get_hooks", json!({}), &[])?;
        let hooks: Vec<Hook> =
            serde_json::from_value(answer.value).map_err(|e| self.plugin.nonsense(format!("its hooks: {e}")))?;
        Ok(self.hooks.get_or_init(|| hooks).clone())
    }

    fn handle(&self, hook: Hook, event: &Value) -> Result<std::result::Result<(), String>> {
        let args = json!({"hook": hook, "event": event});
        Ok(self.plugin.call_that_may_refuse("handle_event", args)?.map(drop))
    }
}

/// The error of data that needs a plugin which cannot be had.
pub(super) fn lacking(applied: &Applied, why: &str) -> Error {
    let Applied { plugin, version } = applied;
    Error::new(ErrorKind::Unsupported, format!("this data needs the plugin {plugin} {version}, {why}")).hint(format!(
        "put its file into plugins_dir (`rclonepool plugins load FILE`) and: rclonepool plugins enable {plugin}"
    ))
}
