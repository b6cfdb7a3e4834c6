//! How the bytes of one chunk lie in its shards.
//!
//! The stored stream is cut into units of `unit` bytes; unit j goes to data shard j mod k, as the
//! next unit of that shard. So a *row* (the r-th unit of every shard) is a contiguous run of the
//! stream. A data shard holds just its bytes, no padding. Unit r of every parity shard is the code
//! over row r, its units zero-padded to the length of the first one (no unit of a row is longer), so
//! every parity shard is exactly as long as data shard 0.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// The largest unit, and the unit of all but small chunks: 1 MiB.
pub const MAX_UNIT_BYTES: u32 = 1 << 20;
/// Units are a multiple of this: 4 KiB.
pub const UNIT_STEP_BYTES: u32 = 4 << 10;
/// A chunk of at most this many bytes (64 KiB) is stored in whole copies: splitting it would only
/// cost requests.
pub const WHOLE_BYTES: u32 = 64 << 10;
/// Shards of one chunk: GF(2^8) has no room for more.
pub const MAX_SHARDS: usize = 256;

/// The numbers that say how a chunk is coded. Shards 0..k hold data, k..k+m parity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Layout {
    /// Data shards, k.
    pub data: u8,
    /// Parity shards, m.
    pub parity: u8,
    /// Copies of every shard, c.
    pub copies: u8,
    /// Bytes of a unit.
    pub unit: u32,
}

/// Where one byte of the stored stream lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// The data shard.
    pub index: usize,
    /// The row: which unit of that shard.
    pub row: u64,
    /// Bytes into that unit.
    pub within: u32,
}

impl Layout {
    /// The layout of a new chunk of `stored` bytes under a redundancy of k data and m parity shards
    /// in c copies (0 counts as 1 for k and c).
    ///
    /// - At most 64 KiB: (m + 1) · c whole copies, which survive as many losses.
    /// - k MiB and more: units of 1 MiB.
    /// - Between: units of a k-th, rounded up to 4 KiB, so that a small chunk still draws on all
    ///   remotes. Where the rounding leaves shards without a byte they are left out (k shrinks), so
    ///   that no layout made here has an empty shard: some remotes cannot store empty objects.
    pub fn choose(data: u8, parity: u8, copies: u8, stored: u64) -> Self {
        let (data, copies) = (data.max(1), copies.max(1));
        if stored <= u64::from(WHOLE_BYTES) {
            let copies = (u16::from(parity) + 1) * u16::from(copies);
            return Self { data: 1, parity: 0, copies: u8::try_from(copies).unwrap_or(u8::MAX), unit: WHOLE_BYTES };
        }
        let k = u64::from(data);
        if stored >= k * u64::from(MAX_UNIT_BYTES) {
            return Self { data, parity, copies, unit: MAX_UNIT_BYTES };
        }
        let unit = stored.div_ceil(k).next_multiple_of(u64::from(UNIT_STEP_BYTES));
        let used = stored.div_ceil(unit).min(k);
        Self {
            data: u8::try_from(used).unwrap_or(data),
            parity,
            copies,
            // stored < k MiB, so a k-th of it is at most 1 MiB.
            unit: u32::try_from(unit).unwrap_or(MAX_UNIT_BYTES),
        }
    }

    /// The same with units of at most so many bytes, a multiple of [`UNIT_STEP_BYTES`].
    #[must_use]
    pub fn with_unit_at_most(self, unit: u32) -> Self {
        Self { unit: self.unit.min(unit), ..self }
    }

    /// Whether both survive the same losses in the same way, whatever their units.
    pub fn is_coded_as(&self, other: &Self) -> bool {
        (self.data, self.parity, self.copies) == (other.data, other.parity, other.copies)
    }

    /// Checks numbers that came from elsewhere (a manifest).
    ///
    /// # Errors
    /// `Corrupt`, naming the number.
    pub fn validate(&self) -> Result<()> {
        let bad = |why: String| Err(Error::new(ErrorKind::Corrupt, format!("impossible chunk layout: {why}")));
        if self.data == 0 {
            return bad("no data shard".into());
        }
        if self.shards() > MAX_SHARDS {
            return bad(format!("{} + {} shards, {MAX_SHARDS} are the most", self.data, self.parity));
        }
        if self.copies == 0 {
            return bad("no copy".into());
        }
        if self.unit == 0 || self.unit > MAX_UNIT_BYTES || !self.unit.is_multiple_of(UNIT_STEP_BYTES) {
            return bad(format!(
                "a unit of {} bytes, not a multiple of {UNIT_STEP_BYTES} up to {MAX_UNIT_BYTES}",
                self.unit
            ));
        }
        Ok(())
    }

