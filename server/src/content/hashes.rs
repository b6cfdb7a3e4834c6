//! Digests of whole files, as ownCloud's clients send and ask for them.

use axum::http::StatusCode;
use rclonepool_core::config::FileHash;
use rclonepool_core::journal::record::{Content, Entry, FileHashes};

use crate::status::{Answer, Refusal};

/// What is known of a file's digests, as ownCloud writes them (`SHA1:… MD5:…`); `None` when there is none.
pub fn checksums(entry: &Entry) -> Option<String> {
    let hashes = match &entry.content {
        // Its bytes are here.
        Content::Inline { data, sha256 } => {
            FileHashes { sha256: Some(sha256.to_string()), ..FileHashes::of(data, &[FileHash::Sha1, FileHash::Md5]) }
        }
        Content::File { hashes, extents, .. } => match extents.as_slice() {
            [whole] if hashes.sha256.is_none() => {
                FileHashes { sha256: Some(whole.sha256.to_string()), ..hashes.clone() }
            }
            _ => hashes.clone(),
        },
        Content::Link { .. } | Content::Directory {} => return None,
    };
    let known = [("SHA1", hashes.sha1), ("MD5", hashes.md5), ("SHA256", hashes.sha256)];
    let known: Vec<String> =
        known.into_iter().filter_map(|(name, digest)| Some(format!("{name}:{}", digest?))).collect();
    (!known.is_empty()).then(|| known.join(" "))
}

/// The digest that an `OC-Checksum` header announces; none of an algorithm that we do not know.
pub(super) fn announced(header: &str) -> Answer<FileHashes> {
    let mut hashes = FileHashes::default();
    for item in header.split_whitespace() {
        let Some((name, digest)) = item.split_once(':') else { return Err(malformed(header)) };
        let (slot, digits) = match name.to_ascii_uppercase().as_str() {
            "SHA1" | "SHA-1" => (&mut hashes.sha1, 40),
            "MD5" => (&mut hashes.md5, 32),
            "SHA256" | "SHA-256" => (&mut hashes.sha256, 64),
            // Not ours to judge (Adler-32 and its like).
            _ => continue,
        };
        if digest.len() != digits || !digest.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(malformed(header));
        }
        *slot = Some(digest.to_ascii_lowercase());
    }
    Ok(hashes)
}

fn malformed(header: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, format!("the checksum {:?} is malformed", header.escape_debug().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announced_digests() {
        let md5 = "D41D8CD98F00B204E9800998ECF8427E";
        let found = announced(&format!("MD5:{md5}")).unwrap();
        assert_eq!(found.md5, Some(md5.to_ascii_lowercase()));
        assert_eq!(announced("ADLER32:12345678").unwrap(), FileHashes::default());
        for bad in ["MD5:xyz", "MD5", "SHA1:d41d8cd98f00b204e9800998ecf8427e", "SHA256:"] {
            assert_eq!(announced(bad).unwrap_err().status, StatusCode::BAD_REQUEST, "{bad}");
        }
    }
}
