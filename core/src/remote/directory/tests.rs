use std::fs::OpenOptions;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::scratch::Scratch;

async fn names(remote: &DirectoryRemote, dir: &str) -> Result<Vec<String>> {
    let mut names: Vec<String> = remote.list(dir).await?.map_ok(|m| m.name).try_collect().await?;
    names.sort();
    Ok(names)
}

async fn read(remote: &DirectoryRemote, name: &str, range: Option<Range<u64>>) -> Result<Vec<u8>> {
    remote
        .get(name, range)
        .await?
        .try_fold(vec![], |mut all, piece| async move {
            all.extend(piece);
            Ok(all)
        })
        .await
}

#[tokio::test]
async fn a_missing_root_is_unavailable_not_empty() {
    let dir = tempfile::tempdir().unwrap();
    let remote = DirectoryRemote::new(dir.path().join("disk"));
    let body = Body::from(vec![1]);
    let kinds = [
        remote.put("a/b", &body).await.unwrap_err(),
        remote.get("a/b", None).await.err().unwrap(),
        remote.stat("a/b").await.unwrap_err(),
        remote.delete("a/b").await.unwrap_err(),
        names(&remote, "a").await.unwrap_err(),
        names(&remote, "").await.unwrap_err(),
        remote.usage().await.unwrap_err(),
    ];
    for error in kinds {
        assert_eq!((error.kind(), error.remote()), (ErrorKind::Unavailable, Some(remote.label())), "{error}");
        assert!(error.to_string().contains("mounted"), "{error}");
    }
    assert!(!dir.path().join("disk").exists());
    std::fs::write(dir.path().join("disk"), "").unwrap();
    assert_eq!(remote.stat("a").await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_root_exchanged_in_mid_listing_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk");
    std::fs::create_dir_all(disk.join("a/b")).unwrap();
    let remote = DirectoryRemote::new(&disk);
    remote.put("a/one", &vec![1].into()).await.unwrap();
    remote.put("a/b/two", &vec![2].into()).await.unwrap();
    let mut listing = remote.list("a").await.unwrap();
    assert_eq!(listing.try_next().await.unwrap().unwrap().name, "a/one");
    std::fs::rename(&disk, dir.path().join("gone")).unwrap();
    std::fs::create_dir(&disk).unwrap();
    let end = loop {
        match listing.try_next().await {
            Ok(Some(_)) => {}
            end => break end,
        }
    };
    assert_eq!(end.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn links_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
    std::fs::create_dir_all(&root).unwrap();
    std::fs::create_dir_all(outside.join("sub")).unwrap();
    std::fs::write(outside.join("secret"), "s").unwrap();
    symlink(&outside, root.join("link")).unwrap();
    symlink(outside.join("secret"), root.join("file")).unwrap();
    let remote = DirectoryRemote::new(&root);
    for name in ["link/secret", "link/sub/x", "file"] {
        assert_eq!(remote.stat(name).await.unwrap_err().kind(), ErrorKind::Io, "{name}");
        assert!(remote.get(name, None).await.is_err());
        assert!(remote.delete(name).await.is_err());
    }
    assert!(remote.put("link/new", &vec![1].into()).await.is_err());
    assert!(remote.put("link/sub/new", &vec![1].into()).await.is_err());
    assert!(names(&remote, "link").await.is_err() && names(&remote, "link/sub").await.is_err());
    assert_eq!(names(&remote, "").await.unwrap(), [""; 0]);
    // A put replaces a link by the object and leaves its target alone.
    remote.put("file", &vec![1].into()).await.unwrap();
    assert_eq!(read(&remote, "file", None).await.unwrap(), [1]);
    assert_eq!(std::fs::read(outside.join("secret")).unwrap(), b"s");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 2);

    // The root itself may be a link.
    symlink(&root, dir.path().join("alias")).unwrap();
    assert_eq!(DirectoryRemote::new(dir.path().join("alias")).stat("file").await.unwrap(), Some(1));
}

#[tokio::test]
async fn foreign_files_are_not_listed_and_unfinished_ones_can_be_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let remote = DirectoryRemote::new(dir.path());
    remote.put("d/a", &vec![1, 2].into()).await.unwrap();
    for name in ["d/1.partial", "d/with space", "d/é"] {
        std::fs::write(dir.path().join(name), "x").unwrap();
    }
    std::fs::create_dir(dir.path().join("d/odd name")).unwrap();
    std::fs::write(dir.path().join("d/odd name/x"), "x").unwrap();
    let found: Vec<_> = remote.list("").await.unwrap().try_collect().await.unwrap();
    let unfinished = ObjectMeta { name: "d/1.partial".into(), size: 1 };
    assert_eq!(found.len(), 2);
    assert!(found.contains(&ObjectMeta { name: "d/a".into(), size: 2 }) && found.contains(&unfinished));
    remote.delete("d/1.partial").await.unwrap();
    assert!(!dir.path().join("d/1.partial").exists());
    for verb in [remote.stat("d/1.partial").await.err(), remote.put("d/1.partial", &vec![1].into()).await.err()] {
        assert_eq!(verb.unwrap().kind(), ErrorKind::InvalidArgument);
    }
    // A directory, and a file where a directory is needed, are no objects.
    assert_eq!(remote.stat("d").await.unwrap(), None);
    assert_eq!(remote.stat("d/a/b").await.unwrap(), None);
    assert_eq!(remote.get("d", None).await.err().unwrap().kind(), ErrorKind::NotFound);
    remote.delete("d").await.unwrap();
    remote.delete("d/a/b").await.unwrap();
    assert_eq!(names(&remote, "d/a").await.unwrap(), [""; 0]);
    assert!(remote.put("d/a/b", &vec![1].into()).await.is_err());
}

