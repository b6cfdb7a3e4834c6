//! `verify` and `health`: each level finds its own damage, and the exit code tells.

use std::path::PathBuf;

use rclonepool_tests::cli::{Machine, content};
use serde_json::Value;

fn pool() -> Machine {
    let machine = Machine::with_pool(4, "parity:3+1", "1M");
    machine.upload(content(1, 3_000_000), "/films/f");
    machine.upload(content(2, 500_000), "/films/g");
    machine.upload("small", "/note");
    machine
}

fn objects(machine: &Machine, disk: &str, part: &str) -> Vec<PathBuf> {
    let files = machine.files_below(disk).into_iter().filter(|file| file.contains(part));
    files.map(|file| machine.path(disk).join(file)).collect()
}

fn delete(path: &PathBuf) {
    std::fs::remove_file(path).unwrap();
}

fn cut(path: &PathBuf) {
    let bytes = std::fs::read(path).unwrap();
    std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

fn flip(path: &PathBuf) {
    let mut bytes = std::fs::read(path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// The exit code and the summary of `verify`.
fn verify(machine: &Machine, words: &[&str]) -> (i32, Value) {
    let outcome = machine.run(&[&["--json", "--no-progress", "verify"], words].concat());
    let summary = outcome.json_lines().pop().unwrap_or_else(|| panic!("{outcome:?}"));
    assert_eq!(summary["message_type"], "summary", "{outcome:?}");
    (outcome.code, summary)
}

#[test]
fn all_is_well() {
    let machine = pool();
    for words in
        [&["verify"][..], &["verify", "--quick"], &["verify", "--deep"], &["verify", "/films", "--sample", "50%"]]
    {
        let said = machine.ok(words);
        assert!(said.contains("All is well.") && said.contains("chunk"), "{said}");
    }
    let (code, summary) = verify(&machine, &["--deep"]);
    assert_eq!((code, &summary["outcome"], &summary["checked"]["files"]), (0, &Value::Null, &3.into()));
    assert_eq!(summary["checked"]["bytes_read"].as_u64().unwrap(), {
        let all = (1..=4).flat_map(|n| objects(&machine, &format!("disk{n}"), "_data/"));
        all.map(|path| path.metadata().unwrap().len()).sum::<u64>()
    });
    let (_, summary) = verify(&machine, &["/films/f"]);
    assert_eq!((&summary["checked"]["files"], &summary["checked"]["shards"]), (&1.into(), &12.into()));
    let said = machine.ok(&["health"]);
    assert!(said.contains("3 files: 3 healthy") && said.contains("any 1 of the 4 remotes may be lost"), "{said}");
    machine.fails(4, &["verify", "/nowhere"]);
    machine.fails(4, &["health", "/nowhere"]);
    for usage in
        [&["verify", "--quick", "--deep"][..], &["verify", "--sample", "0%"], &["verify", "--quick", "--sample", "5%"]]
    {
        machine.fails(2, usage);
    }
}

#[test]
fn each_level_finds_its_own_damage_in_shards() {
    type Harm = fn(&PathBuf);
    let cases: [(Harm, &str, &[&str], i32); 3] =
        [(delete, "missing", &["--quick"], 20), (cut, "truncated", &[], 20), (flip, "corrupt", &["--deep"], 22)];
    for (harm, word, level, code) in cases {
        let machine = pool();
        harm(&objects(&machine, "disk3", "_data/")[0]);
        let (found, summary) = verify(&machine, level);
        assert_eq!((found, &summary["shards"][word]), (code, &1.into()), "{word}: {summary}");
        assert_eq!((&summary["files"]["at_risk"], &summary["listed"][0]["shards"][word]), (&1.into(), &1.into()));
        let outcome = machine.run(&[&["verify"], level].concat());
        assert!(outcome.stdout.contains(word) && outcome.stdout.contains("disk3"), "{outcome:?}");
        assert!(outcome.stderr.contains("error: "), "{outcome:?}");
        // It is remembered, and every file can still be read.
        let health = machine.run(&["health"]);
        assert_eq!(health.code, 20, "{health:?}");
        assert!(health.stdout.contains("at risk") && health.stdout.contains("/films/"), "{health:?}");
        assert_eq!(machine.cat("/films/f"), content(1, 3_000_000));
    }
    let machine = pool();
    cut(&objects(&machine, "disk3", "_data/")[0]);
    assert_eq!(verify(&machine, &["--quick"]).0, 0, "sizes are the next level's");
}

#[test]
fn each_level_finds_its_own_damage_in_commits() {
    type Harm = fn(&PathBuf);
    let cases: [(Harm, &str, &[&str], i32); 3] =
        [(delete, "missing", &["--quick"], 20), (cut, "truncated", &[], 20), (flip, "corrupt", &["--deep"], 22)];
    for (harm, word, level, code) in cases {
        let machine = pool();
        harm(&objects(&machine, "disk2", "/commits/")[0]);
        let (found, summary) = verify(&machine, level);
        assert_eq!((found, &summary["commits"]["damaged"][0]["damage"]), (code, &word.into()), "{word}: {summary}");
        assert_eq!(summary["commits"]["damaged"][0]["remote"], machine.text("disk2"));
        assert_eq!(summary["files"]["healthy"], 3);
        if word != "corrupt" {
            assert_eq!(verify(&machine, level).0, 0, "{word}: what a remote lacks is copied to it");
        }
    }
}

#[test]
fn offline_is_unknown_and_too_much_is_lost() {
    let machine = pool();
    std::fs::rename(machine.path("disk4"), machine.path("away")).unwrap();
    for level in [&["--quick"][..], &[], &["--deep"]] {
        let (code, summary) = verify(&machine, level);
        assert_eq!((code, &summary["shards"]["missing"]), (5, &0.into()), "{summary}");
        assert_eq!(summary["shards"]["unknown"], 4);
    }
    let health = machine.run(&["health"]);
    assert_eq!(health.code, 20, "{health:?}");
    assert!(health.stdout.contains("disk4: OFFLINE"), "{health:?}");

    // An empty directory in its place, as an unmounted disk leaves one, is no different.
    machine.directory("disk4");
    let (code, summary) = verify(&machine, &[]);
    assert_eq!((code, &summary["shards"]["missing"]), (5, &0.into()), "{summary}");

    objects(&machine, "disk1", "_data/").iter().for_each(delete);
    let (code, summary) = verify(&machine, &[]);
    assert_eq!((code, &summary["files"]["unavailable"]), (5, &2.into()), "{summary}");
    assert_eq!(machine.run(&["health"]).code, 5);

    std::fs::remove_dir(machine.path("disk4")).unwrap();
    std::fs::rename(machine.path("away"), machine.path("disk4")).unwrap();
    assert_eq!(verify(&machine, &[]).0, 20);
    objects(&machine, "disk4", "_data/").iter().for_each(delete);
    let (code, summary) = verify(&machine, &["--quick"]);
    assert_eq!((code, &summary["files"]["lost"], &summary["files"]["healthy"]), (21, &2.into(), &1.into()));
    let outcome = machine.run(&["verify"]);
    assert!(outcome.stderr.contains("2 files are lost"), "{outcome:?}");
    assert_eq!(machine.run(&["health"]).code, 21);
    assert_eq!(machine.run(&["health", "/note"]).code, 0);
}

#[test]
fn what_if_needs_no_remote() {
    let machine = pool();
    for disk in 1..=4 {
        std::fs::rename(machine.path(&format!("disk{disk}")), machine.path(&format!("away{disk}"))).unwrap();
    }
    let (one, two) = (machine.text("disk1"), machine.text("disk2"));
    let said = machine.ok(&["health", "--what-if-lose", &one]);
    assert!(said.contains("2 at risk") && said.contains("1 healthy"), "{said}");
    let outcome = machine.run(&["health", "/films", "--what-if-lose", &one, &two]);
    assert_eq!(outcome.code, 21, "{outcome:?}");
    assert!(outcome.stdout.contains("2 lost") && outcome.stderr.contains("2 files would be lost"), "{outcome:?}");
    let summary = machine.summary(&["health", "--what-if-lose", &two]);
    assert_eq!((&summary["state"], &summary["recoverable"]), (&"at_risk".into(), &true.into()));
    assert!(machine.fails(4, &["health", "--what-if-lose", "nobody"]).contains("its remotes are"));

    // Without an index the remotes are asked once.
    machine.forget_home_but_config();
    machine.fails(5, &["health", "--what-if-lose", &one]);
    for disk in 1..=4 {
        std::fs::rename(machine.path(&format!("away{disk}")), machine.path(&format!("disk{disk}"))).unwrap();
    }
    assert!(machine.ok(&["health", "--what-if-lose", &one]).contains("2 at risk"));
}
