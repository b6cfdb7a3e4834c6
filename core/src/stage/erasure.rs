//! Reed-Solomon: any k of the k + m units of a row give back the others.
//!
//! The code is exactly that of FORMAT.md, so that an independent reader can rebuild it: GF(2^8) with
//! the polynomial 0x11d and generator 2, coding matrix V · T⁻¹ where V is the (k + m) × k Vandermonde
//! matrix V\[r\]\[c\] = r^c and T its top k × k square. Tests hold matrix, field and coding against the
//! crate `reed-solomon-erasure`, which is not used itself: its kernel is 2 to 10 times slower without a
//! C compiler and a fixed CPU, and its decoder wants equal lengths and mutable survivors, and rebuilds
//! everything or nothing.
//! Source: J. S. Plank, "A Tutorial on Reed-Solomon Coding for Fault-Tolerance in RAID-like Systems",
//! with the correction of 2003.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use self::field::{inverse, mul};
use self::kernel::Kernel;
use crate::error::{Error, ErrorKind, Result};

mod field;
pub mod kernel;

/// Bytes of every unit worked on at a time, so that strips are still in the first cache when the next
/// output needs them. By `benches/stages.rs` (EPYC with 32 KiB of first cache) 1 to 8 KiB are as good as
/// each other; larger ones are a fifth slower at 4+2, and up to a fifth faster at 10+4, where all waits for
/// memory.
pub const STRIP_BYTES: usize = 4 << 10;

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
        self.encode_with(Kernel::best(), STRIP_BYTES, data, parity)
    }

    /// [`encode`](Self::encode) with another kernel or strip (at least 1 byte), to measure and test them.
    #[doc(hidden)]
    pub fn encode_with<D, P>(&self, kernel: Kernel, strip: usize, data: &[D], parity: &mut [P]) -> Result<()>
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
        combine(kernel, strip, &inputs, &mut outputs, |out, input| self.rows[out * self.data + input]);
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
        self.reconstruct_with(Kernel::best(), units, wanted)
    }

    /// [`reconstruct`](Self::reconstruct) with another kernel, to measure and test it.
    #[doc(hidden)]
    pub fn reconstruct_with<U: AsRef<[u8]>, W: AsMut<[u8]>>(
        &self,
        kernel: Kernel,
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
        combine(kernel, STRIP_BYTES, &inputs, &mut outputs, |out, input| weights[out][input]);
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
            let factor = inverse(rows[column].0[column]);
            scale(&mut rows[column], factor);
            let pivot = rows[column].clone();
            for (_, row) in rows.iter_mut().enumerate().filter(|(row, _)| *row != column) {
                let factor = row.0[column];
                Kernel::best().multiply_add(factor, &pivot.0, &mut row.0);
                Kernel::best().multiply_add(factor, &pivot.1, &mut row.1);
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
            Kernel::best().multiply_add(code[*missing], factors, &mut weights);
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

/// The lower part of the coding matrix.
///
/// T⁻¹ gives the polynomial of degree < k that has the data as its values at 0 to k − 1, V its values
/// at all rows. So the factor of data unit i in row x is that of Lagrange: the product of
/// (x − j) / (i − j) over all j < k but i.
fn coding_rows(data: usize, parity: usize) -> Result<Vec<u8>> {
    if data == 0 || data + parity > 256 {
        let why = format!("no erasure code: {data} data and {parity} parity shards");
        return Err(Error::new(ErrorKind::InvalidArgument, why));
    }
    // Elements of the field are the indices of units: subtracting is XOR. The product over (at − j), j ≠ at:
    let product = |at: usize| (0..data).filter(|&j| j != at).fold(1, |product, j| mul(product, (at ^ j) as u8));
    let below: Vec<u8> = (0..data).map(|unit| inverse(product(unit))).collect();
    let row = |x: usize| {
        let above = product(x);
        let below = &below;
        (0..data).map(move |unit| mul(above, mul(inverse((x ^ unit) as u8), below[unit])))
    };
    Ok((data..data + parity).flat_map(row).collect())
}

fn scale(row: &mut (Vec<u8>, Vec<u8>), factor: u8) {
    row.0.iter_mut().chain(row.1.iter_mut()).for_each(|value| *value = mul(*value, factor));
}

/// Fills each output with the sum of the inputs times their factors, a strip at a time.
fn combine(
    kernel: Kernel,
    strip: usize,
    inputs: &[&[u8]],
    outputs: &mut [&mut [u8]],
    factor: impl Fn(usize, usize) -> u8,
) {
    let longest = outputs.iter().map(|out| out.len()).max().unwrap_or(0);
    for start in (0..longest).step_by(strip.max(1)) {
        for (nth, out) in outputs.iter_mut().enumerate() {
            let end = out.len().min(start + strip);
            out.get_mut(start..end).unwrap_or_default().fill(0);
            for (input, bytes) in inputs.iter().enumerate() {
                // Beyond its end a short unit is zeros, which add nothing.
                let end = end.min(bytes.len());
                if let (Some(bytes), Some(out)) = (bytes.get(start..end), out.get_mut(start..end)) {
                    kernel.multiply_add(factor(nth, input), bytes, out);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
