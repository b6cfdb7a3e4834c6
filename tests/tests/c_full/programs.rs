//! The test programs of ffi/tests/c under sanitizers and valgrind, and made up of arbitrary calls.

use std::process::Command;

use rclonepool_tests::c::{check, compile, has, run, source};
use rclonepool_tests::scratch;

const C: &str = "-std=c99";
const CPP: &[&str] = &["wrapper.cpp", "wrapper_elsewhere.cpp"];

#[test]
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
fn many_arbitrary_calls() {
    for seed in ["2", "3", "4"] {
        check("gcc", &[C, "-DALONE", "-fsanitize=address,undefined"], &["calls.c"], &[], &[seed, "150"]);
    }
}

/// The same, led by what the calls reach on the C side.
#[test]
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
