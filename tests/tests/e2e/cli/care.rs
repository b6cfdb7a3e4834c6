//! What the care of a pool survives: a process killed at any moment, others at work beside it; and what it leaves
//! is read without this library, whichever remote is away.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use rclonepool_tests::cli::{Machine, Outcome, content};
use rclonepool_tests::repository;

use super::interrupt::{run_until, signal};

/// After how many changes on the disks a command is killed: a later kill every time, until it gets to its end.
const MOMENTS: [usize; 14] = [1, 3, 6, 10, 15, 20, 25, 30, 36, 43, 52, 70, 100, 150];

/// The files of these tests: some of one chunk, one of several, one in the journal alone.
fn files() -> Vec<(String, Vec<u8>)> {
    let sizes = [700_000, 300_000, 300_000, 70_000, 500, 0];
    (0..).zip(sizes).map(|(n, size)| (format!("d/f{n}"), content(n, size))).collect()
}

fn pool(disks: usize, redundancy: &str) -> Machine {
    let machine = Machine::with_pool(disks, redundancy, "128K");
    files().iter().for_each(|(path, bytes)| drop(machine.file(&format!("in/{path}"), bytes)));
    machine.ok(&["upload", "in/d", "/d"]);
    machine
}

/// All that lies on the disks.
fn objects(machine: &Machine) -> BTreeSet<String> {
    (1..=6)
        .flat_map(|n| {
            let disk = format!("disk{n}");
            machine.files_below(&disk).into_iter().map(move |file| format!("{disk}/{file}"))
        })
        .collect()
}

