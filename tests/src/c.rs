//! Programs in C and C++ against the library: compiled, run, and as they find it when it is installed.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on stops

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{built, repository, scratch};

/// Whether a program is there to be run; says so loudly where it is not, as then something is not tested.
#[allow(clippy::print_stderr)] // the way a test speaks
pub fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("NOT TESTED: {program} is not installed (scripts/setup c)");
    }
    found
}

/// Runs a command to its end, which must be good; gives back what it printed.
pub fn run(command: &mut Command) -> String {
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
pub fn soname() -> String {
    let (major, minor) = (env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"));
    if major == "0" { format!("librclonepool.so.0.{minor}") } else { format!("librclonepool.so.{major}") }
}

/// Compiles sources, their first warning being an error, and links them with the library.
pub fn compile(directory: &Path, compiler: &str, flags: &[&str], sources: &[&Path]) -> PathBuf {
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

/// A source of a test program.
pub fn source(name: &str) -> PathBuf {
    repository::root().join("ffi/tests/c").join(name)
}

/// Compiles a program of one or more sources and runs it in an empty directory.
pub fn check(compiler: &str, flags: &[&str], sources: &[&str], before: &[&str], after: &[&str]) {
    let scratch = scratch();
    let sources: Vec<PathBuf> = sources.iter().map(|name| source(name)).collect();
    let sources: Vec<_> = sources.iter().map(PathBuf::as_path).collect();
    let program = compile(scratch.path(), compiler, flags, &sources);
    let pool = scratch.path().join("pool");
    std::fs::create_dir(&pool).unwrap();
    let mut words = before.iter().map(Into::into).chain([program]);
    let printed = run(Command::new(words.next().unwrap()).args(words).arg(&pool).args(after));
    assert!(printed.contains(": "), "it came to its end: {printed}");
}

/// Installs the library that was built below a directory, and gives the prefix.
pub fn install(directory: &Path) -> PathBuf {
    built::library(); // Refuses an old one.
    let prefix = directory.join("prefix");
    run(Command::new(repository::root().join("scripts/install"))
        .env("PREFIX", &prefix)
        .env_remove("DESTDIR")
        .env_remove("LIBDIR")
        .env("RCLONEPOOL_BUILT", built::directory()));
    prefix
}

/// A configuration of a pool of two directories, made by the command.
fn pool(directory: &Path) -> PathBuf {
    let remotes = ["one", "two"].map(|name| directory.join(name));
    remotes.iter().for_each(|remote| std::fs::create_dir(remote).unwrap());
    let config = directory.join("config.json");
    let text = serde_json::json!({
        "remotes": remotes, "redundancy_mode": "replication", "manifest_cache_dir": directory.join("cache"),
    });
    std::fs::write(&config, text.to_string()).unwrap();
    run(Command::new(built::rclonepool()).arg("--config").arg(&config).args(["init", "--yes"]));
    config
}

/// The examples do what their first lines say.
pub fn try_examples(directory: &Path, programs: &Path) {
    let config = pool(directory);
    let (tree, video) = (directory.join("tree"), directory.join("tree/video"));
    std::fs::create_dir(&tree).unwrap();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 253) as u8).collect();
    std::fs::write(&video, &bytes).unwrap();
    std::fs::write(tree.join("note"), "a note").unwrap();
    let example = |name: &str| {
        let mut command = Command::new(programs.join(name));
        command.arg(&config);
        command
    };

    let told = run(example("backup").arg(&tree).arg("/backup"));
    assert!(told.contains("uploaded /backup/video, 3000000 bytes\n"), "{told}");
    assert!(told.ends_with("2 files stored, 3000006 bytes; 0 were there\n"), "{told}");
    let again = run(example("backup").arg(&tree).arg("/backup"));
    assert!(again.ends_with("0 files stored, 0 bytes; 2 were there\n"), "{again}");

    let range = example("stream_range").args(["/backup/video", "1000000", "1500000"]).output().unwrap();
    assert!(range.status.success() && range.stdout == bytes[1_000_000..2_500_000], "{}", range.status);
    let missing = example("stream_range").args(["/no", "0", "1"]).output().unwrap();
    assert!(!missing.status.success() && String::from_utf8_lossy(&missing.stderr).contains("no such file"));

    let back = directory.join("back");
    let copied = example("copy_file").arg("pool:/backup/video").arg(&back).output().unwrap();
    let bar = String::from_utf8_lossy(&copied.stderr).into_owned();
    assert!(copied.status.success() && bar.contains("########] 100 %\n3000000 bytes copied"), "{bar}");
    assert!(std::fs::read(&back).unwrap() == bytes);
    run(example("copy_file").arg(&back).arg("pool:/copy"));
}
