//! Reed-Solomon: any k of the k + m units of a row give back the others.
//!
//! The code is exactly that of FORMAT.md, so that an independent reader can rebuild it: GF(2^8) with
//! the polynomial 0x11d and generator 2, coding matrix V · T⁻¹ where V is the (k + m) × k Vandermonde
//! matrix V\[r\]\[c\] = r^c and T its top k × k square. The matrix and the field come from
//! `reed-solomon-erasure`; the solving of the missing rows is here, because the library's own wants
//! equal lengths and mutable survivors, and rebuilds everything or nothing.
//! Source: J. S. Plank, "A Tutorial on Reed-Solomon Coding for Fault-Tolerance in RAID-like Systems",
//! with the correction of 2003.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use reed_solomon_erasure::galois_8::{self, ReedSolomon};

use crate::error::{Error, ErrorKind, Result};

/// Bytes of every unit worked on at a time, so that the survivors' strips are still in cache when the
/// next output needs them. By `benches/stages.rs` (EPYC, 1 MiB of L2) all sizes from 1 KiB to 1 MiB
/// are within 5 % of each other: the library's table kernel is the limit, not memory. The size stays
/// small for CPUs with less cache and kernels with more speed.
pub const STRIP_BYTES: usize = 16 << 10;

/// The code of one (k, m). Cheap to get: the matrix is made once and shared.
#[derive(Debug)]
pub struct Erasure {
    data: usize,
    parity: usize,
    /// The m × k lower part of the coding matrix, row by row.
    rows: Vec<u8>,
}

/// Codes made so far. They depend on nothing but their key; dropping them costs time only.
static CODES: LazyLock<Mutex<Codes>> = LazyLock::new(Mutex::default);
type Codes = HashMap<(usize, usize), Arc<Erasure>>;
/// A pool uses a handful of codes; a hostile manifest must not fill the memory with others.
const KEPT_CODES: usize = 64;

impl Erasure {
    /// The code with `data` (k, at least 1) data and `parity` (m, may be 0) parity units a row, at
    /// most 256 together.
    ///
    /// # Errors
    /// `InvalidArgument`: no such code.
    pub fn new(data: usize, parity: usize) -> Result<Arc<Self>> {
        let known = |codes: &Codes| codes.get(&(data, parity)).cloned();
        if let Some(code) = known(&CODES.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(code);
        }
        let code = Arc::new(Self { data, parity, rows: coding_rows(data, parity)? });
        let mut codes = CODES.lock().unwrap_or_else(PoisonError::into_inner);
        if codes.len() >= KEPT_CODES {
            codes.clear();
        }
        codes.insert((data, parity), code.clone());
        Ok(code)
    }

    /// Computes the parity units of a row.
    ///
    /// `data` are its data units in order; a short or absent one counts as padded with zeros. Each
    /// buffer of `parity` is filled: make it as long as the longest data unit.
    ///
    /// # Errors
    /// `InvalidArgument`: more than k data units, not m buffers, or a buffer shorter than a unit.
    pub fn encode<D: AsRef<[u8]>, P: AsMut<[u8]>>(&self, data: &[D], parity: &mut [P]) -> Result<()> {
        self.encode_in_strips(data, parity, STRIP_BYTES)
    }

