//! An rclone that tells what it is asked, and can be made slow, wrong or deaf.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::cli::Machine;
use crate::rclone::{self, Config};

/// A machine whose rclone is ours, with a pool of `n` alias remotes `r1:` to `rN:` over directories, one process
/// per operation.
pub fn pool(n: usize, redundancy: &str, chunk_size: &str) -> Machine {
    let machine = Machine::new();
    let mut config = Config::new(&machine.path(""));
    let mut words = vec!["init", "--redundancy", redundancy, "--chunk-size", chunk_size];
    let labels: Vec<String> = (1..=n).map(|i| format!("r{i}:")).collect();
    for (i, disk) in (1..).zip(machine.disks(n)) {
        config.directory(&format!("r{i}"), Path::new(&disk));
    }
    words.extend(labels.iter().flat_map(|label| ["--remote", label]));
    machine.ok(&words);
    machine.set("rclone_binary", machine.text("rclone-wrapper"));
    machine.set("enable_rclone_daemon", false);
    behave(&machine, "");
    machine
}

/// Before each call of rclone, `script` runs; `$verb` is the command, `$*` all words.
pub fn behave(machine: &Machine, script: &str) {
    let real = rclone::binary();
    let log = machine.text("rclone.log");
    let text = format!(
        "#!/bin/sh\nverb=$1\nrunning=0\n: >{log}.$verb.$$\nfor file in {log}.$verb.*; do\n\
         grep -q '^State:.[^Z]' /proc/${{file##*.}}/status 2>/dev/null && running=$((running + 1))\ndone\n\
         echo \"$running $*\" >>{log}\n{script}\nexec {real} \"$@\"\n",
        real = real.display()
    );
    for old in machine.files_below("").iter().filter(|file| file.starts_with("rclone.log.")) {
        std::fs::remove_file(machine.path(old)).expect("the test's files can be used");
    }
    let path = machine.file("rclone-wrapper", text);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("the test's files can be used");
    machine.file("rclone.log", "");
}

/// What was asked of rclone since [`behave`], one line per call.
pub fn calls(machine: &Machine) -> Vec<String> {
    log(machine).into_iter().map(|(_, call)| call).collect()
}

/// The most calls of `verb` that ran at one time since [`behave`].
pub fn most_at_once(machine: &Machine, verb: &str) -> usize {
    let of_verb = |call: &str| call.split(' ').next() == Some(verb);
    log(machine).into_iter().filter(|(_, call)| of_verb(call)).map(|(running, _)| running).max().unwrap_or(0)
}

fn log(machine: &Machine) -> Vec<(usize, String)> {
    let log = String::from_utf8(machine.read("rclone.log")).expect("the test's files can be used");
    let line =
        |line: &str| line.split_once(' ').map(|(running, call)| (running.parse().expect("a count"), call.to_owned()));
    log.lines().filter_map(line).collect()
}
