//! How many remotes a file outlives: the redundancy of new chunks.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// The most data and parity shards of one chunk together: the field of the Reed-Solomon code has
/// 256 elements.
pub const SHARDS_MAX: u32 = 255;
/// The most objects (shards times copies) of one chunk.
pub const OBJECTS_MAX: usize = 255;

/// The kinds of redundancy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RedundancyMode {
    /// Every chunk once, on one remote.
    #[default]
    None,
    /// Every chunk whole, on several remotes.
    Replication,
    /// Data shards and Reed-Solomon parity shards.
    Parity,
    /// Data and parity shards, each in several copies.
    Hybrid,
}

impl RedundancyMode {
    /// The mode as the configuration writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Replication => "replication",
            Self::Parity => "parity",
            Self::Hybrid => "hybrid",
        }
    }
}

impl fmt::Display for RedundancyMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A mode with its numbers; [`Redundancy::new`] and deserialising make only possible combinations.
///
/// Text form: `none`, `replication:3` (copies), `parity:4+2` (data + parity), `hybrid:2+1x2`
/// (data + parity x copies). JSON form: `{"mode","data","parity","copies"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Parts")]
pub struct Redundancy {
    /// The mode.
    pub mode: RedundancyMode,
    /// k: the data shards of a chunk; at least 1.
    pub data: u8,
    /// m: the parity shards of a chunk.
    pub parity: u8,
    /// c: how often each shard is stored; at least 1.
    pub copies: u8,
}

/// The unchecked JSON form.
#[derive(Deserialize)]
struct Parts {
    mode: RedundancyMode,
    data: u8,
    parity: u8,
    copies: u8,
}

impl TryFrom<Parts> for Redundancy {
    type Error = Error;

    fn try_from(parts: Parts) -> Result<Self> {
        Self::new(parts.mode, parts.data, parts.parity, parts.copies)
    }
}

impl Redundancy {
    /// One copy of everything.
    pub const NONE: Self = Self { mode: RedundancyMode::None, data: 1, parity: 0, copies: 1 };

    /// Checks the numbers of a mode.
    ///
    /// # Errors
    /// `InvalidArgument` unless data and copies are at least 1, data + parity is at most
    /// [`SHARDS_MAX`], (data + parity) x copies is at most [`OBJECTS_MAX`], and the numbers are of
    /// the mode: none is 1+0 once, replication is 1+0, parity has parity and one copy, hybrid has
    /// parity.
    pub fn new(mode: RedundancyMode, data: u8, parity: u8, copies: u8) -> Result<Self> {
        let made = Self { mode, data, parity, copies };
        let of_mode = match mode {
            RedundancyMode::None => (data, parity, copies) == (1, 0, 1),
            RedundancyMode::Replication => (data, parity) == (1, 0),
            RedundancyMode::Parity => parity > 0 && copies == 1,
            RedundancyMode::Hybrid => parity > 0,
        };
        let bad = |why: String| Err(Error::new(ErrorKind::InvalidArgument, why));
        if data == 0 || copies == 0 {
            return bad(format!("redundancy {made}: at least one data shard and one copy are needed"));
        }
        if made.shards() > SHARDS_MAX {
            return bad(format!(
                "redundancy {made}: {} shards per chunk; at most {SHARDS_MAX} are possible",
                made.shards()
            ));
        }
        if made.objects() > OBJECTS_MAX {
            return bad(format!(
                "redundancy {made}: {} objects per chunk; at most {OBJECTS_MAX} are possible",
                made.objects()
            ));
        }
        if !of_mode {
            return bad(format!("redundancy {mode} cannot have {data}+{parity} shards in {copies} copies"));
        }
        Ok(made)
    }

    /// `copies` whole copies.
    ///
    /// # Errors
    /// As [`Redundancy::new`].
    pub fn replication(copies: u8) -> Result<Self> {
        Self::new(RedundancyMode::Replication, 1, 0, copies)
    }

    /// `data` data shards and `parity` parity shards.
    ///
    /// # Errors
    /// As [`Redundancy::new`].
    pub fn parity_of(data: u8, parity: u8) -> Result<Self> {
        Self::new(RedundancyMode::Parity, data, parity, 1)
    }

    /// `data` data shards and `parity` parity shards, each in `copies` copies.
    ///
    /// # Errors
    /// As [`Redundancy::new`].
    pub fn hybrid(data: u8, parity: u8, copies: u8) -> Result<Self> {
        Self::new(RedundancyMode::Hybrid, data, parity, copies)
    }

    /// k + m: the distinct shards of a chunk.
    pub fn shards(self) -> u32 {
        u32::from(self.data) + u32::from(self.parity)
    }

