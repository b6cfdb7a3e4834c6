//! What must stay: the versions that count or may count again, those in the trash, and the chunks that they
//! and uploads under way refer to. Computed from the records themselves, never from marks alone.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use rusqlite::{Connection, OptionalExtension, params};

use super::{Index, Mark, failed, id_bytes, malformed, query, stamp_from, unsigned};
use crate::env::Moment;
use crate::error::Result;
use crate::id::{ChunkId, Nonce, RemoteId, Stamp};
use crate::journal::commit::CommitName;
use crate::journal::record::{Entry, Place};
use crate::path::PoolPath;

/// By what measure things are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    /// The present.
    pub now: Moment,
    /// How long killed versions are kept, in milliseconds.
    pub trash_ms: u64,
    /// How long an upload keeps its chunks after it was renewed last, in milliseconds.
    pub upload_ms: u64,
    /// Whether a version whose chunk is condemned hides nothing.
    pub shadow: bool,
}

/// What put a version into the trash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Killer {
    /// Its path was deleted, or moved.
    Deleted,
    /// A newer version took its place.
    Overwritten,
}

/// Why a version is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Its path shows it.
    Shown,
    /// It will count again if newer ones turn out void: their chunks are condemned.
    Beneath,
    /// It is in the trash, since a moment.
    Trashed(Killer, Moment),
}

/// A version and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lot {
    /// Its row.
    pub id: i64,
    /// Its path.
    pub path: String,
    /// Its stamp.
    pub stamp: Stamp,
    /// Why it is kept; `None` when it is not.
    pub kept: Option<Kept>,
    /// Whether one of its chunks is condemned.
    pub condemned: bool,
}

/// What the journal says of a shard object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectState {
    /// It, or its chunk, is dropped.
    Dropped,
    /// It is where a shard is.
    Current,
    /// It is where a shard was before it moved to this place.
    Older(Place),
    /// No record names it.
    Unnamed,
}

/// The index at one instant, with the chunks that must stay.
pub(crate) struct Census<'a> {
    pub(super) db: &'a Connection,
    keep: Keep,
    /// The chunks that must stay.
    pub live: HashSet<ChunkId>,
}

impl Index {
    /// Lets `work` look at the index as it is at one instant.
    ///
    /// # Errors
    /// Those of the database and of `work`.
    pub(crate) fn census<T>(&self, keep: &Keep, work: impl FnOnce(&Census<'_>) -> Result<T>) -> Result<T> {
        let connection = self.lock();
        // Reads only: one snapshot, whatever other processes write meanwhile.
        let snapshot = connection.unchecked_transaction().map_err(failed)?;
        let mut census = Census { db: &snapshot, keep: *keep, live: HashSet::new() };
        census.find_live()?;
        work(&census)
    }

    /// What becomes of the versions of one path, the newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) fn lots(&self, keep: &Keep, path: &PoolPath) -> Result<Vec<Lot>> {
        let mut lots = Vec::new();
        scan(&self.lock(), keep, Some(path.as_str()), |lot| {
            lots.push(lot);
            Ok(())
        })?;
        Ok(lots)
    }

    /// How many versions lie in the trash, and their bytes.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) fn trash_totals(&self, keep: &Keep) -> Result<(u64, u64)> {
        let (db, mut versions, mut bytes) = (self.lock(), 0, 0);
        if keep.trash_ms > 0 {
            scan(&db, keep, None, |lot| {
                if matches!(lot.kept, Some(Kept::Trashed(..))) {
                    versions += 1;
                    bytes += entry(&db, lot.id)?.content.size();
                }
                Ok(())
            })?;
        }
        Ok((versions, bytes))
    }

    /// The version of a row.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) fn version(&self, id: i64) -> Result<Entry> {
        entry(&self.lock(), id)
    }

    /// Whether an upload was renewed less than `grace_ms` ago and has not ended.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) fn has_uploads(&self, now: &Moment, grace_ms: u64) -> Result<bool> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached(
                "SELECT wall_ms, boot_id, boot_ms FROM uploads JOIN sights ON sights.id = uploads.seen WHERE NOT ended",
            )
            .map_err(failed)?;
        let mut rows = statement.query_map([], super::findings::moment).map_err(failed)?;
        rows.try_fold(false, |any, seen| Ok(any || now.since(&seen?) < grace_ms)).map_err(failed)
    }
}

