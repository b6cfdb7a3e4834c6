//! Entity tags: the same content has the same tag, whoever stored it where and when.

use rclonepool_core::journal::record::{Content, Entry};
use rclonepool_core::stage::hash::Hasher;

/// Hex digits of a tag: 128 bits.
const DIGITS: usize = 32;

/// The strong entity tag of a file, with its quotes; `None` for what is no file.
///
/// It is made of the content's SHA-256, extent by extent. Maintenance moves data and leaves the extents' lengths and
/// digests as they are, so it leaves the tag, too.
pub fn etag(entry: &Entry) -> Option<String> {
    etag_of(&entry.content)
}

/// As [`etag`], of a version's content.
pub fn etag_of(content: &Content) -> Option<String> {
    let digest = match content {
        Content::Inline { sha256, .. } => *sha256,
        Content::File { extents, .. } => match extents.as_slice() {
            [whole] => whole.sha256,
            several => {
                let mut hasher = Hasher::new();
                for extent in several {
                    hasher.update(&extent.length.to_le_bytes());
                    hasher.update(&extent.sha256.0);
                }
                hasher.finish()
            }
        },
        Content::Link { .. } | Content::Directory {} => return None,
    };
    let digest = digest.to_string();
    Some(format!("\"{}\"", digest.get(..DIGITS).unwrap_or(&digest)))
}

#[cfg(test)]
mod tests {
    use rclonepool_core::stage::hash::sha256;

    use super::*;

    #[test]
    fn the_tag_is_of_the_content() {
        let inline = |data: &[u8]| Content::Inline { sha256: sha256(data), data: data.to_vec() };
        let none = Content::File { size: 0, chunk_size: 1, extents: Vec::new(), hashes: Default::default() };
        assert_eq!(etag_of(&inline(b"")), etag_of(&none), "two ways to hold no bytes");
        assert_ne!(etag_of(&inline(b"a")), etag_of(&inline(b"b")));
        assert_eq!(etag_of(&inline(b"a")).map(|tag| tag.len()), Some(DIGITS + 2));
        assert_eq!(etag_of(&Content::Directory {}), None);
    }
}
