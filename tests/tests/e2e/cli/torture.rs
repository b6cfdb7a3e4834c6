//! The histories anybody can run.

use rclonepool_tests::cli::Machine;

#[test]
fn histories_hold_and_leave_nothing_behind() {
    let machine = Machine::new();
    let said = machine.ok(&["torture", "--seed", "1", "--seeds", "4"]);
    assert!(said.contains("from seed 1 on") && said.contains("4 histories in"), "{said}");
    assert!(said.contains("all promises kept"), "{said}");
    let summary = machine.summary(&["torture", "--seed", "3", "--seeds", "1"]);
    assert_eq!((summary["histories"].as_u64(), summary["seed"].as_u64()), (Some(1), Some(3)));
    assert!(summary["acknowledged"].as_u64().unwrap() > 0 && summary["broken"].as_array().unwrap().is_empty());
    assert!(!machine.config_path().exists());
    machine.fails(2, &["torture", "--seeds", "0"]);
}

#[test]
fn a_seed_gives_the_same_history_each_time() {
    let machine = Machine::new();
    let history = |seed: &str| {
        let lines = machine.json(&["torture", "--show", "--seed", seed, "--seeds", "1"]);
        let found = lines.into_iter().find(|line| line["message_type"] == "history").unwrap();
        found["history"].as_array().unwrap().clone()
    };
    let first = history("6");
    assert!(first.len() > 40, "{first:?}");
    assert_eq!(first, history("6"));
    assert_ne!(first, history("7"));
}
