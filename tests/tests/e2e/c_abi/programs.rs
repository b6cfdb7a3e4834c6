//! The test programs of ffi/tests/c: plain, under sanitizers, under valgrind, and made up of arbitrary calls.

use std::path::PathBuf;
use std::process::Command;

use rclonepool_tests::{built, repository, scratch};

use super::{compile, has, run};

fn source(name: &str) -> PathBuf {
    repository::root().join("ffi/tests/c").join(name)
}

/// Compiles a program of one or more sources and runs it in an empty directory.
fn check(compiler: &str, flags: &[&str], sources: &[&str], before: &[&str], after: &[&str]) {
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

const C: &str = "-std=c99";
const CPP: &[&str] = &["wrapper.cpp", "wrapper_elsewhere.cpp"];

#[test]
fn files() {
    check("gcc", &[C], &["files.c"], &[], &[]);
}

#[test]
fn operations() {
    check("gcc", &[C], &["ops.c"], &[], &[]);
}

#[test]
fn misuse() {
    check("gcc", &[C], &["misuse.c"], &[], &[]);
}

#[test]
fn cpp() {
    check("g++", &["-std=c++17"], CPP, &[], &[]);
}

/// A few arbitrary sequences of calls, under the sanitizers.
#[test]
fn arbitrary_calls() {
    check("gcc", &[C, "-DALONE", "-fsanitize=address,undefined"], &["calls.c"], &[], &["1", "12"]);
}

#[test]
fn loaded_and_unloaded_again_and_again() {
    let scratch = scratch();
    // It must not be linked with the library: `compile` links what it is given, and as needed only what is used.
    let program = compile(
        scratch.path(),
        "gcc",
        &["-std=gnu99", "-Wno-pedantic", "-Wl,--as-needed", "-ldl"],
        &[&source("unload.c")],
    );
    let pool = scratch.path().join("pool");
    for remote in ["", "a", "b", "c"] {
        std::fs::create_dir(pool.join(remote)).unwrap();
    }
    run(Command::new(program).arg(built::library()).arg(&pool));
}

#[test]
#[ignore = "slow: make test-c-full"]
fn sanitized() {
    let flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    for (c, cpp) in [("gcc", "g++"), ("clang", "clang++")] {
        if !has(c) {
            continue;
        }
        for name in ["files.c", "ops.c", "misuse.c"] {
            check(c, &[&[C], &flags[..]].concat(), &[name], &[], &[]);
        }
        for standard in [&["-std=c++17"][..], &["-std=c++20", "-fno-exceptions"]] {
            check(cpp, &[standard, &flags[..]].concat(), CPP, &[], &[]);
        }
    }
}

/// Data races between what C does on several threads, as far as they go through the C side.
#[test]
#[ignore = "slow: make test-c-full"]
fn under_valgrind() {
    if !has("valgrind") {
        return;
    }
    // Blocks that statics and the threads' own caches still hold at the end are reachable, and no leak.
    let valgrind =
        ["valgrind", "--quiet", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite"];
    check("gcc", &[C], &["misuse.c"], &valgrind, &[]);
    check("gcc", &[C], &["files.c"], &valgrind, &[]);
    check("gcc", &[C], &["ops.c"], &valgrind, &["valgrind"]);
    check("g++", &["-std=c++17"], CPP, &valgrind, &[]);
}

#[test]
#[ignore = "slow: make test-c-full"]
fn many_arbitrary_calls() {
    for seed in ["2", "3", "4"] {
        check("gcc", &[C, "-DALONE", "-fsanitize=address,undefined"], &["calls.c"], &[], &[seed, "150"]);
    }
}

/// The same, led by what the calls reach on the C side.
#[test]
#[ignore = "slow: make test-c-full"]
fn fuzzed() {
    if !has("clang") {
        return;
    }
    let scratch = scratch();
    let flags = [C, "-O1", "-fsanitize=fuzzer,address,undefined"];
    let program = compile(scratch.path(), "clang", &flags, &[&source("calls.c")]);
    let pool = scratch.path().join("pool");
    std::fs::create_dir(&pool).unwrap();
    let seconds = std::env::var("RCLONEPOOL_FUZZ_SECONDS").unwrap_or_else(|_| "60".into());
    run(Command::new(program)
        .env("CALLS_DIRECTORY", &pool)
        .arg(format!("-max_total_time={seconds}"))
        .args(["-max_len=512", "-timeout=120", "-rss_limit_mb=4096"])
        .current_dir(scratch.path()));
}
