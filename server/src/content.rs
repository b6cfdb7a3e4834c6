//! The bytes of files over HTTP: what WebDAV and the REST API have in common.
//!
//! A GET gives the file's bytes or breaks off, never fewer as if they were all. A PUT becomes visible in one commit
//! when all that was announced of it has come true, or not at all.

mod body;
mod conditions;
mod etag;
mod get;
mod hashes;
mod kind;
mod put;
mod range;
mod turns;

pub(crate) use body::{IDLE, drain};
pub use conditions::{Conditions, Verdict};
pub use etag::{etag, etag_of};
pub use get::get;
pub use hashes::checksums;
pub use kind::content_type;
pub(crate) use put::mtime_ns;
pub use put::{Stored, put};
pub(crate) use turns::turn;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last second that an HTTP date can tell: the end of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

/// A modification time as HTTP tells it: whole seconds from 1970 to 9999.
pub(crate) fn http_time(mtime_ns: i64) -> SystemTime {
    let seconds = mtime_ns.div_euclid(1_000_000_000).clamp(0, LAST_SECOND);
    UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs())
}
