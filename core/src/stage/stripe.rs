//! shim
/// crc
pub mod crc_list {
    use base64::Engine;
    use serde::Deserialize;
    /// s
    pub fn serialize<S: serde::Serializer>(v: &[u32], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(
            &base64::engine::general_purpose::STANDARD
                .encode(v.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<_>>()),
        )
    }
    /// d
    pub fn deserialize<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Vec<u32>, D::Error> {
        let t = String::deserialize(d)?;
        Ok(base64::engine::general_purpose::STANDARD
            .decode(t)
            .map_err(serde::de::Error::custom)?
            .chunks(4)
            .map(|c| u32::from_le_bytes(c.try_into().unwrap_or_default()))
            .collect())
    }
}
