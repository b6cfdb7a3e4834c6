//! Lost and damaged shards: rebuild, repair, conversion, as a user meets them.

use std::path::PathBuf;

use rclonepool_tests::cli::{Machine, content};

fn shards(machine: &Machine, disk: &str) -> Vec<PathBuf> {
    let files = machine.files_below(disk).into_iter().filter(|file| file.contains("_data/"));
    files.map(|file| machine.path(disk).join(file)).collect()
}

/// The file reads back with a disk away, whichever, on a machine that knows nothing.
fn reads_without_any(machine: &Machine, disks: usize, bytes: &[u8]) {
    machine.forget_home_but_config();
    for n in 1..=disks {
        let (disk, away) = (machine.path(&format!("disk{n}")), machine.path("away"));
        std::fs::rename(&disk, &away).unwrap();
        std::fs::create_dir(&disk).unwrap();
        let read = machine.cat("/f");
        std::fs::remove_dir(&disk).unwrap();
        std::fs::rename(&away, &disk).unwrap();
        assert!(read == bytes, "without disk{n}");
    }
}

#[test]
fn shards_deleted_by_hand_are_rebuilt_and_hold_when_another_disk_goes() {
    let machine = Machine::with_pool(4, "parity:3+1", "256K");
    let bytes = content(1, 3_000_000);
    machine.upload(&bytes, "/f");
    let lost = shards(&machine, "disk2");
    lost.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    // Fewer than 16 are believed at once.
    assert!(lost.len() < 16);
    let plan = machine.summary(&["rebuild", "--all", "--dry-run"]);
    assert_eq!(plan["plan"]["chunks"].as_array().unwrap().len(), lost.len(), "{plan}");
    assert!(shards(&machine, "disk2").is_empty(), "a dry run changes nothing");
    let said = machine.ok(&["rebuild", "--all"]);
    assert!(said.contains(&format!("rebuilt {} shards of {} chunks", lost.len(), lost.len())), "{said}");
    assert_eq!(shards(&machine, "disk2").len(), lost.len());
    assert!(machine.ok(&["rebuild", "/f"]).contains("nothing to rebuild"));
    reads_without_any(&machine, 4, &bytes);
}

#[test]
fn what_a_read_found_is_told_kept_and_rebuilt() {
    let machine = Machine::with_pool(4, "parity:3+1", "1M");
    let bytes = content(1, 1_000_000);
    machine.upload(&bytes, "/f");
    let stat = machine.json(&["stat", "/f"]);
    let first = stat[0].to_string();
    assert!(first.contains("shards"), "{first}");
    // Whatever is read, three of four shards are drawn on: damage two copies in turn until one is met.
    for disk in ["disk1", "disk2", "disk3", "disk4"] {
        let object = &shards(&machine, disk)[0];
        let mut damaged = std::fs::read(object).unwrap();
        let good = damaged.clone();
        damaged[1000] ^= 1;
        std::fs::write(object, damaged).unwrap();
        let outcome = machine.run(&["download", "--force", "/f", "back"]);
        assert_eq!((outcome.code, machine.read("back") == bytes), (0, true), "{outcome:?}");
        if outcome.stderr.contains("found 1 damaged shard; `rclonepool rebuild` restores it") {
            let summary = machine.summary(&["rebuild"]);
            assert_eq!((&summary["shards"], &summary["failed"]), (&1.into(), &0.into()), "{summary}");
            assert!(machine.ok(&["rebuild"]).contains("nothing to rebuild"));
            reads_without_any(&machine, 4, &bytes);
            return;
        }
        std::fs::write(object, good).unwrap();
    }
    panic!("no read met a damaged shard");
}

