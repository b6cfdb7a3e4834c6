use proptest::prelude::*;
use reed_solomon_erasure::galois_8;

use super::*;

#[test]
fn the_best_comes_first_and_portable_is_always_there() {
    let all: Vec<Kernel> = Kernel::available().collect();
    assert_eq!(all.first(), Some(&Kernel::best()));
    assert_eq!(all.last().unwrap().to_string(), "portable");
    #[cfg(target_arch = "x86_64")]
    assert_eq!(all.iter().any(|kernel| kernel.to_string() == "avx2"), is_x86_feature_detected!("avx2"));
    #[cfg(target_arch = "aarch64")]
    assert_eq!(all[0].to_string(), "neon");
}

#[test]
fn every_product_is_that_of_the_library() {
    let bytes: Vec<u8> = (0..=255).collect();
    for kernel in Kernel::available() {
        for factor in 0..=255 {
            let mut products = [0; 256];
            kernel.multiply_add(factor, &bytes, &mut products);
            for (&byte, &product) in bytes.iter().zip(&products) {
                assert_eq!(product, galois_8::mul(factor, byte), "{factor} · {byte}, {kernel}");
            }
        }
    }
}

/// All short lengths at all places in a vector: nothing is missed, nothing beside it is touched.
#[test]
fn any_length_anywhere() {
    let input: Vec<u8> = (0..300u32).map(|n| (n * 7 + 3) as u8).collect();
    for kernel in Kernel::available() {
        for len in 0..=200 {
            for (from, to) in [(0, 0), (1, 0), (0, 1), (3, 17), (31, 33), (16, 8), (63, 64)] {
                let mut out = [0x5a; 300];
                kernel.multiply_add(0x8e, &input[from..from + len], &mut out[to..to + len]);
                for (at, &byte) in out.iter().enumerate() {
                    let added =
                        if (to..to + len).contains(&at) { galois_8::mul(0x8e, input[from + at - to]) } else { 0 };
                    assert_eq!(byte, 0x5a ^ added, "{len} bytes from {from} to {to}, byte {at}, {kernel}");
                }
            }
        }
    }
}

#[test]
fn of_unequal_lengths_the_shorter_counts() {
    for kernel in Kernel::available() {
        for (input, out) in [(0, 70), (70, 0), (33, 70), (70, 33), (100, 32), (5, 64)] {
            for factor in [0, 1, 2, 255] {
                let mut sum = vec![1; out];
                kernel.multiply_add(factor, &vec![9; input], &mut sum);
                let both = input.min(out);
                assert!(sum[..both].iter().all(|&byte| byte == 1 ^ galois_8::mul(factor, 9)), "{kernel}");
                assert!(sum[both..].iter().all(|&byte| byte == 1), "{kernel}");
            }
        }
    }
}

proptest! {
    #[test]
    fn sums_are_those_of_the_library(
        factor: u8, skip in 0usize..70, input in prop::collection::vec(any::<u8>(), 70..5_000), seed: u8,
    ) {
        let input = &input[skip..];
        let before: Vec<u8> = input.iter().rev().map(|byte| byte.wrapping_add(seed)).collect();
        let mut expected = before.clone();
        galois_8::mul_slice_xor(factor, input, &mut expected);
        for kernel in Kernel::available() {
            let mut out = before.clone();
            kernel.multiply_add(factor, input, &mut out);
            prop_assert_eq!(&out, &expected, "{}", kernel);
        }
    }
}
