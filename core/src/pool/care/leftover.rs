//! What puts that broke off left: some backends, and plain directories, write an object under another name first.

use serde::Serialize;

use crate::id::RemoteId;

/// What is left of a put that broke off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leftover {
    /// Where it lies.
    #[serde(skip)]
    pub id: RemoteId,
    /// The remote's name.
    pub remote: String,
    /// The whole name it lies under.
    pub object: String,
    /// Bytes.
    pub bytes: u64,
    /// How many milliseconds it is left alone at least: it may be a put under way.
    pub left_ms: u64,
}
