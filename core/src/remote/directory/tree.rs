//! The blocking half of a directory remote: names to paths, and what is done with the files there.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::copy::copy;
use super::link::link;
use crate::error::{Error, ErrorKind, Result};
use crate::remote::{Body, ObjectMeta, PARTIAL, Usage, check_stored_name};

/// The directory.
#[derive(Debug)]
pub(super) struct Tree {
    pub label: String,
    pub path: PathBuf,
}

impl Tree {
    /// Stores an object under its final name only when all of it is on the disk.
    pub fn put(&self, name: &str, body: &Body, cancelled: &AtomicBool) -> Result<()> {
        self.check_root()?;
        let failed = |e| self.failed("cannot store", name, e);
        let path = self.make_parents(name)?;
        let parent = path.parent().unwrap_or(&self.path);
        // Not named after the object: its name may be as long as the file system allows.
        let mut partial = Partial(parent.join(format!("{:016x}{PARTIAL}", rand::random::<u64>())));
        if let Some(file) = link(body, &partial.0) {
            sync(file).map_err(failed)?;
        } else {
            let file = OpenOptions::new().write(true).create_new(true).open(&partial.0).map_err(failed)?;
            copy(body, &file, cancelled).map_err(|e| match e.kind() {
                io::ErrorKind::UnexpectedEof => {
                    Error::new(ErrorKind::SourceChanged, "the object to be stored became shorter")
                }
                _ => failed(e),
            })?;
            sync(&file).map_err(failed)?;
        }
        if cancelled.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Cancelled, "the put was cancelled"));
        }
        std::fs::rename(&partial.0, &path).map_err(failed)?;
        partial.0 = PathBuf::new();
        // Best effort: where a directory cannot be synced the rename is as durable as it gets.
        let _ = File::open(parent).and_then(|dir| sync(&dir));
        Ok(())
    }

    /// Opens an object for reading and tells its size.
    pub fn open(&self, name: &str) -> Result<(File, u64)> {
        let absent = || Error::new(ErrorKind::NotFound, "no such object").at_path(name);
        let path = self.resolve(name)?.ok_or_else(absent)?;
        let mut options = OpenOptions::new();
        options.read(true);
        no_follow(&mut options);
        match options.open(&path).and_then(|file| Ok((file.metadata()?.len(), file))) {
            Ok((size, file)) => Ok((file, size)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.check_root()?;
                Err(absent())
            }
            Err(e) => Err(self.failed("cannot open", name, e)),
        }
    }

    /// The object's size.
    pub fn stat(&self, name: &str) -> Result<Option<u64>> {
        let Some(path) = self.resolve(name)? else { return Ok(None) };
        Ok(self.look(name, &path)?.map(|found| found.len()))
    }

    /// Removes the object if it is there.
    pub fn delete(&self, name: &str) -> Result<()> {
        let Some(path) = self.resolve(name)? else { return Ok(()) };
        match std::fs::remove_file(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.check_root(),
            other => other.map_err(|e| self.failed("cannot delete", name, e)),
        }
    }

    /// Space on the file system the directory lies on.
    #[cfg(unix)]
    pub fn usage(&self) -> Result<Usage> {
        let stat = rustix::fs::statvfs(&self.path).map_err(|e| self.unavailable(&e.into()))?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok(Usage {
            total: Some(bytes(stat.f_blocks)),
            used: Some(bytes(stat.f_blocks.saturating_sub(stat.f_bfree))),
            // What an ordinary user may still write, without the reserve of root.
            free: Some(bytes(stat.f_bavail)),
        })
    }

    /// Space is not told here.
    #[cfg(not(unix))]
    pub fn usage(&self) -> Result<Usage> {
        self.check_root()?;
        Ok(Usage::default())
    }

    /// An error about `name`, its kind that of the system's error.
    pub fn failed(&self, action: &str, name: &str, error: io::Error) -> Error {
        use io::ErrorKind as K;
        let error = match error.kind() {
            // An open directory vanished below us, or a network file system lost its server.
            K::NotFound | K::StaleNetworkFileHandle | K::NotConnected | K::HostUnreachable | K::NetworkUnreachable => {
                Error::new(ErrorKind::Unavailable, format!("{action}: {error}")).caused_by(error)
            }
            K::Interrupted => Error::new(ErrorKind::Cancelled, format!("{action}: cancelled")),
            _ => Error::io(action, error),
        };
        error.on_remote(&self.label).at_path(name)
    }

    fn unavailable(&self, error: &io::Error) -> Error {
        Error::new(ErrorKind::Unavailable, format!("the directory cannot be used: {error}"))
            .on_remote(&self.label)
            .hint("is the disk mounted?")
    }

    /// Makes sure that the root is there, and tells which it is.
    fn root(&self) -> Result<Metadata> {
        let found = std::fs::metadata(&self.path).map_err(|e| self.unavailable(&e))?;
        if found.is_dir() { Ok(found) } else { Err(self.unavailable(&io::ErrorKind::NotADirectory.into())) }
    }

    fn check_root(&self) -> Result<()> {
        self.root().map(drop)
    }

    /// What lies at `path`: a file, or nothing that could be an object (`None`).
    fn look(&self, name: &str, path: &Path) -> Result<Option<Metadata>> {
        match std::fs::symlink_metadata(path) {
            Ok(found) if found.is_file() => Ok(Some(found)),
            Ok(found) if found.is_dir() => Ok(None),
            Ok(_) => Err(self.no_file(name)),
            // A file where the name needs a directory: nothing can be below it.
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                self.check_root()?;
                Ok(None)
            }
            Err(e) => Err(self.failed("cannot look at", name, e)),
        }
    }

    fn no_file(&self, name: &str) -> Error {
        let message = "neither a file nor a directory (symbolic links are not followed)";
        Error::new(ErrorKind::Io, message).on_remote(&self.label).at_path(name)
    }

    /// The path of the file `name`, or `None` when there is none. No directory on the way is a link.
    fn resolve(&self, name: &str) -> Result<Option<PathBuf>> {
        let mut path = self.path.clone();
        for (at, _) in name.match_indices('/') {
            path.push(last(&name[..at]));
            if std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink()) {
                return Err(self.no_file(&name[..at]));
            }
        }
        path.push(last(name));
        Ok(self.look(name, &path)?.map(|_| path))
    }

    /// Makes the directories `name` lies in, never the root, and gives its path.
    fn make_parents(&self, name: &str) -> Result<PathBuf> {
        let mut path = self.path.clone();
        for (at, _) in name.match_indices('/') {
            let above = path.clone();
            path.push(last(&name[..at]));
            match std::fs::create_dir(&path) {
                Ok(()) => {
                    let _ = File::open(above).and_then(|dir| sync(&dir));
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                    let found = std::fs::symlink_metadata(&path).map_err(|e| self.failed("cannot store", name, e))?;
                    if !found.is_dir() {
                        return Err(self.no_file(&name[..at]));
                    }
                }
                Err(e) => return Err(self.failed("cannot make a directory", name, e)),
            }
        }
        path.push(last(name));
        Ok(path)
    }
}

fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or_default()
}

/// A temporary file, removed unless it became an object.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // It is whole, and has its own name.
        if self.0.as_os_str().is_empty() {
            return;
        }
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Waits until a file or directory is on the disk, where its file system knows of that.
fn sync(file: &File) -> io::Result<()> {
    match file.sync_all() {
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        other => other,
    }
}

#[cfg(unix)]
fn no_follow(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    options.custom_flags(i32::try_from(flags.bits()).unwrap_or_default());
}

#[cfg(not(unix))]
fn no_follow(_: &mut OpenOptions) {}

/// A listing in progress, one directory at a time.
pub(super) struct Walk {
    tree: Arc<Tree>,
    root: Option<Identity>,
    left: Vec<String>,
}

/// Device and inode of the root: what changes when a disk is unmounted or exchanged.
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(found: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (found.dev(), found.ino())
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Identity {
    (0, 0)
}

impl Walk {
    pub fn begin(tree: Arc<Tree>, dir: String) -> Result<Self> {
        let root = Some(identity(&tree.root()?));
        for (at, _) in dir.match_indices('/').chain([(dir.len(), "")]) {
            // A link on the way to the directory is no way.
            let path = tree.path.join(&dir[..at]);
            if !dir.is_empty() && std::fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
                return Err(tree.no_file(&dir[..at]));
            }
        }
        Ok(Self { tree, root, left: vec![dir] })
    }

    /// The objects in the next directory; `None` when there is no more.
    pub fn step(mut self) -> Result<Option<(Vec<ObjectMeta>, Self)>> {
        let Some(dir) = self.left.pop() else {
            // A disk that went away in the middle showed its directories as absent.
            if self.root.take() != Some(identity(&self.tree.root()?)) {
                let error = Error::new(ErrorKind::Unavailable, "the directory was exchanged while it was listed");
                return Err(error.on_remote(&self.tree.label));
            }
            return Ok(None);
        };
        let found = self.read(&dir).map_err(|e| self.tree.failed("cannot list", &dir, e))?;
        Ok(Some((found, self)))
    }

    fn read(&mut self, dir: &str) -> io::Result<Vec<ObjectMeta>> {
        let entries = match std::fs::read_dir(self.tree.path.join(dir)) {
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(vec![]),
            other => other?,
        };
        let mut found = vec![];
        for entry in entries {
            let entry = entry?;
            let Some(name) =
                entry.file_name().to_str().map(|n| if dir.is_empty() { n.into() } else { format!("{dir}/{n}") })
            else {
                continue;
            };
            let kind = entry.file_type()?;
            if kind.is_dir() && crate::remote::check_dir(&name).is_ok() {
                self.left.push(name);
            } else if kind.is_file() && check_stored_name(&name).is_ok() {
                match entry.metadata() {
                    Ok(meta) => found.push(ObjectMeta { name, size: meta.len() }),
                    // Deleted since the directory was read.
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(e) => return Err(e),
                }
            }
        }
        Ok(found)
    }
}
