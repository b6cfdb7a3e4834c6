//! Remotes come and go.

use rclonepool_tests::cli::{Machine, content};

#[test]
fn a_remote_joins_and_leaves_again() {
    let machine = Machine::with_pool(2, "none", "64K");
    let bytes = content(1, 300_000);
    machine.upload(&bytes, "/f");
    machine.set("comment_free_key_order", serde_json::Value::Null);
    assert!(machine.fails(7, &["ls"]).contains("comment_free_key_order"), "an unknown key is refused");
    machine.configure(|map| drop(map.remove("comment_free_key_order")));

    let disk3 = machine.text("disk3");
    machine.directory("disk3");
    let said = machine.ok(&["remotes", "add", "--alone", &disk3]);
    assert!(said.contains("joined"), "{said}");
    let list = machine.summary(&["remotes", "list"]);
    assert_eq!(list["remotes"].as_array().unwrap().len(), 3);
    assert!(
        list["remotes"].as_array().unwrap().iter().all(|r| r["state"] == "active" && r["online"] == true),
        "{list}"
    );
    assert_eq!(
        machine.files_below("disk3/rclonepool_manifests/commits"),
        machine.files_below("disk1/rclonepool_manifests/commits")
    );
    machine.set("remote_weights", serde_json::json!({ disk3.as_str(): 2.0 }));

    // It goes only when nothing lies on it.
    machine.upload(content(2, 600_000), "/g");
    let error = machine.fails(2, &["remotes", "remove", "--alone", &disk3]);
    assert!(error.contains("shards") && error.contains("lie on it"), "{error}");
    assert!(machine.fails(4, &["remotes", "remove", "/nowhere"]).contains("no such remote"));
    let error = machine.fails(6, &["remotes", "add", &machine.text("disk1"), &machine.text("disk2")]);
    assert!(error.contains("disk1") && error.contains("it is a member of this pool already"), "{error}");
    assert!(!error.contains("could be listed"), "{error}");
}

#[test]
fn an_empty_remote_leaves_the_pool_and_the_configuration() {
    let machine = Machine::with_pool(3, "none", "64K");
    let disk3 = machine.text("disk3");
    machine.configure(|map| {
        map.insert("remote_weights".into(), serde_json::json!({ disk3.as_str(): 2.0, machine.text("disk1"): 3.0 }));
    });
    let said = machine.ok(&["remotes", "remove", "--alone", &disk3]);
    assert!(said.contains("removed from the pool and the configuration"), "{said}");
    let config: serde_json::Value = serde_json::from_slice(&std::fs::read(machine.config_path()).unwrap()).unwrap();
    assert_eq!(config["remotes"], serde_json::json!([machine.text("disk1"), machine.text("disk2")]));
    assert_eq!(config["remote_weights"], serde_json::json!({ machine.text("disk1"): 3.0 }));
    assert!(!machine.files_below("disk3").iter().any(|file| file.contains("/remote-")), "the marker goes last");
    machine.upload("x", "/x");
    // It may come back, as a new one, once it is empty.
    std::fs::remove_dir_all(machine.path("disk3")).unwrap();
    machine.directory("disk3");
    machine.ok(&["remotes", "add", "--alone", &disk3]);
    assert_eq!(machine.summary(&["remotes", "list"])["remotes"].as_array().unwrap().len(), 3);
}

/// The marker was half written when the machine died.
#[test]
fn a_join_that_was_cut_off_is_finished_by_repeating_it() {
    let machine = Machine::with_pool(2, "none", "64K");
    machine.upload("x", "/x");
    let other = machine.files_below("disk1").into_iter().find(|file| file.contains("/remote-")).unwrap();
    let name = std::path::Path::new(&other).file_name().unwrap().to_str().unwrap();
    let (pool, _) = name.rsplit_once('-').unwrap();
    let disk3 = machine.text("disk3");
    let manifests = machine.path("disk3").join("rclonepool_manifests");
    std::fs::create_dir_all(&manifests).unwrap();
    std::fs::write(manifests.join(format!("{pool}-{}.json", "ab".repeat(16))), "{\"format\":1,\"po").unwrap();
    let said = machine.ok(&["remotes", "add", "--alone", &disk3]);
    assert!(said.contains("joined"), "{said}");
    let list = machine.summary(&["remotes", "list"]);
    assert!(
        list["remotes"].as_array().unwrap().iter().all(|r| r["state"] == "active" && r["online"] == true),
        "{list}"
    );
    assert_eq!(machine.files_below("disk3").iter().filter(|file| file.contains("/remote-")).count(), 1);
    // What is a member is left alone, whoever asks.
    let error = machine.fails(6, &["remotes", "add", "--alone", &disk3]);
    assert!(error.contains("it is a member") && !error.contains("joins without"), "{error}");
}

#[test]
fn a_change_of_membership_takes_a_day_where_other_machines_write() {
    let machine = Machine::with_pool(2, "none", "64K");
    machine.directory("disk3");
    machine.directory("disk4");
    let said = machine.ok(&["remotes", "add", &machine.text("disk3")]);
    assert!(said.contains("joining") && said.contains("24 h"), "{said}");
    let error = machine.fails(23, &["remotes", "add", &machine.text("disk4")]);
    assert!(error.contains("under way") && error.contains("--alone"), "{error}");
    let config: serde_json::Value = serde_json::from_slice(&std::fs::read(machine.config_path()).unwrap()).unwrap();
    assert_eq!(config["remotes"].as_array().unwrap().len(), 3, "what did not join is taken out again");
    assert!(machine.ok(&["remotes", "list"]).contains("joining"));
    machine.upload(content(1, 300_000), "/f");
}

#[test]
fn a_read_only_configuration_is_an_error_before_anything_is_changed() {
    let machine = Machine::with_pool(2, "none", "64K");
    machine.directory("disk3");
    let mut mode = machine.config_path().metadata().unwrap().permissions();
    mode.set_readonly(true);
    std::fs::set_permissions(machine.config_path(), mode).unwrap();
    let error = machine.fails(7, &["remotes", "add", "--alone", &machine.text("disk3")]);
    assert!(error.contains("read-only"), "{error}");
    assert!(machine.files_below("disk3").is_empty());
}
