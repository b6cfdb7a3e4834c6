//! Reading the merged state.

use rusqlite::{OptionalExtension, params};

use super::{Index, failed, id_bytes, malformed, unsigned};
use crate::env::Moment;
use crate::error::Result;
use crate::id::{ChunkId, Nonce, RemoteId};
use crate::journal::record::{ChunkRecord, Deleted, Entry, Place, PoolRecord, RemoteRecord};
use crate::path::PoolPath;

/// A chunk as it stands: what it is, and where its shards are now.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// What it is; `record.shards` holds the merged places.
    pub record: ChunkRecord,
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Its path.
    pub path: PoolPath,
    /// What it holds; `None` for a directory that exists only because something lies in it.
    pub entry: Option<Entry>,
    /// Whether other paths lie below it.
    pub has_children: bool,
}

impl Listed {
    /// Whether it is a directory and nothing else.
    pub fn is_directory(&self) -> bool {
        self.entry.as_ref().is_none_or(|entry| entry.content.is_directory())
    }
}

/// What the pool keeps on one remote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoteUse {
    /// Shard objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// How many rows a listing reads at a time.
const BATCH: usize = 512;

impl Index {
    /// What the path holds.
    ///
    /// # Errors
    /// Those of the database.
    pub fn entry(&self, path: &PoolPath) -> Result<Option<Entry>> {
        let body: Option<Vec<u8>> = self
            .lock()
            .prepare_cached("SELECT body FROM live, versions WHERE live.path = ? AND versions.id = live.version")
            .and_then(|mut s| s.query_row([path.as_str()], |row| row.get(0)).optional())
            .map_err(failed)?;
        body.map(|b| serde_json::from_slice(&b)).transpose().map_err(malformed)
    }

    /// Whether anything lies below the path.
    ///
    /// # Errors
    /// Those of the database.
    pub fn has_children(&self, path: &PoolPath) -> Result<bool> {
        let (from, to) = below(path);
        self.lock()
            .prepare_cached("SELECT 1 FROM live WHERE path > ? AND path < ?")
            .and_then(|mut s| s.exists([from, to]))
            .map_err(failed)
    }

    /// Live entries below `directory` at any depth, sorted by path, after `after`, at most `limit`.
    ///
    /// # Errors
    /// Those of the database.
    pub fn entries_below(&self, directory: &PoolPath, after: Option<&PoolPath>, limit: usize) -> Result<Vec<Entry>> {
        let (from, to) = below(directory);
        let from = after.map_or(from, |path| path.as_str().to_owned());
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached(
                "SELECT body FROM live, versions WHERE live.path > ? AND live.path < ? AND versions.id = live.version
                 ORDER BY live.path LIMIT ?",
            )
            .map_err(failed)?;
        let rows = statement
            .query_map(params![from, to, i64::try_from(limit).unwrap_or(i64::MAX)], |row| row.get::<_, Vec<u8>>(0))
            .map_err(failed)?;
        rows.map(|body| serde_json::from_slice(&body.map_err(failed)?).map_err(malformed)).collect()
    }

