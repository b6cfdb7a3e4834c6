//! PROPPATCH: dead properties, and the times that clients set. All of it in one commit, or nothing.

use std::sync::Arc;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use rclonepool_core::journal::record::{Entry, Property};
use rclonepool_core::pool::Metadata;
use rclonepool_core::{Error, ErrorKind};

use super::find::{BEGIN, xml_response};
use super::property::{APACHE, Live, MICROSOFT, OWNCLOUD, Wanted, write};
use super::target::{Target, href};
use super::xml::{DAV, Document, Element};
use crate::content::{checksums, turn};
use crate::principal::Principal;
use crate::status::{Answer, Refusal};

/// The most that is kept of one path, in bytes of XML,
const BYTES_MAX: usize = 64 << 10;
/// and in properties.
const COUNT_MAX: usize = 256;

/// What one element asks for.
enum Change {
    Set(Property),
    Remove,
    Modified(i64),
    Executable(bool),
    /// What Windows sets and nobody keeps: it gives up on a server that refuses.
    Ignored,
    Refused(StatusCode),
}

/// Answers a PROPPATCH.
pub(super) async fn proppatch(
    principal: &Principal,
    target: &Target,
    base: &Arc<str>,
    body: Bytes,
    entry: Option<&Entry>,
) -> Answer<Response> {
    let is_directory = entry.is_none_or(|entry| entry.content.is_directory());
    let changes = changes(&body, entry)?;
    let refused = changes.iter().any(|(_, change)| matches!(change, Change::Refused(_)));
    let mut out = String::from(BEGIN);
    out.push_str("<D:response><D:href>");
    out.push_str(&href(&target.path, is_directory, base));
    out.push_str("</D:href>");
    if refused {
        for (wanted, change) in &changes {
            let status = match change {
                Change::Refused(status) => *status,
                _ => StatusCode::FAILED_DEPENDENCY,
            };
            told(&mut out, wanted, status);
        }
    } else {
        let names: Vec<Wanted> = changes.iter().map(|(wanted, _)| wanted.clone()).collect();
        let _turn = turn(&principal.pool, &target.path).await;
        let done = principal.pool.set_metadata(&target.path, move |metadata| apply(changes, metadata)).await;
        done.map_err(|error| match error.kind() {
            ErrorKind::InvalidArgument => Refusal::from(error).with_status(StatusCode::FORBIDDEN),
            _ => error.into(),
        })?;
        names.iter().for_each(|wanted| told(&mut out, wanted, StatusCode::OK));
    }
    out.push_str("</D:response></D:multistatus>\n");
    Ok(xml_response(StatusCode::MULTI_STATUS, Body::from(out)))
}

fn told(out: &mut String, wanted: &Wanted, status: StatusCode) {
    let mut name = String::new();
    wanted.write_empty(&mut name);
    write::propstat(out, &name, status);
}

/// What the body asks for, in its order.
fn changes(body: &[u8], entry: Option<&Entry>) -> Answer<Vec<(Wanted, Change)>> {
    let document = Document::read(body)?;
    if !document.root.is("propertyupdate") {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "the request's XML is no propertyupdate"));
    }
    let mut changes = Vec::new();
    for action in &document.root.children {
        for element in action.all("prop").flat_map(|prop| &prop.children) {
            let change = match () {
                () if action.is("set") => set(&document, element, entry),
                () if action.is("remove") => remove(element),
                () => continue,
            };
            changes.push((Wanted::of(element), change));
        }
    }
    if changes.is_empty() {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "the request's XML names no property"));
    }
    Ok(changes)
}

fn set(document: &Document<'_>, element: &Element, entry: Option<&Entry>) -> Change {
    let text = element.text.trim();
    let http_date = || {
        let time = httpdate::parse_http_date(text).ok()?;
        let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_nanos()).ok()
    };
    // RFC 4918 calls a value that has not the property's form a conflict.
    let time = |ns: Option<i64>| ns.map_or(Change::Refused(StatusCode::CONFLICT), Change::Modified);
    match (element.namespace.as_str(), element.name.as_str()) {
        // rclone's and ownCloud's way to set a time, in seconds since 1970.
        (DAV, "lastmodified") => {
            time(text.parse::<i64>().ok().and_then(|seconds| seconds.checked_mul(1_000_000_000)).or_else(http_date))
        }
        (DAV, "getlastmodified") | (MICROSOFT, "Win32LastModifiedTime") => time(http_date()),
        (MICROSOFT, "Win32CreationTime" | "Win32LastAccessTime" | "Win32FileAttributes") => Change::Ignored,
        (APACHE, "executable") => match text {
            "T" => Change::Executable(true),
            "F" => Change::Executable(false),
            _ => Change::Refused(StatusCode::CONFLICT),
        },
        // rclone says it again with every time it sets.
        (OWNCLOUD, "checksums") if entry.is_some_and(|entry| is_known(element, entry)) => Change::Ignored,
        (namespace, name) if Live::named(namespace, name).is_some() => Change::Refused(StatusCode::FORBIDDEN),
        (namespace, name) => Change::Set(Property {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            xml: document.alone(element),
        }),
    }
}

/// Whether all digests an `oc:checksums` element names are those that the file has.
fn is_known(element: &Element, entry: &Entry) -> bool {
    let known = checksums(entry).unwrap_or_default();
    let mut named = element.children.iter().flat_map(|child| child.text.split_whitespace());
    named.all(|digest| known.split(' ').any(|known| known.eq_ignore_ascii_case(digest)))
}

fn remove(element: &Element) -> Change {
    match Live::named(&element.namespace, &element.name) {
        Some(_) => Change::Refused(StatusCode::FORBIDDEN),
        // To remove what is not there is no error.
        None => Change::Remove,
    }
}

fn apply(changes: Vec<(Wanted, Change)>, metadata: &mut Metadata) -> rclonepool_core::Result<()> {
    for (wanted, change) in changes {
        match (change, wanted) {
            (Change::Set(property), _) => {
                let same = |old: &&mut Property| old.namespace == property.namespace && old.name == property.name;
                match metadata.properties.iter_mut().find(same) {
                    Some(old) => *old = property,
                    None => metadata.properties.push(property),
                }
            }
            (Change::Remove, Wanted::Dead { namespace, name }) => {
                metadata.properties.retain(|old| old.namespace != namespace || old.name != name);
            }
            (Change::Modified(mtime_ns), _) => metadata.mtime_ns = mtime_ns,
            (Change::Executable(executable), _) => metadata.executable = executable,
            (Change::Ignored | Change::Refused(_) | Change::Remove, _) => {}
        }
    }
    let bytes: usize = metadata.properties.iter().map(|property| property.xml.len()).sum();
    if bytes > BYTES_MAX || metadata.properties.len() > COUNT_MAX {
        let message = format!("a path's properties may have {BYTES_MAX} bytes and be {COUNT_MAX}");
        return Err(Error::new(ErrorKind::Full, message));
    }
    Ok(())
}