    /// [`encode`](Self::encode) with a strip of another size (at least 1 byte), to measure it.
    #[doc(hidden)]
    pub fn encode_in_strips<D, P>(&self, data: &[D], parity: &mut [P], strip: usize) -> Result<()>
    where
        D: AsRef<[u8]>,
        P: AsMut<[u8]>,
    {
        if data.len() > self.data || parity.len() != self.parity {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("{} data and {} parity units in a {self}", data.len(), parity.len()),
            ));
        }
        let longest = data.iter().map(|unit| unit.as_ref().len()).max().unwrap_or(0);
        if parity.iter_mut().any(|out| out.as_mut().len() < longest) {
            return Err(Error::new(ErrorKind::InvalidArgument, "a parity buffer is shorter than the row's data units"));
        }
        let mut outputs: Vec<&mut [u8]> = parity.iter_mut().map(AsMut::as_mut).collect();
        let inputs: Vec<&[u8]> = data.iter().map(AsRef::as_ref).collect();
        combine(&inputs, &mut outputs, |out, input| self.rows[out * self.data + input], strip);
        Ok(())
    }

    /// Rebuilds units of a row from any k others.
    ///
    /// `units` has an entry per index: the verified unit (a short or empty one counts as padded with
    /// zeros), or none. `wanted` are the indices to rebuild, each with the buffer to fill: as long as
    /// the unit is.
    ///
    /// # Errors
    /// `Unrecoverable`: fewer than k units. `InvalidArgument`: not k + m entries, or no such index.
    pub fn reconstruct<U: AsRef<[u8]>, W: AsMut<[u8]>>(
        &self,
        units: &[Option<U>],
        wanted: &mut [(usize, W)],
    ) -> Result<()> {
        let total = self.data + self.parity;
        if units.len() != total || wanted.iter().any(|(index, _)| *index >= total) {
            return Err(Error::new(ErrorKind::InvalidArgument, format!("units beyond those of a {self}")));
        }
        // Data first: what is there needs no arithmetic.
        let survivors: Vec<usize> = (0..total).filter(|&index| units[index].is_some()).take(self.data).collect();
        if survivors.len() < self.data {
            return Err(Error::new(
                ErrorKind::Unrecoverable,
                format!("{} units of a row are left, {} are needed", survivors.len(), self.data),
            ));
        }
        let solved = self.solve(&survivors)?;
        let weights: Vec<Vec<u8>> = wanted.iter().map(|(index, _)| self.weights(*index, &survivors, &solved)).collect();
        let inputs: Vec<&[u8]> =
            survivors.iter().map(|&index| units[index].as_ref().map_or(&[][..], AsRef::as_ref)).collect();
        let mut outputs: Vec<&mut [u8]> = wanted.iter_mut().map(|(_, out)| out.as_mut()).collect();
        combine(&inputs, &mut outputs, |out, input| weights[out][input], STRIP_BYTES);
        Ok(())
    }

    /// Expresses each missing data unit as a sum over the survivors: (its index, k factors).
    ///
    /// With e data units missing, e of the survivors are parity. Moving the present data to the other
    /// side leaves e equations in e unknowns; eliminating them leaves the factors.
    fn solve(&self, survivors: &[usize]) -> Result<Vec<(usize, Vec<u8>)>> {
        let missing: Vec<usize> = (0..self.data).filter(|index| !survivors.contains(index)).collect();
        let present = self.data - missing.len();
        // Each row: e coefficients of the unknowns, then the k factors over the survivors.
        let mut rows: Vec<(Vec<u8>, Vec<u8>)> = Vec::with_capacity(missing.len());
        for (nth, &parity) in survivors[present..].iter().enumerate() {
            let code = self.parity_row(parity);
            let left = missing.iter().map(|&index| code[index]).collect();
            let mut right: Vec<u8> = survivors[..present].iter().map(|&index| code[index]).collect();
            right.extend((0..missing.len()).map(|other| u8::from(other == nth)));
            rows.push((left, right));
        }
        for column in 0..missing.len() {
            let pivot = (column..rows.len())
                .find(|&row| rows[row].0[column] != 0)
                .ok_or_else(|| Error::new(ErrorKind::Internal, "the coding matrix is singular"))?;
            rows.swap(column, pivot);
            let inverse = galois_8::div(1, rows[column].0[column]);
            scale(&mut rows[column], inverse);
            let pivot = rows[column].clone();
            for (_, row) in rows.iter_mut().enumerate().filter(|(row, _)| *row != column) {
                let factor = row.0[column];
                galois_8::mul_slice_xor(factor, &pivot.0, &mut row.0);
                galois_8::mul_slice_xor(factor, &pivot.1, &mut row.1);
            }
        }
        Ok(missing.into_iter().zip(rows).map(|(index, (_, factors))| (index, factors)).collect())
    }

    /// The factors that make unit `index` out of the survivors.
    fn weights(&self, index: usize, survivors: &[usize], solved: &[(usize, Vec<u8>)]) -> Vec<u8> {
        if let Some(at) = survivors.iter().position(|&survivor| survivor == index) {
            return (0..self.data).map(|other| u8::from(other == at)).collect();
        }
        if let Some((_, factors)) = solved.iter().find(|(missing, _)| *missing == index) {
            return factors.clone();
        }
        // A parity unit: over the data that is there, and over what stands for the data that is not.
        let code = self.parity_row(index);
        let mut weights: Vec<u8> =
            survivors.iter().map(|&survivor| if survivor < self.data { code[survivor] } else { 0 }).collect();
        for (missing, factors) in solved {
            galois_8::mul_slice_xor(code[*missing], factors, &mut weights);
        }
        weights
    }

    fn parity_row(&self, index: usize) -> &[u8] {
        &self.rows[(index - self.data) * self.data..][..self.data]
    }
}

