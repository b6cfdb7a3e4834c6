//! PROPFIND and PROPPATCH.

use std::time::Instant;

use rclonepool_core::{Monitor, PoolPath};

use crate::harness::{Served, content, served};

async fn patch(served: &Served, path: &str, inner: &str) -> String {
    let body = format!("<D:propertyupdate xmlns:D='DAV:' xmlns:x='urn:x'>{inner}</D:propertyupdate>");
    let answer = served.ask("PROPPATCH", path, &[], body.as_bytes()).await;
    assert_eq!(answer.status, 207, "{answer:?}");
    answer.text()
}

async fn find(served: &Served, path: &str, inner: &str) -> String {
    let body =
        format!("<D:propfind xmlns:D='DAV:' xmlns:x='urn:x' xmlns:oc='http://owncloud.org/ns'>{inner}</D:propfind>");
    let answer = served.ask("PROPFIND", path, &[("Depth", "0")], body.as_bytes()).await;
    assert_eq!(answer.status, 207, "{answer:?}");
    answer.text()
}

const COLOUR: &str = "<D:set><D:prop><x:colour lang='none'>red &amp; <x:b/>green</x:colour></D:prop></D:set>";

#[tokio::test(flavor = "multi_thread")]
async fn dead_properties_go_with_what_they_are_of() {
    let served = served().await;
    served.mkcol("/d").await;
    served.put("/d/f", &content(1, 9000)).await;
    let red = |text: &str| text.contains("red &amp; <x:b/>green</x:colour>") && text.contains("xmlns:x=\"urn:x\"");
    for path in ["/d", "/d/f"] {
        assert!(patch(&served, path, COLOUR).await.contains("200 OK"));
        assert!(red(&find(&served, path, "<D:prop><x:colour/></D:prop>").await));
    }
    served.put("/d/f", &content(2, 9000)).await;
    assert!(red(&find(&served, "/d/f", "<D:prop><x:colour/></D:prop>").await), "a new content keeps them");
    assert_eq!(served.ask("COPY", "/d", &[("Destination", "/e")], b"").await.status, 201);
    assert_eq!(served.ask("MOVE", "/d", &[("Destination", "/m")], b"").await.status, 201);
    // Another machine, from what lies on the remotes.
    let other = served.world.open(served.pool.id()).await.unwrap();
    for path in ["/e", "/e/f", "/m", "/m/f"] {
        assert!(red(&find(&served, path, "<D:allprop/>").await), "{path}");
        let found = other.entry(&PoolPath::new(path).unwrap()).unwrap().unwrap().properties;
        assert_eq!((found.len(), found[0].namespace.as_str(), found[0].name.as_str()), (1, "urn:x", "colour"));
    }
    assert!(find(&served, "/m/f", "<D:propname/>").await.contains("<colour xmlns=\"urn:x\"/>"));
    patch(&served, "/m/f", "<D:remove><D:prop><x:colour/></D:prop></D:remove>").await;
    let gone = find(&served, "/m/f", "<D:prop><x:colour/></D:prop>").await;
    assert!(gone.contains("<colour xmlns=\"urn:x\"/>") && gone.contains("404 Not Found"), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_is_done_whole_or_not_at_all() {
    let served = served().await;
    served.put("/f", b"x").await;
    let protected = "<D:set><D:prop><D:getetag>mine</D:getetag></D:prop></D:set>";
    let answer = patch(&served, "/f", &format!("{COLOUR}{protected}")).await;
    assert!(answer.contains("403 Forbidden") && answer.contains("424 Failed Dependency"), "{answer}");
    assert!(find(&served, "/f", "<D:prop><x:colour/></D:prop>").await.contains("404"));
    let wide = format!("<D:set><D:prop><x:a>{}</x:a></D:prop></D:set>", "y".repeat(40_000));
    patch(&served, "/f", &wide).await;
    let second = wide.replace("x:a>", "x:b>");
    let body = format!("<D:propertyupdate xmlns:D='DAV:' xmlns:x='urn:x'>{second}</D:propertyupdate>");
    assert_eq!(served.ask("PROPPATCH", "/f", &[], body.as_bytes()).await.status, 507);
    assert_eq!(served.ask("PROPPATCH", "/", &[], COLOUR_OF_ROOT).await.status, 403);
    assert_eq!(served.ask("PROPPATCH", "/none", &[], COLOUR_OF_ROOT).await.status, 404);
    for bad in [&b"<a/>"[..], b"", b"<D:propertyupdate xmlns:D='DAV:'/>"] {
        assert_eq!(served.ask("PROPPATCH", "/f", &[], bad).await.status, 400);
    }
}

const COLOUR_OF_ROOT: &[u8] =
    b"<D:propertyupdate xmlns:D='DAV:'><D:set><D:prop><c xmlns='urn:x'>red</c></D:prop></D:set></D:propertyupdate>";

#[tokio::test(flavor = "multi_thread")]
async fn clients_set_times() {
    let served = served().await;
    let bytes = content(1, 9000);
    let etag = served.put("/f", &bytes).await.header("etag").unwrap().to_owned();
    let time = "Fri, 14 Jul 2017 02:40:00 GMT";
    for value in [
        "<D:lastmodified>1500000000</D:lastmodified>".to_owned(),
        format!("<D:getlastmodified>{time}</D:getlastmodified>"),
        format!("<Z:Win32LastModifiedTime xmlns:Z='urn:schemas-microsoft-com:'>{time}</Z:Win32LastModifiedTime>"),
    ] {
        patch(&served, "/f", "<D:set><D:prop><D:lastmodified>1</D:lastmodified></D:prop></D:set>").await;
        assert_eq!(served.get("/f").await.header("last-modified"), Some("Thu, 01 Jan 1970 00:00:01 GMT"));
        let answer = patch(&served, "/f", &format!("<D:set><D:prop>{value}</D:prop></D:set>")).await;
        assert!(answer.contains("200 OK"), "{answer}");
        let got = served.get("/f").await;
        assert_eq!((got.header("last-modified"), got.header("etag")), (Some(time), Some(etag.as_str())));
        assert_eq!(got.body, bytes);
    }
    let bad = patch(&served, "/f", "<D:set><D:prop><D:lastmodified>soon</D:lastmodified></D:prop></D:set>").await;
    assert!(bad.contains("409 Conflict"), "{bad}");
    let executable =
        "<D:set><D:prop><e:executable xmlns:e='http://apache.org/dav/props/'>T</e:executable></D:prop></D:set>";
    patch(&served, "/f", executable).await;
    assert!(served.pool.entry(&PoolPath::new("/f").unwrap()).unwrap().unwrap().executable);
}

#[tokio::test(flavor = "multi_thread")]
async fn live_properties_say_what_is_so() {
    let served = served().await;
    served.mkcol("/d").await;
    served.ask("PUT", "/d/é.txt", &[("X-OC-Mtime", "1500000000")], b"hello").await;
    served.ask("PUT", "/d/%C3%A9.txt", &[("X-OC-Mtime", "1500000000")], b"hello").await;
    let etag = served.get("/d/%C3%A9.txt").await.header("etag").unwrap().replace('"', "&quot;");
    let all = find(&served, "/d/%C3%A9.txt", "<D:allprop/>").await;
    for expected in [
        "<D:href>/d/%C3%A9.txt</D:href>",
        "<D:getcontentlength>5</D:getcontentlength>",
        "<D:getcontenttype>text/plain</D:getcontenttype>",
        "<D:getlastmodified>Fri, 14 Jul 2017 02:40:00 GMT</D:getlastmodified>",
        "<D:creationdate>2020-09-13T12:26:40Z</D:creationdate>",
        "<D:resourcetype/>",
        &format!("<D:getetag>{etag}</D:getetag>"),
    ] {
        assert!(all.contains(expected), "{expected}: {all}");
    }
    let some =
        find(&served, "/d", "<D:prop><D:resourcetype/><D:getcontentlength/><oc:checksums/><x:y/></D:prop>").await;
    assert!(some.contains("<D:resourcetype><D:collection/></D:resourcetype>"), "{some}");
    let (found, missing) = some.split_once("200 OK").unwrap();
    assert!(!found.contains("getcontentlength"));
    for name in ["<D:getcontentlength/>", "<oc:checksums/>", "<y xmlns=\"urn:x\"/>", "404 Not Found"] {
        assert!(missing.contains(name), "{name}: {missing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_entries_are_listed_at_once() {
    let served = served().await;
    let from = tempfile::tempdir().unwrap();
    for n in 0..10_000 {
        std::fs::write(from.path().join(format!("file number {n:05}.dat")), n.to_string()).unwrap();
    }
    let sources = [(from.path().to_owned(), PoolPath::new("/many").unwrap())];
    let report = served.pool.upload_all(&sources, &Default::default(), &Monitor::default()).await.unwrap();
    assert_eq!(report.files, 10_000);
    let begun = Instant::now();
    let answer = served.ask("PROPFIND", "/many", &[("Depth", "1")], b"").await;
    let took = begun.elapsed();
    let text = answer.text();
    assert!(answer.is_whole);
    assert_eq!(text.matches("<D:response>").count(), 10_001);
    let hrefs = text.split("<D:href>").skip(2).map(|rest| rest.split_once('<').unwrap().0);
    assert!(hrefs.eq((0..10_000).map(|n| format!("/many/file%20number%20{n:05}.dat"))));
    // Unoptimised, on a busy machine.
    assert!(took.as_secs() < 30, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_breaks_nobodys_listing() {
    let served = served().await;
    served.put("/f", b"x").await;
    for bad in ["<x:a>&#1;</x:a>", "<x:a>\u{2}</x:a>", "<x:1/>", "<x:a y='<'/>", "<x:a><?p q?></x:a>", "<x:a>&b;</x:a>"]
    {
        let body = format!(
            "<D:propertyupdate xmlns:D='DAV:' xmlns:x='urn:x'><D:set><D:prop>{bad}</D:prop></D:set></D:propertyupdate>"
        );
        assert_eq!(served.ask("PROPPATCH", "/f", &[], body.as_bytes()).await.status, 400, "{bad}");
    }
    assert!(served.pool.entry(&PoolPath::new("/f").unwrap()).unwrap().unwrap().properties.is_empty());
    let made = served.ask("MKCOL", "/d", &[("X-OC-Mtime", "1500000000")], b"").await;
    assert_eq!((made.status, made.header("x-oc-mtime")), (201, Some("accepted")));
    assert!(find(&served, "/d", "<D:allprop/>").await.contains("Fri, 14 Jul 2017 02:40:00 GMT"));
}
