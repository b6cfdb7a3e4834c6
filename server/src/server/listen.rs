//! Listeners.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use axum::{Router, ServiceExt};
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use hyper_util::rt::TokioTimer;
use rclonepool_core::{Config, Error, ErrorKind, Result};
use tokio_util::task::AbortOnDropHandle;

use super::{Address, Face, Listener, internal};

/// A client has so long to send a request's head.
const HEAD_MAX: Duration = Duration::from_secs(20);
/// and may send so many bytes of it.
const HEAD_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 100;
/// A handshake has so long.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// Host and port of a face, and the keys that say them.
fn place(face: Face, config: &Config) -> (&str, u16, &'static str, &'static str) {
    match face {
        Face::Serve => (&config.webdav_host, config.webdav_port, "webdav_host", "webdav_port"),
        Face::Api => (&config.api_server_host, config.api_server_port, "api_server_host", "api_server_port"),
        Face::Metrics => (&config.metrics_host, config.metrics_port, "metrics_host", "metrics_port"),
    }
}

/// Takes a face's port.
pub async fn bind(face: Face, config: &Config) -> Result<TcpListener> {
    let (host, port, host_key, port_key) = place(face, config);
    let bare = host.trim_matches(['[', ']']);
    let addresses: Vec<SocketAddr> = match bare.parse::<IpAddr>() {
        Ok(ip) => vec![(ip, port).into()],
        Err(_) => tokio::net::lookup_host((bare, port)).await.map(Iterator::collect).unwrap_or_default(),
    };
    if addresses.is_empty() {
        return Err(Error::new(ErrorKind::Config, format!("{host_key}: there is no address of the name {host}")));
    }
    let listener = TcpListener::bind(addresses.as_slice()).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            Error::new(ErrorKind::Busy, format!("{port_key}: port {port} of {host} is taken by another program"))
                .hint(format!("end that program, or set {port_key} to another port"))
        }
        std::io::ErrorKind::AddrNotAvailable => {
            Error::new(ErrorKind::Config, format!("{host_key}: {host} is no address of this machine"))
        }
        _ => Error::io(format!("{port_key}: cannot listen on port {port} of {host}"), error),
    })?;
    listener.set_nonblocking(true).map_err(|e| Error::io("cannot listen", e))?;
    Ok(listener)
}

/// Answers on a listener from now on.
pub fn run(face: Face, listener: TcpListener, router: Router, tls: Option<&RustlsConfig>) -> Result<Listener> {
    let address = listener.local_addr().map_err(|e| Error::io("cannot listen", e))?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{address}");
    let handle = Handle::new();
    let service = ServiceExt::<axum::extract::Request>::into_make_service_with_connect_info::<SocketAddr>(router);
    let failed = |e| internal("cannot listen", e);
    let task = match tls {
        Some(tls) => {
            let mut server =
                axum_server::from_tcp_rustls(listener, tls.clone()).map_err(failed)?.handle(handle.clone());
            limit(server.http_builder());
            let server = server.map(|acceptor| acceptor.handshake_timeout(HANDSHAKE_MAX));
            tokio::spawn(server.serve(service))
        }
        None => {
            let mut server = axum_server::from_tcp(listener).map_err(failed)?.handle(handle.clone());
            limit(server.http_builder());
            tokio::spawn(server.serve(service))
        }
    };
    Ok(Listener { address: Address { face, address, url }, handle, task: AbortOnDropHandle::new(task) })
}

fn limit(builder: &mut hyper_util::server::conn::auto::Builder<hyper_util::rt::TokioExecutor>) {
    let mut http1 = builder.http1();
    http1.timer(TokioTimer::new()).header_read_timeout(HEAD_MAX).max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
}
