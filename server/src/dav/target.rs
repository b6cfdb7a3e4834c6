//! URLs and the paths of the pool they mean.

use axum::http::header::HOST;
use axum::http::{HeaderMap, StatusCode, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rclonepool_core::PoolPath;

use super::Outside;
use crate::status::{Answer, Refusal};

/// All but what RFC 3986 calls unreserved, and the slash.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');
/// What a pool's files can never lie below: the server's own pages.
const RESERVED: &str = ".rclonepool";

/// What a URL means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub path: PoolPath,
    /// Whether it ended in a slash.
    pub is_collection: bool,
}

impl Target {
    /// Reads the path of a URL. Nothing in it may lead elsewhere: neither `..`, nor an encoded slash, nor NUL.
    pub fn of(raw: &str) -> Answer<Self> {
        let bad = |why: &str| {
            let shown: String = raw.chars().take(200).collect();
            Refusal::new(StatusCode::BAD_REQUEST, format!("the URL's path {shown:?} cannot be used: {why}"))
        };
        let Some(rest) = raw.strip_prefix('/') else { return Err(bad("it does not begin with /")) };
        let mut path = String::with_capacity(raw.len());
        // Clients put slashes together as they come; there are no empty names.
        for segment in rest.split('/').filter(|segment| !segment.is_empty()) {
            let name = percent_decode_str(segment).decode_utf8().map_err(|_| bad("it is not UTF-8"))?;
            if name == "." || name == ".." || name.contains(['/', '\0']) {
                return Err(bad("it holds a name that no file can have"));
            }
            path.push('/');
            path.push_str(&name);
        }
        if path.strip_prefix('/').and_then(|path| path.split('/').next()) == Some(RESERVED) {
            return Err(Refusal::new(StatusCode::FORBIDDEN, format!("/{RESERVED}/ is not part of the pool")));
        }
        let path = if path.is_empty() { PoolPath::root() } else { PoolPath::new(&path)? };
        Ok(Self { path, is_collection: raw.ends_with('/') })
    }

    /// What a header names by a URL: a whole one, or its path. It must be of this server.
    pub fn named(text: &str, headers: &HeaderMap, uri: &Uri, outside: &Outside) -> Answer<Self> {
        let elsewhere = |what: &str| Refusal::new(StatusCode::BAD_GATEWAY, format!("{what} is not of this server"));
        let raw = match text.split_once("://") {
            Some((scheme, rest)) => {
                let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
                let here = outside.authority.as_deref().or_else(|| headers.get(HOST).and_then(|h| h.to_str().ok()));
                let here = here.or_else(|| uri.authority().map(|authority| authority.as_str()));
                let known = matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https");
                if !known || here.is_some_and(|here| place(here) != place(authority)) {
                    return Err(elsewhere(authority));
                }
                path
            }
            None => text,
        };
        let raw = raw.split(['?', '#']).next().unwrap_or_default();
        let Some(path) = raw.strip_prefix(&*outside.base).filter(|path| path.starts_with('/')) else {
            return Err(elsewhere(raw));
        };
        Self::of(path)
    }
}

/// An authority without what does not tell servers apart.
fn place(authority: &str) -> String {
    let host = authority.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
    // Which of the two is the default is the scheme's business, and a proxy may have changed that.
    host.strip_suffix(":80").or_else(|| host.strip_suffix(":443")).unwrap_or(&host).to_owned()
}

/// The URL path of a path in the pool.
pub(super) fn href(path: &PoolPath, is_directory: bool, base: &str) -> String {
    let slash = if is_directory && !path.is_root() { "/" } else { "" };
    format!("{}{}{slash}", utf8_percent_encode(base, ENCODED), utf8_percent_encode(path.as_str(), ENCODED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_decoded_once() {
        for (raw, path) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a//b/", "/a/b"),
            ("/%41%20b", "/A b"),
            ("/%2541", "/%41"),
            ("/%C3%A9", "/é"),
            ("/...", "/..."),
            ("/.rclonepoolx", "/.rclonepoolx"),
        ] {
            let target = Target::of(raw).unwrap();
            assert_eq!(target.path.as_str(), path);
            assert_eq!(Target::of(&href(&target.path, target.is_collection, "")).unwrap(), target);
        }
    }

    #[test]
    fn nothing_leads_elsewhere() {
        let long = format!("/{}", "x".repeat(300));
        for raw in
            ["", "a", "/..", "/a/../b", "/%2e%2e/a", "/%2E%2e", "/a/.", "/a%2fb", "/a%2Fb", "/a%00", "/%ff", &long]
        {
            assert_eq!(Target::of(raw).unwrap_err().status, StatusCode::BAD_REQUEST, "{raw}");
        }
        for raw in ["/.rclonepool", "/.rclonepool/x", "/%2erclonepool/api", "//.rclonepool//x"] {
            assert_eq!(Target::of(raw).unwrap_err().status, StatusCode::FORBIDDEN, "{raw}");
        }
    }

    #[test]
    fn destinations_are_of_this_server() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "Pool.example:8080".parse().unwrap());
        let (uri, outside) = (Uri::from_static("/x"), Outside { base: "/base".into(), authority: None });
        let named = |text: &str| Target::named(text, &headers, &uri, &outside).map(|target| target.path.to_string());
        for text in ["/base/a", "http://pool.example:8080/base/a", "https://me:pw@pool.example:8080/base/a?x#y"] {
            assert_eq!(named(text).unwrap(), "/a", "{text}");
        }
        for text in [
            "http://other/base/a",
            "http://pool.example/base/a",
            "http://pool.example:8080.evil/base/a",
            "http://pool.example:8080@evil/base/a",
            "ftp://pool.example:8080/base/a",
            "/elsewhere/a",
            "/basement",
        ] {
            assert_eq!(named(text).unwrap_err().status, StatusCode::BAD_GATEWAY, "{text}");
        }
        assert_eq!(named("/base/../a").unwrap_err().status, StatusCode::BAD_REQUEST);
    }
}
