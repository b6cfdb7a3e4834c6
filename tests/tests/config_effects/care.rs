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
