//! Which shards lie where, and which files they belong to: what care asks.

use rusqlite::params;

use super::{Index, failed, id_bytes, malformed, query, unsigned};
use crate::error::Result;
use crate::id::{ChunkId, RemoteId};
use crate::journal::record::{Entry, Place};
use crate::path::PoolPath;

/// A row's chunk id.
fn chunk_id(row: &rusqlite::Row<'_>) -> rusqlite::Result<ChunkId> {
    Ok(ChunkId(u128::from_be_bytes(row.get(0)?)))
}

impl Index {
    /// Chunks that a live version refers to, sorted, after `after`, at most `limit`.
    ///
    /// # Errors
    /// Those of the database.
    pub fn live_chunks(&self, after: Option<ChunkId>, limit: usize) -> Result<Vec<ChunkId>> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached(
                "SELECT chunk FROM chunks WHERE chunk > ? AND EXISTS (SELECT 1 FROM refs, live
                   WHERE refs.chunk = chunks.chunk AND live.version = refs.version
                   AND live.path = (SELECT path FROM versions WHERE id = refs.version))
                 ORDER BY chunk LIMIT ?",
            )
            .map_err(failed)?;
        let after = after.map(|chunk| id_bytes(chunk.0).to_vec()).unwrap_or_default();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![after, limit], chunk_id).map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    /// Whether any version, live or not, refers to a chunk.
    ///
    /// # Errors
    /// Those of the database.
    pub fn is_referred(&self, chunk: ChunkId) -> Result<bool> {
        self.lock()
            .prepare_cached("SELECT 1 FROM refs WHERE chunk = ?")
            .and_then(|mut s| s.exists([id_bytes(chunk.0)]))
            .map_err(failed)
    }

    /// The paths whose live version refers to a chunk.
    ///
    /// # Errors
    /// Those of the database.
    pub fn paths_of(&self, chunk: ChunkId) -> Result<Vec<PoolPath>> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached(
                "SELECT live.path FROM refs, versions, live WHERE refs.chunk = ? AND versions.id = refs.version
                 AND live.path = versions.path AND live.version = versions.id ORDER BY live.path",
            )
            .map_err(failed)?;
        let rows = statement.query_map([id_bytes(chunk.0)], |row| row.get::<_, String>(0)).map_err(failed)?;
        rows.map(|path| PoolPath::new(&path.map_err(failed)?)).collect()
    }

    /// Every version that refers to a chunk, the latest `rev` of each (path, stamp).
    ///
    /// # Errors
    /// Those of the database.
    pub fn versions_of(&self, chunk: ChunkId) -> Result<Vec<Entry>> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached(
                "SELECT DISTINCT body FROM refs, versions WHERE refs.chunk = ?1 AND versions.id = refs.version
                 AND NOT EXISTS (SELECT 1 FROM versions AS later WHERE later.path = versions.path
                   AND later.stamp = versions.stamp
                   AND (later.rev > versions.rev OR (later.rev = versions.rev AND later.body > versions.body)))
                 ORDER BY versions.path, versions.stamp",
            )
            .map_err(failed)?;
        let rows = statement.query_map([id_bytes(chunk.0)], |row| row.get::<_, Vec<u8>>(0)).map_err(failed)?;
        rows.map(|body| serde_json::from_slice(&body.map_err(failed)?).map_err(malformed)).collect()
    }

    /// The chunks some shard of which lies (or lay) on a remote, sorted.
    ///
    /// # Errors
    /// Those of the database.
    pub fn chunks_on(&self, remote: RemoteId) -> Result<Vec<ChunkId>> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached("SELECT DISTINCT chunk FROM shards WHERE remote = ? ORDER BY chunk")
            .map_err(failed)?;
        let rows = statement.query_map([id_bytes(remote.0)], chunk_id).map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    /// Shard objects that another object stands for by a later record, whose own object may still be there.
    ///
    /// # Errors
    /// Those of the database.
    pub fn replaced_places(&self) -> Result<Vec<(ChunkId, Place)>> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached(
                "SELECT idx, copy, remote, nonce, chunk FROM shards WHERE EXISTS (SELECT 1 FROM shards AS later
                   WHERE later.chunk = shards.chunk AND later.idx = shards.idx AND later.copy = shards.copy
                   AND (later.stamp, later.nonce) > (shards.stamp, shards.nonce)) ORDER BY chunk, idx, copy",
            )
            .map_err(failed)?;
        let rows = statement
            .query_map([], |row| Ok((ChunkId(u128::from_be_bytes(row.get(4)?)), query::place(row)?)))
            .map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)
    }
}

