//! rclone's own configuration, through us.

use std::io::Write;
use std::process::{Command, Stdio};

use rclonepool_core::ErrorKind;
use rclonepool_core::remote::Rclone;
use rclonepool_core::testing::conformance::{content, read};

use crate::bench::{Home, files_below, rclone};

#[tokio::test]
async fn remotes_are_listed_shown_and_made() {
    for daemon in [true, false] {
        let home = Home::new();
        let mut options = home.options();
        options.daemon = daemon;
        let rclone = Rclone::start(options).await.unwrap();
        assert_eq!(rclone.list_remotes().await.unwrap(), ["disk"]);
        let disk = rclone.remote_config("disk").await.unwrap().unwrap();
        assert_eq!((disk.kind(), disk.option("remote")), ("alias", home.path("disk").to_str()));
        assert_eq!(rclone.remote_config("none").await.unwrap(), None);

        rclone.create_crypt("crypt-disk", "disk:enc", "pass wörd", Some("salt")).await.unwrap();
        assert_eq!(rclone.list_remotes().await.unwrap(), ["crypt-disk", "disk"]);
        let made = rclone.remote_config("crypt-disk").await.unwrap().unwrap();
        assert_eq!((made.kind(), made.option("remote")), ("crypt", Some("disk:enc")));
        let obscured = made.option("password").unwrap();
        assert!(!obscured.contains("pass") && !format!("{made:?}").contains(obscured), "{made:?}");
        assert_eq!(made.options().count(), 4);

        // It works, and what lies below is encrypted.
        let remote = rclone.remote("crypt-disk:");
        remote.put("d/a", &content(1, 100).into()).await.unwrap();
        assert_eq!(read(&*remote, "d/a", None).await.unwrap(), content(1, 100));
        let stored = files_below(&home.path("disk/enc")).pop().unwrap();
        assert_eq!(std::fs::metadata(&stored).unwrap().len(), 100 + 48);
        assert_ne!(stored.file_name().unwrap(), "a");

        // Trap: rclone would change a remote that is there already.
        let error = rclone.create_crypt("crypt-disk", "disk:other", "x", None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error:?}");
        assert_eq!(rclone.remote_config("crypt-disk").await.unwrap().unwrap(), made);
        let error = rclone.create_crypt("empty", "disk:other", "", None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        // Trap: rclone's errors repeat what was sent.
        for (name, kind) in [("bad:name", "crypt"), ("odd", "no-such-backend")] {
            let error = rclone.create_remote(name, kind, &[("password", "hush")]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
            assert!(!format!("{error:?}").contains("hush"), "{error:?}");
        }
        assert_eq!(rclone.list_remotes().await.unwrap(), ["crypt-disk", "disk"]);
        assert_eq!(rclone.pid().await.is_some(), daemon, "only for as long as it takes");
        rclone.close().await;
    }
}

/// Trap: rclone starts well, and fails when it first needs a configuration that it cannot decrypt.
#[tokio::test]
async fn an_encrypted_configuration_needs_its_password() {
    let home = Home::new();
    let mut command = Command::new(rclone());
    command.args(["config", "encryption", "set", "--config"]).arg(home.path("rclone.conf"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"hush\nhush\n").unwrap();
    assert!(child.wait().unwrap().success());
    for daemon in [true, false] {
        for (password, fine) in [(None, false), (Some("wrong"), false), (Some("hush"), true)] {
            let mut options = home.options();
            options.daemon = daemon;
            options.inherit_env.extend(password.map(|p| ("RCLONE_CONFIG_PASS".into(), p.into())));
            let seen = match Rclone::start(options).await {
                Ok(rclone) => {
                    let seen = rclone.remote("disk:").stat("a").await;
                    rclone.close().await;
                    seen
                }
                Err(error) => Err(error),
            };
            match seen {
                Ok(found) => assert!(fine && found.is_none()),
                Err(error) => {
                    assert!(!fine && error.kind() == ErrorKind::Config, "{error:?}");
                    assert!(error.to_string().contains("RCLONE_CONFIG_PASS"), "{error}");
                }
            }
        }
    }
}
