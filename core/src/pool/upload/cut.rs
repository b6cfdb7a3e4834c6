//! Where a source is cut into chunks.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use futures_util::stream::{self, BoxStream, StreamExt};

use crate::error::{Error, ErrorKind, Result};
use crate::local;
use crate::local::blocking;
use crate::pool::Pool;
use crate::stage::chunk::{Boundaries, Span, fixed};

/// How much is read at a time to find boundaries.
const READ_BYTES: usize = 256 << 10;

impl Pool {
    /// The chunks of a file, in their order. Where their ends must be looked for, that comes just before somebody reads
    /// them: their bytes are still in the system's cache.
    ///
    /// # Errors
    /// Those of [`Pool::chunker`].
    pub(super) fn spans(&self, file: &Arc<File>, size: u64) -> Result<BoxStream<'static, Result<Span>>> {
        let (chunker, longest) = (self.chunker()?, self.longest());
        if chunker.is_fixed() {
            return Ok(stream::iter(fixed(size, longest)).map(Ok).boxed());
        }
        let cutter = chunker.begin(longest);
        let search = Search { file: file.clone(), size, at: 0, cutter, buffer: Vec::new() };
        let next = |search: Search| blocking(move || search.next());
        Ok(stream::try_unfold(search, next).boxed())
    }

    /// A stream, to be read chunk by chunk.
    ///
    /// # Errors
    /// Those of [`Pool::chunker`].
    pub(super) fn cut(&self, reader: Box<dyn Read + Send>) -> Result<Cut> {
        let chunker = self.chunker()?;
        let cutter = (!chunker.is_fixed()).then(|| chunker.begin(self.longest()));
        Ok(Cut { reader, cutter, buffer: Vec::new(), at: 0, end: None, is_over: false })
    }
}

/// A file whose chunks are looked for.
struct Search {
    file: Arc<File>,
    size: u64,
    at: u64,
    cutter: Box<dyn Boundaries>,
    buffer: Vec<u8>,
}

impl Search {
    /// The next chunk.
    ///
    /// # Errors
    /// `SourceChanged` when the file ends too early, and those of reading.
    fn next(mut self) -> Result<Option<(Span, Self)>> {
        self.buffer.resize(READ_BYTES, 0);
        let offset = self.at;
        while self.at < self.size {
            let idle = self.cutter.idle().min(self.size - self.at);
            self.cutter.skip(idle);
            self.at += idle;
            let left = usize::try_from(self.size - self.at).unwrap_or(usize::MAX);
            let buffer = &mut self.buffer[..left.min(READ_BYTES)];
            let read = local::read_at(&self.file, self.at, buffer);
            let read = read.map_err(|e| Error::io("cannot read the source", e))?;
            if read == 0 && left > 0 {
                return Err(Error::new(ErrorKind::SourceChanged, "the file became shorter while it was read"));
            }
            let end = self.cutter.push(&self.buffer[..read])?;
            self.at += end.unwrap_or(read) as u64;
            if end.is_some() {
                break;
            }
        }
        let length = self.at - offset;
        Ok((length > 0).then_some((Span { offset, length }, self)))
    }
}

/// A stream that ends with each chunk, until the next one is begun.
pub(super) struct Cut {
    reader: Box<dyn Read + Send>,
    /// None for chunks that all have the same length: who reads them counts.
    cutter: Option<Box<dyn Boundaries>>,
    /// Read, and given away up to `at`.
    buffer: Vec<u8>,
    at: usize,
    /// Where in the buffer the chunk ends, as far as that is known.
    end: Option<usize>,
    is_over: bool,
}

impl Cut {
    /// Goes on with the next chunk.
    ///
    /// # Errors
    /// Those of who looks for its end.
    pub fn begin_chunk(&mut self) -> Result<()> {
        if std::mem::take(&mut self.is_over)
            && let Some(cutter) = &mut self.cutter
        {
            self.end = cutter.push(&self.buffer[self.at..])?.map(|n| self.at + n);
        }
        Ok(())
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
            self.end = cutter.push(&self.buffer).map_err(std::io::Error::other)?;
        }
        let end = self.end.unwrap_or(self.buffer.len());
        let length = into.len().min(end - self.at);
        into[..length].copy_from_slice(&self.buffer[self.at..self.at + length]);
        self.at += length;
        self.is_over = self.end == Some(self.at);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use super::*;
    use std::num::NonZeroU64;

    use crate::stage::chunk::content::Cutter;
    use crate::testing::fault::SplitMix;

    const LONGEST: NonZeroU64 = NonZeroU64::new(100_000).unwrap();

    fn bytes(length: usize) -> Vec<u8> {
        let mut random = SplitMix(3);
        (0..length).map(|_| random.bits() as u8).collect()
    }

    fn search(file: File, size: u64) -> Search {
        Search { file: Arc::new(file), size, at: 0, cutter: Box::new(Cutter::new(LONGEST)), buffer: Vec::new() }
    }

    fn of_file(bytes: &[u8]) -> Vec<u64> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let (mut search, mut lengths, mut at) = (search(file, bytes.len() as u64), Vec::new(), 0);
        while let Some((Span { offset, length }, rest)) = search.next().unwrap() {
            assert_eq!(offset, at);
            at += length;
            lengths.push(length);
            search = rest;
        }
        assert_eq!(at, bytes.len() as u64);
        lengths
    }

    fn of_stream(bytes: &[u8]) -> Vec<u64> {
        let reader = Box::new(Cursor::new(bytes.to_vec()));
        let mut cut = Cut {
            reader,
            cutter: Some(Box::new(Cutter::new(LONGEST))),
            buffer: Vec::new(),
            at: 0,
            end: None,
            is_over: false,
        };
        let (mut lengths, mut again) = (Vec::new(), Vec::new());
        loop {
            cut.begin_chunk().unwrap();
            let before = again.len();
            cut.read_to_end(&mut again).unwrap();
            if again.len() == before {
                assert!(again == bytes);
                return lengths;
            }
            lengths.push((again.len() - before) as u64);
        }
    }

    #[test]
    fn files_and_streams_are_cut_alike() {
        for length in [0, 1, 6_000, 262_144, 1_000_000] {
            let bytes = bytes(length);
            assert_eq!(of_file(&bytes), of_stream(&bytes), "{length}");
        }
        // A boundary at the very end.
        let bytes = bytes(1_000_000);
        let first = of_file(&bytes)[0] as usize;
        assert_eq!((of_file(&bytes[..first]), of_stream(&bytes[..first])), (vec![first as u64], vec![first as u64]));
    }

    #[test]
    fn a_file_that_gets_shorter_is_noticed() {
        let found = search(tempfile::tempfile().unwrap(), 200_000).next().map(drop);
        assert_eq!(found.unwrap_err().kind(), ErrorKind::SourceChanged);
    }
}
