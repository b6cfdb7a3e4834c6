//! Listing, making directories, deleting.

use serde::Serialize;
use serde_json::json;

use super::Pool;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ChunkId, Stamp};
use crate::index::{Chunk, Listed};
use crate::journal::record::{Content, Deleted, Entry, Record};
use crate::path::PoolPath;
use crate::plugin::Hook;

/// How many entries of a tree are held at once.
const PAGE: usize = 4096;

/// A path's manifest and where its shards lie.
#[derive(Debug, Clone, Serialize)]
pub struct Stat {
    /// The manifest.
    pub entry: Entry,
    /// Its chunks, in the order of the file.
    pub chunks: Vec<ChunkStat>,
}

/// A chunk of a [`Stat`].
#[derive(Debug, Clone, Serialize)]
pub struct ChunkStat {
    /// Its id.
    pub chunk: ChunkId,
    /// Plain bytes.
    pub size: u64,
    /// Stored bytes before redundancy.
    pub stored: u64,
    /// How it is spread.
    pub layout: crate::stage::layout::Layout,
    /// Its shards.
    pub shards: Vec<ShardStat>,
}

/// A shard of a [`Stat`].
#[derive(Debug, Clone, Serialize)]
pub struct ShardStat {
    /// Its index: data shards first, then parity.
    pub index: u8,
    /// Which copy.
    pub copy: u8,
    /// The remote's name where it is configured, else its label in the pool.
    pub remote: String,
    /// Whether that remote is online.
    pub online: bool,
    /// The object there.
    pub object: String,
    /// Its size in bytes.
    pub size: u64,
}

impl Pool {
    /// Fails where a listing might lack entries: nothing of the pool is known here yet, or a commit cannot be
    /// understood. Who compares listings to delete what is missing must ask this first.
    ///
    /// # Errors
    /// `Unavailable` without an index; `FormatVersion`.
    pub async fn check_listing(&self) -> Result<()> {
        if self.index.pool()?.is_none() {
            return Err(Error::new(ErrorKind::Unavailable, "what the pool holds is not known here yet")
                .hint("bring its remotes online"));
        }
        self.view().await.check_format()
    }

    /// How many files the pool has, and their bytes; the trash apart.
    ///
    /// # Errors
    /// Those of the index.
    pub fn totals(&self) -> Result<(u64, u64)> {
        self.index.totals()
    }

    /// What lies directly in a directory, sorted by name.
    ///
    /// # Errors
    /// `DirectoryNotFound`; `InvalidArgument` when the path is a file.
    pub fn list(&self, directory: &PoolPath) -> Result<Vec<Listed>> {
        let found = self.index.children(directory)?;
        if found.is_empty() {
            match self.index.entry(directory)? {
                _ if directory.is_root() => {}
                Some(entry) if entry.content.is_directory() => {}
                Some(_) => {
                    return Err(Error::new(ErrorKind::InvalidArgument, "is a file, not a directory").at_path(directory));
                }
                None => return Err(no_directory(directory)),
            }
        }
        Ok(found)
    }

    /// Calls `each` for every entry below a directory at any depth, sorted by path.
    ///
    /// # Errors
    /// `DirectoryNotFound`, and what `each` returns.
    pub fn walk(&self, directory: &PoolPath, mut each: impl FnMut(Entry) -> Result<()>) -> Result<()> {
        let mut after: Option<PoolPath> = None;
        if !self.is_directory(directory)? {
            return Err(no_directory(directory));
        }
        loop {
            let page = self.index.entries_below(directory, after.as_ref(), PAGE)?;
            let full = page.len() == PAGE;
            after = page.last().map(|entry| entry.path.clone());
            page.into_iter().try_for_each(&mut each)?;
            if !full {
                return Ok(());
            }
        }
    }

    /// What the path holds; a directory that exists only by what lies in it has no entry.
    ///
    /// # Errors
    /// Those of the index.
    pub fn entry(&self, path: &PoolPath) -> Result<Option<Entry>> {
        self.index.entry(path)
    }

    /// Whether the path is a directory: made, implied by what lies below it, or the root.
    ///
    /// # Errors
    /// Those of the index.
    pub fn is_directory(&self, path: &PoolPath) -> Result<bool> {
        Ok(path.is_root()
            || self.index.has_children(path)?
            || self.index.entry(path)?.is_some_and(|entry| entry.content.is_directory()))
    }

