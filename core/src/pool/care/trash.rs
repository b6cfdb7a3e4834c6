//! The trash: versions that were deleted or overwritten lately. They lie where they lay; the journal still has
//! them, and nothing of them is garbage until the pool's `trash_hours` have passed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use super::GcOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ChunkId, RemoteId, Stamp};
use crate::index::{Kept, Killer, Lot};
use crate::journal::View;
use crate::journal::record::{Content, Deleted, Entry, Record};
use crate::monitor::Monitor;
use crate::path::PoolPath;
use crate::pool::Pool;

/// A remote is short of space when less than this part of it is free,
const SHORT_PART: u64 = 20;
/// and less than this.
const SHORT_BYTES: u64 = 10 << 30;
/// Where an upload finds a remote full, so much is made free, if the trash has it.
const FULL_BYTES: u64 = 1 << 30;

/// What a version is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TrashedKind {
    /// A file.
    File,
    /// A directory that somebody made.
    Directory,
    /// A symbolic link.
    Link,
}

impl TrashedKind {
    fn of(content: &Content) -> Self {
        match content {
            Content::Directory {} => Self::Directory,
            Content::Link { .. } => Self::Link,
            Content::File { .. } | Content::Inline { .. } => Self::File,
        }
    }
}

/// A version in the trash.
#[derive(Debug, Clone, Serialize)]
pub struct Trashed {
    /// Its path.
    pub path: PoolPath,
    /// What it is of.
    pub kind: TrashedKind,
    /// Names the version.
    pub version: Stamp,
    /// Its length in bytes.
    pub size: u64,
    /// Its modification time, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// What put it here.
    pub by: Killer,
    /// How long ago this machine saw that, in milliseconds.
    pub age_ms: u64,
    /// How long it stays, in milliseconds.
    pub left_ms: u64,
    /// Whether what it holds lies elsewhere in the pool, as after a move: it takes no space.
    pub shared: bool,
    /// Whether another machine has begun to delete its data: it cannot be restored any more.
    pub expiring: bool,
}

/// What was brought back.
#[derive(Debug, Clone, Serialize)]
pub struct Restored {
    /// The paths, as they are now.
    pub paths: Vec<PoolPath>,
    /// Bytes.
    pub bytes: u64,
    /// Acknowledged by fewer remotes than the rule asks for.
    pub stale: bool,
}

/// What to empty the trash of.
#[derive(Debug, Clone, Default)]
pub struct EmptyOptions {
    /// This path and what lies below it; everything where it is not given.
    pub path: Option<PoolPath>,
    /// Only what lies in the trash for at least so long.
    pub older_than: Option<Duration>,
}

impl Pool {
    /// What lies in the trash at a path and below it, or everywhere, by path, the newest version first.
    ///
    /// # Errors
    /// Those of the index.
    pub fn trash(&self, path: Option<&PoolPath>) -> Result<Vec<Trashed>> {
        let keep = self.keep_by()?;
        let mut found = Vec::new();
        if keep.trash_ms == 0 {
            return Ok(found);
        }
        self.index.census(&keep, |census| {
            census.versions(|lot| {
                let Some(Kept::Trashed(by, killed)) = lot.kept else { return Ok(()) };
                if path.is_some_and(|path| !is_within(&lot.path, path)) {
                    return Ok(());
                }
                let entry = census.entry(lot.id)?;
                let age_ms = keep.now.since(&killed);
                let shared = match entry.content.extents() {
                    [] => false,
                    [first, ..] => census.is_shown(first.chunk)?,
                };
                found.push(Trashed {
                    kind: TrashedKind::of(&entry.content),
                    version: lot.stamp,
                    size: entry.content.size(),
                    mtime_ns: entry.mtime_ns,
                    by,
                    age_ms,
                    left_ms: keep.trash_ms.saturating_sub(age_ms),
                    shared,
                    expiring: lot.condemned,
                    path: entry.path,
                });
                Ok(())
            })
        })?;
        Ok(found)
    }

