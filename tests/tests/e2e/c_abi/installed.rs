//! As a program finds it: installed, by pkg-config and by CMake.

use std::path::{Path, PathBuf};
use std::process::Command;

use rclonepool_tests::{built, repository, scratch};

use super::{has, run, soname};

fn install(directory: &Path) -> PathBuf {
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
fn try_examples(directory: &Path, programs: &Path) {
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

#[test]
#[ignore = "needs cmake: make test-c-full"]
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
