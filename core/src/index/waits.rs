//! Since when this machine has seen things that wait for a grace: marks that W remotes hold, and shard objects
//! that no record names. Lost with the index, and then the grace begins anew.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::{Index, failed, note_sight};
use crate::env::Moment;
use crate::error::Result;

impl Index {
    /// Notes what waits since `now`, unless it was noted before, and forgets what does not wait any more.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) fn note_waits<'a>(
        &self,
        new: impl IntoIterator<Item = &'a [u8]>,
        over: impl IntoIterator<Item = &'a [u8]>,
        now: &Moment,
    ) -> Result<()> {
        let mut connection = self.lock();
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(failed)?;
        let mut sight = None;
        for what in new {
            let seen = match sight {
                Some(seen) => seen,
                None => *sight.insert(note_sight(&transaction, now)?),
            };
            transaction
                .prepare_cached("INSERT OR IGNORE INTO waits(what, seen) VALUES(?, ?)")
                .and_then(|mut s| s.execute(params![what, seen]))
                .map_err(failed)?;
        }
        for what in over {
            transaction
                .prepare_cached("DELETE FROM waits WHERE what = ?")
                .and_then(|mut s| s.execute([what]))
                .map_err(failed)?;
        }
        transaction.commit().map_err(failed)
    }
}

pub(super) fn all(db: &Connection) -> Result<BTreeMap<Vec<u8>, Moment>> {
    let mut statement = db
        .prepare_cached("SELECT wall_ms, boot_id, boot_ms, what FROM waits JOIN sights ON sights.id = waits.seen")
        .map_err(failed)?;
    let rows = statement.query_map([], |row| Ok((row.get(3)?, super::findings::moment(row)?))).map_err(failed)?;
    rows.collect::<rusqlite::Result<_>>().map_err(failed)
}
