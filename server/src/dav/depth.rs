//! The `Depth` header.

use axum::http::{HeaderMap, StatusCode};

use crate::status::{Answer, Refusal};

/// How far below a directory a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Itself.
    Zero,
    /// What lies in it.
    One,
    /// All below it.
    Infinity,
}

impl Depth {
    /// Reads the header; `None` where there is none.
    ///
    /// # Errors
    /// 400 for any other text.
    pub fn of(headers: &HeaderMap) -> Answer<Option<Self>> {
        let Some(value) = headers.get("depth") else { return Ok(None) };
        match value.as_bytes().trim_ascii().to_ascii_lowercase().as_slice() {
            b"0" => Ok(Some(Self::Zero)),
            // Without the directory itself is Microsoft's invention; no client minds it.
            b"1" | b"1,noroot" => Ok(Some(Self::One)),
            b"infinity" | b"infinity,noroot" => Ok(Some(Self::Infinity)),
            _ => Err(Refusal::new(StatusCode::BAD_REQUEST, "the header Depth is none of 0, 1 and infinity")),
        }
    }
}