#[tokio::test]
async fn a_failed_put_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let remote = DirectoryRemote::new(dir.path());
    // A body that is shorter than it says.
    let mut short = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut short, &[0; 1000]).unwrap();
    let body = Body::File { file: Arc::new(short), size: 2000 };
    assert_eq!(remote.put("d/a", &body).await.unwrap_err().kind(), ErrorKind::SourceChanged);
    assert_eq!(std::fs::read_dir(dir.path().join("d")).unwrap().count(), 0);

    let tree = Arc::clone(&remote.tree);
    let error = tree.put("d/b", &vec![1; 100].into(), &AtomicBool::new(true)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let mut file = Scratch::default().create().unwrap();
    file.write(&[1; 100]).unwrap();
    let error = tree.put("d/b", &file.seal().unwrap(), &AtomicBool::new(true)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(std::fs::read_dir(dir.path().join("d")).unwrap().count(), 0);
}

#[tokio::test]
async fn kinds_of_failure() {
    let dir = tempfile::tempdir().unwrap();
    let tree = DirectoryRemote::new(dir.path()).tree;
    for (errno, kind) in [
        (rustix::io::Errno::NOSPC, ErrorKind::Full),
        (rustix::io::Errno::DQUOT, ErrorKind::Full),
        (rustix::io::Errno::ACCESS, ErrorKind::Auth),
        (rustix::io::Errno::ROFS, ErrorKind::Auth),
        (rustix::io::Errno::STALE, ErrorKind::Unavailable),
        (rustix::io::Errno::NOENT, ErrorKind::Unavailable),
        (rustix::io::Errno::IO, ErrorKind::Io),
    ] {
        assert_eq!(tree.failed("x", "n", errno.into()).kind(), kind, "{errno}");
    }
    // The real thing, where we are not root.
    if !rustix::process::geteuid().is_root() {
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o555)).unwrap();
        let error = tree.put("a", &vec![1].into(), &AtomicBool::new(false)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Auth);
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    }
}

