//! Whole directories into the pool.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use globset::{Glob, GlobSet, GlobSetBuilder};

use super::Pool;
use super::group::Group;
use super::upload::{Data, Order, Prepared, UploadOptions, UploadReport};
use crate::error::{Error, ErrorKind, Result};
use crate::journal::View;
use crate::journal::record::{Content, Record};
use crate::local::Identity;
use crate::monitor::{Event, FileAction, Monitor};
use crate::path::PoolPath;

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

impl Pool {
    /// Stores several local files, each at its path, and everything below directories as `path/…`, committing
    /// in groups. One file's failure does not stop the others.
    ///
    /// # Errors
    /// `NotFound` when a source is not there; `Unavailable` when a commit finds too few remotes;
    /// `Cancelled`. Groups committed before stay.
    pub async fn upload_all(
        self: &Arc<Self>,
        sources: &[(PathBuf, PoolPath)],
        options: &UploadOptions,
        monitor: &Monitor,
    ) -> Result<UploadReport> {
        let told = if options.dry_run { monitor.clone() } else { self.told(monitor) };
        let monitor = &told;
        let report = self.upload_all_once(sources, options, monitor).await?;
        if report.full {
            let full = Error::new(ErrorKind::Full, "files were left out for want of space");
            monitor.notice(self.make_room(full, monitor).await.to_string());
        }
        Ok(report)
    }

    async fn upload_all_once(
        self: &Arc<Self>,
        sources: &[(PathBuf, PoolPath)],
        options: &UploadOptions,
        monitor: &Monitor,
    ) -> Result<UploadReport> {
        let _storing = self.lock_storing().await?;
        let view = self.view_for_writing().await?;
        for (_, path) in sources {
            self.check_target(path)?;
        }
        let scan = monitor.run(self.scan(sources, options)).await?;
        monitor.event(&Event::Total { bytes: scan.bytes, items: scan.found.len() as u64 });
        let mut report = UploadReport { skipped: scan.skipped, stale: !view.complete, ..UploadReport::default() };
        for (path, error) in scan.failed {
            report.fail(monitor, path, &error);
        }
        let mut files = Vec::new();
        let mut group = Group::new(view.epoch(), self.env.boot_ms());
        let mut relies = false;
        for found in scan.found {
            match found {
                Found::File(local, path) => files.push((local, path)),
                Found::Link(local, path) => {
                    self.prepare_small(&view, local, path, options, &mut group, &mut report, monitor)?
                }
                Found::EmptyDirectory(local, path) => {
                    if self.is_directory(&path)? {
                        relies = true;
                    } else {
                        self.prepare_small(&view, local, path, options, &mut group, &mut report, monitor)?;
                    }
                }
            }
        }
        let shared = Arc::new(options.clone());
        let orders = files.into_iter().map(|(local, path)| {
            let (options, monitor) = (shared.clone(), monitor.clone());
            Order { data: Data::File(local), path, options, monitor, again: false }
        });
        {
            let mut stored = std::pin::pin!(self.prepare_all(orders.collect(), Some(monitor.clone())));
            loop {
                // A large file must not keep others waiting for their commit.
                let wait = Duration::from_millis(group.left_ms(self.env.boot_ms()));
                let next = monitor.run(async { Ok(tokio::time::timeout(wait, stored.next()).await) }).await?;
                for (path, done) in match next {
                    Ok(Some(outcomes)) => outcomes,
                    Ok(None) => break,
                    Err(_) => Vec::new(),
                } {
                    match done {
                        Ok(prepared) => group.prepared.push(prepared),
                        Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
                        Err(error) => report.fail(monitor, path.to_string(), &error),
                    }
                }
                if group.is_due(self.env.boot_ms()) {
                    self.commit_tree(&mut group, &mut report, monitor).await?;
                }
            }
        }
        report.stale |= relies && !self.complete().await?;
        self.commit_tree(&mut group, &mut report, monitor).await?;
        Ok(report)
    }

    async fn commit_tree(
        self: &Arc<Self>,
        group: &mut Group,
        report: &mut UploadReport,
        monitor: &Monitor,
    ) -> Result<()> {
        let mut tell = |path: PoolPath, result: Result<Prepared>| match result {
            Ok(file) => {
                report.count(&file);
                monitor.event(&Event::File { path, size: file.size, action: file.action });
            }
            Err(error) => report.fail(monitor, path.to_string(), &error),
        };
        let stale = self.commit_group(group, Some(monitor), &mut tell, monitor).await?;
        report.stale |= stale;
        Ok(())
    }

    async fn scan(&self, sources: &[(PathBuf, PoolPath)], options: &UploadOptions) -> Result<Scan> {
        let (sources, options) = (sources.to_vec(), options.clone());
        crate::local::blocking(move || {
            let mut found = Scan::default();
            for (local, path) in &sources {
                scan(local, path, &options, &mut found)?;
            }
            Ok(found)
        })
        .await
    }

    /// Links and empty directories: their manifest is all there is.
    #[allow(clippy::too_many_arguments, reason = "the state of one upload")]
    fn prepare_small(
        &self,
        view: &View,
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
                let safe = same && self.journal.is_safe(view, &path)?;
                let records = if safe || options.dry_run { Vec::new() } else { vec![Record::Entry(entry)] };
                let action = if same { FileAction::Unchanged } else { FileAction::Uploaded };
                group.prepared.push(Prepared { records, action, ..Prepared::new(path, 0) });
                monitor.progress(0, 1);
            }
            Err(error) => report.fail(monitor, path.to_string(), &error),
        }
        Ok(())
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
