//! Keys of how things move, and of what is said of it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rclonepool_tests::cli::{Machine, Outcome, content};
use rclonepool_tests::wrapper;

/// Long enough for what may run at once to do so.
const SLOW: &str = "case $verb in rcat | cat) sleep 0.4 ;; esac";

fn most_puts(machine: &Machine, path: &str) -> usize {
    wrapper::behave(machine, SLOW);
    machine.upload(content(path.len() as u64, 12 * 65_536), path);
    wrapper::most_at_once(machine, "rcat")
}

fn most_gets(machine: &Machine, path: &str) -> usize {
    wrapper::behave(machine, SLOW);
    machine.ok(&["download", "--force", path, "back"]);
    wrapper::most_at_once(machine, "cat")
}

#[test]
fn workers() {
    let machine = wrapper::pool(1, "none", "64K");
    machine.set("remote_connections", 16);
    machine.set("max_parallel_workers", 3);
    assert_eq!((most_puts(&machine, "/a"), most_gets(&machine, "/a")), (3, 3));
    machine.set("max_parallel_workers", 6);
    assert_eq!((most_puts(&machine, "/ab"), most_gets(&machine, "/ab")), (6, 6));
    machine.set("parallel_uploads", false);
    assert_eq!((most_puts(&machine, "/abc"), most_gets(&machine, "/abc")), (1, 6));
    machine.set("parallel_downloads", false);
    assert_eq!(most_gets(&machine, "/abc"), 1);
    wrapper::behave(&machine, SLOW);
    machine.ok(&["download", "--force", "--parallel=5", "/abc", "back"]);
    assert_eq!(wrapper::most_at_once(&machine, "cat"), 5, "the flag wins");
}

#[test]
fn remote_connections_bound_what_one_remote_gets() {
    // Small transfers (at most 1 MiB) do not wait for large ones, so large ones are counted.
    let machine = wrapper::pool(1, "none", "2M");
    machine.set("max_parallel_workers", 8);
    machine.file("f", content(1, 20 << 20));
    let most = |connections: u32| {
        machine.set("remote_connections", connections);
        wrapper::behave(&machine, SLOW);
        machine.ok(&["upload", "--force", "f", "/f"]);
        wrapper::most_at_once(&machine, "rcat")
    };
    assert_eq!((most(2), most(5)), (2, 5));
}

#[test]
fn memory_limit_mb_bounds_chunks_in_flight() {
    let machine = wrapper::pool(1, "none", "8M");
    machine.set("max_parallel_workers", 6);
    machine.file("f", content(1, 48 << 20));
    let most = |limit: u64| {
        machine.set("memory_limit_mb", limit);
        wrapper::behave(&machine, SLOW);
        machine.ok(&["upload", "--force", "f", "/f"]);
        wrapper::most_at_once(&machine, "rcat")
    };
    let (small, large) = (most(20), most(200));
    assert!(small <= 2 && large >= 3, "at most {small} with 20 MiB, {large} with 200 MiB");
    machine.set("chunk_size", 64 << 20);
    machine.set("memory_limit_mb", 20);
    machine.ok(&["upload", "--force", "f", "/f"]);
    let stat: serde_json::Value = serde_json::from_str(&machine.ok(&["stat", "/f", "--json"])).unwrap();
    let sizes = stat["chunks"].as_array().unwrap().iter().map(|chunk| chunk["size"].as_u64().unwrap() >> 20);
    assert_eq!(sizes.collect::<Vec<_>>(), [9, 9, 9, 9, 9, 3], "two of them fit");
}

#[test]
fn operation_timeout_ends_what_hangs() {
    let machine = wrapper::pool(1, "none", "64K");
    machine.file("f", content(1, 50_000));
    machine.set("enable_retry", false);
    machine.set("operation_timeout", 2);
    wrapper::behave(&machine, "case $verb in rcat) exec sleep 1000 ;; esac");
    let began = Instant::now();
    let outcome = machine.run(&["upload", "f", "/f"]);
    assert_eq!(outcome.code, 5, "{outcome:?}");
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    machine.set("operation_timeout", 120);
    wrapper::behave(&machine, "case $verb in rcat) sleep 4 ;; esac");
    machine.ok(&["upload", "f", "/f"]);
}

