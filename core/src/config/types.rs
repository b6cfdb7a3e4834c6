//! The types of single keys.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, ErrorKind};

/// A whole-file hash kept beside the extents' (`file_hashes`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileHash {
    /// SHA-256.
    Sha256,
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
}

/// Where files are cut into chunks (`chunker`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Chunker {
    /// After every `chunk_size` bytes.
    #[default]
    Fixed,
    /// Where the content says so.
    FastCdc,
}

impl fmt::Display for Chunker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fixed => "fixed",
            Self::FastCdc => "fastcdc",
        })
    }
}

/// How much a remote may be used (`remote_limits`); 0 is unlimited.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RemoteLimits {
    /// MB/s sent to it (1 MB = 2^20 bytes).
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub upload_mbps: f64,
    /// MB/s got from it.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub download_mbps: f64,
    /// Calls a second.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub requests_per_second: f64,
    /// Bytes sent to it on a day (UTC).
    pub upload_per_day: ByteSize,
    /// Bytes got from it on a day (UTC).
    pub download_per_day: ByteSize,
}

/// A way to sign in (`webdav_auth_method`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// HTTP Basic.
    Basic,
    /// The header `X-API-Key`.
    ApiKey,
    /// The header `Authorization: Bearer`.
    Bearer,
}

/// The ways to sign in that are allowed; with none, nobody has to.
///
/// JSON form: `"none"`, one name, or a list of names without `none`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthMethods(Vec<AuthMethod>);

impl AuthMethods {
    /// Whether nobody has to sign in.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// The methods allowed, in the configuration's order.
    pub fn methods(&self) -> &[AuthMethod] {
        &self.0
    }

    /// These methods; the empty list is `none`.
    pub fn of(methods: &[AuthMethod]) -> Self {
        Self(methods.to_vec())
    }
}

impl Serialize for AuthMethods {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [] => serializer.serialize_str("none"),
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for AuthMethods {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> Visitor<'de> for OneOrMany {
            type Value = AuthMethods;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name or a list of names")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<AuthMethods, E> {
                if name == "none" {
                    return Ok(AuthMethods::default());
                }
                let method = AuthMethod::deserialize(de::value::StrDeserializer::new(name))?;
                Ok(AuthMethods(vec![method]))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<AuthMethods, A::Error> {
                let mut methods = Vec::new();
                while let Some(method) = list.next_element()? {
                    if methods.contains(&method) {
                        return Err(de::Error::custom("a method stands twice"));
                    }
                    methods.push(method);
                }
                if methods.is_empty() {
                    return Err(de::Error::custom("an empty list"));
                }
                Ok(AuthMethods(methods))
            }
        }

        deserializer.deserialize_any(OneOrMany)
    }
}

impl JsonSchema for AuthMethods {
    fn schema_name() -> Cow<'static, str> {
        "AuthMethods".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                {"type": "string", "enum": ["none", "basic", "api_key", "bearer"]},
                {
                    "type": "array",
                    "items": {"type": "string", "enum": ["basic", "api_key", "bearer"]},
                    "minItems": 1,
                    "uniqueItems": true
                }
            ]
        })
    }
}

/// How much is logged (`log_level`); read without regard to case, written in capitals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What failed.
    Error,
    /// What may become a problem, too.
    Warning,
    /// What was done, too.
    #[default]
    Info,
    /// How it was done, too.
    Debug,
    /// Everything.
    Trace,
}

/// Every name a level may be given by; the first of a level is the one written.
const LOG_LEVELS: [(&str, LogLevel); 8] = [
    ("OFF", LogLevel::Off),
    ("ERROR", LogLevel::Error),
    ("CRITICAL", LogLevel::Error),
    ("WARNING", LogLevel::Warning),
    ("WARN", LogLevel::Warning),
    ("INFO", LogLevel::Info),
    ("DEBUG", LogLevel::Debug),
    ("TRACE", LogLevel::Trace),
];

impl LogLevel {
    /// The name in capitals.
    pub fn name(self) -> &'static str {
        LOG_LEVELS.iter().find(|(_, level)| *level == self).map_or("INFO", |(name, _)| name)
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for LogLevel {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let found = LOG_LEVELS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        found.map(|(_, level)| *level).ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, "not a log level")
                .hint("write off, error, warning, info, debug or trace")
        })
    }
}

