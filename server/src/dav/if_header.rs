//! The `If` header (RFC 4918, section 10.4).

use axum::http::{HeaderMap, StatusCode};

use crate::status::{Answer, Refusal};

/// Conditions that must hold all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct List {
    /// The URL they are about; the request's own where there is none.
    pub tag: Option<String>,
    pub conditions: Vec<Condition>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    pub is_negated: bool,
    pub state: State,
}

/// What a condition is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// A lock's token.
    Token(String),
    /// An entity tag, with its quotes.
    Tag(String),
}

/// Reads the header; `None` when there is none.
///
/// # Errors
/// 400 when it is malformed.
pub(super) fn read(headers: &HeaderMap) -> Answer<Option<Vec<List>>> {
    let Some(value) = headers.get("if") else { return Ok(None) };
    let lists = value.to_str().ok().and_then(parse);
    lists.map(Some).ok_or_else(|| Refusal::new(StatusCode::BAD_REQUEST, "the header If is malformed"))
}

fn parse(text: &str) -> Option<Vec<List>> {
    let mut rest = text.trim();
    let (mut lists, mut tag) = (Vec::new(), None);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('<') {
            let (url, after) = after.split_once('>')?;
            (tag, rest) = (Some(url.to_owned()), after.trim_start());
            // A tag is of the lists that follow.
            rest.starts_with('(').then_some(())?;
        }
        let (conditions, after) = list(rest.strip_prefix('(')?)?;
        lists.push(List { tag: tag.clone(), conditions });
        rest = after.trim_start();
    }
    (!lists.is_empty()).then_some(lists)
}

/// The conditions up to the closing bracket, and what follows that.
fn list(mut rest: &str) -> Option<(Vec<Condition>, &str)> {
    let mut conditions = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix(')') {
            return (!conditions.is_empty()).then_some((conditions, after));
        }
        let negated = rest.get(..3).filter(|word| word.eq_ignore_ascii_case("not")).and_then(|_| rest.get(3..));
        rest = negated.unwrap_or(rest).trim_start();
        let state = if let Some(after) = rest.strip_prefix('<') {
            let (token, after) = after.split_once('>')?;
            rest = after;
            State::Token(token.to_owned())
        } else {
            let (tag, after) = rest.strip_prefix('[')?.split_once(']')?;
            rest = after;
            State::Tag(tag.trim().to_owned())
        };
        conditions.push(Condition { is_negated: negated.is_some(), state });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_rfc() {
        let token = |text: &str, is_negated| Condition { is_negated, state: State::Token(text.into()) };
        let tag = |text: &str, is_negated| Condition { is_negated, state: State::Tag(text.into()) };
        let found = parse("(<urn:uuid:1> [\"I am an ETag\"]) ([\"another\"])").unwrap();
        assert_eq!(found[0].conditions, [token("urn:uuid:1", false), tag("\"I am an ETag\"", false)]);
        assert_eq!(found[1].conditions, [tag("\"another\"", false)]);
        let found = parse("(Not <urn:1> <urn:2>)").unwrap();
        assert_eq!(found[0].conditions, [token("urn:1", true), token("urn:2", false)]);
        let found = parse("<http://h/a> (<t>) (not[W/\"x\"]) </b>(<u>)").unwrap();
        let tags: Vec<_> = found.iter().map(|list| list.tag.as_deref().unwrap()).collect();
        assert_eq!(tags, ["http://h/a", "http://h/a", "/b"]);
        for bad in ["", "()", "(", "(<a>", "<a>", "<a> <b> (<t>)", "(<a)", "x(<a>)", "([a)", "(nota)", "(\u{e9}é<a>)"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
