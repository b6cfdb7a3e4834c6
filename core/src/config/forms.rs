//! The forms of single texts: paths, hosts, hashes of passwords.

use std::net::IpAddr;
use std::path::Path;

/// Whether a path means the same wherever the program is started.
pub(super) fn is_rooted(path: &Path) -> bool {
    let text = path.to_string_lossy();
    (path.is_absolute() || text == "~" || text.starts_with("~/") || cfg!(windows) && text.starts_with("~\\"))
        && !text.contains('\0')
}

/// Whether `host` is an IP address (in brackets or not) or a host name.
pub(super) fn is_host(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if bare.parse::<IpAddr>().is_ok() {
        return true;
    }
    let name = |part: &str| {
        !part.is_empty()
            && part.len() <= 63
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !part.starts_with('-')
    };
    // Four numbers that are no address are a mistyped address, not a name.
    let numeric = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    host.len() <= 253 && !numeric && host.split('.').all(name)
}

/// Whether `text` is a PHC string of Argon2id: `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
/// Source: the PHC string format specification, and RFC 9106 for Argon2.
pub(super) fn is_argon2id(text: &str) -> bool {
    let base64 = |part: &str, least: usize| {
        (least..=128).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
    };
    let parts: Vec<&str> = text.split('$').collect();
    let &["", "argon2id", "v=19", parameters, salt, hash] = parts.as_slice() else { return false };
    let number =
        |part: &str, name: &str| part.strip_prefix(name).and_then(|n| n.parse::<u32>().ok()).is_some_and(|n| n > 0);
    let parameters: Vec<&str> = parameters.split(',').collect();
    matches!(parameters.as_slice(), &[m, t, p] if number(m, "m=") && number(t, "t=") && number(p, "p="))
        && base64(salt, 11)
        && base64(hash, 16)
}
