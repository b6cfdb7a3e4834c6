//! shim
use serde::{Deserialize, Serialize};
/// shim
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// k
    pub data: u8,
    /// m
    pub parity: u8,
    /// c
    pub copies: u8,
    /// u
    pub unit: u32,
}
impl Layout {
    /// v
    pub fn validate(&self) -> crate::Result<()> {
        Ok(())
    }
    /// u
    pub fn units(&self, stored: u64, _index: usize) -> u64 {
        stored.div_ceil(u64::from(self.unit))
    }
    /// s
    pub fn shard_size(&self, stored: u64, _index: usize) -> u64 {
        stored
    }
}