impl Index {
    /// How many shards of chunks that are marked for deletion, and that no file shows, count as lying on a remote.
    ///
    /// # Errors
    /// Those of the database.
    pub fn shards_of_marked(&self, remote: RemoteId) -> Result<u64> {
        self.lock()
            .query_row(
                "SELECT count(*) FROM shards, marks WHERE shards.remote = ? AND marks.chunk = shards.chunk
                   AND NOT EXISTS (SELECT 1 FROM refs, versions, live
                     WHERE refs.chunk = marks.chunk AND versions.id = refs.version
                       AND live.path = versions.path AND live.version = versions.id)",
                [id_bytes(remote.0)],
                |row| Ok(unsigned(row.get(0)?)),
            )
            .map_err(failed)
    }
}

/// A chunk as balancing sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The chunk.
    pub chunk: ChunkId,
    /// How many of its shard indices are enough to read it.
    pub data: usize,
    /// Where its shards count as lying, each with its bytes.
    pub shards: Vec<(Place, u64)>,
}

impl Index {
    /// Chunks that nobody marked for deletion, or that a file shows all the same, with the places that count, sorted, after `after`, at most `limit`.
    ///
    /// # Errors
    /// Those of the database.
    pub fn placed(&self, after: Option<ChunkId>, limit: usize) -> Result<Vec<Placed>> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached(
                "SELECT idx, copy, remote, nonce, page.chunk, size, data FROM shards JOIN (
                   SELECT chunk, json_extract(CAST(body AS TEXT), '$.layout.data') AS data FROM chunks
                   WHERE chunk > ?1 AND (NOT EXISTS (SELECT 1 FROM marks WHERE marks.chunk = chunks.chunk) OR EXISTS (SELECT 1 FROM refs, versions, live
                     WHERE refs.chunk = chunks.chunk AND versions.id = refs.version
                       AND live.path = versions.path AND live.version = versions.id))
                     AND EXISTS (SELECT 1 FROM shards WHERE shards.chunk = chunks.chunk)
                   ORDER BY chunk LIMIT ?2) AS page USING(chunk)
                 ORDER BY page.chunk, idx, copy, stamp, nonce",
            )
            .map_err(failed)?;
        let after = after.map(|chunk| id_bytes(chunk.0).to_vec()).unwrap_or_default();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement
            .query_map(params![after, limit], |row| {
                let chunk = ChunkId(u128::from_be_bytes(row.get(4)?));
                Ok((chunk, query::place(row)?, unsigned(row.get(5)?), row.get::<_, u8>(6)?))
            })
            .map_err(failed)?;
        let mut found: Vec<Placed> = Vec::new();
        for row in rows {
            let (chunk, place, size, data) = row.map_err(failed)?;
            if found.last().is_none_or(|last| last.chunk != chunk) {
                found.push(Placed { chunk, data: data.into(), shards: Vec::new() });
            }
            let Some(last) = found.last_mut() else { continue };
            // Sorted by stamp: the last of each (index, copy) counts.
            match last.shards.last_mut() {
                Some(one) if (one.0.index, one.0.copy) == (place.index, place.copy) => *one = (place, size),
                _ => last.shards.push((place, size)),
            }
        }
        Ok(found)
    }
}
