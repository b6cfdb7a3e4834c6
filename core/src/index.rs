//! The merged journal in an embedded database: a cache, which may be deleted at any time.
//!
//! SQLite in WAL mode, so that several processes share one file. What the tables hold is a function
//! of the set of commits applied (`apply`), whatever their order, plus what only this machine
//! knows (`local`): which commits it saw where, and uploads it can resume.

mod apply;
mod duplicates;
mod findings;
mod live;
mod local;
mod lock;
mod query;
mod shards;
mod sparse;
mod spent;
mod survey;
#[cfg(test)]
mod tests;
mod waits;

pub use duplicates::Sharing;
pub use findings::{Damage, Finding};
pub use live::Killer;
pub(crate) use live::{Census, Keep, Kept, Lot, ObjectState};
pub use local::{KnownCommit, Mark};
pub use lock::PoolLock;
pub use query::{Chunk, Listed, RemoteUse};
pub use shards::Placed;
pub(crate) use sparse::Sparse;
pub use survey::{LiveFile, Shape, Surveyed, VersionId};

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rusqlite::Connection;

use crate::env::Moment;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{PoolId, Stamp};

/// Raised whenever the tables change shape; an index of another version is made anew.
const SCHEMA: i64 = 8;
/// How long a statement waits for another process's transaction.
const BUSY: Duration = Duration::from_secs(30);
/// Statements kept prepared: all there are.
const STATEMENTS: usize = 64;

const TABLES: &str = "
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE sights(id INTEGER PRIMARY KEY, wall_ms INTEGER NOT NULL, boot_id BLOB NOT NULL, boot_ms INTEGER NOT NULL);
CREATE TABLE commits(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, state INTEGER NOT NULL, body BLOB,
                     first INTEGER, last INTEGER);
