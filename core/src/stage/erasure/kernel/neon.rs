//! With NEON.
//!
//! Vectors are loaded from and stored to arrays of just their size, cut off the slices by `as_chunks`,
//! so no pointer is ever outside. Only these loads and stores, and the call of what was detected, are
//! unsafe.

use std::arch::aarch64::*;
use std::arch::is_aarch64_feature_detected;

use super::super::field::PRODUCTS;
use super::portable;

/// Proof that the CPU has the instructions: [`Way::available`] alone makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way(());

impl Way {
    pub fn available() -> impl Iterator<Item = Self> {
        is_aarch64_feature_detected!("neon").then_some(Self(())).into_iter()
    }

    pub fn multiply_add(self, factor: u8, input: &[u8], out: &mut [u8]) {
        // SAFETY: a `Way` exists only where NEON was detected.
        unsafe { neon(factor, input, out) }
    }
}

#[target_feature(enable = "neon")]
fn neon(factor: u8, input: &[u8], out: &mut [u8]) {
    let [low, high] = &PRODUCTS[usize::from(factor)];
    let (low, high, half) = (load(low), load(high), vdupq_n_u8(15));
    let (inputs, input) = input.as_chunks();
    let (outs, out) = out.as_chunks_mut();
    for (input, out) in inputs.iter().zip(outs) {
        let bytes = load(input);
        let low = vqtbl1q_u8(low, vandq_u8(bytes, half));
        let high = vqtbl1q_u8(high, vshrq_n_u8::<4>(bytes));
        store(out, veorq_u8(load(out), veorq_u8(low, high)));
    }
    portable(factor, input, out);
}

#[inline]
#[target_feature(enable = "neon")]
fn load(bytes: &[u8; 16]) -> uint8x16_t {
    // SAFETY: 16 bytes are read of an array of 16; bytes need no alignment.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn store(bytes: &mut [u8; 16], vector: uint8x16_t) {
    // SAFETY: 16 bytes are written of an array of 16; bytes need no alignment.
    unsafe { vst1q_u8(bytes.as_mut_ptr(), vector) }
}
