//! The repository these tests were built from.

use std::path::{Path, PathBuf};

/// Folders that hold what was made or fetched, not what was written.
const NOT_SOURCES: [&str; 5] = ["target", ".git", ".tools", ".venv", "node_modules"];

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Every file below the root whose name ends with one of `endings`, as paths relative to the root.
pub fn sources(endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(root(), endings, &mut found);
    found.sort();
    found
}

fn collect(directory: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(directory).unwrap_or_else(|e| panic!("cannot list {}: {e}", directory.display()));
    for entry in entries {
        let path = entry.expect("a directory entry can be read").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_symlink() || NOT_SOURCES.contains(&name) {
            continue;
        }
        if path.is_dir() {
            collect(&path, endings, found);
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path.strip_prefix(root()).expect("found below the root").to_owned());
        }
    }
}

/// The text of a file, its path relative to the root.
pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()))
}
