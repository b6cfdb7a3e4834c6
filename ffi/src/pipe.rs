//! From a thread that writes to one that reads, a few MiB apart.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// So many bytes wait to be read at most, and one piece more.
const WAITING_BYTES: usize = 4 << 20;
/// Pieces are of this size, so that many small writes cost little.
const PIECE_BYTES: usize = 256 << 10;

#[derive(Default)]
struct State {
    pieces: VecDeque<Vec<u8>>,
    waiting: usize,
    /// How much of the first piece was read.
    read: usize,
    finished: bool,
    broken: bool,
}

/// A bounded pipe.
#[derive(Default)]
pub(crate) struct Pipe {
    state: Mutex<State>,
    moved: Condvar,
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes all of `data`, as fast as it is read; gives back whether anybody still reads.
    pub fn write(&self, data: &[u8]) -> bool {
        for part in data.chunks(PIECE_BYTES) {
            let mut state = self.lock();
            while state.waiting >= WAITING_BYTES && !state.broken {
                state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.broken {
                return false;
            }
            state.waiting += part.len();
            match state.pieces.back_mut().filter(|last| last.len() + part.len() <= PIECE_BYTES) {
                Some(last) => last.extend_from_slice(part),
                None => state.pieces.push_back(part.to_vec()),
            }
            drop(state);
            self.moved.notify_all();
        }
        !self.lock().broken
    }

    /// Nothing more is written: the reader finds the end.
    pub fn finish(&self) {
        self.lock().finished = true;
        self.moved.notify_all();
    }

    /// Nothing more is written or read: the reader finds an error, and so does the writer.
    pub fn break_off(&self) {
        self.lock().broken = true;
        self.moved.notify_all();
    }
}

/// The end of a pipe that is read; the pipe breaks when it is dropped.
pub(crate) struct PipeReader(pub Arc<Pipe>);

impl Drop for PipeReader {
    fn drop(&mut self) {
        self.0.break_off();
    }
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let mut state = self.0.lock();
        while state.pieces.is_empty() && !state.finished && !state.broken {
            state = self.0.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.broken {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the writer gave up"));
        }
        let from = state.read;
        let Some(first) = state.pieces.front() else { return Ok(0) };
        let (length, whole) = (buffer.len().min(first.len() - from), first.len());
        buffer[..length].copy_from_slice(&first[from..from + length]);
        state.read += length;
        state.waiting -= length;
        if state.read == whole {
            state.pieces.pop_front();
            state.read = 0;
        }
        drop(state);
        self.0.moved.notify_all();
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_in_order_and_in_bounds() {
        let pipe = Arc::new(Pipe::default());
        let data: Vec<u8> = (0..10_000_000u32).map(|at| (at % 251) as u8).collect();
        let (writer, expected) = (pipe.clone(), data.clone());
        let thread = std::thread::spawn(move || {
            for part in data.chunks(99_991) {
                assert!(writer.write(part));
                assert!(writer.lock().waiting <= WAITING_BYTES + PIECE_BYTES);
            }
            writer.finish();
        });
        let mut read = Vec::new();
        PipeReader(pipe).read_to_end(&mut read).unwrap();
        thread.join().unwrap();
        assert!(read == expected);
    }

    #[test]
    fn whoever_leaves_wakes_the_other() {
        let pipe = Arc::new(Pipe::default());
        let writer = pipe.clone();
        let thread = std::thread::spawn(move || writer.write(&vec![0; 3 * WAITING_BYTES]));
        let mut reader = PipeReader(pipe.clone());
        let mut buffer = [0; 100];
        assert!(reader.read(&mut buffer).unwrap() > 0);
        drop(reader);
        assert!(!thread.join().unwrap());

        let pipe = Arc::new(Pipe::default());
        let mut reader = PipeReader(pipe.clone());
        let thread = std::thread::spawn(move || reader.read(&mut [0; 10]));
        pipe.break_off();
        assert!(thread.join().unwrap().is_err());
    }
}
