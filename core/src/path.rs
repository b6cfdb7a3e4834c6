//! Paths of the pool.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// The longest path, in bytes.
pub const PATH_BYTES_MAX: usize = 4096;
/// The longest component of a path, in bytes.
pub const COMPONENT_BYTES_MAX: usize = 255;

/// A path in the pool: absolute UTF-8 text, components joined by `/`, `/` itself for the root.
///
/// Case and Unicode normalisation are kept and tell paths apart. A component is 1 to 255 bytes,
/// the whole at most 4,096; no component is empty, `.` or `..`, none holds NUL.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct PoolPath(String);

impl PoolPath {
    /// The root directory.
    pub fn root() -> Self {
        Self("/".into())
    }

    /// Checks `text` as a path; one `/` at its end is dropped, a missing one at its start is an error.
    ///
    /// # Errors
    /// `InvalidArgument`, saying which rule is broken.
    pub fn new(text: &str) -> Result<Self> {
        let bad = |why: String| {
            let shown: String = text.chars().take(100).collect();
            let more = if shown.len() < text.len() { "…" } else { "" };
            Error::new(ErrorKind::InvalidArgument, format!("\"{}{more}\" is no pool path: {why}", shown.escape_debug()))
        };
        let Some(rest) = text.strip_prefix('/') else {
            return Err(bad("it must begin with /".into()));
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.is_empty() {
            return Ok(Self::root());
        }
        if rest.len() + 1 > PATH_BYTES_MAX {
            return Err(bad(format!("{} bytes; at most {PATH_BYTES_MAX} are allowed", rest.len() + 1)));
        }
        for part in rest.split('/') {
            match part {
                "" => return Err(bad("it has an empty component".into())),
                "." | ".." => return Err(bad(format!("the component {part:?} is not allowed"))),
                _ if part.contains('\0') => return Err(bad("it holds a NUL byte".into())),
                _ if part.len() > COMPONENT_BYTES_MAX => {
                    return Err(bad(format!(
                        "a component has {} bytes; at most {COMPONENT_BYTES_MAX} are allowed",
                        part.len()
                    )));
                }
                _ => {}
            }
        }
        if rest == ".rclonepool" || rest.starts_with(".rclonepool/") {
            return Err(bad("/.rclonepool/ is reserved".into()));
        }
        Ok(Self(format!("/{rest}")))
    }

    /// The text, beginning with `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is `/`.
    pub fn is_root(&self) -> bool {
        self.0 == "/"
    }

    /// The last component; empty for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The directory it lies in; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let at = self.0.rfind('/')?;
        (!self.is_root()).then(|| if at == 0 { Self::root() } else { Self(self.0[..at].into()) })
    }

    /// Every directory above it, nearest first, without the root.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> + use<> {
        std::iter::successors(self.parent(), Self::parent).take_while(|p| !p.is_root())
    }

    /// This directory's path with `relative` (one or more components) below it.
    ///
    /// # Errors
    /// `InvalidArgument`, as [`PoolPath::new`].
    pub fn join(&self, relative: &str) -> Result<Self> {
        Self::new(&format!("{}{relative}", self.prefix()))
    }

    /// What the paths below this directory begin with: the text with one `/` at its end.
    pub fn prefix(&self) -> String {
        if self.is_root() { "/".into() } else { format!("{}/", self.0) }
    }

    /// The part of `self` below `directory`; empty for `directory` itself, `None` when it is not below it.
    pub fn below(&self, directory: &Self) -> Option<&str> {
        if self == directory {
            return Some("");
        }
        self.0.strip_prefix(directory.0.trim_end_matches('/'))?.strip_prefix('/')
    }
}

impl fmt::Display for PoolPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PoolPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::str::FromStr for PoolPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl<'de> Deserialize<'de> for PoolPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let path = PoolPath::new("/a/b/c").unwrap();
        assert_eq!((path.name(), path.parent().unwrap().as_str()), ("c", "/a/b"));
        assert_eq!(path.ancestors().map(|p| p.0).collect::<Vec<_>>(), ["/a/b", "/a"]);
        assert_eq!(path.below(&PoolPath::new("/a").unwrap()), Some("b/c"));
        assert_eq!(path.below(&PoolPath::root()), Some("a/b/c"));
        assert_eq!(path.below(&PoolPath::new("/a/b/cc").unwrap()), None);
        assert_eq!(PoolPath::new("/ab").unwrap().below(&PoolPath::new("/a").unwrap()), None);
        assert_eq!(PoolPath::new("/").unwrap().join("x/y").unwrap().as_str(), "/x/y");
        assert!(PoolPath::root().parent().is_none());
    }

    #[test]
    fn bad_paths_are_refused_with_the_reason() {
        let long = format!("/{}", "x/".repeat(2500));
        let wide = format!("/{}", "x".repeat(256));
        for (text, why) in [
            ("", "begin with /"),
            ("a", "begin with /"),
            ("//a", "empty component"),
            ("/a//b", "empty component"),
            ("/a/../b", "\"..\""),
            ("/./b", "\".\""),
            ("/a\0b", "NUL"),
            (&long, "4096"),
            (&wide, "255"),
            ("/.rclonepool/x", "reserved"),
        ] {
            let error = PoolPath::new(text).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
            assert!(error.len() < 400, "{error}");
        }
        for text in ["/a ", "/\u{7}", "/é", "/e\u{301}", "/A", "/a:b", "/.rclonepool2"] {
            assert_eq!(PoolPath::new(text).unwrap().as_str(), text);
        }
    }
}
