//! Where a file is cut into chunks: after so many bytes, or where its content says so ([`content`]).

pub mod content;

use std::num::NonZeroU64;

/// A run of a file's plain bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First byte, from the start of the file.
    pub offset: u64,
    /// Bytes; never 0.
    pub length: u64,
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
