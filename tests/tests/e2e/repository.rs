//! Rules every file of the repository keeps.

use std::path::Path;

use rclonepool_tests::repository::{read, root, sources};

/// A file is read in one go, or it is two files.
const LINES_MAX: usize = 600;

#[test]
fn files_are_short() {
    let long: Vec<String> = sources(&[".rs", ".py"])
        .iter()
        .map(|path| (path, read(path).lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(path, lines)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "at most {LINES_MAX} lines per file: {long:#?}");
}

#[test]
fn no_test_is_switched_off() {
    // Written apart, so that this file does not find itself.
    let switches =
        [concat!("#[", "ignore"), concat!("mark.", "skip"), concat!("mark.", "xfail"), concat!("pytest.", "skip")];
    let off: Vec<String> = sources(&[".rs", ".py"])
        .iter()
        .filter(|path| switches.iter().any(|switch| read(path).contains(switch)))
        .map(|path| path.display().to_string())
        .collect();
    assert!(off.is_empty(), "a test that does not run proves nothing: {off:#?}");
}

/// Cargo takes `src/{lib,main}.rs`, `src/bin/*`, `tests/*.rs` and `tests/*/main.rs` by itself;
/// every other file needs a `mod` line in the file above it, or nothing compiles it.
#[test]
fn every_file_is_compiled() {
    let forgotten: Vec<String> = sources(&[".rs"])
        .iter()
        .filter(|path| !is_root(path) && !is_named_above(path))
        .map(|path| path.display().to_string())
        .collect();
    assert!(forgotten.is_empty(), "no `mod` line names these files: {forgotten:#?}");
}

fn is_root(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let folder = path.parent().unwrap_or(path);
    matches!(name, "lib.rs" | "main.rs" | "build.rs")
        || folder.ends_with("src/bin")
        || (["tests", "benches", "examples", "fuzz_targets"].iter().any(|targets| folder.ends_with(targets))
            && root().join(folder).join("../Cargo.toml").exists())
        || [Path::new("examples/rust"), Path::new("examples/plugins/native")].contains(&folder)
}

fn is_named_above(path: &Path) -> bool {
    let (Some(folder), Some(stem)) = (path.parent(), path.file_stem().and_then(|stem| stem.to_str())) else {
        return false;
    };
    let (folder, stem) = match stem {
        "mod" => (folder.parent().unwrap_or(folder), folder.file_name().and_then(|name| name.to_str()).unwrap_or(stem)),
        _ => (folder, stem),
    };
    let line = format!("mod {stem};");
    [folder.join("lib.rs"), folder.join("main.rs"), folder.join("mod.rs"), folder.with_extension("rs")]
        .iter()
        .filter(|above| root().join(above).is_file())
        .any(|above| read(above).lines().any(|text| text.trim_end().ends_with(&line)))
}

#[test]
fn every_rust_example_is_listed() {
    let listed = read("examples/Cargo.toml");
    for path in sources(&[".rs"]).iter().filter(|path| path.starts_with("examples")) {
        let entry = format!("path = \"{}\"", path.strip_prefix("examples").unwrap().display());
        assert!(listed.contains(&entry), "examples/Cargo.toml has no example with {entry}");
    }
}

/// The panic guard of the C ABI is dead code where a profile aborts.
#[test]
fn no_profile_aborts_on_panic() {
    let aborting: Vec<String> = sources(&["Cargo.toml"])
        .iter()
        .filter(|path| read(path).lines().any(|line| line.trim_start().starts_with("panic") && line.contains("abort")))
        .map(|path| path.display().to_string())
        .collect();
    assert!(aborting.is_empty(), "panic = \"abort\" in {aborting:?}");
}
