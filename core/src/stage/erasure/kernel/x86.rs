//! With AVX2 or SSSE3.
//!
//! GFNI's one instruction for a product was tried: 1.15 to 1.3 times as fast as AVX2, which of a GiB at
//! 4+2 spares a hundredth of a second next to 0.6 s of SHA-256. Not worth a kernel more.
//!
//! Vectors are loaded from and stored to arrays of just their size, cut off the slices by `as_chunks`,
//! so no pointer is ever outside. Only these loads and stores, and the calls of what was detected, are
//! unsafe.

use std::arch::x86_64::*;

use super::super::field::PRODUCTS;
use super::portable;

/// Proof that the CPU has the instructions: [`Way::available`] alone makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way(Set);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    Avx2,
    Ssse3,
}

impl Way {
    pub fn available() -> impl Iterator<Item = Self> {
        let all = [(Set::Avx2, is_x86_feature_detected!("avx2")), (Set::Ssse3, is_x86_feature_detected!("ssse3"))];
        all.into_iter().filter_map(|(set, there)| there.then_some(Self(set)))
    }

    pub fn name(self) -> &'static str {
        match self.0 {
            Set::Avx2 => "avx2",
            Set::Ssse3 => "ssse3",
        }
    }

    pub fn multiply_add(self, factor: u8, input: &[u8], out: &mut [u8]) {
        match self.0 {
            // SAFETY: this way exists only where AVX2 was detected.
            Set::Avx2 => unsafe { avx2(factor, input, out) },
            // SAFETY: this way exists only where SSSE3 was detected.
            Set::Ssse3 => unsafe { ssse3(factor, input, out) },
        }
    }
}

#[target_feature(enable = "avx2")]
fn avx2(factor: u8, input: &[u8], out: &mut [u8]) {
    let [low, high] = &PRODUCTS[usize::from(factor)];
    let low = _mm256_broadcastsi128_si256(load_16(low));
    let high = _mm256_broadcastsi128_si256(load_16(high));
    let half = _mm256_set1_epi8(15);
    let (inputs, input) = input.as_chunks();
    let (outs, out) = out.as_chunks_mut();
    for (input, out) in inputs.iter().zip(outs) {
        let bytes = load_32(input);
        let low = _mm256_shuffle_epi8(low, _mm256_and_si256(bytes, half));
        let high = _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi64::<4>(bytes), half));
        store_32(out, _mm256_xor_si256(load_32(out), _mm256_xor_si256(low, high)));
    }
    portable(factor, input, out);
}

#[target_feature(enable = "ssse3")]
fn ssse3(factor: u8, input: &[u8], out: &mut [u8]) {
    let [low, high] = &PRODUCTS[usize::from(factor)];
    let (low, high, half) = (load_16(low), load_16(high), _mm_set1_epi8(15));
    let (inputs, input) = input.as_chunks();
    let (outs, out) = out.as_chunks_mut();
    for (input, out) in inputs.iter().zip(outs) {
        let bytes = load_16(input);
        let low = _mm_shuffle_epi8(low, _mm_and_si128(bytes, half));
        let high = _mm_shuffle_epi8(high, _mm_and_si128(_mm_srli_epi64::<4>(bytes), half));
        store_16(out, _mm_xor_si128(load_16(out), _mm_xor_si128(low, high)));
    }
    portable(factor, input, out);
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_32(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: 32 bytes are read of an array of 32; the load asks for no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_32(bytes: &mut [u8; 32], vector: __m256i) {
    // SAFETY: 32 bytes are written of an array of 32; the store asks for no alignment.
    unsafe { _mm256_storeu_si256(bytes.as_mut_ptr().cast(), vector) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn load_16(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: 16 bytes are read of an array of 16; the load asks for no alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn store_16(bytes: &mut [u8; 16], vector: __m128i) {
    // SAFETY: 16 bytes are written of an array of 16; the store asks for no alignment.
    unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), vector) }
}
