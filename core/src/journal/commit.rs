//! Commits: immutable objects that hold records, and their names.

use std::fmt;
use std::io::Read;
use std::str::FromStr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::id::{OperationId, PoolId, Stamp};
use crate::journal::record::Record;
use crate::stage::compress::Compression;

/// The format this library reads and writes. FORMAT.md lists what each version changed.
pub const FORMAT: u32 = 1;

/// The most plain JSON one commit may hold, in bytes; a reader refuses more.
pub const COMMIT_BYTES_MAX: usize = 256 << 20;
/// Where a writer splits an operation into parts, in plain bytes.
pub const PART_BYTES_MAX: usize = 32 << 20;
/// Shorter commits are not worth compressing.
const COMPRESS_FROM_BYTES: usize = 512;
const ZSTD_LEVEL: i32 = 3;

/// The features this library knows; a commit that requires another cannot be read by it, and one
/// that uses another cannot be rewritten by it.
pub const FEATURES: &[&str] = &["plugins", "properties", "trash", "zstd"];

/// What a commit object holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Commit {
    /// The format's version.
    pub format: u32,
    /// Features without which the records mean something else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// Features whose fields a reader may skip, but a rewriter would lose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<String>,
    /// The pool.
    pub pool: PoolId,
    /// The commits whose records stand here instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supersedes: Vec<CommitName>,
    /// The operation this is a part of; counts only when its closing commit is visible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<OperationId>,
    /// The parts that this commit, the last of its operation, closes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closes: Vec<CommitName>,
    /// The facts.
    pub records: Vec<Record>,
}

