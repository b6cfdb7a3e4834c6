//! The seam to storage: whole, immutable objects on one remote.

mod body;
pub mod directory;
pub mod memory;
mod name;
pub mod rclone;
mod read;
pub mod wrap;

use std::fmt::Debug;
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::error::Result;

pub use directory::DirectoryRemote;
pub use memory::{MemoryRemote, MemoryStore};
pub(crate) use name::is_unfinished;
pub use name::{PARTIAL, check_dir, check_name, check_stored_name};
pub use rclone::{Rclone, RcloneOptions};
pub use read::{list_whole, read_whole};

/// A stream of an object's bytes. It ends early only with an error: a stream that ends without one
/// has delivered exactly what was asked for.
pub type ByteStream = BoxStream<'static, Result<Bytes>>;

/// A shared [`Remote`].
pub type SharedRemote = Arc<dyn Remote>;

/// Where objects live.
///
/// # Contract
/// - Objects are immutable and names are unique: nobody puts one name twice with other content.
/// - Three answers everywhere: present, absent, unknown. [`ErrorKind::NotFound`] and `None` mean
///   *definitely absent*; whatever else is wrong is an error of another kind.
/// - A put that returned `Ok` is complete and of the size given. After any other ending the object
///   may or may not be there, whole or truncated.
/// - Names are relative, `/`-separated, of the characters `[A-Za-z0-9._-]` ([`check_name`]), anything
///   else is `InvalidArgument`; directories appear with their first object.
/// - Dropping a future cancels the operation.
/// - An error names the remote ([`crate::Error::on_remote`]).
///
/// [`ErrorKind::NotFound`]: crate::ErrorKind::NotFound
#[async_trait]
pub trait Remote: Send + Sync + Debug {
    /// The name the configuration gives it: an rclone remote or a directory path.
    fn label(&self) -> &str;

    /// Stores an object of known size.
    async fn put(&self, name: &str, body: &Body) -> Result<()>;

    /// Reads an object, or the byte range of it, which must lie inside the object.
    ///
    /// # Errors
    /// `NotFound` only when the object is definitely absent; `Corrupt` when the object is shorter
    /// than the range.
    async fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<ByteStream>;

    /// The object's size in bytes, or `None` when it is definitely absent.
    async fn stat(&self, name: &str) -> Result<Option<u64>>;

    /// Removes an object, or what is left of a put that broke off ([`check_stored_name`]); removing what is absent
    /// succeeds.
    async fn delete(&self, name: &str) -> Result<()>;

    /// Lists every object below the directory `dir` (recursively; empty for the whole remote), in
    /// any order, with names from the remote's root. What puts that broke off left under names that end in
    /// [`PARTIAL`] is shown, too, where there is such: it is no object. An absent directory is empty. A listing that could not be completed ends
    /// with an error.
    async fn list(&self, dir: &str) -> Result<BoxStream<'static, Result<ObjectMeta>>>;

    /// Total, used and free bytes, as far as the remote tells.
    async fn usage(&self) -> Result<Usage>;

    /// A directory of this machine on the file system the objects lie on, where there is one: a nameless file that
    /// was made there becomes an object without being copied.
    fn staging(&self) -> Option<&Path>;

    /// Opens an object that is a file of this machine, for its bytes `range` to be read by position; `None` where
    /// it is none.
    ///
    /// # Errors
    /// As [`Remote::get`].
    async fn open(&self, name: &str, range: Range<u64>) -> Result<Option<File>>;
}

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Its name from the remote's root.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
}

/// What a remote tells about its space, in bytes; `None` where it does not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    /// Capacity.
    pub total: Option<u64>,
    /// Used by anyone.
    pub used: Option<u64>,
    /// Still free.
    pub free: Option<u64>,
}

/// The bytes of an object to be put: in memory, or in a sealed anonymous file.
#[derive(Debug, Clone)]
pub enum Body {
    /// In memory.
    Bytes(Bytes),
    /// The whole of a file nobody writes to any more; read by position, never by cursor.
    File {
        /// The file.
        file: Arc<File>,
        /// Its length in bytes.
        size: u64,
    },
}

impl Body {
    /// The length in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { size, .. } => *size,
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}
