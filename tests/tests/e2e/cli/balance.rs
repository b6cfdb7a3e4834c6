//! Disks come, fill, leave and die.

use rclonepool_tests::cli::{Machine, content};

fn used(machine: &Machine, disk: &str) -> u64 {
    let files = machine.files_below(disk);
    files
        .iter()
        .filter(|f| f.contains("rclonepool_data"))
        .map(|f| machine.path(disk).join(f).metadata().unwrap().len())
        .sum()
}

#[test]
fn a_new_disk_gets_its_part_and_an_old_one_is_drained() {
    let machine = Machine::with_pool(3, "parity:2+1", "256K");
    for n in 0..6 {
        machine.upload(content(n, 700_000), &format!("/f{n}"));
    }
    let disk4 = machine.text("disk4");
    machine.directory("disk4");
    machine.ok(&["remotes", "add", "--alone", &disk4]);
    let status = machine.ok(&["balance-status"]);
    assert!(status.contains("FILL") && status.contains("evens it out"), "{status}");
    let dry = machine.summary(&["rebalance", "--dry-run", "--target-variance", "12"]);
    assert!(dry["plan"]["shards"].as_u64().unwrap() > 0 && dry["plan"]["reached"] == true, "{dry}");
    assert_eq!(used(&machine, "disk4"), 0);
    let said = machine.ok(&["rebalance", "--target-variance", "12"]);
    assert!(said.contains("moved") && said.contains("-> "), "{said}");
    let all: Vec<u64> = (1..=4).map(|n| used(&machine, &format!("disk{n}"))).collect();
    assert!(all[3] > all.iter().sum::<u64>() / 5, "{all:?}");
    assert!(machine.summary(&["balance-status"])["variance"].as_f64().unwrap() <= 12.0);
    assert!(machine.ok(&["rebalance", "--target-variance", "12"]).contains("nothing to move"));

    let disk1 = machine.text("disk1");
    assert!(machine.summary(&["remotes", "drain", "--dry-run", &disk1])["plan"]["bytes"].as_u64().unwrap() > 0);
    let said = machine.ok(&["remotes", "drain", "--alone", &disk1]);
    assert!(said.contains("removed from the pool and the configuration"), "{said}");
    assert_eq!(used(&machine, "disk1"), 0);
    std::fs::remove_dir_all(machine.path("disk1")).unwrap();
    for n in 0..6 {
        assert_eq!(machine.cat(&format!("/f{n}")), content(n, 700_000));
    }
    // With three left every further one costs tolerance: nobody is there to answer.
    let error = machine.fails(2, &["remotes", "drain", "--alone", &machine.text("disk2")]);
    assert!(error.contains("--yes"), "{error}");
}

#[test]
fn with_auto_rebalance_a_new_disk_is_filled_when_it_is_added() {
    let machine = Machine::with_pool(2, "none", "64K");
    machine.upload(content(1, 2_000_000), "/f");
    machine.set("auto_rebalance", serde_json::json!(true));
    machine.directory("disk3");
    machine.ok(&["remotes", "add", "--alone", &machine.text("disk3")]);
    assert!(used(&machine, "disk3") > 500_000, "{}", used(&machine, "disk3"));
    assert_eq!(machine.cat("/f"), content(1, 2_000_000));
}

#[test]
fn a_dead_disk_is_replaced_and_another_let_go() {
    let machine = Machine::with_pool(3, "parity:2+1", "256K");
    machine.upload(content(1, 900_000), "/f");
    let (disk2, disk4) = (machine.text("disk2"), machine.text("disk4"));
    std::fs::remove_dir_all(machine.path("disk2")).unwrap();
    machine.directory("disk4");
    let error = machine.fails(2, &["remotes", "replace", &disk2, &disk4]);
    assert!(error.contains("lost for good") && error.contains("--yes"), "{error}");
    assert!(machine.files_below("disk4").is_empty());
    let said = machine.ok(&["remotes", "replace", "--alone", "--yes", &disk2, &disk4]);
    assert!(said.contains("rebuilt"), "{said}");
    let config: serde_json::Value = serde_json::from_slice(&std::fs::read(machine.config_path()).unwrap()).unwrap();
    assert_eq!(config["remotes"], serde_json::json!([machine.text("disk1"), disk4, machine.text("disk3")]));
    // The same place may come back, emptied, in its own place.
    std::fs::remove_dir_all(machine.path("disk4")).unwrap();
    machine.directory("disk4");
    machine.ok(&["remotes", "replace", "--alone", "--yes", &disk4, &disk4]);
    // Now another one may die, and the pool of two goes on without it.
    std::fs::remove_dir_all(machine.path("disk3")).unwrap();
    assert_eq!(machine.cat("/f"), content(1, 900_000));
    let said = machine.ok(&["remotes", "remove", "--lost", "--yes", &machine.text("disk3")]);
    assert!(said.contains("rebuild --all"), "{said}");
    machine.ok(&["rebuild", "--all"]);
    machine.upload(content(2, 900_000), "/g");
    assert_eq!(machine.cat("/f"), content(1, 900_000));
}

#[test]
fn a_refused_replacement_changes_nothing() {
    let machine = Machine::with_pool(4, "parity:2+1", "256K");
    machine.upload(content(1, 900_000), "/f");
    machine.set("remote_weights", serde_json::json!({machine.text("disk3"): 2.0}));
    machine.disks(6);
    let (disk3, disk5, disk6) = (machine.text("disk3"), machine.text("disk5"), machine.text("disk6"));
    // Without --alone it takes a day.
    machine.ok(&["remotes", "add", &disk5]);
    let before = machine.read("home/.config/rclonepool/config.json");
    let error = machine.fails(23, &["--yes", "remotes", "replace", &disk3, &disk6]);
    assert!(error.contains("a change of membership is under way"), "{error}");
    let parsed = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
    assert_eq!(parsed(&machine.read("home/.config/rclonepool/config.json")), parsed(&before));
    let error = machine.fails(23, &["remotes", "remove", &disk3]);
    assert!(error.contains("for another 24 h\n"), "{error}");
    machine.ok(&["health"]);
    machine.ok(&["verify", "--deep"]);
}
