//! The pool's local lock: a file beside the index, by which processes of one machine tell each other that they
//! store data, or free space.

use std::fs::{File, TryLockError};

use super::Index;
use crate::error::{Error, Result};

/// Holds the lock until it is dropped.
#[derive(Debug)]
pub struct PoolLock(Option<File>);

impl Index {
    /// Says that data is being stored, beside others who do; `None` while somebody must be alone.
    ///
    /// # Errors
    /// `Io` and its kin when the lock file cannot be used.
    pub fn lock_shared(&self) -> Result<Option<PoolLock>> {
        match &self.lock_file {
            // Nobody else knows this index, and nobody can be alone with it.
            None => Ok(Some(PoolLock(None))),
            Some(_) => self.lock_by(File::try_lock_shared),
        }
    }

    /// Says that nobody else may store data; `None` while somebody does, and beside an index that is not kept,
    /// since nobody could be asked.
    ///
    /// # Errors
    /// `Io` and its kin when the lock file cannot be used.
    pub fn lock_alone(&self) -> Result<Option<PoolLock>> {
        if self.lock_file.is_some() { self.lock_by(File::try_lock) } else { Ok(None) }
    }

    fn lock_by(&self, lock: fn(&File) -> std::result::Result<(), TryLockError>) -> Result<Option<PoolLock>> {
        let Some(path) = &self.lock_file else { return Ok(None) };
        let at = |e| Error::io("cannot lock the pool on this machine", e).at_path(path.display());
        let file = File::options().create(true).truncate(false).write(true).open(path).map_err(at)?;
        match lock(&file) {
            Ok(()) => Ok(Some(PoolLock(Some(file)))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(at(error)),
        }
    }
}

impl Drop for PoolLock {
    fn drop(&mut self) {
        // Closing releases it, too.
        if let Some(file) = &self.0 {
            let _ = file.unlock();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::PoolId;

    #[test]
    fn many_store_or_one_is_alone() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Index::open(dir.path(), PoolId(5)).unwrap();
        let (first, second) = (open(), open());
        let one = first.lock_shared().unwrap().unwrap();
        let two = second.lock_shared().unwrap().unwrap();
        assert!(first.lock_alone().unwrap().is_none());
        drop(two);
        assert!(second.lock_alone().unwrap().is_none());
        drop(one);
        let alone = second.lock_alone().unwrap().unwrap();
        assert!(first.lock_shared().unwrap().is_none() && first.lock_alone().unwrap().is_none());
        drop(alone);
        assert!(first.lock_shared().unwrap().is_some());
        assert!(Index::in_memory().unwrap().lock_alone().unwrap().is_none());
    }
}
