//! The manual pages.

use std::process::Command;

use rclonepool_tests::cli::Machine;

use super::help::COMMANDS;

#[test]
fn every_command_has_a_page_that_can_be_read() {
    let machine = Machine::new();
    machine.ok(&["man", "pages"]);
    let mut expected: Vec<String> =
        COMMANDS.iter().map(|words| [&["rclonepool"], *words].concat().join("-") + ".1").collect();
    expected.sort();
    assert_eq!(machine.files_below("pages"), expected);
    let program = String::from_utf8(machine.read("pages/rclonepool.1")).unwrap();
    for part in ["degraded but readable", "rclonepool\\-upload(1)", "\\-\\-config"] {
        assert!(program.contains(part), "{part} is not in rclonepool.1: {program}");
    }
    let token = String::from_utf8(machine.read("pages/rclonepool-user-token-add.1")).unwrap();
    assert!(token.contains("rclonepool user token add") && token.contains("\\-\\-expires"), "{token}");
    // Where there is a program that shows pages, it has nothing to say against ours.
    if Command::new("man").arg("--version").output().is_err() {
        return;
    }
    for page in expected {
        let mut command = Command::new("man");
        command.args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]);
        let output = command.arg(machine.path("pages").join(&page)).env("LC_ALL", "C.UTF-8").output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{page}: {output:?}");
    }
}
