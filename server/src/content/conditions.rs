//! Conditional requests (RFC 9110, section 13).

use std::time::SystemTime;

use axum::http::HeaderMap;
use axum::http::header::{
    HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};

/// What the conditions of a request come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Do it.
    Go,
    /// The client has it already: 304.
    NotModified,
    /// A condition does not hold: 412.
    Failed,
}

/// What conditions are held against.
#[derive(Debug, Clone, Copy)]
pub struct Conditions<'a> {
    /// Whether something is there.
    pub exists: bool,
    /// Its entity tag, with quotes.
    pub etag: Option<&'a str>,
    /// When it was modified, in whole seconds.
    pub modified: Option<SystemTime>,
}

impl Conditions<'_> {
    /// The verdict on a request's `If-*` headers, in the order of RFC 9110, section 13.2.2.
    pub fn verdict(&self, headers: &HeaderMap, is_read: bool) -> Verdict {
        let date = |name: HeaderName| httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok();
        if headers.contains_key(IF_MATCH) {
            if !self.matches(headers, IF_MATCH, false) {
                return Verdict::Failed;
            }
        } else if let Some(since) = date(IF_UNMODIFIED_SINCE)
            && self.modified.is_none_or(|modified| modified > since)
        {
            return Verdict::Failed;
        }
        if headers.contains_key(IF_NONE_MATCH) {
            if self.matches(headers, IF_NONE_MATCH, true) {
                return if is_read { Verdict::NotModified } else { Verdict::Failed };
            }
        } else if let Some(since) = date(IF_MODIFIED_SINCE).filter(|_| is_read)
            && self.modified.is_some_and(|modified| modified <= since)
        {
            return Verdict::NotModified;
        }
        Verdict::Go
    }

    /// Whether the `Range` header counts: always, unless `If-Range` names another version.
    pub fn range_counts(&self, headers: &HeaderMap) -> bool {
        if !headers.contains_key(RANGE) {
            return false;
        }
        let Some(condition) = headers.get(IF_RANGE) else { return true };
        let Ok(text) = condition.to_str() else { return false };
        match httpdate::parse_http_date(text) {
            // A date tells versions of one second apart no better than weak tags do, but it is what the client has.
            Ok(date) => self.modified == Some(date),
            Err(_) => self.etag == Some(text.trim()),
        }
    }

    fn matches(&self, headers: &HeaderMap, name: HeaderName, weak: bool) -> bool {
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).any(|list| {
            if list.trim() == "*" {
                return self.exists;
            }
            // Our tags hold neither commas nor quotes, so none of them spans two parts.
            list.split(',').map(str::trim).any(|tag| {
                let tag = tag.strip_prefix("W/").filter(|_| weak).unwrap_or(tag);
                self.etag == Some(tag)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(pairs: &[(HeaderName, &str)], is_read: bool) -> Verdict {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.clone(), value.parse().unwrap());
        }
        let modified = httpdate::parse_http_date("Tue, 14 Nov 2023 22:13:20 GMT").ok();
        Conditions { exists: true, etag: Some("\"abc\""), modified }.verdict(&headers, is_read)
    }

    #[test]
    fn conditions_hold_as_rfc_9110_says() {
        let (before, after) = ("Tue, 14 Nov 2023 22:13:19 GMT", "Tue, 14 Nov 2023 22:13:20 GMT");
        for (pairs, read, write) in [
            (vec![], Verdict::Go, Verdict::Go),
            (vec![(IF_MATCH, "\"abc\"")], Verdict::Go, Verdict::Go),
            (vec![(IF_MATCH, "\"x\", \"abc\"")], Verdict::Go, Verdict::Go),
            (vec![(IF_MATCH, "\"x\""), (IF_MATCH, "\"abc\"")], Verdict::Go, Verdict::Go),
            (vec![(IF_MATCH, "*")], Verdict::Go, Verdict::Go),
            (vec![(IF_MATCH, "W/\"abc\"")], Verdict::Failed, Verdict::Failed),
            (vec![(IF_MATCH, "\"x\"")], Verdict::Failed, Verdict::Failed),
            (vec![(IF_NONE_MATCH, "\"x\"")], Verdict::Go, Verdict::Go),
            (vec![(IF_NONE_MATCH, "*")], Verdict::NotModified, Verdict::Failed),
            (vec![(IF_NONE_MATCH, "W/\"abc\"")], Verdict::NotModified, Verdict::Failed),
            (vec![(IF_UNMODIFIED_SINCE, before)], Verdict::Failed, Verdict::Failed),
            (vec![(IF_UNMODIFIED_SINCE, after)], Verdict::Go, Verdict::Go),
            (vec![(IF_UNMODIFIED_SINCE, before), (IF_MATCH, "\"abc\"")], Verdict::Go, Verdict::Go),
            (vec![(IF_MODIFIED_SINCE, after)], Verdict::NotModified, Verdict::Go),
            (vec![(IF_MODIFIED_SINCE, before)], Verdict::Go, Verdict::Go),
            (vec![(IF_MODIFIED_SINCE, after), (IF_NONE_MATCH, "\"x\"")], Verdict::Go, Verdict::Go),
            (vec![(IF_MODIFIED_SINCE, "yesterday")], Verdict::Go, Verdict::Go),
        ] {
            assert_eq!(verdict(&pairs, true), read, "{pairs:?}");
            assert_eq!(verdict(&pairs, false), write, "{pairs:?}");
        }
    }

    #[test]
    fn nothing_matches_what_is_not_there() {
        let mut headers = HeaderMap::new();
        headers.insert(IF_MATCH, "*".parse().unwrap());
        let none = Conditions { exists: false, etag: None, modified: None };
        assert_eq!(none.verdict(&headers, false), Verdict::Failed);
        headers.clear();
        headers.insert(IF_NONE_MATCH, "*".parse().unwrap());
        assert_eq!(none.verdict(&headers, false), Verdict::Go);
    }
}
