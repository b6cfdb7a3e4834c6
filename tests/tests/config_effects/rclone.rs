//! Keys of how rclone is run.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rclonepool_tests::cli::{Machine, Outcome, content};
use rclonepool_tests::rclone::Config;
use rclonepool_tests::wrapper;

fn daemon_pool() -> Machine {
    let machine = wrapper::pool(1, "none", "64K");
    machine.set("enable_rclone_daemon", true);
    machine
}

/// A command that waits for its input; `look` is called while the pool is open.
fn while_open(machine: &Machine, look: impl FnOnce()) -> Outcome {
    let mut command = machine.command(&["upload", "-", "/streamed"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // More than a pipe holds: when it is written, the pool is open and reads.
    input.write_all(&content(1, 200_000)).unwrap();
    look();
    drop(input);
    Outcome::of(child.wait_with_output().unwrap())
}

#[test]
fn use_crypt_and_crypt_remotes() {
    let machine = Machine::new();
    let mut config = Config::new(&machine.path(""));
    let disk = machine.disks(1).remove(0);
    config.directory("plain", std::path::Path::new(&disk));
    config.crypt("crypt-plain", "plain:a");
    config.crypt("mine", "plain:b");
    let stored = |keys: &str| {
        machine.write_config(&format!("{{\"remotes\": [\"plain:\"], {keys}}}"));
        machine.ok(&["init", "--yes"]);
        machine.files_below("disk1").iter().map(|file| file.split('/').next().unwrap().to_owned()).next_back().unwrap()
    };
    assert_eq!(stored("\"use_crypt\": true"), "a", "crypt-NAME: by itself");
    assert_eq!(stored("\"use_crypt\": true, \"crypt_remotes\": [\"mine:\"]"), "b");
    assert_eq!(stored("\"use_crypt\": false, \"crypt_remotes\": [\"mine:\"]"), "rclonepool_manifests");
}

#[test]
fn temp_dir_holds_the_socket() {
    let machine = daemon_pool();
    machine.set("temp_dir", machine.text("tmp/of/ours"));
    let outcome = while_open(&machine, || {
        let mode = machine.path("tmp/of/ours").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert!(!machine.files_below("tmp/of/ours").is_empty(), "the socket lies there");
    });
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(machine.files_below("tmp/of/ours").is_empty(), "{:?}", machine.files_below("tmp/of/ours"));
    machine.file("blocked", "");
    machine.set("temp_dir", machine.text("blocked/below"));
    let outcome = machine.run(&["ls"]);
    assert!(outcome.code != 0 && outcome.stderr.contains("temp_dir"), "{outcome:?}");
}

#[test]
fn rclone_binary_is_what_runs() {
    let machine = daemon_pool();
    machine.ok(&["ls"]);
    assert!(wrapper::calls(&machine).iter().any(|call| call.starts_with("rcd ")), "{:?}", wrapper::calls(&machine));
    machine.set("rclone_binary", machine.text("nowhere/rclone"));
    let error = machine.fails(7, &["ls"]);
    assert!(error.contains("nowhere/rclone") && error.contains("rclone_binary"), "{error}");
}

#[test]
fn rclone_config_file_is_read() {
    let machine = daemon_pool();
    machine.upload("x", "/x");
    std::fs::rename(machine.path("rclone.conf"), machine.path("other.conf")).unwrap();
    machine.set("enable_retry", false);
    machine.forget_home_but_config();
    assert!(machine.fails(5, &["ls"]).contains("r1:"));
    machine.set("rclone_config_file", machine.text("other.conf"));
    assert_eq!(machine.ok(&["ls"]), "x\n");
}

#[test]
fn rclone_flags_reach_rclone() {
    let machine = daemon_pool();
    machine.set("rclone_flags", serde_json::json!(["--bwlimit", "10M", "--no-traverse"]));
    machine.ok(&["ls"]);
    let calls = wrapper::calls(&machine);
    assert!(calls.iter().any(|call| call.contains("--bwlimit=10M") && call.contains("--no-traverse")), "{calls:?}");
    machine.set("rclone_flags", serde_json::json!(["--dry-run"]));
    assert!(machine.fails(7, &["ls"]).contains("--dry-run"));
}

#[test]
fn without_the_daemon_every_operation_is_a_process() {
    let machine = wrapper::pool(1, "none", "64K");
    let bytes = content(1, 100_000);
    machine.upload(&bytes, "/f");
    assert_eq!(machine.cat("/f"), bytes);
    let verbs: Vec<String> =
        wrapper::calls(&machine).iter().map(|call| call.split(' ').next().unwrap().into()).collect();
    assert!(verbs.len() > 5 && !verbs.iter().any(|verb| verb == "rcd"), "{verbs:?}");
    machine.set("enable_rclone_daemon", true);
    wrapper::behave(&machine, "");
    assert_eq!(machine.cat("/f"), bytes);
    let calls = wrapper::calls(&machine);
    assert_eq!(calls.iter().filter(|call| call.starts_with("rcd ")).count(), 1, "{calls:?}");
    assert!(calls.len() <= 2, "one process serves all: {calls:?}");
}

#[test]
fn rclone_daemon_port_is_listened_on() {
    let machine = daemon_pool();
    let port = rclonepool_tests::free_port();
    machine.set("rclone_daemon_port", port);
    let outcome = while_open(&machine, || {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream
            .write_all(b"POST /rc/noop HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 401"), "nobody is let in without the credentials: {answer}");
    });
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err(), "it ends with the command");
    // A port that is taken is an error that names the key, and not a hang.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    machine.set("rclone_daemon_port", taken.local_addr().unwrap().port());
    let began = Instant::now();
    let outcome = machine.run(&["ls"]);
    assert!(outcome.code != 0 && outcome.stderr.contains("rclone_daemon_port"), "{outcome:?}");
    assert!(began.elapsed() < Duration::from_secs(60));
}