    /// The manifest of a path, and where its shards lie.
    ///
    /// # Errors
    /// `NotFound`; `Corrupt` when a chunk's record is missing.
    pub async fn stat(&self, path: &PoolPath) -> Result<Stat> {
        let entry = self.index.entry(path)?.ok_or_else(|| no_file(path))?;
        let view = self.view().await;
        let labels = self.index.remotes()?;
        let mut chunks = Vec::new();
        for extent in entry.content.extents() {
            let Chunk { record } = self.chunk(extent.chunk).map_err(|e| e.at_path(path))?;
            let shard = |place: &crate::journal::record::Place| {
                let handle = view.handle(place.remote, self.journal.remotes());
                let label = labels.iter().find(|r| r.remote == place.remote).map(|r| r.label.clone());
                ShardStat {
                    index: place.index,
                    copy: place.copy,
                    online: handle.is_some(),
                    remote: handle.map_or_else(
                        || label.unwrap_or_else(|| place.remote.to_string()),
                        |handle| handle.label().to_owned(),
                    ),
                    object: self.shard_object(record.chunk, place.index, place.nonce),
                    size: record.layout.shard_size(record.stored, usize::from(place.index)),
                }
            };
            chunks.push(ChunkStat {
                chunk: record.chunk,
                size: record.size,
                stored: record.stored,
                layout: record.layout,
                shards: record.shards.iter().map(shard).collect(),
            });
        }
        Ok(Stat { entry, chunks })
    }

    pub(super) fn chunk(&self, chunk: ChunkId) -> Result<Chunk> {
        self.index.chunk(chunk)?.ok_or_else(|| {
            Error::new(ErrorKind::Corrupt, format!("the record of chunk {chunk} is missing"))
                .hint("bring more remotes online: one of them may have the commit that holds it")
        })
    }

    /// Makes an empty directory; gives back whether the view was stale. One that is there already is left as it is.
    ///
    /// # Errors
    /// `AlreadyExists` when the path, or one above it, is a file.
    pub async fn mkdir(&self, path: &PoolPath) -> Result<bool> {
        self.mkdir_at(path, None).await
    }

    /// As [`Pool::mkdir`], with a modification time in nanoseconds since 1970.
    ///
    /// # Errors
    /// As [`Pool::mkdir`].
    pub async fn mkdir_at(&self, path: &PoolPath, mtime_ns: Option<i64>) -> Result<bool> {
        let view = self.view_for_writing().await?;
        self.check_target(path)?;
        if self.is_directory(path)? {
            return Ok(!view.complete || !self.complete().await?);
        }
        if self.index.entry(path)?.is_some() {
            return Err(Error::new(ErrorKind::AlreadyExists, "a file of this name is there").at_path(path));
        }
        let mtime_ns = mtime_ns.unwrap_or_else(|| self.now_ns());
        let entry = self.new_entry(path, mtime_ns, false, Content::Directory {});
        let receipt = self.commit(&view, vec![Record::Entry(entry)]).await?;
        self.settle_receipt(receipt).await
    }

    /// Deletes a file, or with `recursive` a directory and all below it; gives back how many entries went.
    ///
    /// Space is not freed here: what nothing refers to any more is collected later.
    ///
    /// # Errors
    /// `NotFound`; `InvalidArgument` for a directory without `recursive`, and for the root.
    pub async fn delete(&self, path: &PoolPath, recursive: bool) -> Result<Changed> {
        self.delete_with(path, &DeleteOptions { recursive, ..DeleteOptions::default() }).await
    }

