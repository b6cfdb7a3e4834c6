//! Chunks that end where the content says so: what is inserted in a file moves the boundaries around it, and none
//! behind them.
//!
//! FastCDC with normalized chunking (Xia et al., "FastCDC: a Fast and Efficient Content-Defined Chunking Approach for
//! Data Deduplication", USENIX ATC 2016; "The Design of Fast Content-Defined Chunking for Data Deduplication Based
//! Storage Systems", IEEE TPDS 2020), with a table of our own. With `chunk_size` = M the longest chunk, the average A
//! is the greatest power of two that is at most M / 4, and the shortest m = A / 4 (A at least 1).
//!
//! - The table G has 256 numbers of 64 bits: the first 256 outputs of SplitMix64 (Steele, Lea, Flood: "Fast splittable
//!   pseudorandom number generators", 2014) begun with 0, in their order.
//! - The hash of a byte is h = Σ `G[bᵢ]` · 2^i (mod 2^64) over the bytes from it backwards, so over the last 64 of them;
//!   rolled, `h = 2 · h + G[b]`.
//! - A chunk of n bytes ends behind its byte n when n > m and the topmost log₂A + 2 bits of h are zeros, for n > A
//!   the topmost log₂A − 2 (at least 0) bits; or when n = M. The hash begins 64 bytes before the first byte that is
//!   asked, or with the chunk, whichever is later.
//!
//! The topmost bits hang on all 64 bytes, which the paper's spread masks are to achieve.

use std::num::NonZeroU64;

use super::{Boundaries, Chunker};
use crate::error::Result;

/// Bytes the hash hangs on.
const WINDOW: u64 = 64;
/// By how many bits boundaries are rarer before the average, and likelier behind it.
const NORMALIZATION: u32 = 2;

const GEAR: [u64; 256] = gear();

const fn gear() -> [u64; 256] {
    let (mut table, mut state, mut n) = ([0; 256], 0u64, 0);
    while n < table.len() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        table[n] = z ^ (z >> 31);
        n += 1;
    }
    table
}

/// How long chunks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lengths {
    /// Chunks are longer than this, but for the last one of a file.
    pub least: u64,
    /// About the average; a power of two.
    pub average: u64,
    /// No chunk is longer.
    pub most: u64,
}

impl Lengths {
    /// The lengths where no chunk is longer than `chunk_size`.
    pub fn of(chunk_size: NonZeroU64) -> Self {
        let most = chunk_size.get();
        let average = 1 << (most / 4).max(1).ilog2();
        Self { least: average / 4, average, most }
    }
}

/// Finds where chunks end in bytes that come in pieces of any length.
#[derive(Debug, Clone)]
pub struct Cutter {
    lengths: Lengths,
    /// A boundary's hash is at most this, before the average and behind it.
    strict: u64,
    loose: u64,
    /// Bytes of the present chunk so far, and their hash.
    taken: u64,
    hash: u64,
}

impl Cutter {
    /// Begins with a chunk's first byte.
    pub fn new(chunk_size: NonZeroU64) -> Self {
        let lengths = Lengths::of(chunk_size);
        let bits = lengths.average.ilog2();
        let limit = |bits: u32| u64::MAX.checked_shr(bits).unwrap_or(0);
        let (strict, loose) = (limit(bits + NORMALIZATION), limit(bits.saturating_sub(NORMALIZATION)));
        Self { lengths, strict, loose, taken: 0, hash: 0 }
    }

    /// How many of the next bytes do not matter.
    pub fn idle(&self) -> u64 {
        self.lengths.least.saturating_sub(WINDOW).saturating_sub(self.taken)
    }

    /// Takes so many bytes that do not matter as read; at most [`Cutter::idle`].
    pub fn skip(&mut self, bytes: u64) {
        self.taken += bytes.min(self.idle());
    }

