//! Where rclone's answers mislead, and what we make of them. Each test names its trap.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use futures_util::TryStreamExt;
use futures_util::future::join_all;
use rclonepool_core::remote::{Rclone, Usage};
use rclonepool_core::testing::conformance::{content, listed, read};
use rclonepool_core::{Error, ErrorKind};

use crate::bench::{FakeDav, Home, files_below, free_port, rclone};

/// Trap: the object server answers `404 Not Found` whatever kept it from opening an object.
/// Here: the header of an encrypted file is destroyed, so it can be neither opened nor is it absent.
#[tokio::test]
async fn what_cannot_be_opened_is_not_absent() {
    let home = Home::new();
    home.add_crypt("crypt", "disk:enc", "secret");
    let rclone = Rclone::start(home.options()).await.unwrap();
    let remote = rclone.remote("crypt:");
    remote.put("d/a", &content(1, 1000).into()).await.unwrap();
    let file = files_below(&home.path("disk")).pop().unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[0] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    for range in [None, Some(0..10)] {
        let error = read(&*remote, "d/a", range).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
        assert!(error.to_string().contains("bad magic"), "{error}");
    }
    assert_eq!(remote.stat("d/a").await.unwrap(), Some(1000));
    assert!(files_below(&home.path("tmp")).iter().all(|f| f.ends_with("rc.sock")));
    rclone.close().await;
}

/// Trap: a failure in the middle of an object is only a body that ends early. What fails twice at
/// the same place is corrupt, not a connection that breaks now and then.
#[tokio::test]
async fn damage_in_the_middle_is_told_from_a_broken_connection() {
    let home = Home::new();
    home.add_crypt("crypt", "disk:enc", "secret");
    for daemon in [true, false] {
        let mut options = home.options();
        options.daemon = daemon;
        let rclone = Rclone::start(options).await.unwrap();
        let remote = rclone.remote("crypt:");
        let bytes = content(1, 300_000);
        remote.put("d/a", &bytes.clone().into()).await.unwrap();
        let file = files_below(&home.path("disk")).pop().unwrap();
        let mut stored = std::fs::read(&file).unwrap();
        // Blocks of 64 KiB and 16 bytes, after a header of 32: this one is in the third.
        stored[32 + 2 * 65_552 + 5000] ^= 1;
        std::fs::write(&file, stored).unwrap();
        assert_eq!(read(&*remote, "d/a", Some(0..131_072)).await.unwrap(), bytes[..131_072]);
        assert_eq!(read(&*remote, "d/a", Some(196_608..300_000)).await.unwrap(), bytes[196_608..]);
        for range in [None, Some(100_000..250_000), Some(140_000..141_000)] {
            let error = read(&*remote, "d/a", range.clone()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{range:?}: {error:?}");
        }
        let mut stream = remote.get("d/a", None).await.unwrap();
        let mut good = 0;
        while let Ok(Some(piece)) = stream.try_next().await {
            assert_eq!(piece, bytes[good..good + piece.len()]);
            good += piece.len();
        }
        assert!(good <= 131_072, "{good}");
        remote.delete("d/a").await.unwrap();
        rclone.close().await;
    }
}

/// Trap: where neither time nor hash can tell, an object of the same size counts as the same, and
/// the put answers well without having stored anything.
#[tokio::test]
async fn the_same_size_is_not_the_same_object() {
    let home = Home::new();
    let _server = home.serve_webdav();
    let rclone = Rclone::start(home.options()).await.unwrap();
    let remote = rclone.remote("web:");
    for seed in 1..4 {
        remote.put("d/a", &content(seed, 1000).into()).await.unwrap();
        assert_eq!(read(&*remote, "d/a", None).await.unwrap(), content(seed, 1000));
    }
    rclone.close().await;
}

/// Trap: with a wrong password a crypt remote looks empty.
#[tokio::test]
async fn a_wrong_password_is_no_empty_remote() {
    let home = Home::new();
    home.add_crypt("crypt", "disk:enc", "secret");
    home.add_crypt("wrong", "disk:enc", "another");
    let rclone = Rclone::start(home.options()).await.unwrap();
    rclone.remote("crypt:").put("d/a", &content(1, 10).into()).await.unwrap();
    let error = listed(&*rclone.remote("wrong:"), "").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error:?}");
    rclone.close().await;
}

