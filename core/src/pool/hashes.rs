//! Digests of whole files, where the configuration asks for them.

use md5::{Digest, Md5};
use sha1::Sha1;

use crate::config::FileHash;
use crate::journal::record::FileHashes;
use crate::stage::hash::Hasher;

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
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        FileHashes {
            sha256: self.sha256.map(|h| h.finish().to_string()),
            md5: self.md5.map(|h| hex(&h.finalize())),
            sha1: self.sha1.map(|h| hex(&h.finalize())),
        }
    }
}
