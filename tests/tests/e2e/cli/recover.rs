//! The lifeboat: a pool restored with nothing but what lies on its remotes, rclone and Python.

use std::path::Path;
use std::process::Command;

use rclonepool_tests::cli::{Machine, content};
use rclonepool_tests::rclone::{self, Config};

/// A program that knows nothing of the pool's machine.
fn alone(directory: &Path, program: &str, words: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(words).current_dir(directory).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    let output = command.output().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_pool_is_restored_with_nothing_but_its_remotes_and_rclone() {
    let machine = Machine::new();
    let mut conf = Config::new(&machine.path(""));
    for n in 1..=3 {
        let disk = machine.directory(&format!("disk{n}")).display().to_string();
        conf.crypt(&format!("account{n}"), &disk);
    }
    let remotes = ["account1:", "account2:", "account3:"].iter().flat_map(|name| ["--remote", name]);
    let words = ["init", "--redundancy", "parity:2+1", "--chunk-size", "256K"].into_iter().chain(remotes);
    machine.ok(&words.collect::<Vec<_>>());
    machine.set("enable_compression", true);
    let film = content(1, 900_000);
    machine.upload(&film, "/films/one.mkv");
    machine.upload("a note\n".repeat(30_000), "/notes.txt");
    machine.upload("short", "/short.txt");
    // The machine is gone, and one account. What is left: passwords, two accounts, rclone.
    machine.forget_home();
    std::fs::remove_dir_all(machine.path("disk2")).unwrap();
    let here = machine.directory("elsewhere");
    let copy = |from: &str, to: &str| conf.run(["copy", from, &machine.text(to)]);
    copy("account1:rclonepool_manifests/lifeboat", "elsewhere/lifeboat");
    copy("account1:", "elsewhere/remotes/one");
    copy("account3:", "elsewhere/remotes/three");
    drop(machine.read("elsewhere/lifeboat/FORMAT.md"));
    let read = |words: &[&str]| {
        alone(&here, "python3", &[&["-I", "-S", "run.py", "remotes/one", "remotes/three"], words].concat())
    };
    // Isolated: Python sees its standard library and the lifeboat.
    let run = "import runpy, sys\nsys.path.insert(0, 'lifeboat')\nrunpy.run_path('lifeboat/read_pool.py', run_name='__main__')\n";
    machine.file("elsewhere/run.py", run);
    assert!(read(&["ls"]).contains("/films/one.mkv"));
    read(&["restore", "files"]);
    assert_eq!(machine.files_below("elsewhere/files"), ["films/one.mkv", "notes.txt", "short.txt"]);
    assert_eq!(machine.read("elsewhere/files/films/one.mkv"), film);
    assert_eq!(machine.read("elsewhere/files/notes.txt"), "a note\n".repeat(30_000).as_bytes());
    assert_eq!(machine.read("elsewhere/files/short.txt"), b"short");
    assert!(rclone::binary().exists() || rclone::binary() == Path::new("rclone"));
}

#[test]
fn the_lifeboat_is_looked_after() {
    let machine = Machine::with_pool(3, "parity:2+1", "64K");
    machine.upload(content(1, 100_000), "/file");
    machine.ok(&["recover"]);
    let boat = |disk: &str| machine.files_below(&format!("{disk}/rclonepool_manifests/lifeboat"));
    assert_eq!(boat("disk1").len(), 8);
    // It is neither an orphan nor garbage, and no verification finds fault with it.
    machine.ok(&["verify", "--deep"]);
    assert_eq!(machine.summary(&["orphans"])["objects"].as_u64().unwrap_or(0), 0);
    machine.ok(&["gc"]);
    assert_eq!(boat("disk1").len(), 8);
    // Damaged, lost, stored again.
    machine.file("disk1/rclonepool_manifests/lifeboat/read_pool.py", "print('no')\n");
    std::fs::remove_dir_all(machine.path("disk2/rclonepool_manifests/lifeboat")).unwrap();
    let outcome = machine.run(&["recover"]);
    assert!(outcome.code == 20 && outcome.stdout.contains("disk2: has none"), "{outcome:?}");
    let stored = machine.summary(&["recover", "--store"]);
    let states: Vec<_> = stored["remotes"].as_array().unwrap().iter().map(|r| r["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["stored", "stored", "whole"]);
    machine.ok(&["recover"]);
    // Whoever joins gets it.
    let disk4 = machine.directory("disk4").display().to_string();
    machine.ok(&["remotes", "add", &disk4]);
    assert_eq!(boat("disk4"), boat("disk1"));
    std::fs::rename(machine.path("disk1"), machine.path("away")).unwrap();
    assert_eq!(machine.run(&["recover"]).code, 5);
}

#[test]
fn it_is_written_to_a_directory_without_a_pool() {
    let machine = Machine::new();
    machine.ok(&["recover", "--to", "stick"]);
    let readme = String::from_utf8(machine.read("stick/README.md")).unwrap();
    assert!(readme.contains("read_pool.py") && readme.contains("rclone copy"));
    assert_eq!(machine.files_below("stick").len(), 8);
    alone(&machine.path("stick"), "python3", &["read_pool.py", "--help"]);
}