/// Trap: a directory that cannot be read is left out of a listing that answers well; and a stat
/// that asks for directories too calls what it may not see absent.
#[tokio::test]
async fn what_may_not_be_read_is_an_error_everywhere() {
    let home = Home::new();
    let mut options = home.options();
    if rustix::process::geteuid().is_root() {
        // Root may read everything, so rclone runs as somebody else. He cannot reach our socket.
        let script = home.path("nobody");
        let text = format!("#!/bin/sh\nexec setpriv --reuid 65534 --clear-groups {} \"$@\"\n", rclone().display());
        std::fs::write(&script, text).unwrap();
        for path in [home.path(""), home.path("disk"), script.clone(), home.path("rclone.conf")] {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        options.binary = script;
        options.port = Some(free_port());
    }
    std::fs::create_dir_all(home.path("disk/d/locked")).unwrap();
    std::fs::write(home.path("disk/d/locked/a"), "x").unwrap();
    std::fs::write(home.path("disk/d/b"), "x").unwrap();
    std::fs::write(home.path("disk/d/unreadable"), "x").unwrap();
    std::fs::set_permissions(home.path("disk/d/unreadable"), PermissionsExt::from_mode(0o000)).unwrap();
    std::fs::set_permissions(home.path("disk/d/locked"), PermissionsExt::from_mode(0o000)).unwrap();
    std::fs::set_permissions(home.path("disk/d"), PermissionsExt::from_mode(0o555)).unwrap();

    let rclone = Rclone::start(options).await.unwrap();
    let remote = rclone.remote("disk:");
    let is_auth = |what: &str, error: Error| assert_eq!(error.kind(), ErrorKind::Auth, "{what}: {error:?}");
    is_auth("list", listed(&*remote, "d").await.unwrap_err());
    is_auth("list", listed(&*remote, "d/locked").await.unwrap_err());
    is_auth("stat", remote.stat("d/locked/a").await.unwrap_err());
    is_auth("get", read(&*remote, "d/unreadable", None).await.unwrap_err());
    is_auth("get", read(&*remote, "d/locked/a", None).await.unwrap_err());
    is_auth("delete", remote.delete("d/locked/a").await.unwrap_err());
    if !rustix::process::geteuid().is_root() {
        is_auth("put", remote.put("d/new", &content(1, 10).into()).await.unwrap_err());
    }
    assert_eq!(remote.stat("d/b").await.unwrap(), Some(1));
    rclone.close().await;
    for path in ["disk/d", "disk/d/locked"] {
        std::fs::set_permissions(home.path(path), PermissionsExt::from_mode(0o755)).unwrap();
    }
}

/// Trap: half of the backends do not tell their usage, and say so by an error.
#[tokio::test]
async fn usage_not_told_is_no_error() {
    let home = Home::new();
    let _server = home.serve_s3();
    let rclone = Rclone::start(home.options()).await.unwrap();
    assert_eq!(rclone.remote("s3:bucket").usage().await.unwrap(), Usage::default());
    rclone.close().await;
}

#[tokio::test]
async fn remotes_that_do_not_work_say_why() {
    let home = Home::new();
    let server = home.serve_s3();
    let endpoint = format!("http://{}", server.address);
    let wrong = [
        ("type", "s3"),
        ("provider", "Rclone"),
        ("endpoint", &endpoint),
        ("access_key_id", "AKIDEXAMPLE"),
        ("secret_access_key", "WRONG"),
    ];
    home.add("wrong", &wrong);
    home.add("odd", &[("type", "no-such-backend")]);
    for daemon in [true, false] {
        let mut options = home.options();
        options.daemon = daemon;
        let rclone = Rclone::start(options).await.unwrap();
        for (label, kind, says) in [
            ("nosuch:", ErrorKind::Config, "rclone config"),
            ("odd:", ErrorKind::Config, "no-such-backend"),
            ("wrong:bucket", ErrorKind::Auth, "rclone config reconnect"),
            ("s3:nobucket", ErrorKind::Config, "bucket"),
        ] {
            let remote = rclone.remote(label);
            let error = remote.put("d/a", &content(1, 10).into()).await.unwrap_err();
            assert_eq!((error.kind(), error.remote()), (kind, Some(label)), "{error:?}");
            assert!(error.to_string().contains(says), "{error}");
        }
        rclone.close().await;
    }
    // Trap: rclone's object server takes the first "]" for the end of the remote's name.
    let rclone = Rclone::start(home.options()).await.unwrap();
    let error = rclone.remote("disk:a]b").stat("x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);

    // Nobody listens any more: an unreachable remote is never an empty one.
    drop(server);
    home.add("dead", &[("type", "webdav"), ("url", &endpoint), ("vendor", "other"), ("pacer_min_sleep", "1ms")]);
    let remote = rclone.remote("dead:");
    for error in [
        remote.stat("a").await.unwrap_err(),
        listed(&*remote, "a").await.unwrap_err(),
        read(&*remote, "a", None).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    }
    rclone.close().await;
}

/// What a cloud answers to a put comes through as what it means; its status stands only in the text.
#[tokio::test]
async fn answers_of_a_cloud() {
    let home = Home::new();
    let cloud = FakeDav::start();
    home.add("cloud", &[("type", "webdav"), ("url", &cloud.url()), ("vendor", "other"), ("pacer_min_sleep", "1ms")]);
    let rclone = Rclone::start(home.options()).await.unwrap();
    let remote = rclone.remote("cloud:");
    for (status, kind) in [
        ("507 Insufficient Storage", ErrorKind::Full),
        ("413 Request Entity Too Large", ErrorKind::Unsupported),
        ("403 Forbidden", ErrorKind::Auth),
        ("401 Unauthorized", ErrorKind::Auth),
        ("429 Too Many Requests", ErrorKind::RateLimited),
    ] {
        cloud.answer_puts(status);
        let error = remote.put("d/a", &content(1, 1000).into()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}: {error:?}");
        let error = remote.stat("d/a").await.map(|found| assert_eq!(found, None, "{status}"));
        error.unwrap();
    }
    // Trap: a server that says "created" and kept less. rclone, or our own look, notices.
    cloud.answer_puts("201 Created");
    cloud.keep_at_most(500);
    let error = remote.put("d/short", &content(1, 1000).into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert_eq!(remote.stat("d/short").await.unwrap(), None, "what is truncated does not keep the name");
    remote.put("d/small", &content(1, 500).into()).await.unwrap();
    assert_eq!(remote.stat("d/small").await.unwrap(), Some(500));
    rclone.close().await;
}

/// Trap: a put whose caller went away is not over in rclone by itself.
#[tokio::test]
async fn a_dropped_put_is_cancelled() {
    let home = Home::new();
    let mut options = home.options();
    options.flags = vec!["--bwlimit".into(), "2M".into()];
    let rclone = Rclone::start(options).await.unwrap();
    let remote = rclone.remote("disk:");
    let body = content(1, 16 << 20).into();
    let put = remote.put("d/a", &body);
    assert!(tokio::time::timeout(Duration::from_millis(700), put).await.is_err());
    for _ in 0..200 {
        if files_below(&home.path("disk")).is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(files_below(&home.path("disk")).is_empty());
    rclone.close().await;
}

/// Trap: groups of statistics, by which a listing is checked, are forgotten when there are many.
#[tokio::test]
async fn many_listings_at_once() {
    let home = Home::new();
    let rclone = Rclone::start(home.options()).await.unwrap();
    let remote = rclone.remote("disk:");
    for i in 0..5 {
        remote.put(&format!("d/{i}"), &content(1, i).into()).await.unwrap();
    }
    for found in join_all((0..64).map(|_| listed(&*remote, "d"))).await {
        assert_eq!(found.unwrap().len(), 5);
    }
    rclone.close().await;
}
