//! As a program finds it by CMake, and a reader by Doxygen.

use std::process::Command;

use rclonepool_tests::c::{has, install, run, try_examples};
use rclonepool_tests::{repository, scratch};

#[test]
fn by_cmake() {
    if !has("cmake") {
        return;
    }
    let scratch = scratch();
    let (prefix, build) = (install(scratch.path()), scratch.path().join("build"));
    run(Command::new("cmake")
        .arg("-S")
        .arg(repository::root().join("examples"))
        .arg("-B")
        .arg(&build)
        .arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display())));
    run(Command::new("cmake").arg("--build").arg(&build));
    try_examples(scratch.path(), &build);
    let version = run(Command::new(build.join("version_static")).arg("/a"));
    assert_eq!(version, format!("rclonepool {}\n/a\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn reference_builds_without_a_warning() {
    if !has("doxygen") {
        return;
    }
    let scratch = scratch();
    run(Command::new("doxygen")
        .arg("docs/Doxyfile")
        .env("RCLONEPOOL_REFERENCE", scratch.path())
        .current_dir(repository::root()));
    let page = |name: &str| scratch.path().join("html").join(name).exists();
    assert!(page("rclonepool_8h.html") && page("rclonepool_8hpp.html"));
}
