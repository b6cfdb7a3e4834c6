//! The Rust examples do what their first lines say.

use std::process::Command;

use rclonepool_tests::built;

#[test]
fn path_check() {
    let output = Command::new(built::example("path_check")).args(["/movies/", "/a/../b"]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "/movies\n");
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("\"..\""), "{complaint}");
    assert_eq!(output.status.code(), Some(1));
}
