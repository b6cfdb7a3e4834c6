//! Identifiers and the stamp.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, ErrorKind};

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $int:ty, $digits:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{:0", $digits, "x}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                parse_hex(text, $digits.parse().unwrap_or(0)).map(|n| Self(n as $int)).ok_or_else(|| {
                    Error::new(ErrorKind::Corrupt, format!(
                        concat!("not a ", stringify!($name), " (", $digits, " lower-case hex digits): {:?}"), text))
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

fn parse_hex(text: &str, digits: usize) -> Option<u128> {
    let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    (text.len() == digits && text.bytes().all(lower_hex)).then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

hex_id!(
    /// Identifies a pool; made by `init`.
    PoolId, u128, "32"
);
hex_id!(
    /// Identifies a remote in its pool; stands in the remote's marker and in records, where the
    /// remote's rclone name never does.
    RemoteId, u128, "32"
);
hex_id!(
    /// Identifies a chunk; random, never reused.
    ChunkId, u128, "32"
);
hex_id!(
    /// Identifies an operation that spans several commits (an upload, a commit in parts).
    OperationId, u128, "32"
);
hex_id!(
    /// Tells two puts of one shard apart.
    Nonce, u64, "16"
);
hex_id!(
    /// Identifies a writer: one open pool in one process.
    WriterId, u64, "16"
);

impl ChunkId {
    /// The shard directory (one of 16) its objects lie in.
    pub fn directory(self) -> String {
        format!("{:x}", self.0 >> 124)
    }
}

/// A hybrid logical clock value; of two records with one key the later stamp wins.
///
/// Text form: 12 hex digits of milliseconds, 8 of the counter, 16 of the writer, joined by `-`; it
/// sorts as the value does. Source: Kulkarni et al., "Logical Physical Clocks", 2014.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// Milliseconds since 1970, at most 48 bits.
    pub ms: u64,
    /// Orders records of one millisecond.
    pub counter: u32,
    /// Who made it.
    pub writer: WriterId,
}

impl Stamp {
    /// The largest millisecond value a stamp can carry.
    pub const MAX_MS: u64 = (1 << 48) - 1;
    /// Before every stamp a writer makes.
    pub const ZERO: Self = Self { ms: 0, counter: 0, writer: WriterId(0) };

    /// The next stamp of `writer` after this one, in the same millisecond where the counter allows.
    #[must_use]
    pub fn next(self, writer: WriterId) -> Self {
        match self.counter.checked_add(1) {
            Some(counter) => Self { ms: self.ms, counter, writer },
            None => Self { ms: (self.ms + 1).min(Self::MAX_MS), counter: 0, writer },
        }
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}-{:08x}-{}", self.ms, self.counter, self.writer)
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Stamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parse = || {
            let mut parts = text.split('-');
            let ms = u64::try_from(parse_hex(parts.next()?, 12)?).ok()?;
            let counter = u32::try_from(parse_hex(parts.next()?, 8)?).ok()?;
            let writer = WriterId(u64::try_from(parse_hex(parts.next()?, 16)?).ok()?);
            parts.next().is_none().then_some(Self { ms, counter, writer })
        };
        parse().ok_or_else(|| Error::new(ErrorKind::Corrupt, format!("not a stamp: {text:?}")))
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A SHA-256 digest; hex in JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(pub [u8; 32]);

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Sha256 {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::new(ErrorKind::Corrupt, format!("not a SHA-256 (64 lower-case hex digits): {text:?}"));
        if text.len() != 64 || !text.is_ascii() {
            return Err(bad());
        }
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = parse_hex(&text[at..at + 2], 2).and_then(|n| u8::try_from(n).ok()).ok_or_else(bad)?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms_round_trip_and_sort_as_values() {
        let early = Stamp { ms: 5, counter: 9, writer: WriterId(7) };
        let late = Stamp { ms: 5, counter: 10, writer: WriterId(1) };
        assert!(early < late && early.to_string() < late.to_string());
        assert_eq!(late.to_string().parse::<Stamp>().unwrap(), late);
        let id = ChunkId(0xabc << 100);
        assert_eq!(id.to_string().parse::<ChunkId>().unwrap(), id);
        assert_eq!(ChunkId(0xf << 124).directory(), "f");
        let sum = Sha256([0xa5; 32]);
        assert_eq!(sum.to_string().parse::<Sha256>().unwrap(), sum);
    }

    #[test]
    fn malformed_text_is_refused() {
        for text in ["", "ABC", "+1", "0x12", &"g".repeat(32), &"A".repeat(32), &"1".repeat(33)] {
            assert!(text.parse::<PoolId>().is_err(), "{text}");
            assert!(text.parse::<Stamp>().is_err(), "{text}");
            assert!(text.parse::<Sha256>().is_err(), "{text}");
        }
        assert!("é".repeat(32).parse::<Sha256>().is_err());
    }

    #[test]
    fn next_survives_a_full_counter() {
        let full = Stamp { ms: 1, counter: u32::MAX, writer: WriterId(0) };
        assert!(full.next(WriterId(0)) > full);
    }
}
