//! The XML that clients send, read into a small tree. It is bounded, so walking the tree is, too.

use std::ops::Range;
use std::rc::Rc;

use axum::http::StatusCode;
use quick_xml::Reader;
use quick_xml::escape::{escape, unescape};
use quick_xml::events::{BytesStart, Event};

use crate::status::{Answer, Refusal};

/// The longest body that is read as XML, in bytes.
pub(super) const BYTES_MAX: usize = 64 << 10;
/// The deepest nesting. Deeper than any client's, and far from what a recursive parser's stack holds.
const DEPTH_MAX: usize = 32;

/// The namespace of WebDAV.
pub(super) const DAV: &str = "DAV:";

/// A document that was read.
pub(super) struct Document<'a> {
    source: &'a str,
    pub root: Element,
}

/// An element of a document.
pub(super) struct Element {
    pub namespace: String,
    pub name: String,
    pub children: Vec<Element>,
    /// All text directly in it.
    pub text: String,
    span: Range<usize>,
    /// The length of its tag's name, prefix and all.
    tag: usize,
    scope: Rc<Scope>,
    own: Vec<String>,
}

/// What an element's surroundings declare.
#[derive(Clone, Default)]
struct Scope {
    /// Prefix (empty: the default) and namespace; the last of a prefix counts.
    bindings: Vec<(String, String)>,
    lang: Option<String>,
}

impl Scope {
    fn resolve(&self, prefix: &str) -> Option<&str> {
        match prefix {
            "xml" => Some("http://www.w3.org/XML/1998/namespace"),
            _ => self.bindings.iter().rev().find(|(p, _)| p == prefix).map(|(_, uri)| uri.as_str()),
        }
    }
}

impl Element {
    /// Whether it is WebDAV's element of this name.
    pub fn is(&self, name: &str) -> bool {
        self.namespace == DAV && self.name == name
    }

    /// WebDAV's elements of this name in it.
    pub fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Self> {
        self.children.iter().filter(move |child| child.is(name))
    }
}

impl<'a> Document<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// 400 for what is no well-formed XML, or holds a document type: entities are not expanded.
    pub fn read(body: &'a [u8]) -> Answer<Self> {
        let source = std::str::from_utf8(body).map_err(|_| bad("it is not UTF-8"))?;
        let source = source.strip_prefix('\u{feff}').unwrap_or(source);
        is_text(source)?;
        let mut reader = Reader::from_str(source);
        reader.config_mut().check_comments = true;
        let mut open: Vec<Element> = Vec::new();
        let mut scopes: Vec<Rc<Scope>> = vec![Rc::default()];
        let mut root = None;
        loop {
            let start = position(&reader);
            let event = reader.read_event().map_err(|error| bad(&error.to_string()))?;
            let end = position(&reader);
            match event {
                Event::Start(tag) => {
                    if open.len() >= DEPTH_MAX || root.is_some() {
                        return Err(bad("it is nested too deeply, or holds two documents"));
                    }
                    let (element, scope) = element(&tag, start..end, &scopes)?;
                    open.push(element);
                    scopes.push(scope);
                }
                Event::Empty(tag) => {
                    if open.len() >= DEPTH_MAX || root.is_some() {
                        return Err(bad("it is nested too deeply, or holds two documents"));
                    }
                    let (element, _) = element(&tag, start..end, &scopes)?;
                    place(element, &mut open, &mut root);
                }
                Event::End(_) => {
                    scopes.pop();
                    if let Some(mut element) = open.pop() {
                        element.span.end = end;
                        place(element, &mut open, &mut root);
                    }
                }
                Event::Text(text) => add(&mut open, &text.xml10_content())?,
                Event::CData(text) => add(&mut open, &text.xml10_content())?,
                Event::GeneralRef(name) => {
                    let text = unescape(source.get(start..end).unwrap_or_default())
                        .map_err(|_| bad(&format!("the entity {:?} is not known", name.xml10_content())))?;
                    add(&mut open, &text)?;
                }
                Event::DocType(_) => return Err(bad("a document type is not allowed")),
                Event::Decl(_) | Event::PI(_) if !open.is_empty() => return Err(bad("it holds instructions")),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
                Event::Eof => break,
            }
        }
        match root {
            Some(root) if open.is_empty() => Ok(Self { source, root }),
            _ => Err(bad("it ends too early")),
        }
    }

    /// An element as a document of its own, with all that its surroundings declare and it needs.
    pub fn alone(&self, element: &Element) -> String {
        let text = self.source.get(element.span.clone()).unwrap_or_default();
        let (head, rest) = text.split_at_checked(1 + element.tag).unwrap_or((text, ""));
        let mut alone = head.to_owned();
        let mut done: Vec<&str> = element.own.iter().map(String::as_str).collect();
        for (prefix, uri) in element.scope.bindings.iter().rev() {
            if done.contains(&prefix.as_str()) {
                continue;
            }
            done.push(prefix);
            let (name, needed) = match prefix.as_str() {
                "" => ("xmlns".to_owned(), !uri.is_empty()),
                prefix => (format!("xmlns:{prefix}"), text.contains(&format!("{prefix}:"))),
            };
            if needed {
                alone.push_str(&format!(" {name}=\"{}\"", escape(uri.as_str())));
            }
        }
        if let Some(lang) = element.scope.lang.as_ref().filter(|_| !done.contains(&"xml:lang")) {
            alone.push_str(&format!(" xml:lang=\"{}\"", escape(lang.as_str())));
        }
        alone + rest
    }
}