    /// Shards, not counting copies: k + m.
    pub fn shards(&self) -> usize {
        usize::from(self.data) + usize::from(self.parity)
    }

    /// Objects that hold the chunk: (k + m) · c.
    pub fn objects(&self) -> usize {
        self.shards() * usize::from(self.copies)
    }

    /// How many of those objects, whichever, may be lost: (m + 1) · c - 1.
    pub fn tolerated(&self) -> usize {
        (usize::from(self.parity) + 1) * usize::from(self.copies.max(1)) - 1
    }

    /// Bytes of the stored stream in a full row: k units.
    pub fn row_bytes(&self) -> u64 {
        u64::from(self.data) * u64::from(self.unit)
    }

    /// Rows of a chunk of `stored` bytes.
    pub fn rows(&self, stored: u64) -> u64 {
        stored.div_ceil(self.row_bytes().max(1))
    }

    /// Bytes of the stored stream in this row; 0 where there is no such row.
    pub fn row_len(&self, stored: u64, row: u64) -> u64 {
        let start = row.checked_mul(self.row_bytes());
        start.map_or(0, |start| stored.saturating_sub(start).min(self.row_bytes()))
    }

    /// Bytes of this unit; 0 where there is none.
    pub fn unit_len(&self, stored: u64, index: usize, row: u64) -> u32 {
        if index >= self.shards() {
            return 0;
        }
        let place = if index < usize::from(self.data) { index as u64 } else { 0 };
        let before = place * u64::from(self.unit);
        let len = self.row_len(stored, row).saturating_sub(before).min(u64::from(self.unit));
        u32::try_from(len).unwrap_or(self.unit)
    }

    /// Bytes of a shard; 0 where there is no such shard.
    pub fn shard_size(&self, stored: u64, index: usize) -> u64 {
        let full = stored / self.row_bytes().max(1);
        let whole = if index < self.shards() { full * u64::from(self.unit) } else { 0 };
        whole + u64::from(self.unit_len(stored, index, full))
    }

    /// Units of a shard, and so the number of its checksums.
    pub fn units(&self, stored: u64, index: usize) -> u64 {
        self.shard_size(stored, index).div_ceil(u64::from(self.unit).max(1))
    }

