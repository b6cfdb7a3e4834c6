//! The inner loop of the code: a strip of bytes times one element of the field, added to another strip.
//!
//! A product with a fixed factor is linear in the bits of the byte, so it is the sum of two looked-up
//! products, one for each half of the byte; tables of 16 entries fit a register, and one instruction
//! looks up 16 or 32 bytes at once.
//! Source: J. S. Plank, K. M. Greenan, E. L. Miller, "Screaming Fast Galois Field Arithmetic Using
//! Intel SIMD Instructions" (FAST 2013).
//!
//! Which instructions there are is asked when the program runs, so binaries stay portable. This is the
//! only place of the crate with unsafe code. The need: with tables in safe Rust (1.5 GiB/s at 4+2, 0.7 at
//! 10+4) parity was dearer than SHA-256 (1.6); vectors are 10 times as fast. docs/performance.md has the
//! figures, `benches/stages.rs` measures them anew.

use std::sync::LazyLock;

use super::field::PRODUCTS;

#[cfg(target_arch = "aarch64")]
#[allow(unsafe_code, reason = "vector loads and stores; instructions that were detected")]
mod neon;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "vector loads and stores; instructions that were detected")]
mod x86;

/// One way to do it. A value is proof that this CPU can: [`Kernel::available`] alone makes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel(Way);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    #[cfg(target_arch = "x86_64")]
    X86(x86::Way),
    #[cfg(target_arch = "aarch64")]
    Neon(neon::Way),
    Portable,
}

/// The fastest here.
static BEST: LazyLock<Kernel> = LazyLock::new(|| Kernel::available().next().unwrap_or(Kernel(Way::Portable)));

impl Kernel {
    /// Those this CPU can run, the fastest first.
    pub fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let vector = x86::Way::available().map(Way::X86);
        #[cfg(target_arch = "aarch64")]
        let vector = neon::Way::available().map(Way::Neon);
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let vector = std::iter::empty();
        vector.chain([Way::Portable]).map(Self)
    }

    /// The fastest this CPU can run.
    pub fn best() -> Self {
        *BEST
    }

    /// `out += factor · input`, byte by byte as far as both reach.
    pub fn multiply_add(self, factor: u8, input: &[u8], out: &mut [u8]) {
        // Cut to one length, so that what is left over after whole vectors is the same of both.
        let both = input.len().min(out.len());
        let (input, out) = (&input[..both], &mut out[..both]);
        match (factor, self.0) {
            (0, _) => {}
            // Common (3+1 has no other factors), and as fast as memory without any help.
            (1, _) => out.iter_mut().zip(input).for_each(|(out, byte)| *out ^= byte),
            #[cfg(target_arch = "x86_64")]
            (_, Way::X86(way)) => way.multiply_add(factor, input, out),
            #[cfg(target_arch = "aarch64")]
            (_, Way::Neon(way)) => way.multiply_add(factor, input, out),
            (_, Way::Portable) => portable(factor, input, out),
        }
    }
}

impl std::fmt::Display for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Way::X86(way) => f.write_str(way.name()),
            #[cfg(target_arch = "aarch64")]
            Way::Neon(_) => f.write_str("neon"),
            Way::Portable => f.write_str("portable"),
        }
    }
}

/// For any CPU, and for what is left over after whole vectors. Written so that the compiler makes
/// vectors of it: for each bit of a byte that is set, the factor times that bit is added.
fn portable(factor: u8, input: &[u8], out: &mut [u8]) {
    let [low, high] = &PRODUCTS[usize::from(factor)];
    let of_bit = [low[1], low[2], low[4], low[8], high[1], high[2], high[4], high[8]];
    for (out, &byte) in out.iter_mut().zip(input) {
        for (bit, product) in of_bit.iter().enumerate() {
            *out ^= if byte & (1 << bit) == 0 { 0 } else { *product };
        }
    }
}

#[cfg(test)]
mod tests;