impl Commit {
    /// A commit of `records`, which have their stamps.
    pub fn new(pool: PoolId, records: Vec<Record>) -> Self {
        let all = |of: fn(&Record) -> &'static [&'static str]| {
            let features: std::collections::BTreeSet<&str> = records.iter().flat_map(of).copied().collect();
            features.into_iter().map(str::to_owned).collect()
        };
        Self {
            format: FORMAT,
            requires: all(Record::requires),
            uses: all(Record::uses),
            pool,
            supersedes: Vec::new(),
            part_of: None,
            closes: Vec::new(),
            records,
        }
    }

    /// The object's bytes and its name.
    ///
    /// # Errors
    /// `Internal` when there are no records, or more than [`COMMIT_BYTES_MAX`] of them.
    pub fn encode(&self) -> Result<(CommitName, Bytes)> {
        let stamp = self.records.iter().map(Record::stamp).max();
        let stamp = stamp.ok_or_else(|| Error::new(ErrorKind::Internal, "an empty commit was to be written"))?;
        let plain = serde_json::to_vec(self)
            .map_err(|e| Error::new(ErrorKind::Internal, format!("a commit does not serialize: {e}")))?;
        if plain.len() > COMMIT_BYTES_MAX {
            return Err(Error::new(ErrorKind::Internal, format!("a commit of {} bytes is too large", plain.len())));
        }
        let compressed = plain.len() >= COMPRESS_FROM_BYTES;
        let stored = if compressed {
            zstd::bulk::compress(&plain, ZSTD_LEVEL).map_err(|e| Error::io("cannot compress a commit", e))?
        } else {
            plain
        };
        let name = CommitName { stamp, size: stored.len() as u64, digest: digest(&stored), compressed };
        Ok((name, stored.into()))
    }

    /// Reads an object after holding its size and digest against its name.
    ///
    /// # Errors
    /// `Corrupt` for damaged bytes, `FormatVersion` for a later format.
    pub fn decode(name: &CommitName, stored: &[u8]) -> Result<Self> {
        let corrupt = |why: String| Error::new(ErrorKind::Corrupt, format!("commit {name} is damaged: {why}"));
        if stored.len() as u64 != name.size {
            return Err(corrupt(format!("{} bytes instead of {}", stored.len(), name.size)));
        }
        if digest(stored) != name.digest {
            return Err(corrupt("its bytes do not match the digest in its name".into()));
        }
        let unpacked;
        let plain = if name.compressed {
            unpacked = unpack(stored).map_err(corrupt)?;
            &unpacked
        } else {
            stored
        };
        // The version is read alone first: a later one may not parse as this one.
        let head: Head = serde_json::from_slice(plain).map_err(|e| corrupt(e.to_string()))?;
        let unknown = head.requires.iter().find(|f| !FEATURES.contains(&f.as_str()));
        if head.format > FORMAT || unknown.is_some() {
            let needs = unknown.map_or_else(|| format!("format {}", head.format), |f| format!("the feature {f:?}"));
            return Err(Error::new(ErrorKind::FormatVersion, format!("commit {name} needs {needs}"))
                .hint(format!("this rclonepool reads format {FORMAT}; install a later version")));
        }
        let commit: Self = serde_json::from_slice(plain).map_err(|e| corrupt(e.to_string()))?;
        if commit.records.iter().any(|r| r.stamp() > name.stamp) {
            return Err(corrupt("it holds a record later than its name".into()));
        }
        commit.validate().map_err(corrupt)?;
        Ok(commit)
    }

    /// Holds the records against the rules that reading code relies on.
    fn validate(&self) -> Result<(), String> {
        for record in &self.records {
            match record {
                Record::Chunk(chunk) => {
                    chunk.layout.validate().map_err(|e| e.to_string())?;
                    let layout = &chunk.layout;
                    match &chunk.compression {
                        Some(Compression::Pieces { .. }) if chunk.transforms.is_empty() => {
                            return Err(format!("chunk {} has pieces, and no plugin that made them", chunk.chunk));
                        }
                        Some(compression) => compression.validate(chunk.size, chunk.stored),
                        None if !chunk.transforms.is_empty() => {
                            return Err(format!("chunk {} was changed by plugins and has no pieces", chunk.chunk));
                        }
                        None if chunk.size != chunk.stored => {
                            return Err(format!(
                                "chunk {} has {} bytes, stored as {}",
                                chunk.chunk, chunk.size, chunk.stored
                            ));
                        }
                        None => Ok(()),
                    }
                    .map_err(|e| format!("chunk {}: {e}", chunk.chunk))?;
                    if chunk.units.len() != usize::from(layout.data) + usize::from(layout.parity) {
                        return Err(format!("chunk {} has checksums of {} shards", chunk.chunk, chunk.units.len()));
                    }
                    for (index, units) in chunk.units.iter().enumerate() {
                        if units.0.len() as u64 != layout.units(chunk.stored, index) {
                            return Err(format!("chunk {}, shard {index}: wrong number of checksums", chunk.chunk));
                        }
                    }
                    if chunk.shards.iter().any(|place| usize::from(place.index) >= chunk.units.len()) {
                        return Err(format!("chunk {} has a shard outside its layout", chunk.chunk));
                    }
                }
                Record::Entry(entry) => {
                    if let crate::journal::record::Content::File { size, extents, .. } = &entry.content {
                        let mut at = 0u64;
                        for extent in extents {
                            let end = at.checked_add(extent.length).filter(|_| extent.length > 0);
                            let inside = extent.chunk_offset.checked_add(extent.length).is_some();
                            match end {
                                Some(end) if extent.offset == at && inside => at = end,
                                _ => return Err(format!("the extents of {:?} have gaps", entry.path)),
                            }
                        }
                        if at != *size {
                            return Err(format!("the extents of {:?} cover {at} of {size} bytes", entry.path));
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Head {
    format: u32,
    #[serde(default)]
    requires: Vec<String>,
}

fn unpack(stored: &[u8]) -> Result<Vec<u8>, String> {
    let mut plain = Vec::new();
    let decoder = zstd::stream::read::Decoder::with_buffer(stored).map_err(|e| e.to_string())?;
    decoder.take(COMMIT_BYTES_MAX as u64 + 1).read_to_end(&mut plain).map_err(|e| e.to_string())?;
    if plain.len() > COMMIT_BYTES_MAX {
        return Err(format!("more than {COMMIT_BYTES_MAX} bytes of records"));
    }
    Ok(plain)
}

/// The first 8 bytes of the SHA-256.
fn digest(bytes: &[u8]) -> u64 {
    let sum = ring::digest::digest(&ring::digest::SHA256, bytes);
    sum.as_ref().iter().take(8).fold(0, |n, byte| n << 8 | u64::from(*byte))
}

/// A commit object's name below `commits/`: `{stamp}-{size}-{digest}.json[.zst]`.
///
/// Size and digest are of the object as stored, so that a listing shows truncated objects and
/// reading shows damaged ones. Names sort by stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitName {
    /// The latest stamp of its records.
    pub stamp: Stamp,
    /// The object's size in bytes.
    pub size: u64,
    /// The first 64 bits of the object's SHA-256.
    pub digest: u64,
    /// Whether the JSON is compressed by zstd.
    pub compressed: bool,
}

impl fmt::Display for CommitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.compressed { ".zst" } else { "" };
        write!(f, "{}-{}-{:016x}.json{end}", self.stamp, self.size, self.digest)
    }
}

impl FromStr for CommitName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (stem, compressed) = match text.strip_suffix(".json.zst") {
                Some(stem) => (stem, true),
                None => (text.strip_suffix(".json")?, false),
            };
            let (rest, digest) = stem.rsplit_once('-')?;
            let (stamp, size) = rest.rsplit_once('-')?;
            let name = Self {
                stamp: stamp.parse().ok()?,
                size: size.parse().ok()?,
                digest: u64::from_str_radix(digest, 16).ok()?,
                compressed,
            };
            // One spelling per name: "+5" or capital digits are not it.
            (name.to_string() == text).then_some(name)
        };
        parse().ok_or_else(|| Error::new(ErrorKind::Corrupt, format!("not a commit's name: {text:?}")))
    }
}

