//! Anonymous files to build objects in.
//!
//! A shard is written once into a [`ScratchFile`], sealed, and handed to any number of puts as a
//! [`Body`]. On Linux it is a memfd: no disk, no name, nothing left behind by a crash, and a seal
//! that makes a truncated source impossible (rclone would commit a short one as if it were whole).
//! Elsewhere it is a file without a name in `temp_dir`. A shard for a directory of this machine is
//! written where it will stay, as a file that has no name yet.
//!
//! Memory files are used again: getting and clearing pages, and giving them back, costs twice what
//! copying the bytes does. So the seal lets content change, but only while nobody else has the file:
//! a put that ends in doubt, its reader perhaps still at work, forbids it (`forbid_writing`).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, ErrorKind, Result};
use crate::local;
use crate::remote::Body;

/// Makes [`ScratchFile`]s.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    temp_dir: Option<PathBuf>,
    /// Whether memory is not for its files.
    on_disk: bool,
    /// Memory files that may be used again once nobody else has them.
    known: Arc<Mutex<Vec<Known>>>,
}

#[derive(Debug)]
struct Known {
    file: Arc<File>,
    size: u64,
}

impl Known {
    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.file) == 1
    }
}

impl Scratch {
    /// `temp_dir` is used only where the system has no memfd, and by [`Scratch::on_disk`]; it is made (mode 0700)
    /// when first needed.
    pub fn new(temp_dir: Option<PathBuf>) -> Self {
        Self { temp_dir, on_disk: false, known: Arc::default() }
    }

    /// One whose files lie in `temp_dir`: for more bytes than memory may hold.
    #[must_use]
    pub fn on_disk(&self) -> Self {
        Self { on_disk: true, ..Self::new(self.temp_dir.clone()) }
    }

    /// Makes a file for `size` bytes: in the directory `staging` ([`crate::remote::Remote::staging`]), where that
    /// works, else as [`Scratch::create`].
    ///
    /// # Errors
    /// As [`Scratch::create`].
    pub fn create_for(&self, size: u64, staging: Option<&Path>) -> Result<ScratchFile> {
        if let Some(file) = staging.and_then(nameless_file_in) {
            return Ok(ScratchFile { kind: Kind::Staged, ..self.scratch_file(file) });
        }
        if let Some(file) = self.used_before(size) {
            return Ok(ScratchFile { file, size: 0, kind: Kind::Again(size), scratch: self.clone() });
        }
        let created = self.create()?;
        let kind = if created.kind == Kind::Sealable { Kind::Recycled } else { created.kind };
        Ok(ScratchFile { kind, ..created })
    }

    /// As [`Scratch::create_for`], for a size that is not known.
    ///
    /// # Errors
    /// As [`Scratch::create`].
    pub fn create_in(&self, staging: Option<&Path>) -> Result<ScratchFile> {
        match staging.and_then(nameless_file_in) {
            Some(file) => Ok(ScratchFile { kind: Kind::Staged, ..self.scratch_file(file) }),
            None => self.create(),
        }
    }

    /// A memory file of this size that nobody uses. Where there is none, makes room for one.
    fn used_before(&self, size: u64) -> Option<Arc<File>> {
        let mut known = self.lock();
        known.retain(|one| !one.is_idle() || may_be_written(&one.file));
        if let Some(at) = known.iter().position(|one| one.is_idle() && one.size == size) {
            return Some(known.swap_remove(at).file);
        }
        let mut room = 0;
        known.retain(|one| {
            let goes = one.is_idle() && room < size;
            room += if goes { one.size } else { 0 };
            !goes
        });
        None
    }

    /// Gives back the memory of files that nobody uses now.
    pub fn release(&self) {
        self.lock().retain(|one| !one.is_idle());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn scratch_file(&self, file: File) -> ScratchFile {
        ScratchFile { file: Arc::new(file), size: 0, kind: Kind::Plain, scratch: self.clone() }
    }

    /// Makes an empty file.
    ///
    /// # Errors
    /// `Full` or `Io` when the system gives no file; `Config` when a directory is needed and none is set.
    pub fn create(&self) -> Result<ScratchFile> {
        let sealable = if self.on_disk { None } else { sealable_file()? };
        Ok(match sealable {
            Some(file) => ScratchFile { kind: Kind::Sealable, ..self.scratch_file(file) },
            None => self.scratch_file(self.nameless_file()?),
        })
    }

    fn nameless_file(&self) -> Result<File> {
        let Some(dir) = &self.temp_dir else {
            let why =
                if self.on_disk { "memory_limit_mb is too small for a chunk" } else { "there are no memory files" };
            return Err(Error::new(ErrorKind::Config, format!("{why}, and there is no directory for temporary files"))
                .hint("set temp_dir to a directory for temporary files"));
        };
        private_dir(dir)?;
        tempfile::tempfile_in(dir)
            .map_err(|e| Error::io("cannot make a temporary file", e).at_path(dir.display()).hint("see temp_dir"))
    }
}

/// Makes `dir` and what is above it where it does not exist, its mode 0700.
pub(crate) fn private_dir(dir: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|e| {
        Error::io("cannot make the directory for temporary files", e).at_path(dir.display()).hint("see temp_dir")
    })
}

