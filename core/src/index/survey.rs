//! Reading all chunks and files in order, a page at a time, without the parts that care has no use for.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params};
use serde::Deserialize;

use super::query::{below, place};
use super::{Index, failed, id_bytes, malformed, unsigned};
use crate::error::Result;
use crate::id::ChunkId;
use crate::journal::record::Place;
use crate::path::PoolPath;
use crate::stage::layout::Layout;

/// A version of a path, as this index numbers it; void once the index is made anew.
pub type VersionId = i64;

/// What a chunk is, without its checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Shape {
    /// How the stored stream is spread.
    pub layout: Layout,
    /// Bytes of the stored stream.
    pub stored: u64,
}

/// A chunk that some version refers to.
#[derive(Debug, Clone, PartialEq)]
pub struct Surveyed {
    /// The chunk.
    pub chunk: ChunkId,
    /// What it is; `None` while its record is in no commit this index has read.
    pub shape: Option<Shape>,
    /// The present places of its shards, by index and copy.
    pub places: Vec<Place>,
    /// The versions that refer to it.
    pub versions: Vec<VersionId>,
}

/// A file the pool shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveFile {
    /// Its path.
    pub path: PoolPath,
    /// The version it shows.
    pub version: VersionId,
    /// Its length in bytes.
    pub size: u64,
}

impl Index {
    /// The chunks that versions refer to, sorted, after `after`, at most `limit`.
    ///
    /// # Errors
    /// Those of the database.
    pub fn survey(&self, after: Option<ChunkId>, limit: usize) -> Result<Vec<Surveyed>> {
        let connection = self.lock();
        let from = after.map(|chunk| id_bytes(chunk.0).to_vec()).unwrap_or_default();
        let mut found: Vec<Surveyed> = Vec::new();
        let mut refs = connection
            .prepare_cached("SELECT chunk, version FROM refs WHERE chunk > ? ORDER BY chunk, version")
            .map_err(failed)?;
        let mut rows = refs.query([&from]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let chunk = ChunkId(u128::from_be_bytes(row.get(0).map_err(failed)?));
            let version = row.get(1).map_err(failed)?;
            let full = found.len() == limit;
            match found.last_mut().filter(|last| last.chunk == chunk) {
                Some(last) => last.versions.push(version),
                None if full => break,
                None => found.push(Surveyed { chunk, shape: None, places: Vec::new(), versions: vec![version] }),
            }
        }
        let Some(last) = found.last() else { return Ok(found) };
        let to = id_bytes(last.chunk.0);
        let mut bodies = connection
            .prepare_cached("SELECT chunk, body FROM chunks WHERE chunk > ? AND chunk <= ? ORDER BY chunk")
            .map_err(failed)?;
        let mut rows = bodies.query(params![from, to]).map_err(failed)?;
        let mut at = 0;
        while let Some(row) = rows.next().map_err(failed)? {
            let chunk = ChunkId(u128::from_be_bytes(row.get(0).map_err(failed)?));
            if let Some(surveyed) = seek(&mut found, &mut at, chunk) {
                let body = row.get_ref(1).map_err(failed)?.as_bytes().map_err(|e| failed(e.into()))?;
                surveyed.shape = Some(serde_json::from_slice(body).map_err(malformed)?);
            }
        }
        let mut shards = connection
            .prepare_cached(
                "SELECT idx, copy, remote, nonce, chunk FROM shards WHERE chunk > ? AND chunk <= ?
                 ORDER BY chunk, idx, copy, stamp, nonce",
            )
            .map_err(failed)?;
        let mut rows = shards.query(params![from, to]).map_err(failed)?;
        let mut at = 0;
        while let Some(row) = rows.next().map_err(failed)? {
            let chunk = ChunkId(u128::from_be_bytes(row.get(4).map_err(failed)?));
            if let Some(surveyed) = seek(&mut found, &mut at, chunk) {
                merge(&mut surveyed.places, place(row).map_err(failed)?);
            }
        }
        Ok(found)
    }

