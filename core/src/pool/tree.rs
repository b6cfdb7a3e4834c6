//! Whole directories into the pool.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use globset::{Glob, GlobSet, GlobSetBuilder};
use tokio_util::task::AbortOnDropHandle;

use super::Pool;
use super::upload::{Prepared, UploadOptions, UploadReport};
use crate::error::{Error, ErrorKind, Result};
use crate::id::ChunkId;
use crate::journal::record::{Content, Record};
use crate::local::Identity;
use crate::monitor::{Event, FileAction, Monitor};
use crate::path::PoolPath;

/// A group of files is committed when it has this many files,
const GROUP_FILES: usize = 2000;
/// or this many bytes of data,
const GROUP_BYTES: u64 = 4 << 30;
/// or is this old.
const GROUP_MS: u64 = 60_000;

/// What to do with symbolic links below a directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LinkPolicy {
    /// Leave them out, and count them.
    #[default]
    Skip,
    /// Store them as links.
    Store,
    /// Store what they lead to.
    Follow,
}

/// Which files of a directory are meant, by glob patterns on the path relative to it.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    include: Option<GlobSet>,
    exclude: Option<GlobSet>,
}

impl Filter {
    /// Files that match one of `include` (all, when there are none) and none of `exclude`. A pattern
    /// without `/` is held against the name, one with `/` against the whole relative path; an excluded
    /// directory goes with all below it.
    ///
    /// # Errors
    /// `InvalidArgument`, naming the pattern.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self> {
        let set = |patterns: &[String]| {
            let mut builder = GlobSetBuilder::new();
            for pattern in patterns {
                let whole = match pattern.strip_prefix('/') {
                    Some(anchored) => anchored.to_owned(),
                    None if pattern.contains('/') => pattern.clone(),
                    None => format!("**/{pattern}"),
                };
                let glob = Glob::new(&whole).map_err(|e| {
                    Error::new(ErrorKind::InvalidArgument, format!("the pattern {pattern:?} is wrong: {}", e.kind()))
                })?;
                builder.add(glob);
            }
            let built = builder.build().map_err(|e| Error::new(ErrorKind::InvalidArgument, e.to_string()))?;
            Ok::<_, Error>((!patterns.is_empty()).then_some(built))
        };
        Ok(Self { include: set(include)?, exclude: set(exclude)? })
    }

    /// Whether a path relative to the directory is meant.
    pub fn keeps(&self, relative: &str, is_directory: bool) -> bool {
        let above =
            |set: &GlobSet| Path::new(relative).ancestors().any(|p| !p.as_os_str().is_empty() && set.is_match(p));
        if self.exclude.as_ref().is_some_and(above) {
            return false;
        }
        // Where only some files are meant, empty directories are not.
        self.include.as_ref().is_none_or(|set| !is_directory && set.is_match(relative))
    }
}

/// Something found below the local directory.
enum Found {
    File(PathBuf, PoolPath),
    Link(PathBuf, PoolPath),
    EmptyDirectory(PathBuf, PoolPath),
}

#[derive(Default)]
struct Scan {
    found: Vec<Found>,
    bytes: u64,
    skipped: u64,
    failed: Vec<(String, Error)>,
}

/// Files whose data is stored and that wait for their common commit.
struct Group {
    prepared: Vec<Prepared>,
    since_ms: u64,
}

impl Pool {
    /// Stores everything below a local directory as `path/…`, committing in groups. One file's failure
    /// does not stop the others.
    ///
    /// # Errors
    /// `NotFound` when the directory is not there; `Unavailable` when a commit finds too few remotes;
    /// `Cancelled`. Groups committed before stay.
    pub async fn upload_tree(
        self: &Arc<Self>,
        directory: &Path,
        path: &PoolPath,
        options: &UploadOptions,
        monitor: &Monitor,
    ) -> Result<UploadReport> {
        self.upload_all(&[(directory.to_owned(), path.clone())], options, monitor).await
    }

