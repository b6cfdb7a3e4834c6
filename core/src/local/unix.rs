//! What Unix gives.

use std::fs::{DirBuilder, File, Metadata, Permissions};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, PermissionsExt};
use std::path::Path;

pub fn inode(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

pub fn is_executable(metadata: &Metadata) -> bool {
    metadata.is_file() && metadata.mode() & 0o100 != 0
}

pub fn read_at(file: &File, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
    file.read_at(buffer, offset)
}

#[cfg(target_os = "linux")]
pub fn will_need(file: &File, offset: u64, bytes: u32) {
    let _ = rustix::fs::fadvise(file, offset, u64::from(bytes).try_into().ok(), rustix::fs::Advice::WillNeed);
}

#[cfg(not(target_os = "linux"))]
pub fn will_need(_: &File, _: u64, _: u32) {}

pub fn write_all_at(file: &File, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
    file.write_all_at(bytes, offset)
}

/// What a plain program would have given a new file: 0666 or 0777 less the umask.
pub fn set_mode(file: &File, executable: bool) -> std::io::Result<()> {
    let umask = umask();
    file.set_permissions(Permissions::from_mode(if executable { 0o777 } else { 0o666 } & !umask))
}

/// The umask cannot be read without setting it, which other threads would notice.
fn umask() -> u32 {
    static UMASK: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *UMASK.get_or_init(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
        line.and_then(|text| u32::from_str_radix(text.trim(), 8).ok()).unwrap_or(0o022)
    })
}

pub fn make_link(path: &Path, to: &str) -> std::io::Result<()> {
    std::os::unix::fs::symlink(to, path)
}

pub fn is_forbidden(_name: &str) -> bool {
    false
}

pub fn private_directory(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}