impl Serialize for LogLevel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for LogLevel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for LogLevel {
    fn schema_name() -> Cow<'static, str> {
        "LogLevel".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // JSON Schema's patterns have no flag for case.
        let either = |c: char| format!("[{c}{}]", c.to_ascii_lowercase());
        let names = LOG_LEVELS.map(|(name, _)| name.chars().map(either).collect::<String>());
        json_schema!({"type": "string", "pattern": format!("^({})$", names.join("|"))})
    }
}

/// A number of bytes; in JSON a number, or a text such as `15GiB`, `1.5T`, `64M`.
///
/// The units K, M, G, T, P (also KiB, MiB, …) are powers of 1,024, as in rclone. `15GB` is refused:
/// providers mean different things by it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

impl FromStr for ByteSize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse_size(text).map(Self).ok_or_else(|| {
            let shown: String = text.chars().take(60).collect();
            Error::new(ErrorKind::InvalidArgument, format!("{shown:?} is no size"))
                .hint("write bytes, or a number with K, M, G, T, P or KiB … PiB (powers of 1,024), such as 15GiB")
        })
    }
}

fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()));
    let unit = unit.trim_start().to_ascii_uppercase();
    let power = match unit.strip_suffix("IB").unwrap_or(&unit) {
        "" | "B" if !unit.ends_with("IB") => 0,
        "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        "P" => 5,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    // Fractions of a byte are cut off; 9 digits are more than anyone writes.
    if whole.is_empty() || whole.len() > 20 || fraction.is_empty() || fraction.len() > 9 || fraction.contains('.') {
        return None;
    }
    let scale = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    let value = whole.parse::<u128>().ok()? * scale + fraction.parse::<u128>().ok()?;
    u64::try_from(value * 1024u128.pow(power) / scale).ok()
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrText;

        impl Visitor<'_> for NumberOrText {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size")
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(NumberOrText)
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "string", "pattern": "^ *[0-9]+([.][0-9]{1,9})? *([Bb]|[KkMmGgTtPp]([Ii][Bb])?)? *$"}
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("123", 123),
            ("7B", 7),
            ("64M", 64 << 20),
            ("1GiB", 1 << 30),
            ("15 gib", 15 << 30),
            ("1.5T", 3 << 39),
            ("0.001K", 1),
            ("16383P", 16383 << 50),
        ] {
            assert_eq!(text.parse::<ByteSize>().unwrap().0, bytes, "{text}");
        }
        for text in
            ["", "G", "iB", "15GB", "-1", "1e9", "1.", ".5G", "1.2.3", "16384P", "1,5G", "5 apples", "1.0000000001G"]
        {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn log_levels_are_read_in_any_case() {
        for (text, name) in [("info", "INFO"), ("Warn", "WARNING"), ("CRITICAL", "ERROR"), ("tRACE", "TRACE")] {
            assert_eq!(text.parse::<LogLevel>().unwrap().name(), name);
        }
        assert!("loud".parse::<LogLevel>().is_err());
        assert!(LogLevel::Debug > LogLevel::Info);
    }

    #[test]
    fn auth_methods_are_a_name_or_a_list() {
        let of = |text: &str| serde_json::from_str::<AuthMethods>(text);
        assert!(of("\"none\"").unwrap().is_none());
        assert_eq!(of("\"basic\"").unwrap().methods(), [AuthMethod::Basic]);
        assert_eq!(of("[\"bearer\",\"api_key\"]").unwrap().methods(), [AuthMethod::Bearer, AuthMethod::ApiKey]);
        for text in ["[]", "[\"none\"]", "[\"basic\",\"none\"]", "[\"basic\",\"basic\"]", "\"kerberos\"", "3", "null"] {
            assert!(of(text).is_err(), "{text}");
        }
        for text in ["\"none\"", "\"basic\"", "[\"basic\",\"bearer\"]"] {
            assert_eq!(serde_json::to_string(&of(text).unwrap()).unwrap(), text);
        }
    }
}
