//! What kind of failure rclone's words mean.
//!
//! rclone answers almost every failure with HTTP status 500; the cause stands only in the text. The
//! texts are those of its backends and of the clouds behind them, so this is a table of signs.

use super::redact::redact;
use crate::error::{Error, ErrorKind};

/// A failed call, as rclone told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// HTTP status; `None` when no answer came.
    pub status: Option<u16>,
    /// Whether the answer was JSON, as answers of rclone itself are.
    pub json: bool,
    /// The text, or the cause why there is none.
    pub text: String,
}

/// What was attempted: some words mean something else when storing than when reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    Put,
    Get,
    Other,
}

/// Signs, in lower case, first match wins. A number stands for an HTTP status of the cloud.
const TABLE: &[(ErrorKind, &[&str])] = &[
    // Our own connection was closed, or rclone is being ended.
    (ErrorKind::Unavailable, &["context canceled", "context deadline exceeded"]),
    (
        ErrorKind::Config,
        &[
            "didn't find section in config",
            "didn't find backend called",
            "couldn't find backend",
            "nosuchbucket",
            "no such bucket",
            "bucket does not exist",
            "config file is encrypted",
            "failed to load config file",
            "unable to decrypt configuration",
            "couldn't decrypt configuration",
        ],
    ),
    (ErrorKind::NotFound, &["object not found", "directory not found", "is a directory not a file", "not a directory"]),
    (
        ErrorKind::RateLimited,
        &[
            "429",
            "509",
            "slowdown",
            "slow down",
            "toomanyrequests",
            "too many requests",
            "too_many_",
            "ratelimitexceeded",
            "rate limit",
            "activitylimitreached",
            "try again after",
        ],
    ),
    (
        ErrorKind::Full,
        &[
            "507",
            "insufficientstorage",
            "insufficient_space",
            "insufficient storage",
            "quotaexceeded",
            "storagequota",
            "quotalimitreached",
            "quota exceeded",
            "over quota",
            "overquota",
            "cap_exceeded",
            "storage_limit",
            "no space left",
            "too big for remaining disk space",
            "disk quota",
        ],
    ),
    // For that size it is final, and smaller objects may still fit.
    (ErrorKind::Unsupported, &["413", "entitytoolarge", "doesn't support"]),
    (
        ErrorKind::Auth,
        &[
            "401",
            "403",
            "accessdenied",
            "access denied",
            "invalidaccesskeyid",
            "signaturedoesnotmatch",
            "forbidden",
            "permission denied",
            "unauthorized",
            "read-only file system",
            "invalid_grant",
            "token expired",
            "expired token",
            "oauth2:",
            "unable to authenticate",
            "login failed",
            "bad password, or",
            "failed to decrypt",
            "undecryptable",
        ],
    ),
    (
        ErrorKind::Corrupt,
        &[
            "failed to authenticate",
            "not an encrypted file",
            "bad magic",
            "bad password",
            "corrupted on transfer",
            "file is too short",
            "truncated",
        ],
    ),
    (ErrorKind::SourceChanged, &["source file is being updated"]),
    (ErrorKind::Timeout, &["timeout", "timed out", "408", "504"]),
    (ErrorKind::Config, &["failed to make fs"]),
];

/// Turns a failure into the error that is told, without remote and object.
pub(super) fn error(failure: &Failure, attempt: Attempt, name: &str) -> Error {
    let kind = kind(failure, attempt, name);
    let text = redact(&failure.text);
    let message = match (failure.status, attempt) {
        (None, _) => format!("the connection to rclone broke: {text}"),
        (_, Attempt::Put) if kind == ErrorKind::Unavailable && failure.text.contains("not found") => {
            format!("rclone could not read what it was to store: {text}")
        }
        _ => format!("rclone: {text}"),
    };
    let error = Error::new(kind, message);
    match kind {
        ErrorKind::Auth if failure.text.contains("undecryptable") => {
            error.hint("the crypt remote's password is wrong, or what lies there is not of this crypt remote")
        }
        ErrorKind::Auth => {
            error.hint("see whether `rclone lsd` can use the remote; `rclone config reconnect` signs in again")
        }
        ErrorKind::Config if failure.text.contains("section in config") => {
            error.hint("rclone knows no such remote: see `rclone listremotes`, make it with `rclone config`")
        }
        ErrorKind::Config if failure.text.contains("decrypt configuration") => {
            error.hint("give its password in the environment variable RCLONE_CONFIG_PASS")
        }
        ErrorKind::Config => error.hint("see `rclone config`"),
        ErrorKind::Unsupported if attempt == Attempt::Put => error.hint("a smaller chunk_size makes smaller objects"),
        _ => error,
    }
}

