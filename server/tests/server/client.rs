//! A server over directories, and a client that sends exactly what it is told to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use rclonepool_core::config::AuthMethods;
use rclonepool_core::pool::OpenOptions;
use rclonepool_core::redundancy::RedundancyMode;
use rclonepool_core::{Config, Pool};
use rclonepool_server::{Face, Files, Server, hash_password, new_token};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub const PASSWORD: &str = "open sesame";

/// A configuration of a pool of three directories below `root`.
pub fn config(root: &std::path::Path) -> Config {
    let disks = (1..=3).map(|i| {
        let disk = root.join(format!("disk{i}"));
        std::fs::create_dir_all(&disk).unwrap();
        disk.to_str().unwrap().to_owned()
    });
    Config {
        remotes: disks.collect(),
        manifest_cache_dir: root.join("cache"),
        chunk_size: 65_536,
        redundancy_mode: RedundancyMode::Parity,
        parity_data_shards: 2,
        parity_parity_shards: 1,
        webdav_port: 0,
        api_server_port: 0,
        metrics_port: 0,
        shutdown_timeout: 5,
        commit_offer_timeout: 1,
        sync_interval: 3600,
        enable_health_monitoring: false,
        ..Config::default()
    }
}

const PORTS: [&str; 3] = ["webdav_port", "api_server_port", "metrics_port"];

/// Writes a configuration. Any free port is nothing that a file may ask for.
fn store(path: &std::path::Path, config: &Config) {
    let mut file = serde_json::to_value(config).unwrap();
    file.as_object_mut().unwrap().retain(|key, value| !PORTS.contains(&key.as_str()) || *value != 0);
    std::fs::write(path, file.to_string()).unwrap();
}

/// Reads what [`store`] wrote.
pub fn load(path: &std::path::Path) -> rclonepool_core::Result<Config> {
    let failed = |e: serde_json::Error| rclonepool_core::Error::new(rclonepool_core::ErrorKind::Config, e.to_string());
    let mut file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).map_err(failed)?;
    for port in PORTS {
        file.as_object_mut().unwrap().entry(port).or_insert(0.into());
    }
    serde_json::from_value(file).map_err(failed)
}

pub async fn init(config: &Config) {
    Pool::init(config, &OpenOptions::default()).await.unwrap();
}

/// A server that runs, with all of its faces.
pub struct Served {
    pub root: tempfile::TempDir,
    pub server: Option<Server>,
    pub serve: SocketAddr,
    pub api: SocketAddr,
    pub metrics: SocketAddr,
}

impl Served {
    pub async fn new() -> Self {
        Self::with(|_, _| ()).await
    }

    /// With a changed configuration.
    pub async fn with(change: impl FnOnce(&mut Config, &std::path::Path)) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut config = config(root.path());
        init(&config).await;
        change(&mut config, root.path());
        Self::over(root, config).await
    }

    pub async fn over(root: tempfile::TempDir, config: Config) -> Self {
        let main = root.path().join("config.json");
        store(&main, &config);
        let server = Server::builder(config)
            .faces(&[Face::Serve, Face::Api, Face::Metrics])
            .files(Files { main, load: Arc::new(load) })
            .start()
            .await
            .unwrap();
        let of = |face| server.addresses().iter().find(|a| a.face == face).unwrap().address;
        let (serve, api, metrics) = (of(Face::Serve), of(Face::Api), of(Face::Metrics));
        Self { root, server: Some(server), serve, api, metrics }
    }

    pub fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    /// Changes the configuration file.
    pub fn configure(&self, change: impl FnOnce(&mut Config)) {
        let main = self.root.path().join("config.json");
        let mut config = load(&main).unwrap();
        change(&mut config);
        store(&main, &config);
    }

    /// A request to the REST face.
    pub async fn rest(&self, method: &str, path: &str, body: Value) -> Answer {
        rest(self.api, method, path, &[], body).await
    }

    pub async fn put(&self, path: &str, bytes: &[u8]) {
        let answer = send(self.api, "PUT", &format!("/api/v1/files{path}/content"), &[], bytes).await;
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    }

    pub async fn stop(mut self) {
        self.server.take().unwrap().shutdown().await;
    }
}

/// Users for [`Served::with`]: every method, `ann` and `bob` by password; gives back tokens of both.
pub fn users(config: &mut Config) -> (String, String) {
    let all: AuthMethods = serde_json::from_value(json!(["basic", "api_key", "bearer"])).unwrap();
    config.webdav_auth_method = all;
    let mut tokens = Vec::new();
    for name in ["ann", "bob"] {
        config.webdav_users.insert(name.into(), hash_password(&format!("{PASSWORD} {name}")).unwrap());
        let (text, kept) = new_token("test", 0, None, false).unwrap();
        config.users.entry(name.into()).or_default().tokens.push(kept);
        tokens.push(text);
    }
    (tokens.remove(0), tokens.remove(0))
}

pub fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}")))
}

pub fn password_of(name: &str) -> String {
    basic(name, &format!("{PASSWORD} {name}"))
}

/// A configuration of another pool, for a user of one's own.
pub async fn own_pool(root: &std::path::Path, name: &str) -> PathBuf {
    let base = root.join(name);
    let theirs = config(&base);
    init(&theirs).await;
    let path = base.join("config.json");
    std::fs::write(&path, serde_json::to_string(&theirs).unwrap()).unwrap();
    path
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn code(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        self.json()["code"].as_str().unwrap().to_owned()
    }
}

pub async fn rest(at: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let mut headers = headers.to_vec();
    if !body.is_null() {
        headers.push(("Content-Type", "application/json"));
    }
    send(at, method, &format!("/api/v1{path}"), &headers, text.as_bytes()).await
}

pub async fn get(at: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Answer {
    send(at, "GET", path, headers, b"").await
}

pub async fn send(at: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        head += &format!("Host: {at}\r\n");
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() || matches!(method, "PUT" | "POST") {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    raw(at, &[head.as_bytes(), b"\r\n", body].concat()).await
}

/// Sends just these bytes.
pub async fn raw(at: SocketAddr, request: &[u8]) -> Answer {
    let exchange = async {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let mut answer = Vec::new();
        let (_, read) = tokio::join!(writer.write_all(request), reader.read_to_end(&mut answer));
        // A server that refuses a body may close before all of it was sent.
        let _ = read;
        answer
    };
    let answer = tokio::time::timeout(Duration::from_secs(60), exchange).await.expect("an answer within a minute");
    parse(&answer)
}

pub fn parse(answer: &[u8]) -> Answer {
    let at = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let at = at.unwrap_or_else(|| panic!("no head: {:?}", String::from_utf8_lossy(answer)));
    let head = String::from_utf8_lossy(&answer[..at]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let mut body = answer[at + 4..].to_vec();
    if headers.get("transfer-encoding").is_some_and(|encoding| encoding == "chunked") {
        body = unchunked(&body);
    }
    Answer { status, headers, body }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(at) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(&String::from_utf8_lossy(&rest[..at]), 16).unwrap();
        if size == 0 {
            break;
        }
        body.extend_from_slice(&rest[at + 2..at + 2 + size]);
        rest = &rest[at + 4 + size..];
    }
    body
}
