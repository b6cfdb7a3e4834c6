//! The C ABI from the outside: the committed header, the exported symbols, a C program.

use std::path::Path;
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
        "\n/* The version of this header; rclonepool_version_number() gives that of the library. */\n\
         #define RCLONEPOOL_VERSION_MAJOR {major}\n\
         #define RCLONEPOOL_VERSION_MINOR {minor}\n\
         #define RCLONEPOOL_VERSION_PATCH {patch}\n\
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
#[cfg(target_os = "linux")]
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

fn compile(compiler: &str, flags: &[&str], source: &Path, program: &Path) {
    let library = built::library();
    let output = Command::new(compiler)
        .args(flags)
        .args(["-pedantic", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(repository::root().join("include"))
        .arg(source)
        .arg(&library)
        .arg(format!("-Wl,-rpath,{}", library.parent().unwrap().display()))
        .arg("-o")
        .arg(program)
        .output()
        .unwrap_or_else(|e| panic!("cannot run {compiler}: {e}"));
    assert!(output.status.success(), "{compiler}: {}", String::from_utf8_lossy(&output.stderr));
}

#[cfg(unix)]
#[test]
fn c_example_compiles_without_a_warning_and_runs() {
    let scratch = scratch();
    let program = scratch.path().join("version");
    compile("gcc", &["-std=c99"], &repository::root().join("examples/c/version.c"), &program);

    let output = Command::new(&program).args(["/movies/x.mkv", "/a/../b"]).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(text(&output.stdout), format!("rclonepool {}\n/movies/x.mkv\n", env!("CARGO_PKG_VERSION")));
    let complaint = text(&output.stderr);
    assert!(complaint.starts_with("-4: ") && complaint.contains("\"..\""), "{complaint}");
    assert_eq!(output.status.code(), Some(1));
}

#[cfg(unix)]
#[test]
fn header_suits_other_standards_and_cpp() {
    let scratch = scratch();
    let source = "#include <rclonepool.h>\n#include <rclonepool.h>\n\
                  int main(void) { return rclonepool_path_check(\"/a\", 0) == RCLONEPOOL_STATUS_OK ? 0 : 1; }\n";
    for (compiler, file, standard) in [
        ("gcc", "a.c", "-std=c99"),
        ("gcc", "a.c", "-std=c11"),
        ("g++", "a.cpp", "-std=c++11"),
        ("g++", "a.cpp", "-std=c++17"),
    ] {
        let file = scratch.path().join(file);
        std::fs::write(&file, source).unwrap();
        let program = scratch.path().join("program");
        compile(compiler, &[standard], &file, &program);
        assert!(Command::new(&program).status().unwrap().success(), "{compiler} {standard}");
    }
}
