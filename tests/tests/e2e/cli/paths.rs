//! Names: which are refused, which are kept apart, how they are printed.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use rclonepool_tests::cli::Machine;

#[test]
fn paths_that_cannot_be_are_refused_with_the_reason() {
    let machine = Machine::with_pool(1, "none", "64K");
    machine.file("x", "x");
    let long = format!("/{}", "x/".repeat(2500));
    let wide = format!("/{}", "x".repeat(256));
    for (path, why) in [
        ("a", "must begin with /"),
        ("/a/../b", "\"..\" is not allowed"),
        ("/./b", "\".\" is not allowed"),
        ("/a//b", "empty component"),
        (long.as_str(), "at most 4096"),
        (wide.as_str(), "at most 255"),
        ("/.rclonepool/x", "reserved"),
    ] {
        for words in
            [&["upload", "x", path][..], &["download", path], &["cat", path], &["mkdir", path], &["delete", path]]
        {
            let error = machine.fails(2, words);
            assert!(error.contains(why) && error.len() < 500, "{words:?}: {error}");
        }
    }
    assert_eq!(machine.ok(&["ls"]), "");
    // A NUL byte cannot even be passed to a program; bytes that are no UTF-8 can.
    assert!(machine.command(&["cat", "/a\0b"]).output().is_err());
    let outcome = machine.run(&[OsStr::new("cat"), OsStr::from_bytes(b"/a\xff")]);
    assert_eq!(outcome.code, 2, "{outcome:?}");
}

#[test]
fn names_differ_by_case_and_normalisation() {
    let machine = Machine::with_pool(2, "replication:2", "64K");
    let names = ["/A", "/a", "/caf\u{e9}", "/cafe\u{301}", "/ﬁ", "/fi", "/a ", "/ a"];
    for name in names {
        machine.upload(name, name);
    }
    for name in names {
        assert_eq!(machine.cat(name), name.as_bytes());
    }
    assert_eq!(machine.summary(&["ls"])["entries"], names.len());
    machine.ok(&["delete", "/caf\u{e9}"]);
    assert_eq!(machine.cat("/cafe\u{301}"), "/cafe\u{301}".as_bytes());
}

#[test]
fn control_bytes_are_kept_and_printed_escaped() {
    let machine = Machine::with_pool(1, "none", "64K");
    let name = "red\u{1b}[31m\nline";
    machine.file(&format!("odd/{name}"), "odd");
    machine.ok(&["upload", "odd", "/odd"]);
    assert_eq!(machine.ok(&["ls", "/odd"]), "red\\u{1b}[31m\\nline\n");
    assert_eq!(machine.json(&["ls", "/odd"])[0]["path"], format!("/odd/{name}"));
    assert_eq!(machine.cat(&format!("/odd/{name}")), b"odd");
    machine.ok(&["download", "/odd", "back"]);
    assert_eq!(machine.files_below("back"), [name]);
    let error = machine.fails(4, &["cat", "/no\u{1b}[2Jthing"]);
    assert!(error.contains("/no\\u{1b}[2Jthing") && !error.contains('\u{1b}'), "{error}");
    let said = machine.ok(&["delete", &format!("/odd/{name}")]);
    assert!(!said.contains('\u{1b}'), "{said:?}");
}

#[test]
fn local_names_that_cannot_stand_in_the_pool_fail_one_by_one() {
    let machine = Machine::with_pool(1, "none", "64K");
    machine.file("in/good", "good");
    std::fs::write(machine.path("in").join(OsStr::from_bytes(b"bad\xff")), "bad").unwrap();
    machine.file("in/.rclonepool/x", "reserved only at the root");
    let error = machine.fails(26, &["upload", "in", "/in"]);
    assert!(error.contains("UTF-8") && error.contains("1 of 3 files failed"), "{error}");
    assert_eq!(machine.ok(&["ls", "-r"]), "in/.rclonepool/x\nin/good\n");
}

#[test]
fn a_file_and_a_directory_do_not_share_a_path() {
    let machine = Machine::with_pool(1, "none", "64K");
    machine.upload("x", "/d/x");
    machine.file("f", "f");
    assert!(machine.fails(6, &["upload", "f", "/d"]).contains("is a directory"));
    assert!(machine.fails(6, &["upload", "f", "/d/x/y"]).contains("is a file"));
    assert!(machine.fails(6, &["mkdir", "/d/x"]).contains("file of this name"));
    machine.file("tree/d", "would be a file where a directory is");
    machine.directory("tree2/d/x");
    for tree in ["tree", "tree2"] {
        let error = machine.fails(26, &["upload", tree, "/"]);
        assert!(error.contains("is a directory") || error.contains("is a file"), "{error}");
    }
    assert_eq!(machine.cat("/d/x"), b"x");
}
