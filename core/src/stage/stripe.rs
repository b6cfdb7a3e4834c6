//! A chunk's stored stream, row by row, to shards and back.
//!
//! The encoder borrows the caller's row: data units are slices of it, only parity is new memory (m
//! units). A decoder gets units whose checksum was verified ([`unit_crc`]); it never sees others.

use crate::error::{Error, ErrorKind, Result};
use crate::stage::erasure::Erasure;
use crate::stage::layout::Layout;

pub mod crc_list;

/// The checksum of a unit: CRC-32C (Castagnoli; RFC 3720 appendix B.4).
pub fn unit_crc(unit: &[u8]) -> u32 {
    crc32c::crc32c(unit)
}

/// The checksum of a unit that began with bytes of the checksum `before` (0: with none) and goes on with `bytes`.
pub fn unit_crc_of(before: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(before, bytes)
}

/// Turns the rows of one chunk into the units of its shards.
#[derive(Debug)]
pub struct StripeEncoder {
    layout: Layout,
    code: std::sync::Arc<Erasure>,
    parity: Vec<Vec<u8>>,
    crcs: Vec<Vec<u32>>,
    ended: bool,
}

impl StripeEncoder {
    /// Starts a chunk.
    ///
    /// # Errors
    /// `Corrupt`: impossible layout.
    pub fn new(layout: Layout) -> Result<Self> {
        layout.validate()?;
        Ok(Self {
            layout,
            code: Erasure::new(layout.data.into(), layout.parity.into())?,
            parity: vec![Vec::new(); layout.parity.into()],
            crcs: vec![Vec::new(); layout.shards()],
            ended: false,
        })
    }

    /// Takes the next row of the stored stream: k units, fewer bytes only in the last row. Gives the
    /// units to append to the shards, in index order: data, which borrows `stored`, then parity. A
    /// short row leaves out the data shards it does not reach.
    ///
    /// # Errors
    /// `InvalidArgument`: no bytes, more than a row, or a row after a short one.
    pub fn row<'a>(&'a mut self, stored: &'a [u8]) -> Result<impl Iterator<Item = (usize, &'a [u8])> + 'a> {
        let full = self.layout.row_bytes();
        let len = stored.len() as u64;
        if len == 0 || len > full || self.ended {
            let why = if self.ended { "after a short one".into() } else { format!("of {len} bytes, {full} are one") };
            return Err(Error::new(ErrorKind::InvalidArgument, format!("a row {why}")));
        }
        self.ended = len < full;
        let data: Vec<&[u8]> = stored.chunks(self.layout.unit as usize).collect();
        for buffer in &mut self.parity {
            // The first unit is the longest of its row. All of it is written over.
            buffer.resize(data[0].len(), 0);
        }
        self.code.encode(&data, &mut self.parity)?;
        let (k, parity) = (usize::from(self.layout.data), &self.parity);
        let units = || data.iter().copied().enumerate().chain((k..).zip(parity.iter().map(Vec::as_slice)));
        for (index, unit) in units() {
            self.crcs[index].push(unit_crc(unit));
        }
        let parity = (k..).zip(parity.iter().map(Vec::as_slice));
        Ok(data.into_iter().enumerate().chain(parity))
    }

    /// The checksums of every shard's units, by shard index.
    pub fn finish(self) -> Vec<Vec<u32>> {
        self.crcs
    }
}

/// Fills in the missing DATA units of a row; parity stays as it is.
///
/// `units` has an entry per shard index: the verified unit, or none. `stored` is the size of the
/// chunk's stored stream. Data units get the length the layout gives them (none where the row ends
/// before them: those need not be fetched).
///
/// # Errors
/// `Unrecoverable`: fewer than k units. `Corrupt`: a unit of the wrong length. `InvalidArgument`: not
/// k + m entries.
pub fn decode_row<U: AsRef<[u8]> + From<Vec<u8>>>(
    layout: &Layout,
    stored: u64,
    row: u64,
    units: &mut [Option<U>],
) -> Result<()> {
    let data = usize::from(layout.data).min(units.len());
    let missing: Vec<usize> = (0..data).filter(|&index| units[index].is_none()).collect();
    rebuild_row(layout, stored, row, units, &missing)
}

/// Like [`decode_row`], for the shard indices `wanted`, parity too; those present are left alone.
///
/// # Errors
/// As [`decode_row`].
pub fn rebuild_row<U: AsRef<[u8]> + From<Vec<u8>>>(
    layout: &Layout,
    stored: u64,
    row: u64,
    units: &mut [Option<U>],
    wanted: &[usize],
) -> Result<()> {
    if units.len() != layout.shards() {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("{} units in a row over {} shards", units.len(), layout.shards()),
        ));
    }
    for (index, unit) in units.iter_mut().enumerate() {
        let expected = layout.unit_len(stored, index, row) as usize;
        match unit {
            // What the row does not reach is known without a shard: nothing.
            None if expected == 0 => *unit = Some(Vec::new().into()),
            Some(unit) if unit.as_ref().len() != expected => {
                let message =
                    format!("row {row} of shard {index} has {} bytes, {expected} expected", unit.as_ref().len());
                return Err(Error::new(ErrorKind::Corrupt, message));
            }
            _ => {}
        }
    }
    let mut outputs: Vec<(usize, Vec<u8>)> = (wanted.iter().copied())
        .filter(|&index| units.get(index).is_none_or(Option::is_none))
        .map(|index| (index, vec![0; layout.unit_len(stored, index, row) as usize]))
        .collect();
    if outputs.is_empty() {
        return Ok(());
    }
    let code = Erasure::new(layout.data.into(), layout.parity.into())?;
    code.reconstruct(units, &mut outputs)?;
    for (index, unit) in outputs {
        units[index] = Some(unit.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
