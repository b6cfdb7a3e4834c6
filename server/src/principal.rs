//! Who asks, and what they may.

use std::sync::Arc;

use parking_lot::Mutex;
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
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    bytes: u64,
    files: u64,
    /// Uploads on their way.
    rooms: u64,
    /// How many uploads began or ended.
    changes: u64,
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
        Self { bytes_max, files_max, used: Mutex::new(Used { bytes, files, ..Used::default() }) }
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
    pub fn reserve_files(self: &Arc<Self>, more: u64, bytes: u64) -> Result<Room> {
        {
            let mut used = self.used.lock();
            let files = fits(used.files, more, self.files_max, "files")?;
            used.bytes = fits(used.bytes, bytes, self.bytes_max, "bytes")?;
            used.files = files;
            used.rooms += 1;
            used.changes += 1;
        }
        Ok(Room { quota: self.clone(), files: more, bytes, is_kept: false })
    }

    /// What is used: bytes and files.
    pub fn used(&self) -> (u64, u64) {
        let used = self.used.lock();
        (used.bytes, used.files)
    }

    /// The limits: bytes and files.
    pub fn limits(&self) -> (u64, u64) {
        (self.bytes_max, self.files_max)
    }

    /// Notes what is used by a new count, unless uploads are on their way or ended while it was made: what they
    /// store would be counted twice, or not at all. Gives back whether it was noted.
    ///
    /// # Errors
    /// Those of the count, which gives bytes and files.
    pub fn recount(&self, count: impl FnOnce() -> Result<(u64, u64)>) -> Result<bool> {
        let before = {
            let used = self.used.lock();
            if used.rooms > 0 {
                return Ok(false);
            }
            used.changes
        };
        let (bytes, files) = count()?;
        let mut used = self.used.lock();
        if used.changes != before {
            return Ok(false);
        }
        (used.bytes, used.files) = (bytes, files);
        Ok(true)
    }
}

impl Room {
    /// Reserves `bytes` more.
    ///
    /// # Errors
    /// `Full` when that would be more than the user may store.
    pub fn grow(&mut self, bytes: u64) -> Result<()> {
        let mut used = self.quota.used.lock();
        used.bytes = fits(used.bytes, bytes, self.quota.bytes_max, "bytes")?;
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
        let mut used = self.quota.used.lock();
        used.rooms -= 1;
        used.changes += 1;
        if !self.is_kept {
            used.bytes = used.bytes.saturating_sub(self.bytes);
            used.files = used.files.saturating_sub(self.files);
        }
    }
}

fn fits(used: u64, more: u64, max: u64, what: &str) -> Result<u64> {
    used.checked_add(more).filter(|sum| *sum <= max).ok_or_else(|| {
        Error::new(ErrorKind::Full, format!("the user's quota of {max} {what} is used up"))
            .hint("delete files and empty the trash, or ask for a larger quota")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_at_once_cannot_overshoot() {
        let quota = Arc::new(Quota::new(100, 3, 0, 0));
        let first = quota.reserve(60).unwrap();
        assert_eq!(quota.reserve(60).unwrap_err().kind(), ErrorKind::Full);
        assert_eq!(quota.used(), (60, 1), "what was refused takes nothing");
        let mut second = quota.reserve(0).unwrap();
        second.grow(40).unwrap();
        assert_eq!(second.grow(1).unwrap_err().kind(), ErrorKind::Full);
        drop(first);
        assert_eq!(quota.used(), (40, 1));
        second.keep();
        let rooms: Vec<_> = (0..2).map(|_| quota.reserve(0).unwrap()).collect();
        assert_eq!(quota.reserve(0).unwrap_err().kind(), ErrorKind::Full, "files");
        drop(rooms);
        assert_eq!(quota.used(), (40, 1));
    }

    #[test]
    fn a_count_made_beside_an_upload_is_not_believed() {
        let quota = Arc::new(Quota::new(100, 10, 0, 0));
        let room = quota.reserve(10).unwrap();
        assert!(!quota.recount(|| Ok((0, 0))).unwrap());
        room.keep();
        let beside = quota.recount(|| {
            quota.reserve(5)?.keep();
            Ok((10, 1))
        });
        assert!(!beside.unwrap(), "an upload began and ended meanwhile");
        assert!(quota.recount(|| Ok((1, 1))).unwrap());
        assert_eq!(quota.used(), (1, 1));
    }
}
