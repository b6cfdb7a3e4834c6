//! The conformance suite over real rclone remotes.

use rclonepool_core::remote::{Rclone, RcloneOptions};
use rclonepool_core::testing::conformance;

use crate::bench::{Home, files_below, free_port};

/// Runs the suite over `label`, and sees that rclone left nothing in its private directory.
async fn conforms(options: RcloneOptions, label: &str) {
    let temp_dir = options.temp_dir.clone().unwrap();
    let rclone = Rclone::start(options).await.unwrap();
    let remote = rclone.remote(label);
    conformance::run_all(&*remote).await;
    let staged: Vec<_> = files_below(&temp_dir).into_iter().filter(|f| !f.ends_with("rc.sock")).collect();
    assert!(staged.is_empty(), "left behind: {staged:?}");
    rclone.close().await;
    assert!(files_below(&temp_dir).is_empty());
}

#[tokio::test]
async fn directory() {
    let home = Home::new();
    conforms(home.options(), "disk:").await;
    assert!(files_below(&home.path("disk")).is_empty());
}

#[tokio::test]
async fn directory_below_a_remote() {
    let home = Home::new();
    conforms(home.options(), "disk:not/there yet").await;
}

#[tokio::test]
async fn crypt() {
    let home = Home::new();
    home.add_crypt("crypt", "disk:enc", "secret");
    conforms(home.options(), "crypt:").await;
}

#[tokio::test]
async fn s3() {
    let home = Home::new();
    let _server = home.serve_s3();
    conforms(home.options(), "s3:bucket/pool").await;
}

#[tokio::test]
async fn crypt_over_s3() {
    let home = Home::new();
    let _server = home.serve_s3();
    home.add_crypt("crypt", "s3:bucket", "secret");
    conforms(home.options(), "crypt:").await;
}

#[tokio::test]
async fn webdav() {
    let home = Home::new();
    let _server = home.serve_webdav();
    conforms(home.options(), "web:").await;
}

#[tokio::test]
async fn crypt_over_webdav() {
    let home = Home::new();
    let _server = home.serve_webdav();
    home.add_crypt("crypt", "web:enc", "secret");
    conforms(home.options(), "crypt:").await;
}

/// Without a configured remote: rclone's memory backend by a connection string.
#[tokio::test]
async fn connection_string() {
    let home = Home::new();
    conforms(home.options(), ":memory:bucket").await;
}

#[tokio::test]
async fn on_a_tcp_port() {
    let home = Home::new();
    let mut options = home.options();
    options.port = Some(free_port());
    conforms(options, "disk:").await;
}

#[tokio::test]
async fn without_memfd() {
    let home = Home::new();
    let mut options = home.options();
    options.memfd = false;
    conforms(options, "disk:").await;
}

#[tokio::test]
async fn without_a_daemon() {
    let home = Home::new();
    let mut options = home.options();
    options.daemon = false;
    conforms(options, "disk:").await;
}

/// Where rclone sees another /proc than we do, as in a container, it is noticed and served otherwise.
#[tokio::test]
async fn where_proc_is_hidden() {
    let home = Home::new();
    let script = home.path("hidden");
    let real = crate::bench::rclone();
    let text = format!(
        "#!/bin/sh\nexec unshare -m sh -c 'mount -t tmpfs none /proc && exec \"$@\"' sh {} \"$@\"\n",
        real.display()
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    if !std::process::Command::new(&script).arg("version").output().is_ok_and(|out| out.status.success()) {
        // Not allowed here; `without_memfd` takes the same way.
        return;
    }
    let mut options = home.options();
    options.binary = script;
    let rclone = Rclone::start(options).await.unwrap();
    let remote = rclone.remote("disk:");
    conformance::file_bodies(&*remote).await;
    conformance::concurrent_puts_and_gets(&*remote).await;
    rclone.close().await;
}
