//! Local files: sources, targets, names.

use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use futures_util::future::{Either, ready};

use crate::error::{Error, ErrorKind, Result};
use crate::journal::record::{Content, Entry};

#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as platform;
#[cfg(not(unix))]
mod portable;
#[cfg(not(unix))]
use portable as platform;

/// What tells one state of a local file from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Bytes.
    pub size: u64,
    /// Modification time in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Device and inode, where the platform has them.
    pub inode: (u64, u64),
    /// Whether it may be executed.
    pub executable: bool,
}

impl Identity {
    /// The identity of an open file (or of a path's metadata).
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.len(),
            mtime_ns: metadata.modified().map_or(0, nanoseconds),
            inode: platform::inode(metadata),
            executable: platform::is_executable(metadata),
        }
    }
}

/// Reads exactly at a position; never moves a cursor.
///
/// # Errors
/// Those of the file.
pub fn read_at(file: &File, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
    platform::read_at(file, offset, buffer)
}

/// Fills `buffer` from a position on.
///
/// # Errors
/// Those of the file; `UnexpectedEof` when it ends before.
pub fn read_all_at(file: &File, mut offset: u64, mut buffer: &mut [u8]) -> std::io::Result<()> {
    while !buffer.is_empty() {
        match read_at(file, offset, buffer) {
            Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => (offset, buffer) = (offset + n as u64, &mut buffer[n..]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Tells the system that these bytes will be read soon, where it takes such advice.
pub fn will_need(file: &File, offset: u64, bytes: u32) {
    platform::will_need(file, offset, bytes);
}

/// Writes all of `bytes` at a position.
///
/// # Errors
/// Those of the file.
pub fn write_all_at(file: &File, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
    platform::write_all_at(file, offset, bytes)
}

/// What tells the disk that an absolute path lies on from other disks; `None` for what is no directory here.
pub fn device(path: &Path) -> Option<u64> {
    let metadata = path.metadata().ok().filter(|metadata| path.is_absolute() && metadata.is_dir())?;
    let (device, inode) = platform::inode(&metadata);
    // Zeros: the platform does not tell.
    ((device, inode) != (0, 0)).then_some(device)
}

fn nanoseconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |n| -n),
    }
}

fn system_time(ns: i64) -> SystemTime {
    let distance = Duration::from_nanos(ns.unsigned_abs());
    let time = if ns >= 0 { UNIX_EPOCH.checked_add(distance) } else { UNIX_EPOCH.checked_sub(distance) };
    time.unwrap_or(UNIX_EPOCH)
}

/// Whether the file at `target` has the entry's size and modification time.
pub fn is_same(target: &Path, entry: &Entry) -> bool {
    let is_file = matches!(entry.content, Content::File { .. } | Content::Inline { .. });
    target.symlink_metadata().is_ok_and(|metadata| {
        let identity = Identity::of(&metadata);
        is_file && metadata.is_file() && identity.size == entry.content.size() && identity.mtime_ns == entry.mtime_ns
    })
}

/// A local file being written under a temporary name beside its own.
#[derive(Debug)]
pub struct Target {
    file: tempfile::NamedTempFile,
    path: PathBuf,
    /// The system writes to a file in turns anyway, and has those who wait burn their processor.
    turn: Mutex<()>,
}

impl Target {
    /// Begins a file that will be called `path`; directories above it are made.
    ///
    /// # Errors
    /// Those of the disk; `AlreadyExists` when `path` is a directory.
    pub fn create(path: &Path) -> Result<Self> {
        let parent = match path.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => Path::new("."),
        };
        let at = |e| Error::io("cannot write here", e).at_path(path.display());
        if path.is_dir() {
            return Err(Error::new(ErrorKind::AlreadyExists, "is a directory").at_path(path.display()));
        }
        std::fs::create_dir_all(parent).map_err(at)?;
        let mut builder = tempfile::Builder::new();
        let file = builder.prefix(".rclonepool-").suffix(".partial").tempfile_in(parent).map_err(at)?;
        Ok(Self { file, path: path.to_owned(), turn: Mutex::new(()) })
    }

    /// Writes at a position.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        platform::write_all_at(self.file.as_file(), offset, bytes)
            .map_err(|e| Error::io("cannot write", e).at_path(self.path.display()))
    }

    /// Gives the file its times, its mode and its name.
    ///
    /// # Errors
    /// Those of the disk; the temporary file is then removed.
    pub fn finish(self, entry: &Entry) -> Result<()> {
        let at = |e| Error::io("cannot finish the file", e).at_path(self.path.display());
        let file = self.file.as_file();
        file.set_len(entry.content.size()).map_err(at)?;
        platform::set_mode(file, entry.executable).map_err(at)?;
        file.set_modified(system_time(entry.mtime_ns)).map_err(at)?;
        self.file.persist(&self.path).map_err(|e| at(e.error))?;
        Ok(())
    }
}

