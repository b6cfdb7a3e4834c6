//! Where a file is cut into chunks: after so many bytes, or where its content says so ([`content`]).

pub mod content;

use std::fmt::Debug;
use std::num::NonZeroU64;

use crate::error::Result;

/// A run of a file's plain bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First byte, from the start of the file.
    pub offset: u64,
    /// Bytes; never 0.
    pub length: u64,
}

/// Says where files are cut.
pub trait Chunker: Send + Sync + Debug {
    /// About how long chunks are, where none is longer than `longest`.
    fn average(&self, longest: NonZeroU64) -> u64;

    /// Whether all chunks but a file's last one are as long as they may be: their bytes need not be looked at.
    fn is_fixed(&self) -> bool {
        false
    }

    /// Begins with a file's first byte.
    fn begin(&self, longest: NonZeroU64) -> Box<dyn Boundaries>;
}

/// Finds where the chunks of one file end, in bytes that come in pieces of any length.
pub trait Boundaries: Send {
    /// How many of the next bytes do not matter.
    fn idle(&self) -> u64 {
        0
    }

    /// Takes so many bytes that do not matter as read; at most [`Boundaries::idle`].
    fn skip(&mut self, _bytes: u64) {}

    /// Takes the next bytes. Where the chunk ends among them, gives back after how many of them: the rest is not
    /// taken, and belongs to the next chunk.
    ///
    /// # Errors
    /// Those of who looks for them.
    fn push(&mut self, bytes: &[u8]) -> Result<Option<usize>>;
}

/// After so many bytes.
#[derive(Debug, Clone, Copy)]
pub struct Fixed;

impl Chunker for Fixed {
    fn average(&self, longest: NonZeroU64) -> u64 {
        longest.get()
    }

    fn is_fixed(&self) -> bool {
        true
    }

    fn begin(&self, longest: NonZeroU64) -> Box<dyn Boundaries> {
        Box::new(Counter { left: longest.get(), longest: longest.get() })
    }
}

struct Counter {
    left: u64,
    longest: u64,
}

impl Boundaries for Counter {
    fn push(&mut self, bytes: &[u8]) -> Result<Option<usize>> {
        let end = usize::try_from(self.left).ok().filter(|left| *left <= bytes.len());
        self.left = if end.is_some() { self.longest } else { self.left - bytes.len() as u64 };
        Ok(end)
    }
}

/// Cuts a file of `size` bytes into chunks of `chunk_size` bytes, the last one shorter; an empty file
/// has none.
pub fn fixed(size: u64, chunk_size: NonZeroU64) -> impl Iterator<Item = Span> + Clone {
    let step = chunk_size.get();
    (0..size.div_ceil(step)).map(move |i| {
        // i * step < size, so neither product nor difference leaves u64.
        let offset = i * step;
        Span { offset, length: step.min(size - offset) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spans(size: u64, chunk_size: u64) -> Vec<(u64, u64)> {
        fixed(size, NonZeroU64::new(chunk_size).unwrap()).map(|s| (s.offset, s.length)).collect()
    }

    #[test]
    fn edges() {
        assert_eq!(spans(0, 10), []);
        assert_eq!(spans(1, 10), [(0, 1)]);
        assert_eq!(spans(10, 10), [(0, 10)]);
        assert_eq!(spans(11, 10), [(0, 10), (10, 1)]);
        assert_eq!(spans(u64::MAX, u64::MAX - 1), [(0, u64::MAX - 1), (u64::MAX - 1, 1)]);
    }

    proptest! {
        #[test]
        fn chunks_cover_the_file_without_gap(size in 0u64..100_000, chunk_size in 1u64..5_000) {
            let mut next = 0;
            for span in fixed(size, NonZeroU64::new(chunk_size).unwrap()) {
                prop_assert_eq!(span.offset, next);
                prop_assert!(span.length > 0 && span.length <= chunk_size);
                next += span.length;
            }
            prop_assert_eq!(next, size);
        }
    }
}
