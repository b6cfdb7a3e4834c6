//! Identifiers and the stamp.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, ErrorKind};

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $int:ty, $digits:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(f, &self.0.to_be_bytes())
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
                parse_hex(text).map(|bytes| Self(<$int>::from_be_bytes(bytes))).ok_or_else(|| {
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
                deserializer.deserialize_str(Text(PhantomData))
            }
        }
    };
}

/// Writes bytes as lower-case hex digits, at most 32 at a time: journals are full of them, and `format!` is slow.
fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 64];
    let pairs = text.as_chunks_mut::<2>().0;
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    }
    f.write_str(str::from_utf8(&text[..2 * bytes.len().min(32)]).map_err(|_| fmt::Error)?)
}

/// Bytes, 32 at most, as lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    struct Hex<'a>(&'a [u8]);
    impl fmt::Display for Hex<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write_hex(f, self.0)
        }
    }
    Hex(bytes).to_string()
}

/// Reads exactly `2 * N` lower-case hex digits.
fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// Reads a value from its text, without a copy of that.
struct Text<T>(PhantomData<T>);

impl<T: FromStr<Err = Error>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
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
        write_hex(f, &self.ms.to_be_bytes()[2..])?;
        f.write_str("-")?;
        write_hex(f, &self.counter.to_be_bytes())?;
        write!(f, "-{}", self.writer)
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
            let [a, b, c, d, e, f] = parse_hex(parts.next()?)?;
            let ms = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
            let counter = u32::from_be_bytes(parse_hex(parts.next()?)?);
            let writer = WriterId(u64::from_be_bytes(parse_hex(parts.next()?)?));
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
        deserializer.deserialize_str(Text(PhantomData))
    }
}

/// A SHA-256 digest; hex in JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(pub [u8; 32]);

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
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
        parse_hex(text).map(Self).ok_or_else(|| {
            Error::new(ErrorKind::Corrupt, format!("not a SHA-256 (64 lower-case hex digits): {text:?}"))
        })
    }
}

impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text(PhantomData))
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
        assert_eq!((hex(&[]), hex(&[0, 0x1f, 0xa5])), (String::new(), "001fa5".into()));
        let sum = Sha256([0xa5; 32]);
        assert_eq!(sum.to_string().parse::<Sha256>().unwrap(), sum);
    }

    #[test]
    fn hex_is_what_format_makes_of_it() {
        for n in [0, 1, 0xabc << 100, u128::MAX, 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210] {
            assert_eq!(ChunkId(n).to_string(), format!("{n:032x}"));
            assert_eq!(Nonce(n as u64).to_string(), format!("{:016x}", n as u64));
            let stamp = Stamp { ms: n as u64 & Stamp::MAX_MS, counter: n as u32, writer: WriterId(n as u64) };
            let text = format!("{:012x}-{:08x}-{:016x}", stamp.ms, stamp.counter, stamp.writer.0);
            assert_eq!((stamp.to_string(), text.parse::<Stamp>().unwrap()), (text.clone(), stamp));
            assert_eq!(serde_json::from_value::<Stamp>(text.into()).unwrap(), stamp);
        }
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