    /// What lies directly in `directory`, sorted by name.
    ///
    /// Costs one lookup per sub-directory and one row per file, however large the sub-directories are.
    ///
    /// # Errors
    /// Those of the database.
    pub fn children(&self, directory: &PoolPath) -> Result<Vec<Listed>> {
        let (mut from, to) = below(directory);
        let prefix_len = from.len();
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached(
                "SELECT live.path, body FROM live, versions WHERE live.path >= ? AND live.path < ?
                 AND versions.id = live.version ORDER BY live.path LIMIT ?",
            )
            .map_err(failed)?;
        let mut found: Vec<Listed> = Vec::new();
        // After a sub-directory was met, a few rows find the next one; among files, many.
        let mut batch = BATCH;
        'batches: loop {
            let limit = i64::try_from(batch).unwrap_or(i64::MAX);
            let mut rows = statement.query(params![from, to, limit]).map_err(failed)?;
            let mut count = 0;
            while let Some(row) = rows.next().map_err(failed)? {
                count += 1;
                let path = row.get_ref(0).map_err(failed)?.as_str().map_err(|e| failed(e.into()))?;
                let rest = path.get(prefix_len..).unwrap_or_default();
                if let Some((name, _)) = rest.split_once('/') {
                    let child = format!("{}{name}", &path[..prefix_len]);
                    found.push(Listed { path: PoolPath::new(&child)?, entry: None, has_children: true });
                    from = child + "0"; // the first path behind everything below the sub-directory
                    batch = 16;
                    continue 'batches;
                }
                let body = row.get_ref(1).map_err(failed)?.as_bytes().map_err(|e| failed(e.into()))?;
                let entry: Entry = serde_json::from_slice(body).map_err(malformed)?;
                from = format!("{path}\0"); // the first path behind this one
                found.push(Listed { path: entry.path.clone(), entry: Some(entry), has_children: false });
            }
            if count < batch {
                break;
            }
            batch = BATCH;
        }
        // A path that has an entry and children was found twice.
        found.sort_by(|a, b| (&a.path, a.has_children).cmp(&(&b.path, b.has_children)));
        found.dedup_by(|later, earlier| {
            let same = later.path == earlier.path;
            earlier.has_children |= same && later.has_children;
            same
        });
        Ok(found)
    }

    /// A chunk with the present places of its shards.
    ///
    /// # Errors
    /// Those of the database.
    pub fn chunk(&self, chunk: ChunkId) -> Result<Option<Chunk>> {
        let connection = self.lock();
        let body: Option<Vec<u8>> = connection
            .prepare_cached("SELECT body FROM chunks WHERE chunk = ?")
            .and_then(|mut s| s.query_row([id_bytes(chunk.0)], |row| row.get(0)).optional())
            .map_err(failed)?;
        let Some(body) = body else { return Ok(None) };
        let mut record: ChunkRecord = serde_json::from_slice(&body).map_err(malformed)?;
        let mut statement = connection
            .prepare_cached(
                "SELECT idx, copy, remote, nonce FROM shards WHERE chunk = ? ORDER BY idx, copy, stamp, nonce",
            )
            .map_err(failed)?;
        let rows = statement.query_map([id_bytes(chunk.0)], place).map_err(failed)?;
        for row in rows {
            let place = row.map_err(failed)?;
            // Sorted by stamp: the last of each (index, copy) counts.
            match record.shards.last_mut() {
                Some(last) if (last.index, last.copy) == (place.index, place.copy) => *last = place,
                _ => record.shards.push(place),
            }
        }
        Ok(Some(Chunk { record }))
    }

    /// The pool record, once a commit brought it.
    ///
    /// # Errors
    /// Those of the database.
    pub fn pool(&self) -> Result<Option<PoolRecord>> {
        let body: Option<Vec<u8>> =
            self.lock().query_row("SELECT body FROM pool", [], |row| row.get(0)).optional().map_err(failed)?;
        body.map(|b| serde_json::from_slice(&b)).transpose().map_err(malformed)
    }

    /// Every remote that is or was a member.
    ///
    /// # Errors
    /// Those of the database.
    pub fn remotes(&self) -> Result<Vec<RemoteRecord>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT body FROM remotes ORDER BY remote").map_err(failed)?;
        let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).map_err(failed)?;
        rows.map(|body| serde_json::from_slice(&body.map_err(failed)?).map_err(malformed)).collect()
    }

    /// When this machine first saw a remote in its present state.
    ///
    /// # Errors
    /// Those of the database.
    pub fn remote_seen(&self, remote: RemoteId) -> Result<Option<Moment>> {
        self.moment("SELECT seen FROM remotes WHERE remote = ?", &id_bytes(remote.0))
    }

    /// What the pool keeps on each remote.
    ///
    /// # Errors
    /// Those of the database.
    pub fn remote_use(&self) -> Result<Vec<(RemoteId, RemoteUse)>> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached("SELECT remote, count(*), sum(size) FROM shards GROUP BY remote")
            .map_err(failed)?;
        let rows = statement
            .query_map([], |row| {
                let usage = RemoteUse { objects: unsigned(row.get(1)?), bytes: unsigned(row.get(2)?) };
                Ok((RemoteId(u128::from_be_bytes(row.get(0)?)), usage))
            })
            .map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    /// How many files the pool has, and their bytes.
    ///
    /// # Errors
    /// Those of the database.
    pub fn totals(&self) -> Result<(u64, u64)> {
        self.lock()
            .query_row("SELECT count(*), coalesce(sum(size), 0) FROM live WHERE kind = 1", [], |row| {
                Ok((unsigned(row.get(0)?), unsigned(row.get(1)?)))
            })
            .map_err(failed)
    }

    /// Plain and stored bytes of the chunks that are compressed.
    ///
    /// # Errors
    /// Those of the database.
    pub fn compressed_totals(&self) -> Result<(u64, u64)> {
        self.lock()
            .query_row(
                "SELECT coalesce(sum(size), 0), coalesce(sum(stored), 0) FROM chunks WHERE stored < size",
                [],
                |row| Ok((unsigned(row.get(0)?), unsigned(row.get(1)?))),
            )
            .map_err(failed)
    }

    /// The deletion in force for a path.
    ///
    /// # Errors
    /// Those of the database.
    pub fn deleted(&self, path: &PoolPath) -> Result<Option<Deleted>> {
        let row: Option<(Vec<u8>, Vec<u8>, bool)> = self
            .lock()
            .query_row("SELECT of, stamp, purge FROM deleted WHERE path = ?", [path.as_str()], |r| {
                Ok((r.get(0)?, r.get(1)?, r.get(2)?))
            })
            .optional()
            .map_err(failed)?;
        let made = |(of, stamp, purge): (Vec<u8>, Vec<u8>, bool)| Deleted {
            path: path.clone(),
            stamp: super::stamp_from(&stamp),
            of: super::stamp_from(&of),
            purge,
        };
        Ok(row.map(made))
    }
}

pub(super) fn place(row: &rusqlite::Row<'_>) -> rusqlite::Result<Place> {
    Ok(Place {
        index: row.get(0)?,
        copy: row.get(1)?,
        remote: RemoteId(u128::from_be_bytes(row.get(2)?)),
        nonce: Nonce(u64::from_be_bytes(row.get(3)?)),
    })
}

/// The exclusive bounds of the paths below a directory.
pub(super) fn below(directory: &PoolPath) -> (String, String) {
    let from = directory.prefix();
    let mut to = from.clone();
    to.pop();
    to.push('0'); // the character after '/'
    (from, to)
}
