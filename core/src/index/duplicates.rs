//! Where content lies already, by its SHA-256.

use std::collections::{BTreeMap, HashMap};

use rusqlite::params;

use super::{Index, failed, id_bytes, malformed, signed, unsigned};
use crate::error::Result;
use crate::id::{ChunkId, Sha256};
use crate::journal::record::Entry;

/// How much of what files hold lies in the same place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sharing {
    /// Bytes of the files that chunks hold, one by one.
    pub logical: u64,
    /// Bytes of these that lie in different places.
    pub unique: u64,
}

impl Index {
    /// Makes the look-up of parts of chunks fast. Whoever does not look for duplicates need not keep this.
    ///
    /// # Errors
    /// Those of the database.
    pub fn look_for_duplicates(&self) -> Result<()> {
        self.lock()
            .execute_batch("CREATE INDEX IF NOT EXISTS refs_sum ON refs(sum) WHERE sum IS NOT NULL")
            .map_err(failed)
    }

    /// Whether there is a chunk of so many plain bytes.
    ///
    /// # Errors
    /// Those of the database.
    pub fn has_chunk_of(&self, size: u64) -> Result<bool> {
        self.lock()
            .prepare_cached("SELECT 1 FROM chunks WHERE size = ?")
            .and_then(|mut s| s.exists([signed(size)]))
            .map_err(failed)
    }

    /// The chunks with this content that are not marked for deletion, those that a version refers to first.
    ///
    /// # Errors
    /// Those of the database.
    pub fn chunks_with(&self, sha256: &Sha256, size: u64) -> Result<Vec<ChunkId>> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached(
                "SELECT chunk FROM chunks WHERE size = ?1 AND sha256 = ?2
                 AND NOT EXISTS (SELECT 1 FROM marks WHERE marks.chunk = chunks.chunk)
                 ORDER BY NOT EXISTS (SELECT 1 FROM refs WHERE refs.chunk = chunks.chunk), chunk",
            )
            .map_err(failed)?;
        let rows = statement
            .query_map(params![signed(size), sha256.0], |row| Ok(ChunkId(u128::from_be_bytes(row.get(0)?))))
            .map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    /// Where this content lies, as all or a part of a chunk, by the versions whose only extent it is; what is marked
    /// for deletion is left out.
    ///
    /// # Errors
    /// Those of the database.
    pub fn places_with(&self, sha256: &Sha256, length: u64) -> Result<Vec<(ChunkId, u64)>> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached(
                "SELECT body FROM refs, versions WHERE sum = ?1 AND length = ?2 AND versions.id = refs.version
                 AND NOT EXISTS (SELECT 1 FROM marks WHERE marks.chunk = refs.chunk) ORDER BY refs.chunk, version",
            )
            .map_err(failed)?;
        let rows = statement
            .query_map(params![short(sha256), signed(length)], |row| row.get::<_, Vec<u8>>(0))
            .map_err(failed)?;
        let mut found = Vec::new();
        for body in rows {
            let entry: Entry = serde_json::from_slice(&body.map_err(failed)?).map_err(malformed)?;
            if let [only] = entry.content.extents()
                && (only.sha256, only.length) == (*sha256, length)
                && !found.contains(&(only.chunk, only.chunk_offset))
            {
                found.push((only.chunk, only.chunk_offset));
            }
        }
        Ok(found)
    }

    /// Whether a shard object of a chunk is known to be damaged.
    ///
    /// # Errors
    /// Those of the database.
    pub fn is_damaged(&self, chunk: ChunkId) -> Result<bool> {
        self.lock()
            .prepare_cached("SELECT 1 FROM findings WHERE chunk = ?")
            .and_then(|mut s| s.exists([id_bytes(chunk.0)]))
            .map_err(failed)
    }

    /// How much of what the pool shows lies in the same place.
    ///
    /// # Errors
    /// Those of the database.
    pub fn sharing(&self) -> Result<Sharing> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("SELECT version, size FROM live WHERE kind = 1").map_err(failed)?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, unsigned(row.get(1)?)))).map_err(failed)?;
        let mut sizes: HashMap<i64, u64> = rows.collect::<rusqlite::Result<_>>().map_err(failed)?;
        // In the order they lie in, so a chunk's come together.
        let mut statement =
            connection.prepare_cached("SELECT chunk, version, at, length FROM refs ORDER BY chunk").map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let (mut sharing, mut last, mut parts) = (Sharing::default(), [0; 16], BTreeMap::<u64, u64>::new());
        while let Some(row) = rows.next().map_err(failed)? {
            // A file of several chunks is counted with the first.
            let Some(size) = sizes.get_mut(&row.get::<_, i64>(1).map_err(failed)?) else { continue };
            sharing.logical += std::mem::take(size);
            let chunk: [u8; 16] = row.get(0).map_err(failed)?;
            if chunk != last {
                sharing.unique += std::mem::take(&mut parts).into_values().sum::<u64>();
                last = chunk;
            }
            let (at, length) = (unsigned(row.get(2).map_err(failed)?), unsigned(row.get(3).map_err(failed)?));
            let longest = parts.entry(at).or_default();
            *longest = length.max(*longest);
        }
        sharing.unique += parts.into_values().sum::<u64>();
        // Other software may lay files differently; a saving is never negative.
        sharing.logical = sharing.logical.max(sharing.unique);
        Ok(sharing)
    }
}

/// What stands for a digest in the index: enough to leave few others.
pub(super) fn short(sum: &Sha256) -> i64 {
    sum.0.iter().take(8).fold(0, |n, byte| n << 8 | i64::from(*byte))
}
