//! What happens on a terminal: questions and the progress bar.

use rclonepool_tests::cli::{Machine, content};

#[test]
fn the_wizard_makes_a_pool_of_directories() {
    let machine = Machine::new();
    let disks = machine.disks(3);
    let answers = [
        ("Remotes:", "not-there\n"),
        ("Remotes:", disks[0].as_str()),
        (disks[0].as_str(), "\n"),
        ("ends the list", disks[1].as_str()),
        (disks[1].as_str(), "\n"),
        ("ends the list", disks[2].as_str()),
        (disks[2].as_str(), "\n"),
        ("ends the list", "\n"),
        ("made here?", "n\n"),
        ("Redundancy [parity:2+1]", "\n"),
        ("Chunk size [100M]", "1K\n"),
        ("Chunk size [100M]", "64K\n"),
        ("Make it? [Y/n]", "\n"),
    ];
    let shown = machine.on_terminal(100, &["init"], &answers);
    assert_eq!(shown.code, 0, "{}", shown.stdout);
    for part in ["did you mean \"not-there:\"", "any 1 of the 3 remotes may be lost", "65,536", "NOT encrypted"] {
        assert!(shown.stdout.contains(part), "{part}: {}", shown.stdout);
    }
    let config: serde_json::Value = serde_json::from_slice(&std::fs::read(machine.config_path()).unwrap()).unwrap();
    assert_eq!(config["remotes"], serde_json::json!(disks));
    assert_eq!((config["chunk_size"].as_u64(), config["redundancy_mode"].as_str()), (Some(65_536), Some("parity")));
    let bytes = content(1, 200_000);
    machine.upload(&bytes, "/f");
    assert_eq!(machine.cat("/f"), bytes);
}

#[test]
fn a_wizard_that_is_left_makes_nothing() {
    let machine = Machine::new();
    let disks = machine.disks(1);
    for answers in [
        &[("Remotes:", "\u{3}")][..],
        &[("Remotes:", "\u{4}")],
        &[
            ("Remotes:", disks[0].as_str()),
            (disks[0].as_str(), "\n"),
            ("ends the list", "\n"),
            ("made here?", "n\n"),
            ("Redundancy", "\n"),
            ("Chunk size", "\n"),
            ("Make it?", "n\n"),
        ],
    ] {
        let shown = machine.on_terminal(100, &["init"], answers);
        assert_eq!(shown.code, 130, "{}", shown.stdout);
        assert!(!machine.config_path().exists() && machine.files_below("disk1").is_empty());
    }
}

#[test]
fn a_terminal_shows_a_bar_that_nothing_tears() {
    let machine = Machine::with_pool(4, "parity:3+1", "1M");
    machine.file("film", content(1, 24 << 20));
    std::fs::remove_dir_all(machine.path("disk4")).unwrap();
    let shown = machine.on_terminal(120, &["upload", "film", "/film"], &[]);
    assert_eq!(shown.code, 0, "{}", shown.stdout);
    let last = shown.stdout.split(['\r', '\n']).rfind(|line| line.contains("items")).unwrap();
    for part in ["████ 100.0% | 24.0/24.0 MB | ", " MB/s | ETA: 00:00:00 | Elapsed: 00:00:", " | 24/24 items"] {
        assert!(last.contains(part), "{part}: {last}");
    }
    assert!(shown.stdout.contains("disk4"), "the warning is seen: {}", shown.stdout);
    let silent = machine.on_terminal(120, &["--no-progress", "upload", "--force", "film", "/film"], &[]);
    assert!(!silent.stdout.contains("items") && silent.stdout.contains("uploaded 1 file"), "{}", silent.stdout);
    let narrow = machine.on_terminal(60, &["upload", "--force", "film", "/film"], &[]);
    let bars = narrow.stdout.split(['\r', '\n']).filter(|line| line.contains('%'));
    for line in bars.map(console_width) {
        assert!(line <= 60, "{line} columns");
    }
}

/// The width of a line without its escape sequences.
fn console_width(line: &str) -> usize {
    let mut width = 0;
    let mut chars = line.trim_end().chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            chars.by_ref().find(char::is_ascii_alphabetic);
        } else {
            width += 1;
        }
    }
    width
}