/// An anonymous file being written; [`ScratchFile::seal`] makes it a [`Body`].
///
/// Its methods are ordinary file writes: they do not block for long on a memfd.
#[derive(Debug)]
pub struct ScratchFile {
    file: Arc<File>,
    size: u64,
    kind: Kind,
    scratch: Scratch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A file without a name that cannot be sealed.
    Plain,
    /// One that lies where the object will.
    Staged,
    /// A memory file that is used once.
    Sealable,
    /// A memory file that may be used again.
    Recycled,
    /// One that was used before, and has this size.
    Again(u64),
}

impl ScratchFile {
    /// Bytes written so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends `bytes`.
    ///
    /// # Errors
    /// `Full` when there is no memory or space left.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.write_at(self.size, bytes)
    }

    /// Writes `bytes` at `offset`; a gap before it reads as zeros.
    ///
    /// # Errors
    /// As [`ScratchFile::write`].
    pub fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut written = local::write_all_at(&self.file, offset, bytes);
        if written.is_err() && self.kind == Kind::Staged {
            // The put will say what is wrong with that directory, or find another remote.
            self.copy_over()?;
            written = local::write_all_at(&self.file, offset, bytes);
        }
        written.map_err(|e| Error::io("cannot write a temporary file", e).hint("free memory, or see temp_dir"))?;
        self.size = self.size.max(offset + bytes.len() as u64);
        Ok(())
    }

    /// Goes on in a new file of the ordinary kind.
    fn copy_over(&mut self) -> Result<()> {
        let mut new = self.scratch.create()?;
        let body = Body::File { file: Arc::clone(&self.file), size: self.size };
        let mut piece = vec![0; 1 << 20];
        while new.size < self.size {
            let length = usize::try_from(self.size - new.size).map_or(piece.len(), |left| left.min(piece.len()));
            body.read_at(new.size, &mut piece[..length])?;
            new.write(&piece[..length])?;
        }
        *self = new;
        Ok(())
    }

    /// Ends writing, for good where the system can enforce it.
    ///
    /// # Errors
    /// `Io` when the system refuses the seal.
    pub fn seal(mut self) -> Result<Body> {
        if matches!(self.kind, Kind::Again(size) if size != self.size) {
            self.copy_over()?;
        }
        match self.kind {
            Kind::Plain | Kind::Staged => {}
            Kind::Sealable => seal(&self.file, false)?,
            Kind::Recycled => seal(&self.file, true)?,
            Kind::Again(_) => {}
        }
        if matches!(self.kind, Kind::Recycled | Kind::Again(_)) {
            self.scratch.lock().push(Known { file: Arc::clone(&self.file), size: self.size });
        }
        Ok(Body::File { file: self.file, size: self.size })
    }
}

