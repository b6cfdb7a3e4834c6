//! Remotes that are swapped, foreign, emptied, gone, full, read-only or too few: offline is not lost.

use rclonepool_tests::cli::{Machine, content};

const PARITY: &str = "parity:3+1";

fn swap(machine: &Machine, a: &str, b: &str) {
    let [a, b, c] = [a, b, "between"].map(|name| machine.path(name));
    std::fs::rename(&a, &c).unwrap();
    std::fs::rename(&b, &a).unwrap();
    std::fs::rename(&c, &b).unwrap();
}

#[test]
fn swapped_remotes_are_known_by_their_markers() {
    let machine = Machine::with_pool(4, PARITY, "64K");
    let bytes = content(1, 300_000);
    machine.upload(&bytes, "/f");
    swap(&machine, "disk1", "disk3");
    let outcome = machine.run(&["ls"]);
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("f\n", ""));
    assert_eq!(machine.cat("/f"), bytes);
    machine.upload(&bytes, "/g");
    swap(&machine, "disk1", "disk3");
    assert_eq!(machine.cat("/g"), bytes);
}

#[test]
fn a_foreign_remote_is_offline_and_hides_nothing() {
    let machine = Machine::with_pool(4, PARITY, "64K");
    let bytes = content(1, 300_000);
    machine.upload(&bytes, "/f");
    machine.directory("other1");
    machine.ok(&["--config", &machine.text("other.json"), "init", "--remote", &machine.text("other1")]);
    let before = machine.files_below("disk1");
    swap(&machine, "disk1", "other1");
    let outcome = machine.run(&["ls"]);
    assert_eq!(outcome.stdout, "f\n");
    assert!(outcome.stderr.contains("belongs to another pool") && outcome.stderr.contains("Nothing is taken for lost"));
    assert_eq!(machine.cat("/f"), bytes);
    machine.upload(&bytes, "/g");
    assert_eq!(machine.files_below("disk1").len(), 10, "the other pool's remote is left alone");
    assert_eq!(machine.files_below("other1"), before);
    swap(&machine, "disk1", "other1");
    assert_eq!(machine.cat("/g"), bytes);
    assert_eq!(machine.run(&["ls"]).stderr, "");
}

#[test]
fn an_emptied_remote_is_offline_and_what_it_held_is_rebuilt() {
    let machine = Machine::with_pool(4, PARITY, "256K");
    let bytes = content(1, 3_000_000);
    machine.upload(&bytes, "/f");
    std::fs::rename(machine.path("disk2"), machine.path("unmounted")).unwrap();
    machine.directory("disk2");
    let outcome = machine.run(&["download", "/f", "back"]);
    assert_eq!((outcome.code, machine.read("back") == bytes), (0, true), "{outcome:?}");
    assert!(outcome.stderr.contains("no marker of this pool"), "{outcome:?}");
    machine.upload(&bytes, "/g");
    assert!(machine.files_below("disk2").is_empty(), "nothing is written to what may be a mount point");
    std::fs::remove_dir(machine.path("disk2")).unwrap();
    std::fs::rename(machine.path("unmounted"), machine.path("disk2")).unwrap();
    assert_eq!(machine.run(&["ls"]).stderr, "");
    assert_eq!(machine.cat("/g"), bytes);
}

#[test]
fn too_many_away_is_temporary_and_not_a_loss() {
    let machine = Machine::with_pool(4, PARITY, "64K");
    let bytes = content(1, 300_000);
    machine.upload(&bytes, "/f");
    machine.upload("x", "/unsure");
    for disk in ["disk1", "disk2"] {
        std::fs::rename(machine.path(disk), machine.path(&format!("away-{disk}"))).unwrap();
    }
    let error = machine.fails(5, &["download", "/f", "back"]);
    assert!(error.contains("offline") && error.contains("may be out of date"), "{error}");
    assert!(!machine.path("back").exists());
    let error = machine.fails(5, &["delete", "/unsure"]);
    assert!(error.contains("2 of 4 remotes") && error.contains("not acknowledged"), "{error}");
    for disk in ["disk3", "disk4"] {
        std::fs::rename(machine.path(disk), machine.path(&format!("away-{disk}"))).unwrap();
    }
    assert!(machine.ok(&["ls"]).starts_with("f\n"), "the index still knows");
    machine.fails(5, &["cat", "/f"]);
    machine.forget_home_but_config();
    let error = machine.fails(5, &["ls"]);
    assert!(error.contains("no remote of the pool is online"), "{error}");
    for disk in ["disk1", "disk2", "disk3", "disk4"] {
        std::fs::rename(machine.path(&format!("away-{disk}")), machine.path(disk)).unwrap();
    }
    assert_eq!(machine.cat("/f"), bytes);
}