    /// Brings a version back: the newest one in the trash, or `version`; to its own path, or `to`. With a directory
    /// comes what was deleted along with it, as it was then. Where nothing of that path is in the trash, what was
    /// deleted below it comes back, the newest version of each path. What stands at the path goes to the trash itself.
    ///
    /// # Errors
    /// `NotFound`; `Busy` when the data is being deleted already; `Unavailable` without a view;
    /// `AlreadyExists` for a directory in its place.
    pub async fn restore(&self, path: &PoolPath, version: Option<Stamp>, to: Option<&PoolPath>) -> Result<Restored> {
        let view = self.view_for_writing().await?;
        self.needs_view(&view, "restored")?;
        let mut wanted = Vec::new();
        let lots = self.index.lots(&self.keep_by()?, path)?;
        let trashed = lots.iter().filter(|lot| matches!(lot.kept, Some(Kept::Trashed(..))));
        match trashed.into_iter().find(|lot| version.is_none_or(|stamp| lot.stamp == stamp)) {
            Some(lot) => {
                let entry = self.index.version(lot.id)?;
                let was_deleted = matches!(lot.kept, Some(Kept::Trashed(Killer::Deleted, _)));
                let along = was_deleted && entry.content.is_directory();
                wanted.push(entry);
                if along && let Some(deletion) = self.index.deleted(path)? {
                    wanted.extend(self.trashed_below(path, |it| self.went_along(it, &deletion))?);
                }
            }
            None if version.is_none() => wanted = self.trashed_below(path, |_| Ok(true))?,
            None => {}
        }
        for entry in &mut wanted {
            let rest = entry.path.below(path).unwrap_or_default();
            match to {
                Some(to) if rest.is_empty() => entry.path = to.clone(),
                Some(to) => entry.path = to.join(rest)?,
                None => {}
            }
        }
        if wanted.is_empty() {
            return Err(Error::new(ErrorKind::NotFound, "is not in the trash")
                .at_path(path)
                .hint("`rclonepool trash list` shows what is"));
        }
        let mut restored = Restored { paths: Vec::new(), bytes: 0, stale: false };
        let mut records = Vec::new();
        for entry in wanted {
            if entry.content.is_directory() {
                self.check_target(&entry.path)?
            } else {
                self.check_file_target(&entry.path)?
            }
            restored.bytes += entry.content.size();
            restored.paths.push(entry.path.clone());
            records.push(Record::Entry(Entry { stamp: Stamp::ZERO, rev: 0, ..entry }));
        }
        // Reuse: it rests on the commits that brought the data, and nothing marked is picked.
        let whole = self.complete().await?;
        let receipt = self.commit(&view, records).await?;
        restored.stale = self.settle_receipt(receipt).await.map_err(|e| e.at_path(path))? || !whole;
        Ok(restored)
    }

    /// The newest version in the trash of each path below this one where nothing stands now, if it `counts`.
    fn trashed_below(&self, path: &PoolPath, counts: impl Fn(&Trashed) -> Result<bool>) -> Result<Vec<Entry>> {
        let (mut found, mut last) = (Vec::new(), None);
        for trashed in self.trash(Some(path))?.into_iter().filter(|trashed| trashed.path != *path) {
            // The newest comes first.
            let is_older = last.as_ref() == Some(&trashed.path);
            if !is_older && self.index.entry(&trashed.path)?.is_none() && counts(&trashed)? {
                let versions = self.index.versions(&trashed.path)?;
                found.extend(versions.into_iter().find(|entry| entry.stamp == trashed.version));
            }
            last = Some(trashed.path);
        }
        Ok(found)
    }

