//! The text form of a shard's checksums: the CRC-32C of every unit, in order, as little-endian
//! `u32`s, in base64 (RFC 4648 section 4, with padding).
//!
//! For records: `#[serde(with = "crate::stage::stripe::crc_list")] crcs: Vec<u32>`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serializer};

use crate::error::{Error, ErrorKind, Result};

/// The text of a list of checksums; of an empty list, the empty text.
pub fn to_text(crcs: &[u32]) -> String {
    let bytes: Vec<u8> = crcs.iter().flat_map(|crc| crc.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

/// Reads what [`to_text`] wrote.
///
/// # Errors
/// `Corrupt`: not base64, or not a whole number of checksums.
pub fn from_text(text: &str) -> Result<Vec<u32>> {
    let bad = |why: &str| Error::new(ErrorKind::Corrupt, format!("not a list of unit checksums: {why}"));
    let bytes = STANDARD.decode(text).map_err(|error| bad(&error.to_string()))?;
    let (words, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(bad(&format!("{} bytes are no whole number of 32-bit values", bytes.len())));
    }
    Ok(words.iter().map(|word| u32::from_le_bytes(*word)).collect())
}

/// For `#[serde(with = …)]`.
pub fn serialize<S: Serializer>(crcs: &[u32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&to_text(crcs))
}

/// For `#[serde(with = …)]`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u32>, D::Error> {
    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
    from_text(&text).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug)]
    struct Record {
        #[serde(with = "super")]
        crcs: Vec<u32>,
    }

    #[test]
    fn the_text_is_fixed() {
        assert_eq!(to_text(&[]), "");
        assert_eq!(to_text(&[1, 0xdead_beef]), "AQAAAO++rd4=");
        let record = Record { crcs: vec![1, 0xdead_beef] };
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(json, r#"{"crcs":"AQAAAO++rd4="}"#);
        assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
    }

    #[test]
    fn malformed_text_is_refused() {
        for text in ["A", "AQAAAO++rd4", "AQAA", "AQAAAO--rd4=", "AQAAAO++rd4=\n", "é"] {
            assert_eq!(from_text(text).unwrap_err().kind(), ErrorKind::Corrupt, "{text}");
        }
        assert!(serde_json::from_str::<Record>(r#"{"crcs":"AQAA"}"#).is_err());
        assert!(serde_json::from_str::<Record>(r#"{"crcs":7}"#).is_err());
    }
}
