//! Whose files are run.

use std::path::Path;

use crate::error::{Error, ErrorKind, Result};

/// Makes sure that nobody but this user and root can have written a plugin's file, or put another in its place.
///
/// # Errors
/// `NotFound`; `Auth` for a file or directory that others may write to.
pub fn check_safe(file: &Path) -> Result<()> {
    let at = |e| Error::io("cannot read the plugin", e).at_path(file.display());
    let real = file.canonicalize().map_err(at)?;
    if !real.metadata().map_err(at)?.is_file() {
        return Err(Error::new(ErrorKind::InvalidArgument, "is not a regular file").at_path(file.display()));
    }
    for path in [Some(real.as_path()), real.parent()].into_iter().flatten() {
        if let Some(why) = unsafety(path).map_err(at)? {
            return Err(Error::new(ErrorKind::Auth, format!("{why}: it is not run as a plugin"))
                .at_path(path.display())
                .hint(format!("see who wrote it, then: chmod go-w {}", path.display())));
        }
    }
    Ok(())
}

#[cfg(unix)]
fn unsafety(path: &Path) -> std::io::Result<Option<String>> {
    use std::os::unix::fs::MetadataExt;
    let metadata = path.metadata()?;
    let (us, owner) = (rustix::process::geteuid().as_raw(), metadata.uid());
    if owner != us && owner != 0 {
        return Ok(Some(format!("belongs to another user ({owner})")));
    }
    let others = metadata.mode() & 0o022 != 0;
    // Where only owners may replace what lies in it (/tmp), the file's own owner is what counts.
    let sticky = metadata.is_dir() && metadata.mode() & 0o1000 != 0;
    Ok((others && !sticky).then(|| "may be written by other users".into()))
}

#[cfg(not(unix))]
fn unsafety(_: &Path) -> std::io::Result<Option<String>> {
    Ok(None)
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_others_may_write_is_not_run() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("p.py");
        let mode = |path: &Path, mode| set_permissions(path, Permissions::from_mode(mode)).unwrap();
        assert_eq!(check_safe(&file).unwrap_err().kind(), ErrorKind::NotFound);
        write(&file, "").unwrap();
        mode(&file, 0o644);
        check_safe(&file).unwrap();
        for bad in [0o664, 0o646] {
            mode(&file, bad);
            assert_eq!(check_safe(&file).unwrap_err().kind(), ErrorKind::Auth);
        }
        mode(&file, 0o644);
        mode(dir.path(), 0o777);
        assert_eq!(check_safe(&file).unwrap_err().kind(), ErrorKind::Auth);
        mode(dir.path(), 0o1777);
        check_safe(&file).unwrap();
        assert!(check_safe(dir.path()).is_err());
    }
}
