//! The C ABI from the outside: the committed header, the exported symbols, programs in C and C++.
//!
//! What is ignored here takes long, or needs more tools: `make test-c-full` runs it, too.
#![cfg(target_os = "linux")]

mod baseline;
mod documents;
mod installed;
mod programs;

use std::path::{Path, PathBuf};
use std::process::Command;

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

/// Whether a program is there to be run; says so loudly where it is not, as then something is not tested.
#[allow(clippy::print_stderr)] // the way a test speaks
fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("NOT TESTED: {program} is not installed (scripts/setup c)");
    }
    found
}

/// Runs a command to its end, which must be good; gives back what it printed.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// The name by which the dynamic linker looks for the library, as ffi/build.rs makes it.
fn soname() -> String {
    let (major, minor) = (env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"));
    if major == "0" { format!("librclonepool.so.0.{minor}") } else { format!("librclonepool.so.{major}") }
}

/// Compiles sources, their first warning being an error, and links them with the library.
fn compile(directory: &Path, compiler: &str, flags: &[&str], sources: &[&Path]) -> PathBuf {
    let (library, program) = (built::library(), directory.join("program"));
    let linked = directory.join(soname());
    if !linked.exists() {
        std::os::unix::fs::symlink(&library, &linked).unwrap();
    }
    run(Command::new(compiler)
        .args(flags)
        .args(["-g", "-pthread", "-pedantic", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(repository::root().join("include"))
        .args(sources)
        .arg(&library)
        .arg(format!("-Wl,-rpath,{}", directory.display()))
        .arg("-o")
        .arg(&program));
    program
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
    for (compiler, standards, file) in [
        ("gcc", ["c99", "c11", "c2x"], &c),
        ("clang", ["c99", "c11", "c2x"], &c),
        ("g++", ["c++11", "c++14", "c++20"], &cpp),
        ("clang++", ["c++11", "c++14", "c++20"], &cpp),
        ("g++", ["c++17", "c++20", "c++23"], &wrapper),
        ("clang++", ["c++17", "c++20", "c++2b"], &wrapper),
    ] {
        if !has(compiler) {
            continue;
        }
        for standard in standards {
            for more in [&[][..], &["-fno-exceptions"]].iter().take(if file == &wrapper { 2 } else { 1 }) {
                run(Command::new(compiler)
                    .args(["-fsyntax-only", "-pedantic", "-Wall", "-Wextra", "-Werror", &format!("-std={standard}")])
                    .args(*more)
                    .arg("-I")
                    .arg(repository::root().join("include"))
                    .arg(file));
            }
        }
        run(&mut Command::new(compile(scratch.path(), compiler, &[&format!("-std={}", standards[0])], &[file])));
    }
}
