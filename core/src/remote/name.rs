//! Names of objects.

use crate::error::{Error, ErrorKind, Result};

/// What the names of unfinished uploads end with; no object's name does, and no listing shows them.
pub const PARTIAL: &str = ".partial";

/// Checks an object's name: relative, `/`-separated, each component one to 255 of the characters
/// `[A-Za-z0-9._-]` and neither `.` nor `..`, the end not [`PARTIAL`].
///
/// Every remote calls it first, so that no name can escape a remote's root or be changed by a
/// backend's own encoding.
///
/// # Errors
/// `InvalidArgument`, with the reason.
pub fn check_name(name: &str) -> Result<()> {
    check_components(name)?;
    if name.ends_with(PARTIAL) { bad(name, "\".partial\" marks unfinished uploads") } else { Ok(()) }
}

/// Checks the directory of a listing: components as in [`check_name`], or empty for the remote's root.
///
/// # Errors
/// `InvalidArgument`, with the reason.
pub fn check_dir(dir: &str) -> Result<()> {
    if dir.is_empty() { Ok(()) } else { check_components(dir) }
}

fn bad(name: &str, why: &str) -> Result<()> {
    let shown: String = name.chars().take(100).collect();
    Err(Error::new(ErrorKind::InvalidArgument, format!("\"{}\" is no object name: {why}", shown.escape_debug())))
}

fn check_components(name: &str) -> Result<()> {
    for part in name.split('/') {
        if part.is_empty() {
            return bad(name, "a component is empty");
        }
        if part == "." || part == ".." {
            return bad(name, "\".\" and \"..\" are not allowed");
        }
        if part.len() > 255 {
            return bad(name, "a component has more than 255 bytes");
        }
        if !part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
            return bad(name, "only letters, digits, \".\", \"_\" and \"-\" are allowed");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let long = "x".repeat(256);
        for bad in
            ["", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a b", "é", "a\\b", "a:b", "a\0", &long, "a.partial"]
        {
            assert_eq!(check_name(bad).unwrap_err().kind(), ErrorKind::InvalidArgument, "{bad:?}");
        }
        for good in ["a", "a/b.c", "...", ".a", "-", "A-Z_0.9/x", "a.partial/b", &long[1..]] {
            check_name(good).unwrap();
        }
        check_dir("").unwrap();
        check_dir("a/b").unwrap();
        assert!(check_dir("/").is_err());
    }
}
