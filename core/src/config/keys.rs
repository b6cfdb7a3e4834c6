//! The keys as data, read off the schema: what is allowed, and the reference.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::Config;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    // Inline, so that each key's entry is complete in itself.
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<Config>().to_value();
    // The struct has a default for every field; the file must give the remotes.
    if let Some(remotes) = schema.pointer_mut("/properties/remotes").and_then(Value::as_object_mut) {
        remotes.shift_remove("default");
    }
    if let Some(root) = schema.as_object_mut() {
        root.insert("required".into(), serde_json::json!(["remotes"]));
    }
    schema
});

/// A key of the configuration, for people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct KeyDoc {
    /// Its name.
    pub key: String,
    /// `text`, `whole number`, `number`, `true or false`, `list` or `map`.
    pub kind: &'static str,
    /// What a number counts; empty where nothing need be said.
    pub unit: String,
    /// The default as JSON; `unset` for none, `required` where a value must be given.
    pub default: String,
    /// Which values are allowed.
    pub allowed: String,
    /// What it does.
    pub effect: String,
}

/// Every key, in the order of [`Config`].
pub fn reference() -> Vec<KeyDoc> {
    properties().into_iter().flatten().map(|(key, schema)| describe(key, schema)).collect()
}

impl Config {
    /// The JSON schema (draft 2020-12) of the configuration file, with descriptions, defaults and
    /// ranges. `x-unit` and `x-allowed` say for people what the standard keywords cannot.
    pub fn schema() -> Value {
        SCHEMA.clone()
    }
}

fn properties() -> Option<&'static Map<String, Value>> {
    SCHEMA.get("properties")?.as_object()
}

/// The schema of one key.
pub(super) fn schema_of(key: &str) -> Option<&'static Value> {
    properties()?.get(key)
}

/// The known key of the same spelling that lives as long as the program.
pub(super) fn known(key: &str) -> Option<&'static str> {
    properties()?.get_key_value(key).map(|(name, _)| name.as_str())
}

/// Which values a key allows, in words; empty for an unknown key.
pub(super) fn allowed(key: &str) -> String {
    schema_of(key).map(allowed_by).unwrap_or_default()
}

/// The known key nearest to `key`, if one is near.
pub(super) fn nearest(key: &str) -> Option<&'static str> {
    let lower = key.to_lowercase().replace('-', "_");
    if lower.len() > 64 {
        return None;
    }
    let near = properties()?.keys().map(|name| (distance(&lower, name), name.as_str())).min()?;
    (near.0 <= 2.max(lower.len() / 3)).then_some(near.1)
}

/// How many insertions, deletions, substitutions and swaps of neighbours turn `a` into `b`.
/// Source: optimal string alignment, Boytsov, "Indexing methods for approximate dictionary
/// searching", 2011.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

fn describe(key: &str, schema: &Value) -> KeyDoc {
    let text = |name: &str| schema.get(name).and_then(Value::as_str).unwrap_or_default();
    let required = SCHEMA.get("required").and_then(Value::as_array).is_some_and(|keys| keys.iter().any(|k| k == key));
    let default = match schema.get("default") {
        _ if required => "required".into(),
        None | Some(Value::Null) => "unset".into(),
        Some(value) => value.to_string(),
    };
    KeyDoc {
        key: key.into(),
        kind: kind(schema),
        unit: text("x-unit").into(),
        default,
        allowed: allowed_by(schema),
        effect: text("description").split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

/// The JSON types a schema allows, `null` left out.
fn types(schema: &Value) -> Vec<&str> {
    let found = match schema.get("type") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    found.into_iter().filter(|name| *name != "null").collect()
}

fn kind(schema: &Value) -> &'static str {
    match types(schema).first() {
        Some(&"boolean") => "true or false",
        Some(&"integer") => "whole number",
        Some(&"number") => "number",
        Some(&"array") => "list",
        Some(&"object") => "map",
        Some(_) => "text",
        // Values of several types: a name or a list.
        None if schema.get("anyOf").is_some() => "text or list",
        None => "text",
    }
}

fn allowed_by(schema: &Value) -> String {
    if let Some(words) = schema.get("x-allowed").and_then(Value::as_str) {
        return words.into();
    }
    let mut names: Vec<&str> = Vec::new();
    names.extend(schema.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str));
    let variants = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    names.extend(variants.filter_map(|variant| variant.get("const")?.as_str()));
    if let [first @ .., last] = names.as_slice() {
        return if first.is_empty() { (*last).into() } else { format!("{} or {last}", first.join(", ")) };
    }
    let bound = |name: &str| schema.get(name).filter(|value| value.is_number()).map(grouped);
    let range = match (bound("minimum"), bound("maximum")) {
        (Some(min), Some(max)) => format!(" from {min} to {max}"),
        (Some(min), None) => format!(" from {min}"),
        _ => String::new(),
    };
    let unit = schema.get("x-unit").and_then(Value::as_str).map(|unit| format!(" ({unit})")).unwrap_or_default();
    match kind(schema) {
        "true or false" => "true or false".into(),
        kind => format!("a {kind}{range}{unit}"),
    }
}

/// A number with commas between groups of three digits, and without `.0`.
fn grouped(number: &Value) -> String {
    let text = number.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
    let mut out = String::new();
    for (at, c) in whole.char_indices() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) && whole.as_bytes()[at - 1].is_ascii_digit() {
            out.push(',');
        }
        out.push(c);
    }
    if fraction == "0" { out } else { format!("{out}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_in_words() {
        for (key, words) in [
            ("chunk_size", "a whole number from 65,536 to 4,294,967,296 (bytes)"),
            ("retry_delay", "a number from 0 to 3,600 (seconds)"),
            ("rebalance_threshold", "a number from 0.1 to 100 (percentage points)"),
            ("use_crypt", "true or false"),
            ("redundancy_mode", "none, replication, parity or hybrid"),
            ("rclone_daemon_port", "a whole number from 1 to 65,535"),
        ] {
            assert_eq!(allowed(key), words);
        }
        assert!(allowed("log_level").starts_with("off, error"));
    }

    #[test]
    fn every_key_is_described() {
        let keys = reference();
        assert_eq!(keys.len(), 84);
        for doc in keys {
            assert!(doc.effect.ends_with('.') && doc.allowed.len() > 3, "{doc:?}");
            assert!(doc.default != "unset" || schema_of(&doc.key).unwrap()["type"][1] == "null", "{doc:?}");
            assert!(!doc.allowed.contains("a text"), "{doc:?}");
        }
    }

    #[test]
    fn near_keys_are_found() {
        for (typed, meant) in [
            ("chunksize", "chunk_size"),
            ("Chunk-Size", "chunk_size"),
            ("remote", "remotes"),
            ("webdav_prot", "webdav_port"),
            ("enable_rety", "enable_retry"),
        ] {
            assert_eq!(nearest(typed), Some(meant));
        }
        assert_eq!(nearest("xyzzy"), None);
        assert_eq!(nearest(&"x".repeat(10_000)), None);
        assert_eq!((distance("ab", "ba"), distance("", "abc"), distance("kitten", "sitting")), (1, 3, 3));
    }
}
