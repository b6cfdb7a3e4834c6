//! Keys of the trash and of freeing space.

use rclonepool_tests::cli::{Machine, content};

#[test]
fn trash_retention_hours_keeps_versions() {
    let machine = Machine::with_pool(2, "none", "64K");
    let kept = |path: &str| {
        machine.upload("old", path);
        machine.ok(&["delete", path]);
        let found = machine.summary(&["trash", "list", path])["versions"].clone();
        found.as_array().unwrap().first().map(|version| version["left_ms"].as_u64().unwrap().div_ceil(3_600_000))
    };
    assert_eq!(kept("/a"), Some(24));
    machine.set("trash_retention_hours", 100);
    assert_eq!(kept("/b"), Some(100));
    machine.set("trash_retention_hours", 0);
    assert_eq!(kept("/c"), None);
    assert!(machine.fails(4, &["trash", "restore", "/a"]).contains("not in the trash"), "for older ones, too");
}

#[test]
fn sole_writer_frees_at_once() {
    let machine = Machine::with_pool(2, "none", "64K");
    let freed = |path: &str| {
        machine.upload(content(1, 100_000), path);
        machine.ok(&["delete", "--purge", path]);
        machine.summary(&["gc"])["reclaimed"].as_u64().unwrap()
    };
    assert_eq!(freed("/a"), 0);
    machine.set("sole_writer", true);
    assert_eq!(freed("/b"), 200_000, "and what waited");
    machine.set("enable_manifest_cache", false);
    assert_eq!(freed("/c"), 0, "nobody can be asked whether others store data");
}
