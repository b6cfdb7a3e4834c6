//! Properties: the live ones, which follow from what is there, and how all of them are written.

use std::fmt::Write;
use std::time::Instant;

use axum::http::StatusCode;
use quick_xml::escape::escape;
use rclonepool_core::PoolPath;
use rclonepool_core::journal::record::Entry;

use super::locks::{Held, Locks};
use super::target::href;
use super::xml::{DAV, Element};
use crate::content::{checksums, content_type, etag, http_time};

/// The namespace of ownCloud's properties.
pub(super) const OWNCLOUD: &str = "http://owncloud.org/ns";
/// The namespace of Apache's.
pub(super) const APACHE: &str = "http://apache.org/dav/props/";
/// The namespace of Windows'.
pub(super) const MICROSOFT: &str = "urn:schemas-microsoft-com:";

const SUPPORTED_LOCKS: &str = "<D:lockentry><D:lockscope><D:exclusive/></D:lockscope>\
    <D:locktype><D:write/></D:locktype></D:lockentry><D:lockentry><D:lockscope><D:shared/></D:lockscope>\
    <D:locktype><D:write/></D:locktype></D:lockentry>";

/// A property that is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Live {
    CreationDate,
    ContentLength,
    ContentType,
    Etag,
    LastModified,
    LockDiscovery,
    ResourceType,
    SupportedLock,
    QuotaAvailable,
    QuotaUsed,
    Checksums,
    Size,
    Executable,
    WindowsCreated,
    WindowsModified,
    WindowsAccessed,
    WindowsAttributes,
}

/// All of them: prefix, namespace, name. The first are those that RFC 4918 wants told to who asks for all.
const LIVE: [(Live, &str, &str, &str); 17] = [
    (Live::CreationDate, "D", DAV, "creationdate"),
    (Live::ContentLength, "D", DAV, "getcontentlength"),
    (Live::ContentType, "D", DAV, "getcontenttype"),
    (Live::Etag, "D", DAV, "getetag"),
    (Live::LastModified, "D", DAV, "getlastmodified"),
    (Live::LockDiscovery, "D", DAV, "lockdiscovery"),
    (Live::ResourceType, "D", DAV, "resourcetype"),
    (Live::SupportedLock, "D", DAV, "supportedlock"),
    (Live::QuotaAvailable, "D", DAV, "quota-available-bytes"),
    (Live::QuotaUsed, "D", DAV, "quota-used-bytes"),
    (Live::Checksums, "oc", OWNCLOUD, "checksums"),
    (Live::Size, "oc", OWNCLOUD, "size"),
    (Live::Executable, "A", APACHE, "executable"),
    (Live::WindowsCreated, "Z", MICROSOFT, "Win32CreationTime"),
    (Live::WindowsModified, "Z", MICROSOFT, "Win32LastModifiedTime"),
    (Live::WindowsAccessed, "Z", MICROSOFT, "Win32LastAccessTime"),
    (Live::WindowsAttributes, "Z", MICROSOFT, "Win32FileAttributes"),
];
/// How many of them everybody is told.
const TOLD: usize = 8;

impl Live {
    /// What who asks for all is told.
    pub fn all(is_windows: bool) -> impl Iterator<Item = Wanted> {
        let told = move |(n, known): (usize, &(Self, &str, &str, &str))| {
            (n < TOLD || is_windows && known.2 == MICROSOFT).then_some(Wanted::Live(known.0))
        };
        LIVE.iter().enumerate().filter_map(told)
    }

    /// The property of this name.
    pub fn named(namespace: &str, name: &str) -> Option<Self> {
        LIVE.iter().find(|known| known.2 == namespace && known.3 == name).map(|known| known.0)
    }

    fn tag(self) -> (&'static str, &'static str) {
        LIVE.iter().find(|known| known.0 == self).map_or(("D", "prop"), |known| (known.1, known.3))
    }
}

/// A property somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    Live(Live),
    Dead { namespace: String, name: String },
}

impl Wanted {
    /// The one an element names.
    pub fn of(element: &Element) -> Self {
        Self::named(&element.namespace, &element.name)
    }

    /// The one of this name.
    pub fn named(namespace: &str, name: &str) -> Self {
        match Live::named(namespace, name) {
            Some(live) => Self::Live(live),
            None => Self::Dead { namespace: namespace.into(), name: name.into() },
        }
    }

    /// Writes its name alone.
    pub fn write_empty(&self, out: &mut String) {
        match self {
            Self::Live(live) => {
                let (prefix, name) = live.tag();
                let _ = write!(out, "<{prefix}:{name}/>");
            }
            Self::Dead { namespace, name } if namespace == DAV => {
                let _ = write!(out, "<D:{name}/>");
            }
            Self::Dead { namespace, name } => {
                let _ = write!(out, "<{name} xmlns=\"{}\"/>", escape(namespace.as_str()));
            }
        }
    }
}

/// How much is stored, and may be.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Quota {
    pub used: Option<u64>,
    pub available: Option<u64>,
    /// Whether to write at least 14 digits.
    pub pad: bool,
}

/// What there is to know of a path.
pub(super) struct Facts<'a> {
    pub path: &'a PoolPath,
    pub entry: Option<&'a Entry>,
    pub is_directory: bool,
    pub quota: &'a Quota,
    pub locks: &'a Locks,
    pub base: &'a str,
}

