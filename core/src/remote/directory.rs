//! A plain directory as a remote: a disk, a network mount, a folder another program synchronises.

mod copy;
mod link;
mod tree;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::{Body, ByteStream, ObjectMeta, Remote, Usage, check_dir, check_name, check_stored_name};
use crate::buffer::Buffer;
use crate::error::{Error, ErrorKind, Result};
use tree::{Tree, Walk};

/// How much of an object is read at a time: the largest unit.
const PIECE_BYTES: u64 = 1 << 20;

/// A [`Remote`] over a directory that must exist.
///
/// A missing directory is `Unavailable`, never an empty remote: the disk may not be mounted. Puts
/// are atomic (temporary file, fsync, rename) and survive a power cut once they returned. Symbolic
/// links below the directory are not followed; the directory itself may be one.
#[derive(Debug)]
pub struct DirectoryRemote {
    tree: Arc<Tree>,
}

impl DirectoryRemote {
    /// A remote over `path`, which is looked at only when something is asked of the remote.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self { tree: Arc::new(Tree { label: path.display().to_string(), path }) }
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Tree) -> Result<T> + Send + 'static) -> Result<T> {
        let tree = Arc::clone(&self.tree);
        blocking(move || work(&tree).map_err(|e| e.on_remote(&tree.label))).await
    }

    fn checked(&self, name: &str) -> Result<String> {
        check_name(name).map_err(|e| e.on_remote(&self.tree.label))?;
        Ok(name.to_owned())
    }
}

/// Runs file system work where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| match e.is_panic() {
        true => Error::new(ErrorKind::Internal, "the file system worker panicked").caused_by(e),
        false => Error::new(ErrorKind::Cancelled, "the runtime shuts down"),
    })?
}

/// Tells blocking work that nobody waits for it any more.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Remote for DirectoryRemote {
    fn label(&self) -> &str {
        &self.tree.label
    }

    async fn put(&self, name: &str, body: &Body) -> Result<()> {
        let (name, body) = (self.checked(name)?, body.clone());
        let cancel = CancelOnDrop(Arc::default());
        let cancelled = Arc::clone(&cancel.0);
        self.blocking(move |tree| tree.put(&name, &body, &cancelled)).await
    }

    async fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<ByteStream> {
        let name = self.checked(name)?;
        let tree = Arc::clone(&self.tree);
        let reader = self.blocking(move |_| Reader::open(tree, name, range)).await?;
        Ok(stream::try_unfold(reader, |reader| blocking(move || reader.next())).boxed())
    }

    async fn stat(&self, name: &str) -> Result<Option<u64>> {
        let name = self.checked(name)?;
        self.blocking(move |tree| tree.stat(&name)).await
    }

    async fn delete(&self, name: &str) -> Result<()> {
        check_stored_name(name).map_err(|e| e.on_remote(&self.tree.label))?;
        let name = name.to_owned();
        self.blocking(move |tree| tree.delete(&name)).await
    }

    async fn list(&self, dir: &str) -> Result<BoxStream<'static, Result<ObjectMeta>>> {
        check_dir(dir).map_err(|e| e.on_remote(&self.tree.label))?;
        let (dir, tree) = (dir.to_owned(), Arc::clone(&self.tree));
        let walk = self.blocking(move |_| Walk::begin(tree, dir)).await?;
        // One step reads one directory: memory is bounded by the largest of them.
        Ok(stream::try_unfold(walk, |walk| blocking(move || walk.step()))
            .map_ok(|found| stream::iter(found.into_iter().map(Ok)))
            .try_flatten()
            .boxed())
    }

    async fn usage(&self) -> Result<Usage> {
        self.blocking(Tree::usage).await
    }

    fn staging(&self) -> Option<&Path> {
        Some(&self.tree.path)
    }

    async fn open(&self, name: &str, range: Range<u64>) -> Result<Option<File>> {
        let name = self.checked(name)?;
        self.blocking(move |tree| open(tree, &name, Some(range)).map(|(file, _)| Some(file))).await
    }
}

/// Opens an object that has the bytes of `range`.
fn open(tree: &Tree, name: &str, range: Option<Range<u64>>) -> Result<(File, Range<u64>)> {
    let (file, size) = tree.open(name)?;
    let range = range.unwrap_or(0..size);
    if range.start > range.end || range.end > size {
        let message = format!("the object has {size} bytes, asked for {} to {}", range.start, range.end);
        return Err(Error::new(ErrorKind::Corrupt, message).at_path(name));
    }
    Ok((file, range))
}

/// A get in progress. The file is its own, so its cursor is too.
struct Reader {
    tree: Arc<Tree>,
    name: String,
    file: File,
    left: u64,
}

impl Reader {
    fn open(tree: Arc<Tree>, name: String, range: Option<Range<u64>>) -> Result<Self> {
        let (mut file, range) = open(&tree, &name, range)?;
        if range.start > 0 {
            file.seek(SeekFrom::Start(range.start)).map_err(|e| tree.failed("cannot read", &name, e))?;
        }
        Ok(Self { tree, name, file, left: range.end - range.start })
    }

    fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        if self.left == 0 {
            return Ok(None);
        }
        let want = self.left.min(PIECE_BYTES);
        let mut file = (&mut self.file).take(want);
        let piece = if want < PIECE_BYTES {
            let mut piece = Vec::with_capacity(usize::try_from(want).unwrap_or_default());
            file.read_to_end(&mut piece).map(|_| Bytes::from(piece))
        } else {
            let mut piece = Buffer::new();
            file.read_to_end(&mut piece).map(|_| piece.freeze())
        };
        let piece = piece.map_err(|e| self.tree.failed("cannot read", &self.name, e))?;
        let read = piece.len() as u64;
        if read < want {
            let error = Error::new(ErrorKind::Corrupt, "the object became shorter while it was read");
            return Err(error.at_path(&self.name).on_remote(&self.tree.label));
        }
        self.left -= read;
        Ok(Some((piece, self)))
    }
}

#[cfg(all(test, unix))]
mod tests;
