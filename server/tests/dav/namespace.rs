//! MKCOL, COPY, MOVE, DELETE, and paths that lead elsewhere.

use rclonepool_core::PoolPath;

use crate::harness::{CHUNK, Served, content, served};

async fn to(served: &Served, method: &str, from: &str, to: &str, more: &[(&str, &str)]) -> u16 {
    let headers = [&[("Destination", to)], more].concat();
    served.ask(method, from, &headers, b"").await.status
}

fn objects(served: &Served) -> usize {
    let data = |name: &String| name.starts_with("data/");
    served.world.stores.iter().map(|store| store.names().iter().filter(|name| data(name)).count()).sum()
}

fn commits(served: &Served) -> usize {
    served.world.stores[0].names().iter().filter(|name| name.contains("/commits/")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn trees_are_copied_and_moved_in_one_commit_without_data() {
    let served = served().await;
    served.mkcol("/a").await;
    served.mkcol("/a/empty").await;
    for n in 0..10 {
        served.put(&format!("/a/{n}"), &content(n, 20_000)).await;
    }
    served.put("/a/large", &content(77, 2 * CHUNK as usize)).await;
    let (stored, before) = (objects(&served), commits(&served));
    assert_eq!(to(&served, "COPY", "/a", "/b", &[]).await, 201);
    assert_eq!((objects(&served), commits(&served)), (stored, before + 1));
    assert_eq!(to(&served, "MOVE", "/a", "/c", &[]).await, 201);
    assert_eq!((objects(&served), commits(&served)), (stored, before + 2));
    assert_eq!(served.names("/"), ["b", "c"]);
    for directory in ["/b", "/c"] {
        assert_eq!(served.names(directory).len(), 12);
        assert!(served.get(&format!("{directory}/large")).await.body == content(77, 2 * CHUNK as usize));
        assert_eq!(served.get(&format!("{directory}/3")).await.body, content(3, 20_000));
    }
    // The copy is its own.
    served.put("/b/3", b"new").await;
    assert_eq!(served.ask("DELETE", "/c", &[], b"").await.status, 204);
    assert_eq!(served.get("/b/3").await.body, b"new");
    assert_eq!(served.get("/b/4").await.body, content(4, 20_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_of_rfc_4918() {
    let served = served().await;
    served.mkcol("/d").await;
    served.put("/d/f", b"1").await;
    served.put("/g", b"2").await;
    for (method, from, target, more, status) in [
        ("COPY", "/none", "/x", vec![], 404),
        ("MOVE", "/none", "/x", vec![], 404),
        ("COPY", "/g", "/none/x", vec![], 409),
        ("MOVE", "/g", "/none/x", vec![], 409),
        ("COPY", "/g", "/d/f", vec![("Overwrite", "F")], 412),
        ("MOVE", "/g", "/d", vec![("Overwrite", "F")], 412),
        ("COPY", "/g", "/g", vec![], 403),
        ("MOVE", "/d", "/d/", vec![], 403),
        ("COPY", "/d", "/d/sub", vec![], 403),
        ("MOVE", "/d", "/d/sub", vec![], 403),
        ("MOVE", "/d/f", "/d", vec![], 403),
        ("COPY", "/g", "/x", vec![("Overwrite", "maybe")], 400),
        ("COPY", "/d", "/x", vec![("Depth", "1")], 400),
        ("MOVE", "/d", "/x", vec![("Depth", "0")], 400),
        ("COPY", "/g", "/x/../y", vec![], 400),
        ("COPY", "/g", "/.rclonepool/y", vec![], 403),
        ("MOVE", "/g", "/%2e%2e/y", vec![], 400),
    ] {
        assert_eq!(to(&served, method, from, target, &more).await, status, "{method} {from} {target}");
    }
    assert_eq!(served.ask("COPY", "/g", &[], b"").await.status, 400);
    for (method, path, headers, status) in [
        ("MKCOL", "/d", vec![], 405),
        ("MKCOL", "/g", vec![], 405),
        ("MKCOL", "/none/x", vec![], 409),
        ("MKCOL", "/g/x", vec![], 409),
        ("PUT", "/d", vec![], 405),
        ("PUT", "/x/", vec![], 405),
        ("PUT", "/g/x", vec![], 409),
        ("DELETE", "/none", vec![], 404),
        ("DELETE", "/d", vec![("Depth", "0")], 400),
        ("PROPFIND", "/none", vec![("Depth", "0")], 404),
        ("PATCH", "/g", vec![], 405),
        ("POST", "/g", vec![], 405),
        ("BREW", "/g", vec![], 405),
    ] {
        assert_eq!(served.ask(method, path, &headers, b"").await.status, status, "{method} {path}");
    }
    assert_eq!((served.names("/"), served.names("/d")), (vec!["d".into(), "g".into()], vec!["f".into()]));
    // A file replaces a directory, and a directory a file, when that is asked for.
    assert_eq!(to(&served, "COPY", "/g", "/d", &[]).await, 204);
    assert_eq!(served.get("/d").await.body, b"2");
    served.mkcol("/e").await;
    served.put("/e/f", b"3").await;
    assert_eq!(to(&served, "MOVE", "/e", "/d", &[]).await, 204);
    assert_eq!(served.get("/d/f").await.body, b"3");
    // A directory alone.
    assert_eq!(to(&served, "COPY", "/d", "/alone", &[("Depth", "0")]).await, 201);
    assert!(served.names("/alone").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_last() {
    let served = served().await;
    // This one exists only by what lies in it.
    let deep = PoolPath::new("/x/y/f").unwrap();
    let options = rclonepool_core::pool::UploadOptions::default();
    let source = || rclonepool_core::pool::Source::Bytes("x".into());
    served.pool.upload(source(), &deep, &options, &rclonepool_core::Monitor::default()).await.unwrap();
    assert_eq!(served.ask("DELETE", "/x/y/f", &[], b"").await.status, 204);
    assert_eq!(served.names("/x"), ["y"]);
    served.pool.upload(source(), &deep, &options, &rclonepool_core::Monitor::default()).await.unwrap();
    assert_eq!(to(&served, "MOVE", "/x/y/f", "/f", &[]).await, 201);
    assert_eq!(served.names("/x"), ["y"]);
    served.mkcol("/m").await;
    served.put("/m/f", b"x").await;
    assert_eq!(served.ask("DELETE", "/m/f", &[], b"").await.status, 204);
    assert_eq!(served.names("/"), ["f", "m", "x"]);
    assert_eq!(served.ask("DELETE", "/x", &[], b"").await.status, 204);
    assert_eq!(served.names("/"), ["f", "m"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_leads_elsewhere() {
    let served = served().await;
    served.put("/f", b"x").await;
    let long = format!("/{}", "n".repeat(256));
    for (path, status) in [
        ("/../f", 400),
        ("/%2e%2e/f", 400),
        ("/d/..%2f..%2ff", 400),
        ("/.", 400),
        ("/f%00", 400),
        ("/%ff", 400),
        ("/.rclonepool/api/v1/status", 403),
        ("/%2Erclonepool/x", 403),
        (&long, 400),
    ] {
        for method in
            ["GET", "HEAD", "PUT", "DELETE", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK"]
        {
            let answer = served.ask(method, path, &[("Destination", "/g"), ("Depth", "0")], b"").await;
            assert_eq!(answer.status, status, "{method} {path}");
        }
    }
    assert_eq!(served.names("/"), ["f"]);
    // What looks odd and is a name like any other.
    for path in ["/a%20b", "/%C3%A9", "/%25", "/%3Fx", "/c%23", "/%5C", "/...", "/a:b", "/%0A", "/&%3C%3E'%22"] {
        served.put(path, path.as_bytes()).await;
        assert_eq!(served.get(path).await.body, path.as_bytes());
        let found = served.ask("PROPFIND", path, &[("Depth", "0")], b"").await.text();
        let href = found.split("<D:href>").nth(1).and_then(|rest| rest.split("</D:href>").next()).unwrap().to_owned();
        assert_eq!(served.get(&href).await.body, path.as_bytes(), "{href}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_bind_our_own_methods() {
    let served = served().await;
    served.mkcol("/d").await;
    served.mkcol("/e").await;
    served.put("/d/f", b"1").await;
    let info = b"<lockinfo xmlns='DAV:'><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>";
    let locked = served.ask("LOCK", "/d", &[("Depth", "0"), ("Timeout", "Second-60")], info).await;
    assert_eq!(locked.status, 200);
    let token = locked.header("lock-token").unwrap().to_owned();
    let list = format!("({token})");
    // A directory that is locked keeps its members' names, not their contents.
    for (method, path) in [("PUT", "/d/new"), ("DELETE", "/d/f"), ("MKCOL", "/d/new"), ("DELETE", "/d")] {
        assert_eq!(served.ask(method, path, &[], b"").await.status, 423, "{method} {path}");
    }
    assert_eq!(to(&served, "MOVE", "/d/f", "/e/f", &[]).await, 423);
    assert_eq!(to(&served, "COPY", "/e", "/d/e", &[]).await, 423);
    assert_eq!(to(&served, "COPY", "/d/f", "/e/f", &[]).await, 201);
    served.put("/d/f", b"2").await;
    let url = served.url("/d/");
    let tagged = format!("<{url}> ({token})");
    assert_eq!(served.ask("PUT", "/d/new", &[("If", &tagged)], b"3").await.status, 201);
    assert_eq!(served.ask("PUT", "/d/new", &[("If", &list)], b"3").await.status, 412, "no lock of the file itself");
    assert_eq!(served.ask("PUT", "/d/new", &[("If", "(malformed")], b"3").await.status, 400);
    assert_eq!(served.ask("UNLOCK", "/d", &[("Lock-Token", &token)], b"").await.status, 204);
    assert_eq!(served.ask("DELETE", "/d", &[], b"").await.status, 204);
}
