//! `--json`: every command, lines of known types, a summary last, errors as one object.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use rclonepool_tests::cli::{Machine, Outcome, content};

fn types(lines: &[serde_json::Value]) -> Vec<&str> {
    lines.iter().map(|line| line["message_type"].as_str().unwrap()).collect()
}

#[test]
fn every_command_ends_with_its_summary() {
    let machine = Machine::with_pool(4, "parity:3+1", "64K");
    machine.file("in/a", content(1, 100_000));
    machine.file("in/b", "b");
    for (words, field) in [
        (&["init"][..], "pool"),
        (&["upload", "in", "/in"], "files"),
        (&["upload", "-n", "in", "/in2"], "fits"),
        (&["ls", "/in"], "entries"),
        (&["stat", "/in/a"], "entry"),
        (&["stat", "/in"], "directory"),
        (&["download", "/in", "out"], "files"),
        (&["mkdir", "/d"], "paths"),
        (&["mv", "/in/b", "/d/"], "entries"),
        (&["delete", "/d/b"], "entries"),
        (&["status"], "remotes"),
        (&["remotes", "list"], "remotes"),
        (&["config", "show"], "config"),
        (&["config", "schema"], "schema"),
        (&["config", "validate"], "notices"),
        (&["config", "path"], "path"),
        (&["recovery-sheet"], "pool"),
        (&["completions", "bash"], "script"),
        (&["version"], "version"),
    ] {
        let summary = machine.summary(words);
        assert_eq!(summary["command"], words[0], "{words:?}");
        assert!(!summary[field].is_null(), "{words:?} tells {field}: {summary}");
    }
}

#[test]
fn files_and_entries_are_lines() {
    let machine = Machine::with_pool(1, "none", "64K");
    machine.file("in/a", "a");
    machine.file("in/b", "bb");
    let lines = machine.json(&["upload", "in", "/in"]);
    assert_eq!(types(&lines), ["file", "file", "summary"]);
    let b = lines.iter().find(|line| line["path"] == "/in/b").unwrap();
    assert_eq!((b["action"].as_str(), b["size"].as_u64()), (Some("uploaded"), Some(2)));
    let lines = machine.json(&["ls", "-r"]);
    assert_eq!(types(&lines), ["entry", "entry", "summary"]);
    assert_eq!((lines[1]["path"].as_str(), lines[1]["type"].as_str()), (Some("/in/b"), Some("file")));
    assert!(lines[1]["mtime"].as_str().unwrap().ends_with('Z'));
    assert_eq!(machine.json(&["ls"])[0]["type"], "directory");
}

#[test]
fn progress_is_told_every_second() {
    let machine = Machine::with_pool(1, "none", "64K");
    let mut command = machine.command(&["--json", "upload", "-", "/slow"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for i in 0..5 {
        input.write_all(&content(i, 100_000)).unwrap();
        std::thread::sleep(Duration::from_millis(600));
    }
    drop(input);
    let outcome = Outcome::of(child.wait_with_output().unwrap());
    let lines = outcome.json_lines();
    let status: Vec<_> = lines.iter().filter(|line| line["message_type"] == "status").collect();
    assert!((2..=4).contains(&status.len()), "{lines:?}");
    assert!(status[0]["bytes_total"].is_null() && status[0]["bytes_done"].as_u64().is_some());
    assert_eq!(lines.last().unwrap()["bytes"], 500_000);
}

#[test]
fn content_and_json_do_not_mix() {
    let machine = Machine::with_pool(1, "none", "64K");
    machine.upload("content", "/x");
    for words in [&["--json", "cat", "/x"][..], &["--json", "download", "/x", "-"]] {
        let outcome = machine.run(words);
        assert_eq!(outcome.stdout, "content", "{words:?}");
        let summary: serde_json::Value = serde_json::from_str(outcome.stderr.lines().last().unwrap()).unwrap();
        assert_eq!((summary["message_type"].as_str(), summary["bytes"].as_u64()), (Some("summary"), Some(7)));
    }
}

#[test]
fn errors_are_one_object_with_their_code() {
    let machine = Machine::with_pool(1, "none", "64K");
    machine.upload("x", "/d/x");
    for (words, code, kind) in [
        (&["ls", "/nothing"][..], 3, "directory_not_found"),
        (&["cat", "/nothing"], 4, "not_found"),
        (&["cat", "relative"], 2, "invalid_argument"),
        (&["mv", "/d", "/d"], 2, "invalid_argument"),
        (&["delete", "/d/x", "/nothing"], 26, "partial"),
        (&["--config", "/nowhere.json", "ls"], 7, "config"),
    ] {
        let outcome = machine.run(&[&["--json"], words].concat());
        assert_eq!(outcome.code, code, "{words:?}: {outcome:?}");
        let error = outcome.json_error();
        assert_eq!(
            (error["kind"].as_str(), error["command"].as_str()),
            (Some(kind), Some(words.iter().find(|w| !w.starts_with('-') && !w.starts_with('/')).copied().unwrap()))
        );
        assert!(!error["message"].as_str().unwrap().is_empty());
    }
}

#[test]
fn partial_failure_is_never_0() {
    let machine = Machine::with_pool(1, "none", "64K");
    machine.file("in/good", "good");
    std::os::unix::fs::symlink("nowhere", machine.path("in/broken")).unwrap();
    let outcome = machine.run(&["--json", "upload", "--copy-links", "in", "/in"]);
    assert_eq!(outcome.code, 26, "{outcome:?}");
    let lines = outcome.json_lines();
    assert!(types(&lines).contains(&"file_failed"), "{lines:?}");
    assert_eq!((lines.last().unwrap()["files"].as_u64(), lines.last().unwrap()["failed"].as_u64()), (Some(1), Some(1)));
    assert_eq!(outcome.json_error()["kind"], "partial");
}
