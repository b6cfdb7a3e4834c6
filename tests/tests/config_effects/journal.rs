//! Keys of the journal and its index.

use rclonepool_tests::cli::Machine;
use rclonepool_tests::wrapper;

#[test]
fn commit_quorum_asks_for_more_remotes() {
    let machine = Machine::with_pool(3, "none", "64K");
    machine.file("f", "f");
    let stale = |path: &str| machine.summary(&["upload", "f", path])["stale"].as_bool().unwrap();
    std::fs::rename(machine.path("disk3"), machine.path("away")).unwrap();
    assert!(!stale("/a"), "two of three are a majority");
    std::fs::rename(machine.path("away"), machine.path("disk3")).unwrap();
    machine.set("commit_quorum", 3);
    assert!(!stale("/b"), "all are there");
    std::fs::rename(machine.path("disk3"), machine.path("away")).unwrap();
    assert!(stale("/c"), "three must hold it, and there are two");
}

#[test]
fn commit_offer_timeout_waits_for_slow_remotes() {
    let machine = wrapper::pool(3, "none", "64K");
    machine.file("f", "f");
    let commits = |disk: &str| machine.files_below(&format!("{disk}/rclonepool_manifests/commits")).len();
    // The third takes seconds for a put of a commit; the other two are enough.
    let slow = "case \"$*\" in *\"rcat\"*\"r3:\"*commits*) sleep 4 ;; esac";
    for (limit, reaches) in [(0, false), (60, true)] {
        machine.set("commit_offer_timeout", limit);
        // What was given up before is made up for, so that only this command counts.
        wrapper::behave(&machine, "");
        machine.ok(&["mkdir", &format!("/before-{limit}")]);
        machine.set("commit_offer_timeout", 60);
        machine.ok(&["ls"]);
        machine.set("commit_offer_timeout", limit);
        let before = commits("disk3");
        wrapper::behave(&machine, slow);
        machine.ok(&["upload", "f", &format!("/f{limit}")]);
        assert_eq!(commits("disk3") > before, reaches, "{limit} s: {:?}", wrapper::calls(&machine));
    }
}

#[test]
fn the_index_is_kept_where_and_if_it_is_said() {
    let machine = Machine::with_pool(1, "none", "64K");
    machine.upload("x", "/x");
    assert!(machine.files_below("home/.cache/rclonepool").iter().any(|file| file.ends_with(".sqlite")));
    machine.set("manifest_cache_dir", "~/elsewhere");
    machine.ok(&["ls"]);
    assert!(machine.files_below("home/elsewhere").iter().any(|file| file.ends_with(".sqlite")));
    machine.forget_home_but_config();
    std::fs::remove_dir_all(machine.path("home/elsewhere")).unwrap();
    machine.set("enable_manifest_cache", false);
    assert_eq!(machine.ok(&["ls"]), "x\n");
    machine.upload("y", "/y");
    assert!(!machine.path("home/elsewhere").exists() && !machine.path("home/.cache").exists());
    let left =
        machine.files_below("").into_iter().filter(|file| file.contains("index") && !file.starts_with("disk")).count();
    assert_eq!(left, 0, "the private index is gone with the command");
    // An index that cannot be made names its key.
    machine.configure(|map| drop(map.remove("enable_manifest_cache")));
    machine.file("blocked", "");
    machine.set("manifest_cache_dir", machine.text("blocked/below"));
    let outcome = machine.run(&["ls"]);
    assert!(outcome.code != 0 && outcome.stderr.contains("manifest_cache_dir"), "{outcome:?}");
}
