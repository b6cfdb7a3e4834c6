//! Records: the facts a commit states, in the JSON that FORMAT.md specifies.
//!
//! Field order is the order of the structs here; with sorted maps nowhere and no floats but the
//! weights, the same record always has the same bytes ([`canonical`]).

use serde::{Deserialize, Serialize};

use crate::id::{ChunkId, Nonce, OperationId, PoolId, RemoteId, Sha256, Stamp};
use crate::path::PoolPath;
use crate::redundancy::Redundancy;
use crate::stage::compress::Compression;
use crate::stage::layout::Layout;
use crate::stage::place::Strategy;
use crate::stage::transform::Applied;

/// The largest file kept in its manifest, in bytes.
pub const INLINE_BYTES_MAX: u64 = 4096;

/// One fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The pool's settings that every machine must agree on.
    Pool(PoolRecord),
    /// A member of the pool.
    Remote(RemoteRecord),
    /// A version of what a path holds; with file content, the file's manifest.
    Entry(Entry),
    /// A path's deletion.
    Deleted(Deleted),
    /// A chunk and where its shards were put.
    Chunk(ChunkRecord),
    /// A new place of one shard.
    Shard(ShardRecord),
    /// An upload under way, which keeps its chunks.
    Upload(UploadRecord),
    /// A chunk that will be dropped unless a live entry refers to it after the grace.
    Condemned(Condemned),
    /// A chunk or shard object that is gone for ever.
    Dropped(Dropped),
}

impl Record {
    /// The record's stamp.
    pub fn stamp(&self) -> Stamp {
        match self {
            Self::Pool(r) => r.stamp,
            Self::Remote(r) => r.stamp,
            Self::Entry(r) => r.stamp,
            Self::Deleted(r) => r.stamp,
            Self::Chunk(r) => r.stamp,
            Self::Shard(r) => r.stamp,
            Self::Upload(r) => r.stamp,
            Self::Condemned(r) => r.stamp,
            Self::Dropped(r) => r.stamp,
        }
    }

    /// The features without which a commit of this record cannot be understood.
    pub fn requires(&self) -> &'static [&'static str] {
        let Self::Chunk(chunk) = self else { return &[] };
        match (&chunk.compression, chunk.transforms.is_empty()) {
            (None, true) => &[],
            (Some(Compression::Zstd { .. }), true) => &["zstd"],
            (Some(Compression::Zstd { .. }), false) => &["plugins", "zstd"],
            _ => &["plugins"],
        }
    }

    /// The features a commit of this record uses.
    pub fn uses(&self) -> &'static [&'static str] {
        match self {
            Self::Pool(r) if r.trash_hours > 0 => &["trash"],
            Self::Deleted(r) if r.purge => &["trash"],
            Self::Entry(r) if !r.properties.is_empty() => &["properties"],
            _ => &[],
        }
    }

    /// Gives the record its stamp; done once, when its commit is made.
    pub fn set_stamp(&mut self, stamp: Stamp) {
        match self {
            Self::Pool(r) => r.stamp = stamp,
            Self::Remote(r) => r.stamp = stamp,
            Self::Entry(r) => r.stamp = stamp,
            Self::Deleted(r) => r.stamp = stamp,
            Self::Chunk(r) => r.stamp = stamp,
            Self::Shard(r) => r.stamp = stamp,
            Self::Upload(r) => r.stamp = stamp,
            Self::Condemned(r) => r.stamp = stamp,
            Self::Dropped(r) => r.stamp = stamp,
        }
    }
}

/// The bytes that break a tie between two records of one stamp.
pub fn canonical<T: Serialize>(record: &T) -> Vec<u8> {
    serde_json::to_vec(record).expect("records serialize: their maps have string keys")
}

/// What every machine that cares for the pool obeys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PoolRecord {
    /// The pool.
    pub pool: PoolId,
    /// When this record was made.
    pub stamp: Stamp,
    /// When the pool was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// The redundancy of new files.
    pub redundancy: Redundancy,
    /// The size of new chunks, in bytes.
    pub chunk_size: u64,
    /// How remotes are chosen.
    pub strategy: Strategy,
    /// Where shards lie on every remote.
    pub data_prefix: String,
    /// The configured W, where it is above the rule's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_quorum: Option<u32>,
    /// How long deleted and overwritten versions stay restorable, in hours; 0: not at all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub trash_hours: u64,
}

/// Where a remote stands in its membership. It only ever moves down this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemoteState {
    /// Holds every commit, but quorums must hold without it too.
    Joining,
    /// A full member.
    Active,
    /// Takes no new data.
    Draining,
    /// On its way out: quorums must hold with and without it.
    Leaving,
    /// Gone for good; its id is never accepted again.
    Removed,
}

/// A member of the pool and its placement settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemoteRecord {
    /// The id in its marker.
    pub remote: RemoteId,
    /// When this record was made.
    pub stamp: Stamp,
    /// What the configuration that added it called it; for people, never for finding it.
    pub label: String,
    /// Its membership.
    pub state: RemoteState,
    /// Its share of new data relative to the others.
    pub weight: f64,
    /// Higher is used first.
    pub priority: i64,
    /// The bytes the pool may use on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<u64>,
    /// Remotes of one domain are expected to die together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
}

