//! What this machine found out about shards: damage that waits for a rebuild, and when chunks were last
//! verified. Known to nobody else, and found again when it is lost.

use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::{Index, failed, id_bytes, note_sight, query, unsigned};
use crate::env::Moment;
use crate::error::Result;
use crate::id::{ChunkId, Nonce};
use crate::journal::record::Place;

/// What is wrong with a shard object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Damage {
    /// Its remote is online and does not hold it.
    Missing,
    /// It is shorter or longer than its record says.
    Truncated,
    /// Some of its units do not match their checksums.
    Corrupt,
}

impl Damage {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Truncated => "truncated",
            Self::Corrupt => "corrupt",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "missing" => Self::Missing,
            "truncated" => Self::Truncated,
            _ => Self::Corrupt,
        }
    }
}

/// A shard object that is not what its record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its chunk.
    pub chunk: ChunkId,
    /// Which shard of it, and where.
    pub place: Place,
    /// What is wrong.
    pub damage: Damage,
}

impl Index {
    /// Notes damaged shard objects; what was known of them before is replaced.
    ///
    /// # Errors
    /// Those of the database.
    pub fn note_damage<'a>(&self, findings: impl IntoIterator<Item = &'a Finding>) -> Result<()> {
        self.all(findings, |db, finding| {
            let (Place { index, copy, remote, nonce }, chunk) = (finding.place, id_bytes(finding.chunk.0));
            db.prepare_cached(
                "INSERT OR REPLACE INTO findings(chunk, nonce, idx, copy, remote, damage) VALUES(?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                chunk,
                nonce.0.to_be_bytes(),
                index,
                copy,
                id_bytes(remote.0),
                finding.damage.as_str()
            ])
        })
    }

    /// Forgets what was found of shard objects that are good, or gone from the journal.
    ///
    /// # Errors
    /// Those of the database.
    pub fn forget_damage(&self, objects: impl IntoIterator<Item = (ChunkId, Nonce)>) -> Result<()> {
        self.all(objects, |db, (chunk, nonce)| {
            db.prepare_cached("DELETE FROM findings WHERE chunk = ? AND nonce = ?")?
                .execute(params![id_bytes(chunk.0), nonce.0.to_be_bytes()])
        })
    }

    /// The damaged shard objects this machine knows of, by chunk.
    ///
    /// # Errors
    /// Those of the database.
    pub fn findings(&self) -> Result<Vec<Finding>> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached("SELECT idx, copy, remote, nonce, chunk, damage FROM findings ORDER BY chunk, idx, copy")
            .map_err(failed)?;
        let rows = statement
            .query_map([], |row| {
                Ok(Finding {
                    place: query::place(row)?,
                    chunk: ChunkId(u128::from_be_bytes(row.get(4)?)),
                    damage: Damage::parse(row.get_ref(5)?.as_str()?),
                })
            })
            .map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    /// Notes that every byte of these chunks was verified `now`.
    ///
    /// # Errors
    /// Those of the database.
    pub fn note_verified(&self, chunks: impl IntoIterator<Item = ChunkId>, now: &Moment) -> Result<()> {
        let sight = note_sight(&self.lock(), now)?;
        self.all(chunks, |db, chunk| {
            db.prepare_cached("INSERT OR REPLACE INTO verified(chunk, seen) VALUES(?, ?)")?
                .execute(params![id_bytes(chunk.0), sight])
        })
    }

    /// Chunks, those never verified first, then those whose verification lies longest back.
    ///
    /// # Errors
    /// Those of the database.
    pub fn longest_unverified(&self, limit: usize) -> Result<Vec<ChunkId>> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached(
                "SELECT chunks.chunk FROM chunks LEFT JOIN verified USING(chunk) ORDER BY seen, chunks.chunk LIMIT ?",
            )
            .map_err(failed)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map([limit], |row| Ok(ChunkId(u128::from_be_bytes(row.get(0)?)))).map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    /// When a chunk was last verified.
    ///
    /// # Errors
    /// Those of the database.
    pub fn last_verified(&self, chunk: ChunkId) -> Result<Option<Moment>> {
        self.moment("SELECT seen FROM verified WHERE chunk = ?", &id_bytes(chunk.0))
    }

    /// The moment a row points to by its `seen`.
    pub(super) fn moment(&self, sql: &str, key: &[u8]) -> Result<Option<Moment>> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached(&format!("SELECT wall_ms, boot_id, boot_ms FROM sights WHERE id = ({sql})"))
            .map_err(failed)?;
        let mut rows = statement.query_map([key], moment).map_err(failed)?;
        rows.next().transpose().map_err(failed)
    }

    /// Does one thing for all of them, in one transaction.
    pub(super) fn all<T>(
        &self,
        items: impl IntoIterator<Item = T>,
        each: impl Fn(&rusqlite::Transaction<'_>, T) -> rusqlite::Result<usize>,
    ) -> Result<()> {
        let mut connection = self.lock();
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(failed)?;
        for item in items {
            each(&transaction, item).map_err(failed)?;
        }
        transaction.commit().map_err(failed)
    }
}

/// Reads the columns `wall_ms, boot_id, boot_ms`.
pub(super) fn moment(row: &rusqlite::Row<'_>) -> rusqlite::Result<Moment> {
    Ok(Moment {
        wall_ms: unsigned(row.get(0)?),
        boot_id: u128::from_be_bytes(row.get(1)?),
        boot_ms: unsigned(row.get(2)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RemoteId;

    fn finding(chunk: u128, nonce: u64, damage: Damage) -> Finding {
        let place = Place { index: 2, copy: 1, remote: RemoteId(7), nonce: Nonce(nonce) };
        Finding { chunk: ChunkId(chunk), place, damage }
    }

    #[test]
    fn findings_are_kept_until_they_are_forgotten() {
        let index = Index::in_memory().unwrap();
        let (first, second) = (finding(1, 10, Damage::Missing), finding(2, 20, Damage::Corrupt));
        index.note_damage([&second, &first]).unwrap();
        let worse = finding(1, 10, Damage::Truncated);
        index.note_damage([&worse]).unwrap();
        assert_eq!(index.findings().unwrap(), [worse, second]);
        index.forget_damage([(ChunkId(2), Nonce(20)), (ChunkId(9), Nonce(9))]).unwrap();
        assert_eq!(index.findings().unwrap(), [worse]);
    }

    #[test]
    fn a_moment_comes_back_as_it_was_noted() {
        let index = Index::in_memory().unwrap();
        let now = Moment { wall_ms: 5, boot_id: u128::MAX, boot_ms: 9 };
        index.note_verified([ChunkId(3)], &now).unwrap();
        assert_eq!(index.last_verified(ChunkId(3)).unwrap(), Some(now));
        assert_eq!(index.last_verified(ChunkId(4)).unwrap(), None);
    }
}
