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

/// Whether it can be a user's name: HTTP Basic ends it at the first colon.
pub(super) fn is_user(name: &str) -> bool {
    (1..=255).contains(&name.len()) && !name.contains(':') && !name.chars().any(char::is_control)
}

/// Whether it is a web origin: scheme, host, and a port where it is not the scheme's.
pub(super) fn is_origin(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else { return false };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse::<u16>().is_ok()),
        _ => (rest, true),
    };
    port && is_host(host) && !host.bytes().any(|b| b.is_ascii_uppercase())
}

/// Whether it is empty, or a path that begins with `/` and does not end with it.
pub(super) fn is_base_path(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._~-".contains(&b);
    let part = |part: &str| !part.is_empty() && part != "." && part != ".." && part.bytes().all(plain);
    text.is_empty() || text.len() <= 200 && text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_and_base_paths() {
        for good in ["https://app.example", "http://localhost:3000", "http://[::1]:80"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in ["", "*", "null", "app.example", "https://", "https://a/", "https://a:99999", "https://A.example"] {
            assert!(!is_origin(bad), "{bad}");
        }
        for (path, good) in [("", true), ("/pool", true), ("/a/b", true), ("/", false), ("a", false), ("/a/", false)] {
            assert_eq!(is_base_path(path), good, "{path}");
        }
        assert!(!is_base_path("/a/../b") && !is_base_path("/a b"));
    }
}
