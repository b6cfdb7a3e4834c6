//! Moving, copying, and what is noted beside the content. Data stays where it is: chunks are referred to anew.

use std::collections::BTreeSet;

use super::Pool;
use super::namespace::{Changed, no_file};
use crate::error::{Error, ErrorKind, Result};
use crate::id::Stamp;
use crate::journal::record::{Content, Deleted, Entry, Property, Record};
use crate::path::PoolPath;

/// What may be replaced at the target of a [`Pool::transfer`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Replace {
    /// Nothing: the target must not be there.
    #[default]
    Nothing,
    /// A file by a file.
    File,
    /// Whatever is there; a directory with all that lies in it.
    Anything,
}

/// How to move or copy.
#[derive(Debug, Clone, Copy, Default)]
pub struct TransferOptions {
    /// The source stays.
    pub copy: bool,
    /// What may be replaced.
    pub replace: Replace,
    /// Of a directory only itself is copied, nothing that lies in it.
    pub shallow: bool,
    /// The directory the source lay in stays, even if nothing else does in it.
    pub keep_parent: bool,
    /// A new modification time for what is at the target's path itself, in nanoseconds since 1970.
    pub mtime_ns: Option<i64>,
}

/// What is noted of a path beside its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Modification time in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Whether the file is executable.
    pub executable: bool,
    /// MIME type.
    pub content_type: Option<String>,
    /// WebDAV properties.
    pub properties: Vec<Property>,
}

impl Pool {
    /// Moves a file or a whole directory as one operation; no data moves.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists` when the target is there, unless it is a file, the source too, and
    /// `overwrite` is set; `InvalidArgument` for a directory into itself.
    pub async fn rename(&self, from: &PoolPath, to: &PoolPath, overwrite: bool) -> Result<Changed> {
        let replace = if overwrite { Replace::File } else { Replace::Nothing };
        self.transfer(from, to, &TransferOptions { replace, ..TransferOptions::default() }).await
    }

    /// Copies a file or a whole directory as one operation: the copies refer to the same chunks.
    ///
    /// # Errors
    /// As [`Pool::rename`].
    pub async fn copy(&self, from: &PoolPath, to: &PoolPath, overwrite: bool) -> Result<Changed> {
        let replace = if overwrite { Replace::File } else { Replace::Nothing };
        self.transfer(from, to, &TransferOptions { copy: true, replace, ..TransferOptions::default() }).await
    }

    /// Moves or copies, with all options, in one commit: what is replaced goes when the new is there, or not at all.
    /// Gives back how many entries were moved or copied.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists` when the target is there and may not be replaced; `InvalidArgument` where one
    /// path lies in the other.
    pub async fn transfer(&self, from: &PoolPath, to: &PoolPath, options: &TransferOptions) -> Result<Changed> {
        let view = self.view_for_writing().await?;
        let word = if options.copy { "copied" } else { "moved" };
        let within = from.below(to).is_some() && options.replace == Replace::Anything;
        if from.is_root() || to.is_root() || to.below(from).is_some() || within {
            return Err(Error::new(ErrorKind::InvalidArgument, format!("cannot be {word} to {to}")).at_path(from));
        }
        self.check_target(to)?;
        let source = self.index.entry(from)?;
        let is_tree = self.index.has_children(from)?;
        if source.is_none() && !is_tree {
            return Err(no_file(from));
        }
        let replaced = self.replaced(source.as_ref(), to, options.replace)?;
        let mut records = Vec::new();
        let mut made = BTreeSet::new();
        let mut take = |entry: Entry| {
            let rest = entry.path.below(from).unwrap_or_default();
            let path = if rest.is_empty() { to.clone() } else { to.join(rest)? };
            if !options.copy {
                let of = self.killed(&entry);
                let gone = Deleted { path: entry.path.clone(), stamp: Stamp::ZERO, of, purge: false };
                records.push(Record::Deleted(gone));
            }
            let created_ms = if options.copy { self.env.wall_ms() } else { entry.created_ms };
            let mtime_ns = options.mtime_ns.filter(|_| path == *to).unwrap_or(entry.mtime_ns);
            made.insert(path.clone());
            records.push(Record::Entry(Entry { path, stamp: Stamp::ZERO, rev: 0, created_ms, mtime_ns, ..entry }));
            Ok(())
        };
        match source {
            Some(entry) => take(entry)?,
            None if options.shallow => take(self.new_entry(from, self.now_ns(), false, Content::Directory {}))?,
            None => {}
        }
        if is_tree && !options.shallow {
            self.walk(from, &mut take)?;
        }
        let count = made.len() as u64;
        for entry in replaced.into_iter().filter(|entry| !made.contains(&entry.path)) {
            let of = self.killed(&entry);
            records.push(Record::Deleted(Deleted { path: entry.path, stamp: Stamp::ZERO, of, purge: false }));
        }
        if options.keep_parent && !options.copy {
            records.extend(self.kept_parent(from)?);
        }
        let whole = self.complete().await?;
        let receipt = self.commit(&view, records).await?;
        let stale = self.settle_receipt(receipt).await? || !whole;
        Ok(Changed { entries: count, stale })
    }

