//! Anonymous files to build objects in.
//!
//! A shard is written once into a [`ScratchFile`], sealed, and handed to any number of puts as a
//! [`Body`]. On Linux it is a memfd: no disk, no name, nothing left behind by a crash, and a seal
//! that makes a truncated or changing source impossible (rclone would commit a short one as if it
//! were whole). Elsewhere it is a file without a name in `temp_dir`.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::remote::Body;

/// Makes [`ScratchFile`]s.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    temp_dir: Option<PathBuf>,
}

impl Scratch {
    /// `temp_dir` is used only where the system has no memfd; it is made (mode 0700) when first needed.
    pub fn new(temp_dir: Option<PathBuf>) -> Self {
        Self { temp_dir }
    }

    /// Makes an empty file.
    ///
    /// # Errors
    /// `Full` or `Io` when the system gives no file; `Config` when a directory is needed and none is set.
    pub fn create(&self) -> Result<ScratchFile> {
        let (file, sealable) = match sealable_file()? {
            Some(file) => (file, true),
            None => (self.nameless_file()?, false),
        };
        Ok(ScratchFile { file, size: 0, sealable })
    }

    fn nameless_file(&self) -> Result<File> {
        let Some(dir) = &self.temp_dir else {
            return Err(Error::new(ErrorKind::Config, "this system has no anonymous memory files")
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
    file: File,
    size: u64,
    sealable: bool,
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
        let mut file = &self.file;
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| file.write_all(bytes))
            .map_err(|e| Error::io("cannot write a temporary file", e).hint("free memory, or see temp_dir"))?;
        self.size = self.size.max(offset + bytes.len() as u64);
        Ok(())
    }

    /// Ends writing, for good where the system can enforce it.
    ///
    /// # Errors
    /// `Io` when the system refuses the seal.
    pub fn seal(self) -> Result<Body> {
        if self.sealable {
            seal(&self.file)?;
        }
        Ok(Body::File { file: Arc::new(self.file), size: self.size })
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
fn seal(file: &File) -> Result<()> {
    use rustix::fs::SealFlags;
    rustix::fs::fcntl_add_seals(file, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)
        .map_err(|e| Error::io("cannot seal an anonymous memory file", e.into()))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn sealable_file() -> Result<Option<File>> {
    Ok(None)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn seal(_: &File) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
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
    fn without_memfd_a_nameless_file_serves() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(Some(dir.path().join("a/b")));
        let file = scratch.nameless_file().unwrap();
        let mut file = ScratchFile { file, size: 0, sealable: false };
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
