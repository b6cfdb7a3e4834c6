//! Ctrl-C: nothing half is left, and the same command goes on where it was.

use std::io::Write;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use rclonepool_tests::cli::{Machine, Outcome, content};
use rclonepool_tests::wrapper;

pub fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn start(machine: &Machine, words: &[&str]) -> Child {
    let mut command = machine.command(words);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Lets the program run a few milliseconds at a time until `is_so`, and leaves it stopped there: however
/// fast the machine is, it does not get to its end meanwhile.
pub fn run_until(child: &Child, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        signal(child, Signal::STOP);
        if is_so() {
            return;
        }
        assert!(Instant::now() < end, "it never came to that");
        signal(child, Signal::CONT);
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// Sends a signal to a stopped program, which then runs on to its end.
fn end(child: Child, by: Signal) -> Outcome {
    signal(&child, by);
    signal(&child, Signal::CONT);
    Outcome::of(child.wait_with_output().unwrap())
}

fn shards(machine: &Machine) -> usize {
    machine.files_below("disk1/rclonepool_data").len()
}

#[test]
fn an_interrupted_upload_goes_on_where_it_was() {
    for name in [Signal::INT, Signal::TERM] {
        let machine = Machine::with_pool(1, "none", "1M");
        let bytes = content(1, 60 << 20);
        machine.file("big", &bytes);
        let child = start(&machine, &["upload", "--parallel=1", "big", "/big"]);
        run_until(&child, || shards(&machine) >= 5);
        let outcome = end(child, name);
        assert_eq!(outcome.code, 130, "{outcome:?}");
        assert!(outcome.stderr.contains(" of 60 chunks are stored; the same command continues there"), "{outcome:?}");
        assert_eq!(machine.ok(&["ls"]), "", "nothing half is seen");
        let before = shards(&machine);
        assert!(before < 60, "it was interrupted in the middle");
        let said = machine.ok(&["upload", "big", "/big"]);
        assert!(said.contains("were there from an interrupted upload"), "{said}");
        assert!(shards(&machine) <= 61, "chunks were used again: {before} then {}", shards(&machine));
        assert_eq!(machine.cat("/big"), bytes);
    }
}

#[test]
fn an_interrupted_tree_keeps_what_is_done() {
    let machine = Machine::with_pool(1, "none", "1M");
    for i in 0..30 {
        machine.file(&format!("in/{i:02}"), content(i, 2 << 20));
    }
    let child = start(&machine, &["upload", "--parallel=1", "in", "/in"]);
    run_until(&child, || shards(&machine) >= 10);
    let outcome = end(child, Signal::INT);
    assert_eq!(outcome.code, 130, "{outcome:?}");
    assert!(outcome.stderr.contains("of 30 files are stored; the same command continues with the rest"), "{outcome:?}");
    let summary = machine.summary(&["upload", "in", "/in"]);
    assert!(summary["resumed_bytes"].as_u64().unwrap() >= 8 << 20, "{summary}");
    machine.ok(&["download", "/in", "out"]);
    for i in 0..30 {
        assert_eq!(machine.read(&format!("out/{i:02}")), content(i, 2 << 20));
    }
}

#[test]
fn a_resumed_upload_trusts_no_shard_that_is_gone() {
    let machine = Machine::with_pool(1, "none", "1M");
    let bytes = content(1, 40 << 20);
    machine.file("big", &bytes);
    let child = start(&machine, &["upload", "--parallel=1", "big", "/big"]);
    run_until(&child, || shards(&machine) >= 5);
    assert_eq!(end(child, Signal::KILL).code, -1);
    let first = machine.files_below("disk1/rclonepool_data").remove(0);
    std::fs::remove_file(machine.path("disk1/rclonepool_data").join(first)).unwrap();
    machine.ok(&["upload", "big", "/big"]);
    assert_eq!(machine.cat("/big"), bytes);
}

#[test]
fn an_interrupted_download_leaves_no_half_file() {
    let machine = Machine::with_pool(1, "none", "1M");
    machine.upload(content(1, 60 << 20), "/big");
    let child = start(&machine, &["download", "--parallel=1", "/big", "out/big"]);
    let partial = || machine.files_below("out").iter().any(|name| name.ends_with(".partial"));
    run_until(&child, partial);
    let outcome = end(child, Signal::INT);
    assert_eq!(outcome.code, 130, "{outcome:?}");
    assert!(outcome.stderr.contains("no half file was left"), "{outcome:?}");
    assert!(machine.files_below("out").is_empty(), "{:?}", machine.files_below("out"));
    // Not even when it is killed; what was there before stays.
    machine.file("out/big", "old");
    let child = start(&machine, &["download", "--parallel=1", "/big", "out/big"]);
    run_until(&child, partial);
    assert_eq!(end(child, Signal::KILL).code, -1);
    assert_eq!(machine.read("out/big"), b"old");
}

#[test]
fn waiting_for_input_ends_at_once() {
    let machine = Machine::with_pool(1, "none", "1M");
    let mut command = machine.command(&["upload", "-", "/x"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // More than a pipe holds: when it is written, the program is reading.
    input.write_all(&content(1, 200_000)).unwrap();
    let began = Instant::now();
    let outcome = end(child, Signal::INT);
    drop(input);
    assert_eq!(outcome.code, 130, "{outcome:?}");
    assert!(outcome.stderr.contains("a stream must be given again"), "{outcome:?}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(machine.ok(&["ls"]), "");
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "it never came to {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A pool whose third remote takes long to take a commit, and listings too once the file `slow` is there.
fn pool_with_a_slow_remote() -> Machine {
    let machine = wrapper::pool(3, "none", "64K");
    machine.set("commit_offer_timeout", 300);
    let slow = machine.text("slow");
    wrapper::behave(
        &machine,
        &format!(
            "case \"$*\" in *rcat*r3:*commits*) exec sleep 20 ;; *lsjson*) [ -e {slow} ] && exec sleep 20 ;; esac"
        ),
    );
    machine
}

fn is_slow_put(call: &str) -> bool {
    call.starts_with("rcat") && call.contains("r3:")
}

#[test]
fn the_wait_for_slow_remotes_can_be_cut_short() {
    let machine = pool_with_a_slow_remote();
    machine.file("f", "f");
    let child = start(&machine, &["upload", "f", "/f"]);
    wait_for("the slow put", || wrapper::calls(&machine).iter().any(|call| is_slow_put(call)));
    // Time to get the answer of the two that are enough, and to grow impatient.
    std::thread::sleep(Duration::from_secs(4));
    let began = Instant::now();
    let outcome = end(child, Signal::INT);
    assert_eq!(outcome.code, 0, "it was done before: {outcome:?}");
    assert!(outcome.stderr.contains("waiting for slow remotes"), "{outcome:?}");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    wrapper::behave(&machine, "");
    assert_eq!(machine.cat("/f"), b"f", "it was acknowledged by two of three");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let machine = pool_with_a_slow_remote();
    let child = start(&machine, &["mkdir", "/a", "/b"]);
    // The first directory is under way; whatever is listed for the second takes long.
    wait_for("the first commit", || wrapper::calls(&machine).iter().any(|call| is_slow_put(call)));
    machine.file("slow", "");
    std::thread::sleep(Duration::from_millis(1500));
    signal(&child, Signal::INT);
    std::thread::sleep(Duration::from_millis(500));
    let began = Instant::now();
    let outcome = end(child, Signal::INT);
    assert_eq!(outcome.code, 130, "{outcome:?}");
    assert!(outcome.stderr.contains("once more ends it at once"), "{outcome:?}");
    assert!(!outcome.stderr.contains("error:"), "it did not get to its own end: {outcome:?}");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}
