//! Reading a [`Body`].

use std::fs::File;
use std::io;

use bytes::Bytes;

use super::Body;
use crate::error::{Error, ErrorKind, Result};

impl Body {
    /// Fills `into` with the bytes from `offset` on; moves no cursor, so that any number of readers
    /// may share the body.
    ///
    /// # Errors
    /// `SourceChanged` when the body ends before, `Io` when it cannot be read.
    pub fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        let read = match self {
            Self::Bytes(bytes) => (|| {
                let from = usize::try_from(offset).ok()?;
                into.copy_from_slice(bytes.get(from..from.checked_add(into.len())?)?);
                Some(())
            })()
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into()),
            Self::File { file, .. } => read_exact_at(file, offset, into),
        };
        read.map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => {
                Error::new(ErrorKind::SourceChanged, "the object to be stored became shorter")
            }
            _ => Error::io("cannot read the object to be stored", e),
        })
    }

    /// The whole of it in memory.
    ///
    /// # Errors
    /// As [`Body::read_at`].
    pub fn to_bytes(&self) -> Result<Bytes> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone()),
            Self::File { size, .. } => {
                let size = usize::try_from(*size)
                    .map_err(|_| Error::new(ErrorKind::InvalidArgument, "the object does not fit in memory"))?;
                let mut bytes = vec![0; size];
                self.read_at(0, &mut bytes)?;
                Ok(bytes.into())
            }
        }
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, offset: u64, into: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, into, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut offset: u64, mut into: &mut [u8]) -> io::Result<()> {
    // Moves the cursor too, but nobody reads by cursor.
    while !into.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_read(file, into, offset)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        into = &mut into[n..];
        offset += n as u64;
    }
    Ok(())
}