#[test]
fn retries() {
    let machine = wrapper::pool(1, "none", "64K");
    machine.file("f", content(1, 50_000));
    wrapper::behave(&machine, "case $verb in rcat) echo 'dial tcp: connection refused' >&2; exit 1 ;; esac");
    let tries = || {
        let began = Instant::now();
        let outcome = machine.run(&["-vv", "upload", "f", "/f"]);
        assert_ne!(outcome.code, 0, "{outcome:?}");
        (outcome.stderr.matches("trying again").count(), began.elapsed())
    };
    machine.set("max_retries", 2);
    assert_eq!(tries().0, 2);
    machine.set("max_retries", 4);
    assert_eq!(tries().0, 4);
    machine.set("enable_retry", false);
    assert_eq!(tries().0, 0);
    machine.set("enable_retry", true);
    machine.set("max_retries", 3);
    // With jitter a single pause may be short; the sum of twenty hardly is.
    let sum = |delay: f64| {
        machine.set("retry_delay", delay);
        (0..3).map(|_| tries().1).sum::<Duration>()
    };
    let (short, long) = (sum(0.0), sum(0.6));
    assert!(long > short + Duration::from_millis(1200), "{short:?} and {long:?}");
}

#[test]
fn enable_duplicate_detection_skips() {
    let machine = Machine::with_pool(1, "none", "64K");
    machine.file("f", content(1, 100_000));
    let stored = || machine.summary(&["upload", "f", "/f"])["files"].as_u64().unwrap();
    assert_eq!((stored(), stored()), (1, 0));
    machine.set("enable_duplicate_detection", false);
    assert_eq!(stored(), 1);
}

#[test]
fn show_progress_silences_progress() {
    let machine = Machine::with_pool(1, "none", "64K");
    machine.file("f", content(1, 10 << 20));
    let slow_status = || {
        let mut command = machine.command(&["--json", "upload", "-", "/f"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(2500));
        drop(child.stdin.take());
        Outcome::of(child.wait_with_output().unwrap()).stdout.matches("\"status\"").count()
    };
    assert!(slow_status() >= 1);
    machine.set("show_progress", false);
    assert_eq!(slow_status(), 0);
    let shown = machine.on_terminal(100, &["upload", "f", "/f"], &[]);
    assert!(shown.code == 0 && !shown.stdout.contains("items"), "{shown:?}");
}

#[test]
fn log_level_says_how_much() {
    let machine = Machine::with_pool(2, "replication:2", "64K");
    machine.upload(content(1, 50_000), "/f");
    for file in machine.files_below("disk1").iter().filter(|file| file.contains("_data/")) {
        std::fs::remove_file(machine.path("disk1").join(file)).unwrap();
    }
    // The other copy serves; that the first is gone is worth a warning.
    let said = || {
        let outcome = machine.run(&["download", "--force", "/f", "back"]);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        outcome.stderr
    };
    // The first to meet the damage also says how to mend it.
    said();
    let by_default = said();
    machine.set("log_level", "ERROR");
    let errors = said();
    machine.set("log_level", "trace");
    let everything = said();
    let lines = |text: &str| text.lines().filter(|line| !line.contains("were rebuilt")).count();
    assert!(lines(&errors) == 0, "{errors}");
    assert!(by_default.contains("warning: chunk"), "{by_default}");
    assert!(lines(&everything) >= lines(&by_default), "{everything}");
    machine.set("log_level", "off");
    assert_eq!(lines(&said()), 0);
}

/// Times with what must at least pass: nothing depends on how fast the machine is.
fn at_least(seconds: f64, what: impl FnOnce()) {
    let begin = Instant::now();
    what();
    let took = begin.elapsed().as_secs_f64();
    assert!(took >= seconds, "{took} s, at least {seconds} s");
}

#[test]
fn bandwidth_limits_slow_transfers() {
    let machine = Machine::with_pool(2, "replication:2", "64K");
    machine.file("f", content(1, 1 << 20));
    machine.set("bandwidth_limit_upload_mbps", 1.0);
    at_least(2.0, || drop(machine.ok(&["upload", "f", "/f"])));
    machine.set("bandwidth_limit_upload_mbps", 0);
    machine.set("bandwidth_limit_download_mbps", 0.5);
    at_least(2.0, || drop(machine.ok(&["download", "/f", "back"])));
    assert_eq!(machine.read("back"), content(1, 1 << 20));
}

#[test]
fn remote_limits_slow_and_refuse() {
    let machine = Machine::with_pool(2, "none", "2M");
    let limit = |limits: serde_json::Value| {
        machine.set("remote_limits", serde_json::json!({ machine.text("disk1"): limits }));
    };
    limit(serde_json::json!({ "upload_mbps": 1.0 }));
    machine.set("balancing_strategy", "round_robin");
    machine.file("f", content(1, 4 << 20));
    at_least(2.0, || drop(machine.ok(&["upload", "f", "/f"])));
    limit(serde_json::json!({ "upload_per_day": "3M" }));
    machine.upload(content(2, 8 << 20), "/g");
    let shards = || machine.files_below("disk1").into_iter().filter(|name| !name.contains("manifests")).count();
    let before = shards();
    machine.upload(content(3, 8 << 20), "/h");
    assert_eq!(shards(), before, "the day's budget is used up; the other one takes it all");
}
