//! Names of objects.

use crate::error::{Error, ErrorKind, Result};

/// What the names of unfinished uploads end with; no object's name does.
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

/// Checks the name of what may be deleted or listed: an object's, or an unfinished upload's, which ends in [`PARTIAL`].
///
/// # Errors
/// `InvalidArgument`, with the reason.
pub fn check_stored_name(name: &str) -> Result<()> {
    check_components(name)
}

/// Checks the directory of a listing: components as in [`check_name`], or empty for the remote's root.
///
/// # Errors
/// `InvalidArgument`, with the reason.
pub fn check_dir(dir: &str) -> Result<()> {
    if dir.is_empty() { Ok(()) } else { check_components(dir) }
}

/// Whether a name is that of an unfinished upload which this program, or rclone for it, began: others may keep files
/// of that ending, too. `is_object` tells whether a name is one that an object can have.
pub(crate) fn is_unfinished(name: &str, is_object: impl Fn(&str) -> bool) -> bool {
    let Some(stem) = name.strip_suffix(PARTIAL) else { return false };
    // A directory's: 16 hex digits beside the object.
    let file = stem.rsplit_once('/').map_or(stem, |(_, file)| file);
    if file.len() == 16 && file.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return true;
    }
    // rclone's: the object's name, a dot, and eight letters or digits.
    let random = |text: &str| text.len() == 8 && text.bytes().all(|b| b.is_ascii_alphanumeric());
    stem.rsplit_once('.').is_some_and(|(object, end)| random(end) && is_object(object))
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
    fn only_what_a_put_of_ours_can_have_left_is_unfinished() {
        let unfinished = |name| is_unfinished(name, |name| name == "d/object.1");
        for good in ["d/object.1.0a1b2c3d.partial", "d/object.1.abXY0123.partial", "d/0123456789abcdef.partial"] {
            assert!(unfinished(good), "{good}");
        }
        for bad in [
            "d/object.1",
            "d/object.1.partial",
            "d/object.1.0a1b2c3.partial",
            "d/object.1.0a1b2c3d",
            "d/thesis.0a1b2c3d.partial",
            "d/0123456789abcdeF.partial",
            "film.partial",
        ] {
            assert!(!unfinished(bad), "{bad}");
        }
    }

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
        check_stored_name("a.partial").unwrap();
        assert!(check_stored_name("").is_err() && check_stored_name("../a.partial").is_err());
        check_dir("").unwrap();
        check_dir("a/b").unwrap();
        assert!(check_dir("/").is_err());
    }
}