#[test]
fn fewer_remotes_than_shards_work_and_say_what_it_costs() {
    let machine = Machine::new();
    let disks = machine.disks(2);
    let outcome = machine.run(&["init", "--remote", &disks[0], "--remote", &disks[1], "--redundancy", PARITY]);
    let cost = "4 shards of every chunk, and there are 2 remotes";
    assert!(outcome.code == 0 && outcome.stderr.contains(cost), "{outcome:?}");
    let bytes = content(1, 300_000);
    machine.file("f", &bytes);
    let outcome = machine.run(&["upload", "f", "/f"]);
    assert!(outcome.code == 0 && outcome.stderr.contains("none of the 2 remotes may be lost"), "{outcome:?}");
    assert!(machine.ok(&["status"]).contains(cost));
    assert_eq!(machine.cat("/f"), bytes);
}

#[test]
fn a_full_pool_is_full_and_keeps_what_it_has() {
    let machine = Machine::with_pool(2, "none", "64K");
    machine.configure(|map| {
        let quotas: serde_json::Map<_, _> =
            (1..=2).map(|i| (machine.text(&format!("disk{i}")), "256K".into())).collect();
        map.insert("remote_quotas".into(), quotas.into());
    });
    let bytes = content(1, 300_000);
    machine.upload(&bytes, "/fits");
    machine.file("big", content(2, 400_000));
    let error = machine.fails(24, &["upload", "big", "/big"]);
    assert!(error.contains("full") || error.contains("quota"), "{error}");
    assert_eq!(machine.ok(&["ls"]), "fits\n");
    assert_eq!(machine.cat("/fits"), bytes);
    machine.upload(content(3, 60_000), "/small");
}

/// Real file systems: one is full, one read-only. Where the system lets no user mount any, quotas (above)
/// and this file's other tests are all there is.
#[test]
fn a_full_and_a_read_only_disk_are_passed_over() {
    let machine = Machine::new();
    machine.file("f", content(1, 3_000_000));
    let disks = machine.disks(4);
    let script = format!(
        "mount -t tmpfs -o size=1m tmpfs disk1\n\
         $R init --remote {} --remote {} --remote {} --remote {} --redundancy replication:2 --chunk-size 256K\n\
         head -c 900000 /dev/zero >disk1/others\n\
         mount -o bind disk2 disk2\nmount -o remount,ro,bind disk2\n\
         $R upload f /f\n$R cat /f | cmp - f\n\
         echo \"full: $(ls disk1/rclonepool_data 2>/dev/null | wc -l)\"; echo \"read-only: $(ls disk2 | wc -l)\"\n",
        disks[0], disks[1], disks[2], disks[3]
    );
    let Some(outcome) = machine.in_namespace(&script) else {
        eprintln!("no user namespaces here: neither a full nor a read-only file system can be made");
        return;
    };
    assert_eq!(outcome.code, 0, "{outcome:?}");
    // The read-only one holds what init put there: the marker and the journal.
    assert!(outcome.stdout.contains("read-only: 1\n"), "{outcome:?}");
    assert!(outcome.stderr.contains("could not be put where it was to lie"), "{outcome:?}");

    let everything = format!(
        "mount -t tmpfs -o size=1m tmpfs disk1\n$R init --yes --config c.json --remote {} --chunk-size 256K\n\
         head -c 1000000 /dev/zero >disk1/others || true\n\
         $R --config c.json upload f /f || echo \"code $?\"\n$R --config c.json ls\n",
        disks[0]
    );
    let outcome = machine.in_namespace(&everything).unwrap();
    assert!(outcome.stdout.ends_with("code 24\n"), "nothing is listed after it: {outcome:?}");
}