impl std::fmt::Display for Erasure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "row of {} data and {} parity units", self.data, self.parity)
    }
}

/// The lower part of the coding matrix, read off the library's encoder: data unit i = 1 and all
/// others 0 gives column i.
fn coding_rows(data: usize, parity: usize) -> Result<Vec<u8>> {
    let refused = |why: String| Error::new(ErrorKind::InvalidArgument, format!("no erasure code: {why}"));
    if data == 0 || data + parity > 256 {
        return Err(refused(format!("{data} data and {parity} parity shards")));
    }
    if parity == 0 {
        return Ok(Vec::new());
    }
    let library = ReedSolomon::new(data, parity).map_err(|error| refused(error.to_string()))?;
    let identity: Vec<Vec<u8>> = (0..data).map(|unit| (0..data).map(|at| u8::from(at == unit)).collect()).collect();
    let mut rows = vec![vec![0; data]; parity];
    library.encode_sep(&identity, &mut rows).map_err(|error| refused(error.to_string()))?;
    Ok(rows.concat())
}

fn scale(row: &mut (Vec<u8>, Vec<u8>), factor: u8) {
    row.0.iter_mut().chain(row.1.iter_mut()).for_each(|value| *value = galois_8::mul(*value, factor));
}

/// Fills each output with the sum of the inputs times their factors, a strip at a time.
fn combine(inputs: &[&[u8]], outputs: &mut [&mut [u8]], factor: impl Fn(usize, usize) -> u8, strip: usize) {
    let longest = outputs.iter().map(|out| out.len()).max().unwrap_or(0);
    for start in (0..longest).step_by(strip.max(1)) {
        for (nth, out) in outputs.iter_mut().enumerate() {
            let end = out.len().min(start + strip);
            out.get_mut(start..end).unwrap_or_default().fill(0);
            for (input, bytes) in inputs.iter().enumerate() {
                // Beyond its end a short unit is zeros, which add nothing.
                let end = end.min(bytes.len());
                if let (Some(bytes), Some(out)) = (bytes.get(start..end), out.get_mut(start..end)) {
                    add(factor(nth, input), bytes, out);
                }
            }
        }
    }
}

/// `out += factor · bytes`, of equal lengths.
fn add(factor: u8, bytes: &[u8], out: &mut [u8]) {
    match factor {
        0 => {}
        // Common (every single parity over few shards has them), and many times faster than the table.
        1 => out.iter_mut().zip(bytes).for_each(|(out, byte)| *out ^= byte),
        _ => galois_8::mul_slice_xor(factor, bytes, out),
    }
}

#[cfg(test)]
mod tests;
