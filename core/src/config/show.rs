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
const UNBUILT: [Unbuilt; 8] = [
    unbuilt("webdav_auth_method", |c| !c.webdav_auth_method.is_none(), "there is no server to sign in to"),
    unbuilt("webdav_users", |c| !c.webdav_users.is_empty(), "there is no server to sign in to"),
    unbuilt("enable_https", |c| c.enable_https, "there is no server"),
    unbuilt("enable_webui", |c| c.enable_webui, "there is no web page"),
    unbuilt("enable_api_server", |c| c.enable_api_server, "there is no REST server"),
    unbuilt("enable_plugins", |c| c.enable_plugins, "plugins are not loaded"),
    unbuilt("enable_metrics", |c| c.enable_metrics, "there are no metrics"),
    unbuilt("ssl_cert_file", |c| c.ssl_cert_file.is_some(), "there is no server"),
];

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
        shown.rclone_flags = flags::masked(&self.rclone_flags);
        let mut value = serde_json::to_value(&shown).unwrap_or(Value::Null);
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
