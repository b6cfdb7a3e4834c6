//! From text to a checked [`Config`], with every problem found at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use serde_path_to_error::Segment;

use super::{Config, edit, keys, redact_remote, validate};
use crate::error::{Error, ErrorKind, Result};

/// Objects nested deeper are not searched for doubled keys; no key of ours goes as deep.
const DEPTH_MAX: usize = 16;

/// Something wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The key, or the path to the value below it (`remotes[1]`, `remote_weights.mega1:`); empty
    /// when it is about the whole text.
    pub key: String,
    /// What is wrong and what is allowed.
    pub message: String,
    /// Where in the text, if it came from a text: line and column, from 1.
    pub position: Option<(usize, usize)>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.position {
            write!(f, "line {line}, column {column}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

impl Config {
    /// Reads a configuration from JSON and checks it.
    ///
    /// # Errors
    /// `Config`, listing every problem: no JSON, unknown and doubled keys, wrong types, values that
    /// cannot be. Secrets are never shown.
    pub fn parse(text: &str) -> Result<Self> {
        Self::check(text).map_err(|problems| error_of(&problems))
    }

    /// As [`Config::parse`], with the problems one by one.
    ///
    /// # Errors
    /// The problems, in the order of the text; never an empty list.
    pub fn check(text: &str) -> Result<Self, Vec<Problem>> {
        let mut reader = Reader::default();
        let read = reader.read(text.strip_prefix('\u{feff}').unwrap_or(text));
        let mut problems = reader.problems;
        if let Some(config) = read {
            let bad: BTreeSet<&str> = reader.bad.iter().map(String::as_str).collect();
            for finding in validate::findings(&config) {
                // What follows from another problem would only confuse.
                if finding.keys.iter().any(|key| bad.contains(key)) {
                    continue;
                }
                let position = finding.keys.iter().find_map(|key| reader.places.get(*key).copied());
                problems.push(Problem { key: finding.path, message: finding.message, position });
            }
            if problems.is_empty() {
                return Ok(config);
            }
        }
        problems.sort_by_key(|problem| problem.position.unwrap_or((usize::MAX, 0)));
        Err(problems)
    }

    /// Checks a configuration that was made in the program.
    ///
    /// # Errors
    /// `Config`, listing every problem.
    pub fn validate(&self) -> Result<()> {
        let findings = validate::findings(self);
        if findings.is_empty() {
            return Ok(());
        }
        let problem =
            |finding: validate::Finding| Problem { key: finding.path, message: finding.message, position: None };
        Err(error_of(&findings.into_iter().map(problem).collect::<Vec<_>>()))
    }

    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// `NotFound` when there is none; otherwise as [`Config::parse`].
    pub fn load(path: &Path) -> Result<Self> {
        Self::parse(&edit::read(path)?).map_err(|error| error.at_path(path.display()))
    }
}

fn error_of(problems: &[Problem]) -> Error {
    let texts: Vec<String> = problems.iter().map(Problem::to_string).collect();
    let message = match texts.as_slice() {
        [one] => format!("configuration: {one}"),
        several => format!("configuration: {} problems: {}", several.len(), several.join("; ")),
    };
    Error::new(ErrorKind::Config, message)
        .hint("`rclonepool config schema` and docs/configuration.md describe every key")
}

/// The object that `text` is, in its order.
///
/// # Errors
/// `Config` when it is none, or a key stands twice: one of the two would be lost by an edit.
pub(super) fn object(text: &str) -> Result<Map<String, Value>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::default();
    let members = reader.members(text).unwrap_or_default();
    let mut seen = BTreeSet::new();
    for (raw_key, raw) in members {
        if let Some(key) = reader.key(text, raw_key) {
            reader.find_doubled(text, &key, raw, 1);
            if !seen.insert(key.clone()) {
                reader.report(shown(&key), Some(place(text, raw_key)), "the key stands twice");
            }
        }
    }
    if !reader.problems.is_empty() {
        return Err(error_of(&reader.problems));
    }
    serde_json::from_str(text)
        .map_err(|error| Error::new(ErrorKind::Config, format!("configuration: not valid JSON: {error}")))
}

/// `text`, shortened and with control characters escaped, for a message.
pub(super) fn shown(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(80) {
        match c {
            '"' | '\'' | '\\' => out.push(c),
            _ => out.extend(c.escape_debug()),
        }
    }
    if text.chars().nth(80).is_some() { format!("{out}…") } else { out }
}

/// The members of a JSON object with their raw texts, doubled keys and all.
struct Members<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
    /// Known keys whose values could not be read.
    bad: Vec<String>,
    /// Where each known key stands.
    places: BTreeMap<String, (usize, usize)>,
}

impl Reader {
    fn report(&mut self, key: impl Into<String>, position: Option<(usize, usize)>, message: impl Into<String>) {
        self.problems.push(Problem { key: key.into(), message: message.into(), position });
    }

