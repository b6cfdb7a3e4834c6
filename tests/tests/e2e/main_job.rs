//! The main job on real rclone remotes: crypt over directories, S3 and WebDAV on loopback.

use std::path::Path;
use std::process::Stdio;

use rclonepool_tests::home::{Home, kill, process_name, rclones_below, wait_until};
use rclonepool_tests::rclone::{Config, Server};
use rclonepool_tests::scratch;

/// Bytes that do not compress, the same each time.
fn content(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Four crypt remotes: over two directories, a WebDAV server and an S3 server.
struct Clouds {
    scratch: tempfile::TempDir,
    config: Config,
    _servers: [Server; 2],
}

const CRYPTS: [&str; 4] = ["c1:", "c2:", "c3:", "c4:"];

impl Clouds {
    fn new() -> Self {
        let scratch = scratch();
        for name in ["disk1", "disk2", "dav", "s3", "s3/bucket"] {
            std::fs::create_dir(scratch.path().join(name)).unwrap();
        }
        let servers = [Server::webdav(&scratch.path().join("dav")), Server::s3(&scratch.path().join("s3"))];
        let mut config = Config::new(scratch.path());
        config.directory("d1", &scratch.path().join("disk1"));
        config.directory("d2", &scratch.path().join("disk2"));
        config.webdav("dav", &servers[0]);
        config.s3("s3", &servers[1]);
        for (crypt, wrapped) in [("c1", "d1:"), ("c2", "d2:"), ("c3", "dav:"), ("c4", "s3:bucket")] {
            config.crypt(crypt, wrapped);
        }
        Self { scratch, config, _servers: servers }
    }

    fn file(&self, size: usize) -> std::path::PathBuf {
        let path = self.scratch.path().join("source.bin");
        std::fs::write(&path, content(size)).unwrap();
        path
    }
}

fn init(home: &Home, redundancy: &str) {
    let mut args = vec!["init", "--yes", "--redundancy", redundancy, "--chunk-size", "3MiB"];
    CRYPTS.iter().for_each(|remote| args.extend(["--remote", remote]));
    home.run(&args);
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_lost_remote_and_a_lost_machine_lose_nothing() {
    let clouds = Clouds::new();
    let home = Home::new(clouds.config.path());
    init(&home, "parity:3+1");
    // Larger than what the pool may keep on any one remote.
    home.set("remote_quotas", r#"{ "c1:": "13MiB", "c2:": "13MiB", "c3:": "13MiB", "c4:": "13MiB" }"#);
    let file = clouds.file(14 << 20);
    home.run(&["upload", text(&file), "/movies/"]);
    drop(home);

    std::fs::remove_dir_all(clouds.scratch.path().join("disk2")).unwrap();
    let other = Home::new(clouds.config.path());
    other.run(&["init", "--yes", "--from", "c3:"]);
    assert!(other.run(&["ls", "/movies"]).contains("source.bin"));
    let back = other.path().join("back.bin");
    other.run(&["download", "/movies/source.bin", text(&back)]);
    assert!(std::fs::read(&back).unwrap() == std::fs::read(&file).unwrap(), "other bytes came back");
    // It goes on without the lost one.
    other.run(&["upload", text(&back), "/third.bin"]);
    let piped = other.output(&["cat", "/third.bin", "--offset", "1000", "--count", "3MiB"]);
    assert!(piped.stdout == std::fs::read(&file).unwrap()[1000..1000 + (3 << 20)]);
}

#[test]
fn an_rclone_that_is_killed_is_started_again_and_the_upload_goes_on() {
    let clouds = Clouds::new();
    let home = Home::new(clouds.config.path());
    init(&home, "parity:3+1");
    home.set("rclone_flags", r#"["--bwlimit=12M"]"#);
    let file = clouds.file(24 << 20);
    let mut upload = home.command(&["upload", text(&file), "/f"]).stderr(Stdio::null()).spawn().unwrap();
    let data = clouds.scratch.path().join("disk1");
    wait_until("a shard is on its way", || data_objects(&data) > 10);
    let first = rclones_below(upload.id());
    assert!(!first.is_empty(), "no rclone runs");
    first.iter().for_each(|pid| kill(*pid, "KILL"));
    assert!(upload.wait().unwrap().success());
    let back = home.path().join("back");
    home.run(&["download", "/f", text(&back)]);
    assert!(std::fs::read(&back).unwrap() == std::fs::read(&file).unwrap());
}

#[test]
fn an_upload_that_is_killed_leaves_no_rclone_and_goes_on_where_it_stopped() {
    let clouds = Clouds::new();
    let home = Home::new(clouds.config.path());
    init(&home, "parity:3+1");
    let slow = r#"["--bwlimit=8M"]"#;
    home.set("rclone_flags", slow);
    home.set("parallel_uploads", "false");
    let file = clouds.file(24 << 20);
    let mut upload = home.command(&["upload", text(&file), "/f"]).stderr(Stdio::null()).spawn().unwrap();
    let data = clouds.scratch.path().join("disk1");
    // One chunk at a time: the third one's shard means that two are whole.
    wait_until("two chunks are stored", || data_objects(&data) > 12);
    let rclones = rclones_below(upload.id());
    upload.kill().unwrap();
    upload.wait().unwrap();
    wait_until("no rclone is left", || rclones.iter().all(|pid| process_name(*pid) != "rclone"));
    assert_ne!(home.output(&["stat", "/f"]).status.code(), Some(0), "half a file must not show");

    let report = home.run(&["--json", "upload", text(&file), "/f"]);
    let resumed = report.split("\"resumed_bytes\":").nth(1).unwrap_or_else(|| panic!("{report}"));
    let resumed: u64 = resumed.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap();
    assert!(resumed >= 3 << 20, "{report}");
    let back = home.path().join("back");
    home.run(&["download", "/f", text(&back)]);
    assert!(std::fs::read(&back).unwrap() == std::fs::read(&file).unwrap());
}

/// Objects below a crypt remote's directory: commits, shards and the eight of the lifeboat, whatever they are called.
fn data_objects(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|e| if e.path().is_dir() { data_objects(&e.path()) } else { 1 }).sum()
}
