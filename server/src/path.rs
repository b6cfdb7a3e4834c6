//! Pool paths out of addresses.

use rclonepool_core::{PoolPath, Result};

/// Text without its percent escapes; `None` where an escape or the result is no text.
pub fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let (digits, after) = (after.get(..2)?, after.get(2..)?);
        let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
        bytes.push(digit(digits[0])? * 16 + digit(digits[1])?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

/// The pool path that the rest of an address names: `a/b%20c` is `/a/b c`.
///
/// # Errors
/// `InvalidArgument` when it is none.
pub fn of_address(rest: &str) -> Result<PoolPath> {
    let text = decode(rest).ok_or_else(|| {
        rclonepool_core::Error::new(rclonepool_core::ErrorKind::InvalidArgument, "the address holds no UTF-8 text")
    })?;
    PoolPath::new(&format!("/{}", text.strip_prefix('/').unwrap_or(&text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_paths() {
        for (address, path) in [("a/b%20c", "/a/b c"), ("%2Fa%2Fb", "/a/b"), ("a%252Fb", "/a%2Fb"), ("", "/")] {
            assert_eq!(of_address(address).unwrap().as_str(), path);
        }
        for bad in ["a/../b", "a/%2e%2e/b", "%00", "%ff", "%2", "%zz", "a//b", ".rclonepool/x", "%2E%2E"] {
            assert!(of_address(bad).is_err(), "{bad}");
        }
    }
}