    /// (k + m) c: the objects of a chunk, and the remotes that keep them all apart.
    pub fn objects(self) -> usize {
        (usize::from(self.data) + usize::from(self.parity)) * usize::from(self.copies)
    }

    /// (m + 1) c - 1: the losses of objects of one chunk that are always survived, whichever they are.
    pub fn tolerated(self) -> usize {
        ((usize::from(self.parity) + 1) * usize::from(self.copies)).saturating_sub(1)
    }

    /// Bytes stored per byte of data: (k + m) c / k.
    pub fn overhead(self) -> f64 {
        f64::from(self.shards()) * f64::from(self.copies) / f64::from(self.data)
    }
}

impl Default for Redundancy {
    fn default() -> Self {
        Self::NONE
    }
}

impl fmt::Display for Redundancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mode, data, parity, copies } = self;
        match mode {
            RedundancyMode::None => f.write_str("none"),
            RedundancyMode::Replication => write!(f, "replication:{copies}"),
            RedundancyMode::Parity => write!(f, "parity:{data}+{parity}"),
            RedundancyMode::Hybrid => write!(f, "hybrid:{data}+{parity}x{copies}"),
        }
    }
}

impl FromStr for Redundancy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = |part: &str| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<u8>().ok()).flatten();
        let shards = |part: &str| part.split_once('+').and_then(|(k, m)| Some((number(k)?, number(m)?)));
        let parts = match text.split_once(':') {
            None if text == "none" => Some((RedundancyMode::None, 1, 0, 1)),
            Some(("replication", copies)) => number(copies).map(|c| (RedundancyMode::Replication, 1, 0, c)),
            Some(("parity", code)) => shards(code).map(|(k, m)| (RedundancyMode::Parity, k, m, 1)),
            Some(("hybrid", rest)) => rest.split_once('x').and_then(|(code, copies)| {
                let (k, m) = shards(code)?;
                Some((RedundancyMode::Hybrid, k, m, number(copies)?))
            }),
            _ => None,
        };
        let Some((mode, data, parity, copies)) = parts else {
            let shown: String = text.chars().take(60).collect();
            return Err(Error::new(ErrorKind::InvalidArgument, format!("{shown:?} is no redundancy"))
                .hint("write none, replication:3, parity:4+2 or hybrid:2+1x2"));
        };
        Self::new(mode, data, parity, copies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_each_mode() {
        let of = |text: &str| {
            let r: Redundancy = text.parse().unwrap();
            assert_eq!(r.to_string(), text);
            (r.data, r.parity, r.copies, r.shards(), r.objects(), r.tolerated())
        };
        assert_eq!(of("none"), (1, 0, 1, 1, 1, 0));
        assert_eq!(of("replication:3"), (1, 0, 3, 1, 3, 2));
        assert_eq!(of("parity:4+2"), (4, 2, 1, 6, 6, 2));
        assert_eq!(of("hybrid:2+1x2"), (2, 1, 2, 3, 6, 3));
        assert_eq!(of("parity:254+1").4, 255);
        assert_eq!(Redundancy::hybrid(2, 1, 2).unwrap().overhead(), 3.0);
        assert_eq!(Redundancy::default().overhead(), 1.0);
    }

    #[test]
    fn json_is_the_four_fields_and_is_checked() {
        let text = r#"{"mode":"hybrid","data":2,"parity":1,"copies":2}"#;
        let r: Redundancy = serde_json::from_str(text).unwrap();
        assert_eq!(r, Redundancy::hybrid(2, 1, 2).unwrap());
        assert_eq!(serde_json::to_string(&r).unwrap(), text);
        for bad in [
            r#"{"mode":"none","data":0,"parity":0,"copies":1}"#,
            r#"{"mode":"none","data":1,"parity":0,"copies":2}"#,
            r#"{"mode":"parity","data":3,"parity":0,"copies":1}"#,
            r#"{"mode":"parity","data":3,"parity":1,"copies":0}"#,
            r#"{"mode":"hybrid","data":100,"parity":100,"copies":2}"#,
        ] {
            assert!(serde_json::from_str::<Redundancy>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bad_texts_are_refused_with_examples() {
        for text in ["", "None", "replication", "replication:", "replication:+3", "parity:4", "parity:4+", "hybrid:2+1"]
        {
            let error = text.parse::<Redundancy>().unwrap_err().to_string();
            assert!(error.contains("parity:4+2"), "{error}");
        }
        for (text, why) in [
            ("replication:0", "at least one"),
            ("parity:0+2", "at least one"),
            ("parity:4+0", "cannot have"),
            ("parity:200+56", "256 shards"),
            ("hybrid:64+64x2", "256 objects"),
        ] {
            let error = text.parse::<Redundancy>().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        assert!("parity:300+1".parse::<Redundancy>().is_err());
    }
}
