use proptest::prelude::*;
use reed_solomon_erasure::galois_8::ReedSolomon;

use super::*;

const CODES_TRIED: [(usize, usize); 5] = [(2, 1), (3, 1), (4, 2), (8, 3), (10, 4)];

fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// A row of k units of `len` bytes, the last data units shorter, and its parity.
fn row(k: usize, m: usize, len: usize, seed: u64) -> Vec<Vec<u8>> {
    let mut units: Vec<Vec<u8>> = (0..k).map(|i| bytes(seed + i as u64, len)).collect();
    units[k - 1].truncate(if k > 1 { len / 3 } else { len });
    let mut parity = vec![vec![0xee; len]; m];
    Erasure::new(k, m).unwrap().encode(&units, &mut parity).unwrap();
    units.extend(parity);
    units
}

fn subsets(n: usize, size: usize) -> Vec<Vec<usize>> {
    (0u32..1 << n)
        .filter(|mask| mask.count_ones() as usize == size)
        .map(|mask| (0..n).filter(|i| mask >> i & 1 == 1).collect())
        .collect()
}

fn lose(units: &[Vec<u8>], lost: &[usize]) -> Vec<Option<Vec<u8>>> {
    units.iter().enumerate().map(|(i, unit)| (!lost.contains(&i)).then(|| unit.clone())).collect()
}

#[test]
fn every_loss_within_tolerance_is_rebuilt() {
    for (k, m) in CODES_TRIED {
        let units = row(k, m, 301, 7);
        let code = Erasure::new(k, m).unwrap();
        for size in 0..=m {
            for lost in subsets(k + m, size) {
                for kernel in Kernel::available() {
                    let mut wanted: Vec<_> = lost.iter().map(|&i| (i, vec![0xaa; units[i].len()])).collect();
                    code.reconstruct_with(kernel, &lose(&units, &lost), &mut wanted).unwrap();
                    for (index, unit) in wanted {
                        assert_eq!(unit, units[index], "{k}+{m}, lost {lost:?}, unit {index}, {kernel}");
                    }
                }
            }
        }
    }
}

#[test]
fn one_of_several_lost_can_be_wanted_alone() {
    let units = row(4, 2, 100, 3);
    let code = Erasure::new(4, 2).unwrap();
    for lost in subsets(6, 2) {
        for &index in &lost {
            let mut wanted = [(index, vec![1; units[index].len()])];
            code.reconstruct(&lose(&units, &lost), &mut wanted).unwrap();
            assert_eq!(wanted[0].1, units[index], "lost {lost:?}, wanted {index}");
        }
    }
}

#[test]
fn more_losses_are_unrecoverable() {
    for (k, m) in CODES_TRIED {
        let units = row(k, m, 16, 1);
        for lost in subsets(k + m, m + 1) {
            let result = Erasure::new(k, m).unwrap().reconstruct(&lose(&units, &lost), &mut [(lost[0], [0; 16])]);
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Unrecoverable);
        }
    }
}

/// FORMAT.md, computed by hand from its words: V · T⁻¹ in plain GF(2^8) arithmetic.
#[test]
fn the_matrix_is_the_documented_one() {
    fn mul(mut a: u8, mut b: u8) -> u8 {
        let mut product = 0;
        while b > 0 {
            product ^= if b & 1 == 1 { a } else { 0 };
            a = (a << 1) ^ if a & 0x80 == 0 { 0 } else { 0x1d };
            b >>= 1;
        }
        product
    }
    let power = |base: usize, n: usize| (0..n).fold(1u8, |product, _| mul(product, base as u8));
    for (k, m) in [(1, 3), (2, 1), (3, 1), (4, 2), (10, 4), (40, 16)] {
        let code = Erasure::new(k, m).unwrap();
        // (V · T⁻¹) · T = V is the same claim without an inversion.
        for r in 0..m {
            for c in 0..k {
                let sum = (0..k).fold(0, |sum, i| sum ^ mul(code.rows[r * k + i], power(i, c)));
                assert_eq!(sum, power(k + r, c), "{k}+{m} row {r} column {c}");
            }
        }
    }
}

