//! The test programs of ffi/tests/c, as they are.

use std::process::Command;

use rclonepool_tests::c::{check, compile, run, source};
use rclonepool_tests::{built, scratch};

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
