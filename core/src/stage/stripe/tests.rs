use proptest::prelude::*;

use super::*;

fn stream(len: usize) -> Vec<u8> {
    (0..len as u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 53) as u8).collect()
}

/// The shards and checksums of a chunk.
fn encode(layout: Layout, stored: &[u8]) -> (Vec<Vec<u8>>, Vec<Vec<u32>>) {
    let mut encoder = StripeEncoder::new(layout).unwrap();
    let mut shards = vec![Vec::new(); layout.shards()];
    for row in stored.chunks(layout.row_bytes() as usize) {
        let mut last = None;
        for (index, unit) in encoder.row(row).unwrap() {
            assert!(last < Some(index), "units come in index order");
            last = Some(index);
            shards[index].extend_from_slice(unit);
        }
    }
    (shards, encoder.finish())
}

fn unit(layout: &Layout, stored: u64, shards: &[Vec<u8>], index: usize, row: u64) -> Vec<u8> {
    let start = (row * u64::from(layout.unit)) as usize;
    let len = layout.unit_len(stored, index, row) as usize;
    if len == 0 { Vec::new() } else { shards[index][start..start + len].to_vec() }
}

#[test]
fn data_units_are_slices_of_the_row() {
    let layout = Layout { data: 2, parity: 1, copies: 1, unit: 4096 };
    let row = stream(8192);
    let mut encoder = StripeEncoder::new(layout).unwrap();
    let units: Vec<_> = encoder.row(&row).unwrap().collect();
    assert_eq!(units.len(), 3);
    assert!(std::ptr::eq(units[0].1, &row[..4096]) && std::ptr::eq(units[1].1, &row[4096..]));
}

#[test]
fn rows_of_wrong_size_are_refused() {
    let layout = Layout { data: 2, parity: 1, copies: 1, unit: 4096 };
    let mut encoder = StripeEncoder::new(layout).unwrap();
    let mut kind = |len| encoder.row(&stream(len)).map(|units| units.count()).map_err(|error| error.kind());
    assert_eq!(kind(0), Err(ErrorKind::InvalidArgument));
    assert_eq!(kind(8193), Err(ErrorKind::InvalidArgument));
    assert_eq!(kind(8192), Ok(3));
    assert_eq!(kind(10), Ok(2), "a row of one unit and its parity");
    assert_eq!(kind(8192), Err(ErrorKind::InvalidArgument));
    assert_eq!(StripeEncoder::new(Layout { unit: 1, ..layout }).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn bad_units_are_refused() {
    let layout = Layout { data: 2, parity: 1, copies: 1, unit: 4096 };
    let kind = |mut units: Vec<Option<Vec<u8>>>| decode_row(&layout, 8192, 0, &mut units).map_err(|error| error.kind());
    assert_eq!(kind(vec![None, None, Some(vec![0; 4096])]), Err(ErrorKind::Unrecoverable));
    assert_eq!(kind(vec![None, Some(vec![0; 4095]), Some(vec![0; 4096])]), Err(ErrorKind::Corrupt));
    assert_eq!(kind(vec![None, Some(vec![0; 4096])]), Err(ErrorKind::InvalidArgument));
    assert_eq!(kind(vec![None, Some(vec![0; 4096]), Some(vec![0; 4096])]), Ok(()));
    let mut units = vec![Some(vec![0; 4096]); 3];
    assert!(rebuild_row(&layout, 8192, 0, &mut units, &[7]).is_err());
}

/// CRC-32C of 32 zero bytes and of 32 bytes of ones: RFC 3720, appendix B.4.
#[test]
fn the_checksum_is_the_documented_one() {
    assert_eq!(unit_crc(&[0; 32]), 0x8a91_36aa);
    assert_eq!(unit_crc(&[0xff; 32]), 0x62a8_ab43);
}

#[test]
fn a_row_that_ends_early_needs_no_shard_beyond_its_end() {
    // 3 data shards, a last row of one short unit: one unit of the two left is enough.
    let layout = Layout { data: 3, parity: 1, copies: 1, unit: 4096 };
    let stored = stream(3 * 4096 + 100);
    let (shards, _) = encode(layout, &stored);
    let mut units = vec![None, None, None, Some(shards[3][4096..].to_vec())];
    decode_row(&layout, stored.len() as u64, 1, &mut units).unwrap();
    assert_eq!(units[0].as_deref(), Some(&stored[3 * 4096..]));
    assert_eq!(units[2].as_deref(), Some(&[][..]));
}

fn layouts() -> impl Strategy<Value = Layout> {
    let codes = prop::sample::select(vec![(1, 0), (1, 2), (2, 0), (2, 1), (3, 1), (4, 2), (8, 3)]);
    (codes, 1u32..3).prop_map(|((data, parity), units)| Layout { data, parity, copies: 1, unit: units * 4096 })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn shards_have_the_sizes_and_checksums_of_the_layout(layout in layouts(), len in 1usize..150_000) {
        let (shards, crcs) = encode(layout, &stream(len));
        for (index, shard) in shards.iter().enumerate() {
            prop_assert_eq!(shard.len() as u64, layout.shard_size(len as u64, index));
            let expected: Vec<u32> = shard.chunks(layout.unit as usize).map(unit_crc).collect();
            prop_assert_eq!(&crcs[index], &expected);
            prop_assert_eq!(crcs[index].len() as u64, layout.units(len as u64, index));
        }
    }

    #[test]
    fn any_k_shards_give_every_row_back(
        layout in layouts(), len in 1usize..150_000, lost in prop::collection::vec(any::<prop::sample::Index>(), 4),
    ) {
        let stored = stream(len);
        let (shards, _) = encode(layout, &stored);
        let size = len as u64;
        let lost: Vec<usize> =
            lost.iter().take(layout.parity.into()).map(|index| index.index(layout.shards())).collect();
        let mut back = Vec::new();
        for row in 0..layout.rows(size) {
            let whole: Vec<_> = (0..layout.shards()).map(|i| unit(&layout, size, &shards, i, row)).collect();
            let mut units: Vec<Option<Vec<u8>>> =
                whole.iter().enumerate().map(|(i, unit)| (!lost.contains(&i)).then(|| unit.clone())).collect();
            let mut all = units.clone();
            decode_row(&layout, size, row, &mut units).unwrap();
            for unit in &units[..layout.data.into()] {
                back.extend_from_slice(unit.as_ref().unwrap());
            }
            rebuild_row(&layout, size, row, &mut all, &lost).unwrap();
            prop_assert_eq!(all.into_iter().map(Option::unwrap).collect::<Vec<_>>(), whole);
        }
        prop_assert_eq!(back, stored);
    }
}
