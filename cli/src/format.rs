//! Numbers, times and names for people.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// One MB of progress lines and bandwidth settings: 2^20 bytes.
pub const MB: f64 = 1_048_576.0;

/// `96.0 MiB`; powers of 1,024.
#[allow(clippy::cast_precision_loss, reason = "for display")]
pub fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] {
        if value < 1024.0 || unit == "PiB" {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{bytes} B")
}

/// `1 file`, `3 files`.
pub fn count(n: u64, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// `00:01:23`.
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `2.3 s`, `4 min 10 s`, `3 h 20 min`.
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..172_800 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A remote's name where a colon follows it: `crypt1` for `crypt1:`, as in errors.
pub fn head(remote: &str) -> String {
    printable(remote.strip_suffix(':').unwrap_or(remote))
}

/// What is left of a grace, rounded up to minutes: `24 h`, `3 h 20 min`, `5 min`, `7 days`.
pub fn left(time: Duration) -> String {
    let minutes = time.as_millis().div_ceil(60_000);
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (48.., _) => format!("{} days", minutes.div_ceil(1440)),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// How long ago something was, rounded down: `just now`, `40 s ago`, `3 h 20 min ago`.
pub fn ago(time: Duration) -> String {
    match time.as_secs() {
        0 => "just now".into(),
        seconds @ 1..60 => format!("{seconds} s ago"),
        _ => format!("{} ago", span(time)),
    }
}

/// A time in nanoseconds since 1970 as the local `2026-11-21 07:42:13`.
pub fn local_time(ns: i64) -> String {
    match Timestamp::from_nanosecond(i128::from(ns)) {
        Ok(time) => time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => "-".into(),
    }
}

/// The present, as [`local_time`].
pub fn now() -> String {
    local_time(i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or_default())
}

/// A time in nanoseconds since 1970 as RFC 3339, in UTC.
pub fn utc_time(ns: i64) -> String {
    Timestamp::from_nanosecond(i128::from(ns)).map(|time| time.to_string()).unwrap_or_default()
}

/// A name with control characters escaped, so that it cannot steer a terminal; the rest as it is.
pub fn printable(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        // Bidirectional overrides make a name look like another one.
        let steers = c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if steers { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times() {
        assert_eq!([size(0), size(1023), size(1024), size(100 << 20)], ["0 B", "1023 B", "1.0 KiB", "100.0 MiB"]);
        assert_eq!(size(u64::MAX), "16384.0 PiB");
        assert_eq!(clock(Duration::from_secs(3 * 3600 + 62)), "03:01:02");
        assert_eq!(clock(Duration::from_secs(360_000)), "100:00:00");
        assert_eq!(span(Duration::from_millis(2345)), "2.3 s");
        assert_eq!(span(Duration::from_secs(250)), "4 min 10 s");
        assert_eq!(span(Duration::from_secs(12_000)), "3 h 20 min");
        assert_eq!(utc_time(1_500_000_000), "1970-01-01T00:00:01.5Z");
        assert_eq!([count(1, "file"), count(0, "file")], ["1 file", "0 files"]);
    }

    #[test]
    fn what_is_left_is_rounded_up_and_what_is_past_down() {
        let seconds = Duration::from_secs;
        let day = seconds(86_400);
        assert_eq!(
            [left(day - Duration::from_millis(40)), left(day), left(day - seconds(70))],
            ["24 h", "24 h", "23 h 59 min"]
        );
        assert_eq!([left(seconds(3)), left(6 * day + seconds(1)), left(2 * day)], ["1 min", "7 days", "2 days"]);
        assert_eq!(
            [ago(Duration::from_millis(900)), ago(seconds(59)), ago(seconds(61))],
            ["just now", "59 s ago", "1 min 1 s ago"]
        );
        assert_eq!([head("crypt1:"), head("/mnt/a")], ["crypt1", "/mnt/a"]);
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(printable("a b é\u{301} \"q\""), "a b é\u{301} \"q\"");
        assert_eq!(printable("a\u{1b}[31mb\n\t\u{7f}\u{202e}"), "a\\u{1b}[31mb\\n\\t\\u{7f}\\u{202e}");
    }
}