impl Facts<'_> {
    /// Writes a property, or its name only; gives back whether it is there.
    pub fn write(&self, wanted: &Wanted, name_only: bool, out: &mut String) -> bool {
        match wanted {
            Wanted::Live(live) => {
                let (before, (prefix, name)) = (out.len(), live.tag());
                out.extend(["<", prefix, ":", name, ">"]);
                let value = out.len();
                if self.write_live(*live, out).is_none() {
                    out.truncate(before);
                    return false;
                }
                if name_only || out.len() == value {
                    out.truncate(value - 1);
                    out.push_str("/>");
                } else {
                    out.extend(["</", prefix, ":", name, ">"]);
                }
                true
            }
            Wanted::Dead { namespace, name } => {
                let mut dead = self.entry.iter().flat_map(|entry| &entry.properties);
                match dead.find(|property| property.namespace == *namespace && property.name == *name) {
                    Some(property) => {
                        out.push_str(&property.xml);
                        true
                    }
                    None => false,
                }
            }
        }
    }

    /// Writes the value, as XML; `None` where there is none.
    fn write_live(&self, live: Live, out: &mut String) -> Option<()> {
        let file = self.entry.filter(|_| !self.is_directory);
        // Writing to a String cannot fail.
        let date = |out: &mut String, mtime_ns: i64| write!(out, "{}", httpdate::HttpDate::from(http_time(mtime_ns)));
        let created = |entry: &Entry| i64::try_from(entry.created_ms).ok()?.checked_mul(1_000_000);
        match live {
            Live::CreationDate => out.push_str(&rfc3339(self.entry?.created_ms)),
            Live::ContentLength | Live::Size => write!(out, "{}", file?.content.size()).ok()?,
            Live::ContentType => match file {
                Some(entry) => out.push_str(&escape(&*content_type(entry))),
                None => out.push_str("httpd/unix-directory"),
            },
            Live::Etag => out.push_str(&escape(etag(file?)?)),
            Live::LastModified | Live::WindowsModified | Live::WindowsAccessed => {
                date(out, self.entry?.mtime_ns).ok()?
            }
            Live::WindowsCreated => date(out, created(self.entry?)?).ok()?,
            Live::LockDiscovery => self.write_locks(out),
            Live::ResourceType if self.is_directory => out.push_str("<D:collection/>"),
            Live::ResourceType => {}
            Live::SupportedLock => out.push_str(SUPPORTED_LOCKS),
            Live::QuotaAvailable | Live::QuotaUsed if !self.is_directory => return None,
            Live::QuotaAvailable => write!(out, "{}", self.quota.available?).ok()?,
            Live::QuotaUsed if self.quota.pad => write!(out, "{:014}", self.quota.used?).ok()?,
            Live::QuotaUsed => write!(out, "{}", self.quota.used?).ok()?,
            Live::Checksums => out.extend(["<oc:checksum>", &checksums(file?)?, "</oc:checksum>"]),
            Live::Executable => out.push_str(if file?.executable { "T" } else { "F" }),
            Live::WindowsAttributes => {
                let hidden = if self.path.name().starts_with('.') { 0x02 } else { 0 };
                write!(out, "{:08x}", hidden | if self.is_directory { 0x10 } else { 0x20 }).ok()?;
            }
        }
        Some(())
    }

    fn write_locks(&self, out: &mut String) {
        for held in self.locks.covering(self.path) {
            self.write_lock(&held, out);
        }
    }

    fn write_lock(&self, held: &Held, out: &mut String) {
        let left = held.until.saturating_duration_since(Instant::now()).as_secs();
        let scope = if held.lock.shared { "shared" } else { "exclusive" };
        let depth = if held.lock.deep { "infinity" } else { "0" };
        let _ = write!(
            out,
            "<D:activelock><D:locktype><D:write/></D:locktype><D:lockscope><D:{scope}/></D:lockscope>\
             <D:depth>{depth}</D:depth>{}<D:timeout>Second-{left}</D:timeout>\
             <D:locktoken><D:href>{}</D:href></D:locktoken><D:lockroot><D:href>{}</D:href></D:lockroot></D:activelock>",
            held.owner(),
            escape(held.lock.token.as_str()),
            href(&held.path, false, self.base)
        );
    }
}

/// Days since 1970 as year, month and day, by the proleptic Gregorian calendar (H. Hinnant, "chrono-compatible
/// low-level date algorithms", `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// A time as RFC 3339 writes it, in whole seconds; the year 9999 at most.
fn rfc3339(ms: u64) -> String {
    let seconds = (ms / 1000).min(253_402_300_799);
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The frame around properties.
pub(super) mod write {
    use super::{StatusCode, Write};

    /// Writes properties that share a status.
    pub fn propstat(out: &mut String, properties: &str, status: StatusCode) {
        let _ = write!(
            out,
            "<D:propstat><D:prop>{properties}</D:prop><D:status>HTTP/1.1 {} {}</D:status></D:propstat>",
            status.as_u16(),
            status.canonical_reason().unwrap_or_default()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_700_000_000_999, "2023-11-14T22:13:20Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59Z"),
            (u64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(ms), text);
        }
    }

    #[test]
    fn names_are_found_again() {
        for (live, _, namespace, name) in LIVE {
            assert_eq!(Live::named(namespace, name), Some(live));
        }
        assert_eq!(Live::all(false).count(), TOLD);
        assert_eq!(Live::all(true).count(), TOLD + 4);
    }
}
