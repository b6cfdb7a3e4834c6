//! rclone's obscured passwords, made readable.
//!
//! Done here, since `rclone reveal` takes them as arguments, which everybody on the machine can read.

use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Source: rclone, `fs/config/obscure/obscure.go`: AES-256 in counter mode with this key, the first block being
/// the initial counter, all of it in base64. It protects from eyes, not from anyone who has the program.
const KEY: [u8; 32] = [
    0x9c, 0x93, 0x5b, 0x48, 0x73, 0x0a, 0x55, 0x4d, 0x6b, 0xfd, 0x7c, 0x63, 0xc8, 0x86, 0xa9, 0x2b, 0xd3, 0x90, 0x19,
    0x8e, 0xb8, 0x12, 0x8a, 0xfb, 0xf4, 0xde, 0x16, 0x2b, 0x8b, 0x95, 0xf6, 0x38,
];

/// The plain text of an obscured password; `None` when it is none.
pub fn reveal(obscured: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(obscured).ok()?;
    let (counter, text) = bytes.split_first_chunk::<16>()?;
    let cipher = Aes256::new(&KEY.into());
    let mut counter = u128::from_be_bytes(*counter);
    let mut plain = Vec::with_capacity(text.len());
    for block in text.chunks(16) {
        let mut pad = counter.to_be_bytes().into();
        cipher.encrypt_block(&mut pad);
        plain.extend(block.iter().zip(pad).map(|(byte, pad)| byte ^ pad));
        counter = counter.wrapping_add(1);
    }
    String::from_utf8(plain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rclone_obscured_is_revealed() {
        // Made by `rclone obscure` 1.75.2.
        for (plain, obscured) in [
            ("potato", "YzacnLEVCL-7e7SQPCbJZNUZp62InQ"),
            (
                "a long password with blanks: é and more than thirty-two bytes",
                "mfjZra6FWbRVwFtT28gz-Uc5Ukan3PD3f3x3EpI7yOKzk2KyQpIqJie-UQr-IIR1IDmzLcRku-MdXGm2Gugx2EoDh68nwyk_i7AysOsX",
            ),
            ("", "yl78Csf9Luztv-Ek9gcA6Q"),
        ] {
            assert_eq!(reveal(obscured).as_deref(), Some(plain));
        }
        for bad in ["", "short", "not base64!", "plain password"] {
            assert_eq!(reveal(bad), None, "{bad}");
        }
    }
}
