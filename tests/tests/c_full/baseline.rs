//! Programs that were linked with an earlier version go on working with this one: abidiff against what was committed.

use std::path::Path;
use std::process::{Command, Output};

use rclonepool_tests::c::{has, run, soname};
use rclonepool_tests::{built, repository, scratch};

fn baseline() -> String {
    format!("ffi/abi/{}.x86_64.abi", soname())
}

/// What abidw says of the library, without what is about its dependencies and the places it was built at.
fn description(directory: &Path) -> String {
    let file = directory.join("whole.abi");
    run(Command::new("abidw")
        .args(["--no-show-locs", "--no-corpus-path", "--no-comp-dir-path", "--out-file"])
        .arg(&file)
        .arg(built::library()));
    let whole = std::fs::read_to_string(&file).unwrap();
    let mut parts = whole.split("  <abi-instr ");
    let mut text = parts.next().unwrap().to_owned();
    for (at, part) in parts.filter(|part| part.contains("elf-symbol-id=")).enumerate() {
        let (head, rest) = part.split_once('\n').unwrap();
        let head: Vec<&str> = head.split(' ').filter(|word| !word.starts_with("path=")).collect();
        let head = head.join(" ");
        text += &format!("  <abi-instr path='unit-{at}' {head}\n{}", rest.trim_end_matches("</abi-corpus>\n"));
    }
    text + "</abi-corpus>\n"
}

fn compare(before: &Path) -> Output {
    Command::new("abidiff").args(["--no-added-syms"]).arg(before).arg(built::library()).output().unwrap()
}

/// With `RCLONEPOOL_BLESS=1` (`make abi`) the baseline is written first: for a version that may break the ABI.
#[test]
fn abi_is_that_of_the_baseline() {
    if !cfg!(target_arch = "x86_64") || !has("abidiff") {
        return;
    }
    let (scratch, baseline) = (scratch(), repository::root().join(baseline()));
    if std::env::var_os("RCLONEPOOL_BLESS").is_some() {
        std::fs::write(&baseline, description(scratch.path())).unwrap();
    }
    let same = compare(&baseline);
    assert!(same.status.success(), "{}", String::from_utf8_lossy(&same.stdout));

    // The comparison sees what it is meant to see.
    let text = std::fs::read_to_string(&baseline).unwrap();
    let changed = scratch.path().join("changed.abi");
    let breaks = [
        ("a member that was not there", without_last_member(&text, "rclonepool_progress"), 4),
        ("a function that is gone", with_another_function(&text), 8),
    ];
    for (what, broken, bit) in &breaks {
        assert!(*broken != text, "{what}");
        std::fs::write(&changed, broken).unwrap();
        let code = compare(&changed).status.code().unwrap_or_default();
        assert!(code & bit != 0, "{what}: abidiff gave {code}");
    }
}

fn without_last_member(text: &str, name: &str) -> String {
    let from = text.find(&format!("<class-decl name='{name}'")).unwrap();
    let end = from + text[from..].find("</class-decl>").unwrap();
    let class = &text[from..end];
    let last = class.rfind("<data-member").unwrap();
    let bits = |class: &str| {
        let rest = class.split("size-in-bits='").nth(1).unwrap();
        rest.split('\'').next().unwrap().parse::<u64>().unwrap()
    };
    let size = bits(class);
    let shorter = class[..last].replace(&format!("'{size}'"), &format!("'{}'", size - 64));
    format!("{}{shorter}{}", &text[..from], &text[end..])
}

fn with_another_function(text: &str) -> String {
    let symbol = "    <elf-symbol name='rclonepool_version'";
    let line = text.lines().find(|line| line.starts_with(symbol)).unwrap();
    let gone = line.replace("rclonepool_version'", "rclonepool_gone'");
    text.replacen(line, &format!("{line}\n{gone}"), 1)
}
