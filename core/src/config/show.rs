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

impl Config {
    /// What the user should know: keys that are in order and have no effect.
    pub fn notices(&self) -> Vec<Notice> {
        let mut notices = Vec::new();
        let enabled: Vec<&str> = self.plugins.iter().filter(|(_, p)| p.enabled).map(|(id, _)| id.as_str()).collect();
        if !self.enable_plugins && !enabled.is_empty() {
            let message = format!("plugins has no effect while enable_plugins is off: {}", enabled.join(", "));
            notices.push(Notice { key: "plugins".into(), message });
        }
        notices
    }

    /// The effective values of all keys as a JSON object, in the order of [`Config`], with hashes of
    /// passwords, secret flags and the options of connection strings replaced by `***`.
    pub fn masked(&self) -> Value {
        let mut shown = self.clone();
        for hash in shown.webdav_users.values_mut() {
            *hash = HIDDEN.into();
        }
        for plugin in shown.plugins.values_mut() {
            // Keys of ciphers, for one.
            plugin.config.values_mut().for_each(|value| *value = HIDDEN.into());
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
