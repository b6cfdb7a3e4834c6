//! A private directory for one rclone: its socket, its temporary files, objects on their way.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::error::{Error, ErrorKind, Result};
use crate::scratch::private_dir;

const PREFIX: &str = "rclonepool-";

/// A new directory is not looked at by others before it is this old: by then it is locked.
const SETTLED: Duration = Duration::from_secs(60);

/// A directory of mode 0700, removed when this is dropped, or by the next start after a crash.
#[derive(Debug)]
pub(super) struct RunDir {
    dir: TempDir,
    // Held while we live; whoever gets it knows that we do not.
    _lock: File,
}

impl RunDir {
    /// Makes one in `temp_dir` and removes what dead processes left there.
    ///
    /// # Errors
    /// `Config` or `Io` when the directory cannot be used; they name the key `temp_dir`.
    pub fn make(temp_dir: &Path) -> Result<Self> {
        let temp_dir = std::path::absolute(temp_dir).map_err(|e| Error::io("temp_dir cannot be used", e))?;
        if temp_dir.to_str().is_none() {
            return Err(Error::new(ErrorKind::Config, "temp_dir must be a path in UTF-8").at_path(temp_dir.display()));
        }
        private_dir(&temp_dir)?;
        sweep(&temp_dir);
        let failed = |e| Error::io("temp_dir cannot be used", e).at_path(temp_dir.display());
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX).rand_bytes(8);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let dir = builder.tempdir_in(&temp_dir).map_err(failed)?;
        let lock = File::open(dir.path()).map_err(failed)?;
        try_lock(&lock);
        Ok(Self { dir, _lock: lock })
    }

    /// Its path: absolute and UTF-8.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Removes directories nobody holds. Best effort: what cannot be removed stays for the next start.
fn sweep(temp_dir: &Path) {
    for entry in std::fs::read_dir(temp_dir).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let Ok(meta) = entry.metadata() else { continue };
        let age = meta.modified().ok().and_then(|at| at.elapsed().ok()).unwrap_or_default();
        if !is_ours || !meta.is_dir() || age < SETTLED {
            continue;
        }
        if File::open(entry.path()).is_ok_and(|dir| try_lock(&dir)) {
            tracing::debug!(path = %entry.path().display(), "removing what an earlier process left");
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(unix)]
fn try_lock(dir: &File) -> bool {
    rustix::fs::flock(dir, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
}

// Without locks on directories nothing is swept.
#[cfg(not(unix))]
fn try_lock(_: &File) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn private_and_swept_when_nobody_holds_it() {
        let temp = tempfile::tempdir().unwrap();
        let place = temp.path().join("t");
        let (alive, young) = (RunDir::make(&place).unwrap(), place.join("rclonepool-young"));
        assert_eq!(std::fs::metadata(alive.path()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(std::fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o700);
        let (dead, foreign) = (place.join("rclonepool-dead"), place.join("other"));
        for dir in [&young, &dead, &foreign] {
            std::fs::create_dir(dir).unwrap();
            std::fs::write(dir.join("object"), "x").unwrap();
        }
        let old = SystemTime::now() - 2 * SETTLED;
        for dir in [alive.path(), &dead, &foreign] {
            File::open(dir).unwrap().set_modified(old).unwrap();
        }
        let next = RunDir::make(&place).unwrap();
        assert!(alive.path().exists() && young.exists() && foreign.exists() && next.path().exists());
        assert!(!dead.exists());
        let path = next.path().to_owned();
        drop(next);
        assert!(!path.exists());
    }

    #[test]
    fn an_unusable_place_is_named() {
        let error = RunDir::make(Path::new("/proc/self/nowhere")).unwrap_err().to_string();
        assert!(error.contains("temp_dir") && error.contains("/proc/self/nowhere"), "{error}");
    }
}
