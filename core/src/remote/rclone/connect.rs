//! Connections to rclone's remote control: a unix socket, or a port of the loopback interface.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Where rclone listens.
#[derive(Debug, Clone)]
pub(super) enum Address {
    /// A unix socket.
    #[cfg_attr(not(unix), allow(dead_code, reason = "there are none here"))]
    Socket(PathBuf),
    /// A port of 127.0.0.1.
    Port(u16),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Address {
    async fn open(&self) -> std::io::Result<Box<dyn Stream>> {
        Ok(match self {
            #[cfg(unix)]
            Self::Socket(path) => Box::new(tokio::net::UnixStream::connect(path).await?),
            #[cfg(not(unix))]
            Self::Socket(_) => return Err(std::io::ErrorKind::Unsupported.into()),
            Self::Port(port) => {
                let stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, *port))).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
        })
    }

    /// Whether somebody listens there.
    pub async fn answers(&self) -> bool {
        self.open().await.is_ok()
    }
}

/// Opens connections for hyper's client, whatever the URI says.
#[derive(Debug, Clone)]
pub(super) struct Connector(pub Address);

impl tower_service::Service<Uri> for Connector {
    type Response = Wire;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Wire>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let address = self.0.clone();
        Box::pin(async move { Ok(Wire(TokioIo::new(address.open().await?))) })
    }
}

/// A connection.
pub(super) struct Wire(TokioIo<Box<dyn Stream>>);

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: ReadBufCursor<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl Write for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