    /// Where the byte at `offset` of the stored stream lies.
    pub fn locate(&self, offset: u64) -> Location {
        let unit = u64::from(self.unit).max(1);
        let data = u64::from(self.data).max(1);
        let nth = offset / unit;
        // Both remainders are smaller than a u8 and a u32.
        Location { index: (nth % data) as usize, row: nth / data, within: (offset % unit) as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    fn layout(data: u8, parity: u8, copies: u8, unit: u32) -> Layout {
        Layout { data, parity, copies, unit }
    }

    #[test]
    fn a_chunk_of_at_most_64_kib_is_stored_whole() {
        assert_eq!(Layout::choose(3, 1, 2, 65_536), layout(1, 0, 4, 65_536));
        assert_eq!(Layout::choose(3, 1, 2, 65_536).tolerated(), layout(3, 1, 2, 4096).tolerated());
        assert_eq!(Layout::choose(3, 1, 1, 0), layout(1, 0, 2, 65_536));
        assert_eq!(Layout::choose(3, 1, 1, 65_537), layout(3, 1, 1, 24_576));
        assert_eq!(Layout::choose(1, 200, 2, 1).copies, 255);
    }

    #[test]
    fn units_are_a_mebibyte_from_k_mebibytes_up() {
        assert_eq!(Layout::choose(3, 1, 1, 3 * MIB).unit, 1 << 20);
        assert_eq!(Layout::choose(3, 1, 1, 3 * MIB - 1).unit, 1 << 20);
        assert_eq!(Layout::choose(3, 1, 1, 3 * MIB - 4096 * 3).unit, (1 << 20) - 4096);
        assert_eq!(Layout::choose(1, 0, 1, 104_857_600), layout(1, 0, 1, 1 << 20));
        assert_eq!(Layout::choose(0, 0, 0, MIB), layout(1, 0, 1, 1 << 20));
    }

    #[test]
    fn a_known_layout() {
        // 10 units and 5 bytes over 3 data shards: 0 3 6 9, 1 4 7 10, 2 5 8.
        let (l, stored) = (layout(3, 2, 1, 4096), 10 * 4096 + 5);
        let sizes: Vec<u64> = (0..6).map(|index| l.shard_size(stored, index)).collect();
        assert_eq!(sizes, [4 * 4096, 3 * 4096 + 5, 3 * 4096, 4 * 4096, 4 * 4096, 0]);
        assert_eq!((l.rows(stored), l.units(stored, 1), l.units(stored, 2)), (4, 4, 3));
        assert_eq!((l.row_len(stored, 2), l.row_len(stored, 3), l.row_len(stored, 4)), (12_288, 4101, 0));
        let last: Vec<u32> = (0..5).map(|index| l.unit_len(stored, index, 3)).collect();
        assert_eq!(last, [4096, 5, 0, 4096, 4096]);
        assert_eq!(l.locate(stored - 1), Location { index: 1, row: 3, within: 4 });
    }

    #[test]
    fn impossible_numbers_are_refused() {
        for bad in [
            layout(0, 1, 1, 4096),
            layout(200, 57, 1, 4096),
            layout(1, 0, 0, 4096),
            layout(1, 0, 1, 0),
            layout(1, 0, 1, 4095),
            layout(1, 0, 1, (1 << 20) + 4096),
        ] {
            assert_eq!(bad.validate().unwrap_err().kind(), ErrorKind::Corrupt, "{bad:?}");
        }
        layout(199, 57, 1, 4096).validate().unwrap();
    }

    #[test]
    fn absurd_numbers_do_not_panic() {
        for l in [layout(0, 0, 0, 0), layout(255, 255, 255, u32::MAX), layout(1, 0, 1, 4096)] {
            for n in [0, 1, u64::MAX / 2, u64::MAX] {
                l.rows(n);
                l.locate(n);
                l.tolerated();
                for index in [0, 1, 255, usize::MAX] {
                    l.units(n, index);
                    l.unit_len(u64::MAX, index, n);
                }
            }
        }
    }

    #[test]
    fn the_json_is_fixed() {
        let json = r#"{"data":3,"parity":1,"copies":1,"unit":1048576}"#;
        let l = Layout::choose(3, 1, 1, 104_857_600);
        assert_eq!(serde_json::to_string(&l).unwrap(), json);
        assert_eq!(serde_json::from_str::<Layout>(json).unwrap(), l);
        assert!(serde_json::from_str::<Layout>(&json.replace(":3", ":300")).is_err());
    }

    proptest! {
        #[test]
        fn a_chosen_layout_is_valid_and_has_no_empty_shard(
            data in 1u8..=128, parity in 0u8..=64, copies in 1u8..4,
            stored in prop_oneof![1u64..400_000, 1u64..300_000_000],
        ) {
            let l = Layout::choose(data, parity, copies, stored);
            l.validate().unwrap();
            prop_assert!((0..l.shards()).all(|index| l.shard_size(stored, index) > 0));
            prop_assert_eq!(l.tolerated(), layout(data, parity, copies, 4096).tolerated());
            // Up to 16 data shards, units this small leave out at most the half of them.
            prop_assert!(data > 16 || stored <= 65_536 || l.data * 2 >= data);
        }

        #[test]
        fn every_byte_has_one_place(data in 1u8..12, parity in 0u8..4, units in 1u32..4, stored in 1u64..200_000) {
            let l = layout(data, parity, 1, units * 4096);
            let k = usize::from(data);
            prop_assert_eq!((0..k).map(|index| l.shard_size(stored, index)).sum::<u64>(), stored);
            prop_assert_eq!((0..l.rows(stored)).map(|row| l.row_len(stored, row)).sum::<u64>(), stored);
            for index in 0..l.shards() {
                let sum: u64 = (0..l.rows(stored)).map(|row| u64::from(l.unit_len(stored, index, row))).sum();
                prop_assert_eq!(l.shard_size(stored, index), sum);
                prop_assert_eq!(l.unit_len(stored, index, l.rows(stored)), 0);
                prop_assert!(index < k || l.shard_size(stored, index) == l.shard_size(stored, 0));
            }
            for offset in (0..stored).step_by(997).chain([stored - 1]) {
                let at = l.locate(offset);
                prop_assert!(at.within < l.unit_len(stored, at.index, at.row));
                let back = at.row * l.row_bytes() + at.index as u64 * u64::from(l.unit) + u64::from(at.within);
                prop_assert_eq!(back, offset);
            }
        }
    }
}
