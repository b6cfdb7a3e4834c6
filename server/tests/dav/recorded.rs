//! What Finder and Explorer send, request by request, as they were seen to.

use crate::harness::served;

const FINDER: (&str, &str) = ("User-Agent", "WebDAVFS/3.0.0 (03008000) Darwin/22.6.0 (x86_64)");
const EXPLORER: (&str, &str) = ("User-Agent", "Microsoft-WebDAV-MiniRedir/10.0.19045");

#[tokio::test(flavor = "multi_thread")]
async fn finder_stores_a_file() {
    let served = served().await;
    let options = served.ask("OPTIONS", "/", &[FINDER], b"").await;
    assert_eq!(options.status, 200);
    assert!(options.header("dav").unwrap().split(", ").any(|class| class == "2"), "else it mounts read-only");
    let mount = br#"<?xml version="1.0" encoding="utf-8"?>
<D:propfind xmlns:D="DAV:"><D:prop><D:getlastmodified/><D:getcontentlength/><D:creationdate/><D:resourcetype/></D:prop></D:propfind>"#;
    let zero = [FINDER, ("Depth", "0"), ("Content-Type", "text/xml")];
    assert_eq!(served.ask("PROPFIND", "/", &zero, mount).await.status, 207);
    let quota = br#"<?xml version="1.0" encoding="utf-8"?>
<D:propfind xmlns:D="DAV:"><D:prop><D:quota-available-bytes/><D:quota-used-bytes/><D:quota/><D:quotaused/></D:prop></D:propfind>"#;
    let told = served.ask("PROPFIND", "/", &zero, quota).await.text();
    assert!(told.contains("<D:quota-used-bytes>00000000000000</D:quota-used-bytes>"), "{told}");
    for name in ["/.hidden", "/._.", "/.DS_Store", "/.Spotlight-V100", "/.metadata_never_index", "/Backups.backupdb"] {
        assert_eq!(served.ask("PROPFIND", name, &zero, mount).await.status, 404, "{name}");
    }
    // The file itself, then its AppleDouble companion.
    for (name, content) in [("/report.pdf", &b"%PDF-1.7 and so on"[..]), ("/._report.pdf", b"\0\x05\x16\x07companion")]
    {
        assert_eq!(served.ask("PROPFIND", name, &zero, mount).await.status, 404);
        let empty = served.ask("PUT", name, &[FINDER], b"").await;
        assert_eq!(empty.status, 201);
        let info = br#"<?xml version="1.0" encoding="utf-8"?>
<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype><D:owner><D:href>http://www.apple.com/webdav_fs/</D:href></D:owner></D:lockinfo>"#;
        let lock = [FINDER, ("Depth", "0"), ("Timeout", "Second-600"), ("Content-Type", "text/xml; charset=\"utf-8\"")];
        let locked = served.ask("LOCK", name, &lock, info).await;
        assert_eq!(locked.status, 200);
        assert!(locked.text().contains("webdav_fs"), "{}", locked.text());
        let list = format!("({})", locked.header("lock-token").unwrap());
        assert_eq!(served.ask("PUT", name, &[FINDER], b"other").await.status, 423);
        let length = content.len().to_string();
        let framed = [format!("{:x}\r\n", content.len()).as_bytes(), content, b"\r\n0\r\n\r\n"].concat();
        let chunked = [FINDER, ("If", &list), ("Transfer-Encoding", "chunked"), ("X-Expected-Entity-Length", &length)];
        assert_eq!(served.ask("PUT", name, &chunked, &framed).await.status, 204);
        // It is refreshed while the file is open.
        let refreshed = served.ask("LOCK", name, &[FINDER, ("If", &list), ("Timeout", "Second-600")], b"").await;
        assert_eq!(refreshed.status, 200, "{refreshed:?}");
        let found = served.ask("PROPFIND", name, &zero, mount).await.text();
        assert!(found.contains(&format!("<D:getcontentlength>{length}</D:getcontentlength>")), "{found}");
        let token = locked.header("lock-token").unwrap();
        assert_eq!(served.ask("UNLOCK", name, &[FINDER, ("Lock-Token", token)], b"").await.status, 204);
        assert_eq!(served.get(name).await.body, content);
    }
    let to = served.url("/annual%20report.pdf");
    let moved = served.ask("MOVE", "/report.pdf", &[FINDER, ("Destination", &to), ("Overwrite", "F")], b"").await;
    assert_eq!(moved.status, 201);
    assert_eq!(served.ask("DELETE", "/._report.pdf", &[FINDER], b"").await.status, 204);
    assert_eq!(served.names("/"), ["annual report.pdf"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn explorer_stores_a_file() {
    let served = served().await;
    let options = served.ask("OPTIONS", "/", &[EXPLORER, ("translate", "f")], b"").await;
    assert_eq!((options.status, options.header("ms-author-via")), (200, Some("DAV")));
    let zero = [EXPLORER, ("Depth", "0"), ("translate", "f")];
    let root = served.ask("PROPFIND", "/", &zero, b"").await;
    assert_eq!(root.status, 207);
    for name in ["/desktop.ini", "/folder.jpg", "/New%20Text%20Document.txt"] {
        assert_eq!(served.ask("PROPFIND", name, &zero, b"").await.status, 404, "{name}");
    }
    let name = "/New%20Text%20Document.txt";
    assert_eq!(served.ask("PUT", name, &[EXPLORER, ("translate", "f")], b"").await.status, 201);
    let info = br#"<?xml version="1.0" encoding="utf-8" ?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype><D:owner><D:href>DESKTOP\user</D:href></D:owner></D:lockinfo>"#;
    let lock = [EXPLORER, ("Timeout", "Second-3600"), ("Content-Type", "text/xml; charset=\"utf-8\"")];
    let locked = served.ask("LOCK", name, &lock, info).await;
    assert_eq!(locked.status, 200);
    let token = locked.header("lock-token").unwrap();
    let list = format!("({token})");
    let times = br#"<?xml version="1.0" encoding="utf-8" ?><D:propertyupdate xmlns:D="DAV:" xmlns:Z="urn:schemas-microsoft-com:"><D:set><D:prop><Z:Win32CreationTime>Fri, 14 Jul 2017 02:40:00 GMT</Z:Win32CreationTime><Z:Win32LastAccessTime>Fri, 14 Jul 2017 02:40:00 GMT</Z:Win32LastAccessTime><Z:Win32LastModifiedTime>Fri, 14 Jul 2017 02:40:00 GMT</Z:Win32LastModifiedTime><Z:Win32FileAttributes>00000020</Z:Win32FileAttributes></D:prop></D:set></D:propertyupdate>"#;
    let with = [EXPLORER, ("If", list.as_str())];
    assert_eq!(served.ask("HEAD", name, &[EXPLORER, ("translate", "f")], b"").await.status, 200);
    assert_eq!(served.ask("PUT", name, &with, b"hello from Windows\r\n").await.status, 204);
    assert_eq!(served.ask("PROPPATCH", name, &[EXPLORER], times).await.status, 423);
    let set = served.ask("PROPPATCH", name, &with, times).await;
    assert_eq!(set.status, 207);
    assert!(!set.text().contains("403"), "{}", set.text());
    assert_eq!(served.ask("UNLOCK", name, &[EXPLORER, ("Lock-Token", token)], b"").await.status, 204);
    let listed = served.ask("PROPFIND", "/", &[EXPLORER, ("Depth", "1"), ("translate", "f")], b"").await.text();
    for expected in [
        "<D:href>/New%20Text%20Document.txt</D:href>",
        "<Z:Win32LastModifiedTime>Fri, 14 Jul 2017 02:40:00 GMT</Z:Win32LastModifiedTime>",
        "<Z:Win32FileAttributes>00000020</Z:Win32FileAttributes>",
    ] {
        assert!(listed.contains(expected), "{expected}: {listed}");
    }
    assert_eq!(served.get(name).await.body, b"hello from Windows\r\n");
    assert_eq!(served.ask("DELETE", name, &[EXPLORER, ("translate", "f")], b"").await.status, 204);
}
