//! A request's body on its way into the pool.

use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::header::EXPECT;
use axum::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use parking_lot::Mutex;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::principal::Room;
use crate::status::{Answer, Refusal};

/// How much of a body is kept in memory, to see whether it is small: small files share chunks when they come together.
const HEAD_BYTES: usize = (1 << 20) + 1;
/// How much of all bodies may be in memory for it; beyond that they are streams at once.
const HEADS_BYTES: usize = 64 << 20;
/// How many pieces of a body wait between the connection and the pool.
const PIECES: usize = 4;
/// A client that sends nothing for so long has gone.
pub(crate) const IDLE: Duration = Duration::from_secs(60);
/// How much is read of a body that is refused, so that the client gets to read why.
const DRAIN_BYTES: usize = 256 << 10;
/// For how long.
const DRAIN: Duration = Duration::from_secs(1);

static HEADS: Semaphore = Semaphore::const_new(HEADS_BYTES);

/// A body that is read under a quota, and not beyond its announced length.
pub(super) struct Incoming {
    stream: BodyDataStream,
    /// How long it is to be.
    announced: Option<u64>,
    received: u64,
    /// What is reserved for it, and how much of that is used up.
    room: Arc<Mutex<Option<Room>>>,
    reserved: u64,
}

/// The beginning of a body.
pub(super) struct Head {
    pub bytes: Bytes,
    /// Whether it is all of it.
    pub is_whole: bool,
    _permits: Vec<SemaphorePermit<'static>>,
}

impl Incoming {
    pub fn new(body: Body, announced: Option<u64>, room: Arc<Mutex<Option<Room>>>) -> Self {
        let stream = body.into_data_stream();
        Self { stream, announced, received: 0, room, reserved: announced.unwrap_or(0) }
    }

    /// The next bytes; `None` at the end, which is where it was announced.
    pub async fn next(&mut self) -> Answer<Option<Bytes>> {
        let broken = |why: String| Refusal::new(StatusCode::BAD_REQUEST, why);
        let next = tokio::time::timeout(IDLE, self.stream.next()).await;
        let next = next.map_err(|_| {
            let seconds = IDLE.as_secs();
            Refusal::new(StatusCode::REQUEST_TIMEOUT, format!("nothing came for {seconds} s; nothing was stored"))
        })?;
        let bytes = match next {
            Some(Ok(bytes)) => bytes,
            Some(Err(error)) => return Err(broken(format!("the upload broke off; nothing was stored: {error}"))),
            None => {
                return match self.announced {
                    Some(announced) if announced != self.received => Err(broken(format!(
                        "{announced} bytes were announced and {} came; nothing was stored",
                        self.received
                    ))),
                    _ => Ok(None),
                };
            }
        };
        self.received += bytes.len() as u64;
        if self.announced.is_some_and(|announced| self.received > announced) {
            return Err(broken("more bytes came than were announced; nothing was stored".into()));
        }
        if self.received > self.reserved {
            if let Some(room) = self.room.lock().as_mut() {
                room.grow(self.received - self.reserved)?;
            }
            self.reserved = self.received;
        }
        Ok(Some(bytes))
    }

    /// Reads the beginning: all of a small body.
    pub async fn head(&mut self) -> Answer<Head> {
        let (mut head, mut permits) = (BytesMut::new(), Vec::new());
        while head.len() < HEAD_BYTES {
            let Some(bytes) = self.next().await? else {
                return Ok(Head { bytes: head.freeze(), is_whole: true, _permits: permits });
            };
            head.extend_from_slice(&bytes);
            match HEADS.try_acquire_many(u32::try_from(bytes.len()).unwrap_or(u32::MAX)) {
                Ok(permit) => permits.push(permit),
                Err(_) => break,
            }
        }
        Ok(Head { bytes: head.freeze(), is_whole: false, _permits: permits })
    }

    /// Reads a little more of what is refused.
    pub async fn drain(self) {
        discard(self.stream).await;
    }
}

/// Reads a little of a body that is refused before it came, so that its client stops sending and hears why. One that
/// waits for leave to send is not asked to.
pub(crate) async fn drain(headers: &HeaderMap, body: Body) {
    if !headers.contains_key(EXPECT) {
        discard(body.into_data_stream()).await;
    }
}

async fn discard(mut stream: BodyDataStream) {
    let mut left = DRAIN_BYTES;
    let all = async {
        while let Some(Ok(bytes)) = stream.next().await {
            left = left.saturating_sub(bytes.len());
            if left == 0 {
                return;
            }
        }
    };
    // Whether it got to the end makes no difference.
    let _ = tokio::time::timeout(DRAIN, all).await;
}

/// Bytes, or the word that these were all.
enum Piece {
    Bytes(Bytes),
    End,
}

/// The connection's end of a body that is stored while it comes. A reader whose feeder goes without a word fails:
/// what broke off must not look like what ended.
pub(super) struct Feeder(Sender<Piece>);

/// The pool's end of it.
pub(super) struct Fed {
    pieces: Receiver<Piece>,
    current: Bytes,
    is_over: bool,
}

/// A pipe that begins with `head`.
pub(super) fn pipe(head: Bytes) -> (Feeder, Fed) {
    let (sender, pieces) = channel(PIECES);
    (Feeder(sender), Fed { pieces, current: head, is_over: false })
}

impl Feeder {
    /// Gives the next bytes, when there is room; whether somebody still wants them.
    pub async fn give(&self, bytes: Bytes) -> bool {
        self.0.send(Piece::Bytes(bytes)).await.is_ok()
    }

    /// Says that these were all.
    pub async fn end(self) {
        // Who does not want them any more says why elsewhere.
        let _ = self.0.send(Piece::End).await;
    }
}

impl Read for Fed {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.current.is_empty() {
            if self.is_over {
                return Ok(0);
            }
            match self.pieces.blocking_recv() {
                Some(Piece::Bytes(bytes)) => self.current = bytes,
                Some(Piece::End) => self.is_over = true,
                None => return Err(std::io::Error::new(ErrorKind::UnexpectedEof, "the upload broke off")),
            }
        }
        let some = self.current.split_to(self.current.len().min(buffer.len()));
        buffer[..some.len()].copy_from_slice(&some);
        Ok(some.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_breaks_off_does_not_end() {
        let (feeder, mut fed) = pipe(Bytes::from_static(b"be"));
        assert!(feeder.give(Bytes::from_static(b"gun")).await);
        drop(feeder);
        let read = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            (fed.read_to_end(&mut all).map_err(|e| e.kind()), all)
        });
        assert_eq!(read.await.unwrap(), (Err(ErrorKind::UnexpectedEof), b"begun".to_vec()));

        let (feeder, mut fed) = pipe(Bytes::new());
        assert!(feeder.give(Bytes::from_static(b"all")).await);
        feeder.end().await;
        let read = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            (fed.read_to_end(&mut all).map_err(|e| e.kind()), all)
        });
        assert_eq!(read.await.unwrap(), (Ok(3), b"all".to_vec()));
    }
}
