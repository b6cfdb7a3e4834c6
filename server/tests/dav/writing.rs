//! PUT.

use std::sync::Arc;
use std::time::Duration;

use rclonepool_core::PoolPath;
use rclonepool_server::Quota;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{CHUNK, ask, begin, content, end, served, served_as};

const RCLONE: (&str, &str) = ("User-Agent", "rclone/v1.75.2");

fn chunked(body: &[u8], piece: usize) -> Vec<u8> {
    let mut framed = Vec::new();
    for piece in body.chunks(piece) {
        framed.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        framed.extend_from_slice(piece);
        framed.extend_from_slice(b"\r\n");
    }
    framed.extend_from_slice(b"0\r\n\r\n");
    framed
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_all_lengths_known_or_not() {
    let served = served().await;
    for size in [0, 1, 4096, 4097, 16_384, 100_000, CHUNK as usize, 3 * CHUNK as usize + 5, 9 * CHUNK as usize] {
        let bytes = content(size as u64, size);
        served.put("/known", &bytes).await;
        assert!(served.get("/known").await.body == bytes, "{size}");
        let stream = [("Transfer-Encoding", "chunked")];
        let answer = served.ask("PUT", "/unknown", &stream, &chunked(&bytes, 7000)).await;
        assert!(matches!(answer.status, 201 | 204), "{size}: {answer:?}");
        let got = served.get("/unknown").await;
        assert!(got.body == bytes && got.is_whole, "{size}");
        assert_eq!(got.header("etag"), answer.header("etag"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_leave_gets_it_or_a_refusal() {
    let served = served().await;
    let bytes = content(1, 2 * CHUNK as usize);
    let mut asked = begin(served.address, "PUT", "/f", &[("Expect", "100-continue")], bytes.len()).await;
    let mut leave = [0; 25];
    asked.read_exact(&mut leave).await.unwrap();
    assert_eq!(&leave, b"HTTP/1.1 100 Continue\r\n\r\n");
    asked.write_all(&bytes).await.unwrap();
    assert_eq!(end(asked).await.status, 201);
    assert!(served.get("/f").await.body == bytes);
    // Refused before a byte was sent.
    for (path, headers, status) in [
        ("/none/f", vec![], 409),
        ("/f", vec![("If-None-Match", "*")], 412),
        ("/", vec![], 405),
        ("/f", vec![("Content-Range", "bytes 0-1/2")], 400),
    ] {
        let headers = [vec![("Expect", "100-continue")], headers].concat();
        let mut asked = begin(served.address, "PUT", path, &headers, 1 << 30).await;
        let mut line = [0; 12];
        asked.read_exact(&mut line).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&line), format!("HTTP/1.1 {status}"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_broke_off_never_appears() {
    let served = served().await;
    let old = content(1, 10_000);
    served.put("/old", &old).await;
    for sent in [0, 1, 5000, CHUNK as usize, 2 << 20, (2 << 20) + 100_000] {
        let bytes = content(2, 4 << 20);
        for path in ["/old", "/new"] {
            for headers in [vec![], vec![("Transfer-Encoding", "chunked")]] {
                let mut asked = begin(served.address, "PUT", path, &headers, bytes.len()).await;
                if headers.is_empty() {
                    asked.write_all(&bytes[..sent]).await.unwrap();
                } else if sent > 0 {
                    let framed = chunked(&bytes[..sent], 50_000);
                    asked.write_all(&framed[..framed.len() - 5]).await.unwrap();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                drop(asked);
            }
        }
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(served.names("/"), ["old"]);
    assert_eq!(served.get("/old").await.body, old);
}

#[tokio::test(flavor = "multi_thread")]
async fn digests_are_checked_and_kept() {
    let served = served().await;
    let wrong = "MD5:00000000000000000000000000000000";
    for (name, size) in [("/inline", 100), ("/packed", 10_000), ("/large", 3 * CHUNK as usize)] {
        let bytes = content(1, size);
        for bad in [wrong, "SHA1:0000000000000000000000000000000000000000", "MD5:short"] {
            let answer = served.ask("PUT", name, &[("OC-Checksum", bad)], &bytes).await;
            assert_eq!(answer.status, 400, "{name}: {answer:?}");
            assert_eq!(served.get(name).await.status, 404, "{name}");
        }
        let digests = rclonepool_core::journal::record::FileHashes::of(
            &bytes,
            &[rclonepool_core::config::FileHash::Md5, rclonepool_core::config::FileHash::Sha1],
        );
        let (md5, sha1) = (digests.md5.unwrap(), digests.sha1.unwrap());
        let good = format!("SHA1:{sha1}");
        assert_eq!(served.ask("PUT", name, &[("OC-Checksum", &good)], &bytes).await.status, 201);
        let asked = b"<propfind xmlns='DAV:'><prop><checksums xmlns='http://owncloud.org/ns'/></prop></propfind>";
        let found = served.ask("PROPFIND", name, &[("Depth", "0")], asked).await.text();
        let told = format!("<oc:checksums><oc:checksum>SHA1:{sha1} MD5:{md5}");
        assert!(found.contains(&told), "{name}: {found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn times_and_types_are_kept() {
    let served = served().await;
    let headers = [("X-OC-Mtime", "1500000000.25"), ("Content-Type", "text/x-odd")];
    let answer = served.ask("PUT", "/f", &headers, b"x").await;
    assert_eq!((answer.status, answer.header("x-oc-mtime")), (201, Some("accepted")));
    let entry = served.pool.entry(&PoolPath::new("/f").unwrap()).unwrap().unwrap();
    assert_eq!(entry.mtime_ns, 1_500_000_000_250_000_000);
    let got = served.get("/f").await;
    assert_eq!(got.header("last-modified"), Some("Fri, 14 Jul 2017 02:40:00 GMT"));
    assert_eq!(got.header("content-type"), Some("text/x-odd"));
    assert_eq!(served.ask("PUT", "/f", &[("X-OC-Mtime", "soon")], b"y").await.status, 400);
    assert_eq!(served.get("/f").await.body, b"x");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_makes_a_file_that_must_not_be_there() {
    let served = served().await;
    let at = served.address;
    let tasks: Vec<_> = (0..20)
        .map(|n| {
            let body = content(n, if n % 2 == 0 { 5000 } else { 2 << 20 });
            tokio::spawn(async move { (n, ask(at, "PUT", "/f", &[("If-None-Match", "*")], &body).await.status) })
        })
        .collect();
    let mut made = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            (n, 201) => made.push(n),
            (_, status) => assert_eq!(status, 412),
        }
    }
    let [one] = made.as_slice() else { panic!("{made:?}") };
    let expected = content(*one, if one % 2 == 0 { 5000 } else { 2 << 20 });
    assert!(served.get("/f").await.body == expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_overwrite_does_not_take_the_old_version_with_it() {
    let served = served().await;
    let old = content(1, 10_000);
    served.put("/f", &old).await;
    let wrong = ("OC-Checksum", "MD5:00000000000000000000000000000000");
    assert_eq!(served.ask("PUT", "/f", &[RCLONE, wrong], b"new").await.status, 400);
    // What rclone does after any PUT that failed, whether it heard why or broke off.
    assert_eq!(served.ask("DELETE", "/f", &[RCLONE], b"").await.status, 409);
    assert_eq!(served.get("/f").await.body, old);
    let mut asked = begin(served.address, "PUT", "/f", &[RCLONE], 1000).await;
    asked.write_all(b"half").await.unwrap();
    drop(asked);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(served.ask("DELETE", "/f", &[RCLONE], b"").await.status, 409);
    assert_eq!(served.get("/f").await.body, old);
    // Asked again it means it; and nobody else is kept from deleting.
    assert_eq!(served.ask("PUT", "/f", &[RCLONE, wrong], b"new").await.status, 400);
    assert_eq!(served.ask("DELETE", "/f", &[RCLONE], b"").await.status, 409);
    assert_eq!(served.ask("DELETE", "/f", &[RCLONE], b"").await.status, 204);
    served.put("/f", &old).await;
    assert_eq!(served.ask("PUT", "/f", &[RCLONE, wrong], b"new").await.status, 400);
    assert_eq!(served.ask("DELETE", "/f", &[], b"").await.status, 204);
    // A file that was not there leaves nothing to keep.
    assert_eq!(served.ask("PUT", "/f", &[RCLONE, wrong], b"new").await.status, 400);
    assert_eq!(served.ask("DELETE", "/f", &[RCLONE], b"").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_not_overshot() {
    let quota = Arc::new(Quota::new(100_000, 5, 0, 0));
    let given = quota.clone();
    let served = served_as(move |principal| principal.quota = Some(given)).await;
    served.put("/a", &content(1, 60_000)).await;
    let too_much = content(2, 60_000);
    assert_eq!(served.ask("PUT", "/b", &[], &too_much).await.status, 507);
    let stream = [("Transfer-Encoding", "chunked")];
    assert_eq!(served.ask("PUT", "/b", &stream, &chunked(&too_much, 9000)).await.status, 507);
    assert_eq!(served.ask("COPY", "/a", &[("Destination", "/b")], b"").await.status, 507);
    assert_eq!(quota.used(), (60_000, 1));
    let at = served.address;
    let parallel: Vec<_> = (0..10)
        .map(|n| tokio::spawn(async move { ask(at, "PUT", &format!("/p{n}"), &[], &content(n, 15_000)).await.status }))
        .collect();
    let mut stored = 0;
    for one in parallel {
        match one.await.unwrap() {
            201 => stored += 1,
            status => assert_eq!(status, 507),
        }
    }
    assert_eq!(stored, 2);
    assert_eq!(quota.used(), (90_000, 3));
    let asked = b"<propfind xmlns='DAV:'><prop><quota-available-bytes/><quota-used-bytes/></prop></propfind>";
    let found = served.ask("PROPFIND", "/", &[("Depth", "0")], asked).await.text();
    assert!(found.contains("<D:quota-available-bytes>10000</D:quota-available-bytes>"), "{found}");
    assert!(found.contains("<D:quota-used-bytes>90000</D:quota-used-bytes>"), "{found}");
    for name in ["/x", "/y"] {
        served.put(name, b"").await;
    }
    assert_eq!(served.ask("PUT", "/z", &[], b"").await.status, 507, "five files");
}

#[tokio::test(flavor = "multi_thread")]
async fn full_and_absent_remotes_have_their_status() {
    let served = served().await;
    let (old, new) = (content(1, 50_000), content(2, 50_000));
    served.put("/f", &old).await;
    for faults in &served.world.faults {
        faults.set_full(true);
    }
    assert_eq!(served.ask("PUT", "/f", &[], &new).await.status, 507);
    for faults in &served.world.faults {
        faults.set_full(false);
        faults.set_offline(true);
    }
    let refused = served.ask("PUT", "/f", &[], &new).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")), "{refused:?}");
    for faults in &served.world.faults {
        faults.set_offline(false);
    }
    served.pool.sync().await.unwrap();
    assert!(served.get("/f").await.body == old);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_read_changes_nothing() {
    let served = served_as(|principal| principal.read_only = true).await;
    let to = ("Destination", "/g");
    for (method, headers) in [
        ("PUT", vec![]),
        ("DELETE", vec![]),
        ("MKCOL", vec![]),
        ("PROPPATCH", vec![]),
        ("LOCK", vec![]),
        ("UNLOCK", vec![]),
        ("COPY", vec![to]),
        ("MOVE", vec![to]),
    ] {
        assert_eq!(served.ask(method, "/f", &headers, b"").await.status, 403, "{method}");
    }
    assert_eq!(served.ask("PROPFIND", "/", &[("Depth", "1")], b"").await.status, 207);
    assert!(served.names("/").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn small_files_that_come_together_share_chunks() {
    let served = served().await;
    let at = served.address;
    let tasks: Vec<_> = (0..60)
        .map(|n| {
            tokio::spawn(async move { ask(at, "PUT", &format!("/{n:02}"), &[], &content(n, 10_000)).await.status })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), 201);
    }
    let mut chunks = std::collections::BTreeSet::new();
    for n in 0..60 {
        let stat = served.pool.stat(&PoolPath::new(&format!("/{n:02}")).unwrap()).await.unwrap();
        chunks.extend(stat.chunks.iter().map(|chunk| chunk.chunk));
        assert!(served.get(&format!("/{n:02}")).await.body == content(n, 10_000));
    }
    assert!(chunks.len() < 30, "{}", chunks.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn remotes_that_are_full_are_a_lack_of_storage() {
    let served = served().await;
    served.put("/there", &content(1, 100_000)).await;
    for store in &served.world.stores {
        store.set_capacity(Some(store.used()));
    }
    // Again and again: who was refused by a remote sets it aside, and may not take that for being offline.
    for (path, size) in [("/big", 600_000), ("/big", 600_000), ("/packed", 9_000), ("/inline", 100), ("/there", 50_000)]
    {
        let answer = served.ask("PUT", path, &[], &content(2, size)).await;
        assert_eq!((answer.status, answer.header("retry-after")), (507, None), "{path}: {}", answer.text());
    }
    let made = served.ask("MKCOL", "/d", &[], b"").await;
    assert_eq!(made.status, 507, "{}", made.text());
    assert_eq!(served.get("/there").await.body, content(1, 100_000));
    for store in &served.world.stores {
        store.set_capacity(None);
    }
}
