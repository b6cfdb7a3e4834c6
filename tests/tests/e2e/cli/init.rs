//! Making pools, making them again, finding them.

use rclonepool_tests::cli::{Machine, content};
use serde_json::Value;

fn config(machine: &Machine) -> Value {
    serde_json::from_slice(&std::fs::read(machine.config_path()).unwrap()).unwrap()
}

#[test]
fn a_pool_is_made_once() {
    let machine = Machine::new();
    let disks = machine.disks(3);
    let words =
        ["init", "--remote", &disks[0], "--remote", &disks[1], "--remote", &disks[2], "--redundancy", "parity:2+1"];
    let outcome = machine.run(&words);
    insta::assert_snapshot!("init-made", machine.stable(&outcome.stdout));
    insta::assert_snapshot!("init-not-encrypted", machine.stable(&outcome.stderr));
    let made = config(&machine);
    assert_eq!((made["redundancy_mode"].as_str(), made["parity_data_shards"].as_u64()), (Some("parity"), Some(2)));
    let before: Vec<_> = (1..=3).map(|i| machine.files_below(&format!("disk{i}"))).collect();

    let again = machine.ok(&["init"]);
    assert!(again.contains("was there already") && again.contains("nothing on its remotes was changed"), "{again}");
    machine.ok(&["init", "--yes"]);
    assert!(machine.fails(6, &words).contains("is there already"), "the configuration is not overwritten");
    assert_eq!(config(&machine), made);
    // Without the configuration, the markers are noticed.
    std::fs::remove_file(machine.config_path()).unwrap();
    let error = machine.fails(6, &words);
    assert!(error.contains("are a pool already") && error.contains("init --from"), "{error}");
    assert_eq!(before, (1..=3).map(|i| machine.files_below(&format!("disk{i}"))).collect::<Vec<_>>());
}

#[test]
fn a_configuration_that_is_there_is_taken() {
    let machine = Machine::new();
    let disks = machine.disks(2);
    machine.write_config(&format!(
        "{{\n  \"remotes\": [\"{}\", \"{}\"],\n  \"chunk_size\": 65536,\n  \"redundancy_mode\": \"replication\"\n}}\n",
        disks[0], disks[1]
    ));
    assert!(machine.fails(2, &["init"]).contains("--yes"));
    assert!(machine.files_below("disk1").is_empty());
    let summary = machine.summary(&["init", "--yes"]);
    assert_eq!((summary["created"].as_bool(), summary["tolerated"].as_u64()), (Some(true), Some(1)));
    let text = std::fs::read_to_string(machine.config_path()).unwrap();
    let pool = summary["pool"].as_str().unwrap();
    let expected = format!("\"redundancy_mode\": \"replication\",\n  \"pool_id\": \"{pool}\"\n}}\n");
    assert!(text.ends_with(&expected), "other keys stay as they are: {text}");
    machine.upload(content(1, 100_000), "/f");
    assert_eq!(machine.summary(&["init", "--yes"])["created"], false);
    assert_eq!(std::fs::read_to_string(machine.config_path()).unwrap(), text);
}