impl Census<'_> {
    fn find_live(&mut self) -> Result<()> {
        let mut kept = HashSet::new();
        self.versions(|lot| {
            if lot.kept.is_some() {
                kept.insert(lot.id);
            }
            Ok(())
        })?;
        let needed = self.each(
            "SELECT chunk, version FROM refs",
            |row| Ok((chunk(row, 0)?, row.get::<_, i64>(1)?)),
            |(chunk, version)| kept.contains(&version).then_some(chunk),
        )?;
        self.live.extend(needed);
        let (now, upload_ms) = (self.keep.now, self.keep.upload_ms);
        let uploads = self.each(
            "SELECT wall_ms, boot_id, boot_ms, chunk FROM uploads JOIN sights ON sights.id = uploads.seen
             JOIN upload_chunks USING(upload) WHERE NOT ended",
            |row| Ok((super::findings::moment(row)?, chunk(row, 3)?)),
            |(seen, chunk)| (now.since(&seen) < upload_ms).then_some(chunk),
        )?;
        self.live.extend(uploads);
        Ok(())
    }

    fn each<R, T>(
        &self,
        sql: &str,
        read: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<R>,
        pick: impl Fn(R) -> Option<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.db.prepare_cached(sql).map_err(failed)?;
        let rows = statement.query_map([], read).map_err(failed)?;
        rows.filter_map(|row| row.map(&pick).transpose()).collect::<rusqlite::Result<_>>().map_err(failed)
    }

    /// What becomes of every version, by path, the newest first.
    ///
    /// # Errors
    /// Those of the database and of `each`.
    pub fn versions(&self, each: impl FnMut(Lot) -> Result<()>) -> Result<()> {
        scan(self.db, &self.keep, None, each)
    }

    /// The version of a row.
    ///
    /// # Errors
    /// Those of the database.
    pub fn entry(&self, id: i64) -> Result<Entry> {
        entry(self.db, id)
    }

    /// Calls `each` with the remote and the bytes of every object that records name for a chunk.
    ///
    /// # Errors
    /// Those of the database.
    pub fn sizes(&self, chunk: ChunkId, mut each: impl FnMut(RemoteId, u64)) -> Result<()> {
        let mut statement =
            self.db.prepare_cached("SELECT remote, size FROM shards WHERE chunk = ?").map_err(failed)?;
        let rows = statement
            .query_map([id_bytes(chunk.0)], |row| {
                Ok((RemoteId(u128::from_be_bytes(row.get(0)?)), unsigned(row.get(1)?)))
            })
            .map_err(failed)?;
        for row in rows {
            let (remote, bytes) = row.map_err(failed)?;
            each(remote, bytes);
        }
        Ok(())
    }

    /// Whether what a path shows refers to the chunk.
    ///
    /// # Errors
    /// Those of the database.
    pub fn is_shown(&self, chunk: ChunkId) -> Result<bool> {
        self.db
            .prepare_cached("SELECT 1 FROM refs JOIN live USING(version) WHERE chunk = ?")
            .and_then(|mut s| s.exists([id_bytes(chunk.0)]))
            .map_err(failed)
    }

    /// The chunks whose records are here and which nobody needs.
    ///
    /// # Errors
    /// Those of the database.
    pub fn garbage(&self) -> Result<Vec<ChunkId>> {
        self.each("SELECT chunk FROM chunks", |row| chunk(row, 0), |c| (!self.live.contains(&c)).then_some(c))
    }

    /// Every chunk that is condemned and not dropped.
    ///
    /// # Errors
    /// Those of the database.
    pub fn condemned(&self) -> Result<Vec<ChunkId>> {
        self.each("SELECT chunk FROM marks WHERE dropped IS NULL", |row| chunk(row, 0), Some)
    }

    /// The mark on a chunk.
    ///
    /// # Errors
    /// Those of the database.
    pub fn mark(&self, chunk: ChunkId) -> Result<Option<Mark>> {
        let dropped = self
            .db
            .prepare_cached("SELECT dropped IS NOT NULL FROM marks WHERE chunk = ?")
            .and_then(|mut s| s.query_row([id_bytes(chunk.0)], |row| row.get::<_, bool>(0)).optional())
            .map_err(failed)?;
        Ok(dropped.map(|dropped| if dropped { Mark::Dropped } else { Mark::Condemned }))
    }

    /// Whether the record of a chunk is here.
    ///
    /// # Errors
    /// Those of the database.
    pub fn is_known(&self, chunk: ChunkId) -> Result<bool> {
        self.db
            .prepare_cached("SELECT 1 FROM chunks WHERE chunk = ?")
            .and_then(|mut s| s.exists([id_bytes(chunk.0)]))
            .map_err(failed)
    }

    /// What the journal says of a shard object.
    ///
    /// # Errors
    /// Those of the database.
    pub fn object(&self, chunk: ChunkId, nonce: Nonce) -> Result<ObjectState> {
        let key = params![id_bytes(chunk.0), nonce.0.to_be_bytes()];
        let is_dropped = self
            .db
            .prepare_cached("SELECT 1 FROM dropped_objects WHERE chunk = ? AND nonce = ?")
            .and_then(|mut s| s.exists(key))
            .map_err(failed)?;
        if is_dropped || self.mark(chunk)? == Some(Mark::Dropped) {
            return Ok(ObjectState::Dropped);
        }
        let places = self.places(chunk)?;
        let Some((_, place)) = places.iter().find(|(_, place)| place.nonce == nonce) else {
            return Ok(ObjectState::Unnamed);
        };
        let same = |other: &&(Stamp, Place)| (other.1.index, other.1.copy) == (place.index, place.copy);
        // Sorted by stamp: the last of each (index, copy) counts.
        let current = places.iter().rfind(same).map_or(*place, |(_, place)| *place);
        let current = if current.nonce == nonce { None } else { Some(current) };
        Ok(current.map_or(ObjectState::Current, ObjectState::Older))
    }

    /// Every shard and where it is, as the newest record says.
    ///
    /// # Errors
    /// Those of the database.
    pub fn current_places(&self, mut each: impl FnMut(ChunkId, &Place)) -> Result<()> {
        let mut statement = self
            .db
            .prepare_cached(
                "SELECT idx, copy, remote, nonce, chunk FROM shards ORDER BY chunk, idx, copy, stamp, nonce",
            )
            .map_err(failed)?;
        let rows = statement.query_map([], |row| Ok((chunk(row, 4)?, query::place(row)?))).map_err(failed)?;
        let mut last: Option<(ChunkId, Place)> = None;
        for row in rows {
            let (chunk, place) = row.map_err(failed)?;
            if let Some((before, old)) = last.replace((chunk, place))
                && (before, old.index, old.copy) != (chunk, place.index, place.copy)
            {
                each(before, &old);
            }
        }
        if let Some((chunk, place)) = last {
            each(chunk, &place);
        }
        Ok(())
    }

    /// Every place a record names of a chunk's shards, older ones first.
    fn places(&self, chunk: ChunkId) -> Result<Vec<(Stamp, Place)>> {
        let mut statement = self
            .db
            .prepare_cached("SELECT idx, copy, remote, nonce, stamp FROM shards WHERE chunk = ? ORDER BY stamp, nonce")
            .map_err(failed)?;
        let rows = statement
            .query_map([id_bytes(chunk.0)], |row| Ok((stamp_from(row.get_ref(4)?.as_blob()?), query::place(row)?)))
            .map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    /// The commits whose records this is made of.
    ///
    /// # Errors
    /// Those of the database.
    pub fn commits(&self) -> Result<BTreeSet<CommitName>> {
        let names = self.each("SELECT name FROM commits WHERE state IN (0, 3)", |row| row.get::<_, String>(0), Some)?;
        names.iter().map(|name| name.parse()).collect()
    }

    /// What waits on this machine, and since when ([`Index::note_waits`]).
    ///
    /// # Errors
    /// Those of the database.
    pub fn waits(&self) -> Result<BTreeMap<Vec<u8>, Moment>> {
        super::waits::all(self.db)
    }

    /// The chunks that uploads can be resumed with on this machine.
    ///
    /// # Errors
    /// Those of the database.
    pub fn resumable(&self) -> Result<HashSet<ChunkId>> {
        let texts = self.each("SELECT body FROM resume", |row| row.get::<_, String>(0), Some)?;
        let read = |text: &String| serde_json::from_str::<Resumable>(text).ok().map(|r| r.0.chunk);
        Ok(texts.iter().filter_map(read).collect())
    }
}

