//! Nine ways in which a WebDAV server loses data, lies or dies. dav-server 0.11, left to itself, knows all of them.

use rclonepool_core::testing::fault::FaultPlan;

use crate::harness::{CHUNK, Served, content, served};

const PROPFIND: &[u8] = b"<D:propfind xmlns:D='DAV:'><D:prop><D:resourcetype/></D:prop></D:propfind>";

async fn lock(served: &Served, path: &str) -> u16 {
    let body = b"<D:lockinfo xmlns:D='DAV:'><D:lockscope><D:exclusive/></D:lockscope>\
                 <D:locktype><D:write/></D:locktype></D:lockinfo>";
    served.ask("LOCK", path, &[], body).await.status
}

/// 1. A client that mirrors deletes what a listing lacks.
#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_cannot_be_had_is_an_error() {
    let served = served().await;
    served.mkcol("/d").await;
    served.put("/d/f", b"x").await;
    let whole = served.ask("PROPFIND", "/d", &[("Depth", "1")], PROPFIND).await;
    assert_eq!(whole.status, 207);
    assert!(whole.text().contains("<D:href>/d/f</D:href>"));
    // Nothing is known here any more.
    served.pool.journal().index().begin_anew().unwrap();
    for (method, path) in [("PROPFIND", "/d"), ("PROPFIND", "/"), ("PROPFIND", "/d/f"), ("GET", "/d/f")] {
        let answer = served.ask(method, path, &[("Depth", "1")], b"").await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")), "{method} {path}");
    }
    served.pool.sync().await.unwrap();
    assert_eq!(served.ask("PROPFIND", "/d", &[("Depth", "1")], PROPFIND).await.body, whole.body);
}

/// 2. A recursive XML parser overflows the stack, which ends the process.
#[tokio::test(flavor = "multi_thread")]
async fn nested_xml_is_refused() {
    let served = served().await;
    served.put("/f", b"x").await;
    for depth in [33, 3000, 8000] {
        let nested = format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
        let owner = format!(
            "<D:lockinfo xmlns:D='DAV:'><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype>\
             <D:owner>{nested}</D:owner></D:lockinfo>"
        );
        for method in ["PROPFIND", "PROPPATCH", "LOCK"] {
            assert_eq!(served.ask(method, "/f", &[("Depth", "0")], nested.as_bytes()).await.status, 400);
        }
        assert_eq!(served.ask("LOCK", "/f", &[], owner.as_bytes()).await.status, 400);
        assert_eq!(served.ask("MKCOL", "/new", &[], nested.as_bytes()).await.status, 415);
    }
    let large = format!("<a>{}</a>", "x".repeat(70_000));
    for method in ["PROPFIND", "PROPPATCH", "LOCK", "MKCOL", "DELETE", "COPY", "UNLOCK", "OPTIONS"] {
        assert_eq!(served.ask(method, "/f", &[("Depth", "0")], large.as_bytes()).await.status, 413, "{method}");
    }
    let laughs =
        b"<!DOCTYPE a [<!ENTITY b 'ha'><!ENTITY c '&b;&b;'>]><propfind xmlns='DAV:'><prop>&c;</prop></propfind>";
    assert_eq!(served.ask("PROPFIND", "/f", &[("Depth", "0")], laughs).await.status, 400);
    assert_eq!(served.get("/f").await.body, b"x");
}

/// 3. The root goes, and with it the locks' table, which panics and then does so for ever.
#[tokio::test(flavor = "multi_thread")]
async fn the_root_stays() {
    let served = served().await;
    served.put("/f", b"x").await;
    assert_eq!(lock(&served, "/g").await, 201);
    for path in ["/", "//", "/?x"] {
        assert_eq!(served.ask("DELETE", path, &[], b"").await.status, 403, "{path}");
        assert_eq!(served.ask("MOVE", path, &[("Destination", "/d")], b"").await.status, 403, "{path}");
    }
    for method in ["MOVE", "COPY"] {
        assert_eq!(served.ask(method, "/f", &[("Destination", "/")], b"").await.status, 403);
    }
    assert_eq!(served.names("/"), ["f", "g"]);
    assert_eq!(lock(&served, "/h").await, 201);
    served.put("/i", b"y").await;
    assert_eq!(served.ask("PROPFIND", "/", &[("Depth", "1")], b"").await.status, 207);
}

/// 4. The target is deleted first, and then what should replace it fails.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_replaced_stays() {
    let served = served().await;
    let (old, new) = (content(1, 100_000), content(2, 100_000));
    for directory in ["/from", "/to"] {
        served.mkcol(directory).await;
    }
    served.put("/to/f", &old).await;
    served.put("/from/f", &new).await;
    for faults in &served.world.faults {
        faults.set_read_only(true);
    }
    for method in ["MOVE", "COPY"] {
        for (from, to) in [("/from/f", "/to/f"), ("/from", "/to"), ("/from/f", "/to")] {
            let answer = served.ask(method, from, &[("Destination", to), ("Overwrite", "T")], b"").await;
            assert!(answer.status >= 500, "{method}: {answer:?}");
            assert_eq!(served.get("/to/f").await.body, old);
            assert_eq!(served.get("/from/f").await.body, new);
        }
    }
    for faults in &served.world.faults {
        faults.set_read_only(false);
    }
    let moved = served.ask("MOVE", "/from", &[("Destination", "/to"), ("Overwrite", "T")], b"").await;
    assert_eq!(moved.status, 204);
    assert_eq!(served.get("/to/f").await.body, new);
    assert_eq!(served.names("/"), ["to"]);
}