    /// Stores several local files, each at its path, and directories, as [`Pool::upload_tree`], with common
    /// commits.
    ///
    /// # Errors
    /// As [`Pool::upload_tree`].
    pub async fn upload_all(
        self: &Arc<Self>,
        sources: &[(PathBuf, PoolPath)],
        options: &UploadOptions,
        monitor: &Monitor,
    ) -> Result<UploadReport> {
        let view = self.view_for_writing().await?;
        for (_, path) in sources {
            self.check_target(path)?;
        }
        let scan = monitor.run(self.scan(sources, options)).await?;
        monitor.event(&Event::Total { bytes: scan.bytes, items: scan.found.len() as u64 });
        let mut report = UploadReport { skipped: scan.skipped, stale: !view.complete, ..UploadReport::default() };
        for (path, error) in scan.failed {
            report.failed += 1;
            monitor.event(&Event::FileFailed { path, error: error.to_string() });
        }
        let mut files = Vec::new();
        let mut group = Group { prepared: Vec::new(), since_ms: self.env.boot_ms() };
        for found in scan.found {
            match found {
                Found::File(local, path) => files.push((local, path)),
                Found::Link(local, path) => {
                    self.prepare_small(local, path, options, &mut group, &mut report, monitor)?
                }
                Found::EmptyDirectory(local, path) => {
                    if !self.is_directory(&path)? {
                        self.prepare_small(local, path, options, &mut group, &mut report, monitor)?;
                    }
                }
            }
        }
        let mut stored = stream::iter(files)
            .map(|(local, path)| {
                let (pool, options, monitor) = (self.clone(), options.clone(), monitor.clone());
                async move {
                    let shown = path.to_string();
                    let task = tokio::spawn(async move {
                        pool.check_file_target(&path)?;
                        pool.prepare_file(&local, &path, &options, &monitor, false).await
                    });
                    let done = AbortOnDropHandle::new(task).await;
                    (shown, done.unwrap_or_else(|e| Err(Error::new(ErrorKind::Internal, e.to_string()))))
                }
            })
            .buffer_unordered(self.settings.upload_workers);
        while let Some((path, done)) = monitor.run(async { Ok(stored.next().await) }).await? {
            match done {
                Ok(prepared) => group.prepared.push(prepared),
                Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
                Err(error) => {
                    report.failed += 1;
                    monitor.event(&Event::FileFailed { path, error: error.to_string() });
                }
            }
            if group.is_due(self.env.boot_ms()) {
                self.commit_group(&mut group, &mut report, monitor).await?;
            }
        }
        drop(stored);
        self.commit_group(&mut group, &mut report, monitor).await?;
        Ok(report)
    }

    async fn scan(&self, sources: &[(PathBuf, PoolPath)], options: &UploadOptions) -> Result<Scan> {
        let (sources, options) = (sources.to_vec(), options.clone());
        super::download::blocking(move || {
            let mut found = Scan::default();
            for (local, path) in &sources {
                scan(local, path, &options, &mut found)?;
            }
            Ok(found)
        })
        .await
    }

    /// Links and empty directories: their manifest is all there is.
    fn prepare_small(
        &self,
        local: PathBuf,
        path: PoolPath,
        options: &UploadOptions,
        group: &mut Group,
        report: &mut UploadReport,
        monitor: &Monitor,
    ) -> Result<()> {
        let read = || {
            let at = |e| Error::io("cannot read", e).at_path(local.display());
            let metadata = local.symlink_metadata().map_err(at)?;
            let content = if metadata.is_symlink() {
                self.check_file_target(&path)?;
                let target = std::fs::read_link(&local).map_err(at)?;
                let target = target.into_os_string().into_string().map_err(|_| {
                    Error::new(ErrorKind::InvalidArgument, "the link's target is not UTF-8").at_path(local.display())
                })?;
                Content::Link { target }
            } else {
                self.check_target(&path)?;
                if self.index.entry(&path)?.is_some() {
                    return Err(Error::new(ErrorKind::AlreadyExists, "is a file, not a directory").at_path(&path));
                }
                Content::Directory {}
            };
            Ok::<_, Error>(self.new_entry(&path, Identity::of(&metadata).mtime_ns, false, content))
        };
        match read() {
            Ok(entry) => {
                let same = self.index.entry(&path)?.is_some_and(|e| e.content == entry.content);
                let records = if same || options.dry_run { Vec::new() } else { vec![Record::Entry(entry)] };
                let action = if same { FileAction::Unchanged } else { FileAction::Uploaded };
                let (resumed_bytes, resume_key) = (0, None);
                group.prepared.push(Prepared { records, path, size: 0, action, resumed_bytes, resume_key });
                monitor.progress(0, 1);
            }
            Err(error) => {
                report.failed += 1;
                monitor.event(&Event::FileFailed { path: path.to_string(), error: error.to_string() });
            }
        }
        Ok(())
    }