/// A memfd, or `None` where there are none (an old kernel, a sandbox that forbids it).
#[cfg(any(target_os = "linux", target_os = "android"))]
fn sealable_file() -> Result<Option<File>> {
    use rustix::fs::MemfdFlags;
    use rustix::io::Errno;
    match rustix::fs::memfd_create("rclonepool", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING) {
        Ok(fd) => Ok(Some(File::from(fd))),
        Err(Errno::NOSYS | Errno::PERM | Errno::ACCESS | Errno::INVAL) => Ok(None),
        Err(e) => Err(Error::io("cannot make an anonymous memory file", e.into())),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn seal(file: &File, again: bool) -> Result<()> {
    use rustix::fs::SealFlags;
    let seals = SealFlags::SHRINK | SealFlags::GROW;
    let seals = if again { seals } else { seals | SealFlags::SEAL | SealFlags::WRITE };
    rustix::fs::fcntl_add_seals(file, seals).map_err(|e| Error::io("cannot seal an anonymous memory file", e.into()))
}

/// Sees to it that a memory file keeps its content for ever: somebody may be reading it still. Other files are
/// never written to a second time anyhow.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn forbid_writing(file: &File) {
    let _ = rustix::fs::fcntl_add_seals(file, rustix::fs::SealFlags::WRITE);
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn may_be_written(file: &File) -> bool {
    rustix::fs::fcntl_get_seals(file).is_ok_and(|seals| !seals.contains(rustix::fs::SealFlags::WRITE))
}

/// A file that gets its name later, if ever. `None` where the file system has no such thing.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn nameless_file_in(dir: &Path) -> Option<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    rustix::fs::open(dir, flags, Mode::from_raw_mode(0o666)).ok().map(File::from)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn sealable_file() -> Result<Option<File>> {
    Ok(None)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn seal(_: &File, _: bool) -> Result<()> {
    Ok(())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn forbid_writing(_: &File) {}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn may_be_written(_: &File) -> bool {
    false
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn nameless_file_in(_: &Path) -> Option<File> {
    None
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_is_written_is_read_by_position() {
        let mut file = Scratch::default().create().unwrap();
        file.write(b"hello ").unwrap();
        file.write(b"world").unwrap();
        file.write_at(0, b"J").unwrap();
        file.write(b"!").unwrap();
        assert_eq!(file.size(), 12);
        let body = file.seal().unwrap();
        assert_eq!(body.size(), 12);
        assert_eq!(body.to_bytes().unwrap(), "Jello world!");
        let mut part = [0; 5];
        body.read_at(6, &mut part).unwrap();
        assert_eq!(&part, b"world");
        assert!(body.read_at(8, &mut part).is_err(), "past the end");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn sealed_means_sealed() {
        let mut file = Scratch::default().create().unwrap();
        file.write(b"fixed").unwrap();
        let Body::File { file, .. } = file.seal().unwrap() else { panic!("not a file") };
        assert!((&*file).write_all(b"more").is_err());
        assert!(file.set_len(0).is_err());
        assert!(file.set_len(10).is_err());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_memory_file_is_used_again_when_nobody_has_it_and_nobody_may_be_reading_it() {
        let inode = |body: &Body| match body {
            Body::File { file, .. } => std::os::unix::fs::MetadataExt::ino(&file.metadata().unwrap()),
            Body::Bytes(_) => panic!("not a file"),
        };
        let scratch = Scratch::default();
        let make = |content: &[u8]| {
            let mut file = scratch.create_for(4, None).unwrap();
            file.write(content).unwrap();
            file.seal().unwrap()
        };
        let first = make(b"1111");
        let second = make(b"2222");
        assert_ne!(inode(&first), inode(&second));
        let Body::File { file, .. } = &first else { panic!("not a file") };
        assert!(file.set_len(3).is_err() && file.set_len(5).is_err());
        let before = inode(&first);
        drop(first);
        let third = make(b"3333");
        assert_eq!((inode(&third), third.to_bytes().unwrap()), (before, "3333".into()));
        assert_eq!(second.to_bytes().unwrap(), "2222");
        // Shorter than it was to be: not the tail of what lay there.
        drop(third);
        let short = make(b"44");
        assert_eq!((short.size(), short.to_bytes().unwrap()), (2, "44".into()));
        let doubtful = inode(&second);
        let Body::File { file, .. } = &second else { panic!("not a file") };
        forbid_writing(file);
        drop(second);
        assert_ne!(inode(&make(b"5555")), doubtful);
        scratch.release();
        assert!(scratch.lock().is_empty());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_staged_file_that_cannot_go_on_moves_to_memory() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = Scratch::default().create_for(10, Some(dir.path())).unwrap();
        if file.kind != Kind::Staged {
            return; // a file system without nameless files
        }
        file.write(b"begun").unwrap();
        // What a full disk refuses, a file opened for reading does too.
        let read_only = File::open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&*file.file))).unwrap();
        file.file = Arc::new(read_only);
        file.write(b" over").unwrap();
        assert_eq!(file.seal().unwrap().to_bytes().unwrap(), "begun over");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn without_memfd_a_nameless_file_serves() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(Some(dir.path().join("a/b")));
        let file = scratch.nameless_file().unwrap();
        let mut file = Scratch::default().scratch_file(file);
        file.write(b"bytes").unwrap();
        assert_eq!(file.seal().unwrap().to_bytes().unwrap(), "bytes");
        assert_eq!(std::fs::read_dir(dir.path().join("a/b")).unwrap().count(), 0);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(dir.path().join("a/b")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
        }

        let error = Scratch::default().nameless_file().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("temp_dir"), "{error}");
        std::fs::write(dir.path().join("file"), "").unwrap();
        let error = Scratch::new(Some(dir.path().join("file/x"))).nameless_file().unwrap_err();
        assert!(error.to_string().contains("temp_dir"), "{error}");
    }
}
