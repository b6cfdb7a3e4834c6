//! Digests of whole files, where the configuration or the upload asks for them.

use md5::{Digest, Md5};
use sha1::Sha1;

use crate::config::FileHash;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::record::FileHashes;
use crate::stage::hash::Hasher;

impl FileHashes {
    /// The digests of these bytes that `wanted` names.
    pub fn of(bytes: &[u8], wanted: &[FileHash]) -> Self {
        let mut whole = WholeFile::new(wanted);
        whole.update(bytes);
        whole.finish()
    }

    /// Which digests are here.
    pub fn kinds(&self) -> Vec<FileHash> {
        let here = [(FileHash::Sha256, &self.sha256), (FileHash::Md5, &self.md5), (FileHash::Sha1, &self.sha1)];
        here.into_iter().filter(|(_, digest)| digest.is_some()).map(|(kind, _)| kind).collect()
    }

    /// Holds what was computed against what was expected.
    ///
    /// # Errors
    /// `InvalidArgument`, naming the digest that differs.
    pub(super) fn check(&self, expected: &Self) -> Result<()> {
        let pairs = [
            ("SHA-256", &self.sha256, &expected.sha256),
            ("MD5", &self.md5, &expected.md5),
            ("SHA-1", &self.sha1, &expected.sha1),
        ];
        for (name, found, expected) in pairs {
            let Some(expected) = expected else { continue };
            if !found.as_ref().is_some_and(|found| found.eq_ignore_ascii_case(expected)) {
                let found = found.as_deref().unwrap_or("none");
                let message = format!("the bytes that came have {name} {found}, and {expected} was announced");
                return Err(Error::new(ErrorKind::InvalidArgument, message).hint("send the file again"));
            }
        }
        Ok(())
    }
}

/// Takes a file's bytes in order.
pub(super) struct WholeFile {
    sha256: Option<Hasher>,
    md5: Option<Md5>,
    sha1: Option<Sha1>,
}

impl WholeFile {
    pub fn new(wanted: &[FileHash]) -> Self {
        Self {
            sha256: wanted.contains(&FileHash::Sha256).then(Hasher::new),
            md5: wanted.contains(&FileHash::Md5).then(Md5::new),
            sha1: wanted.contains(&FileHash::Sha1).then(Sha1::new),
        }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        if let Some(hasher) = &mut self.sha256 {
            hasher.update(bytes);
        }
        if let Some(hasher) = &mut self.md5 {
            hasher.update(bytes);
        }
        if let Some(hasher) = &mut self.sha1 {
            hasher.update(bytes);
        }
    }

    pub fn finish(self) -> FileHashes {
        let hex = crate::id::hex;
        FileHashes {
            sha256: self.sha256.map(|h| h.finish().to_string()),
            md5: self.md5.map(|h| hex(&h.finalize())),
            sha1: self.sha1.map(|h| hex(&h.finalize())),
        }
    }
}
