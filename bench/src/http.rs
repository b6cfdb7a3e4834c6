//! A client of HTTP that costs little beside the servers it measures: one connection, one request after another.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::Result;

/// How long a server may be silent.
const PATIENCE: Duration = Duration::from_secs(120);

/// A connection that is kept.
pub struct Connection {
    stream: BufReader<TcpStream>,
    address: String,
}

/// What stands before a body.
struct Head {
    status: u16,
    /// `None`: the body comes in chunks.
    length: Option<u64>,
}

impl Connection {
    /// Connects to `host:port`.
    ///
    /// # Errors
    /// Those of connecting.
    pub fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::with_capacity(128 << 10, stream), address: address.into() })
    }

    /// Sends a request without a body, or with a short one, and gives the pieces of the answer's body to `take`;
    /// gives back how many bytes that were.
    ///
    /// # Errors
    /// Another status than `expected`; those of the connection and of `take`.
    pub fn ask(
        &mut self,
        request: &str,
        headers: &str,
        body: &str,
        expected: u16,
        take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<u64> {
        let framed = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        self.send(request, &format!("{headers}{framed}"))?;
        self.stream.get_mut().write_all(body.as_bytes())?;
        self.answer(request, &[expected], take)
    }

    /// Sends a file's bytes by PUT.
    ///
    /// # Errors
    /// An answer that is none of success; those of the connection.
    pub fn put(&mut self, path: &str, mut file: &File) -> Result<()> {
        file.rewind()?;
        let length = file.metadata()?.len();
        self.send(&format!("PUT {path}"), &format!("Content-Length: {length}\r\n"))?;
        // From file to connection within the kernel.
        let sent = std::io::copy(&mut file.take(length), self.stream.get_mut())?;
        if sent != length {
            return Err("the file became shorter".into());
        }
        self.answer("PUT", &[200, 201, 204], |_| Ok(())).map(drop)
    }

    /// Makes a WebSocket of it that listens to a topic; it must be kept to keep listening.
    ///
    /// # Errors
    /// A refusal; those of the connection.
    pub fn listen(&mut self, path: &str, topic: &str) -> Result<()> {
        let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        self.send(&format!("GET {path}"), upgrade)?;
        let head = self.head()?;
        if head.status != 101 {
            return Err(format!("{path}: {} instead of a WebSocket", head.status).into());
        }
        let message = format!("{{\"action\":\"subscribe\",\"topic\":\"{topic}\"}}");
        // RFC 6455, 5.2: final text frame, masked (by zeros), of less than 126 bytes.
        let mut frame = vec![0x81, 0x80 | u8::try_from(message.len())?, 0, 0, 0, 0];
        frame.extend_from_slice(message.as_bytes());
        self.stream.get_mut().write_all(&frame)?;
        // There may be a ping before it.
        loop {
            let mut start = [0; 2];
            self.stream.read_exact(&mut start)?;
            let length = match start[1] {
                126 => {
                    let mut length = [0; 2];
                    self.stream.read_exact(&mut length)?;
                    u16::from_be_bytes(length).into()
                }
                127.. => return Err("a frame of a length nobody expects".into()),
                short => usize::from(short),
            };
            let mut said = vec![0; length];
            self.stream.read_exact(&mut said)?;
            match start[0] & 0x0f {
                1 if String::from_utf8_lossy(&said).contains("\"subscribed\"") => return Ok(()),
                8 => return Err("the WebSocket was closed".into()),
                _ => {}
            }
        }
    }

    fn send(&mut self, request: &str, headers: &str) -> Result<()> {
        let head = format!("{request} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", self.address);
        Ok(self.stream.get_mut().write_all(head.as_bytes())?)
    }

    fn head(&mut self) -> Result<Head> {
        let mut head = Head { status: 0, length: None };
        loop {
            let line = self.line()?;
            let line = line.to_ascii_lowercase();
            if line.is_empty() {
                return Ok(head);
            }
            if head.status == 0 {
                head.status = line.split(' ').nth(1).unwrap_or_default().parse()?;
            } else if let Some(length) = line.strip_prefix("content-length:") {
                head.length = Some(length.trim().parse()?);
            }
        }
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err("the server closed the connection".into());
        }
        Ok(line.trim_end().to_owned())
    }

    fn answer(&mut self, what: &str, expected: &[u16], mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<u64> {
        let head = self.head()?;
        if !expected.contains(&head.status) {
            return Err(format!("{what} at {}: {}", self.address, head.status).into());
        }
        if head.status == 204 {
            return Ok(0);
        }
        if let Some(length) = head.length {
            self.body(length, &mut take)?;
            return Ok(length);
        }
        let mut all = 0;
        loop {
            let length = u64::from_str_radix(&self.line()?, 16)?;
            self.body(length, &mut take)?;
            self.line()?;
            all += length;
            if length == 0 {
                return Ok(all);
            }
        }
    }

    fn body(&mut self, length: u64, take: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut left = length;
        while left > 0 {
            let pieces = self.stream.fill_buf()?;
            let some = usize::try_from(left).map_or(pieces.len(), |left| left.min(pieces.len()));
            if some == 0 {
                return Err("the connection broke off".into());
            }
            take(&pieces[..some])?;
            self.stream.consume(some);
            left -= some as u64;
        }
        Ok(())
    }
}
