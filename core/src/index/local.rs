//! What only this machine knows, and the journal's bookkeeping.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{OptionalExtension, params};

use super::{Index, failed, id_bytes, malformed};
use crate::error::Result;
use crate::id::{ChunkId, Nonce, RemoteId, Stamp};
use crate::journal::commit::CommitName;
use crate::journal::record::{Dropped, Entry, Place};
use crate::path::PoolPath;

/// What the index knows of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownCommit {
    /// Its records count.
    Applied,
    /// Its records count, as one of several commits of an operation: these stay together.
    Joined,
    /// It waits for the other commits of its operation.
    Waiting,
    /// Another commit stands for it.
    Superseded,
}

/// The mark on a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Will be dropped unless referred to.
    Condemned,
    /// Gone for ever.
    Dropped,
    /// An object it was put in is being deleted.
    Astray,
    /// Put where another remote turned out to lie. Only the writer knows; the journal says nothing of it.
    Misplaced,
}

impl Index {
    /// Every commit this index has seen, and every name an applied commit supersedes.
    ///
    /// # Errors
    /// Those of the database.
    pub fn known_commits(&self) -> Result<BTreeMap<CommitName, KnownCommit>> {
        let connection = self.lock();
        let mut known = BTreeMap::new();
        let mut statement = connection
            .prepare_cached("SELECT name, 2 FROM superseded UNION ALL SELECT name, state FROM commits")
            .map_err(failed)?;
        let rows =
            statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))).map_err(failed)?;
        for row in rows {
            let (name, state) = row.map_err(failed)?;
            let state = match state {
                0 => KnownCommit::Applied,
                1 => KnownCommit::Waiting,
                3 => KnownCommit::Joined,
                _ => KnownCommit::Superseded,
            };
            known.insert(name.parse()?, state);
        }
        Ok(known)
    }

    /// For each of these that is superseded, the commit that its records stand in now: one that no other
    /// supersedes.
    ///
    /// # Errors
    /// Those of the database.
    pub fn results(&self, names: impl IntoIterator<Item = CommitName>) -> Result<BTreeMap<CommitName, CommitName>> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("SELECT result FROM superseded WHERE name = ?").map_err(failed)?;
        let mut found = BTreeMap::new();
        for name in names {
            let (mut last, mut passed) = (name, BTreeSet::new());
            // Names are digests, so nothing but malice leads in a circle.
            while passed.insert(last) {
                let row = statement.query_row([last.to_string()], |row| row.get::<_, String>(0)).optional();
                match row.map_err(failed)? {
                    Some(result) => last = result.parse()?,
                    None => break,
                }
            }
            if last != name {
                found.insert(name, last);
            }
        }
        Ok(found)
    }

    /// The latest stamp of all commits seen.
    ///
    /// # Errors
    /// Those of the database.
    pub fn latest_stamp(&self) -> Result<Stamp> {
        // Names sort by stamp.
        let name: Option<String> =
            self.lock().query_row("SELECT max(name) FROM commits", [], |row| row.get(0)).map_err(failed)?;
        Ok(name.map(|n| n.parse::<CommitName>()).transpose()?.map_or(Stamp::ZERO, |n| n.stamp))
    }

    /// The commits this machine saw on a remote and did not delete there.
    ///
    /// # Errors
    /// Those of the database.
    pub fn held(&self, remote: RemoteId) -> Result<BTreeSet<CommitName>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT name FROM held WHERE remote = ?").map_err(failed)?;
        let rows = statement.query_map([id_bytes(remote.0)], |row| row.get::<_, String>(0)).map_err(failed)?;
        rows.map(|name| name.map_err(failed)?.parse()).collect()
    }

    /// As [`Index::held`], for all remotes.
    ///
    /// # Errors
    /// Those of the database.
    pub fn held_by_all(&self) -> Result<BTreeMap<RemoteId, BTreeSet<CommitName>>> {
        self.copies("SELECT remote, name FROM held")
    }

    /// The copies of commits that this machine found corrupt.
    ///
    /// # Errors
    /// Those of the database.
    pub fn spoiled(&self) -> Result<BTreeMap<RemoteId, BTreeSet<CommitName>>> {
        self.copies("SELECT remote, name FROM spoiled")
    }

    fn copies(&self, sql: &str) -> Result<BTreeMap<RemoteId, BTreeSet<CommitName>>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(sql).map_err(failed)?;
        let rows = statement
            .query_map([], |row| Ok((RemoteId(u128::from_be_bytes(row.get(0)?)), row.get::<_, String>(1)?)))
            .map_err(failed)?;
        let mut copies = BTreeMap::<RemoteId, BTreeSet<CommitName>>::new();
        for row in rows {
            let (remote, name) = row.map_err(failed)?;
            copies.entry(remote).or_default().insert(name.parse()?);
        }
        Ok(copies)
    }

    /// Notes that a remote's copies of these commits are corrupt.
    ///
    /// # Errors
    /// Those of the database.
    pub fn note_spoiled<'a>(&self, remote: RemoteId, names: impl IntoIterator<Item = &'a CommitName>) -> Result<()> {
        self.all(names, |db, name| {
            db.prepare_cached("INSERT OR IGNORE INTO spoiled(remote, name) VALUES(?, ?)")?
                .execute(params![id_bytes(remote.0), name.to_string()])
        })
    }

    /// Forgets copies that are good, or gone.
    ///
    /// # Errors
    /// Those of the database.
    pub fn forget_spoiled<'a>(&self, remote: RemoteId, names: impl IntoIterator<Item = &'a CommitName>) -> Result<()> {
        self.all(names, |db, name| {
            db.prepare_cached("DELETE FROM spoiled WHERE remote = ? AND name = ?")?
                .execute(params![id_bytes(remote.0), name.to_string()])
        })
    }

    /// The commit that brought the version a path shows.
    ///
    /// # Errors
    /// Those of the database.
    pub fn commit_of(&self, path: &PoolPath) -> Result<Option<CommitName>> {
        let name: Option<String> = self
            .lock()
            .prepare_cached(
                "SELECT name FROM commits WHERE first <= (SELECT version FROM live WHERE path = ?)
                 ORDER BY first DESC LIMIT 1",
            )
            .and_then(|mut s| s.query_row([path.as_str()], |row| row.get(0)).optional())
            .map_err(failed)?;
        name.map(|name| name.parse()).transpose()
    }

    /// Notes which commits a remote holds, and which it does not hold any more.
    ///
    /// # Errors
    /// Those of the database.
    pub fn note_held<'a>(
        &self,
        remote: RemoteId,
        there: impl IntoIterator<Item = &'a CommitName>,
        gone: impl IntoIterator<Item = &'a CommitName>,
    ) -> Result<()> {
        let mut connection = self.lock();
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(failed)?;
        for (sql, names) in [
            ("INSERT OR IGNORE INTO held(remote, name) VALUES(?, ?)", there.into_iter().collect::<Vec<_>>()),
            ("DELETE FROM held WHERE remote = ? AND name = ?", gone.into_iter().collect()),
        ] {
            let mut statement = transaction.prepare_cached(sql).map_err(failed)?;
            for name in names {
                statement.execute(params![id_bytes(remote.0), name.to_string()]).map_err(failed)?;
            }
        }
        transaction.commit().map_err(failed)
    }

    /// The marks on these chunks; unmarked ones are left out.
    ///
    /// # Errors
    /// Those of the database.
    pub fn marks(&self, chunks: impl IntoIterator<Item = ChunkId>) -> Result<BTreeMap<ChunkId, Mark>> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("SELECT dropped IS NOT NULL FROM marks WHERE chunk = ?").map_err(failed)?;
        let mut marks = BTreeMap::new();
        for chunk in chunks {
            let dropped: Option<bool> =
                statement.query_row([id_bytes(chunk.0)], |row| row.get(0)).optional().map_err(failed)?;
            if let Some(dropped) = dropped {
                marks.insert(chunk, if dropped { Mark::Dropped } else { Mark::Condemned });
            }
        }
        Ok(marks)
    }

    /// Whether a shard object is dropped by itself.
    ///
    /// # Errors
    /// Those of the database.
    pub fn is_dropped(&self, chunk: ChunkId, nonce: Nonce) -> Result<bool> {
        self.lock()
            .prepare_cached("SELECT 1 FROM dropped_objects WHERE chunk = ? AND nonce = ?")
            .and_then(|mut s| s.exists(params![id_bytes(chunk.0), nonce.0.to_be_bytes()]))
            .map_err(failed)
    }

    /// Whether a record names an object, not dropped, for the shard that `place` is of.
    ///
    /// # Errors
    /// Those of the database.
    pub fn has_place(&self, chunk: ChunkId, place: &Place) -> Result<bool> {
        self.lock()
            .prepare_cached("SELECT 1 FROM shards WHERE chunk = ? AND idx = ? AND copy = ?")
            .and_then(|mut s| s.exists(params![id_bytes(chunk.0), place.index, place.copy]))
            .map_err(failed)
    }

    /// Every version of a path that a commit in force holds, latest first, void ones included.
    ///
    /// # Errors
    /// Those of the database.
    pub fn versions(&self, path: &PoolPath) -> Result<Vec<Entry>> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached(
                "SELECT DISTINCT body FROM versions WHERE path = ? ORDER BY stamp DESC, rev DESC, body DESC",
            )
            .map_err(failed)?;
        let rows = statement.query_map([path.as_str()], |row| row.get::<_, Vec<u8>>(0)).map_err(failed)?;
        rows.map(|body| serde_json::from_slice(&body.map_err(failed)?).map_err(malformed)).collect()
    }

    /// The dropped shard objects of a chunk.
    ///
    /// # Errors
    /// Those of the database.
    pub fn dropped_objects(&self, chunk: ChunkId) -> Result<Vec<Dropped>> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("SELECT body FROM dropped_objects WHERE chunk = ?").map_err(failed)?;
        let rows = statement.query_map([id_bytes(chunk.0)], |row| row.get::<_, Vec<u8>>(0)).map_err(failed)?;
        rows.map(|body| serde_json::from_slice(&body.map_err(failed)?).map_err(malformed)).collect()
    }

    /// A value kept for the user of the index.
    ///
    /// # Errors
    /// Those of the database.
    pub fn meta(&self, key: &str) -> Result<Option<String>> {
        self.lock()
            .query_row("SELECT value FROM meta WHERE key = ?", [key], |row| row.get(0))
            .optional()
            .map_err(failed)
    }

    /// Keeps a value.
    ///
    /// # Errors
    /// Those of the database.
    pub fn set_meta(&self, key: &str, value: &str) -> Result<()> {
        self.lock()
            .execute("INSERT OR REPLACE INTO meta(key, value) VALUES(?, ?)", [key, value])
            .map(drop)
            .map_err(failed)
    }

    /// What an interrupted upload of `source` had stored: a text for each number.
    ///
    /// # Errors
    /// Those of the database.
    pub fn resumable(&self, source: &str) -> Result<BTreeMap<u64, String>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT n, body FROM resume WHERE source = ?").map_err(failed)?;
        let rows = statement
            .query_map([source], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))
            .map_err(failed)?;
        rows.map(|row| row.map(|(n, body)| (u64::try_from(n).unwrap_or(0), body)).map_err(failed)).collect()
    }

    /// Keeps what an upload has stored so far.
    ///
    /// # Errors
    /// Those of the database.
    pub fn keep_resumable(&self, source: &str, n: u64, body: &str) -> Result<()> {
        self.lock()
            .prepare_cached("INSERT OR REPLACE INTO resume(source, n, body) VALUES(?, ?, ?)")
            .and_then(|mut s| s.execute(params![source, i64::try_from(n).unwrap_or(i64::MAX), body]))
            .map(drop)
            .map_err(failed)
    }

    /// Forgets what an upload had stored.
    ///
    /// # Errors
    /// Those of the database.
    pub fn forget_resumable(&self, source: &str) -> Result<()> {
        self.lock().execute("DELETE FROM resume WHERE source = ?", [source]).map(drop).map_err(failed)
    }
}
