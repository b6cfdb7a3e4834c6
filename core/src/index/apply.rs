//! Applying commits: the merge of FORMAT.md.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, Transaction, params};

use super::{Index, failed, id_bytes, malformed, note_sight, signed, stamp_bytes};
use crate::env::Moment;
use crate::error::Result;
use crate::id::ChunkId;
use crate::journal::commit::{Commit, CommitName};
use crate::journal::record::{ChunkRecord, Content, Dropped, Entry, Extent, Place, Record, RemoteRecord, canonical};

/// What the index knows of a commit's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Its records are in.
    Applied = 0,
    /// Waits for its closing commit, or for its parts.
    Waiting = 1,
    /// Another one stands for it.
    Superseded = 2,
    /// Its records are in, and it counts only together with others.
    Joined = 3,
}

/// The versions of a path that may be live, the greatest first. Ties are rare, and bodies are not to be read for order.
const GREATEST: &str = "SELECT id, size, kind, stamp, rev FROM versions
     WHERE path = ?1 AND stamp > coalesce((SELECT of FROM deleted WHERE path = ?1), x'')
       AND NOT (?2 AND EXISTS (SELECT 1 FROM refs, marks WHERE refs.version = versions.id
                       AND marks.chunk = refs.chunk AND marks.dropped IS NOT NULL))
     ORDER BY stamp DESC, rev DESC LIMIT 2";
/// Of versions with one stamp and revision the one with the greatest body.
const TIED: &str = "SELECT id, size, kind FROM versions WHERE path = ?1 AND stamp = ?3 AND rev = ?4
       AND NOT (?2 AND EXISTS (SELECT 1 FROM refs, marks WHERE refs.version = versions.id
                       AND marks.chunk = refs.chunk AND marks.dropped IS NOT NULL))
     ORDER BY body DESC LIMIT 1";

impl Index {
    /// Applies commits, in any order, twice or late; all of them or, on an error, none. What they bring is
    /// first seen `now`.
    ///
    /// # Errors
    /// Those of the database.
    pub fn apply<'a>(
        &self,
        commits: impl IntoIterator<Item = (&'a CommitName, &'a Commit)>,
        now: &Moment,
    ) -> Result<()> {
        let mut connection = self.lock();
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(failed)?;
        let void = self.void.load(std::sync::atomic::Ordering::Relaxed);
        let mut merge = Merge { db: &transaction, touched: BTreeSet::new(), void, now: *now, sight: None };
        for (name, commit) in commits {
            merge.commit(name, commit)?;
        }
        merge.close_operations()?;
        merge.void = void && merge.exists("SELECT 1 FROM marks WHERE dropped IS NOT NULL", [])?;
        for path in std::mem::take(&mut merge.touched) {
            merge.resolve(&path)?;
        }
        transaction.commit().map_err(failed)
    }
}

struct Merge<'a> {
    db: &'a Transaction<'a>,
    touched: BTreeSet<String>,
    /// Whether what refers to a dropped chunk is void.
    void: bool,
    now: Moment,
    sight: Option<i64>,
}