    /// Takes the next bytes. Where the chunk ends among them, gives back after how many of them: the rest is not
    /// taken, and belongs to the next chunk.
    pub fn push(&mut self, bytes: &[u8]) -> Option<usize> {
        let Lengths { least, average, most } = self.lengths;
        let taken = self.taken;
        let at = |n: u64| usize::try_from(n.saturating_sub(taken)).unwrap_or(usize::MAX).min(bytes.len());
        let (first, least, average, end) = (at(least.saturating_sub(WINDOW)), at(least), at(average), at(most));
        for byte in &bytes[first..least] {
            self.hash = roll(self.hash, *byte);
        }
        let found = self.find(&bytes[least..average], self.strict).map(|n| least + n);
        let found = found.or_else(|| self.find(&bytes[average..end], self.loose).map(|n| average + n));
        self.taken += found.unwrap_or(end) as u64;
        let ends = found.or((self.taken == most).then_some(end));
        if ends.is_some() {
            (self.taken, self.hash) = (0, 0);
        }
        ends
    }

    /// Behind which byte the hash is at most `limit`.
    fn find(&mut self, bytes: &[u8], limit: u64) -> Option<usize> {
        let mut hash = self.hash;
        let found = bytes.iter().position(|byte| {
            hash = roll(hash, *byte);
            hash <= limit
        });
        self.hash = hash;
        found.map(|n| n + 1)
    }
}

/// This way of cutting.
#[derive(Debug, Clone, Copy)]
pub struct FastCdc;

impl Chunker for FastCdc {
    fn average(&self, longest: NonZeroU64) -> u64 {
        Lengths::of(longest).average
    }

    fn begin(&self, longest: NonZeroU64) -> Box<dyn Boundaries> {
        Box::new(Cutter::new(longest))
    }
}

impl Boundaries for Cutter {
    fn idle(&self) -> u64 {
        Self::idle(self)
    }

    fn skip(&mut self, bytes: u64) {
        Self::skip(self, bytes);
    }

    fn push(&mut self, bytes: &[u8]) -> Result<Option<usize>> {
        Ok(Self::push(self, bytes))
    }
}