CREATE INDEX commits_first ON commits(first);
CREATE TABLE superseded(name TEXT PRIMARY KEY, result TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE held(remote BLOB NOT NULL, name TEXT NOT NULL, PRIMARY KEY(remote, name)) WITHOUT ROWID;
CREATE TABLE spoiled(remote BLOB NOT NULL, name TEXT NOT NULL, PRIMARY KEY(remote, name)) WITHOUT ROWID;
CREATE TABLE versions(id INTEGER PRIMARY KEY, path TEXT NOT NULL, stamp BLOB NOT NULL, rev INTEGER NOT NULL,
                      size INTEGER NOT NULL, kind INTEGER NOT NULL, body BLOB NOT NULL, seen INTEGER NOT NULL);
CREATE INDEX versions_path ON versions(path, stamp, rev);
CREATE TABLE refs(chunk BLOB NOT NULL, version INTEGER NOT NULL, at INTEGER NOT NULL, length INTEGER NOT NULL,
                  sum INTEGER, PRIMARY KEY(chunk, version)) WITHOUT ROWID;
CREATE INDEX refs_version ON refs(version);
CREATE TABLE deleted(path TEXT PRIMARY KEY, of BLOB NOT NULL, stamp BLOB NOT NULL, purge INTEGER NOT NULL,
                     seen INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE live(path TEXT PRIMARY KEY, version INTEGER NOT NULL, size INTEGER NOT NULL, kind INTEGER NOT NULL)
  WITHOUT ROWID;
CREATE TABLE chunks(chunk BLOB PRIMARY KEY, stamp BLOB NOT NULL, size INTEGER NOT NULL, stored INTEGER NOT NULL,
                    sha256 BLOB, body BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX chunks_content ON chunks(size, sha256);
CREATE INDEX chunks_compressed ON chunks(size, stored) WHERE stored < size;
CREATE TABLE shards(chunk BLOB NOT NULL, idx INTEGER NOT NULL, copy INTEGER NOT NULL, stamp BLOB NOT NULL,
                    remote BLOB NOT NULL, nonce BLOB NOT NULL, size INTEGER NOT NULL,
                    PRIMARY KEY(chunk, idx, copy, stamp, nonce)) WITHOUT ROWID;
CREATE INDEX shards_remote ON shards(remote, size);
CREATE TABLE marks(chunk BLOB PRIMARY KEY, condemned BLOB, dropped BLOB, seen INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE dropped_objects(chunk BLOB NOT NULL, nonce BLOB NOT NULL, body BLOB NOT NULL,
                             PRIMARY KEY(chunk, nonce)) WITHOUT ROWID;
CREATE TABLE remotes(remote BLOB PRIMARY KEY, body BLOB NOT NULL, seen INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE pool(one INTEGER PRIMARY KEY CHECK(one = 1), body BLOB NOT NULL);
CREATE TABLE uploads(upload BLOB PRIMARY KEY, stamp BLOB NOT NULL, ended INTEGER NOT NULL,
                     seen INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE upload_chunks(upload BLOB NOT NULL, chunk BLOB NOT NULL, PRIMARY KEY(upload, chunk)) WITHOUT ROWID;
CREATE TABLE findings(chunk BLOB NOT NULL, nonce BLOB NOT NULL, idx INTEGER NOT NULL, copy INTEGER NOT NULL,
                      remote BLOB NOT NULL, damage TEXT NOT NULL, PRIMARY KEY(chunk, nonce)) WITHOUT ROWID;
CREATE TABLE waits(what BLOB PRIMARY KEY, seen INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE verified(chunk BLOB PRIMARY KEY, seen INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX verified_seen ON verified(seen);
CREATE TABLE resume(source TEXT NOT NULL, n INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY(source, n)) WITHOUT ROWID;
";

/// The index of one pool.
#[derive(Debug)]
pub struct Index {
    connection: Mutex<Connection>,
    /// Whether what refers to a dropped chunk is void; always, but where a simulation shows what that prevents.
    void: AtomicBool,
    /// What processes of this machine lock; none beside an index that only this process has.
    lock_file: Option<PathBuf>,
    // A private index is deleted with this.
    _temporary: Option<tempfile::TempPath>,
}

impl Index {
    /// Opens (or makes) the shared index of `pool` in `directory`.
    ///
    /// # Errors
    /// `Io` and its kin, naming the file, when the directory cannot be used.
    pub fn open(directory: &Path, pool: PoolId) -> Result<Self> {
        let io = |e| {
            Error::io("cannot make the index directory", e).at_path(directory.display()).hint("see manifest_cache_dir")
        };
        // The names of all files lie in it.
        crate::local::private_directory(directory).map_err(io)?;
        let file = directory.join(format!("{pool}.sqlite"));
        let lock_file = Some(directory.join(format!("{pool}.lock")));
        match Self::open_file(&file) {
            Ok(connection) => Ok(Self::over(connection, lock_file)),
            // It is a cache: one that is damaged or of another version is made anew.
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                tracing::warn!("the index {} is rebuilt from the remotes: {error}", file.display());
                remove_database(&file)?;
                Ok(Self::over(Self::open_file(&file)?, lock_file))
            }
            Err(error) => Err(error),
        }
    }

    /// A private index in a temporary file, gone when it is dropped.
    ///
    /// # Errors
    /// `Io` and its kin when no temporary file can be made.
    pub fn temporary() -> Result<Self> {
        let file = tempfile::Builder::new().prefix("rclonepool-index-").tempfile();
        let path = file.map_err(|e| Error::io("cannot make a temporary index", e))?.into_temp_path();
        let connection = Self::open_file(&path)?;
        Ok(Self { _temporary: Some(path), ..Self::over(connection, None) })
    }

    /// An index in memory.
    ///
    /// # Errors
    /// `Internal` when `SQLite` fails.
    pub fn in_memory() -> Result<Self> {
        let connection = Connection::open_in_memory().map_err(failed)?;
        connection.execute_batch(TABLES).map_err(failed)?;
        keep_plans(&connection).map_err(failed)?;
        Ok(Self::over(connection, None))
    }

    fn over(connection: Connection, lock_file: Option<PathBuf>) -> Self {
        Self { connection: Mutex::new(connection), lock_file, void: AtomicBool::new(true), _temporary: None }
    }

    /// Switches the void rule off, to show what it prevents.
    #[cfg(any(test, feature = "testing"))]
    pub fn set_void(&self, on: bool) {
        self.void.store(on, std::sync::atomic::Ordering::Relaxed);
    }

    fn open_file(file: &Path) -> Result<Connection> {
        let at = |e| failed(e).at_path(file.display());
        let mut connection = Connection::open(file).map_err(at)?;
        connection.busy_timeout(BUSY).map_err(at)?;
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY;
                 PRAGMA cache_size = -32768;",
            )
            .map_err(at)?;
        // Two processes may make the tables at once: the second waits here and finds them.
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(at)?;
        let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(at)?;
        match version {
            0 => {
                transaction.execute_batch(TABLES).map_err(at)?;
                transaction.execute_batch(&format!("PRAGMA user_version = {SCHEMA}")).map_err(at)?;
            }
            SCHEMA => {}
            other => return Err(Error::new(ErrorKind::Corrupt, format!("it has version {other}, not {SCHEMA}"))),
        }
        transaction.commit().map_err(at)?;
        keep_plans(&connection).map_err(at)?;
        Ok(connection)
    }

    /// Forgets every commit and what followed from it, so that the next listing begins anew: the merge cannot
    /// take a commit back.
    ///
    /// # Errors
    /// Those of the database.
    pub fn begin_anew(&self) -> Result<()> {
        let tables = "commits superseded held spoiled versions refs deleted live chunks shards marks dropped_objects remotes pool \
                      uploads upload_chunks findings waits";
        let statements: String = tables.split_whitespace().map(|table| format!("DELETE FROM {table};")).collect();
        self.lock().execute_batch(&format!("BEGIN IMMEDIATE; {statements} COMMIT")).map_err(failed)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere leaves at most an open transaction, which SQLite rolls back.
        self.connection.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn remove_database(file: &Path) -> Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(PathBuf::from(name)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("cannot remove the damaged index", e).at_path(file.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// An error of the database as ours.
fn failed(error: rusqlite::Error) -> Error {
    use rusqlite::ffi::ErrorCode;
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => ErrorKind::Corrupt,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ErrorKind::Busy,
        Some(ErrorCode::DiskFull) => ErrorKind::Full,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => ErrorKind::Auth,
        Some(ErrorCode::CannotOpen | ErrorCode::SystemIoFailure | ErrorCode::FileLockingProtocolFailed) => {
            ErrorKind::Io
        }
        _ => ErrorKind::Internal,
    };
    Error::new(kind, format!("the local index failed: {error}"))
        .hint("the index is a cache: manifest_cache_dir may point elsewhere, and its files may be deleted")
        .caused_by(error)
}

fn malformed(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the local index holds a malformed row: {error}"))
        .hint("the index is a cache: delete it from manifest_cache_dir")
}

fn id_bytes(id: u128) -> [u8; 16] {
    id.to_be_bytes()
}

/// Statements are planned once: by default `SQLite` plans some of them anew for every value they are given.
fn keep_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

/// Writes a moment down, for rows to point to.
fn note_sight(db: &Connection, now: &Moment) -> Result<i64> {
    db.prepare_cached("INSERT INTO sights(wall_ms, boot_id, boot_ms) VALUES(?, ?, ?)")
        .and_then(|mut s| s.execute(rusqlite::params![signed(now.wall_ms), id_bytes(now.boot_id), signed(now.boot_ms)]))
        .map_err(failed)?;
    Ok(db.last_insert_rowid())
}

/// `SQLite` has no unsigned integers; nothing here comes near the limit but hostile input.
fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

/// 18 bytes that sort as the stamp does.
fn stamp_bytes(stamp: Stamp) -> [u8; 18] {
    let mut bytes = [0; 18];
    bytes[..6].copy_from_slice(&stamp.ms.to_be_bytes()[2..]);
    bytes[6..10].copy_from_slice(&stamp.counter.to_be_bytes());
    bytes[10..].copy_from_slice(&stamp.writer.0.to_be_bytes());
    bytes
}

fn stamp_from(bytes: &[u8]) -> Stamp {
    let part = |range: std::ops::Range<usize>| {
        bytes.get(range).unwrap_or_default().iter().fold(0u64, |n, b| n << 8 | u64::from(*b))
    };
    let counter = u32::try_from(part(6..10)).unwrap_or(u32::MAX);
    Stamp { ms: part(0..6), counter, writer: crate::id::WriterId(part(10..18)) }
}
