//! Where a source is cut into chunks.

use std::fs::File;
use std::io::Read;
use std::num::NonZeroU64;
use std::sync::Arc;

use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::mpsc;

use crate::config::Chunker;
use crate::error::{Error, ErrorKind, Result};
use crate::local;
use crate::pool::Pool;
use crate::pool::download::blocking;
use crate::stage::chunk::content::Cutter;
use crate::stage::chunk::{Span, fixed};

/// How much is read at a time to find boundaries.
const READ_BYTES: usize = 256 << 10;
/// How many chunks are found before somebody asks for them.
const AHEAD: usize = 2;

impl Pool {
    fn longest(&self) -> NonZeroU64 {
        NonZeroU64::new(self.settings.chunk_size).unwrap_or(NonZeroU64::MIN)
    }

    /// The chunks of a file, in their order. Where their ends must be looked for, that runs ahead of who reads them,
    /// by so little that the bytes are still in the system's cache.
    pub(super) fn spans(&self, file: &Arc<File>, size: u64) -> BoxStream<'static, Result<Span>> {
        let longest = self.longest();
        if self.settings.chunker == Chunker::Fixed {
            return stream::iter(fixed(size, longest)).map(Ok).boxed();
        }
        let (file, (sender, receiver)) = (file.clone(), mpsc::channel(AHEAD));
        let failed = sender.clone();
        let search = async move {
            let found = blocking(move || {
                // Nobody listens any more where the upload ended.
                spans_by_content(&file, size, longest, |span| sender.blocking_send(Ok(span)).is_ok())
            });
            if let Err(error) = found.await {
                drop(failed.send(Err(error)).await);
            }
        };
        tokio::spawn(search);
        stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) }).boxed()
    }

    /// A stream, to be read chunk by chunk.
    pub(super) fn cut(&self, reader: Box<dyn Read + Send>) -> Cut {
        let cutter = (self.settings.chunker == Chunker::FastCdc).then(|| Cutter::new(self.longest()));
        Cut { reader, cutter, buffer: Vec::new(), at: 0, end: None, is_over: false }
    }
}

/// Tells the chunks of a file as they are found, while `tell` says that somebody wants them.
fn spans_by_content(file: &File, size: u64, longest: NonZeroU64, tell: impl Fn(Span) -> bool) -> Result<()> {
    let mut cutter = Cutter::new(longest);
    let mut buffer = vec![0; READ_BYTES];
    let (mut offset, mut at) = (0, 0);
    while at < size {
        let idle = cutter.idle().min(size - at);
        cutter.skip(idle);
        at += idle;
        let most = usize::try_from(size - at).map_or(buffer.len(), |left| left.min(buffer.len()));
        let read = local::read_at(file, at, &mut buffer[..most]).map_err(|e| Error::io("cannot read the source", e))?;
        if read == 0 && at < size {
            return Err(Error::new(ErrorKind::SourceChanged, "the file became shorter while it was read"));
        }
        let end = cutter.push(&buffer[..read]);
        at += end.unwrap_or(read) as u64;
        if end.is_some() {
            if !tell(Span { offset, length: at - offset }) {
                return Ok(());
            }
            offset = at;
        }
    }
    if offset < size {
        tell(Span { offset, length: size - offset });
    }
    Ok(())
}

/// A stream that ends with each chunk, until the next one is begun.
pub(super) struct Cut {
    reader: Box<dyn Read + Send>,
    /// None for chunks that all have the same length: who reads them counts.
    cutter: Option<Cutter>,
    /// Read, and given away up to `at`.
    buffer: Vec<u8>,
    at: usize,
    /// Where in the buffer the chunk ends, as far as that is known.
    end: Option<usize>,
    is_over: bool,
}

impl Cut {
    /// Goes on with the next chunk.
    pub fn begin_chunk(&mut self) {
        if std::mem::take(&mut self.is_over)
            && let Some(cutter) = &mut self.cutter
        {
            self.end = cutter.push(&self.buffer[self.at..]).map(|n| self.at + n);
        }
    }
}

impl Read for Cut {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let Some(cutter) = &mut self.cutter else { return self.reader.read(into) };
        if self.is_over {
            return Ok(0);
        }
        if self.at == self.buffer.len() {
            self.buffer.resize(READ_BYTES, 0);
            let read = self.reader.read(&mut self.buffer);
            self.buffer.truncate(*read.as_ref().unwrap_or(&0));
            self.at = 0;
            read?;
            self.end = cutter.push(&self.buffer);
        }
        let end = self.end.unwrap_or(self.buffer.len());
        let length = into.len().min(end - self.at);
        into[..length].copy_from_slice(&self.buffer[self.at..self.at + length]);
        self.at += length;
        self.is_over = self.end == Some(self.at);
        Ok(length)
    }
}
