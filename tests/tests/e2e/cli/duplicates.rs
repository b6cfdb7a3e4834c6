//! Content that the pool has is not stored again.

use std::process::Stdio;

use rclonepool_tests::cli::{Machine, content};

fn data(machine: &Machine) -> Vec<(String, u64)> {
    let of = |n: usize| {
        let below = format!("disk{n}/rclonepool_data");
        let size = |file: &String| machine.path(&format!("{below}/{file}")).metadata().unwrap().len();
        machine.files_below(&below).into_iter().map(|file| (format!("{below}/{file}"), size(&file))).collect::<Vec<_>>()
    };
    (1..=4).flat_map(of).collect()
}

fn bytes(data: &[(String, u64)]) -> u64 {
    data.iter().map(|(_, size)| size).sum()
}

#[test]
fn equal_content_is_stored_once_and_outlives_its_first_file() {
    let machine = Machine::with_pool(4, "parity:3+1", "256K");
    machine.set("enable_deduplication", true);
    let (large, small) = (content(1, 2_000_000), content(2, 10_000));
    machine.file("in/large", &large);
    machine.file("in/small", &small);
    machine.ok(&["upload", "in", "/first"]);
    let before = data(&machine);
    let said = machine.ok(&["upload", "in", "/second"]);
    assert!(said.contains("1.9 MiB of it were in the pool already"), "{said}");
    assert_eq!(machine.summary(&["upload", "in/large", "/third"])["deduplicated_bytes"], 2_000_000);
    // A machine that knows nothing, and a stream.
    machine.forget_home_but_config();
    machine.file("stream", &large);
    let mut command = machine.command(&["upload", "-", "/fourth"]);
    let stream = std::fs::File::open(machine.path("stream")).unwrap();
    assert!(command.stdin(stream).stdout(Stdio::null()).status().unwrap().success());
    assert_eq!(data(&machine), before);

    machine.set("sole_writer", true);
    machine.ok(&["delete", "-r", "--purge", "/first"]);
    machine.ok(&["delete", "--purge", "/third"]);
    assert_eq!(machine.summary(&["gc"])["reclaimed"], 0);
    assert_eq!(data(&machine), before);
    for (path, bytes) in [("/second/large", &large), ("/second/small", &small), ("/fourth", &large)] {
        assert!(&machine.cat(path) == bytes, "{path}");
    }
    machine.ok(&["delete", "-r", "--purge", "/second"]);
    machine.ok(&["gc"]);
    assert!(machine.cat("/fourth") == large);
    machine.ok(&["verify", "--deep"]);
    machine.ok(&["delete", "--purge", "/fourth"]);
    machine.ok(&["gc"]);
    assert_eq!(data(&machine), []);
}

#[test]
fn an_insertion_sends_what_is_around_it() {
    let machine = Machine::with_pool(4, "none", "256K");
    machine.set("enable_deduplication", true);
    machine.set("chunker", "fastcdc");
    let old = content(3, 6_000_000);
    machine.file("f", &old);
    machine.ok(&["upload", "f", "/f"]);
    let first = data(&machine);
    let new = [b"a line at the front\n".as_slice(), &old].concat();
    machine.file("f", &new);
    machine.ok(&["upload", "f", "/f"]);
    let second = data(&machine);
    let sent: Vec<_> = second.iter().filter(|object| !first.contains(object)).cloned().collect();
    assert!(sent.len() <= 2 && bytes(&sent) < 400_000, "{sent:?}");
    assert!(machine.cat("/f") == new);
    // What is there is known, however it was cut.
    machine.set("chunker", "fixed");
    assert_eq!(machine.summary(&["upload", "--checksum", "f", "/f"])["unchanged"], 1);
    let (version, found) = (machine.summary(&["trash", "list"])["versions"].clone(), data(&machine));
    machine.ok(&["trash", "restore", "/f", "--version", version[0]["version"].as_str().unwrap()]);
    assert!(machine.cat("/f") == old);
    assert_eq!(data(&machine), found);
}