/// Every (k, m) up to k = 32, and some beyond: the library inverts slowly when it is not optimised. Its rows are read off its encoder: data unit i = 1 and all others 0
/// gives column i. A row is the same whatever m is, so for each k the most parity shows all of them.
#[test]
fn the_matrix_is_that_of_the_library() {
    for k in (1..=32).chain([50, 100, 127, 128, 200, 254, 255]) {
        let most = 256 - k;
        let rows = coding_rows(k, most).unwrap();
        for m in (0..most).step_by(if k <= 10 { 1 } else { 50 }) {
            assert_eq!(coding_rows(k, m).unwrap(), rows[..m * k], "{k}+{m}");
        }
        let identity: Vec<Vec<u8>> = (0..k).map(|unit| (0..k).map(|at| u8::from(at == unit)).collect()).collect();
        let mut library = vec![vec![0; k]; most];
        ReedSolomon::new(k, most).unwrap().encode_sep(&identity, &mut library).unwrap();
        assert_eq!(library.concat(), rows, "{k}+{most}");
    }
}

#[test]
fn without_parity_and_with_one_data_unit() {
    Erasure::new(3, 0).unwrap().encode(&[[1], [2], [3]], &mut [] as &mut [Vec<u8>]).unwrap();
    let mut same = [(1, [0])];
    Erasure::new(2, 0).unwrap().reconstruct(&[Some([5]), Some([6])], &mut same).unwrap();
    assert_eq!(same[0].1, [6]);
    let mut copies = [[0; 3]; 2];
    Erasure::new(1, 2).unwrap().encode(&[b"abc"], &mut copies).unwrap();
    assert_eq!(copies, [*b"abc"; 2]);
    let mut back = [(0, [0; 3])];
    Erasure::new(1, 2).unwrap().reconstruct(&[None, None, Some(b"abc")], &mut back).unwrap();
    assert_eq!(&back[0].1, b"abc");
}

#[test]
fn wrong_shapes_are_refused() {
    let kind = |result: Result<()>| result.unwrap_err().kind();
    for (k, m) in [(0, 1), (200, 57), (257, 0)] {
        assert_eq!(Erasure::new(k, m).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
    let code = Erasure::new(2, 1).unwrap();
    assert_eq!(kind(code.encode(&[[0; 4]; 3], &mut [[0; 4]])), ErrorKind::InvalidArgument);
    assert_eq!(kind(code.encode(&[[0; 4]; 2], &mut [[0; 4]; 2])), ErrorKind::InvalidArgument);
    assert_eq!(kind(code.encode(&[[0; 4]; 2], &mut [[0; 3]])), ErrorKind::InvalidArgument);
    assert_eq!(kind(code.reconstruct(&[Some([0]); 4], &mut [(0, [0])])), ErrorKind::InvalidArgument);
    assert_eq!(kind(code.reconstruct(&[Some([0]); 3], &mut [(3, [0])])), ErrorKind::InvalidArgument);
}

#[test]
fn codes_are_shared_and_bounded() {
    assert!(Arc::ptr_eq(&Erasure::new(5, 3).unwrap(), &Erasure::new(5, 3).unwrap()));
    for parity in 0..200 {
        Erasure::new(2, parity).unwrap();
    }
    assert!(CODES.lock().unwrap().len() <= KEPT_CODES);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn strips_give_what_the_library_gives(
        (k, m) in prop_oneof![prop::sample::select(&CODES_TRIED[..]), (1usize..60, 1usize..20)],
        len in prop_oneof![1usize..200, 1usize..20_000], strip in prop_oneof![1usize..200, 1usize..20_000], seed: u64,
    ) {
        let mut whole: Vec<Vec<u8>> = (0..k).map(|i| bytes(seed.wrapping_add(i as u64), len)).collect();
        let mut parity = vec![vec![0x55; len]; m];
        let data = whole.clone();
        whole.resize(k + m, vec![0; len]);
        ReedSolomon::new(k, m).unwrap().encode(&mut whole).unwrap();
        for kernel in Kernel::available() {
            Erasure::new(k, m).unwrap().encode_with(kernel, strip, &data, &mut parity).unwrap();
            prop_assert_eq!(&whole[k..], &parity[..], "{}", kernel);
        }
    }

    #[test]
    fn any_row_survives_any_loss(
        (k, m) in prop_oneof![prop::sample::select(&CODES_TRIED[..]), (1usize..40, 0usize..12)],
        len in 1usize..20_000, seed: u64, order in any::<prop::sample::Index>(),
    ) {
        let units = row(k, m, len, seed >> 8);
        let lost: Vec<usize> = (0..m).map(|i| (order.index(k + m) + i * 7) % (k + m)).collect();
        let mut wanted: Vec<_> = lost.iter().map(|&i| (i, vec![0; units[i].len()])).collect();
        Erasure::new(k, m).unwrap().reconstruct(&lose(&units, &lost), &mut wanted).unwrap();
        for (index, unit) in wanted {
            prop_assert_eq!(&unit, &units[index]);
        }
    }
}
