//! Changes to the configuration file that leave everything else in it alone.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::redundancy::{Redundancy, RedundancyMode};

/// A configuration file under edit: other keys, their order and the file's mode and owner stay.
#[derive(Debug)]
pub struct ConfigFile {
    /// The file itself, symbolic links resolved.
    path: PathBuf,
    map: Map<String, Value>,
    /// The text that was read; `None` for a file that is not there yet.
    before: Option<String>,
}

/// Reads a configuration's text.
pub(super) fn read(path: &Path) -> Result<String> {
    let action = format!("cannot read the configuration {}", path.display());
    let bytes = fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::new(ErrorKind::NotFound, format!("there is no configuration {}", path.display()))
                .hint("run `rclonepool init` to make one, or name another with --config")
        }
        _ => Error::io(&action, error),
    })?;
    String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::Config, format!("{action}: it is not UTF-8 text")))
}

impl ConfigFile {
    /// Reads the file at `path` for editing. It must be a JSON object without doubled keys; its
    /// values need not be right.
    ///
    /// # Errors
    /// `NotFound`; `Config` when it is no such object; `Io` and `Auth` when it cannot be read.
    pub fn load(path: &Path) -> Result<Self> {
        let text = read(path)?;
        let path =
            fs::canonicalize(path).map_err(|error| Error::io(format!("cannot resolve {}", path.display()), error))?;
        let map = super::load::object(&text).map_err(|error| error.at_path(path.display()))?;
        Ok(Self { path, map, before: Some(text) })
    }

    /// A new, empty configuration for `path`, where no file may be.
    pub fn create(path: &Path) -> Self {
        Self { path: path.to_owned(), map: Map::new(), before: None }
    }

