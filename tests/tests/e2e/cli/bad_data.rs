//! Damage: shards, commits and markers that are cut, flipped, or of a later version.

use std::path::PathBuf;

use rclonepool_tests::cli::{Machine, content};

#[derive(Clone, Copy, PartialEq)]
enum Damage {
    Flip,
    Cut,
    Delete,
}

fn damage(path: &PathBuf, how: Damage) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    match how {
        Damage::Flip => bytes[middle] ^= 0x40,
        Damage::Cut => bytes.truncate(middle),
        Damage::Delete => return std::fs::remove_file(path).unwrap(),
    }
    std::fs::write(path, bytes).unwrap();
}

fn objects(machine: &Machine, disk: &str, part: &str) -> Vec<PathBuf> {
    let files = machine.files_below(disk).into_iter().filter(|file| file.contains(part));
    files.map(|file| machine.path(disk).join(file)).collect()
}

#[test]
fn damaged_shards_are_rebuilt_within_tolerance_and_refused_beyond() {
    for how in [Damage::Flip, Damage::Cut, Damage::Delete] {
        let machine = Machine::with_pool(4, "parity:3+1", "1M");
        let bytes = content(1, 1_000_000);
        machine.upload(&bytes, "/f");
        objects(&machine, "disk1", "_data/").iter().for_each(|path| damage(path, how));
        let outcome = machine.run(&["download", "/f", "back"]);
        assert_eq!((outcome.code, machine.read("back") == bytes), (0, true), "{outcome:?}");
        assert!(outcome.stderr.contains("missing, damaged or offline, and were rebuilt"), "{outcome:?}");

        objects(&machine, "disk2", "_data/").iter().for_each(|path| damage(path, how));
        let outcome = machine.run(&["download", "/f", "again"]);
        assert!(matches!(outcome.code, 21 | 22), "{outcome:?}");
        assert_eq!(machine.files_below("").iter().filter(|f| f.contains("again") || f.contains("partial")).count(), 0);
        let printed = machine.command(&["cat", "/f"]).output().unwrap();
        assert!(!printed.status.success() && bytes.starts_with(&printed.stdout), "never other bytes");
    }
}

#[test]
fn one_flipped_byte_without_redundancy_is_an_error() {
    let machine = Machine::with_pool(1, "none", "64K");
    let bytes = content(1, 200_000);
    machine.upload(&bytes, "/f");
    machine.upload("fine", "/fine");
    damage(&objects(&machine, "disk1", "_data/")[1], Damage::Flip);
    let outcome = machine.run(&["download", "/f", "back"]);
    assert!(matches!(outcome.code, 21 | 22), "{outcome:?}");
    assert!(outcome.stderr.contains("/f"), "{outcome:?}");
    assert!(!machine.path("back").exists());
    let outcome = machine.run(&["download", "/", "all"]);
    assert_eq!(outcome.code, 26, "{outcome:?}");
    assert_eq!(machine.files_below("all"), ["fine"]);
}

#[test]
fn damaged_commits_are_read_elsewhere_and_healed() {
    for how in [Damage::Flip, Damage::Cut, Damage::Delete] {
        let machine = Machine::with_pool(3, "parity:2+1", "64K");
        machine.upload("one", "/one");
        machine.upload("two", "/two");
        objects(&machine, "disk1", "/commits/").iter().for_each(|path| damage(path, how));
        machine.forget_home_but_config();
        assert_eq!(machine.ok(&["ls"]), "one\ntwo\n");
        assert_eq!(machine.cat("/two"), b"two");
        if how == Damage::Delete {
            assert!(!objects(&machine, "disk1", "/commits/").is_empty(), "what a remote lacks is copied to it");
        }
    }
}

#[test]
fn a_commit_that_nobody_can_give_is_said() {
    let machine = Machine::with_pool(1, "none", "64K");
    machine.upload("one", "/one");
    machine.upload("two", "/two");
    let last = objects(&machine, "disk1", "/commits/").pop().unwrap();
    damage(&last, Damage::Flip);
    machine.forget_home_but_config();
    let outcome = machine.run(&["ls"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "one\n"));
    assert!(outcome.stderr.contains("cannot be read anywhere"), "{outcome:?}");
}

#[test]
fn a_later_version_of_the_format_is_not_written_to() {
    let machine = Machine::with_pool(2, "none", "64K");
    machine.upload("x", "/x");
    for disk in ["disk1", "disk2"] {
        let marker = objects(&machine, disk, "/remote-").pop().unwrap();
        let mut value: serde_json::Value = serde_json::from_slice(&std::fs::read(&marker).unwrap()).unwrap();
        value["format"] = 99.into();
        std::fs::write(&marker, value.to_string()).unwrap();
    }
    machine.forget_home_but_config();
    let before = (machine.files_below("disk1"), machine.files_below("disk2"));
    machine.file("y", "y");
    for words in [&["upload", "y", "/y"][..], &["delete", "/x"], &["mkdir", "/d"], &["mv", "/x", "/z"]] {
        let error = machine.fails(6, words);
        assert!(error.contains("99"), "{words:?}: {error}");
    }
    assert_eq!(before, (machine.files_below("disk1"), machine.files_below("disk2")), "nothing was written");
}

#[test]
fn a_damaged_index_is_made_anew() {
    let machine = Machine::with_pool(2, "none", "64K");
    machine.upload("x", "/x");
    let index = machine.path("home/.cache/rclonepool");
    for file in std::fs::read_dir(&index).unwrap().flatten() {
        if file.path().extension().is_some_and(|e| e == "sqlite") {
            std::fs::write(file.path(), "this is no database, and never was one: it is a text of some length").unwrap();
        } else {
            std::fs::remove_file(file.path()).unwrap();
        }
    }
    assert_eq!(machine.ok(&["ls"]), "x\n");
    assert_eq!(machine.cat("/x"), b"x");
}