/// 5. A file that came short, or long, is stored as if it were whole.
#[tokio::test(flavor = "multi_thread")]
async fn what_came_short_is_not_stored() {
    let served = served().await;
    let old = content(1, 5000);
    served.put("/f", &old).await;
    let large = content(2, 3 << 20);
    let more = (large.len() + 1).to_string();
    let less = (large.len() - 1).to_string();
    for (announced, body) in
        [("10", &b"12345"[..]), ("4", b"1234567890"), ("0", b"1"), (&more, &large), (&less, &large)]
    {
        for name in ["X-Expected-Entity-Length", "OC-Total-Length"] {
            for path in ["/f", "/new"] {
                let chunked = [(name, announced), ("Transfer-Encoding", "chunked")];
                let framed = [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n0\r\n\r\n"].concat();
                let answer = served.ask("PUT", path, &chunked, &framed).await;
                assert_eq!(answer.status, 400, "{announced}: {answer:?}");
            }
        }
    }
    assert_eq!(served.get("/f").await.body, old);
    assert_eq!(served.names("/"), ["f"]);
}

/// 6. What cannot be read is sent as zeros.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_breaks_off() {
    let served = served().await;
    let bytes = content(1, 5 * CHUNK as usize);
    served.put("/f", &bytes).await;
    let path = "/f".parse().unwrap();
    let chunks = served.pool.stat(&path).await.unwrap().chunks;
    assert_eq!(chunks.len(), 5);
    // The fourth chunk is lost on two of three remotes.
    for store in &served.world.stores[..2] {
        for name in store.names().into_iter().filter(|name| name.contains(&chunks[3].chunk.to_string())) {
            store.remove(&name);
        }
    }
    let broken = served.get("/f").await;
    assert_eq!(broken.status, 200);
    assert!(!broken.is_whole);
    assert!(broken.body.len() >= 3 * CHUNK as usize, "{}", broken.body.len());
    assert!(bytes.starts_with(&broken.body), "what came is what was stored");
    // What is lost from its first byte on is an error of its own.
    let start = (3 * CHUNK).to_string();
    let lost = served.ask("GET", "/f", &[("Range", &format!("bytes={start}-"))], b"").await;
    assert_eq!((lost.status, lost.is_whole), (500, true));
    let rest = served.ask("GET", "/f", &[("Range", &format!("bytes={}-", 4 * CHUNK))], b"").await;
    assert_eq!((rest.status, rest.body), (206, bytes[4 * CHUNK as usize..].to_vec()));
}

/// As the sixth, where remotes lie.
#[tokio::test(flavor = "multi_thread")]
async fn what_remotes_cut_or_turn_over_is_never_sent() {
    let served = served().await;
    let bytes = content(1, 2 * CHUNK as usize);
    served.put("/f", &bytes).await;
    for faults in &served.world.faults {
        faults.set_plan(FaultPlan { get_flip: 0.3, get_short: 0.2, get_cut: 0.2, ..FaultPlan::default() });
    }
    for _ in 0..30 {
        let answer = served.get("/f").await;
        match answer.status {
            200 if answer.is_whole => assert_eq!(answer.body, bytes),
            200 => assert!(bytes.starts_with(&answer.body)),
            // It broke before anything was sent.
            0 => {}
            status => assert!(status >= 500, "{answer:?}"),
        }
    }
}

/// 7. A small file becomes a large answer.
#[tokio::test(flavor = "multi_thread")]
async fn many_ranges_are_no_more_than_the_file() {
    let served = served().await;
    let bytes = content(1, 40_000);
    served.put("/f", &bytes).await;
    let many = vec!["0-"; 1000].join(",");
    let answer = served.ask("GET", "/f", &[("Range", &format!("bytes={many}"))], b"").await;
    assert_eq!((answer.status, answer.body), (200, bytes));
}

/// 8. A listing lacks the directory itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_listing_without_a_depth_has_the_directory() {
    let served = served().await;
    served.mkcol("/d").await;
    served.put("/d/f", b"x").await;
    let answer = served.ask("PROPFIND", "/d", &[], b"").await;
    assert_eq!(answer.status, 207);
    assert!(answer.text().contains("<D:href>/d/</D:href>"), "{}", answer.text());
    assert!(answer.text().contains("<D:href>/d/f</D:href>"));
    let infinite = served.ask("PROPFIND", "/d", &[("Depth", "infinity")], b"").await;
    assert_eq!(infinite.status, 403);
    assert!(infinite.text().contains("propfind-finite-depth"));
    assert_eq!(served.ask("PROPFIND", "/d", &[("Depth", "2")], b"").await.status, 400);
}

/// 9. A file for another server is stored here.
#[tokio::test(flavor = "multi_thread")]
async fn a_destination_elsewhere_is_refused() {
    let served = served().await;
    served.put("/f", b"x").await;
    for method in ["COPY", "MOVE"] {
        let answer = served.ask(method, "/f", &[("Destination", "http://other.example/g")], b"").await;
        assert_eq!(answer.status, 502);
    }
    assert_eq!(served.names("/"), ["f"]);
    let copied = served.ask("COPY", "/f", &[("Destination", &served.url("/g"))], b"").await;
    assert_eq!(copied.status, 201);
}
