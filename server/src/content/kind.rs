//! Content types, and what keeps users' files from acting as the dashboard they share an origin with.

use std::borrow::Cow;

use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue};
use rclonepool_core::journal::record::Entry;

/// Nothing of it runs, nothing is loaded, and it is of an origin of its own.
const SANDBOX: &str = "sandbox; default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'";

/// The MIME type of a file: what its writer said, else what its name tells.
pub fn content_type(entry: &Entry) -> Cow<'_, str> {
    match &entry.content_type {
        Some(known) => known.into(),
        None => mime_guess::from_path(entry.path.name()).first_raw().unwrap_or("application/octet-stream").into(),
    }
}

/// Sets the type, and what belongs to it.
pub(super) fn set(headers: &mut HeaderMap, kind: &str) {
    let value = HeaderValue::from_str(kind).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_TYPE, value);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !is_inert(kind) {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(SANDBOX));
    }
}

/// Whether a browser only shows or plays it. A sandbox would keep it from showing PDF.
fn is_inert(kind: &str) -> bool {
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.split_once('/') {
        Some(("image", what)) => !what.contains("svg") && !what.contains("xml"),
        Some(("audio" | "video" | "font", _)) => true,
        _ => matches!(essence.as_str(), "application/pdf" | "text/plain"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_run_is_sandboxed() {
        for (kind, sandboxed) in [
            ("text/html", true),
            ("Text/HTML; charset=utf-8", true),
            ("image/svg+xml", true),
            ("application/xhtml+xml", true),
            ("text/xml", true),
            ("application/octet-stream", true),
            ("no type at all", true),
            ("image/png", false),
            ("video/mp4", false),
            ("application/pdf", false),
        ] {
            let mut headers = HeaderMap::new();
            set(&mut headers, kind);
            assert_eq!(headers.contains_key(CONTENT_SECURITY_POLICY), sandboxed, "{kind}");
            assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
        }
        let mut headers = HeaderMap::new();
        set(&mut headers, "a/b\r\nEvil: yes");
        assert_eq!(headers[CONTENT_TYPE], "application/octet-stream");
    }
}