/// A version of what a path holds. Versions of a path are ordered by (stamp, rev, bytes).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The path.
    pub path: PoolPath,
    /// When the user's operation made it; care keeps it.
    pub stamp: Stamp,
    /// Raised by care (re-encoding, packing), which never touches the stamp.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rev: u64,
    /// Modification time in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// When it was put into the pool, in milliseconds since 1970.
    pub created_ms: u64,
    /// Whether the file is executable.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
    /// MIME type, where the writer knew one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// What WebDAV clients noted about it, in no particular order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<Property>,
    /// What the path holds.
    pub content: Content,
}

/// A WebDAV dead property: kept for clients, never looked into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Property {
    /// The URI of its name's namespace; empty for none.
    pub namespace: String,
    /// Its name in the namespace.
    pub name: String,
    /// The whole element, with all the namespace declarations it needs.
    pub xml: String,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// What a path holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// A file whose bytes are in chunks.
    File {
        /// Its length in bytes.
        size: u64,
        /// The chunk size it was cut with, in bytes.
        chunk_size: u64,
        /// Its bytes, in order, without gaps.
        extents: Vec<Extent>,
        /// Digests of the whole file, where `file_hashes` asked for them.
        #[serde(default, skip_serializing_if = "FileHashes::is_empty")]
        hashes: FileHashes,
    },
    /// A small file, kept here.
    Inline {
        /// SHA-256 of the bytes.
        sha256: Sha256,
        /// The bytes, in base64.
        #[serde(with = "base64_bytes")]
        data: Vec<u8>,
    },
    /// A symbolic link.
    Link {
        /// Where it points, verbatim.
        target: String,
    },
    /// A directory that exists without anything in it.
    Directory {},
}

impl Content {
    /// The length of a file in bytes; 0 for everything else.
    pub fn size(&self) -> u64 {
        match self {
            Self::File { size, .. } => *size,
            Self::Inline { data, .. } => data.len() as u64,
            Self::Link { .. } | Self::Directory {} => 0,
        }
    }

    /// The extents; none for what is not a file in chunks.
    pub fn extents(&self) -> &[Extent] {
        match self {
            Self::File { extents, .. } => extents,
            _ => &[],
        }
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self, Self::Directory {})
    }
}

/// Digests of a whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHashes {
    /// SHA-256, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// MD5, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
    /// SHA-1, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha1: Option<String>,
}

impl FileHashes {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}

/// A run of a file's bytes and where it lies in a chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// Where it begins in the file.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// SHA-256 of its bytes.
    pub sha256: Sha256,
    /// The chunk it lies in.
    pub chunk: ChunkId,
    /// Where it begins in the chunk's plain bytes.
    pub chunk_offset: u64,
}

/// A deletion: kills the versions of the path up to the one it saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deleted {
    /// The path.
    pub path: PoolPath,
    /// When it was deleted.
    pub stamp: Stamp,
    /// The stamp of the version it saw.
    pub of: Stamp,
    /// Whether what it kills is not to stay restorable.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub purge: bool,
}

/// A chunk. Its size, layout and checksums never change; its shards' places may ([`ShardRecord`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkRecord {
    /// The chunk.
    pub chunk: ChunkId,
    /// When this record was made.
    pub stamp: Stamp,
    /// Plain bytes.
    pub size: u64,
    /// Bytes of the stored stream, which the layout spreads; equal to `size` without compression.
    pub stored: u64,
    /// SHA-256 of the plain bytes, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256>,
    /// How the stored stream is compressed; `None`: it is the plain bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// What plugins did to the frames of the stored stream, in the order they did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transforms: Vec<Applied>,
    /// How the stored stream is spread.
    pub layout: Layout,
    /// CRC-32C of every stripe unit, per shard index.
    pub units: Vec<UnitChecksums>,
    /// Where the shards were put.
    pub shards: Vec<Place>,
}

/// The CRC-32C of each unit of one shard, in order; base64 of little-endian 32-bit words in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnitChecksums(#[serde(with = "crate::stage::stripe::crc_list")] pub Vec<u32>);

/// Where one copy of one shard lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The shard's index: data shards first, then parity.
    pub index: u8,
    /// Which copy of it.
    pub copy: u8,
    /// The remote.
    pub remote: RemoteId,
    /// Names the put.
    pub nonce: Nonce,
}

/// A new place of one copy of one shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardRecord {
    /// The chunk.
    pub chunk: ChunkId,
    /// When this record was made.
    pub stamp: Stamp,
    /// The place.
    pub place: Place,
}

/// An upload under way; its chunks are live until it went unrenewed for a grace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadRecord {
    /// The upload.
    pub upload: OperationId,
    /// When this record was made.
    pub stamp: Stamp,
    /// Whether it ended, with success or without.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
    /// The chunks it stored since its last record.
    pub chunks: Vec<ChunkId>,
}

/// The first mark of a chunk on its way to deletion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condemned {
    /// The chunk.
    pub chunk: ChunkId,
    /// When it was marked.
    pub stamp: Stamp,
}

/// The final mark: what refers to the chunk (or shard object) is void.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// The chunk.
    pub chunk: ChunkId,
    /// When it was marked.
    pub stamp: Stamp,
    /// The one shard object that is meant; the whole chunk without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Place>,
}

mod base64_bytes {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map_err(serde::de::Error::custom)
    }
}