#[test]
fn a_lost_machine_finds_its_pool_from_one_remote() {
    let machine = Machine::with_pool(4, "parity:3+1", "64K");
    machine.configure(|map| {
        map.insert("remote_weights".into(), serde_json::json!({ machine.text("disk2"): 2.5 }));
        map.insert("remote_quotas".into(), serde_json::json!({ machine.text("disk3"): "1G" }));
        map.insert("balancing_strategy".into(), "weighted".into());
    });
    let bytes = content(1, 300_000);
    machine.upload(&bytes, "/f");
    let pool = config(&machine)["pool_id"].clone();
    machine.forget_home();
    let outcome = machine.run(&["init", "--from", &machine.text("disk4")]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let found = config(&machine);
    let mut remotes: Vec<&str> = found["remotes"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(remotes[0], machine.text("disk4"), "what was given comes first");
    remotes.sort_unstable();
    assert_eq!(remotes, machine.disks(4));
    assert_eq!(found["pool_id"], pool);
    assert_eq!(found["chunk_size"], 65_536);
    assert_eq!(found["remote_weights"], serde_json::json!({ machine.text("disk2"): 2.5 }));
    assert_eq!(found["remote_quotas"], serde_json::json!({ machine.text("disk3"): 1 << 30 }));
    assert_eq!(found["balancing_strategy"], "weighted");
    assert_eq!(machine.cat("/f"), bytes);
    assert!(machine.ok(&["init", "--from", &machine.text("disk1")]).contains("was left as it is"));
    assert_eq!(config(&machine), found);
}

#[test]
fn members_that_do_not_answer_are_named() {
    let machine = Machine::with_pool(4, "parity:3+1", "64K");
    let bytes = content(1, 300_000);
    machine.upload(&bytes, "/f");
    machine.forget_home();
    std::fs::remove_dir_all(machine.path("disk2")).unwrap();
    std::fs::rename(machine.path("disk3"), machine.path("renamed")).unwrap();
    let outcome = machine.run(&["init", "--from", &machine.text("disk1"), &machine.text("renamed")]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(outcome.stderr.contains(&format!("remote {}", machine.text("disk2"))), "{outcome:?}");
    let remotes = config(&machine)["remotes"].clone();
    assert_eq!(remotes, serde_json::json!([machine.text("disk1"), machine.text("renamed"), machine.text("disk4")]));
    assert_eq!(machine.cat("/f"), bytes);
}

#[test]
fn a_configuration_of_another_pool_is_never_overwritten() {
    let machine = Machine::with_pool(1, "none", "64K");
    machine.directory("other");
    machine.ok(&["--config", &machine.text("other.json"), "init", "--remote", &machine.text("other")]);
    let before = config(&machine);
    let error = machine.fails(6, &["init", "--from", &machine.text("other")]);
    assert!(error.contains("is of another pool"), "{error}");
    assert_eq!(config(&machine), before);
    let error = machine.fails(
        6,
        &["--config", &machine.text("c.json"), "init", "--from", &machine.text("other"), &machine.text("disk1")],
    );
    assert!(error.contains("several pools"), "{error}");
    assert!(!machine.path("c.json").exists());
}

#[test]
fn what_is_no_pool_is_not_found() {
    let machine = Machine::new();
    machine.directory("empty");
    let error = machine.fails(5, &["init", "--from", &machine.text("empty")]);
    assert!(error.contains("no pool was found") && error.contains("no marker"), "{error}");
    assert!(!machine.config_path().exists());
    machine.fails(7, &["init", "--from", "relative/path"]);
    machine.fails(7, &["init", "--remote", "relative/path"]);
    assert!(machine.fails(2, &["init", "--remote", "/x", "--redundancy", "parity"]).contains("parity:4+2"));
    assert!(machine.fails(7, &["init", "--remote", "/x", "--chunk-size", "1K"]).contains("chunk_size"));
}

#[test]
fn other_prefixes_lie_elsewhere_and_must_stay() {
    let machine = Machine::new();
    let disk = machine.disks(1).remove(0);
    machine.ok(&["init", "--remote", &disk, "--data-prefix", "d/x", "--manifest-prefix", "m", "--chunk-size", "64K"]);
    let bytes = content(1, 100_000);
    machine.upload(&bytes, "/f");
    let files = machine.files_below("disk1");
    assert!(files.iter().all(|file| file.starts_with("d/x/") || file.starts_with("m/")), "{files:?}");
    machine.forget_home();
    machine.fails(5, &["init", "--from", &disk]);
    machine.ok(&["init", "--from", &disk, "--manifest-prefix", "m"]);
    assert_eq!(machine.cat("/f"), bytes);
    machine.set("data_prefix", "elsewhere");
    assert!(machine.fails(7, &["ls"]).contains("the pool's shards lie below \"d/x\""));
}

#[test]
fn large_chunks_raise_the_memory_limit() {
    let machine = Machine::new();
    let disks = machine.disks(3);
    let words = ["init", "--remote", &disks[0], "--remote", &disks[1], "--remote", &disks[2]];
    machine.ok(&[&words[..], &["--redundancy", "parity:2+1", "--chunk-size", "1G"]].concat());
    assert_eq!(config(&machine)["memory_limit_mb"], 3078);
}

#[test]
fn the_recovery_sheet_holds_what_the_pool_is_made_of() {
    use std::os::unix::fs::PermissionsExt;
    let machine = Machine::with_pool(2, "replication:2", "64K");
    let said = machine.ok(&["recovery-sheet", "sheet.txt"]);
    assert!(said.contains("keep it away from this machine"), "{said}");
    let path = machine.path("sheet.txt");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let sheet = std::fs::read_to_string(&path).unwrap();
    insta::assert_snapshot!("recovery-sheet-directories", machine.stable(&sheet));
    assert!(machine.fails(6, &["recovery-sheet", "sheet.txt"]).contains("--force"));
    machine.ok(&["recovery-sheet", "sheet.txt", "--force"]);
    let printed = machine.run(&["recovery-sheet"]);
    assert_eq!(printed.stdout, sheet);
    assert!(printed.stderr.contains("plain text"));
    assert_eq!(machine.summary(&["recovery-sheet"])["redundancy"], "replication:2");
}

#[test]
fn the_recovery_sheet_is_written_though_the_remotes_are_away() {
    let machine = Machine::with_pool(2, "replication:2", "64K");
    machine.ok(&["ls"]);
    machine.forget_home_but_config();
    for disk in ["disk1", "disk2"] {
        std::fs::remove_dir_all(machine.path(disk)).unwrap();
    }
    let outcome = machine.run(&["recovery-sheet"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(outcome.stderr.contains("made from the configuration"), "{outcome:?}");
    let pool = config(&machine)["pool_id"].as_str().unwrap().to_owned();
    assert!(outcome.stdout.contains(&pool) && outcome.stdout.contains(&machine.text("disk2")), "{outcome:?}");
}
