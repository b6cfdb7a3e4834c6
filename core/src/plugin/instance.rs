//! What a carrier of plugins does: loads a file, and passes calls on.

use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};

use super::{Metadata, PluginId};

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// A value, where bytes are not all of it.
    pub value: Value,
    /// Bytes.
    pub data: Vec<u8>,
}

/// Why a call came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The plugin says so; it is still well.
    Raised {
        /// The name of the exception.
        kind: String,
        /// Its text.
        message: String,
    },
    /// The plugin is no more: it hung, died or answered nonsense.
    Broken(String),
}

impl Fault {
    /// A plugin that is no more.
    pub fn broken(why: impl Into<String>) -> Self {
        Self::Broken(why.into())
    }
}

/// A plugin that runs.
pub trait Instance: Send + Debug {
    /// Does one call.
    ///
    /// # Errors
    /// What the plugin raised, or why it is no more.
    fn call(&mut self, method: &str, args: Value, data: &[u8], time: Duration) -> Result<Answer, Fault>;
}

/// A way to run plugins.
pub trait Loader: Send + Sync + Debug {
    /// Whether it can run this file, by its name.
    fn takes(&self, file: &Path) -> bool;

    /// Which plugins a file has. Runs the file's code.
    ///
    /// # Errors
    /// Why it has none.
    fn describe(&self, file: &Path, time: Duration) -> Result<Vec<Metadata>, Fault>;

    /// Starts one of them.
    ///
    /// # Errors
    /// Why it does not start.
    fn start(
        &self,
        file: &Path,
        id: &PluginId,
        config: &Map<String, Value>,
        time: Duration,
    ) -> Result<(Box<dyn Instance>, Metadata), Fault>;
}
