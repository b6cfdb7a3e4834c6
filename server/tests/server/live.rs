//! What is told while it happens: WebSocket and metrics.

use std::time::Duration;

use rclonepool_core::redundancy::RedundancyMode;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::client::{Served, get, password_of, rest, send, users};

type Socket = WebSocketStream<TcpStream>;

async fn open(at: std::net::SocketAddr, path: &str, headers: &[(&'static str, &str)]) -> Result<Socket, u16> {
    let mut request = format!("ws://{at}{path}").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    match client_async(request, TcpStream::connect(at).await.unwrap()).await {
        Ok((socket, _)) => Ok(socket),
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

async fn next(socket: &mut Socket) -> Value {
    let read = async {
        loop {
            let read = std::future::poll_fn(|context| {
                futures_util::Stream::poll_next(std::pin::Pin::new(&mut *socket), context)
            });
            if let Message::Text(text) = read.await.expect("the socket is open").unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), read).await.expect("a message within 30 s")
}

async fn ask(socket: &mut Socket, message: Value) {
    futures_util::SinkExt::send(socket, Message::text(message.to_string())).await.unwrap();
}

async fn until(socket: &mut Socket, is: impl Fn(&Value) -> bool) -> Value {
    loop {
        let message = next(socket).await;
        if is(&message) {
            return message;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_topics_deliver() {
    let served = Served::with(|config, _| {
        config.enable_health_monitoring = true;
        config.health_check_interval = 1;
        config.redundancy_mode = RedundancyMode::None;
    })
    .await;
    let mut socket = open(served.api, "/ws", &[]).await.unwrap();
    for topic in ["upload_progress", "download_progress", "verification", "rebalance", "health"] {
        ask(&mut socket, json!({"action": "subscribe", "topic": topic})).await;
        let said = until(&mut socket, |message| message["type"] == "subscribed").await;
        assert_eq!(said["topic"], topic);
    }
    let of = |topic: &'static str| move |message: &Value| message["type"] == topic;
    assert_eq!(until(&mut socket, of("health")).await["data"]["state"], "healthy");
    served.put("/a", &vec![1; 500_000]).await;
    let begun = until(&mut socket, of("upload_progress")).await;
    assert_eq!((begun["data"]["path"].clone(), begun["data"]["bytes_total"].clone()), (json!("/a"), json!(500_000)));
    assert!(begun["time"].as_str().unwrap().ends_with('Z'));
    let done = until(&mut socket, |m| of("upload_progress")(m) && m["data"]["state"] == "done").await;
    assert_eq!(done["data"]["bytes"], 500_000);
    assert_eq!(get(served.serve, "/a", &[]).await.body.len(), 500_000);
    let done = until(&mut socket, |m| of("download_progress")(m) && m["data"]["state"] == "done").await;
    assert_eq!((done["data"]["path"].clone(), done["data"]["bytes"].clone()), (json!("/a"), json!(500_000)));
    served.rest("POST", "/verify?wait=30", json!({})).await;
    let done = until(&mut socket, |m| of("verification")(m) && m["data"]["state"] == "done").await;
    assert_eq!(done["data"]["kind"], "verify");
    served.rest("POST", "/rebalance?wait=30", json!({})).await;
    until(&mut socket, |m| of("rebalance")(m) && m["data"]["state"] == "done").await;
    // A lost disk changes the pool's health, which the watch notices.
    std::fs::rename(served.root.path().join("disk1"), served.root.path().join("gone")).unwrap();
    let ill = until(&mut socket, |m| of("health")(m) && m["data"]["state"] != "healthy").await;
    assert_eq!(ill["data"]["offline"].as_array().unwrap().len(), 1, "{ill}");

    ask(&mut socket, json!({"action": "unsubscribe", "topic": "health"})).await;
    until(&mut socket, of("unsubscribed")).await;
    for bad in [json!({"action": "subscribe", "topic": "gossip"}), json!({"action": "dance"}), json!(5)] {
        ask(&mut socket, bad).await;
        until(&mut socket, of("error")).await;
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_may_listens_and_only_to_their_own() {
    let root = tempfile::tempdir().unwrap();
    let mut config = crate::client::config(root.path());
    crate::client::init(&config).await;
    users(&mut config);
    let bobs = crate::client::own_pool(root.path(), "bob").await;
    config.users.get_mut("bob").unwrap().config = Some(bobs);
    let served = Served::over(root, config).await;
    let (ann, bob) = (password_of("ann"), password_of("bob"));
    assert_eq!(open(served.api, "/ws", &[]).await.unwrap_err(), 401);
    assert_eq!(open(served.api, "/ws", &[("authorization", "Basic YW5uOng=")]).await.unwrap_err(), 401);
    assert_eq!(open(served.api, "/ws?ticket=rp_guess", &[]).await.unwrap_err(), 401);
    let foreign = [("authorization", ann.as_str()), ("origin", "https://evil.example")];
    assert_eq!(open(served.api, "/ws", &foreign).await.unwrap_err(), 401, "another site's page");
    let ticket = rest(served.api, "POST", "/ws-ticket", &[("Authorization", &bob)], Value::Null).await.json();
    let path = format!("/ws?ticket={}", ticket["ticket"].as_str().unwrap());
    let mut theirs = open(served.api, &path, &[]).await.unwrap();
    assert_eq!(open(served.api, &path, &[]).await.unwrap_err(), 401, "once");
    ask(&mut theirs, json!({"action": "subscribe", "topic": "upload_progress"})).await;
    until(&mut theirs, |message| message["type"] == "subscribed").await;
    let mut own = open(served.serve, "/.rclonepool/ws", &[("authorization", &ann)]).await.unwrap();
    ask(&mut own, json!({"action": "subscribe", "topic": "upload_progress"})).await;
    until(&mut own, |message| message["type"] == "subscribed").await;
    send(served.api, "PUT", "/api/v1/files/secret/content", &[("Authorization", &ann)], b"x").await;
    assert_eq!(until(&mut own, |_| true).await["data"]["path"], "/secret");
    send(served.api, "PUT", "/api/v1/files/mine/content", &[("Authorization", &bob)], b"x").await;
    assert_eq!(until(&mut theirs, |_| true).await["data"]["path"], "/mine", "nothing of the other's before");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_there_by_name() {
    let served = Served::with(|config, _| {
        config.enable_health_monitoring = true;
        config.health_check_interval = 1;
    })
    .await;
    served.put("/a", &vec![1; 300_000]).await;
    get(served.api, "/api/v1/files/a/content", &[]).await;
    served.rest("GET", "/status", Value::Null).await;
    for _ in 0..2 {
        get(served.api, "/api/v1/files/a/content", &[("Range", "bytes=0-9")]).await;
    }
    let mut text = String::new();
    for _ in 0..100 {
        text = get(served.metrics, "/metrics", &[]).await.text();
        if text.contains("files_by_health{state=\"healthy\"} 1") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    for name in [
        "http_request_duration_seconds histogram",
        "transferred_bytes counter",
        "healed_shards counter",
        "heal_failures counter",
        "syncs counter",
        "sign_in_failures counter",
        "websocket_clients gauge",
        "jobs_running gauge",
        "remote_operations counter",
        "remote_transferred_bytes counter",
        "remote_errors counter",
        "remote_operation_duration_seconds histogram",
        "remote_operations_in_flight gauge",
        "remote_online gauge",
        "remote_shards gauge",
        "remote_stored_bytes gauge",
        "remote_capacity_bytes gauge",
        "remote_free_bytes gauge",
        "remote_utilization_ratios gauge",
        "utilization_variance_ratios gauge",
        "files gauge",
        "files_size_bytes gauge",
        "trash_versions gauge",
        "trash_size_bytes gauge",
        "stored_bytes gauge",
        "files_by_health gauge",
        "tolerated_remotes gauge",
        "damaged_shards gauge",
        "cache_reads counter",
        "cache_size_bytes gauge",
        "cache_capacity_bytes gauge",
    ] {
        assert!(names.contains(&format!("rclonepool_{name}").as_str()), "{name}: {names:#?}");
    }
    let disk = served.root.path().join("disk1").display().to_string();
    assert!(text.contains("rclonepool_transferred_bytes_total{direction=\"upload\"} 300000"), "{text}");
    assert!(text.contains("rclonepool_transferred_bytes_total{direction=\"download\"} 300020"), "{text}");
    let of_cache = |outcome: &str| {
        let start = format!("rclonepool_cache_reads_total{{outcome=\"{outcome}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(start.as_str())?.parse::<u64>().ok()).unwrap()
    };
    assert!(of_cache("hit") >= 1 && of_cache("miss") >= 1, "{text}");
    assert!(
        text.contains(&format!("rclonepool_remote_operations_total{{remote=\"{disk}\",operation=\"put\"}}")),
        "{text}"
    );
    assert!(
        text.contains("route=\"/api/v1/status\"") && text.contains("files_by_health{state=\"healthy\"} 1"),
        "{text}"
    );
    assert!(!text.contains("/api/v1/files/a"), "no paths");
    assert!(text.ends_with("# EOF\n"));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn throughput_is_told_and_kept() {
    let served = Served::with(|_, _| {}).await;
    let mut socket = open(served.api, "/ws", &[]).await.unwrap();
    ask(&mut socket, json!({"action": "subscribe", "topic": "throughput"})).await;
    served.put("/a", &vec![1; 900_000]).await;
    let busy = |m: &Value| m["type"] == "throughput" && m["data"]["uploaded"].as_u64().is_some_and(|n| n > 0);
    let told = until(&mut socket, busy).await["data"].clone();
    assert!(told["written"].is_u64() && told["read"].is_u64() && told["downloaded"] == 0, "{told}");
    let stats = rest(served.api, "GET", "/stats", &[], Value::Null).await.json();
    assert!(stats["throughput"].as_array().unwrap().contains(&told), "{stats}");
    served.stop().await;
}