fn entry(db: &Connection, id: i64) -> Result<Entry> {
    let body: Vec<u8> = db
        .prepare_cached("SELECT body FROM versions WHERE id = ?")
        .and_then(|mut s| s.query_row([id], |row| row.get(0)))
        .map_err(failed)?;
    serde_json::from_slice(&body).map_err(malformed)
}

/// The beginning of what an upload keeps of a chunk it stored.
#[derive(serde::Deserialize)]
struct Resumable(ResumableChunk, #[allow(dead_code, reason = "the text has two parts")] serde_json::Value);

#[derive(serde::Deserialize)]
struct ResumableChunk {
    chunk: ChunkId,
}

fn chunk(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<ChunkId> {
    Ok(ChunkId(u128::from_be_bytes(row.get(column)?)))
}

pub(super) const VERSIONS: &str = "
SELECT seen.wall_ms, seen.boot_id, seen.boot_ms, killed.wall_ms, killed.boot_id, killed.boot_ms,
       v.id, v.path, v.stamp, d.of, d.purge,
       (SELECT max(CASE WHEN m.dropped IS NOT NULL THEN 2 ELSE 1 END) FROM refs JOIN marks m USING(chunk)
        WHERE refs.version = v.id)
FROM versions v JOIN sights seen ON seen.id = v.seen
LEFT JOIN deleted d ON d.path = v.path LEFT JOIN sights killed ON killed.id = d.seen";
const NEWEST_FIRST: &str = "ORDER BY v.path, v.stamp DESC, v.rev DESC, v.body DESC";

/// Walks the versions of one path or of all, the newest first.
fn scan(db: &Connection, keep: &Keep, path: Option<&str>, mut each: impl FnMut(Lot) -> Result<()>) -> Result<()> {
    let only = if path.is_some() { "WHERE v.path = ?" } else { "" };
    let mut statement = db.prepare_cached(&format!("{VERSIONS} {only} {NEWEST_FIRST}")).map_err(failed)?;
    let mut rows = statement.query(rusqlite::params_from_iter(path)).map_err(failed)?;
    let mut walk = Walk::new(String::new());
    while let Some(row) = rows.next().map_err(failed)? {
        let (path, version) = read(row).map_err(failed)?;
        if path != walk.path {
            walk = Walk::new(path);
        }
        let kept = walk.judge(keep, &version);
        let Version { id, stamp, condemned, .. } = version;
        each(Lot { id, path: walk.path.clone(), stamp, kept, condemned })?;
    }
    Ok(())
}

struct Version {
    id: i64,
    stamp: Stamp,
    seen: Moment,
    void: bool,
    condemned: bool,
    /// (kills up to, for good, since)
    deletion: Option<(Stamp, bool, Moment)>,
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<(String, Version)> {
    let of: Option<Vec<u8>> = row.get(9)?;
    let deletion = match of {
        Some(of) => {
            let since = Moment {
                wall_ms: unsigned(row.get(3)?),
                boot_id: u128::from_be_bytes(row.get(4)?),
                boot_ms: unsigned(row.get(5)?),
            };
            Some((stamp_from(&of), row.get(10)?, since))
        }
        None => None,
    };
    let mark: Option<i64> = row.get(11)?;
    let version = Version {
        id: row.get(6)?,
        stamp: stamp_from(row.get_ref(8)?.as_blob()?),
        seen: super::findings::moment(row)?,
        void: mark == Some(2),
        condemned: mark == Some(1),
        deletion,
    };
    Ok((row.get(7)?, version))
}

/// The way down through the versions of one path.
struct Walk {
    path: String,
    /// Whether nothing above counts for sure.
    open: bool,
    /// The version above this one that is not void.
    above: Option<(Stamp, Moment)>,
}

impl Walk {
    fn new(path: String) -> Self {
        Self { path, open: true, above: None }
    }

    fn judge(&mut self, keep: &Keep, version: &Version) -> Option<Kept> {
        if version.void {
            return None;
        }
        let deletion = version.deletion.filter(|(of, ..)| version.stamp <= *of);
        let above = self.above.replace((version.stamp, version.seen));
        if deletion.is_none() && self.open {
            // A version whose chunk is condemned may yet turn out void.
            self.open = version.condemned && keep.shadow;
            return Some(if above.is_none() { Kept::Shown } else { Kept::Beneath });
        }
        self.open = false;
        let (killer, killed) = match (above, deletion) {
            // The same version as the one above, before care wrote it anew.
            (Some((stamp, _)), _) if stamp == version.stamp => return None,
            // When it was killed nobody need know: not later than what is above it was seen.
            (Some((_, seen)), _) => (Killer::Overwritten, seen),
            (None, Some((.., since))) => (Killer::Deleted, since),
            (None, None) => return None,
        };
        let purged = deletion.is_some_and(|(_, purge, _)| purge);
        let fresh = keep.now.since(&killed) < keep.trash_ms;
        (fresh && !purged).then_some(Kept::Trashed(killer, killed))
    }
}
