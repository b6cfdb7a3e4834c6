//! A pool in memory behind a real socket, and a client that sends exactly what it is told to.
#![allow(dead_code)] // no test binary uses all of it

pub mod clients;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use rclonepool_core::testing::world::World;
use rclonepool_core::{Pool, PoolPath};
use rclonepool_server::Principal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Chunks are small, so that files of some hundred KiB have several.
pub const CHUNK: u64 = 256 << 10;

/// A server for one test.
pub struct Served {
    /// Where it listens.
    pub address: SocketAddr,
    /// The remotes below it.
    pub world: World,
    /// The pool it serves.
    pub pool: Arc<Pool>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A pool of three remotes, one of which may be lost.
pub async fn served() -> Served {
    served_as(|_| {}).await
}

/// As [`served`], for a principal that is changed first.
pub async fn served_as(change: impl FnOnce(&mut Principal)) -> Served {
    let world = World::new(3, "parity:2+1".parse().unwrap(), CHUNK, 1);
    serve(world, change).await
}

/// Serves a pool made in this world.
pub async fn serve(world: World, change: impl FnOnce(&mut Principal)) -> Served {
    let id = world.init().await.unwrap();
    let pool = world.open(id).await.unwrap();
    let mut principal = Principal { name: None, pool: pool.clone(), read_only: false, quota: None };
    change(&mut principal);
    let (address, task) = listen(rclonepool_server::dav::router(), principal).await;
    Served { address, world, pool, task }
}

/// Serves a router to a principal, on a port of its own.
pub async fn listen(router: Router, principal: Principal) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = router.layer(axum::Extension(principal));
    let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, task)
}

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status; 0 when there was no answer.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, without its transfer coding.
    pub body: Vec<u8>,
    /// Whether the body is as long as was announced.
    pub is_whole: bool,
}

impl Answer {
    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn parse(raw: &[u8]) -> Self {
        let mut rest = raw;
        loop {
            let Some(end) = rest.windows(4).position(|w| w == b"\r\n\r\n") else {
                return Self { status: 0, headers: Vec::new(), body: Vec::new(), is_whole: false };
            };
            let head = String::from_utf8_lossy(&rest[..end]).into_owned();
            let mut lines = head.split("\r\n");
            let status = lines.next().and_then(|line| line.get(9..12)).and_then(|s| s.parse().ok()).unwrap_or(0);
            let headers: Vec<(String, String)> = lines
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect();
            rest = &rest[end + 4..];
            if status == 100 {
                continue;
            }
            let mut answer = Self { status, headers, body: Vec::new(), is_whole: true };
            if answer.header("transfer-encoding") == Some("chunked") {
                (answer.body, answer.is_whole) = unchunked(rest);
            } else {
                let announced = answer.header("content-length").and_then(|n| n.parse().ok());
                answer.body = rest.to_vec();
                answer.is_whole = announced.is_none_or(|n: usize| n == rest.len());
            }
            return answer;
        }
    }
}

fn unchunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|w| w == b"\r\n") else { return (body, false) };
        let size = std::str::from_utf8(&rest[..end]).ok().and_then(|s| usize::from_str_radix(s, 16).ok());
        let Some(size) = size else { return (body, false) };
        rest = &rest[end + 2..];
        if size == 0 {
            return (body, true);
        }
        if rest.len() < size + 2 {
            body.extend_from_slice(rest);
            return (body, false);
        }
        body.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
}

/// Sends a request and reads the answer to its end.
pub async fn ask(at: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut connection = begin(at, method, path, headers, body.len()).await;
    // A refusal may come before all was sent.
    let _ = connection.write_all(body).await;
    end(connection).await
}

/// Sends a request's head, with a `Content-Length` unless a header says how long the body is.
pub async fn begin(at: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], length: usize) -> TcpStream {
    let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        head.push_str(&format!("Host: {at}\r\n"));
    }
    let framed =
        |name: &str| name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding");
    if !headers.iter().any(|(name, _)| framed(name)) {
        head.push_str(&format!("Content-Length: {length}\r\n"));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut connection = TcpStream::connect(at).await.unwrap();
    connection.write_all(head.as_bytes()).await.unwrap();
    connection
}

/// Reads an answer to its end.
pub async fn end(mut connection: TcpStream) -> Answer {
    let mut raw = Vec::new();
    // A connection that breaks has said what it said.
    let _ = connection.read_to_end(&mut raw).await;
    Answer::parse(&raw)
}

impl Served {
    /// Sends a request.
    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        ask(self.address, method, path, headers, body).await
    }

    /// A GET of the whole.
    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"").await
    }

    /// A PUT; it must be accepted.
    pub async fn put(&self, path: &str, body: &[u8]) -> Answer {
        let answer = self.ask("PUT", path, &[], body).await;
        assert!(matches!(answer.status, 201 | 204), "{path}: {answer:?}");
        answer
    }

    /// A MKCOL; it must be accepted.
    pub async fn mkcol(&self, path: &str) {
        assert_eq!(self.ask("MKCOL", path, &[], b"").await.status, 201, "{path}");
    }

    /// The names directly in a directory of the pool.
    pub fn names(&self, directory: &str) -> Vec<String> {
        let listed = self.pool.list(&PoolPath::new(directory).unwrap()).unwrap();
        listed.into_iter().map(|listed| listed.path.name().to_owned()).collect()
    }

    /// Its URL.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// Repeatable bytes that do not compress.
pub fn content(seed: u64, size: usize) -> Vec<u8> {
    let mut random = rclonepool_core::testing::fault::SplitMix(seed);
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        bytes.extend_from_slice(&random.bits().to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}