fn kind(failure: &Failure, attempt: Attempt, name: &str) -> ErrorKind {
    let Some(status) = failure.status else { return ErrorKind::Unavailable };
    let mut text = failure.text.to_lowercase();
    // The object's name is ours; its digits are no signs.
    let last = name.rsplit('/').next().unwrap_or_default();
    for own in [name, last] {
        if own.len() >= 8 && own.bytes().any(|b| b.is_ascii_digit()) {
            text = text.replace(&own.to_lowercase(), "");
        }
    }
    match status {
        // We asked something rclone does not understand, or not with its credentials.
        400 => return ErrorKind::Internal,
        404 if text.contains("couldn't find method") => return ErrorKind::Internal,
        401 | 403 if text.contains("authentication must be set up") => return ErrorKind::Internal,
        _ => {}
    }
    let found = TABLE.iter().find(|(_, signs)| signs.iter().any(|sign| has(&text, sign)));
    match (found.map(|row| row.0), attempt) {
        // An upload that arrived damaged was removed by rclone and can be tried again.
        (Some(ErrorKind::Corrupt), Attempt::Put) => ErrorKind::Unavailable,
        // Nothing to be stored can be missing but our own source.
        (Some(ErrorKind::NotFound), Attempt::Put) => ErrorKind::Unavailable,
        // Trap: rclone's object server says 404 for whatever kept it from opening the object.
        (Some(ErrorKind::NotFound), _) if !failure.json => ErrorKind::Unavailable,
        (Some(kind), _) => kind,
        // The unknown is taken for passing trouble: 5xx, connection refused or reset, EOF, DNS, "exceeded
        // maximum number of attempts".
        (None, _) => ErrorKind::Unavailable,
    }
}

