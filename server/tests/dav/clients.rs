//! curl, cadaver and davfs2.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::clients::{Mounted, run, run_with, said};
use crate::harness::{CHUNK, content, served};

#[tokio::test(flavor = "multi_thread")]
async fn curl_puts_gets_and_resumes() {
    let served = served().await;
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    let bytes = content(1, 6 * CHUNK as usize + 3);
    fs::write(&from, &bytes).unwrap();
    let curl = async |args: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["-sS", "--fail-with-body", "--noproxy", "*"]).args(args);
        let output = run(command).await;
        assert!(output.status.success(), "curl {args:?}: {}", said(&output));
        output.stdout
    };
    let url = served.url("/f");
    curl(&["-T", from.to_str().unwrap(), &url]).await;
    curl(&[
        "-H",
        "Transfer-Encoding: chunked",
        "-H",
        "Expect: 100-continue",
        "-T",
        from.to_str().unwrap(),
        &served.url("/g"),
    ])
    .await;
    assert!(served.get("/g").await.body == bytes);
    assert_eq!(curl(&["-r", "10-19", &url]).await, bytes[10..20]);
    fs::write(&to, &bytes[..CHUNK as usize + 1]).unwrap();
    curl(&["-C", "-", "-o", to.to_str().unwrap(), &url]).await;
    assert!(fs::read(&to).unwrap() == bytes);
    curl(&["-X", "DELETE", &url]).await;
    assert_eq!(served.names("/"), ["g"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn cadaver_does_what_it_is_told() {
    let served = served().await;
    let directory = tempfile::tempdir().unwrap();
    let bytes = content(1, 300_000);
    fs::write(directory.path().join("from"), &bytes).unwrap();
    let mut command = Command::new("cadaver");
    command.arg(served.url("/")).current_dir(directory.path()).env("HOME", directory.path());
    let script = "mkcol d\ncd d\nput from\nls\nlock from\nput from\nunlock from\npropset from colour red\npropget from colour\n\
                  copy from copy\nmove copy moved\nget moved back\ndelete from\ncd ..\nmkcol e\nrmcol e\nls\nquit\n";
    let output = run_with(command, script).await;
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    assert!(!text.contains("failed") && !text.contains("Failed"), "{text}");
    assert!(text.contains("red"), "{text}");
    assert!(fs::read(directory.path().join("back")).unwrap() == bytes);
    assert_eq!((served.names("/"), served.names("/d")), (vec!["d".to_owned()], vec!["moved".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn davfs2_is_a_file_system() {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let program = Path::new("/usr/sbin/mount.davfs");
    if !is_root || !program.exists() || !Path::new("/dev/fuse").exists() {
        eprintln!("left out: only root mounts with davfs2, where it and /dev/fuse are there");
        return;
    }
    let served = served().await;
    let directory = tempfile::tempdir().unwrap();
    let (at, config) = (directory.path().join("mnt"), directory.path().join("davfs2.conf"));
    let cache = directory.path().join("cache");
    fs::create_dir(&cache).unwrap();
    // It works as a user of its own.
    for (path, mode) in [(directory.path(), 0o755), (&cache, 0o777)] {
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }
    let text = format!("use_locks 1\ndelay_upload 0\nask_auth 0\ncache_dir {}\n", cache.display());
    fs::write(&config, text).unwrap();
    served.put("/before", &content(1, 100_000)).await;
    let mut command = Command::new(program);
    command.arg(served.url("/")).arg(&at).arg("-o").arg(format!("conf={}", config.display()));
    let mounted = Mounted::begin(command, &at).await;
    let work = {
        let at = at.clone();
        move || {
            assert!(fs::read(at.join("before")).unwrap() == content(1, 100_000));
            fs::create_dir(at.join("d")).unwrap();
            fs::write(at.join("d/new"), content(2, 400_000)).unwrap();
            fs::rename(at.join("before"), at.join("d/after")).unwrap();
        }
    };
    tokio::task::spawn_blocking(work).await.unwrap();
    tokio::task::spawn_blocking(move || mounted.end()).await.unwrap();
    assert!(served.get("/d/new").await.body == content(2, 400_000));
    assert!(served.get("/d/after").await.body == content(1, 100_000));
}
