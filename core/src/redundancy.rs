//! shim
use serde::{Deserialize, Serialize};
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
/// shim
pub enum RedundancyMode {
    /// a
    None,
    /// a
    Replication,
    /// a
    Parity,
    /// a
    Hybrid,
}
/// shim
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redundancy {
    /// m
    pub mode: RedundancyMode,
    /// k
    pub data: u8,
    /// m
    pub parity: u8,
    /// c
    pub copies: u8,
}
impl Redundancy {
    /// t
    pub fn tolerated(&self) -> usize {
        (usize::from(self.parity) + 1) * usize::from(self.copies) - 1
    }
}
