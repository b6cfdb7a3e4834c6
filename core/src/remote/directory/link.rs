//! Giving a nameless file a name instead of copying it.

use std::fs::File;
use std::path::Path;

use crate::remote::Body;

/// Makes `body` the file `path`, where it is a file without a name on the same file system
/// ([`crate::remote::Remote::staging`]); gives the file back, or `None` when it has to be copied.
///
/// Two objects never share one file: what damages the one must not damage its copy.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn link<'a>(body: &'a Body, path: &Path) -> Option<&'a File> {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;

    use rustix::fs::{AtFlags, CWD, linkat};

    let Body::File { file, size } = body else { return None };
    let fits = |links: u64| file.metadata().is_ok_and(|found| found.nlink() == links && found.len() == *size);
    if !fits(0) {
        return None;
    }
    let nameless = format!("/proc/self/fd/{}", file.as_raw_fd());
    linkat(CWD, nameless.as_str(), CWD, path, AtFlags::SYMLINK_FOLLOW).ok()?;
    // Of several who link it at once, all see the others' names or exactly one does not.
    if fits(1) {
        return Some(file);
    }
    let _ = std::fs::remove_file(path);
    None
}

/// Elsewhere no file can be named afterwards.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn link<'a>(_: &'a Body, _: &Path) -> Option<&'a File> {
    None
}
