//! GET and HEAD.

use crate::harness::{CHUNK, content, served};

#[tokio::test(flavor = "multi_thread")]
async fn ranges_are_exact() {
    let served = served().await;
    let bytes = content(1, 3 * CHUNK as usize + 1000);
    served.put("/f.bin", &bytes).await;
    let size = bytes.len();
    let at = CHUNK as usize;
    for (range, from, to) in [
        ("0-0".to_owned(), 0, 1),
        (format!("{}-{}", at - 10, at + 9), at - 10, at + 10),
        (format!("{}-", size - 7), size - 7, size),
        ("-500".to_owned(), size - 500, size),
        (format!("1-{}", 2 * at), 1, 2 * at + 1),
        (format!("0-{}", size * 2), 0, size),
    ] {
        let answer = served.ask("GET", "/f.bin", &[("Range", &format!("bytes={range}"))], b"").await;
        assert_eq!(answer.status, 206, "{range}");
        assert_eq!(answer.header("content-range").unwrap(), format!("bytes {from}-{}/{size}", to - 1));
        assert!(answer.body == bytes[from..to] && answer.is_whole, "{range}");
    }
    let beyond = served.ask("GET", "/f.bin", &[("Range", &format!("bytes={size}-"))], b"").await;
    assert_eq!((beyond.status, beyond.header("content-range").unwrap().to_owned()), (416, format!("bytes */{size}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_ranges_are_parts_of_one_answer() {
    let served = served().await;
    let bytes = content(1, 2 * CHUNK as usize);
    served.put("/f.png", &bytes).await;
    let size = bytes.len();
    let asked = [(CHUNK as usize - 5, CHUNK as usize + 5), (0, 10), (size - 3, size)];
    let list: Vec<String> = asked.iter().map(|(from, to)| format!("{from}-{}", to - 1)).collect();
    let answer = served.ask("GET", "/f.png", &[("Range", &format!("bytes={}", list.join(", ")))], b"").await;
    assert_eq!((answer.status, answer.is_whole), (206, true));
    let boundary = answer.header("content-type").unwrap().strip_prefix("multipart/byteranges; boundary=").unwrap();
    let mut expected = Vec::new();
    for (n, (from, to)) in asked.iter().enumerate() {
        let start = if n == 0 { "" } else { "\r\n" };
        let head = format!(
            "{start}--{boundary}\r\nContent-Type: image/png\r\nContent-Range: bytes {from}-{}/{size}\r\n\r\n",
            to - 1
        );
        expected.extend_from_slice(head.as_bytes());
        expected.extend_from_slice(&bytes[*from..*to]);
    }
    expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    assert_eq!(answer.body, expected);
    assert_eq!(answer.header("content-length").unwrap(), expected.len().to_string());
    assert_eq!(answer.header("content-range"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_are_held_against_the_content() {
    let served = served().await;
    let etag = served.put("/f", b"one").await.header("etag").unwrap().to_owned();
    let got = served.get("/f").await;
    assert_eq!(got.header("etag"), Some(etag.as_str()));
    let modified = got.header("last-modified").unwrap().to_owned();
    let status = |headers: Vec<(&'static str, String)>| {
        let served = &served;
        async move {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let answer = served.ask("GET", "/f", &headers, b"").await;
            (answer.status, answer.body.len())
        }
    };
    assert_eq!(status(vec![("If-None-Match", etag.clone())]).await, (304, 0));
    assert_eq!(status(vec![("If-None-Match", "\"x\"".into())]).await, (200, 3));
    assert_eq!(status(vec![("If-Match", etag.clone())]).await, (200, 3));
    assert_eq!(status(vec![("If-Match", "\"x\"".into())]).await.0, 412);
    assert_eq!(status(vec![("If-Modified-Since", modified.clone())]).await, (304, 0));
    let range = || ("Range", "bytes=0-0".to_owned());
    assert_eq!(status(vec![range(), ("If-Range", etag.clone())]).await, (206, 1));
    assert_eq!(status(vec![range(), ("If-Range", modified)]).await, (206, 1));
    assert_eq!(status(vec![range(), ("If-Range", "\"old\"".into())]).await, (200, 3));
    // The same content has the same tag, wherever it is; other content has another.
    let copy = served.put("/d", b"one").await;
    assert_eq!(copy.header("etag"), Some(etag.as_str()));
    let other = served.put("/f", b"two").await;
    assert_ne!(other.header("etag"), Some(etag.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_get_without_the_body() {
    let served = served().await;
    served.put("/page.html", b"<script>alert(1)</script>").await;
    served.put("/empty", b"").await;
    for path in ["/page.html", "/empty"] {
        let (mut get, head) = (served.get(path).await, served.ask("HEAD", path, &[], b"").await);
        assert_eq!((get.status, head.status, head.body.len()), (200, 200, 0));
        let mut of_head = head.headers.clone();
        for headers in [&mut get.headers, &mut of_head] {
            headers.retain(|(name, _)| name != "date");
            headers.sort();
        }
        assert_eq!(get.headers, of_head);
    }
    let page = served.get("/page.html").await;
    assert_eq!(page.header("content-type"), Some("text/html"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert!(page.header("content-security-policy").unwrap().starts_with("sandbox;"));
    let ranged = served.ask("HEAD", "/page.html", &[("Range", "bytes=0-0")], b"").await;
    assert_eq!((ranged.status, ranged.header("content-length")), (200, Some("25")));
    assert_eq!(served.ask("HEAD", "/none", &[], b"").await.status, 404);
    served.mkcol("/d").await;
    let directory = served.get("/d").await;
    assert_eq!(directory.status, 405);
    assert!(directory.header("allow").unwrap().contains("PROPFIND"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_lost_remote_changes_nothing() {
    let served = served().await;
    let bytes = content(1, 3 * CHUNK as usize);
    served.put("/f", &bytes).await;
    for lost in &served.world.faults {
        lost.set_offline(true);
        let answer = served.get("/f").await;
        assert!(answer.status == 200 && answer.body == bytes);
        lost.set_offline(false);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_keeps_its_version() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let served = served().await;
    let (old, new) = (content(1, 40 * CHUNK as usize), content(2, 3 * CHUNK as usize));
    served.put("/f", &old).await;
    let mut connection = tokio::net::TcpStream::connect(served.address).await.unwrap();
    let request = format!("GET /f HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", served.address);
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut begun = vec![0; 4096];
    connection.read_exact(&mut begun).await.unwrap();
    served.put("/f", &new).await;
    connection.read_to_end(&mut begun).await.unwrap();
    assert!(begun.ends_with(&old), "the rest is of the same version");
    assert_eq!(served.get("/f").await.body, new);
}