impl Serialize for CommitName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CommitName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::WriterId;
    use crate::journal::record::Deleted;
    use crate::path::PoolPath;

    fn sample(records: u32) -> Commit {
        let record = |n| {
            let stamp = Stamp { ms: 1, counter: n, writer: WriterId(3) };
            Record::Deleted(Deleted {
                path: PoolPath::new(&format!("/{n}")).unwrap(),
                stamp,
                of: Stamp::ZERO,
                purge: false,
            })
        };
        Commit::new(PoolId(1), (0..records).map(record).collect())
    }

    #[test]
    fn round_trip_plain_and_compressed() {
        for records in [1, 100] {
            let commit = sample(records);
            let (name, bytes) = commit.encode().unwrap();
            assert_eq!(name.compressed, records > 1);
            assert_eq!(name.to_string().parse::<CommitName>().unwrap(), name);
            assert_eq!(Commit::decode(&name, &bytes).unwrap(), commit);
        }
        assert!(sample(0).encode().is_err());
    }

    #[test]
    fn every_flipped_or_missing_byte_is_noticed() {
        let (name, bytes) = sample(20).encode().unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1;
            assert_eq!(Commit::decode(&name, &damaged).unwrap_err().kind(), ErrorKind::Corrupt);
            assert_eq!(Commit::decode(&name, &bytes[..at]).unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }

    #[test]
    fn a_later_format_is_named() {
        let rename = |bytes: &[u8]| CommitName {
            size: bytes.len() as u64,
            digest: digest(bytes),
            compressed: false,
            ..sample(1).encode().unwrap().0
        };
        let later = br#"{"format":7,"shape":"unknown"}"#;
        let error = Commit::decode(&rename(later), later).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FormatVersion);
        assert!(error.to_string().contains("format 7"), "{error}");
        let feature = br#"{"format":1,"requires":["packs"],"records":[]}"#;
        let error = Commit::decode(&rename(feature), feature).unwrap_err();
        assert!(error.to_string().contains("packs"), "{error}");
    }
}
