//! Keys of placement.

use std::collections::BTreeSet;

use rclonepool_tests::cli::{Machine, content};
use serde_json::{Value, json};

/// Shards on each disk after `chunks` more chunks.
fn shards(machine: &Machine, disks: usize, chunks: usize) -> Vec<usize> {
    let count = |i: &usize| machine.files_below(&format!("disk{i}/rclonepool_data")).len();
    let before: Vec<usize> = (1..=disks).map(|i| count(&i)).collect();
    let name = format!("/{}", before.iter().sum::<usize>());
    machine.upload(content(before.len() as u64, chunks * 65_536), &name);
    (1..=disks).zip(before).map(|(i, before)| count(&i) - before).collect()
}

fn per_disk(machine: &Machine, values: &[Value]) -> Value {
    let pairs = values.iter().enumerate().map(|(i, value)| (machine.text(&format!("disk{}", i + 1)), value.clone()));
    Value::Object(pairs.collect())
}

#[test]
fn balancing_strategy_chooses() {
    let machine = Machine::with_pool(3, "none", "64K");
    // One disk has a lead that least_used lets the others make up for.
    machine.set("remote_priorities", per_disk(&machine, &[json!(1)]));
    assert_eq!(shards(&machine, 3, 12), [12, 0, 0]);
    machine.configure(|map| drop(map.remove("remote_priorities")));
    assert_eq!(shards(&machine, 3, 12), [0, 6, 6], "least_used");
    machine.set("balancing_strategy", "round_robin");
    assert_eq!(shards(&machine, 3, 12), [4, 4, 4], "round_robin");
    machine.set("balancing_strategy", "random");
    let random: Vec<Vec<usize>> = (0..3).map(|_| shards(&machine, 3, 12)).collect();
    assert!(random.iter().any(|placed| placed != &[4, 4, 4]), "{random:?}");
}

#[test]
fn remote_weights_share_out() {
    let machine = Machine::with_pool(2, "none", "64K");
    machine.set("balancing_strategy", "weighted");
    machine.set("remote_weights", per_disk(&machine, &[json!(3.0), json!(1.0)]));
    let placed = shards(&machine, 2, 80);
    assert!((54..=66).contains(&placed[0]), "3 to 1 of 80: {placed:?}");
}

#[test]
fn remote_priorities_come_first() {
    let machine = Machine::with_pool(3, "replication:2", "64K");
    machine.set("remote_priorities", per_disk(&machine, &[json!(0), json!(5), json!(10)]));
    assert_eq!(shards(&machine, 3, 10), [0, 10, 10]);
}

#[test]
fn remote_quotas_bound() {
    let machine = Machine::with_pool(2, "none", "64K");
    machine.set("remote_quotas", per_disk(&machine, &[json!("192K"), json!("1M")]));
    let placed = shards(&machine, 2, 14);
    assert!(placed[0] <= 3 && placed[0] + placed[1] == 14, "{placed:?}");
    machine.file("f", content(9, 8 * 65_536));
    assert!(machine.fails(24, &["upload", "f", "/f"]).contains("quota"));
}

#[test]
fn failure_domains_are_kept_apart() {
    let machine = Machine::with_pool(4, "replication:2", "64K");
    machine.set("failure_domains", per_disk(&machine, &[json!("me"), json!("me"), json!("you"), json!("you")]));
    machine.upload(content(1, 20 * 65_536), "/f");
    let stat: Value = serde_json::from_str(&machine.ok(&["stat", "/f"])).unwrap();
    let mine = [machine.text("disk1"), machine.text("disk2")];
    for chunk in stat["chunks"].as_array().unwrap() {
        let remotes = chunk["shards"].as_array().unwrap().iter().map(|shard| shard["remote"].as_str().unwrap());
        let owners: BTreeSet<bool> = remotes.map(|remote| mine.iter().any(|disk| disk == remote)).collect();
        assert_eq!(owners.len(), 2, "one copy with each: {chunk}");
    }
}
