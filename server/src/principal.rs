//! Who asks, and what they may.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rclonepool_core::{Error, ErrorKind, Pool, Result};

/// Who asks, and for which pool. The sign-in layer puts one into the extensions of each request; who answers looks
/// nowhere else for the pool, so that nobody can answer from another's.
#[derive(Clone)]
pub struct Principal {
    /// The user's name; none where there is no sign-in.
    pub name: Option<Arc<str>>,
    /// The user's pool.
    pub pool: Arc<Pool>,
    /// Whether nothing may be changed.
    pub read_only: bool,
    /// How much the user may store; none: no limit.
    pub quota: Option<Arc<Quota>>,
}

/// A user's limit. Several uploads at once cannot overshoot it: each reserves before it reads.
#[derive(Debug)]
pub struct Quota {
    /// Logical bytes that may be stored, the trash included.
    bytes_max: u64,
    /// Files that may be stored.
    files_max: u64,
    bytes: AtomicU64,
    files: AtomicU64,
}

/// Room that an upload has. It is given back when this is dropped before [`Room::keep`].
#[derive(Debug)]
pub struct Room {
    quota: Arc<Quota>,
    files: u64,
    bytes: u64,
    is_kept: bool,
}

impl Quota {
    /// A limit of so many bytes and files, of which so many are used.
    pub fn new(bytes_max: u64, files_max: u64, bytes: u64, files: u64) -> Self {
        Self { bytes_max, files_max, bytes: AtomicU64::new(bytes), files: AtomicU64::new(files) }
    }

    /// Reserves room for one file of at least `bytes`.
    ///
    /// # Errors
    /// `Full` when that would be more than the user may store.
    pub fn reserve(self: &Arc<Self>, bytes: u64) -> Result<Room> {
        self.reserve_files(1, bytes)
    }

    /// Reserves room for several files of together at least `bytes`.
    ///
    /// # Errors
    /// `Full` when that would be more than the user may store.
    pub fn reserve_files(self: &Arc<Self>, files: u64, bytes: u64) -> Result<Room> {
        take(&self.files, files, self.files_max, "files")?;
        let mut room = Room { quota: self.clone(), files, bytes: 0, is_kept: false };
        room.grow(bytes)?;
        Ok(room)
    }

    /// What is used: bytes and files.
    pub fn used(&self) -> (u64, u64) {
        (self.bytes.load(Ordering::Relaxed), self.files.load(Ordering::Relaxed))
    }

    /// The limits: bytes and files.
    pub fn limits(&self) -> (u64, u64) {
        (self.bytes_max, self.files_max)
    }

    /// Notes what is used by a new count, when no upload is on its way.
    pub fn recount(&self, bytes: u64, files: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
        self.files.store(files, Ordering::Relaxed);
    }
}

impl Room {
    /// Reserves `bytes` more.
    ///
    /// # Errors
    /// `Full` when that would be more than the user may store.
    pub fn grow(&mut self, bytes: u64) -> Result<()> {
        take(&self.quota.bytes, bytes, self.quota.bytes_max, "bytes")?;
        self.bytes += bytes;
        Ok(())
    }

    /// The file is stored: the room stays taken.
    pub fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if !self.is_kept {
            self.quota.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
            self.quota.files.fetch_sub(self.files, Ordering::Relaxed);
        }
    }
}

fn take(used: &AtomicU64, more: u64, max: u64, what: &str) -> Result<()> {
    let fits = |used: u64| used.checked_add(more).filter(|sum| *sum <= max);
    match used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::new(ErrorKind::Full, format!("the user's quota of {max} {what} is used up"))
            .hint("delete files and empty the trash, or ask for a larger quota")),
    }
}