    /// These chunks, in the order asked for; those that no version refers to are left out.
    ///
    /// # Errors
    /// Those of the database.
    pub fn survey_of(&self, chunks: &[ChunkId]) -> Result<Vec<Surveyed>> {
        let connection = self.lock();
        let mut refs = connection.prepare_cached("SELECT version FROM refs WHERE chunk = ?").map_err(failed)?;
        let mut bodies = connection.prepare_cached("SELECT body FROM chunks WHERE chunk = ?").map_err(failed)?;
        let mut shards = connection
            .prepare_cached(
                "SELECT idx, copy, remote, nonce FROM shards WHERE chunk = ? ORDER BY idx, copy, stamp, nonce",
            )
            .map_err(failed)?;
        let mut found = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            let key = id_bytes(chunk.0);
            let versions = refs.query_map([key], |row| row.get(0)).map_err(failed)?;
            let versions: Vec<VersionId> = versions.collect::<rusqlite::Result<_>>().map_err(failed)?;
            if versions.is_empty() {
                continue;
            }
            let body: Option<Vec<u8>> = bodies.query_row([key], |row| row.get(0)).optional().map_err(failed)?;
            let shape = body.map(|body| serde_json::from_slice(&body)).transpose().map_err(malformed)?;
            let mut places = Vec::new();
            for row in shards.query_map([key], place).map_err(failed)? {
                merge(&mut places, row.map_err(failed)?);
            }
            found.push(Surveyed { chunk: *chunk, shape, places, versions });
        }
        Ok(found)
    }

    /// The versions that the files at and below `scope` show, with their lengths in bytes.
    ///
    /// # Errors
    /// Those of the database.
    pub fn live_versions(&self, scope: &PoolPath) -> Result<BTreeMap<VersionId, u64>> {
        let (from, to) = below(scope);
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached(
                "SELECT version, size FROM live WHERE path = ? AND kind = 1
                 UNION ALL SELECT version, size FROM live WHERE path > ? AND path < ? AND kind = 1",
            )
            .map_err(failed)?;
        let rows = statement
            .query_map(params![scope.as_str(), from, to], |row| Ok((row.get(0)?, unsigned(row.get(1)?))))
            .map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    /// Files at and below `scope`, sorted by path, after `after`, at most `limit`.
    ///
    /// # Errors
    /// Those of the database.
    pub fn live_files(&self, scope: &PoolPath, after: Option<&PoolPath>, limit: usize) -> Result<Vec<LiveFile>> {
        let (from, to) = below(scope);
        // The path itself sorts before all below it.
        let (own, from) = match after {
            None => (scope.as_str(), from),
            Some(after) if after == scope => ("", from),
            Some(after) => ("", after.as_str().to_owned()),
        };
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached(
                "SELECT path, version, size FROM live WHERE path = ?1 AND kind = 1
                 UNION ALL SELECT path, version, size FROM live WHERE path > ?2 AND path < ?3 AND kind = 1
                 ORDER BY path LIMIT ?4",
            )
            .map_err(failed)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement
            .query_map(params![own, from, to, limit], |row| {
                Ok((row.get::<_, String>(0)?, row.get(1)?, unsigned(row.get(2)?)))
            })
            .map_err(failed)?;
        rows.map(|row| {
            let (path, version, size) = row.map_err(failed)?;
            Ok(LiveFile { path: PoolPath::new(&path)?, version, size })
        })
        .collect()
    }
}

/// The entry of a chunk, in a list sorted as the chunks come.
fn seek<'a>(found: &'a mut [Surveyed], at: &mut usize, chunk: ChunkId) -> Option<&'a mut Surveyed> {
    while found.get(*at).is_some_and(|surveyed| surveyed.chunk < chunk) {
        *at += 1;
    }
    found.get_mut(*at).filter(|surveyed| surveyed.chunk == chunk)
}

/// Rows are sorted by stamp: the last of each (index, copy) counts.
fn merge(places: &mut Vec<Place>, place: Place) {
    match places.last_mut() {
        Some(last) if (last.index, last.copy) == (place.index, place.copy) => *last = place,
        _ => places.push(place),
    }
}