    async fn commit_group(
        self: &Arc<Self>,
        group: &mut Group,
        report: &mut UploadReport,
        monitor: &Monitor,
    ) -> Result<()> {
        group.since_ms = self.env.boot_ms();
        let prepared = std::mem::take(&mut group.prepared);
        let records: Vec<Record> = prepared.iter().flat_map(|p| p.records.iter().cloned()).collect();
        let mut again = Vec::new();
        if !records.is_empty() {
            let reuses = prepared.iter().any(|file| file.action == FileAction::Unchanged && !file.records.is_empty());
            let whole = !reuses || self.complete().await?;
            let receipt = self.commit(&*self.view().await, records).await?;
            report.stale |= receipt.stale || !whole;
            for file in &prepared {
                let chunks = file.records.iter().flat_map(chunks);
                if chunks.into_iter().any(|chunk| receipt.marked.contains_key(&chunk)) {
                    self.forget_marked(file, &receipt.marked)?;
                    again.push(file.path.clone());
                } else if !receipt.names.is_empty()
                    && let Some(key) = &file.resume_key
                {
                    self.index.forget_resumable(key)?;
                }
            }
            // With a marked chunk among them nothing may have been committed at all.
            if receipt.names.is_empty() {
                again = prepared.iter().map(|file| file.path.clone()).collect();
            }
            self.keep_view(receipt.view).await;
        }
        for file in prepared {
            if again.contains(&file.path) {
                report.failed += 1;
                let error = "another machine is deleting data this file refers to; repeat the upload".to_owned();
                monitor.event(&Event::FileFailed { path: file.path.to_string(), error });
            } else {
                report.count(&file);
                monitor.event(&Event::File { path: file.path, size: file.size, action: file.action });
            }
        }
        Ok(())
    }
}

impl Group {
    fn is_due(&self, boot_ms: u64) -> bool {
        let bytes: u64 = self.prepared.iter().map(|p| p.size).sum();
        self.prepared.len() >= GROUP_FILES
            || bytes >= GROUP_BYTES
            || (!self.prepared.is_empty() && boot_ms.saturating_sub(self.since_ms) >= GROUP_MS)
    }
}

fn chunks(record: &Record) -> Vec<ChunkId> {
    match record {
        Record::Chunk(chunk) => vec![chunk.chunk],
        Record::Entry(entry) => entry.content.extents().iter().map(|extent| extent.chunk).collect(),
        _ => Vec::new(),
    }
}

fn scan(directory: &Path, path: &PoolPath, options: &UploadOptions, scan: &mut Scan) -> Result<()> {
    let root = directory.metadata().map_err(|e| Error::io("cannot read", e).at_path(directory.display()))?;
    if root.is_file() {
        scan.bytes += root.len();
        scan.found.push(Found::File(directory.to_owned(), path.clone()));
        return Ok(());
    }
    if !root.is_dir() {
        return Err(
            Error::new(ErrorKind::InvalidArgument, "is neither a file nor a directory").at_path(directory.display())
        );
    }
    let follow = options.links == LinkPolicy::Follow;
    let walk = walkdir::WalkDir::new(directory).follow_links(follow).sort_by_file_name().min_depth(1);
    for item in walk {
        let item = match item {
            Ok(item) => item,
            Err(error) => {
                let path = error.path().unwrap_or(directory).display().to_string();
                scan.failed.push((path, Error::new(ErrorKind::Io, format!("cannot read: {error}"))));
                continue;
            }
        };
        let local = item.path();
        let name = || {
            let relative = local.strip_prefix(directory).unwrap_or(local);
            let parts: Option<Vec<&str>> = relative.components().map(|c| c.as_os_str().to_str()).collect();
            let parts = parts.ok_or_else(|| Error::new(ErrorKind::InvalidArgument, "the name is not UTF-8"))?;
            let relative = parts.join("/");
            Ok::<_, Error>((path.join(&relative)?, relative))
        };
        let (target, relative) = match name() {
            Ok(name) => name,
            Err(error) => {
                scan.failed.push((local.display().to_string(), error));
                continue;
            }
        };
        let kind = item.file_type();
        if !options.filter.keeps(&relative, kind.is_dir()) {
            continue;
        }
        if kind.is_file() {
            scan.bytes += item.metadata().map_or(0, |m| m.len());
            scan.found.push(Found::File(local.to_owned(), target));
        } else if kind.is_dir() {
            if local.read_dir().is_ok_and(|mut entries| entries.next().is_none()) {
                scan.found.push(Found::EmptyDirectory(local.to_owned(), target));
            }
        } else if kind.is_symlink() && options.links == LinkPolicy::Store {
            scan.found.push(Found::Link(local.to_owned(), target));
        } else {
            scan.skipped += 1;
        }
    }
    Ok(())
}