fn position(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

fn element(tag: &BytesStart<'_>, span: Range<usize>, scopes: &[Rc<Scope>]) -> Answer<(Element, Rc<Scope>)> {
    let outer = scopes.last().cloned().unwrap_or_default();
    let (mut inner, mut own, mut prefixes) = (Scope::clone(&outer), Vec::new(), Vec::new());
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|error| bad(&error.to_string()))?;
        let name = text(attribute.key.as_ref())?;
        let raw = text(attribute.value.as_ref())?;
        let value = unescape(raw).map_err(|error| bad(&error.to_string()))?.into_owned();
        is_text(&value)?;
        if raw.contains('<') || !is_name(name) {
            return Err(bad("an attribute is malformed"));
        }
        if name == "xmlns" {
            own.push(String::new());
            inner.bindings.push((String::new(), value));
        } else if let Some(prefix) = name.strip_prefix("xmlns:") {
            if value.is_empty() || prefix.is_empty() {
                return Err(bad("a prefix stands for no namespace"));
            }
            own.push(prefix.to_owned());
            inner.bindings.push((prefix.to_owned(), value));
        } else if name == "xml:lang" {
            own.push(name.to_owned());
            inner.lang = Some(value);
        } else if let Some((prefix, _)) = name.split_once(':') {
            prefixes.push(prefix.to_owned());
        }
    }
    let qualified = tag.name();
    let whole = text(qualified.as_ref())?;
    let (prefix, name) = whole.split_once(':').unwrap_or(("", whole));
    let namespace = match inner.resolve(prefix) {
        Some(uri) => uri.to_owned(),
        None if prefix.is_empty() => String::new(),
        None => return Err(bad("a prefix is not declared")),
    };
    if !is_name(whole) || prefixes.iter().any(|prefix| inner.resolve(prefix).is_none()) {
        return Err(bad("a name is malformed, or a prefix not declared"));
    }
    let element = Element {
        namespace,
        name: name.to_owned(),
        children: Vec::new(),
        text: String::new(),
        span,
        tag: whole.len(),
        scope: outer,
        own,
    };
    Ok((element, Rc::new(inner)))
}

fn text<T: AsRef<[u8]> + ?Sized>(bytes: &T) -> Answer<&str> {
    std::str::from_utf8(bytes.as_ref()).map_err(|_| bad("it is not UTF-8"))
}

fn place(element: Element, open: &mut [Element], root: &mut Option<Element>) {
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None => *root = Some(element),
    }
}

/// Whether it is a name, perhaps with a prefix, that can be written out again. Beyond ASCII all is taken for a letter.
fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        let starts = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
        part.starts_with(starts) && part.chars().all(|c| starts(c) || c.is_ascii_digit() || c == '-' || c == '.')
    };
    match name.split_once(':') {
        Some((prefix, local)) => is_part(prefix) && is_part(local),
        None => is_part(name),
    }
}

/// Fails for characters that XML 1.0 does not have: what is kept is written out again for others.
fn is_text(text: &str) -> Answer<()> {
    let alien =
        |c: char| matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    if text.contains(alien) { Err(bad("it holds characters that XML does not have")) } else { Ok(()) }
}

fn add(open: &mut [Element], text: &str) -> Answer<()> {
    is_text(text)?;
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err(bad("text stands outside of the document")),
    }
    Ok(())
}

fn bad(why: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, format!("the request's XML cannot be read: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nested_or_expands_is_refused() {
        let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
        assert!(Document::read(nested(DEPTH_MAX).as_bytes()).is_ok());
        for text in [
            nested(DEPTH_MAX + 1).as_str(),
            nested(5000).as_str(),
            "<a>".repeat(20_000).as_str(),
            "",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>text",
            "<p:a/>",
            "<a p:b='c'/>",
            "<a xmlns:p=''/>",
            "<a>&lol;</a>",
            "<!DOCTYPE a [<!ENTITY lol \"lol\">]><a>&lol;</a>",
            "<!DOCTYPE a><a/>",
            "<a b='1' b='2'/>",
            "<a b='&x;'/>",
            "<a>\u{1}</a>",
            "<a>&#1;</a>",
            "<a b='&#1;'/>",
            "<a b='<'/>",
            "<a><1/></a>",
            "<a><b\"c/></a>",
            "<a><:b/></a>",
            "<a><?php evil ?></a>",
            "<a><!-- -- --></a>",
        ] {
            let shown: String = text.chars().take(60).collect();
            assert!(Document::read(text.as_bytes()).is_err(), "{shown}");
        }
    }

    #[test]
    fn an_element_stands_alone_with_what_it_needs() {
        let text = "<D:a xmlns:D='DAV:' xmlns:x='urn:x' xml:lang='de' xmlns='urn:d&amp;'><D:prop>\
                    <x:b>&lt;1&#233;<c x:y='1'/></x:b><e xmlns=''/></D:prop></D:a>";
        let document = Document::read(text.as_bytes()).unwrap();
        let prop = document.root.all("prop").next().unwrap();
        let [b, e] = prop.children.as_slice() else { panic!("two children") };
        assert_eq!((b.namespace.as_str(), b.name.as_str(), b.text.as_str()), ("urn:x", "b", "<1é"));
        assert_eq!(b.children[0].namespace, "urn:d&");
        for element in [b, e] {
            let alone = document.alone(element);
            let again = Document::read(alone.as_bytes()).unwrap();
            assert_eq!((&again.root.namespace, &again.root.name), (&element.namespace, &element.name), "{alone}");
            assert_eq!(again.root.text, element.text);
            assert!(alone.contains("xml:lang=\"de\""), "{alone}");
            assert!(!alone.contains("DAV:"), "{alone}");
        }
        assert!(document.alone(b).contains("xmlns=\"urn:d&amp;\""));
    }
}
