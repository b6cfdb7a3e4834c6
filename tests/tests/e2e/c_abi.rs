//! The C ABI from the outside: the committed header, the exported symbols, programs in C and C++.
//!
//! What takes long, or needs more tools, is in tests/c_full: `make test-c-full`.
#![cfg(target_os = "linux")]

mod documents;
mod installed;
mod programs;

use std::process::Command;

use rclonepool_tests::c::{compile, has, run};
use rclonepool_tests::{built, repository, scratch};

const HEADER: &str = "include/rclonepool.h";

/// The header for the sources as they are.
fn generated_header() -> String {
    let crate_dir = repository::root().join("ffi");
    let mut config = cbindgen::Config::from_file(crate_dir.join("cbindgen.toml")).unwrap();
    let number = |part: &str| part.parse::<u32>().unwrap();
    let (major, minor, patch) = (
        number(env!("CARGO_PKG_VERSION_MAJOR")),
        number(env!("CARGO_PKG_VERSION_MINOR")),
        number(env!("CARGO_PKG_VERSION_PATCH")),
    );
    config.after_includes = Some(format!(
        "\n/** The version of this header; rclonepool_version_number() gives that of the library. */\n\
         #define RCLONEPOOL_VERSION_MAJOR {major}\n\
         /** Its second part. */\n\
         #define RCLONEPOOL_VERSION_MINOR {minor}\n\
         /** Its third part. */\n\
         #define RCLONEPOOL_VERSION_PATCH {patch}\n\
         /** All of it: major * 1000000 + minor * 1000 + patch. */\n\
         #define RCLONEPOOL_VERSION_NUMBER {}",
        major * 1_000_000 + minor * 1_000 + patch,
    ));
    let bindings = cbindgen::Builder::new().with_crate(crate_dir).with_config(config).generate().unwrap();
    let mut text = Vec::new();
    bindings.write(&mut text);
    // Rust's heading, in the words of Doxygen.
    String::from_utf8(text).unwrap().replace(" * # Safety\n * ", " * @pre ")
}

/// With `RCLONEPOOL_BLESS=1` (`make header`) the header is written instead of compared.
#[test]
fn header_is_that_of_the_sources() {
    let generated = generated_header();
    if std::env::var_os("RCLONEPOOL_BLESS").is_some() {
        std::fs::write(repository::root().join(HEADER), &generated).unwrap();
    }
    assert!(repository::read(HEADER) == generated, "{HEADER} is not what ffi/src says: run `make header`");
}

/// A cdylib exports what any dependency exports, too: nothing must slip in, or out, unseen.
#[test]
fn symbols_are_those_listed() {
    let output = Command::new("nm").args(["-D", "--defined-only", "-j"]).arg(built::library()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let exported = String::from_utf8(output.stdout).unwrap();
    let mut exported: Vec<&str> = exported.lines().collect();
    exported.sort_unstable();
    let listed = repository::read("ffi/symbols.txt");
    assert_eq!(exported, listed.lines().collect::<Vec<_>>(), "ffi/symbols.txt names what the library exports");
}

#[test]
fn c_example_compiles_without_a_warning_and_runs() {
    let scratch = scratch();
    let source = repository::root().join("examples/c/version.c");
    let program = compile(scratch.path(), "gcc", &["-std=c99"], &[&source]);

    let output = Command::new(&program).args(["/movies/x.mkv", "/a/../b"]).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(text(&output.stdout), format!("rclonepool {}\n/movies/x.mkv\n", env!("CARGO_PKG_VERSION")));
    let complaint = text(&output.stderr);
    assert!(complaint.starts_with("-4: ") && complaint.contains("\"..\""), "{complaint}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn headers_suit_all_standards_and_compilers() {
    let scratch = scratch();
    let source = |header: &str, end: &str| {
        let file = scratch.path().join(format!("{header}.{end}"));
        let text = format!(
            "#include <{header}>\n#include <{header}>\n\
             int main(void) {{ return rclonepool_path_check(\"/a\", 0) == RCLONEPOOL_STATUS_OK ? 0 : 1; }}\n"
        );
        std::fs::write(&file, text).unwrap();
        file
    };
    let (c, cpp, wrapper) =
        (source("rclonepool.h", "c"), source("rclonepool.h", "cpp"), source("rclonepool.hpp", "cpp"));
    let (no_exceptions, plain) = (["", "-fno-exceptions"], [""]);
    for (compiler, standards, more, file) in [
        ("gcc", ["c99", "c2x"], &plain[..], &c),
        ("clang", ["c99", "c2x"], &plain, &c),
        ("g++", ["c++11", "c++20"], &plain, &cpp),
        ("clang++", ["c++11", "c++20"], &plain, &cpp),
        ("g++", ["c++17", "c++20"], &no_exceptions, &wrapper),
        ("clang++", ["c++17", "c++20"], &no_exceptions, &wrapper),
    ] {
        if !has(compiler) {
            continue;
        }
        for standard in standards {
            for more in more.iter().filter(|more| more.is_empty() || standard == standards[0]) {
                run(Command::new(compiler)
                    .args(["-fsyntax-only", "-pedantic", "-Wall", "-Wextra", "-Werror", &format!("-std={standard}")])
                    .args(Some(more).filter(|more| !more.is_empty()))
                    .arg("-I")
                    .arg(repository::root().join("include"))
                    .arg(file));
            }
        }
        run(&mut Command::new(compile(scratch.path(), compiler, &[&format!("-std={}", standards[0])], &[file])));
    }
}
