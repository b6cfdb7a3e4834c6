//! PROPFIND, from the local index: a listing is whole, or there is none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use parking_lot::Mutex;
use rclonepool_core::id::PoolId;
use rclonepool_core::journal::record::{Content, Entry};
use rclonepool_core::{Error, ErrorKind, Pool, PoolPath};

use super::locks::Locks;
use super::property::{Facts, Live, Quota, Wanted, write};
use super::target::{Target, href};
use super::xml::{Document, Element};
use super::{Dav, depth::Depth};
use crate::principal::Principal;
use crate::status::{Answer, Refusal};

/// How many entries are written at a time.
const BLOCK: usize = 256;
/// How long the remotes' free space is taken to be what it was.
const FREE_FOR: Duration = Duration::from_secs(60);

/// What is left of a pool's remotes, as it was when somebody asked.
#[derive(Debug, Default)]
pub(super) struct Free(Mutex<Vec<(PoolId, Instant, Option<u64>)>>);

impl Free {
    async fn of(&self, pool: &Pool) -> rclonepool_core::Result<Option<u64>> {
        let known = |seen: &(PoolId, Instant, Option<u64>)| seen.0 == pool.id() && seen.1.elapsed() < FREE_FOR;
        if let Some((_, _, free)) = self.0.lock().iter().find(|seen| known(seen)) {
            return Ok(*free);
        }
        let free = pool.status().await?.free;
        let mut seen = self.0.lock();
        seen.retain(|seen| seen.0 != pool.id());
        seen.push((pool.id(), Instant::now(), free));
        Ok(free)
    }
}

/// What is asked for.
struct Query {
    wanted: Vec<Wanted>,
    /// Dead properties, too.
    all_dead: bool,
    names_only: bool,
    /// Whether to say what there is not: only to who asked for it by name.
    tell_missing: bool,
}

impl Query {
    fn read(body: &[u8], headers: &HeaderMap) -> Answer<Self> {
        let is_windows = headers.get(USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"Microsoft"));
        let all = |names_only| Self {
            wanted: Live::all(is_windows).collect(),
            all_dead: true,
            names_only,
            tell_missing: false,
        };
        if body.is_empty() {
            return Ok(all(false));
        }
        let document = Document::read(body)?;
        let bad = || Refusal::new(StatusCode::BAD_REQUEST, "the request's XML is no propfind");
        if !document.root.is("propfind") {
            return Err(bad());
        }
        let asked = |element: &Element| element.children.iter().map(Wanted::of).collect::<Vec<_>>();
        let kinds = ["prop", "allprop", "propname"];
        let mut found = document.root.children.iter().filter(|child| kinds.iter().any(|kind| child.is(kind)));
        let query = match found.next() {
            Some(prop) if prop.is("prop") => {
                Self { wanted: asked(prop), all_dead: false, names_only: false, tell_missing: true }
            }
            Some(one) if one.is("allprop") => {
                let mut query = all(false);
                query.wanted.extend(document.root.all("include").flat_map(asked));
                query
            }
            Some(_) => all(true),
            None => return Err(bad()),
        };
        if found.next().is_some() { Err(bad()) } else { Ok(query) }
    }

    fn asks(&self, live: &[Live]) -> bool {
        self.wanted.iter().any(|wanted| matches!(wanted, Wanted::Live(found) if live.contains(found)))
    }
}

/// One entry of the answer.
struct Node {
    path: PoolPath,
    entry: Option<Entry>,
}

impl Node {
    fn is_directory(&self) -> bool {
        self.entry.as_ref().is_none_or(|entry| entry.content.is_directory())
    }
}

/// What is at a path, and with `Depth::One` in it.
fn nodes(pool: &Pool, path: &PoolPath, depth: Depth) -> rclonepool_core::Result<Vec<Node>> {
    let is_link = |entry: &Entry| matches!(entry.content, Content::Link { .. });
    let entry = pool.entry(path)?;
    let is_directory = match &entry {
        Some(entry) if !entry.content.is_directory() => is_link(entry),
        _ => pool.is_directory(path)?,
    };
    if entry.as_ref().map_or(!is_directory, is_link) {
        return Err(Error::new(ErrorKind::NotFound, "no such file or directory in the pool").at_path(path));
    }
    let mut nodes = vec![Node { path: path.clone(), entry }];
    if is_directory && depth == Depth::One {
        let children = pool.list(path)?.into_iter();
        // Nobody can follow links here.
        let shown = children.filter(|child| !child.entry.as_ref().is_some_and(is_link));
        nodes.extend(shown.map(|child| Node { path: child.path, entry: child.entry }));
    }
    Ok(nodes)
}

