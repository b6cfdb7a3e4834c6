//! As a program finds it: installed, by pkg-config.

use std::process::Command;

use rclonepool_tests::c::{has, install, run, soname, try_examples};
use rclonepool_tests::{repository, scratch};

#[test]
fn by_pkg_config() {
    if !has("pkg-config") || !has("make") {
        return;
    }
    let scratch = scratch();
    let prefix = install(scratch.path());
    let library = prefix.join("lib").join(soname());
    assert!(library.is_symlink() && library.exists(), "the name the dynamic linker looks for");
    run(Command::new("make")
        .arg("-C")
        .arg(repository::root().join("examples/c"))
        .arg(format!("OUT={}", scratch.path().display()))
        .args(["CFLAGS=-Wall -Wextra -Werror", "CXXFLAGS=-Wall -Wextra -Werror"])
        .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")));
    try_examples(scratch.path(), scratch.path());
    let version = run(Command::new("pkg-config")
        .args(["--modversion", "rclonepool"])
        .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")));
    assert_eq!(version.trim(), env!("CARGO_PKG_VERSION"));
}
