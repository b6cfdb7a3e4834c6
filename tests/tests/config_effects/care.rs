//! Keys of what keeps a pool whole.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use rclonepool_tests::cli::Machine;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

#[test]
fn health_is_watched_at_every_interval() {
    let machine = Machine::with_pool(3, "parity:2+1", "64K");
    machine.upload(vec![7; 100_000], "/f");
    machine.set("enable_health_monitoring", false);
    assert!(machine.fails(7, &["health", "--watch"]).contains("enable_health_monitoring"));

    machine.set("enable_health_monitoring", true);
    machine.set("health_check_interval", 1);
    let mut command = machine.command(&["--json", "health", "--watch"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    let first = next();
    assert_eq!((&first["message_type"], &first["state"]), (&"health".into(), &"healthy".into()), "{first}");
    // Waiting for an hour, the default, would be too long for any test.
    std::fs::rename(machine.path("disk2"), machine.path("away")).unwrap();
    let second = next();
    assert_eq!(
        (&second["state"], &second["offline"][0]),
        (&"at_risk".into(), &machine.text("disk2").into()),
        "{second}"
    );
    std::fs::rename(machine.path("away"), machine.path("disk2")).unwrap();
    assert_eq!(next()["state"], "healthy");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn auto_heal_rebuilds_what_a_watch_finds() {
    let machine = Machine::with_pool(4, "parity:2+1", "64K");
    machine.upload(vec![7; 100_000], "/f");
    machine.set("enable_health_monitoring", true);
    machine.set("health_check_interval", 1);
    let shards = |disk: &str| machine.files_below(disk).into_iter().filter(|file| file.contains("_data/"));
    let disk = ["disk1", "disk2", "disk3", "disk4"].into_iter().find(|disk| shards(disk).count() > 0).unwrap();
    let lost = shards(disk).next().unwrap();
    std::fs::remove_file(machine.path(disk).join(&lost)).unwrap();
    let mut command = machine.command(&["--json", "health", "--watch"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut state = || -> String {
        let event: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        event["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(state(), "at_risk", "{lost} is gone");
    while state() != "healthy" {}
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    child.wait().unwrap();
}

#[test]
fn auto_rebalance_fills_a_remote_that_joins() {
    let machine = Machine::with_pool(2, "none", "64K");
    machine.upload(vec![7; 40 << 16], "/f");
    let shards = |disk: &str| machine.files_below(disk).iter().filter(|file| file.contains("_data/")).count();
    machine.set("auto_rebalance", true);
    // Of 10 MiB each, 20 chunks are 12.5 points.
    let disks = ["disk1", "disk2"].map(|disk| (machine.text(disk), "10M".into()));
    machine.set("remote_quotas", Value::Object(disks.into_iter().collect()));
    machine.set("rebalance_threshold", 20);
    for disk in ["disk3", "disk4"] {
        machine.directory(disk);
    }
    machine.ok(&["remotes", "add", "--alone", &machine.text("disk3")]);
    assert_eq!(shards("disk3"), 0, "no more than the threshold apart");
    machine.set("rebalance_threshold", 5);
    machine.ok(&["remotes", "add", "--alone", &machine.text("disk4")]);
    assert!(shards("disk3") > 5 && shards("disk4") > 5, "{} and {}", shards("disk3"), shards("disk4"));
    assert_eq!(machine.cat("/f"), vec![7; 40 << 16]);
}
