//! A slow cloud: a proxy in front of an HTTP server that limits bandwidth and requests, delays, and counts.

mod line;
mod requests;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use line::Line;
use requests::Requests;

/// How much is read, paced and passed on at a time: at 4 MB/s a piece takes 4 ms.
const PIECE_BYTES: usize = 16 << 10;
/// How much an idle line may send at once.
const BURST_BYTES: f64 = 64.0 * 1024.0;
/// Pieces on their way, each direction of a connection.
const PIECES_UNDER_WAY: usize = 1024;
/// Round trips before the first byte of a connection: TCP's, and one of TLS 1.3.
const HANDSHAKE_ROUND_TRIPS: u32 = 2;

/// What a cloud does to its clients. The limits are shared by all connections.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Bytes a second, each way; none without a limit.
    pub bytes_per_second: Option<f64>,
    /// A request and its answer spend this on their way, half each.
    pub round_trip: Duration,
    /// Requests a second; more wait. None without a limit.
    pub requests_per_second: Option<f64>,
}

/// What passed through a cloud.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests by method.
    pub requests: BTreeMap<String, u64>,
    /// Bytes from the clients, heads included.
    pub up: u64,
    /// Bytes to the clients, heads included.
    pub down: u64,
}

impl Counts {
    /// Requests of all methods.
    pub fn all(&self) -> u64 {
        self.requests.values().sum()
    }
}

#[derive(Debug)]
struct Shared {
    limits: Limits,
    up: Line,
    down: Line,
    requests: Line,
    /// How many times slower it is than its limits.
    slower: AtomicU32,
    bytes_up: AtomicU64,
    bytes_down: AtomicU64,
    methods: Mutex<BTreeMap<String, u64>>,
}

/// A running proxy; its connections break when it is dropped, and nobody listens any more.
#[derive(Debug)]
pub struct SlowCloud {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Up,
    Down,
}

impl SlowCloud {
    /// Listens on a free port of 127.0.0.1 and passes on to `server`.
    pub async fn before(server: SocketAddr, limits: Limits) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            limits,
            up: Line::new(limits.bytes_per_second, BURST_BYTES),
            down: Line::new(limits.bytes_per_second, BURST_BYTES),
            requests: Line::new(limits.requests_per_second, limits.requests_per_second.unwrap_or_default()),
            slower: AtomicU32::new(1),
            bytes_up: AtomicU64::new(0),
            bytes_down: AtomicU64::new(0),
            methods: Mutex::default(),
        });
        let task = tokio::spawn(listen(listener, server, Arc::clone(&shared))).abort_handle();
        Ok(Self { address, shared, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on everything takes so many times as long.
    pub fn slow_down(&self, times: u32) {
        self.shared.slower.store(times, Relaxed);
    }

    /// What passed since it began.
    pub fn counts(&self) -> Counts {
        Counts {
            requests: self.shared.methods.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            up: self.shared.bytes_up.load(Relaxed),
            down: self.shared.bytes_down.load(Relaxed),
        }
    }

    /// Dies: connections break, new ones are refused.
    pub fn kill(&self) {
        self.task.abort();
    }
}

impl Drop for SlowCloud {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn listen(listener: TcpListener, server: SocketAddr, shared: Arc<Shared>) {
    // Dropped with this task, and the connections with it.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            tokio::time::sleep(shared.limits.round_trip * HANDSHAKE_ROUND_TRIPS).await;
            let Ok(upstream) = TcpStream::connect(server).await else { return };
            let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), upstream.into_split());
            tokio::join!(
                direction(&shared, from_client, to_server, Way::Up),
                direction(&shared, from_server, to_client, Way::Down),
            );
        });
    }
}

/// Carries one direction of a connection to its end.
async fn direction(shared: &Shared, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, way: Way) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES_UNDER_WAY);
    let read = async move {
        let mut requests = Requests::new();
        let mut piece = vec![0; PIECE_BYTES];
        while let Ok(length @ 1..) = from.read(&mut piece).await {
            let bytes = &piece[..length];
            let (line, counter) = match way {
                Way::Up => (&shared.up, &shared.bytes_up),
                Way::Down => (&shared.down, &shared.bytes_down),
            };
            if way == Way::Up {
                for method in requests.feed(bytes) {
                    *shared.methods.lock().unwrap_or_else(PoisonError::into_inner).entry(method).or_default() += 1;
                    shared.requests.pass(1).await;
                }
            }
            let slower = shared.slower.load(Relaxed);
            line.pass(length * slower as usize).await;
            counter.fetch_add(length as u64, Relaxed);
            if sender.send((Instant::now() + shared.limits.round_trip * slower / 2, bytes.to_vec())).await.is_err() {
                break;
            }
        }
    };
    let write = async move {
        while let Some((at, bytes)) = receiver.recv().await {
            tokio::time::sleep_until(at).await;
            if to.write_all(&bytes).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers every request of 100 bytes by 20,000 bytes.
    async fn server() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut request = [0; 100];
                    while client.read_exact(&mut request).await.is_ok() {
                        let _ = client.write_all(&[7; 20_000]).await;
                    }
                });
            }
        });
        address
    }

    fn request() -> Vec<u8> {
        let mut request = b"GET / HTTP/1.1\r\nX: ".to_vec();
        request.resize(96, b'x');
        request.extend(b"\r\n\r\n");
        request
    }

    #[tokio::test]
    async fn it_delays_limits_counts_and_dies() {
        let limits =
            Limits { bytes_per_second: Some(1e6), round_trip: Duration::from_millis(100), requests_per_second: None };
        let cloud = SlowCloud::before(server().await, limits).await.expect("a cloud");
        let mut client = TcpStream::connect(cloud.address()).await.expect("a connection");
        let mut answer = vec![0; 20_000];
        let begin = Instant::now();
        for _ in 0..10 {
            client.write_all(&request()).await.expect("sent");
            client.read_exact(&mut answer).await.expect("answered");
        }
        // Two round trips for the connection, then one and 20 ms of bytes (of which a burst may be gained) each.
        let took = begin.elapsed();
        assert!(took >= Duration::from_millis(1200), "{took:?}");
        let counts = cloud.counts();
        assert_eq!((counts.all(), counts.requests["GET"]), (10, 10));
        assert_eq!((counts.up, counts.down), (1000, 200_000));
        cloud.kill();
        assert!(client.read_exact(&mut answer).await.is_err());
        assert!(TcpStream::connect(cloud.address()).await.is_err());
    }

    #[tokio::test]
    async fn the_sum_of_all_connections_is_limited() {
        let limits = Limits { bytes_per_second: Some(1e6), ..Limits::default() };
        let cloud = SlowCloud::before(server().await, limits).await.expect("a cloud");
        let address = cloud.address();
        let begin = Instant::now();
        let mut clients = JoinSet::new();
        for _ in 0..4 {
            clients.spawn(async move {
                let mut client = TcpStream::connect(address).await.expect("a connection");
                let mut answer = vec![0; 20_000];
                for _ in 0..5 {
                    client.write_all(&request()).await.expect("sent");
                    client.read_exact(&mut answer).await.expect("answered");
                }
            });
        }
        while let Some(client) = clients.join_next().await {
            client.expect("a client that got all");
        }
        // 400 kB less the burst of 65.5 kB at 1 MB/s.
        assert!(begin.elapsed() >= Duration::from_millis(330), "{:?}", begin.elapsed());
    }
}
