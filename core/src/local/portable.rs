//! Where there is no Unix: Windows.

use std::fs::{File, Metadata};
use std::os::windows::fs::FileExt;
use std::path::Path;

pub fn inode(_metadata: &Metadata) -> (u64, u64) {
    (0, 0)
}

pub fn is_executable(_metadata: &Metadata) -> bool {
    false
}

pub fn read_at(file: &File, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
    file.seek_read(buffer, offset)
}

pub fn will_need(_: &File, _: u64, _: u32) {}

pub fn write_all_at(file: &File, mut offset: u64, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let n = file.seek_write(bytes, offset)?;
        bytes = &bytes[n..];
        offset += n as u64;
    }
    Ok(())
}

pub fn set_mode(_file: &File, _executable: bool) -> std::io::Result<()> {
    Ok(())
}

pub fn make_link(path: &Path, to: &str) -> std::io::Result<()> {
    std::os::windows::fs::symlink_file(to, path)
}

/// Names of devices, characters and endings that Windows does not allow.
pub fn is_forbidden(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().to_ascii_uppercase();
    let numbered = |s: &str| stem.len() == 4 && stem.starts_with(s) && stem.as_bytes()[3].is_ascii_digit();
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL")
        || numbered("COM")
        || numbered("LPT")
        || name.ends_with(['.', ' '])
        || name.contains(|c: char| c < ' ' || "<>:\"|?*\\".contains(c))
}

pub fn private_directory(path: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(path)
}
