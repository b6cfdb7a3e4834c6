//! The process: starting, changing, stopping.

use std::sync::Arc;
use std::time::Duration;

use rclonepool_core::ErrorKind;
use rclonepool_server::{Face, Server, hash_password};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{PASSWORD, Served, config, get, init, parse, password_of, rest, send, users};

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_an_error_that_names_its_key() {
    let root = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (face, key) in [(Face::Serve, "webdav_port"), (Face::Api, "api_server_port"), (Face::Metrics, "metrics_port")] {
        let mut config = config(root.path());
        (config.webdav_port, config.api_server_port, config.metrics_port) = (port, port, port);
        let error = Server::builder(config).faces(&[face]).start().await.err().unwrap();
        assert!(error.kind() == ErrorKind::Busy && error.message().contains(key), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_to_all_is_said() {
    let served = Served::with(|config, _| config.webdav_host = "0.0.0.0".into()).await;
    let warnings = served.server().warnings().join("\n");
    assert!(warnings.contains("ANYBODY") && warnings.contains("http://0.0.0.0:"), "{warnings}");
    served.stop().await;
    let served = Served::new().await;
    assert_eq!(served.server().warnings(), [""; 0]);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_takes_users_and_pools_without_a_restart() {
    let served = Served::with(|config, _| drop(users(config))).await;
    let (ann, bob) = (password_of("ann"), password_of("bob"));
    let status = async |header: &str| get(served.api, "/api/v1/me", &[("Authorization", header)]).await.status;
    assert_eq!((status(&ann).await, status(&bob).await), (200, 200));
    served.configure(|config| {
        config.webdav_users.insert("ann".into(), hash_password("another").unwrap());
        config.webdav_users.remove("bob");
        config.users.remove("bob");
        config.webdav_port = 1;
    });
    assert_eq!(served.server().reload().await.unwrap(), ["webdav_port"]);
    assert_eq!((status(&ann).await, status(&bob).await), (401, 401), "what was remembered is forgotten");
    assert_eq!(status(&crate::client::basic("ann", "another")).await, 200);

    // A changed pool is opened anew, while a download goes on.
    let another = crate::client::basic("ann", "another");
    let another = [("Authorization", another.as_str())];
    send(served.api, "PUT", "/api/v1/files/a/content", &another, &vec![1; 400_000]).await;
    served.configure(|config| config.chunk_size = 131_072);
    served.server().reload().await.unwrap();
    send(served.api, "PUT", "/api/v1/files/b/content", &another, &vec![2; 400_000]).await;
    let chunks = async |path: &str| rest(served.api, "GET", path, &another, Value::Null).await.json()["chunks"].clone();
    assert_eq!((chunks("/files/a").await, chunks("/files/b").await), (json!(7), json!(4)));

    std::fs::write(served.root.path().join("config.json"), "{").unwrap();
    assert_eq!(served.server().reload().await.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(get(served.api, "/api/v1/me", &another).await.status, 200, "all stays as it was");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_in_the_middle_of_an_upload_leaves_nothing() {
    let served = Served::with(|config, _| config.shutdown_timeout = 1).await;
    served.put("/kept", &vec![5; 200_000]).await;
    let mut upload = TcpStream::connect(served.serve).await.unwrap();
    let head = format!(
        "PUT /.rclonepool/api/v1/files/half/content HTTP/1.1\r\nHost: {}\r\nContent-Length: 4000000\r\n\r\n",
        served.serve
    );
    upload.write_all(head.as_bytes()).await.unwrap();
    upload.write_all(&vec![1; 1_500_000]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (root, api) = (served.root.path().to_owned(), served.api);
    let mut served = served;
    let stopped = tokio::time::timeout(Duration::from_secs(30), served.server.take().unwrap().shutdown()).await;
    stopped.expect("within its limit");
    assert!(TcpStream::connect(api).await.is_err(), "nobody listens");
    let config = config(&root);
    let pool = rclonepool_core::Pool::open(&config, &rclonepool_core::pool::OpenOptions::default()).await.unwrap();
    let path = |text: &str| rclonepool_core::PoolPath::new(text).unwrap();
    assert!(pool.entry(&path("/half")).unwrap().is_none() && pool.entry(&path("/kept")).unwrap().is_some());
    assert_eq!(pool.verify(&Default::default(), &Default::default()).await.unwrap().outcome(), None);
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_under_way_ends_before_the_server_does() {
    let served = Served::new().await;
    let mut upload = TcpStream::connect(served.serve).await.unwrap();
    let head = format!(
        "PUT /.rclonepool/api/v1/files/late/content HTTP/1.1\r\nHost: {}\r\nContent-Length: 200000\r\n\r\n",
        served.serve
    );
    upload.write_all(head.as_bytes()).await.unwrap();
    upload.write_all(&vec![1; 100_000]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let root = served.root.path().to_owned();
    let mut served = served;
    let stopping = tokio::spawn(served.server.take().unwrap().shutdown());
    tokio::time::sleep(Duration::from_millis(200)).await;
    upload.write_all(&vec![1; 100_000]).await.unwrap();
    let mut answer = Vec::new();
    upload.read_to_end(&mut answer).await.unwrap();
    assert_eq!(parse(&answer).status, 201);
    stopping.await.unwrap();
    let pool =
        rclonepool_core::Pool::open(&config(&root), &rclonepool_core::pool::OpenOptions::default()).await.unwrap();
    assert!(pool.entry(&rclonepool_core::PoolPath::new("/late").unwrap()).unwrap().is_some());
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn https_by_a_certificate_of_ones_own() {
    let served = Served::with(|config, _| config.enable_https = true).await;
    assert!(served.server().addresses()[0].url.starts_with("https://"));
    assert_eq!(served.server().fingerprint().unwrap().len(), 95);
    let pem = std::fs::read(served.root.path().join("tls/cert.pem")).unwrap();
    let certificate = rustls::pki_types::pem::PemObject::from_pem_slice(&pem).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    for at in [served.serve, served.api, served.metrics] {
        let stream = TcpStream::connect(at).await.unwrap();
        let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let wanted = if at == served.serve { 404 } else { 200 };
        assert_eq!(parse(&answer).status, wanted, "{at}");
    }
    let mut plain = TcpStream::connect(served.api).await.unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "plain text is no way in");
    assert!(served.server().reload().await.unwrap().is_empty());
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_while_a_remote_is_there() {
    let served = Served::new().await;
    assert_eq!(get(served.api, "/readyz", &[]).await.status, 200);
    assert_eq!(get(served.metrics, "/readyz", &[]).await.status, 200);
    for i in 1..=3 {
        std::fs::rename(served.root.path().join(format!("disk{i}")), served.root.path().join(format!("gone{i}")))
            .unwrap();
    }
    served.rest("POST", "/sync", Value::Null).await;
    assert_eq!(get(served.api, "/readyz", &[]).await.status, 503);
    assert_eq!(get(served.api, "/healthz", &[]).await.status, 200);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_of_users_are_served_to_them_as_an_embedder_gives_them() {
    let root = tempfile::tempdir().unwrap();
    let mut servers = config(root.path());
    users(&mut servers);
    let mut pools = Vec::new();
    for name in ["ann", "bob"] {
        let theirs = config(&root.path().join(name));
        init(&theirs).await;
        pools.push(rclonepool_core::Pool::open(&theirs, &Default::default()).await.unwrap());
    }
    let bobs = pools.pop().unwrap();
    let builder = Server::builder(servers).faces(&[Face::Api]).user_pool("ann", pools.pop().unwrap());
    let server = builder.user_pool("bob", bobs).start().await.unwrap();
    let at = server.addresses()[0].address;
    let (ann, bob) = (password_of("ann"), crate::client::basic("bob", &format!("{PASSWORD} bob")));
    let put = send(at, "PUT", "/api/v1/files/a/content", &[("Authorization", &ann)], b"ann's").await;
    assert_eq!(put.status, 201);
    assert_eq!(get(at, "/api/v1/files/a/content", &[("Authorization", &ann)]).await.body, b"ann's");
    assert_eq!(get(at, "/api/v1/files/a/content", &[("Authorization", &bob)]).await.status, 404);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_machine_writes_is_seen_within_sync_interval() {
    let served = Served::with(|config, _| config.sync_interval = 1).await;
    let mut other = config(served.root.path());
    other.manifest_cache_dir = served.root.path().join("other");
    let pool = rclonepool_core::Pool::open(&other, &Default::default()).await.unwrap();
    let path = rclonepool_core::PoolPath::new("/theirs").unwrap();
    let source = rclonepool_core::pool::Source::Bytes(b"hello".to_vec().into());
    pool.upload(source, &path, &Default::default(), &rclonepool_core::Monitor::default()).await.unwrap();
    pool.close().await;
    let mut body = Vec::new();
    for _ in 0..100 {
        body = get(served.api, "/api/v1/files/theirs/content", &[]).await.body;
        if body == b"hello" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(body, b"hello");
    served.stop().await;
}