#[inline]
fn roll(hash: u64, byte: u8) -> u64 {
    (hash << 1).wrapping_add(GEAR[usize::from(byte)])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn random(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed;
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            bytes.push((state >> 33) as u8);
        }
        bytes
    }

    fn cut(bytes: &[u8], chunk_size: u64, pieces: usize) -> Vec<usize> {
        let mut cutter = Cutter::new(NonZeroU64::new(chunk_size).unwrap());
        let (mut lengths, mut length) = (Vec::new(), 0);
        for mut piece in bytes.chunks(pieces) {
            while let Some(end) = cutter.push(piece) {
                lengths.push(length + end);
                (length, piece) = (0, &piece[end..]);
            }
            length += piece.len();
        }
        lengths.extend((length > 0).then_some(length));
        lengths
    }

    /// What the module's text says, word by word.
    fn defined(bytes: &[u8], chunk_size: u64) -> Vec<usize> {
        let mut average = 1u64;
        while average * 2 <= chunk_size / 4 {
            average *= 2;
        }
        let (least, bits) = (average / 4, average.trailing_zeros());
        let (mut lengths, mut start) = (Vec::new(), 0);
        while start < bytes.len() {
            let chunk = &bytes[start..];
            let ends = |n: usize| {
                let (count, from) = (n as u64, (least as usize).saturating_sub(64));
                let hash = (from..n)
                    .rev()
                    .take(64)
                    .enumerate()
                    .fold(0u64, |sum, (i, at)| sum.wrapping_add(GEAR[chunk[at] as usize].wrapping_shl(i as u32)));
                let zeros = if count > average { bits.saturating_sub(2) } else { bits + 2 };
                count == chunk_size || count > least && hash.leading_zeros() >= zeros
            };
            let length = (1..=chunk.len()).find(|n| ends(*n)).unwrap_or(chunk.len());
            lengths.push(length);
            start += length;
        }
        lengths
    }

    #[test]
    fn the_table_is_splitmix64() {
        // The reference implementation's first numbers (Vigna, splitmix64.c).
        assert_eq!(GEAR[..3], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f]);
        assert_eq!(GEAR.iter().collect::<BTreeSet<_>>().len(), 256);
    }

    #[test]
    fn lengths_follow_from_the_chunk_size() {
        let lengths = |most| Lengths::of(NonZeroU64::new(most).unwrap());
        let mib = 1 << 20;
        assert_eq!(lengths(100 * mib), Lengths { least: 4 * mib, average: 16 * mib, most: 100 * mib });
        assert_eq!(lengths(65_536), Lengths { least: 4096, average: 16_384, most: 65_536 });
        assert_eq!(lengths(1), Lengths { least: 0, average: 1, most: 1 });
    }

    #[test]
    fn no_content_means_the_longest_chunks() {
        assert_eq!(cut(&vec![7; 300_000], 65_536, 4096)[..4], [65_536; 4]);
    }

    /// As many as the normalization makes of random bytes: few are cut short, few run to the end.
    #[test]
    fn chunks_are_about_the_average() {
        let lengths = cut(&random(1, 32 << 20), 65_536, 1 << 20);
        let (count, most) = (lengths.len(), lengths.iter().filter(|length| **length == 65_536).count());
        assert!((1600..2200).contains(&count), "{count} chunks of 32 MiB at 16 KiB");
        assert!(most * 100 < count, "{most} of {count} were cut at the limit");
    }

    #[test]
    fn an_insertion_moves_boundaries_around_it_only() {
        let old = random(2, 8 << 20);
        let ends = |bytes: &[u8]| -> BTreeSet<usize> {
            let mut at = 0;
            cut(bytes, 65_536, 1 << 20)
                .iter()
                .map(|length| {
                    at += length;
                    bytes.len() - at
                })
                .collect()
        };
        for at in [0, 1, 100_000, 4 << 20] {
            let mut new = old.clone();
            new.splice(at..at, *b"inserted");
            let (before, after) = (ends(&old), ends(&new));
            let behind = |ends: &BTreeSet<usize>| ends.range(..old.len() - at).copied().collect::<BTreeSet<_>>();
            let lost = behind(&before).difference(&behind(&after)).count();
            assert!(lost <= 3, "{lost} boundaries moved behind {at}");
        }
    }

    proptest! {
        #[test]
        fn it_is_what_is_defined(
            seed: u64, length in 0usize..20_000, chunk_size in 1u64..6000, pieces in 1usize..3000, few: bool,
        ) {
            let mut bytes = random(seed, length);
            if few {
                bytes.iter_mut().for_each(|byte| *byte &= 1);
            }
            let found = cut(&bytes, chunk_size, pieces);
            prop_assert_eq!(&found, &defined(&bytes, chunk_size));
            prop_assert_eq!(found.iter().sum::<usize>(), length);
            prop_assert!(found.iter().all(|length| *length > 0 && *length as u64 <= chunk_size));
        }

        #[test]
        fn what_does_not_matter_may_be_left_out(seed: u64, chunk_size in 2000u64..6000) {
            let bytes = random(seed, 20_000);
            let mut cutter = Cutter::new(NonZeroU64::new(chunk_size).unwrap());
            let (mut lengths, mut start) = (Vec::new(), 0);
            while start < bytes.len() {
                let idle = (cutter.idle() as usize).min(bytes.len() - start);
                cutter.skip(idle as u64);
                let length = cutter.push(&bytes[start + idle..]).map_or(bytes.len() - start, |n| idle + n);
                lengths.push(length);
                start += length;
            }
            prop_assert_eq!(lengths, cut(&bytes, chunk_size, 777));
        }
    }
}