fn spawn(machine: &Machine, words: &[&str]) -> Child {
    let mut command = machine.command(words);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Runs a command until it has changed so much on the disks, and kills it there; `Some` when it ended before.
fn kill_after(machine: &Machine, words: &[&str], changes: usize) -> Option<Outcome> {
    let before = objects(machine);
    let mut child = spawn(machine, words);
    loop {
        signal(&child, Signal::STOP);
        if child.try_wait().unwrap().is_some() {
            return Some(Outcome::of(child.wait_with_output().unwrap()));
        }
        if objects(machine).symmetric_difference(&before).count() >= changes {
            signal(&child, Signal::KILL);
            child.wait().unwrap();
            return None;
        }
        signal(&child, Signal::CONT);
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Kills a command later and later, until it gets to its end; every file reads well after each time.
fn kill_until_done(machine: &Machine, words: &[&str]) {
    for (kills, changes) in MOMENTS.into_iter().enumerate() {
        let ended = kill_after(machine, words, changes);
        for (path, bytes) in files() {
            assert!(machine.cat(&format!("/{path}")) == bytes, "{words:?}: {path} after {changes} changes");
        }
        if let Some(outcome) = ended {
            assert_eq!(outcome.code, 0, "{words:?}: {outcome:?}");
            assert!(kills >= 3, "{words:?} was killed only {kills} times");
            return;
        }
    }
    panic!("{words:?} makes more changes than it needs");
}

/// Every byte is as it should be, and is restored by the independent reader from all disks but one.
fn whole(machine: &Machine, disks: &[usize], may_lose: bool) {
    machine.ok(&["verify", "--deep"]);
    machine.ok(&["health"]);
    let away: Vec<Option<usize>> = if may_lose { disks.iter().copied().map(Some).collect() } else { vec![None] };
    for away in away {
        let target = machine.path("restored");
        let _ = std::fs::remove_dir_all(&target);
        let mut reader = Command::new("python3");
        reader.arg(repository::root().join("tests/reader/read_pool.py")).current_dir(machine.path(""));
        reader.args(disks.iter().filter(|n| Some(**n) != away).map(|n| machine.path(&format!("disk{n}"))));
        let output = reader.arg("restore").arg(&target).output().unwrap();
        assert!(output.status.success(), "without {away:?}: {output:?}");
        for (path, bytes) in files() {
            assert!(machine.read(&format!("restored/{path}")) == bytes, "{path} without {away:?}");
        }
    }
}

/// What nobody needs any more can be freed, and nothing that is needed is.
fn cleaned(machine: &Machine) {
    machine.set("sole_writer", true);
    machine.ok(&["gc"]);
    machine.ok(&["--yes", "orphans", "--delete"]);
    assert!(machine.ok(&["orphans"]).contains("Nothing lies on the remotes that nobody needs."));
}

#[test]
fn a_killed_rebuild_goes_on() {
    let machine = pool(4, "parity:2+1");
    let lost = machine.files_below("disk2/rclonepool_data");
    assert!(lost.len() > 4, "{lost:?}");
    lost.iter().for_each(|file| std::fs::remove_file(machine.path("disk2/rclonepool_data").join(file)).unwrap());
    kill_until_done(&machine, &["rebuild", "--all", "--accept-loss"]);
    assert!(machine.ok(&["rebuild", "--all"]).contains("nothing to rebuild"));
    whole(&machine, &[1, 2, 3, 4], true);
    cleaned(&machine);
    whole(&machine, &[1, 2, 3, 4], true);
}

#[test]
fn killed_rebalancing_and_draining_go_on() {
    let machine = pool(3, "parity:2+1");
    machine.directory("disk4");
    let (disk1, disk4) = (machine.text("disk1"), machine.text("disk4"));
    machine.ok(&["remotes", "add", "--alone", &disk4]);
    kill_until_done(&machine, &["rebalance", "--target-variance", "10"]);
    assert!(!machine.files_below("disk4/rclonepool_data").is_empty());
    whole(&machine, &[1, 2, 3, 4], true);
    kill_until_done(&machine, &["--yes", "remotes", "drain", "--alone", &disk1]);
    assert!(machine.files_below("disk1").iter().all(|file| !file.contains("remote-")), "the marker is gone");
    whole(&machine, &[2, 3, 4], true);
    cleaned(&machine);
    std::fs::remove_dir_all(machine.path("disk1")).unwrap();
    whole(&machine, &[2, 3, 4], true);
}

#[test]
fn killed_conversions_and_collections_go_on() {
    let machine = pool(4, "none");
    for (redundancy, may_lose) in [("parity:3+1", true), ("none", false), ("replication:2", true)] {
        kill_until_done(&machine, &["rebuild", "--redundancy", redundancy]);
        assert!(machine.ok(&["rebuild", "--redundancy", redundancy]).contains("nothing to convert"));
        whole(&machine, &[1, 2, 3, 4], may_lose);
    }
    machine.set("sole_writer", true);
    kill_until_done(&machine, &["gc"]);
    cleaned(&machine);
    whole(&machine, &[1, 2, 3, 4], true);
}

#[test]
fn a_replaced_disk_and_the_loss_of_another_leave_what_the_reader_reads() {
    let machine = pool(4, "parity:2+1");
    let (disk2, disk3, disk5) = (machine.text("disk2"), machine.text("disk3"), machine.text("disk5"));
    std::fs::remove_dir_all(&disk2).unwrap();
    machine.directory("disk5");
    machine.ok(&["--yes", "remotes", "replace", "--alone", &disk2, &disk5]);
    whole(&machine, &[1, 3, 4, 5], true);
    std::fs::remove_dir_all(&disk3).unwrap();
    machine.ok(&["--yes", "remotes", "remove", "--lost", &disk3]);
    machine.ok(&["rebuild"]);
    whole(&machine, &[1, 4, 5], true);
}

#[test]
fn a_killed_upload_is_left_alone_and_resumed() {
    let machine = Machine::with_pool(3, "parity:2+1", "256K");
    let bytes = content(7, 20 << 20);
    machine.file("big", &bytes);
    let stored = |machine: &Machine| machine.files_below("disk1/rclonepool_data").len();
    let mut child = spawn(&machine, &["upload", "--parallel=1", "big", "/big"]);
    run_until(&child, || stored(&machine) >= 8);
    signal(&child, Signal::KILL);
    child.wait().unwrap();
    let left = objects(&machine);
    let listed = machine.ok(&["orphans"]);
    assert!(listed.contains("kept for an upload of this machine that broke off"), "{listed}");
    // Whoever collects: this machine, another one, one that believes itself alone.
    let data = |all: BTreeSet<String>| -> BTreeSet<String> {
        all.into_iter().filter(|name| name.contains("_data/")).collect()
    };
    let left = data(left);
    for words in [vec!["gc"], vec!["--yes", "orphans", "--delete"]] {
        machine.ok(&words);
        let mut command = machine.command(&words);
        let other = machine.directory("other");
        let outcome =
            Outcome::of(command.env("HOME", other).env("RCLONEPOOL_CONFIG", machine.config_path()).output().unwrap());
        assert_eq!(outcome.code, 0, "{outcome:?}");
    }
    assert_eq!(data(objects(&machine)), left);
    machine.set("sole_writer", true);
    machine.ok(&["gc"]);
    machine.ok(&["--yes", "orphans", "--delete"]);
    // The chunk it was just storing was not noted yet: only a grace would keep it.
    assert!(data(objects(&machine)).len() + 2 * 3 >= left.len());
    let said = machine.ok(&["upload", "big", "/big"]);
    assert!(said.contains("were there from an interrupted upload"), "{said}");
    assert!(machine.cat("/big") == bytes);
    machine.ok(&["verify", "--deep"]);
}

#[test]
fn orphans_are_deleted_while_another_process_uploads() {
    let machine = Machine::with_pool(3, "parity:2+1", "256K");
    let bytes = content(8, 24 << 20);
    machine.file("big", &bytes);
    let orphan = "disk1/rclonepool_data/0/0123456789abcdef0123456789abcdef.0.00000000000000ff";
    machine.file(orphan, [7; 5000]);
    machine.set("sole_writer", true);
    let stored = || machine.files_below("disk2/rclonepool_data").len();
    let child = spawn(&machine, &["upload", "--parallel=1", "big", "/big"]);
    for moment in [2, 12, 30] {
        run_until(&child, || stored() >= moment);
        // Stopped, it still holds what says that it is there.
        let error = machine.fails(23, &["--yes", "orphans", "--delete", "--min-age", "0s"]);
        assert!(error.contains("another process of this machine stores data"), "{error}");
        machine.ok(&["--yes", "orphans", "--delete"]);
        assert!(machine.path(orphan).exists() && stored() >= moment, "after {moment}");
        signal(&child, Signal::CONT);
        machine.ok(&["--yes", "orphans", "--delete"]);
    }
    let outcome = Outcome::of(child.wait_with_output().unwrap());
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(machine.cat("/big") == bytes);
    machine.ok(&["verify", "--deep"]);
    assert_eq!(machine.summary(&["--yes", "orphans", "--delete", "--min-age", "0s"])["reclaimed"], 5000);
    assert!(!machine.path(orphan).exists() && machine.cat("/big") == bytes);
}

#[test]
fn what_a_conversion_puts_together_for_want_of_a_disk_is_told_and_put_apart_later() {
    let machine = pool(4, "parity:2+1");
    std::fs::rename(machine.path("disk1"), machine.path("away")).unwrap();
    let outcome = machine.run(&["rebuild", "--redundancy", "parity:3+1"]);
    assert!(outcome.code == 0 && outcome.stderr.contains("makes 4 shards of every chunk, and there are 3 remotes"));
    std::fs::rename(machine.path("away"), machine.path("disk1")).unwrap();
    for words in [["verify"], ["health"]] {
        let error = machine.fails(20, &words);
        assert!(error.contains("`rclonepool rebalance` puts") && !error.contains("rclonepool rebuild"), "{error}");
    }
    machine.ok(&["rebalance"]);
    whole(&machine, &[1, 2, 3, 4], true);
}

#[test]
fn a_damaged_commit_comes_back_as_the_hint_says() {
    let machine = pool(3, "parity:2+1");
    let commits = machine.files_below("disk2/rclonepool_manifests/commits");
    let path = machine.path("disk2/rclonepool_manifests/commits").join(&commits[0]);
    let good = std::fs::read(&path).unwrap();
    let mut damaged = good.clone();
    damaged[30] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    let error = machine.fails(22, &["verify", "--deep"]);
    assert!(error.contains("bytes differ from what was stored: 1 commit\n"), "{error}");
    assert!(error.contains("`rclonepool rebuild` puts the corrupt ones anew"), "{error}");
    machine.ok(&["ls"]);
    assert_ne!(std::fs::read(&path).unwrap(), good);
    assert!(machine.ok(&["rebuild", "--dry-run"]).contains("corrupt, to be put anew"));
    assert!(machine.ok(&["rebuild"]).contains("put 1 commit anew"));
    assert_eq!(std::fs::read(&path).unwrap(), good);
    whole(&machine, &[1, 2, 3], true);
}

/// A whole remote that cannot be read is told once, not once per chunk.
#[test]
fn a_remote_that_fails_is_told_once() {
    let machine = Machine::with_pool(3, "parity:2+1", "64K");
    machine.upload(content(1, 1_000_000), "/f");
    let data = machine.path("disk1/rclonepool_data");
    std::fs::rename(&data, machine.path("away")).unwrap();
    // Neither a file nor a directory: nothing is known of what lies there.
    std::os::unix::fs::symlink(machine.path("away"), &data).unwrap();
    let outcome = machine.run(&["download", "/f", "f"]);
    assert_eq!((outcome.code, machine.read("f")), (0, content(1, 1_000_000)), "{outcome:?}");
    assert_eq!(outcome.stderr.lines().filter(|line| line.contains("symbolic links")).count(), 1, "{outcome:?}");
}

#[test]
fn a_conversion_tells_once_that_it_is_stale() {
    let machine = Machine::with_pool(3, "parity:2+1", "64K");
    machine.upload(content(1, 300_000), "/f");
    std::fs::rename(machine.path("disk3"), machine.path("away")).unwrap();
    let outcome = machine.run(&["rebuild", "--redundancy", "replication:2"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(outcome.stderr.matches("done with too few remotes").count(), 1, "{}", outcome.stderr);
}

/// Where a plain rebuild leaves alone what is missing, nothing says that it would restore it.
#[test]
fn much_that_is_missing_is_rebuilt_as_the_hint_says() {
    let machine = Machine::with_pool(3, "parity:2+1", "64K");
    machine.upload(content(1, 6_000_000), "/f");
    let shards = machine.files_below("disk2/rclonepool_data");
    assert!(shards.len() > 20);
    shards.iter().for_each(|shard| std::fs::remove_file(machine.path("disk2/rclonepool_data").join(shard)).unwrap());
    let outcome = machine.run(&["cat", "/f"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let told = outcome.stderr.contains("much is missing on") && outcome.stderr.contains("--all --accept-loss");
    assert!(told, "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("`rclonepool rebuild` restores"), "{}", outcome.stderr);
    for words in [vec!["verify"], vec!["health"]] {
        let error = machine.fails(20, &words);
        assert!(error.contains("`rclonepool rebuild --all --accept-loss`"), "{error}");
    }
    machine.fails(26, &["rebuild"]);
    machine.ok(&["rebuild", "--all", "--accept-loss"]);
    machine.ok(&["verify", "--deep"]);
}

#[test]
fn what_is_lost_already_is_not_asked_about_again() {
    let machine = Machine::with_pool(4, "parity:2+1", "64K");
    machine.upload(content(1, 300_000), "/f");
    std::fs::remove_dir_all(machine.path("disk4")).unwrap();
    let disk4 = machine.text("disk4");
    machine.ok(&["--yes", "remotes", "remove", "--lost", &disk4]);
    // Without --yes: it would fail where something is to be asked.
    let said = machine.ok(&["remotes", "remove", "--lost", &disk4]);
    assert!(said.contains("the pool let go of it before"), "{said}");
    assert!(!said.contains("count as missing"), "{said}");
}
