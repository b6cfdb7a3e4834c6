//! The programs and libraries cargo built beside these tests.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

const BUILD: &str = "run `scripts/test build` first";

/// Cargo's output directory of the profile these tests were built with, such as `target/debug`.
pub fn directory() -> PathBuf {
    let program = std::env::current_exe().expect("a running program has a path");
    let deps = program.parent().expect("a program lies in a directory");
    deps.parent().expect("tests lie in target/<profile>/deps").to_owned()
}

/// The command-line program: `$RCLONEPOOL_TEST_BINARY`, else the one cargo built.
pub fn rclonepool() -> PathBuf {
    let given = std::env::var_os("RCLONEPOOL_TEST_BINARY").map(PathBuf::from);
    given.unwrap_or_else(|| fresh("rclonepool", std::env::consts::EXE_SUFFIX, "rclonepool.d"))
}

/// The C library (shared).
pub fn library() -> PathBuf {
    let name = format!("{}rclonepool{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    fresh(&name, "", &format!("{}rclonepool.d", std::env::consts::DLL_PREFIX))
}

/// A Rust example.
pub fn example(name: &str) -> PathBuf {
    fresh(&format!("examples/{name}"), std::env::consts::EXE_SUFFIX, &format!("examples/{name}.d"))
}

/// `name` in the output directory, refused when a source it was made from is newer: a stale
/// program would pass or fail for the wrong reason.
fn fresh(name: &str, suffix: &str, dep_info: &str) -> PathBuf {
    let directory = directory();
    let built = directory.join(format!("{name}{suffix}"));
    let Some(age) = modified(&built) else {
        panic!("{} is not there: {BUILD}", built.display());
    };
    let dep_info = directory.join(dep_info);
    let rules = std::fs::read_to_string(&dep_info).unwrap_or_else(|e| panic!("{}: {e}: {BUILD}", dep_info.display()));
    for source in dependencies(&rules) {
        if modified(&source).is_none_or(|changed| changed > age) {
            panic!("{} changed after {} was built: {BUILD}", source.display(), built.display());
        }
    }
    built
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|metadata| metadata.modified()).ok()
}

/// The files to the right of the colon in cargo's one-line makefile; blanks in names are `\ `.
fn dependencies(rules: &str) -> Vec<PathBuf> {
    let line = rules.lines().next().unwrap_or_default();
    let (_, files) = line.split_once(": ").unwrap_or_default();
    let files = files.replace("\\ ", "\0");
    files.split_whitespace().map(|file| PathBuf::from(file.replace('\0', " "))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dep_info_is_understood() {
        let files = dependencies("/t/x: /a/b.rs /with\\ blank/c.rs\n");
        assert_eq!(files, [PathBuf::from("/a/b.rs"), PathBuf::from("/with blank/c.rs")]);
        assert!(dependencies("").is_empty());
    }
}
