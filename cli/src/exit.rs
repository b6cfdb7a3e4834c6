//! Exit codes: one per kind of failure, the same everywhere.

use rclonepool_core::ErrorKind;

/// Done.
pub const OK: u8 = 0;
/// The command line itself is wrong; clap's own code, too.
pub const USAGE: u8 = 2;
/// Full, or over quota.
pub const FULL: u8 = 24;
/// Ended by a signal.
pub const INTERRUPTED: u8 = 130;

/// Every code and its meaning.
pub const TABLE: [(u8, &str); 16] = [
    (OK, "done"),
    (1, "another failure"),
    (USAGE, "wrong usage"),
    (3, "no such directory"),
    (4, "no such file"),
    (5, "temporary: try again"),
    (6, "no retry will help"),
    (7, "fatal: configuration or rclonepool itself"),
    (20, "degraded but readable"),
    (21, "unrecoverable"),
    (22, "content differs from what was stored"),
    (23, "busy: another process holds it"),
    (FULL, "full, or over quota"),
    (25, "refused: credentials or permissions"),
    (26, "some of several files failed"),
    (INTERRUPTED, "interrupted"),
];

/// The code for a kind of failure.
pub fn code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::InvalidArgument => USAGE,
        ErrorKind::DirectoryNotFound => 3,
        ErrorKind::NotFound => 4,
        // The source changed: the same command succeeds when nothing writes to it.
        ErrorKind::Unavailable | ErrorKind::RateLimited | ErrorKind::Timeout | ErrorKind::SourceChanged => 5,
        ErrorKind::AlreadyExists | ErrorKind::Unsupported | ErrorKind::FormatVersion => 6,
        ErrorKind::Config | ErrorKind::Internal => 7,
        ErrorKind::Degraded => 20,
        ErrorKind::Unrecoverable => 21,
        ErrorKind::Corrupt => 22,
        ErrorKind::Busy => 23,
        ErrorKind::Full => FULL,
        ErrorKind::Auth => 25,
        ErrorKind::Partial => 26,
        ErrorKind::Cancelled => INTERRUPTED,
        // `ErrorKind` may grow; `Io` is what is left.
        _ => 1,
    }
}

/// The table for `--help`.
pub fn help() -> String {
    let lines = TABLE.iter().map(|(code, meaning)| format!("  {code:>3}  {meaning}\n"));
    format!("Exit codes:\n{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_code_of_the_table() {
        for (kind, expected) in [
            (ErrorKind::NotFound, 4),
            (ErrorKind::DirectoryNotFound, 3),
            (ErrorKind::AlreadyExists, 6),
            (ErrorKind::InvalidArgument, 2),
            (ErrorKind::Config, 7),
            (ErrorKind::Unsupported, 6),
            (ErrorKind::Unavailable, 5),
            (ErrorKind::RateLimited, 5),
            (ErrorKind::Timeout, 5),
            (ErrorKind::Auth, 25),
            (ErrorKind::Full, 24),
            (ErrorKind::Corrupt, 22),
            (ErrorKind::Unrecoverable, 21),
            (ErrorKind::SourceChanged, 5),
            (ErrorKind::Busy, 23),
            (ErrorKind::FormatVersion, 6),
            (ErrorKind::Partial, 26),
            (ErrorKind::Degraded, 20),
            (ErrorKind::Cancelled, 130),
            (ErrorKind::Io, 1),
            (ErrorKind::Internal, 7),
        ] {
            assert_eq!(code(kind), expected, "{kind:?}");
            assert!(TABLE.iter().any(|(listed, _)| *listed == expected), "{expected} is in the table");
        }
    }

    #[test]
    fn the_table_is_in_order_and_in_the_help() {
        assert!(TABLE.is_sorted_by(|a, b| a.0 < b.0));
        for (code, meaning) in TABLE {
            assert!(help().contains(&format!("{code:>3}  {meaning}\n")), "{code}");
        }
    }
}