#[test]
fn a_disk_that_suddenly_misses_much_waits_and_one_that_is_away_is_left_alone() {
    let machine = Machine::with_pool(4, "parity:2+1", "64K");
    let bytes = content(1, 3_000_000);
    machine.upload(&bytes, "/f");
    let lost = shards(&machine, "disk1");
    assert!(lost.len() >= 16, "{}", lost.len());
    lost.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    let error = machine.fails(26, &["rebuild", "--all"]);
    assert!(error.contains("--accept-loss"), "{error}");
    assert!(shards(&machine, "disk1").is_empty());
    let summary = machine.summary(&["rebuild", "--all", "--accept-loss"]);
    assert_eq!(summary["shards"], lost.len(), "{summary}");
    reads_without_any(&machine, 4, &bytes);

    let (disk, away) = (machine.path("disk3"), machine.path("away"));
    std::fs::rename(&disk, &away).unwrap();
    std::fs::create_dir(&disk).unwrap();
    let outcome = machine.run(&["rebuild", "--all"]);
    assert!(outcome.code == 0 && outcome.stdout.contains("nothing to rebuild"), "{outcome:?}");
    std::fs::remove_dir(&disk).unwrap();
    std::fs::rename(&away, &disk).unwrap();
}

#[test]
fn too_few_shards_are_unrecoverable_until_a_copy_repairs_them() {
    let machine = Machine::with_pool(4, "parity:3+1", "1M");
    let bytes = content(1, 1_000_000);
    machine.upload(&bytes, "/f");
    for disk in ["disk1", "disk2", "disk3"] {
        shards(&machine, disk).iter().for_each(|path| std::fs::remove_file(path).unwrap());
    }
    let error = machine.fails(21, &["rebuild", "/f"]);
    assert!(error.contains("rclonepool repair"), "{error}");
    let mut other = bytes.clone();
    other[777_777] ^= 1;
    machine.file("other", &other);
    let error = machine.fails(2, &["repair", "/f", "other"]);
    // Only its unit is known: what it held cannot be read.
    assert!(error.contains("is not the same content as /f"), "{error}");
    machine.file("copy", &bytes);
    let dry = machine.ok(&["repair", "--dry-run", "/f", "copy"]);
    assert!(dry.contains("3 of 4 shards would be restored"), "{dry}");
    let summary = machine.summary(&["repair", "/f", "copy"]);
    assert_eq!(summary["rebuilt"]["shards"], 3, "{summary}");
    assert!(machine.ok(&["repair", "/f", "copy"]).contains("nothing to repair; 4 shards checked"));
    let error = machine.fails(2, &["repair", "/f", "other"]);
    assert!(error.contains("the first difference is at offset 777777"), "{error}");
    assert!(machine.ok(&["rebuild", "--all"]).contains("nothing to rebuild"));
    reads_without_any(&machine, 4, &bytes);
    machine.fails(4, &["repair", "/nowhere", "copy"]);
    machine.fails(4, &["rebuild", "/nowhere"]);
}

#[test]
fn redundancy_is_converted_for_a_file_and_for_the_pool() {
    let machine = Machine::with_pool(4, "none", "256K");
    let bytes = content(1, 900_000);
    machine.upload(&bytes, "/f");
    machine.upload(content(2, 300_000), "/g");
    let data = |path: &str| machine.json(&["stat", path])[0].to_string();
    let parity = |path: &str| data(path).contains("\"parity\":1");
    machine.ok(&["rebuild", "--redundancy", "parity:3+1", "/f"]);
    assert_eq!((parity("/f"), parity("/g")), (true, false), "{}", data("/f"));
    reads_without_any(&machine, 4, &bytes);
    let plan = machine.summary(&["rebuild", "--redundancy", "parity:3+1", "-n"]);
    assert_eq!(plan["plan"]["files"], 1, "{plan}");
    let summary = machine.summary(&["rebuild", "--redundancy", "parity:3+1"]);
    assert_eq!((&summary["failed"], &summary["redundancy"]), (&0.into(), &"parity:3+1".into()), "{summary}");
    let config = String::from_utf8(std::fs::read(machine.config_path()).unwrap()).unwrap();
    assert!(config.contains("\"redundancy_mode\": \"parity\""), "{config}");
    machine.upload(content(3, 300_000), "/new");
    assert!(parity("/g") && parity("/new"));
    let status = machine.ok(&["status"]);
    assert!(status.contains("redundancy parity:3+1"), "{status}");
    assert!(machine.ok(&["rebuild", "--redundancy", "parity:3+1"]).contains("nothing to convert"));
    machine.fails(2, &["rebuild", "--redundancy", "raid5"]);
}