    /// Where it is stored.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The value of a key, if the file gives one.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key)
    }

    /// Sets a key: in its place if it is there, else at the end.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.map.insert(key.into(), value.into());
    }

    /// Removes a key, so that its default holds; gives the value it had.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.map.shift_remove(key)
    }

    /// All keys, for changing them.
    pub fn keys_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.map
    }

    /// Sets the keys that say a redundancy.
    pub fn set_redundancy(&mut self, redundancy: Redundancy) {
        self.set("redundancy_mode", redundancy.mode.name());
        if matches!(redundancy.mode, RedundancyMode::Replication | RedundancyMode::Hybrid) {
            self.set("replication_factor", redundancy.copies);
        }
        if matches!(redundancy.mode, RedundancyMode::Parity | RedundancyMode::Hybrid) {
            self.set("parity_data_shards", redundancy.data);
            self.set("parity_parity_shards", redundancy.parity);
        }
    }

    /// The text as it would be stored.
    pub fn text(&self) -> String {
        // Serialising a map of JSON values cannot fail.
        serde_json::to_string_pretty(&self.map).unwrap_or_default() + "\n"
    }

    /// The configuration as edited, checked.
    ///
    /// # Errors
    /// As [`Config::parse`].
    pub fn config(&self) -> Result<Config> {
        Config::parse(&self.text())
    }

    /// Stores the edited file in one step: a reader sees the old or the new text, never a part.
    /// Writes nothing when nothing changed.
    ///
    /// # Errors
    /// `Config` when the result is not a right configuration, or the file or its directory is
    /// read-only; `Busy` when another program changed the file meanwhile; `AlreadyExists` for a new
    /// file whose place is taken; `Io` and `Full` when writing fails. The old file is then whole.
    pub fn save(&mut self) -> Result<()> {
        self.config()?;
        let text = self.text();
        match &self.before {
            None => {
                let (dir, path) = (self.directory()?, &self.path);
                fs::create_dir_all(&dir).map_err(|error| self.failed(error))?;
                let staged = stage(&dir, &text).map_err(|error| self.failed(error))?;
                staged.persist_noclobber(path).map_err(|refused| match refused.error.kind() {
                    std::io::ErrorKind::AlreadyExists => Error::new(
                        ErrorKind::AlreadyExists,
                        format!("the configuration {} is there already", path.display()),
                    ),
                    _ => self.failed(refused.error),
                })?;
                sync_directory(&dir).map_err(|error| self.failed(error))?;
            }
            Some(before)
                if super::load::object(before).is_ok_and(|map| map == self.map && same_order(&map, &self.map)) =>
            {
                return Ok(());
            }
            Some(before) => {
                self.check_writable()?;
                if read(&self.path)? != *before {
                    let message = format!("the configuration {} was changed by another program", self.path.display());
                    return Err(Error::new(ErrorKind::Busy, message).hint("run the command again"));
                }
                self.replace(&text).map_err(|error| self.failed(error))?;
            }
        }
        self.before = Some(text);
        Ok(())
    }

    fn replace(&self, text: &str) -> std::io::Result<()> {
        let dir = self.directory().map_err(|error| std::io::Error::other(error.to_string()))?;
        let staged = stage(&dir, text)?;
        let old = fs::metadata(&self.path)?;
        owner::keep(staged.as_file(), &old)?;
        staged.as_file().set_permissions(old.permissions())?;
        staged.as_file().sync_all()?;
        staged.persist(&self.path).map_err(|refused| refused.error)?;
        sync_directory(&dir)
    }

    /// Renaming over a file asks only the directory; a file marked read-only must stop us, too.
    fn check_writable(&self) -> Result<()> {
        let dir = self.directory()?;
        for (what, path) in [("file", self.path.as_path()), ("directory", dir.as_path())] {
            let meta = fs::metadata(path).map_err(|error| self.failed(error))?;
            if meta.permissions().readonly() {
                return Err(self.read_only(&format!("the {what} {} is read-only", path.display())));
            }
        }
        OpenOptions::new().write(true).open(&self.path).map(drop).map_err(|error| self.failed(error))
    }

    fn directory(&self) -> Result<PathBuf> {
        match self.path.parent() {
            Some(dir) if dir.as_os_str().is_empty() => Ok(".".into()),
            Some(dir) => Ok(dir.to_owned()),
            None => Err(Error::new(ErrorKind::Config, format!("{} is no file", self.path.display()))),
        }
    }

    fn read_only(&self, why: &str) -> Error {
        Error::new(ErrorKind::Config, format!("the configuration {} cannot be changed: {why}", self.path.display()))
            .hint("make it writable, or name another with --config")
    }

    fn failed(&self, error: std::io::Error) -> Error {
        match error.kind() {
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                self.read_only(&error.to_string()).caused_by(error)
            }
            _ => Error::io(format!("cannot store the configuration {}", self.path.display()), error),
        }
    }
}

fn same_order(a: &Map<String, Value>, b: &Map<String, Value>) -> bool {
    a.keys().eq(b.keys())
}

/// A synced temporary file beside the final one, of mode 0600, deleted unless it is renamed.
fn stage(dir: &Path, text: &str) -> std::io::Result<tempfile::NamedTempFile> {
    let mut staged = tempfile::Builder::new().prefix(".rclonepool-config-").tempfile_in(dir)?;
    staged.write_all(text.as_bytes())?;
    staged.as_file().sync_all()?;
    Ok(staged)
}

/// Makes a rename outlive a power cut, where directories can be synced.
fn sync_directory(dir: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

#[cfg(unix)]
mod owner {
    //! Unix only: the owner and group of a file.

    use std::fs::{File, Metadata};
    use std::os::unix::fs::{MetadataExt, fchown};

    /// Gives `file` the owner and group of `old`.
    pub(super) fn keep(file: &File, old: &Metadata) -> std::io::Result<()> {
        let new = file.metadata()?;
        if (new.uid(), new.gid()) == (old.uid(), old.gid()) {
            return Ok(());
        }
        fchown(file, Some(old.uid()), Some(old.gid()))
    }
}

#[cfg(not(unix))]
mod owner {
    use std::fs::{File, Metadata};

    /// The new file belongs to whoever runs the program.
    pub(super) fn keep(_: &File, _: &Metadata) -> std::io::Result<()> {
        Ok(())
    }
}
