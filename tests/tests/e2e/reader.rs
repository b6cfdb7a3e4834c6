//! The independent reader against pools this library wrote, in every mode, with remotes missing.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rclonepool_tests::home::Home;
use rclonepool_tests::{repository, scratch};

/// The reader, started from a place that holds nothing of the library.
fn reader(directory: &Path, args: &[&str]) -> Output {
    let program = repository::root().join("tests/reader/read_pool.py");
    let mut command = Command::new("python3");
    command.arg(program).args(args).current_dir(directory);
    command.output().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"))
}

fn files() -> Vec<(&'static str, Vec<u8>)> {
    let bytes = |seed: u8, size: usize| (0..size).map(|i| (i / 7 * 31 + i) as u8 ^ seed).collect::<Vec<u8>>();
    vec![
        ("empty", Vec::new()),
        ("one byte", bytes(1, 1)),
        ("deep/er/inline.txt", bytes(2, 4096)),
        ("copies.bin", bytes(3, 60_000)),
        ("small.bin", bytes(4, 150_001)),
        ("one chunk.bin", bytes(5, 1 << 20)),
        ("several.bin", bytes(6, 2_500_000)),
        // These share a chunk with copies.bin.
        ("packed/1", bytes(7, 4_097)),
        ("packed/2", bytes(8, 30_000)),
        ("packed/3", bytes(9, 65_536)),
    ]
}

#[test]
fn every_mode_is_restored_without_the_library_and_without_the_remotes_it_may_lose() {
    let modes =
        [("none", 2, 0), ("replication:2", 3, 1), ("parity:2+1", 3, 1), ("parity:3+2", 5, 2), ("hybrid:2+1x2", 6, 3)];
    for (redundancy, n, lost) in modes {
        let scratch = scratch();
        let home = Home::new(Path::new("/dev/null"));
        let remotes: Vec<PathBuf> = (0..n).map(|i| scratch.path().join(format!("disk{i}"))).collect();
        let source = scratch.path().join("source");
        for remote in &remotes {
            std::fs::create_dir(remote).unwrap();
        }
        for (name, bytes) in files() {
            let path = source.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        let mut args = vec!["init", "--yes", "--redundancy", redundancy, "--chunk-size", "1MiB"];
        remotes.iter().for_each(|remote| args.extend(["--remote", remote.to_str().unwrap()]));
        home.run(&args);
        home.run(&["upload", source.to_str().unwrap(), "/tree"]);
        home.set("enable_compression", "true");
        home.run(&["upload", source.join("several.bin").to_str().unwrap(), "/compressed.bin"]);
        assert!(home.run(&["status"]).contains("compressed: "));
        home.run(&["upload", source.join("small.bin").to_str().unwrap(), "/gone.bin"]);
        home.run(&["delete", "/gone.bin"]);
        home.run(&["mv", "/tree/copies.bin", "/moved.bin"]);

        let kept: Vec<&str> = remotes[lost..].iter().map(|r| r.to_str().unwrap()).collect();
        let target = scratch.path().join("target");
        let mut args = kept.clone();
        args.extend(["restore", target.to_str().unwrap()]);
        let output = reader(scratch.path(), &args);
        assert!(
            output.status.success(),
            "{redundancy}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        for (name, bytes) in files() {
            let restored = if name == "copies.bin" { target.join("moved.bin") } else { target.join("tree").join(name) };
            assert!(std::fs::read(&restored).unwrap() == bytes, "{redundancy}: {name}");
        }
        assert!(std::fs::read(target.join("compressed.bin")).unwrap() == files()[6].1, "{redundancy}: compressed");
        assert!(!target.join("gone.bin").exists());
    }
}
