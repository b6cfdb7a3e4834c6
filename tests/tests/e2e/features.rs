//! docs/features.md: its commands run, and the tests it names are there.

use rclonepool_tests::cli::{Machine, content};
use rclonepool_tests::repository;

const PAGE: &str = "docs/features.md";

/// The lines of the boxes that are run.
fn commands(page: &str) -> Vec<&str> {
    let boxes = page.split("```sh\n").skip(1);
    boxes.flat_map(|rest| rest.split("```").next().unwrap().lines()).filter(|line| !line.is_empty()).collect()
}

#[cfg(unix)]
#[test]
fn the_commands_run_as_they_are_printed() {
    let machine = Machine::with_pool(4, "parity:3+1", "64K");
    let page = repository::read(PAGE);
    machine.file("path/to/file.mkv", content(1, 300_000));
    // A port may be in use here, which `doctor` warns of; disks of a test lie on one device.
    let script: Vec<String> = commands(&page).iter().map(|line| line.replace("/path/to/", "path/to/")).collect();
    assert!(script.len() >= 20, "{script:?}");
    let shim = format!("rclonepool() {{ \"$R\" \"$@\"; }}\nset -eux\n{}\n", script.join("\n"));
    let outcome = machine.shell(&shim);
    assert_eq!(outcome.code, 0, "{outcome:#?}");
    assert_eq!(machine.read("path/to/local.mkv"), content(1, 300_000));
}

#[test]
fn the_tests_it_names_are_there() {
    let page = repository::read(PAGE);
    let mut named = 0;
    for row in page.lines().filter(|line| line.starts_with("| ") && line.ends_with("` |")) {
        let name = row.trim_end_matches("` |").rsplit('`').next().unwrap();
        named += 1;
        let Some((file, function)) = name.split_once("::") else {
            assert!(repository::root().join("tests").join(name).exists(), "{row}");
            continue;
        };
        let (face, rest) = file.split_once('/').unwrap();
        let path = match face {
            "e2e" | "config_effects" => format!("tests/tests/{file}.rs"),
            "dav" | "server" => format!("server/tests/{file}.rs"),
            "python" => format!("python/tests/{rest}.py"),
            _ => panic!("{row}"),
        };
        let source = repository::read(&path);
        let is_there = ["fn ", "def "].iter().any(|word| source.contains(&format!("{word}{function}(")));
        assert!(is_there, "{path} has no {function}");
    }
    assert!(named > 60, "{named}");
}
