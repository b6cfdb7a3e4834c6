//! Buffers for the units that are read, used again.
//!
//! A fresh buffer of a MiB costs a page fault for every 4 KiB of it, and the kernel clears each page: together as
//! much as checking the unit's sum ten times over.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::stage::layout::MAX_UNIT_BYTES;

/// Buffers of one unit that nobody uses.
static FREE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
/// So many are kept: 16 MiB.
const KEPT: usize = 16;

/// An empty buffer with room for the largest unit; it goes back when the last who has its bytes lets go.
pub(crate) struct Buffer(Vec<u8>);

impl Buffer {
    pub fn new() -> Self {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Self(free.unwrap_or_else(|| Vec::with_capacity(MAX_UNIT_BYTES as usize)))
    }

    /// Its bytes.
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl std::ops::Deref for Buffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl std::ops::DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT && self.0.capacity() <= MAX_UNIT_BYTES as usize {
            let mut buffer = std::mem::take(&mut self.0);
            buffer.clear();
            free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_empty_when_the_last_slice_of_it_is_gone() {
        let mut buffer = Buffer::new();
        buffer.extend_from_slice(b"some bytes");
        let bytes = buffer.freeze();
        let slice = bytes.slice(5..);
        drop(bytes);
        assert_eq!(slice, "bytes");
        drop(slice);
        let buffers: Vec<Buffer> = (0..2 * KEPT).map(|_| Buffer::new()).collect();
        assert!(buffers.iter().all(|buffer| buffer.is_empty() && buffer.capacity() >= MAX_UNIT_BYTES as usize));
        drop(buffers);
        assert!(FREE.lock().unwrap().len() <= KEPT);
    }
}
