//! Remotes in the configuration file: in, and out.

use std::path::Path;

use rclonepool_core::config::ConfigFile;
use rclonepool_core::{Config, Result};
use serde_json::Value;

/// What is said of each remote, by its name.
const BY_REMOTE: [&str; 5] =
    ["remote_weights", "remote_priorities", "remote_quotas", "remote_limits", "failure_domains"];

/// The file as it was, for undoing a change.
pub struct Before(Vec<(&'static str, Option<Value>)>);

impl Before {
    /// Remembers the keys that name remotes.
    pub fn of(file: &ConfigFile) -> Self {
        let keys = ["remotes", "crypt_remotes"].into_iter().chain(BY_REMOTE);
        Self(keys.map(|key| (key, file.get(key).cloned())).collect())
    }

    /// Puts them back.
    ///
    /// # Errors
    /// Those of writing.
    pub fn restore(self, file: &mut ConfigFile) -> Result<()> {
        for (key, value) in self.0 {
            match value {
                Some(value) => file.set(key, value),
                None => drop(file.remove(key)),
            }
        }
        file.save()
    }
}

/// Opens the file for a change.
///
/// # Errors
/// As [`ConfigFile::load`].
pub fn edit(path: &Path) -> Result<ConfigFile> {
    ConfigFile::load(path)
}

/// Adds a remote at the end, unless it stands there.
pub fn push(file: &mut ConfigFile, config: &Config, remote: &str, crypt: Option<&str>) {
    if config.index_of(remote).is_some() {
        return;
    }
    let mut add = |key: &str, name: &str| {
        let mut list = file.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        list.push(name.into());
        file.set(key, list);
    };
    add("remotes", remote);
    if let Some(crypt) = crypt {
        add("crypt_remotes", crypt);
    }
}

/// Takes everything that is said of a remote out of the file.
pub fn forget(file: &mut ConfigFile, config: &Config, remote: &str) {
    let Some(at) = config.index_of(remote) else { return };
    for key in ["remotes", "crypt_remotes"] {
        if let Some(mut list) = file.get(key).and_then(Value::as_array).cloned().filter(|list| at < list.len()) {
            list.remove(at);
            file.set(key, list);
        }
    }
    for key in BY_REMOTE {
        if let Some(mut map) = file.get(key).and_then(Value::as_object).cloned() {
            map.retain(|name, _| config.index_of(name) != Some(at));
            file.set(key, map);
        }
    }
}
