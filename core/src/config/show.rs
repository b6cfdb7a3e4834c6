//! The configuration for people: without secrets, and with what is not built yet.

use std::fmt;

use serde_json::{Map, Value};

use super::{Config, flags, redact_remote};

const HIDDEN: &str = "***";

/// Something the user should know about a key that is otherwise in order.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Notice {
    /// The key.
    pub key: String,
    /// What to know.
    pub message: String,
}

/// What a switch does not do yet.
struct Unbuilt {
    key: &'static str,
    on: fn(&Config) -> bool,
    message: &'static str,
}

const fn unbuilt(key: &'static str, on: fn(&Config) -> bool, message: &'static str) -> Unbuilt {
    Unbuilt { key, on, message }
}

/// The keys that are read and checked but have no effect in this version. Whoever builds one of
/// them deletes its line.
const UNBUILT: [Unbuilt; 1] = [unbuilt("enable_plugins", |c| c.enable_plugins, "plugins are not loaded")];

impl Config {
    /// What the user should know: each key that is switched on, by the file or against its default,
    /// and has no effect in this version.
    pub fn notices(&self) -> Vec<Notice> {
        let default = Config::default();
        let meant = |entry: &&Unbuilt| (entry.on)(self) && (self.given.contains(entry.key) || !(entry.on)(&default));
        let notice = |entry: &Unbuilt| Notice {
            key: entry.key.into(),
            message: format!("{} has no effect in this version: {}", entry.key, entry.message),
        };
        UNBUILT.iter().filter(meant).map(notice).collect()
    }

    /// The effective values of all keys as a JSON object, in the order of [`Config`], with hashes of
    /// passwords, secret flags and the options of connection strings replaced by `***`.
    pub fn masked(&self) -> Value {
        let mut shown = self.clone();
        for hash in shown.webdav_users.values_mut() {
            *hash = HIDDEN.into();
        }
        let mut tokens: Vec<(String, usize)> = Vec::new();
        for (name, user) in &shown.users {
            tokens.push((name.clone(), user.tokens.len()));
        }
        shown.rclone_flags = flags::masked(&self.rclone_flags);
        let mut value = serde_json::to_value(&shown).unwrap_or(Value::Null);
        for (name, count) in tokens {
            for at in 0..count {
                value["users"][&name]["tokens"][at]["sha256"] = HIDDEN.into();
            }
        }
        for key in ["remotes", "crypt_remotes"] {
            for label in value.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
                *label = Value::String(redact_remote(label.as_str().unwrap_or_default()));
            }
        }
        for key in ["remote_weights", "remote_priorities", "remote_quotas", "remote_limits", "failure_domains"] {
            if let Some(map) = value.get_mut(key).and_then(Value::as_object_mut) {
                let redacted: Map<_, _> = map.iter().map(|(name, v)| (redact_remote(name), v.clone())).collect();
                *map = redacted;
            }
        }
        value
    }
}

/// As [`Config::masked`]: a configuration in a log shows no secret.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Config {}", self.masked())
    }
}
