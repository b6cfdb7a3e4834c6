//! Lengths of time as users write them.

use std::str::FromStr;
use std::time::Duration;

/// A length of time: a number and `s`, `m`, `h` or `d`; 0 needs no unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age(pub Duration);

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a length of time is a number with s, m, h or d, such as 90m or 7d".to_owned();
        if text == "0" {
            return Ok(Self(Duration::ZERO));
        }
        let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        number.checked_mul(seconds).map(|s| Self(Duration::from_secs(s))).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_units() {
        for (text, seconds) in [("0", 0), ("0s", 0), ("90m", 5400), ("24h", 86_400), ("7d", 604_800)] {
            assert_eq!(text.parse(), Ok(Age(Duration::from_secs(seconds))));
        }
        for text in ["", "5", "h", "-1h", "1.5h", "1w", "99999999999999999999d", "9999999999999999999d", "1é"] {
            assert!(text.parse::<Age>().is_err(), "{text}");
        }
    }
}
