//! Edits of the file.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use super::super::*;
use crate::ErrorKind;

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    fs::write(&path, text).unwrap();
    (dir, path)
}

const TEXT: &str =
    r#"{"webdav_port": 9000, "remotes": ["a:", "b:"], "retry_delay": 2.0, "log_level": "info", "max_retries": 1}"#;

#[test]
fn other_keys_and_their_order_stay() {
    let (dir, path) = file(TEXT);
    let mut edit = ConfigFile::load(&path).unwrap();
    assert_eq!(edit.get("webdav_port"), Some(&json!(9000)));
    edit.set("remotes", json!(["a:", "b:", "c:"]));
    assert_eq!(edit.remove("retry_delay"), Some(json!(2.0)));
    edit.set("use_crypt", true);
    edit.save().unwrap();
    let want = "{\n  \"webdav_port\": 9000,\n  \"remotes\": [\n    \"a:\",\n    \"b:\",\n    \"c:\"\n  ],\n  \"log_level\": \
                \"info\",\n  \"max_retries\": 1,\n  \"use_crypt\": true\n}\n";
    assert_eq!(fs::read_to_string(&path).unwrap(), want);
    // Edited again from the same value, and nothing is left beside the file.
    edit.remove("use_crypt");
    edit.save().unwrap();
    assert!(!Config::load(&path).unwrap().use_crypt);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn nothing_changed_means_nothing_written() {
    let (_dir, path) = file(TEXT);
    let mut edit = ConfigFile::load(&path).unwrap();
    edit.set("max_retries", 1);
    edit.save().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), TEXT);
}

#[test]
fn a_wrong_result_is_not_stored() {
    let (_dir, path) = file(TEXT);
    let mut edit = ConfigFile::load(&path).unwrap();
    edit.set("remotes", json!([]));
    let error = edit.save().unwrap_err();
    assert!(error.kind() == ErrorKind::Config && error.to_string().contains("no remotes"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), TEXT);
    // A wrong file can be opened, put right and stored.
    fs::write(&path, r#"{"remotes": ["a:"], "chunk_size": "big"}"#).unwrap();
    let mut edit = ConfigFile::load(&path).unwrap();
    assert!(edit.config().is_err());
    edit.remove("chunk_size");
    edit.save().unwrap();
    Config::load(&path).unwrap();
}

#[test]
fn what_an_edit_would_lose_is_refused() {
    for (text, want) in [
        (r#"{"remotes": ["a:"], "remotes": ["b:"]}"#, "stands twice"),
        (r#"{"remotes": ["a:"], "remote_weights": {"a:": 1, "a:": 2}}"#, "stands twice"),
        ("[1]", "JSON object"),
        ("{", "not valid JSON"),
        ("", "empty"),
    ] {
        let (_dir, path) = file(text);
        let error = ConfigFile::load(&path).unwrap_err().to_string();
        assert!(error.contains(want) && error.contains("config.json"), "{error}");
    }
}

#[test]
fn a_change_by_another_is_not_overwritten() {
    let (_dir, path) = file(TEXT);
    let mut edit = ConfigFile::load(&path).unwrap();
    let other = TEXT.replace("9000", "9001");
    fs::write(&path, &other).unwrap();
    edit.set("max_retries", 5);
    assert_eq!(edit.save().unwrap_err().kind(), ErrorKind::Busy);
    assert_eq!(fs::read_to_string(&path).unwrap(), other);
}

#[test]
fn a_new_file_is_made_with_its_directory_and_never_over_another() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/config.json");
    let mut edit = ConfigFile::create(&path);
    assert!(edit.save().is_err() && !path.exists(), "no remotes yet");
    edit.set("remotes", json!(["a:"]));
    edit.save().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\n  \"remotes\": [\n    \"a:\"\n  ]\n}\n");
    let mut second = ConfigFile::create(&path);
    second.set("remotes", json!(["b:"]));
    assert_eq!(second.save().unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(Config::load(&path).unwrap().remotes, ["a:"]);
    assert_eq!(ConfigFile::load(&dir.path().join("none")).unwrap_err().kind(), ErrorKind::NotFound);
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    fn chmod(path: &std::path::Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn mode_owner_and_links_stay() {
        let (dir, path) = file(TEXT);
        chmod(&path, 0o640);
        // Only root can give files away.
        let owner = std::os::unix::fs::chown(&path, Some(12345), Some(12345)).is_ok();
        let link = dir.path().join("link.json");
        symlink(&path, &link).unwrap();
        let mut edit = ConfigFile::load(&link).unwrap();
        edit.set("max_retries", 7);
        edit.save().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().file_type().is_symlink());
        let meta = fs::metadata(&path).unwrap();
        assert_eq!(meta.mode() & 0o7777, 0o640);
        assert!(!owner || (meta.uid(), meta.gid()) == (12345, 12345));
        assert_eq!(Config::load(&path).unwrap().max_retries, 7);
    }

    #[test]
    fn new_files_are_private() {
        let dir = tempfile::tempdir().unwrap();
        let mut edit = ConfigFile::create(&dir.path().join("c.json"));
        edit.set("remotes", json!(["a:"]));
        edit.save().unwrap();
        assert_eq!(fs::metadata(edit.path()).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_read_only_file_or_directory_is_a_clear_error() {
        let (dir, path) = file(TEXT);
        for (what, path_of, mode) in [("file", path.as_path(), 0o444), ("directory", dir.path(), 0o555)] {
            let old = fs::metadata(path_of).unwrap().mode();
            chmod(path_of, mode);
            let mut edit = ConfigFile::load(&path).unwrap();
            edit.set("max_retries", 7);
            let error = edit.save().unwrap_err();
            chmod(path_of, old);
            assert_eq!(error.kind(), ErrorKind::Config);
            let text = error.to_string();
            assert!(
                text.contains(&format!("the {what} "))
                    && text.contains("read-only")
                    && text.contains("make it writable"),
                "{text}"
            );
            assert_eq!(fs::read_to_string(&path).unwrap(), TEXT);
        }
    }
}
