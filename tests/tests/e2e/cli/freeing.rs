//! Deleting, bringing back, freeing.

use rclonepool_tests::cli::{Machine, content};
use serde_json::Value;

fn shards(machine: &Machine) -> usize {
    (1..=3).map(|n| machine.files_below(&format!("disk{n}/rclonepool_data")).len()).sum()
}

fn versions(machine: &Machine) -> Vec<Value> {
    machine.summary(&["trash", "list"])["versions"].as_array().unwrap().clone()
}

#[test]
fn what_was_overwritten_and_deleted_comes_back() {
    let machine = Machine::with_pool(3, "parity:2+1", "64K");
    let (old, new) = (content(1, 200_000), content(2, 100_000));
    machine.upload(&old, "/d/f");
    machine.upload(&new, "/d/f");
    machine.ok(&["delete", "/d/f"]);
    let found = versions(&machine);
    let short: Vec<_> = found.iter().map(|v| (v["size"].as_u64().unwrap(), v["by"].as_str().unwrap())).collect();
    assert_eq!(short, [(100_000, "deleted"), (200_000, "overwritten")]);
    let listed = machine.ok(&["trash", "list", "/d"]);
    assert!(listed.contains("/d/f") && listed.contains("overwritten") && listed.contains("2 versions"), "{listed}");
    assert!(machine.ok(&["status"]).contains("the trash: 2 versions"));
    // Garbage collection leaves it alone.
    assert_eq!(machine.summary(&["gc"])["marked"], 0);
    let said = machine.ok(&["trash", "restore", "/d"]);
    assert!(said.contains("restored /d/f"), "{said}");
    assert_eq!(machine.cat("/d/f"), new);
    let version = found[1]["version"].as_str().unwrap();
    machine.ok(&["trash", "restore", "/d/f", "--version", version, "--to", "/old"]);
    assert_eq!((machine.cat("/old"), machine.cat("/d/f")), (old, new));
    assert!(machine.fails(4, &["trash", "restore", "/nothing"]).contains("not in the trash"));
    assert!(machine.fails(2, &["trash", "restore", "/d/f", "--version", "x"]).contains("version"));

    machine.ok(&["delete", "--purge", "/old"]);
    assert!(!versions(&machine).iter().any(|v| v["path"] == "/old"));
    assert!(machine.fails(2, &["trash", "empty"]).contains("Nobody is there to answer"));
    assert!(machine.ok(&["--yes", "trash", "empty", "--older-than", "1h"]).contains("0 versions gone"));
    assert_eq!(machine.summary(&["--yes", "trash", "empty"])["versions"], 2);
    assert!(machine.ok(&["trash", "list"]).contains("The trash is empty."));
}

#[test]
fn space_comes_free_after_a_grace_and_for_a_sole_writer_at_once() {
    let machine = Machine::with_pool(3, "parity:2+1", "64K");
    machine.upload(content(1, 200_000), "/keep");
    let kept = shards(&machine);
    machine.upload(content(2, 200_000), "/go");
    machine.ok(&["delete", "--purge", "/go"]);
    let plan = machine.ok(&["gc", "--dry-run"]);
    assert!(plan.contains("marked by the next run"), "{plan}");
    let said = machine.ok(&["gc"]);
    assert!(said.contains("marked") && said.contains("wait for the end of a grace"), "{said}");
    assert!(shards(&machine) > kept);
    assert!(machine.ok(&["orphans"]).contains("marked, and waiting"));
    machine.set("sole_writer", true);
    let report = machine.summary(&["gc"]);
    assert!(report["at_once"].as_bool().unwrap() && report["reclaimed"].as_u64().unwrap() >= 200_000, "{report}");
    assert_eq!(shards(&machine), kept);
    assert_eq!(machine.cat("/keep"), content(1, 200_000));
}

#[test]
fn what_no_record_names_is_listed_and_freed() {
    let machine = Machine::with_pool(3, "parity:2+1", "64K");
    machine.upload(content(1, 200_000), "/keep");
    let kept = shards(&machine);
    let orphan = "0/0123456789abcdef0123456789abcdef.0.00000000000000ff";
    machine.file(&format!("disk1/rclonepool_data/{orphan}"), [7; 5000]);
    let listed = machine.ok(&["orphans"]);
    assert!(listed.contains("so young that an upload may need it") && listed.contains("1 object"), "{listed}");
    assert_eq!(machine.summary(&["--yes", "orphans", "--delete"])["reclaimed"], 0);
    assert!(machine.fails(2, &["orphans", "--delete", "--min-age", "0s"]).contains("--yes"));
    let marked = machine.summary(&["--yes", "orphans", "--delete", "--min-age", "0s"]);
    assert_eq!((&marked["marked"], &marked["reclaimed"]), (&1.into(), &0.into()), "{marked}");
    machine.set("sole_writer", true);
    assert_eq!(machine.summary(&["--yes", "orphans", "--delete"])["reclaimed"], 5000);
    assert_eq!(shards(&machine), kept);
    assert!(machine.ok(&["orphans"]).contains("Nothing lies on the remotes that nobody needs."));
    assert_eq!(machine.cat("/keep"), content(1, 200_000));
}

#[test]
fn without_a_view_nothing_is_freed_and_the_way_out_is_named() {
    let machine = Machine::with_pool(3, "parity:2+1", "64K");
    machine.upload(content(2, 200_000), "/go");
    machine.ok(&["delete", "--purge", "/go"]);
    for n in [1, 2] {
        std::fs::rename(machine.path(&format!("disk{n}")), machine.path(&format!("away{n}"))).unwrap();
    }
    let error = machine.fails(5, &["gc"]);
    assert!(error.contains("without a view") && error.contains("remotes remove --lost"), "{error}");
}