    /// As [`Pool::delete`], with all options.
    ///
    /// # Errors
    /// As [`Pool::delete`].
    pub async fn delete_with(&self, path: &PoolPath, options: &DeleteOptions) -> Result<Changed> {
        let DeleteOptions { recursive, purge, keep_parent } = *options;
        let event = || json!({"path": path.to_string(), "recursive": recursive, "purge": purge});
        self.plugins.before(Hook::PreDelete, event).await.map_err(|e| e.at_path(path))?;
        let view = self.view_for_writing().await?;
        let mut records = Vec::new();
        let deleted =
            |path: &PoolPath, of: Stamp| Record::Deleted(Deleted { path: path.clone(), stamp: Stamp::ZERO, of, purge });
        if let Some(entry) = self.index.entry(path)? {
            records.push(deleted(path, self.killed(&entry)));
        }
        if self.index.has_children(path)? || path.is_root() {
            if !recursive {
                return Err(Error::new(ErrorKind::InvalidArgument, "is a directory that is not empty")
                    .at_path(path)
                    .hint("-r deletes it and all that lies in it"));
            }
            self.walk(path, |entry| {
                records.push(deleted(&entry.path, self.killed(&entry)));
                Ok(())
            })?;
        }
        if records.is_empty() {
            return Err(no_file(path));
        }
        let count = records.len() as u64;
        if keep_parent {
            records.extend(self.kept_parent(path)?);
        }
        let receipt = self.commit(&view, records).await?;
        let stale = self.settle_receipt(receipt).await?;
        self.plugins.after(
            Hook::PostDelete,
            || json!({"path": path.to_string(), "recursive": recursive, "purge": purge, "entries": count}),
        );
        Ok(Changed { entries: count, stale })
    }

    /// What makes the directory a path lies in last without it, where it is there only by what lies in it.
    pub(super) fn kept_parent(&self, path: &PoolPath) -> Result<Option<Record>> {
        match path.parent().filter(|parent| !parent.is_root()) {
            Some(parent) if self.index.entry(&parent)?.is_none() => {
                Ok(Some(Record::Entry(self.new_entry(&parent, self.now_ns(), false, Content::Directory {}))))
            }
            _ => Ok(None),
        }
    }

    /// What a deletion of `entry` kills: versions up to the one it saw.
    pub(super) fn killed(&self, entry: &Entry) -> Stamp {
        if self.journal.rules().deletion_names_version {
            entry.stamp
        } else {
            Stamp { ms: Stamp::MAX_MS, ..Stamp::ZERO }
        }
    }

    /// Refuses a path that could not be reached below a file.
    pub(super) fn check_target(&self, path: &PoolPath) -> Result<()> {
        for above in path.ancestors() {
            if self.index.entry(&above)?.is_some_and(|entry| !entry.content.is_directory()) {
                return Err(Error::new(
                    ErrorKind::AlreadyExists,
                    format!("{above} is a file, so nothing can lie below it"),
                )
                .at_path(path));
            }
        }
        Ok(())
    }

    /// Refuses a path that a file or link cannot have.
    pub(super) fn check_file_target(&self, path: &PoolPath) -> Result<()> {
        if self.is_directory(path)? {
            return Err(Error::new(ErrorKind::AlreadyExists, "is a directory")
                .at_path(path)
                .hint("write / at its end to upload into it"));
        }
        self.check_target(path)
    }

    pub(super) fn new_entry(&self, path: &PoolPath, mtime_ns: i64, executable: bool, content: Content) -> Entry {
        Entry {
            path: path.clone(),
            stamp: Stamp::ZERO,
            rev: 0,
            mtime_ns,
            created_ms: self.env.wall_ms(),
            executable,
            content_type: None,
            properties: Vec::new(),
            content,
        }
    }

    pub(super) fn now_ns(&self) -> i64 {
        i64::try_from(self.env.wall_ms()).unwrap_or(i64::MAX).saturating_mul(1_000_000)
    }
}

/// How to delete.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeleteOptions {
    /// Directories too, and all that lies in them.
    pub recursive: bool,
    /// What is deleted cannot be brought back, and neither can older versions of it.
    pub purge: bool,
    /// The directory it lies in stays, even if nothing else does in it.
    pub keep_parent: bool,
}

/// What an operation on the namespace changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Entries deleted or moved.
    pub entries: u64,
    /// Whether it was acknowledged without a view: another writer's change may have been missed.
    pub stale: bool,
}

pub(super) fn no_file(path: &PoolPath) -> Error {
    Error::new(ErrorKind::NotFound, "no such file in the pool").at_path(path)
}

fn no_directory(path: &PoolPath) -> Error {
    Error::new(ErrorKind::DirectoryNotFound, "no such directory in the pool").at_path(path)
}
