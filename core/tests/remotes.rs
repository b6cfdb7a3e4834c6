//! Every remote and every wrapper against the one conformance suite.
#![allow(clippy::unwrap_used, reason = "tests")]

use rclonepool_core::remote::{DirectoryRemote, MemoryRemote};
use rclonepool_core::testing::conformance;

#[tokio::test]
async fn memory() {
    conformance::run_all(&MemoryRemote::new("memory")).await;
}

#[tokio::test]
async fn directory() {
    let dir = tempfile::tempdir().unwrap();
    conformance::run_all(&DirectoryRemote::new(dir.path())).await;
    let left = files_below(dir.path());
    assert!(left.is_empty(), "left behind: {left:?}");
}

fn files_below(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}