    /// Whether a version was deleted by the commit that has this deletion of a directory above it: the directory's
    /// comes first, and the stamps of a commit are of one writer and moment.
    fn went_along(&self, trashed: &Trashed, above: &Deleted) -> Result<bool> {
        let Some(own) = self.index.deleted(&trashed.path)? else { return Ok(false) };
        let moment = |deletion: &Deleted| (deletion.stamp.writer, deletion.stamp.ms);
        let is_of_it = moment(&own) == moment(above) && own.stamp > above.stamp;
        // What came and went since was not there.
        Ok(is_of_it && trashed.by == Killer::Deleted && trashed.version < above.stamp)
    }

    /// Empties the trash: what is in it cannot be restored any more, and is freed by `gc`. Gives back how
    /// many versions went.
    ///
    /// # Errors
    /// `Unavailable` without a view.
    pub async fn empty_trash(&self, options: &EmptyOptions) -> Result<u64> {
        let view = self.view_for_writing().await?;
        self.needs_view(&view, "emptied")?;
        let older_ms = options.older_than.map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        let mut chosen = BTreeMap::<PoolPath, Stamp>::new();
        for trashed in self.trash(options.path.as_ref())?.into_iter().filter(|t| t.age_ms >= older_ms) {
            // The newest comes first, and what is older goes with it.
            chosen.entry(trashed.path).or_insert(trashed.version);
        }
        self.purge(&view, chosen).await
    }

    /// Lets versions of each path up to a stamp go for good; gives back how many were in the trash.
    async fn purge(&self, view: &View, chosen: BTreeMap<PoolPath, Stamp>) -> Result<u64> {
        let keep = self.keep_by()?;
        let (mut records, mut count) = (Vec::new(), 0);
        for (path, of) in chosen {
            let lots = self.index.lots(&keep, &path)?;
            let is_trashed = |lot: &&Lot| matches!(lot.kept, Some(Kept::Trashed(..)));
            // Nothing that counts, or may count again, is killed.
            let counts = lots.iter().any(|lot| lot.kept.is_some() && !is_trashed(&lot) && lot.stamp <= of);
            // A deletion of a later version says it all, and it did not purge.
            let said = self.index.deleted(&path)?.is_some_and(|deleted| deleted.of > of);
            if counts || said {
                continue;
            }
            count += lots.iter().filter(is_trashed).filter(|lot| lot.stamp <= of).count() as u64;
            records.push(Record::Deleted(Deleted { path, stamp: Stamp::ZERO, of, purge: true }));
        }
        if !records.is_empty() {
            let receipt = self.commit(view, records).await?;
            self.settle_receipt(receipt).await?;
        }
        Ok(count)
    }

