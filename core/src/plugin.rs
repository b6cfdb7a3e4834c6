//! Plugins: seven kinds of things that can be replaced, and who offers them.
//!
//! Each kind is a trait. The built-in implementations and those of plugins stand in one [`Registry`], by their
//! [`PluginId`]. A plugin comes from a file by way of a [`Loader`]: a Python file in a supervised child process
//! ([`ChildLoader`]), or whatever a face adds (Python in the Python package, shared libraries). A loader gives an
//! [`Instance`], which takes calls by name with JSON and bytes; one set of adapters (`kinds`, `storage`) makes the
//! traits of it, whichever way it came. [`Plugin`] supervises: it starts the instance when it is first needed, names
//! the plugin in every error, and sets it aside when it keeps breaking.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

#[cfg(unix)]
mod child;
mod file;
mod frame;
mod in_force;
mod instance;
mod kinds;
mod registry;
mod storage;
mod supervise;

#[cfg(unix)]
pub use child::ChildLoader;
pub use file::check_safe;
pub use frame::{Frame, HEADER_BYTES_MAX, PAYLOAD_BYTES_MAX};
pub(crate) use in_force::of_file;
pub use in_force::{Plugins, describe};
pub use instance::{Answer, Fault, Instance, Loader};
pub use kinds::{Balancer, Choice, Compressing, EventHandler, Offer};
pub use registry::{Implementation, Registered, Registry, StorageBackend};
pub use supervise::{FAILURES_MAX, Plugin};

/// What a plugin is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PluginKind {
    /// Chooses remotes.
    Balancer,
    /// Cuts files into chunks.
    Chunker,
    /// Keeps objects.
    StorageBackend,
    /// Makes bytes fewer.
    Compression,
    /// Makes bytes unreadable to others.
    Encryption,
    /// Is told what happens.
    EventHandler,
    /// Changes bytes in any way that can be undone.
    Transformer,
}

impl PluginKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Balancer,
        Self::Chunker,
        Self::StorageBackend,
        Self::Compression,
        Self::Encryption,
        Self::EventHandler,
        Self::Transformer,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Balancer => "balancer",
            Self::Chunker => "chunker",
            Self::StorageBackend => "storage_backend",
            Self::Compression => "compression",
            Self::Encryption => "encryption",
            Self::EventHandler => "event_handler",
            Self::Transformer => "transformer",
        }
    }

    /// Whether only one of them is in force at a time.
    pub fn is_single(self) -> bool {
        matches!(self, Self::Balancer | Self::Chunker | Self::Compression)
    }
}

/// Names a plugin: `balancer:custom_balancer`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PluginId {
    /// What it is for.
    pub kind: PluginKind,
    /// 1 to 64 of the characters `[A-Za-z0-9._-]`.
    pub name: String,
}

impl PluginId {
    /// An id of its parts.
    ///
    /// # Errors
    /// `InvalidArgument` for a name that cannot be one.
    pub fn new(kind: PluginKind, name: &str) -> Result<Self> {
        let possible = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if (1..=64).contains(&name.len()) && name.chars().all(possible) {
            return Ok(Self { kind, name: name.into() });
        }
        let shown: String = name.chars().take(80).collect();
        let why =
            format!("\"{}\" is no name of a plugin: 1 to 64 letters, digits, '.', '_', '-'", shown.escape_debug());
        Err(Error::new(ErrorKind::InvalidArgument, why))
    }
}

impl fmt::Display for PluginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.name)
    }
}

impl FromStr for PluginId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        let Some(kind) = PluginKind::ALL.into_iter().find(|one| one.as_str() == kind) else {
            let kinds: Vec<&str> = PluginKind::ALL.iter().map(|kind| kind.as_str()).collect();
            let shown: String = text.chars().take(80).collect();
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("\"{}\" is no id of a plugin: a kind, ':' and a name", shown.escape_debug()),
            )
            .hint(format!("kinds are {}", kinds.join(", "))));
        };
        Self::new(kind, name)
    }
}

/// Who a plugin says it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The second half of its id.
    pub name: String,
    /// Its version, as records name it: 1 to 64 characters.
    pub version: String,
    /// Who wrote it.
    #[serde(default)]
    pub author: String,
    /// What it does.
    #[serde(default)]
    pub description: String,
    /// The first half of its id.
    pub plugin_type: PluginKind,
    /// Earlier versions whose data it reads.
    #[serde(default)]
    pub reads: Vec<String>,
}

impl Metadata {
    /// Its id.
    ///
    /// # Errors
    /// `InvalidArgument` for a name or version that cannot be one.
    pub fn id(&self) -> Result<PluginId> {
        if !(1..=64).contains(&self.version.len()) || self.version.chars().any(char::is_control) {
            let why = format!("the plugin {} has an impossible version: 1 to 64 characters", self.name.escape_debug());
            return Err(Error::new(ErrorKind::InvalidArgument, why));
        }
        PluginId::new(self.plugin_type, &self.name)
    }

    /// Whether it reads what a version of it wrote.
    pub fn reads(&self, version: &str) -> bool {
        self.version == version || self.reads.iter().any(|one| one == version)
    }
}

/// When event handlers are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Hook {
    /// A file is about to be stored: may refuse.
    PreUpload,
    /// It is stored, and its commit acknowledged.
    PostUpload,
    /// A file is about to be read onto the local disk: may refuse.
    PreDownload,
    /// It is there, verified.
    PostDownload,
    /// A path is about to be deleted: may refuse.
    PreDelete,
    /// It is deleted.
    PostDelete,
    /// A file was verified.
    FileVerified,
    /// What was damaged of a file or chunk was put anew.
    FileRepaired,
    /// A shard of a chunk is definitely not where it should be.
    ChunkMissing,
    /// A remote failed in spite of all tries.
    RemoteError,
}

impl Hook {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreUpload => "PRE_UPLOAD",
            Self::PostUpload => "POST_UPLOAD",
            Self::PreDownload => "PRE_DOWNLOAD",
            Self::PostDownload => "POST_DOWNLOAD",
            Self::PreDelete => "PRE_DELETE",
            Self::PostDelete => "POST_DELETE",
            Self::FileVerified => "FILE_VERIFIED",
            Self::FileRepaired => "FILE_REPAIRED",
            Self::ChunkMissing => "CHUNK_MISSING",
            Self::RemoteError => "REMOTE_ERROR",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        for kind in PluginKind::ALL {
            let id = PluginId::new(kind, "a-b_c.1").unwrap();
            assert_eq!(id.to_string().parse::<PluginId>().unwrap(), id);
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        for bad in ["", "balancer", "balancer:", ":x", "balancers:x", "balancer:a/b", "balancer:a b", "balancer:é"] {
            assert_eq!(bad.parse::<PluginId>().unwrap_err().kind(), ErrorKind::InvalidArgument, "{bad}");
        }
        assert!(PluginId::new(PluginKind::Chunker, &"x".repeat(65)).is_err());
    }

    #[test]
    fn hooks_have_the_names_they_are_sent_by() {
        for hook in [Hook::PreUpload, Hook::FileVerified, Hook::ChunkMissing, Hook::RemoteError] {
            assert_eq!(serde_json::to_value(hook).unwrap(), hook.as_str());
        }
    }
}