/// What is needed to write the answer, piece by piece.
struct Writing {
    nodes: std::vec::IntoIter<Node>,
    query: Query,
    locks: Locks,
    quota: Quota,
    base: Arc<str>,
    has_begun: bool,
}

impl Writing {
    /// The next piece; `None` behind the end.
    fn next(&mut self) -> Option<Bytes> {
        let mut out = String::new();
        if !std::mem::replace(&mut self.has_begun, true) {
            out.push_str(BEGIN);
        } else if self.nodes.len() == 0 {
            return None;
        }
        let block: Vec<Node> = self.nodes.by_ref().take(BLOCK).collect();
        block.iter().for_each(|node| self.write(node, &mut out));
        if self.nodes.len() == 0 {
            out.push_str("</D:multistatus>\n");
        }
        Some(out.into())
    }

    fn write(&self, node: &Node, out: &mut String) {
        let is_directory = node.is_directory();
        let facts = Facts {
            path: &node.path,
            entry: node.entry.as_ref(),
            is_directory,
            quota: &self.quota,
            locks: &self.locks,
            base: &self.base,
        };
        let (mut found, mut missing) = (String::new(), String::new());
        for wanted in &self.query.wanted {
            let is_there = facts.write(wanted, self.query.names_only, &mut found);
            if !is_there && self.query.tell_missing {
                wanted.write_empty(&mut missing);
            }
        }
        if self.query.all_dead {
            for property in node.entry.iter().flat_map(|entry| &entry.properties) {
                if self.query.names_only {
                    Wanted::named(&property.namespace, &property.name).write_empty(&mut found);
                } else {
                    found.push_str(&property.xml);
                }
            }
        }
        out.push_str("<D:response><D:href>");
        out.push_str(&href(&node.path, is_directory, &self.base));
        out.push_str("</D:href>");
        if !found.is_empty() || missing.is_empty() {
            write::propstat(out, &found, StatusCode::OK);
        }
        if !missing.is_empty() {
            write::propstat(out, &missing, StatusCode::NOT_FOUND);
        }
        out.push_str("</D:response>\n");
    }
}

/// How every answer begins; the prefixes that the properties are written with.
pub(super) const BEGIN: &str = concat!(
    "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n",
    "<D:multistatus xmlns:D=\"DAV:\" xmlns:oc=\"http://owncloud.org/ns\" ",
    "xmlns:A=\"http://apache.org/dav/props/\" xmlns:Z=\"urn:schemas-microsoft-com:\">\n"
);

/// Answers a PROPFIND.
pub(super) async fn propfind(
    dav: &Dav,
    principal: &Principal,
    target: &Target,
    headers: &HeaderMap,
    base: &Arc<str>,
    body: Bytes,
) -> Answer<Response> {
    let depth = Depth::of(headers)?.unwrap_or(Depth::One);
    if depth == Depth::Infinity {
        let precondition = "<D:error xmlns:D=\"DAV:\"><D:propfind-finite-depth/></D:error>";
        return Ok(xml_response(StatusCode::FORBIDDEN, Body::from(precondition)));
    }
    let query = Query::read(&body, headers)?;
    let pool = &principal.pool;
    // What a listing lacks, clients delete elsewhere.
    pool.check_listing().await?;
    let quota = if query.asks(&[Live::QuotaUsed, Live::QuotaAvailable]) {
        quota(dav, principal, headers).await?
    } else {
        Quota::default()
    };
    let (listed, path) = (pool.clone(), target.path.clone());
    let nodes = tokio::task::spawn_blocking(move || nodes(&listed, &path, depth)).await;
    let nodes = nodes.map_err(|error| Error::new(ErrorKind::Internal, format!("a listing failed: {error}")))??;
    let locks = dav.locks.of(pool);
    let writing = Writing { nodes: nodes.into_iter(), query, locks, quota, base: base.clone(), has_begun: false };
    let pieces = stream::unfold(writing, |mut writing| async move {
        let piece = writing.next()?;
        Some((Ok::<_, std::convert::Infallible>(piece), writing))
    });
    Ok(xml_response(StatusCode::MULTI_STATUS, Body::from_stream(pieces)))
}

async fn quota(dav: &Dav, principal: &Principal, headers: &HeaderMap) -> Answer<Quota> {
    // Finder reads numbers of less than 14 digits wrong.
    let pad = headers.get(USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"WebDAVFS"));
    if let Some(quota) = &principal.quota {
        let ((used, _), (most, _)) = (quota.used(), quota.limits());
        return Ok(Quota { used: Some(used), available: Some(most.saturating_sub(used)), pad });
    }
    let (_, used) = principal.pool.totals()?;
    Ok(Quota { used: Some(used), available: dav.free.of(&principal.pool).await?, pad })
}

/// An answer in XML.
pub(super) fn xml_response(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