    /// What is at the target and goes; an error when it must stay.
    fn replaced(&self, source: Option<&Entry>, to: &PoolPath, replace: Replace) -> Result<Vec<Entry>> {
        let target = self.index.entry(to)?;
        let has_children = self.index.has_children(to)?;
        let is_file = |entry: Option<&Entry>| entry.is_some_and(|entry| !entry.content.is_directory());
        let may = match replace {
            _ if target.is_none() && !has_children => true,
            Replace::Nothing => false,
            Replace::File => !has_children && is_file(target.as_ref()) && is_file(source),
            Replace::Anything => true,
        };
        if !may {
            let hint = if replace == Replace::Nothing { "--force replaces a file" } else { "move it away first" };
            return Err(Error::new(ErrorKind::AlreadyExists, "is there already").at_path(to).hint(hint));
        }
        let mut found: Vec<Entry> = target.into_iter().collect();
        if has_children {
            self.walk(to, |entry| {
                found.push(entry);
                Ok(())
            })?;
        }
        Ok(found)
    }

    /// Changes what is noted of a path; its content stays. A directory that is there only by what lies in it
    /// gets an entry of its own.
    ///
    /// # Errors
    /// `NotFound`; `InvalidArgument` for the root; what `change` returns.
    pub async fn set_metadata(
        &self,
        path: &PoolPath,
        change: impl FnOnce(&mut Metadata) -> Result<()> + Send,
    ) -> Result<Changed> {
        let view = self.view_for_writing().await?;
        if path.is_root() {
            return Err(Error::new(ErrorKind::InvalidArgument, "nothing can be noted of the root"));
        }
        let old = match self.index.entry(path)? {
            Some(entry) => entry,
            None if self.index.has_children(path)? => self.new_entry(path, self.now_ns(), false, Content::Directory {}),
            None => return Err(no_file(path)),
        };
        let Entry { mtime_ns, executable, content_type, properties, .. } = old.clone();
        let before = Metadata { mtime_ns, executable, content_type, properties };
        let mut after = before.clone();
        change(&mut after)?;
        let whole = self.complete().await?;
        if after == before {
            return Ok(Changed { entries: 0, stale: !view.complete || !whole });
        }
        let Metadata { mtime_ns, executable, content_type, properties } = after;
        let new = Entry { stamp: Stamp::ZERO, rev: 0, mtime_ns, executable, content_type, properties, ..old };
        let receipt = self.commit(&view, vec![Record::Entry(new)]).await?;
        let stale = self.settle_receipt(receipt).await? || !whole;
        Ok(Changed { entries: 1, stale })
    }
}