/// Makes a directory (and those above it).
///
/// # Errors
/// Those of the disk.
pub fn make_directory(path: &Path, mtime_ns: i64) -> Result<()> {
    let at = |e| Error::io("cannot make the directory", e).at_path(path.display());
    std::fs::create_dir_all(path).map_err(at)?;
    // Only an empty directory keeps its time: writing into it would change it again.
    if let Ok(handle) = File::open(path) {
        let _ = handle.set_modified(system_time(mtime_ns));
    }
    Ok(())
}

/// Makes a directory (and those above it) that only its owner may look into; one that is there stays as it is.
///
/// # Errors
/// Those of the disk.
pub fn private_directory(path: &Path) -> std::io::Result<()> {
    platform::private_directory(path)
}

/// Makes a symbolic link; an existing link of this name is replaced.
///
/// # Errors
/// Those of the disk; `Unsupported` where there are no symbolic links.
pub fn make_link(path: &Path, to: &str) -> Result<()> {
    let at = |e| Error::io("cannot make the link", e).at_path(path.display());
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(at)?;
    }
    if path.symlink_metadata().is_ok_and(|m| m.is_symlink()) {
        std::fs::remove_file(path).map_err(at)?;
    }
    platform::make_link(path, to).map_err(at)
}

/// A pool name as one local file name.
///
/// # Errors
/// `InvalidArgument` when this system cannot have a file of that name.
pub fn file_name(name: &str) -> Result<&str> {
    let mut parts = Path::new(name).components();
    let one = matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name);
    if one && !platform::is_forbidden(name) {
        return Ok(name);
    }
    Err(Error::new(ErrorKind::InvalidArgument, "this system cannot have a file of that name")
        .at_path(name)
        .hint("download it alone, to a name of your choice"))
}

/// Local names already taken by this download: names that the local disk cannot tell apart collide.
#[derive(Debug, Default)]
pub struct Names {
    taken: BTreeSet<String>,
    folds_case: Option<bool>,
}

impl Names {
    /// The local path of `relative` (components joined by `/`) below `target`.
    ///
    /// # Errors
    /// `InvalidArgument` when the name cannot be had here, `AlreadyExists` when it collides with an
    /// earlier one.
    pub fn local(&mut self, target: &Path, relative: &str) -> Result<PathBuf> {
        let mut path = target.to_owned();
        for part in relative.split('/').filter(|part| !part.is_empty()) {
            path.push(file_name(part)?);
        }
        let folds = *self.folds_case.get_or_insert_with(|| folds_case(target));
        let key = if folds { relative.to_lowercase() } else { relative.to_owned() };
        if !self.taken.insert(key) {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                "differs from another file only by case, which this disk ignores",
            )
            .at_path(relative)
            .hint("download it alone, to a name of your choice"));
        }
        Ok(path)
    }
}

/// Whether the file system below `directory` takes names that differ by case for one.
fn folds_case(directory: &Path) -> bool {
    let existing = directory.ancestors().find(|d| d.is_dir()).unwrap_or(Path::new("."));
    let Ok(probe) = tempfile::Builder::new().prefix(".rclonepool-Case-").tempfile_in(existing) else { return false };
    let name = probe.path().file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    existing.join(name).exists()
}

/// Runs work on files, or much work, off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    begin_blocking(work).await
}

/// As [`blocking`]; the work begins before anybody waits for it.
pub(crate) fn begin_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> impl Future<Output = Result<T>> + Send {
    // A runtime of one thread (the simulation's) must not depend on others.
    if tokio::runtime::Handle::current().runtime_flavor() == tokio::runtime::RuntimeFlavor::CurrentThread {
        return Either::Left(ready(work()));
    }
    let failed = |error| Err(Error::new(ErrorKind::Internal, format!("a file task failed: {error}")));
    Either::Right(tokio::task::spawn_blocking(work).map(move |done| done.unwrap_or_else(failed)))
}