impl Merge<'_> {
    fn execute(&self, sql: &str, params: impl rusqlite::Params) -> Result<usize> {
        self.db.prepare_cached(sql).and_then(|mut s| s.execute(params)).map_err(failed)
    }

    fn exists(&self, sql: &str, params: impl rusqlite::Params) -> Result<bool> {
        self.db.prepare_cached(sql).and_then(|mut s| s.exists(params)).map_err(failed)
    }

    /// The present, as the row other rows point to.
    fn sight(&mut self) -> Result<i64> {
        if let Some(id) = self.sight {
            return Ok(id);
        }
        let id = note_sight(self.db, &self.now)?;
        self.sight = Some(id);
        Ok(id)
    }

    fn commit(&mut self, name: &CommitName, commit: &Commit) -> Result<()> {
        let text = name.to_string();
        if self.exists("SELECT 1 FROM commits WHERE name = ?", [&text])? {
            return Ok(());
        }
        if self.exists("SELECT 1 FROM superseded WHERE name = ?", [&text])? {
            let id = self.insert(&text, State::Superseded, None)?;
            for name in &commit.supersedes {
                self.supersede(name, id)?;
            }
        } else if commit.part_of.is_some() || !commit.closes.is_empty() {
            self.insert(&text, State::Waiting, Some(&canonical(commit)))?;
        } else {
            let id = self.insert(&text, State::Applied, None)?;
            self.records(id, commit)?;
        }
        Ok(())
    }

    fn insert(&self, name: &str, state: State, body: Option<&[u8]>) -> Result<i64> {
        self.execute("INSERT INTO commits(name, state, body) VALUES(?, ?, ?)", params![name, state as i64, body])?;
        Ok(self.db.last_insert_rowid())
    }

    /// Applies the operations of several commits whose closing commit and parts are all here.
    fn close_operations(&mut self) -> Result<()> {
        for (name, commit) in self.waiting()? {
            if !commit.closes.is_empty() {
                self.try_close(&name, &commit)?;
            }
        }
        Ok(())
    }

    fn waiting(&self) -> Result<Vec<(CommitName, Commit)>> {
        let mut statement = self.db.prepare_cached("SELECT name, body FROM commits WHERE state = ?").map_err(failed)?;
        let rows = statement
            .query_map([State::Waiting as i64], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?)))
            .map_err(failed)?;
        let mut found = Vec::new();
        for row in rows {
            let (name, body) = row.map_err(failed)?;
            found.push((name.parse()?, serde_json::from_slice(&body).map_err(malformed)?));
        }
        Ok(found)
    }

    fn try_close(&mut self, name: &CommitName, closer: &Commit) -> Result<()> {
        let mut parts = Vec::new();
        for part in &closer.closes {
            let row: Option<(i64, i64, Option<Vec<u8>>)> = self
                .db
                .prepare_cached("SELECT id, state, body FROM commits WHERE name = ?")
                .and_then(|mut s| s.query_row([part.to_string()], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?))).optional())
                .map_err(failed)?;
            match row {
                Some((id, _, Some(body))) => parts.push((id, serde_json::from_slice(&body).map_err(malformed)?)),
                Some((_, _, None)) => {} // its records are in, here or in what superseded it
                None if self.exists("SELECT 1 FROM superseded WHERE name = ?", [part.to_string()])? => {}
                None => return Ok(()),
            }
        }
        let id: i64 = self
            .db
            .query_row("SELECT id FROM commits WHERE name = ?", [name.to_string()], |row| row.get(0))
            .map_err(failed)?;
        for (id, commit) in parts.iter().map(|(id, commit)| (*id, commit)).chain([(id, closer)]) {
            self.execute("UPDATE commits SET state = ?, body = NULL WHERE id = ?", [State::Joined as i64, id])?;
            self.records(id, commit)?;
        }
        Ok(())
    }

    fn records(&mut self, commit_id: i64, commit: &Commit) -> Result<()> {
        let sight = self.sight()?;
        let mut versions: Option<(i64, i64)> = None;
        for record in &commit.records {
            match record {
                Record::Entry(entry) => {
                    // The rows of a commit's versions follow one another.
                    let version = self.entry(entry)?;
                    versions = Some((versions.map_or(version, |(first, _)| first), version));
                }
                Record::Deleted(r) => {
                    let (of, stamp) = (stamp_bytes(r.of), stamp_bytes(r.stamp));
                    self.execute(
                        "INSERT INTO deleted(path, of, stamp, seen, purge) VALUES(?1, ?2, ?3, ?4, ?5)
                         ON CONFLICT DO UPDATE
                         SET of = ?2, stamp = ?3, seen = ?4, purge = ?5 WHERE (?2, ?3) > (of, stamp)",
                        params![r.path.as_str(), of, stamp, sight, r.purge],
                    )?;
                    self.touched.insert(r.path.as_str().into());
                }
                Record::Chunk(chunk) => self.chunk(chunk)?,
                Record::Shard(r) => {
                    let size = self.shard_size(r.chunk, r.place.index)?;
                    self.place(r.chunk, &r.place, r.stamp, size)?;
                }
                Record::Upload(r) => {
                    let upload = id_bytes(r.upload.0);
                    self.execute(
                        "INSERT INTO uploads(upload, stamp, ended, seen) VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE
                         SET stamp = max(stamp, ?2), ended = max(ended, ?3),
                             seen = CASE WHEN ?2 > stamp THEN ?4 ELSE seen END",
                        params![upload, stamp_bytes(r.stamp), r.ended, sight],
                    )?;
                    for chunk in &r.chunks {
                        self.execute(
                            "INSERT OR IGNORE INTO upload_chunks(upload, chunk) VALUES(?, ?)",
                            params![upload, id_bytes(chunk.0)],
                        )?;
                    }
                }
                Record::Condemned(r) => {
                    self.execute(
                        "INSERT INTO marks(chunk, condemned, seen) VALUES(?1, ?2, ?3) ON CONFLICT DO UPDATE
                         SET condemned = min(coalesce(condemned, ?2), ?2)",
                        params![id_bytes(r.chunk.0), stamp_bytes(r.stamp), sight],
                    )?;
                }
                Record::Dropped(r) => self.dropped(r)?,
                Record::Remote(r) => self.remote(r)?,
                Record::Pool(r) => {
                    let body = canonical(r);
                    let old: Option<Vec<u8>> =
                        self.db.query_row("SELECT body FROM pool", [], |row| row.get(0)).optional().map_err(failed)?;
                    let old: Option<crate::journal::record::PoolRecord> =
                        old.map(|b| serde_json::from_slice(&b)).transpose().map_err(malformed)?;
                    if old.is_none_or(|old| (r.stamp, &body) > (old.stamp, &canonical(&old))) {
                        self.execute("INSERT OR REPLACE INTO pool(one, body) VALUES(1, ?)", [body])?;
                    }
                }
            }
        }
        if let Some((first, last)) = versions {
            self.execute("UPDATE commits SET first = ?, last = ? WHERE id = ?", params![first, last, commit_id])?;
        }
        for name in &commit.supersedes {
            self.supersede(name, commit_id)?;
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry) -> Result<i64> {
        let sight = self.sight()?;
        self.execute(
            // A version that compaction brings again was seen before.
            "INSERT INTO versions(path, stamp, rev, size, kind, body, seen) VALUES(?1, ?2, ?3, ?4, ?5, ?6,
             min(?7, coalesce((SELECT min(seen) FROM versions WHERE path = ?1 AND stamp = ?2 AND rev = ?3), ?7)))",
            params![
                entry.path.as_str(),
                stamp_bytes(entry.stamp),
                signed(entry.rev),
                signed(entry.content.size()),
                kind(&entry.content),
                canonical(entry),
                sight
            ],
        )?;
        let version = self.db.last_insert_rowid();
        let extents = entry.content.extents();
        // Only files of one extent share chunks with others part by part.
        let sum = |extent: &Extent| (extents.len() == 1).then(|| super::duplicates::short(&extent.sha256));
        for extent in extents {
            self.execute(
                "INSERT OR IGNORE INTO refs(chunk, version, at, length, sum) VALUES(?, ?, ?, ?, ?)",
                params![
                    id_bytes(extent.chunk.0),
                    version,
                    signed(extent.chunk_offset),
                    signed(extent.length),
                    sum(extent)
                ],
            )?;
        }
        self.touched.insert(entry.path.as_str().into());
        Ok(version)
    }

    /// Notes that the records of `name` stand in the commit with the row `result`, too.
    fn supersede(&mut self, name: &CommitName, result: i64) -> Result<()> {
        let text = name.to_string();
        // Of several results the greatest, whatever came first.
        self.execute(
            "INSERT INTO superseded(name, result) SELECT ?, name FROM commits WHERE id = ?
             ON CONFLICT(name) DO UPDATE SET result = max(result, excluded.result)",
            params![text, result],
        )?;
        let row: Option<(i64, Option<i64>, Option<i64>)> = self
            .db
            .prepare_cached("SELECT id, first, last FROM commits WHERE name = ?")
            .and_then(|mut s| s.query_row([&text], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional())
            .map_err(failed)?;
        let Some((id, first, last)) = row else { return Ok(()) };
        let mut statement =
            self.db.prepare_cached("SELECT path FROM versions WHERE id BETWEEN ? AND ?").map_err(failed)?;
        let paths = statement.query_map([first, last], |row| row.get::<_, String>(0)).map_err(failed)?;
        for path in paths {
            self.touched.insert(path.map_err(failed)?);
        }
        self.execute("DELETE FROM refs WHERE version BETWEEN ? AND ?", [first, last])?;
        self.execute("DELETE FROM versions WHERE id BETWEEN ? AND ?", [first, last])?;
        self.execute(
            // Rows may come to have these numbers again.
            "UPDATE commits SET state = ?, body = NULL, first = NULL, last = NULL WHERE id = ?",
            params![State::Superseded as i64, id],
        )?;
        Ok(())
    }

    fn is_dropped(&self, chunk: ChunkId) -> Result<bool> {
        self.exists("SELECT 1 FROM marks WHERE chunk = ? AND dropped IS NOT NULL", [id_bytes(chunk.0)])
    }

    fn chunk(&self, record: &ChunkRecord) -> Result<()> {
        if self.is_dropped(record.chunk)? {
            return Ok(());
        }
        // What a chunk is never changes, so a row once there need not be compared; places merge apart.
        let mut body = record.clone();
        body.shards.clear();
        self.execute(
            "INSERT INTO chunks(chunk, stamp, body, size, stored, sha256) VALUES(?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET stamp = ?2, body = ?3, size = ?4, stored = ?5, sha256 = ?6
             WHERE (?2, ?3) > (stamp, body)",
            params![
                id_bytes(record.chunk.0),
                stamp_bytes(record.stamp),
                canonical(&body),
                signed(record.size),
                signed(record.stored),
                record.sha256.map(|sum| sum.0)
            ],
        )?;
        for place in &record.shards {
            let size = record.layout.shard_size(record.stored, usize::from(place.index));
            self.place(record.chunk, place, record.stamp, size)?;
        }
        self.sizes(record)
    }

    /// Fills in the sizes of places that came before their chunk.
    fn sizes(&self, record: &ChunkRecord) -> Result<()> {
        for index in 0..record.units.len() {
            let size = signed(record.layout.shard_size(record.stored, index));
            self.execute(
                "UPDATE shards SET size = ? WHERE chunk = ? AND idx = ?",
                params![size, id_bytes(record.chunk.0), signed(index as u64)],
            )?;
        }
        Ok(())
    }

    fn place(&self, chunk: ChunkId, place: &Place, stamp: crate::id::Stamp, size: u64) -> Result<()> {
        let (chunk_id, nonce) = (id_bytes(chunk.0), place.nonce.0.to_be_bytes());
        if self.is_dropped(chunk)?
            || self.void
                && self
                    .exists("SELECT 1 FROM dropped_objects WHERE chunk = ? AND nonce = ?", params![chunk_id, nonce])?
        {
            return Ok(());
        }
        self.execute(
            "INSERT OR IGNORE INTO shards(chunk, idx, copy, stamp, remote, nonce, size) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                chunk_id,
                place.index,
                place.copy,
                stamp_bytes(stamp),
                id_bytes(place.remote.0),
                nonce,
                signed(size)
            ],
        )?;
        Ok(())
    }

    /// A shard's size in bytes; 0 as long as its chunk's record is not here.
    fn shard_size(&self, chunk: ChunkId, index: u8) -> Result<u64> {
        let body: Option<Vec<u8>> = self
            .db
            .prepare_cached("SELECT body FROM chunks WHERE chunk = ?")
            .and_then(|mut s| s.query_row([id_bytes(chunk.0)], |row| row.get(0)).optional())
            .map_err(failed)?;
        let record: Option<ChunkRecord> = body.map(|b| serde_json::from_slice(&b)).transpose().map_err(malformed)?;
        Ok(record.map_or(0, |r| r.layout.shard_size(r.stored, usize::from(index))))
    }

    fn dropped(&mut self, record: &Dropped) -> Result<()> {
        let sight = self.sight()?;
        let chunk = id_bytes(record.chunk.0);
        if let Some(object) = &record.object {
            let nonce = object.nonce.0.to_be_bytes();
            self.execute(
                "INSERT OR IGNORE INTO dropped_objects(chunk, nonce, body) VALUES(?, ?, ?)",
                params![chunk, nonce, canonical(record)],
            )?;
            for forgotten in ["shards", "findings"] {
                self.execute(&format!("DELETE FROM {forgotten} WHERE chunk = ? AND nonce = ?"), params![chunk, nonce])?;
            }
            return Ok(());
        }
        self.execute(
            "INSERT INTO marks(chunk, dropped, seen) VALUES(?1, ?2, ?3) ON CONFLICT DO UPDATE
             SET dropped = min(coalesce(dropped, ?2), ?2)",
            params![chunk, stamp_bytes(record.stamp), sight],
        )?;
        for forgotten in ["chunks", "findings", "verified"] {
            self.execute(&format!("DELETE FROM {forgotten} WHERE chunk = ?"), [chunk])?;
        }
        self.execute("DELETE FROM shards WHERE chunk = ?", [chunk])?;
        let mut statement = self
            .db
            .prepare_cached(
                "SELECT DISTINCT path FROM versions, refs WHERE refs.chunk = ? AND versions.id = refs.version",
            )
            .map_err(failed)?;
        let paths = statement.query_map([chunk], |row| row.get::<_, String>(0)).map_err(failed)?;
        for path in paths {
            self.touched.insert(path.map_err(failed)?);
        }
        Ok(())
    }

    fn remote(&mut self, record: &RemoteRecord) -> Result<()> {
        let key = id_bytes(record.remote.0);
        let old: Option<Vec<u8>> = self
            .db
            .query_row("SELECT body FROM remotes WHERE remote = ?", [key], |row| row.get(0))
            .optional()
            .map_err(failed)?;
        let old: Option<RemoteRecord> = old.map(|b| serde_json::from_slice(&b)).transpose().map_err(malformed)?;
        // Membership only moves on, so the further state wins before the stamp is asked.
        let order = |r: &RemoteRecord| (r.state, r.stamp, canonical(r));
        // A state is as old as its first sight, whatever settings change meanwhile.
        let same_state = old.as_ref().is_some_and(|old| old.state == record.state);
        if old.is_none_or(|old| order(record) > order(&old)) {
            let (body, sight) = (canonical(record), self.sight()?);
            self.execute(
                "INSERT INTO remotes(remote, body, seen) VALUES(?1, ?2, ?3) ON CONFLICT DO UPDATE
                 SET body = ?2, seen = CASE WHEN ?4 THEN seen ELSE ?3 END",
                params![key, body, sight, same_state],
            )?;
        }
        Ok(())
    }

    /// Finds the path's live version anew.
    fn resolve(&self, path: &str) -> Result<()> {
        match self.greatest(path).map_err(failed)? {
            Some((version, size, kind)) => self.execute(
                "INSERT OR REPLACE INTO live(path, version, size, kind) VALUES(?, ?, ?, ?)",
                params![path, version, size, kind],
            )?,
            None => self.execute("DELETE FROM live WHERE path = ?", [path])?,
        };
        Ok(())
    }

    /// The greatest version of a path that is neither deleted nor void: its row, size and kind.
    fn greatest(&self, path: &str) -> rusqlite::Result<Option<(i64, i64, i64)>> {
        let mut statement = self.db.prepare_cached(GREATEST)?;
        let mut rows = statement.query(params![path, self.void])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let found = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (stamp, rev): (Vec<u8>, i64) = (row.get(3)?, row.get(4)?);
        match rows.next()? {
            Some(next) if next.get_ref(3)?.as_blob()? == stamp && next.get::<_, i64>(4)? == rev => {
                self.db.prepare_cached(TIED)?.query_row(params![path, self.void, stamp, rev], |row| {
                    Ok(Some((row.get(0)?, row.get(1)?, row.get(2)?)))
                })
            }
            _ => Ok(Some(found)),
        }
    }
}

fn kind(content: &Content) -> i64 {
    match content {
        Content::Directory {} => 0,
        Content::File { .. } | Content::Inline { .. } => 1,
        Content::Link { .. } => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Planning takes longer than running.
    #[test]
    fn no_statement_is_planned_anew_for_its_values() {
        let index = Index::in_memory().unwrap();
        let connection = index.lock();
        for n in 0..9 {
            let mut statement = connection.prepare_cached(GREATEST).unwrap();
            assert!(!statement.exists(params![n.to_string(), n % 2 == 0]).unwrap());
        }
        let statement = connection.prepare_cached(GREATEST).unwrap();
        assert_eq!(statement.get_status(rusqlite::StatementStatus::RePrepare), 0);
    }
}
