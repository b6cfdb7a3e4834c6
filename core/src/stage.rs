//! The stages: pure functions of bytes and numbers.
//!
//! In data order: [`chunk`] cuts a file, [`pack`] puts small ones together, [`hash`] names the bytes, [`compress`] makes
//! them fewer, [`transform`] is what plugins do to them, [`layout`] says how a chunk is spread over shards, [`erasure`] computes parity, [`stripe`] does so
//! row by row with a checksum per unit, [`place`] chooses the remotes.
//!
//! A stage does no I/O, knows no clock, no remote and no journal, and names only stages before it;
//! drivers carry the bytes between them. A test holds this.

pub mod chunk;
pub mod compress;
pub mod erasure;
pub mod hash;
pub mod layout;
pub mod pack;
pub mod place;
pub mod stripe;
pub mod transform;