    fn needs_view(&self, view: &View, what: &str) -> Result<()> {
        if view.complete {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            format!("the trash is {what} only with a view: {}", view.lacks.join("; ")),
        )
        .hint("bring the pool's remotes online"))
    }

    /// Empties the trash where a remote is short of space (less than a twentieth of it, at most 10 GiB, is
    /// free) or has less than `wanted` bytes free, oldest first; gives back how many versions went.
    ///
    /// # Errors
    /// Those of the index; `Unavailable` when the change reaches too few remotes.
    pub(in crate::pool) async fn empty_where_short(&self, wanted: u64, monitor: &Monitor) -> Result<u64> {
        if self.trash_ms()? == 0 {
            return Ok(0);
        }
        let view = self.view_for_writing().await?;
        if !view.complete {
            return Ok(0);
        }
        let mut short = self.short_of_space(&view, wanted).await?;
        if short.is_empty() {
            return Ok(0);
        }
        let keep = self.keep_by()?;
        let mut lots = Vec::new();
        self.index.census(&keep, |census| {
            // What is on its way out already will make room by itself.
            for chunk in census.garbage()? {
                census.sizes(chunk, |remote, bytes| {
                    relieve(&mut short, remote, bytes);
                })?;
            }
            let mut trashed = Vec::new();
            census.versions(|lot| {
                if let Some(Kept::Trashed(_, killed)) = lot.kept {
                    trashed.push((keep.now.since(&killed), lot));
                }
                Ok(())
            })?;
            trashed.sort_by_key(|(age_ms, _)| std::cmp::Reverse(*age_ms));
            let mut counted = BTreeSet::<ChunkId>::new();
            for (_, lot) in trashed {
                if short.is_empty() {
                    break;
                }
                let mut helps = false;
                for extent in census.entry(lot.id)?.content.extents() {
                    if !census.is_shown(extent.chunk)? && counted.insert(extent.chunk) {
                        census.sizes(extent.chunk, |remote, bytes| helps |= relieve(&mut short, remote, bytes))?;
                    }
                }
                if helps {
                    lots.push(lot);
                }
            }
            Ok(())
        })?;
        let mut chosen = BTreeMap::<PoolPath, Stamp>::new();
        for lot in lots {
            let of = chosen.entry(PoolPath::new(&lot.path)?).or_insert(lot.stamp);
            *of = (*of).max(lot.stamp);
        }
        let count = self.purge(&view, chosen).await?;
        if count > 0 {
            monitor.notice(format!("space is short: {count} versions left the trash before their time, oldest first"));
        }
        Ok(count)
    }

    /// Empties the trash after an upload found the remotes full, and begins to free what that leaves; gives back
    /// the upload's error, with what can be done next.
    pub(in crate::pool) async fn make_room(&self, error: Error, monitor: &Monitor) -> Error {
        let freed = async {
            let emptied = self.empty_where_short(FULL_BYTES, monitor).await?;
            if emptied == 0 {
                return Ok(None);
            }
            self.free_orphans(&GcOptions::default(), monitor).await.map(Some)
        };
        let said = |what: String| {
            let full = Error::new(ErrorKind::Full, format!("{}; {what}", error.message()));
            let full = error.remote().into_iter().fold(full, |full, remote| full.on_remote(remote));
            error.path().into_iter().fold(full, |full, path| full.at_path(path))
        };
        match freed.await {
            Ok(Some(report)) if report.reclaimed > 0 => said(format!("the trash was emptied: {} bytes are free now", report.reclaimed))
                .hint("repeat the upload"),
            Ok(Some(_)) => said("the trash was emptied for it".into())
                .hint("`rclonepool gc` frees the space 24 hours from now; free space elsewhere, raise a quota or add a remote"),
            Ok(None) => error,
            Err(why) => {
                tracing::info!("no room could be made: {why}");
                error
            }
        }
    }

    /// The bytes that each remote lacks.
    async fn short_of_space(&self, view: &View, wanted: u64) -> Result<BTreeMap<RemoteId, u64>> {
        let used = self.index.remote_use()?;
        let mut short = BTreeMap::new();
        for id in view.online() {
            let Some(remote) = view.handle(id, self.journal.remotes()) else { continue };
            let usage = remote.usage().await.unwrap_or_default();
            let quota = self.placement.settings(remote.label()).quota;
            let here = used.iter().find(|(r, _)| *r == id).map_or(0, |(_, u)| u.bytes);
            let left = quota.map(|quota| quota.saturating_sub(here));
            let free = left.into_iter().chain(usage.free).min();
            let size = quota.into_iter().chain(usage.total).min();
            if let (Some(free), Some(size)) = (free, size) {
                let lacks = (size / SHORT_PART).min(SHORT_BYTES).max(wanted.min(size / 4)).saturating_sub(free);
                if lacks > 0 {
                    short.insert(id, lacks);
                }
            }
        }
        Ok(short)
    }
}

/// Notes that bytes of a remote become free; gives back whether it needed them.
fn relieve(short: &mut BTreeMap<RemoteId, u64>, remote: RemoteId, bytes: u64) -> bool {
    let Some(lacks) = short.get_mut(&remote) else { return false };
    *lacks = lacks.saturating_sub(bytes);
    if *lacks == 0 {
        short.remove(&remote);
    }
    bytes > 0
}

/// Whether a path is this one or lies below it.
fn is_within(path: &str, above: &PoolPath) -> bool {
    path == above.as_str() || path.starts_with(&above.prefix())
}
