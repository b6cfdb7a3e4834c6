//! Packs that are mostly garbage.

use std::collections::BTreeMap;
use std::ops::Range;

use rusqlite::OptionalExtension;

use super::live::Census;
use super::{failed, id_bytes, malformed};
use crate::error::Result;
use crate::id::ChunkId;
use crate::journal::record::{ChunkRecord, Entry};
use crate::stage::pack::covered;

/// A chunk of which less than half is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sparse {
    pub chunk: ChunkId,
    /// Its plain bytes.
    pub size: u64,
    /// What of it versions that are kept refer to.
    pub ranges: Vec<Range<u64>>,
}

impl Sparse {
    /// How many bytes are needed.
    pub fn needed(&self) -> u64 {
        covered(self.ranges.iter().cloned())
    }
}

impl Census<'_> {
    /// The chunks of at most `most` bytes of which files that have but one extent are kept, less than half of them.
    ///
    /// # Errors
    /// Those of the database.
    pub fn sparse(&self, most: u64) -> Result<Vec<Sparse>> {
        let mut statement = self
            .db
            .prepare_cached(
                "SELECT body FROM versions WHERE id = ?1 AND (SELECT count(*) FROM refs WHERE version = ?1) = 1",
            )
            .map_err(failed)?;
        let mut needed = BTreeMap::<ChunkId, Vec<Range<u64>>>::new();
        self.versions(|lot| {
            if lot.kept.is_none() || lot.condemned {
                return Ok(());
            }
            let body: Option<Vec<u8>> = statement.query_row([lot.id], |row| row.get(0)).optional().map_err(failed)?;
            let Some(body) = body else { return Ok(()) };
            let entry: Entry = serde_json::from_slice(&body).map_err(malformed)?;
            if let [only] = entry.content.extents() {
                let end = only.chunk_offset.saturating_add(only.length);
                needed.entry(only.chunk).or_default().push(only.chunk_offset..end);
            }
            Ok(())
        })?;
        let mut sparse = Vec::new();
        for (chunk, ranges) in needed {
            if covered(ranges.iter().cloned()) >= most / 2 {
                continue;
            }
            let Some(record) = self.record(chunk)? else { continue };
            let pack = Sparse { chunk, size: record.size, ranges };
            if record.size <= most && pack.needed() < record.size.div_ceil(2) && self.mark(chunk)?.is_none() {
                sparse.push(pack);
            }
        }
        Ok(sparse)
    }

    fn record(&self, chunk: ChunkId) -> Result<Option<ChunkRecord>> {
        let body: Option<Vec<u8>> = self
            .db
            .prepare_cached("SELECT body FROM chunks WHERE chunk = ?")
            .and_then(|mut s| s.query_row([id_bytes(chunk.0)], |row| row.get(0)).optional())
            .map_err(failed)?;
        body.map(|body| serde_json::from_slice(&body).map_err(malformed)).transpose()
    }
}