/// Whether `sign` is in `text`; a number only where it is told as a status.
fn has(text: &str, sign: &str) -> bool {
    if !sign.bytes().all(|b| b.is_ascii_digit()) {
        return text.contains(sign);
    }
    text.match_indices(sign).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + sign.len()..]);
        if after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.') {
            return false;
        }
        let before = before.trim_end_matches([' ', ':', '=', '"', '\'', '(']);
        let told = ["status", "code", "statuscode", "http", "http/1.1", "error", "response", "returned", "failed"];
        let word = before.rsplit(|c: char| c.is_whitespace() || "([{\"'".contains(c)).next().unwrap_or_default();
        // "507 insufficient storage" at the beginning or after a colon, and "statuscode: 507".
        let phrase = after.starts_with(' ') && after[1..].starts_with(|c: char| c.is_ascii_alphabetic());
        told.contains(&word) || (phrase && (before.is_empty() || text[..at].ends_with(": ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(text: &str, attempt: Attempt) -> ErrorKind {
        kind(&Failure { status: Some(500), json: true, text: text.into() }, attempt, "data/5/507403.0.429")
    }

    #[test]
    fn the_table() {
        use ErrorKind as K;
        for (text, want) in [
            ("object not found", K::NotFound),
            ("failed to find object: object not found", K::NotFound),
            ("error in ListJSON: directory not found", K::NotFound),
            ("failed to find object: is a directory not a file", K::NotFound),
            ("lstat /srv/a/b: not a directory", K::NotFound),
            (
                "operation error S3: PutObject, https response error StatusCode: 429, RequestID: 1, api error SlowDown",
                K::RateLimited,
            ),
            ("googleapi: Error 403: Rate Limit Exceeded, rateLimitExceeded", K::RateLimited),
            ("activityLimitReached: The request has been throttled", K::RateLimited),
            ("too_many_requests/..: Try again after 300s", K::RateLimited),
            ("HTTP error 509 (509 Bandwidth Limit Exceeded)", K::RateLimited),
            ("Put \"http://h/x\": 507 Insufficient Storage", K::Full),
            ("googleapi: Error 403: The user's Drive storage quota has been exceeded., storageQuotaExceeded", K::Full),
            ("quotaLimitReached: Insufficient Space Available", K::Full),
            ("path/insufficient_space/.", K::Full),
            ("write /mnt/x: no space left on device", K::Full),
            ("preallocate: file too big for remaining disk space", K::Full),
            ("Failed: Over quota", K::Full),
            ("write: disk quota exceeded", K::Full),
            ("unexpected status: 413 Request Entity Too Large: 413", K::Unsupported),
            ("EntityTooLarge: Your proposed upload exceeds", K::Unsupported),
            ("S3 bucket b doesn't support about", K::Unsupported),
            (
                "operation error S3: HeadObject, https response error StatusCode: 403, RequestID: , api error Forbidden: Forbidden",
                K::Auth,
            ),
            ("couldn't list: AccessDenied", K::Auth),
            ("InvalidAccessKeyId: The Access Key Id you provided", K::Auth),
            ("open /srv/x: permission denied", K::Auth),
            ("open /srv/x: read-only file system", K::Auth),
            ("couldn't fetch token: invalid_grant: maybe token expired?", K::Auth),
            ("oauth2: cannot fetch token", K::Auth),
            ("ssh: handshake failed: ssh: unable to authenticate", K::Auth),
            ("401 Unauthorized", K::Auth),
            ("didn't find section in config file (\"nope\")", K::Config),
            ("failed to make Fs: didn't find section in config file (\"nope\")", K::Config),
            ("api error NoSuchBucket: The specified bucket does not exist", K::Config),
            ("failed to authenticate decrypted block - bad password?", K::Corrupt),
            ("corrupted on transfer: sizes differ src 5 vs dst(x) 3", K::Corrupt),
            ("not an encrypted file - bad magic string", K::Corrupt),
            ("can't copy - source file is being updated (size changed)", K::SourceChanged),
            ("read tcp 127.0.0.1: i/o timeout", K::Timeout),
            ("net/http: TLS handshake timeout", K::Timeout),
            ("dial tcp: lookup x: no such host", K::Unavailable),
            (
                "exceeded maximum number of attempts, 3, StatusCode: 0, dial tcp 127.0.0.1:1: connect: connection refused",
                K::Unavailable,
            ),
            ("StatusCode: 503, ServiceUnavailable", K::Unavailable),
            ("unexpected EOF", K::Unavailable),
            ("context canceled", K::Unavailable),
            ("something nobody has seen before", K::Unavailable),
            // Digits that are no status.
            ("Put \"http://127.0.0.1:4030/x\": EOF", K::Unavailable),
            ("data/5/507403.0.429: EOF", K::Unavailable),
            ("507403.0.429: EOF", K::Unavailable),
            ("read 507 of 1000 bytes: EOF", K::Unavailable),
        ] {
            assert_eq!(kind_of(text, Attempt::Other), want, "{text}");
        }
    }

    #[test]
    fn the_same_words_mean_something_else_for_puts() {
        assert_eq!(kind_of("corrupted on transfer: md5 hashes differ", Attempt::Put), ErrorKind::Unavailable);
        assert_eq!(kind_of("object not found", Attempt::Put), ErrorKind::Unavailable);
        assert_eq!(kind_of("failed to authenticate decrypted block", Attempt::Get), ErrorKind::Corrupt);
    }

    #[test]
    fn what_the_status_adds() {
        let make = |status, json, text: &str| Failure { status, json, text: text.into() };
        for (failure, want) in [
            (make(None, false, "connection closed before message completed"), ErrorKind::Unavailable),
            (make(Some(404), true, "couldn't find method \"x\""), ErrorKind::Internal),
            (make(Some(400), true, "didn't find key \"fs\" in input"), ErrorKind::Internal),
            (make(Some(403), true, "authentication must be set up on the rc server to use \"x\""), ErrorKind::Internal),
            (make(Some(404), true, "failed to find object: object not found"), ErrorKind::NotFound),
            // Trap: never "missing" without JSON.
            (make(Some(404), false, "Not Found"), ErrorKind::Unavailable),
            (make(Some(404), false, "object not found"), ErrorKind::Unavailable),
        ] {
            assert_eq!(kind(&failure, Attempt::Get, "n"), want, "{failure:?}");
        }
    }

    #[test]
    fn errors_help_and_keep_secrets() {
        let failure = |text: &str| Failure { status: Some(500), json: true, text: text.into() };
        let missing = error(&failure("didn't find section in config file (\"nope\")"), Attempt::Other, "n").to_string();
        assert!(missing.contains("nope") && missing.contains("rclone config"), "{missing}");
        let shown =
            error(&failure("StatusCode: 403 for https://me:hush@h/?token=hush2"), Attempt::Put, "n").to_string();
        assert!(!shown.contains("hush") && shown.contains("rclone config reconnect"), "{shown}");
    }
}
