//! rclone as the client, as docs/webdav.md tells users to set it up: `vendor = owncloud`.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rclonepool_core::PoolPath;

use crate::harness::clients::{Mounted, Rclone, said};
use crate::harness::{CHUNK, Served, content, served};

/// Files of all kinds, with times of their own.
fn tree(at: &Path) {
    for (n, (name, size)) in [
        ("empty", 0),
        ("small", 100),
        ("packed one", 9_000),
        ("packed-zwö.txt", 12_000),
        ("deep/er/file", 20_000),
        ("large", 5 * CHUNK as usize + 17),
        ("deep/percent %41 & co", 5),
    ]
    .into_iter()
    .enumerate()
    {
        let file = at.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, content(n as u64, size)).unwrap();
        set_time(&file, 1_500_000_000 + n as u64);
    }
}

fn set_time(file: &Path, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    fs::File::options().write(true).open(file).unwrap().set_modified(time).unwrap();
}

fn commits(served: &Served) -> usize {
    served.world.stores[0].names().iter().filter(|name| name.contains("/commits/")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_copy_transfers_nothing() {
    let served = served().await;
    let rclone = Rclone::new(&served.url(""), "owncloud");
    let local = rclone.local("tree");
    tree(&local);
    let from = local.to_str().unwrap();
    rclone.run(&["copy", from, "p:d"]).await;
    let before = commits(&served);
    let again = rclone.run(&["copy", from, "p:d", "-v"]).await;
    assert!(again.contains("There was nothing to transfer"), "{again}");
    assert_eq!(commits(&served), before);
    let checked = rclone.run(&["check", from, "p:d", "-v"]).await;
    assert!(checked.contains("0 differences found") && checked.contains("7 matching files"), "{checked}");
    assert!(!checked.contains("could not be checked"), "every hash is known: {checked}");
    rclone.run(&["check", "--download", from, "p:d"]).await;
    let listed = rclone.run(&["lsf", "-R", "--files-only", "--format", "pst", "p:d"]).await;
    assert!(listed.contains("large;1310737;2017-07-14 02:40:05"), "{listed}");
    // And back.
    let back = rclone.local("back");
    rclone.run(&["copy", "p:d", back.to_str().unwrap()]).await;
    rclone.run(&["check", "--checksum", from, back.to_str().unwrap()]).await;
    assert_eq!(
        fs::metadata(back.join("large")).unwrap().modified().unwrap(),
        fs::metadata(local.join("large")).unwrap().modified().unwrap()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_moves_touches_and_streams() {
    let served = served().await;
    let rclone = Rclone::new(&served.url(""), "owncloud");
    let local = rclone.local("tree");
    tree(&local);
    let from = local.to_str().unwrap();
    rclone.run(&["sync", from, "p:d"]).await;
    fs::remove_file(local.join("small")).unwrap();
    fs::write(local.join("packed one"), content(99, 10_000)).unwrap();
    fs::write(local.join("new"), b"new").unwrap();
    rclone.run(&["sync", from, "p:d"]).await;
    rclone.run(&["check", from, "p:d"]).await;
    assert_eq!(served.get("/d/small").await.status, 404);

    rclone.run(&["moveto", "p:d/large", "p:d/moved"]).await;
    rclone.run(&["copyto", "p:d/moved", "p:d/copied"]).await;
    rclone.run(&["moveto", "p:d/deep", "p:e"]).await;
    for path in ["/d/moved", "/d/copied"] {
        assert!(served.get(path).await.body == content(5, 5 * CHUNK as usize + 17));
    }
    assert_eq!(served.get("/e/er/file").await.body, content(4, 20_000));

    rclone.run(&["touch", "--timestamp", "2020-02-03T04:05:06", "p:d/moved"]).await;
    let entry = served.pool.entry(&PoolPath::new("/d/moved").unwrap()).unwrap().unwrap();
    assert_eq!(entry.mtime_ns, 1_580_702_706_000_000_000);
    assert!(served.get("/d/moved").await.body == content(5, 5 * CHUNK as usize + 17));

    // A stream, which nobody knows the length of.
    let large = rclone.local("stream");
    fs::write(&large, content(7, 3 << 20)).unwrap();
    let mut command = rclone.command(&["rcat", "p:d/streamed"]);
    command.stdin(fs::File::open(&large).unwrap());
    let streamed = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(streamed.status.success(), "{}", said(&streamed));
    assert!(served.get("/d/streamed").await.body == content(7, 3 << 20));

    let about = rclone.run(&["about", "p:"]).await;
    assert!(about.contains("Used:"), "{about}");
    rclone.run(&["purge", "p:d"]).await;
    assert_eq!(served.names("/"), ["e"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bisync_goes_both_ways() {
    let served = served().await;
    let rclone = Rclone::new(&served.url(""), "owncloud");
    let local = rclone.local("tree");
    tree(&local);
    served.mkcol("/d").await;
    let (from, work) = (local.to_str().unwrap().to_owned(), rclone.local("bisync"));
    let args = |more: &'static str| {
        [
            "bisync".to_owned(),
            from.clone(),
            "p:d".into(),
            "--workdir".into(),
            work.to_str().unwrap().into(),
            more.into(),
        ]
    };
    let run = async |more: &'static str| {
        let args = args(more);
        rclone.run(&args.iter().map(String::as_str).collect::<Vec<_>>()).await
    };
    run("--resync").await;
    fs::write(local.join("here"), b"from here").unwrap();
    served.put("/d/there", b"from there").await;
    fs::remove_file(local.join("small")).unwrap();
    run("-v").await;
    assert_eq!(served.get("/d/here").await.body, b"from here");
    assert_eq!(fs::read(local.join("there")).unwrap(), b"from there");
    assert_eq!(served.get("/d/small").await.status, 404);
    rclone.run(&["check", &from, "p:d"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_overwrite_keeps_the_old_version() {
    let served = served().await;
    let rclone = Rclone::new(&served.url(""), "owncloud");
    let old = content(1, 50_000);
    served.put("/f", &old).await;
    let new = rclone.local("f");
    fs::write(&new, content(2, 60_000)).unwrap();
    for faults in &served.world.faults {
        faults.set_full(true);
    }
    let failed = rclone.try_run(&["copyto", new.to_str().unwrap(), "p:f"]).await;
    assert!(!failed.status.success(), "{}", said(&failed));
    for faults in &served.world.faults {
        faults.set_full(false);
    }
    assert!(served.get("/f").await.body == old, "{}", said(&failed));
    // A remote that was full is left alone for a while.
    served.world.pass(Duration::from_secs(3600));
    rclone.run(&["copyto", new.to_str().unwrap(), "p:f"]).await;
    assert!(served.get("/f").await.body == content(2, 60_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_keeps_contents_and_times() {
    if !Path::new("/dev/fuse").exists() {
        eprintln!("left out: without /dev/fuse nothing can be mounted");
        return;
    }
    let served = served().await;
    let rclone = Rclone::new(&served.url(""), "owncloud");
    served.put("/before", &content(1, 3 * CHUNK as usize)).await;
    let at = rclone.local("mnt");
    let command =
        rclone.command(&["mount", "p:", at.to_str().unwrap(), "--vfs-cache-mode", "full", "--vfs-write-back", "100ms"]);
    let mounted = Mounted::begin(command, &at).await;
    let work = {
        let at = at.clone();
        move || {
            assert!(fs::read(at.join("before")).unwrap() == content(1, 3 * CHUNK as usize));
            fs::create_dir(at.join("d")).unwrap();
            fs::write(at.join("d/new"), content(2, 700_000)).unwrap();
            set_time(&at.join("d/new"), 1_400_000_000);
            fs::rename(at.join("before"), at.join("d/after")).unwrap();
            let mut names: Vec<_> = fs::read_dir(at.join("d")).unwrap().map(|e| e.unwrap().file_name()).collect();
            names.sort();
            assert_eq!(names, ["after", "new"]);
        }
    };
    tokio::task::spawn_blocking(work).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    tokio::task::spawn_blocking(move || mounted.end()).await.unwrap();
    assert_eq!(served.names("/"), ["d"]);
    assert!(served.get("/d/new").await.body == content(2, 700_000));
    assert!(served.get("/d/after").await.body == content(1, 3 * CHUNK as usize));
    let entry = served.pool.entry(&PoolPath::new("/d/new").unwrap()).unwrap().unwrap();
    assert_eq!(entry.mtime_ns / 1_000_000_000, 1_400_000_000);
}