    /// The members of the object that `text` is.
    fn members<'a>(&mut self, text: &'a str) -> Option<Vec<(&'a RawValue, &'a RawValue)>> {
        match serde_json::from_str::<Members<'a>>(text) {
            Ok(Members(members)) => return Some(members),
            Err(_) if text.trim().is_empty() => {
                self.report("", None, "the text is empty; a JSON object such as {\"remotes\": [\"mega1:\"]} is needed");
            }
            Err(error) if error.is_data() => {
                let start = text.len() - text.trim_start().len();
                self.report("", Some(position(text, start)), "the text must be a JSON object, { … }");
            }
            Err(error) => {
                let message = format!("not valid JSON: {}", without_position(&error));
                self.report("", Some((error.line(), error.column())), message);
            }
        }
        None
    }

    /// The text of a key; bad escapes in it come to light only here.
    fn key(&mut self, text: &str, raw: &RawValue) -> Option<String> {
        let key = serde_json::from_str(raw.get());
        let report = |error: &serde_json::Error| {
            self.report("", Some(place(text, raw)), format!("not valid JSON: {}", without_position(error)));
        };
        key.inspect_err(report).ok()
    }

    /// Reads what can be read; `None` when it is no JSON object.
    fn read(&mut self, text: &str) -> Option<Config> {
        let members = self.members(text)?;
        let mut good = String::from("{");
        let mut given = BTreeSet::new();
        for (raw_key, raw) in members {
            let position = Some(place(text, raw_key));
            let Some(key) = self.key(text, raw_key) else { continue };
            self.find_doubled(text, &key, raw, 1);
            let Some(key) = keys::known(&key) else {
                let near = keys::nearest(&key);
                let near = near.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
                self.report(shown(&key), position, format!("unknown key{near}"));
                continue;
            };
            if let Some((line, _)) = self.places.get(key) {
                let message = format!("the key stands twice; first in line {line}");
                self.report(key, position, message);
                continue;
            }
            self.places.insert(key.into(), place(text, raw_key));
            let member = format!("{}\"{key}\":{}", if good.len() > 1 { "," } else { "" }, raw.get());
            let alone = format!("{{{}}}", member.trim_start_matches(','));
            match serde_path_to_error::deserialize::<_, Config>(&mut serde_json::Deserializer::from_str(&alone)) {
                Ok(_) => {
                    good.push_str(&member);
                    given.insert(key.into());
                }
                Err(error) => {
                    self.bad.push(key.into());
                    let (path, message) = mismatch(key, raw, &error);
                    self.report(path, position, message);
                }
            }
        }
        good.push('}');
        match serde_json::from_str::<Config>(&good) {
            Ok(config) => Some(Config { given, ..config }),
            Err(error) => {
                self.report("", None, format!("the configuration cannot be read: {}", without_position(&error)));
                None
            }
        }
    }

    /// Reports keys that stand twice in an object inside `raw`.
    fn find_doubled(&mut self, text: &str, path: &str, raw: &RawValue, depth: usize) {
        let Ok(Members(members)) = serde_json::from_str::<Members<'_>>(raw.get()) else { return };
        let mut seen = BTreeSet::new();
        for (raw_key, value) in members {
            let Ok(key) = serde_json::from_str::<String>(raw_key.get()) else { continue };
            let below = format!("{path}.{}", shown(&key));
            if depth < DEPTH_MAX {
                self.find_doubled(text, &below, value, depth + 1);
            }
            if !seen.insert(key) {
                self.report(below, Some(place(text, raw_key)), "the key stands twice");
            }
        }
    }
}

/// The line and column of `raw`, which is a part of `text`.
fn place(text: &str, raw: &RawValue) -> (usize, usize) {
    position(text, (raw.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize))
}

/// The line and column of a byte of `text`.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// serde_json's message without its position, which counts from the wrong start.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rfind(" at line ").map_or(text.as_str(), |at| &text[..at]).to_owned()
}

/// The path and the message for a value of the wrong type or of no known name.
fn mismatch(key: &str, raw: &RawValue, error: &serde_path_to_error::Error<serde_json::Error>) -> (String, String) {
    let mut path = key.to_owned();
    let whole: Option<Value> = serde_json::from_str(raw.get()).ok();
    let mut seen = whole.as_ref();
    for segment in error.path().iter().skip(1) {
        let inner = match segment {
            Segment::Seq { index } => {
                path.push_str(&format!("[{index}]"));
                seen.and_then(|value| value.get(index))
            }
            Segment::Map { key } => {
                path.push_str(&format!(".{}", shown(&redact_remote(key))));
                seen.and_then(|value| value.get(key))
            }
            Segment::Enum { .. } | Segment::Unknown => seen,
        };
        seen = inner.or(seen);
    }
    let value = match seen {
        _ if validate::is_secret(key) => "this value".into(),
        Some(Value::String(text)) => format!("\"{}\"", shown(&redact_remote(text))),
        Some(value) => shown(&value.to_string()),
        None => shown(raw.get()),
    };
    (path, format!("{value} is not allowed; allowed: {}", keys::allowed(key)))
}