#[tokio::test]
async fn a_full_disk_is_full() {
    // /dev/full answers every write as a full disk does.
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let cancelled = AtomicBool::new(false);
    let mut file = Scratch::default().create().unwrap();
    file.write(&[1; 100]).unwrap();
    for body in [Body::from(vec![1; 100]), file.seal().unwrap()] {
        let error = copy::copy(&body, &full, &cancelled).unwrap_err();
        assert_eq!(Error::io("x", error).kind(), ErrorKind::Full);
    }
}

#[tokio::test]
async fn one_body_to_many_and_from_one_file_system_to_another() {
    let (near, far) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap());
    let content: Vec<u8> = (0..9_000_001u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut file = Scratch::default().create().unwrap();
    file.write(&content).unwrap();
    let body = file.seal().unwrap();
    let remotes = [near.path(), far.path()].map(DirectoryRemote::new);
    let puts = (0..6).map(|i| {
        let (remote, body) = (&remotes[i % 2], &body);
        async move { remote.put(&format!("d/{i}"), body).await }
    });
    futures_util::future::try_join_all(puts).await.unwrap();
    for i in 0..6 {
        assert!(read(&remotes[i % 2], &format!("d/{i}"), None).await.unwrap() == content);
    }
    // From a file on the same file system: by copy_file_range.
    let source = Arc::new(File::open(near.path().join("d/0")).unwrap());
    let body = Body::File { file: source, size: content.len() as u64 };
    remotes[0].put("d/copy", &body).await.unwrap();
    assert!(read(&remotes[0], "d/copy", Some(8_999_000..9_000_001)).await.unwrap() == content[8_999_000..]);
    let usage = remotes[0].usage().await.unwrap();
    assert!(usage.total.unwrap() >= usage.used.unwrap() && usage.free.unwrap() > 0);
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_file_written_in_place_becomes_one_object_and_copies_are_files_of_their_own() {
    use std::os::unix::fs::MetadataExt;

    let dir = tempfile::tempdir().unwrap();
    let remote = DirectoryRemote::new(dir.path());
    let content: Vec<u8> = (0..3_000_001u32).map(|i| (i / 5) as u8).collect();
    let mut file = Scratch::default().create_for(content.len() as u64, remote.staging()).unwrap();
    file.write(&content).unwrap();
    let body = file.seal().unwrap();
    let Body::File { file, .. } = &body else { panic!("not a file") };
    let staged = file.metadata().unwrap().ino();
    for name in ["d/a", "d/b", "d/a"] {
        remote.put(name, &body).await.unwrap();
    }
    let puts = ["d/c", "d/d", "d/e"].map(|name| remote.put(name, &body));
    futures_util::future::try_join_all(puts).await.unwrap();
    let mut inodes = std::collections::BTreeSet::new();
    for name in ["d/a", "d/b", "d/c", "d/d", "d/e"] {
        assert!(read(&remote, name, None).await.unwrap() == content);
        let found = std::fs::metadata(dir.path().join(name)).unwrap();
        assert_eq!(found.nlink(), 1, "{name}");
        inodes.insert(found.ino());
    }
    assert_eq!((inodes.len(), std::fs::read_dir(dir.path().join("d")).unwrap().count()), (5, 5));

    let mut file = Scratch::default().create_for(4, remote.staging()).unwrap();
    file.write(b"once").unwrap();
    let body = file.seal().unwrap();
    let Body::File { file, .. } = &body else { panic!("not a file") };
    let once = file.metadata().unwrap().ino();
    remote.put("d/once", &body).await.unwrap();
    // Where the file system has nameless files it was not copied.
    let probe = rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::RDWR;
    if rustix::fs::open(dir.path(), probe, rustix::fs::Mode::RUSR).is_ok() {
        assert_eq!(std::fs::metadata(dir.path().join("d/once")).unwrap().ino(), once);
        assert!(!inodes.contains(&staged), "replaced by a copy when it was put again");
    }
}
