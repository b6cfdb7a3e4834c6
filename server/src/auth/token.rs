//! Tokens: long random texts of which only hashes are kept.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rclonepool_core::Result;
use rclonepool_core::config::TokenSettings;
use rclonepool_core::id::Sha256;

use super::password::{hex, random};

/// What every token begins with, so that scanners for leaked secrets know one.
pub const PREFIX: &str = "rp_";
/// What a token is at most long.
const BYTES_MAX: usize = 128;

/// Makes a token: its text, which is told once, and what is kept of it.
///
/// # Errors
/// `Internal` when the system gives no random numbers.
pub fn new_token(name: &str, created: u64, expires: Option<u64>, read_only: bool) -> Result<(String, TokenSettings)> {
    let text = new_secret()?;
    let id = hex(&random()?[..4]);
    let sha256 = Sha256(digest(&text));
    Ok((text, TokenSettings { id, name: name.into(), sha256, created, expires, read_only }))
}

/// A text of 256 random bits.
///
/// # Errors
/// As [`random`].
pub fn new_secret() -> Result<String> {
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random()?)))
}

/// What is kept of a secret. It needs no slow hash: nobody guesses 256 bits.
pub fn digest(text: &str) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref());
    out
}

/// Whether a text can be a token.
pub fn is_token(text: &str) -> bool {
    text.starts_with(PREFIX) && text.len() <= BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hash_is_kept() {
        let (text, kept) = new_token("laptop", 5, Some(9), true).unwrap();
        assert!(is_token(&text) && text.len() == 46, "{text}");
        assert_eq!(kept.sha256.0, digest(&text));
        assert!(!serde_json::to_string(&kept).unwrap().contains(&text[3..]));
        assert_ne!(new_token("laptop", 5, None, true).unwrap().0, text);
    }
}
