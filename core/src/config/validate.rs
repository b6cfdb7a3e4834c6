//! What the schema's ranges cannot say. Every rule holds whether its feature is on or off, but for
//! the rules between keys of which one is off.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::forms::{is_argon2id, is_base_path, is_host, is_origin, is_rooted, is_user};
use super::load::shown;
use super::{Config, RemoteKind, flags, keys, label, redact_remote};
use crate::plugin::PluginId;
use crate::redundancy::{Redundancy, RedundancyMode};

const WINDOWS: bool = cfg!(windows);

const NO_USER: &str = "not a user's name: allowed are 1 to 255 bytes without ':' and control characters";

/// A broken rule.
pub(super) struct Finding {
    /// The keys it is about; the first is the one to name.
    pub(super) keys: Vec<&'static str>,
    /// The key or the path below it.
    pub(super) path: String,
    /// What is wrong and what is allowed.
    pub(super) message: String,
}

/// Whether a key's values are never shown.
pub(super) fn is_secret(key: &str) -> bool {
    matches!(key, "webdav_users" | "users" | "rclone_flags")
}

/// Every rule `config` breaks.
pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let mut check = Check { config, found: Vec::new() };
    check.ranges();
    check.remotes();
    check.crypt();
    check.maps_of_remotes();
    check.prefixes();
    check.paths();
    check.plugins();
    check.flags();
    check.lists();
    check.quorum();
    check.redundancy();
    check.network();
    check.users();
    check.found
}

struct Check<'a> {
    config: &'a Config,
    found: Vec<Finding>,
}

impl Check<'_> {
    fn report(&mut self, keys: &[&'static str], path: impl Into<String>, message: impl Into<String>) {
        self.found.push(Finding { keys: keys.to_vec(), path: path.into(), message: message.into() });
    }

    fn refuse(&mut self, key: &'static str, path: impl Into<String>, value: &str) {
        let message = format!("\"{}\" is not allowed; allowed: {}", shown(value), keys::allowed(key));
        self.report(&[key], path, message);
    }

    /// Numbers lie within the schema's bounds.
    fn ranges(&mut self) {
        let Ok(Value::Object(values)) = serde_json::to_value(self.config) else { return };
        for (key, value) in values {
            let (Some(key), Some(schema)) = (keys::known(&key), keys::schema_of(&key)) else { continue };
            let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
            // JSON has no number for an infinity or NaN made in the program: it reads as null.
            let number = value.as_f64().or(schema.get("type").filter(|t| *t == "number").map(|_| f64::NAN));
            let inside =
                |n: f64| bound("minimum").is_none_or(|min| n >= min) && bound("maximum").is_none_or(|max| n <= max);
            if number.is_some_and(|n| !(n.is_finite() && inside(n))) {
                self.report(&[key], key, format!("{value} is not allowed; allowed: {}", keys::allowed(key)));
            }
        }
    }

    fn remotes(&mut self) {
        let config = self.config;
        if config.remotes.is_empty() {
            self.report(&["remotes"], "remotes", format!("no remotes; needed: {}", keys::allowed("remotes")));
        }
        self.labels("remotes", &config.remotes, None);
    }

    /// Every label of a list is one, of `only` this kind, and none stands twice.
    fn labels(&mut self, key: &'static str, list: &[String], only: Option<RemoteKind>) {
        let mut seen = BTreeMap::new();
        for (at, text) in list.iter().enumerate() {
            let path = format!("{key}[{at}]");
            let name = shown(&redact_remote(text));
            match label::parse(text, WINDOWS) {
                Err(why) => self.report(&[key], path, format!("\"{name}\": {why}")),
                Ok(parsed) if only.is_some_and(|kind| kind != parsed.kind) => {
                    let message = format!("\"{name}\" is no rclone remote; a crypt remote is needed (crypt-mega1:)");
                    self.report(&[key], path, message);
                }
                Ok(_) => {
                    if let Some(first) = seen.insert(label::normal(text, WINDOWS), at) {
                        let message = format!("\"{name}\" is the same remote as {key}[{first}]; each may stand once");
                        self.report(&[key], path, message);
                    }
                }
            }
        }
    }

    fn crypt(&mut self) {
        let config = self.config;
        let keys = ["crypt_remotes", "remotes", "use_crypt"];
        self.labels("crypt_remotes", &config.crypt_remotes, Some(RemoteKind::Rclone));
        if !config.use_crypt {
            return;
        }
        let (plain, crypt) = (&config.remotes, &config.crypt_remotes);
        if !crypt.is_empty() {
            if crypt.len() != plain.len() {
                let message = format!(
                    "{} entries for {} remotes; the i-th wraps the i-th of remotes, so there must be as many, or none for \
                     crypt-NAME: each",
                    crypt.len(),
                    plain.len()
                );
                self.report(&keys, "crypt_remotes", message);
            }
            for (at, (inner, outer)) in plain.iter().zip(crypt).enumerate() {
                if label::normal(inner, WINDOWS) == label::normal(outer, WINDOWS) {
                    let message =
                        format!("\"{}\" wraps itself: it is remotes[{at}], too", shown(&redact_remote(outer)));
                    self.report(&keys, format!("crypt_remotes[{at}]"), message);
                }
            }
            return;
        }
        let mut made = BTreeMap::new();
        for (at, inner) in plain.iter().enumerate().filter(|(_, inner)| label::parse(inner, WINDOWS).is_ok()) {
            let name = shown(&redact_remote(inner));
            let message = match label::default_crypt(inner, WINDOWS) {
                None => format!("use_crypt is on, and \"{name}\" (remotes[{at}]) has no name to make crypt-NAME: of"),
                Some(crypt) => match made.insert(crypt.clone(), at) {
                    None => continue,
                    Some(first) => {
                        format!(
                            "use_crypt is on, and remotes[{first}] and remotes[{at}] would both be wrapped by {crypt}"
                        )
                    }
                },
            };
            self.report(&keys, "crypt_remotes", format!("{message}; list a crypt remote for each of remotes"));
        }
    }

    /// Weights, priorities, quotas, limits and domains are of remotes of the pool.
    fn maps_of_remotes(&mut self) {
        let config = self.config;
        fn names<V>(map: &BTreeMap<String, V>) -> Vec<&str> {
            map.keys().map(String::as_str).collect()
        }
        let maps = [
            ("remote_weights", names(&config.remote_weights)),
            ("remote_priorities", names(&config.remote_priorities)),
            ("remote_quotas", names(&config.remote_quotas)),
            ("remote_limits", names(&config.remote_limits)),
            ("failure_domains", names(&config.failure_domains)),
        ];
        for (key, names) in maps {
            let mut seen = BTreeMap::new();
            for name in names {
                let text = shown(&redact_remote(name));
                let message = match config.index_of(name) {
                    None => {
                        let list: Vec<String> =
                            config.remotes.iter().take(20).map(|r| shown(&redact_remote(r))).collect();
                        format!("no such remote; remotes has: {}", list.join(", "))
                    }
                    Some(at) => match seen.insert(at, name) {
                        None => continue,
                        Some(first) => {
                            format!("the same remote as \"{}\"; give one value", shown(&redact_remote(first)))
                        }
                    },
                };
                self.report(&[key, "remotes"], format!("{key}.{text}"), message);
            }
        }
        let path = |key: &str, name: &str| format!("{key}.{}", shown(&redact_remote(name)));
        for (name, weight) in &config.remote_weights {
            if !(weight.is_finite() && *weight > 0.0 && *weight <= 1e6) {
                let message = format!("{weight} is not allowed; allowed: a number above 0, at most 1,000,000");
                self.report(&["remote_weights"], path("remote_weights", name), message);
            }
        }
        for (name, quota) in &config.remote_quotas {
            if quota.0 == 0 {
                let message = "0 is not allowed; allowed: a size above 0 (leave the remote out for no quota)";
                self.report(&["remote_quotas"], path("remote_quotas", name), message);
            }
        }
        for (name, limits) in &config.remote_limits {
            let rates = [limits.upload_mbps, limits.download_mbps, limits.requests_per_second];
            if !rates.iter().all(|rate| (0.0..=1e6).contains(rate)) {
                let message = "a rate is not allowed; allowed: numbers from 0 to 1,000,000 (0 is unlimited)";
                self.report(&["remote_limits"], path("remote_limits", name), message);
            }
        }
        for (name, domain) in &config.failure_domains {
            if domain.trim().is_empty() || domain.len() > 255 || domain.chars().any(char::is_control) {
                let message = format!("\"{}\" is not allowed; allowed: a name of at most 255 bytes", shown(domain));
                self.report(&["failure_domains"], path("failure_domains", name), message);
            }
        }
    }

    fn prefixes(&mut self) {
        let (data, manifest) = (&self.config.data_prefix, &self.config.manifest_prefix);
        for (key, prefix) in [("data_prefix", data), ("manifest_prefix", manifest)] {
            let plain = |part: &str| {
                let chars = part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
                chars && !matches!(part, "" | "." | "..")
            };
            if prefix.len() > 200 || !prefix.split('/').all(plain) {
                self.refuse(key, key, prefix);
            }
        }
        // Many backends do not tell capitals from small letters.
        let (d, m) = (format!("{}/", data.to_ascii_lowercase()), format!("{}/", manifest.to_ascii_lowercase()));
        if d.starts_with(&m) || m.starts_with(&d) {
            let message = format!(
                "\"{}\" and data_prefix \"{}\" must be two directories, neither inside the other",
                shown(manifest),
                shown(data)
            );
            self.report(&["manifest_prefix", "data_prefix"], "manifest_prefix", message);
        }
    }

    fn plugins(&mut self) {
        let mut single = BTreeMap::new();
        for (text, settings) in &self.config.plugins {
            let path = format!("plugins.{text}");
            let id = match text.parse::<PluginId>() {
                Ok(id) => id,
                Err(error) => {
                    self.report(&["plugins"], path, error.to_string());
                    continue;
                }
            };
            let in_force = settings.enabled && !settings.read_only && id.kind.is_single();
            if let Some(other) = in_force.then(|| single.insert(id.kind, text)).flatten() {
                let message = format!("{other} is enabled, too; only one {} can be in force", id.kind.as_str());
                self.report(&["plugins"], path, message);
            }
        }
    }

    fn paths(&mut self) {
        let config = self.config;
        let optional = [
            ("temp_dir", &config.temp_dir),
            ("rclone_config_file", &config.rclone_config_file),
            ("ssl_cert_file", &config.ssl_cert_file),
            ("ssl_key_file", &config.ssl_key_file),
        ];
        let given = optional.into_iter().filter_map(|(key, path)| Some((key, path.as_deref()?)));
        let always = [
            ("manifest_cache_dir", config.manifest_cache_dir.as_path()),
            ("plugins_dir", config.plugins_dir.as_path()),
        ];
        for (key, path) in given.chain(always) {
            if !is_rooted(path) {
                self.refuse(key, key, &path.to_string_lossy());
            }
        }
        for (key, program) in [("rclone_binary", &config.rclone_binary), ("plugin_python", &config.plugin_python)] {
            let text = program.to_string_lossy();
            let no_name = text.is_empty() || text.contains(['/', '\0']) || WINDOWS && text.contains('\\');
            if no_name && !is_rooted(program) {
                self.refuse(key, key, &text);
            }
        }
        let (given, missing) = match (&config.ssl_cert_file, &config.ssl_key_file) {
            (Some(_), None) => ("ssl_cert_file", "ssl_key_file"),
            (None, Some(_)) => ("ssl_key_file", "ssl_cert_file"),
            _ => return,
        };
        self.report(&[given, missing], missing, format!("must be given, since {given} is; give both or none"));
    }

    fn flags(&mut self) {
        for (at, why) in flags::join(&self.config.rclone_flags).err().unwrap_or_default() {
            self.report(&["rclone_flags"], format!("rclone_flags[{at}]"), why);
        }
    }

    fn lists(&mut self) {
        let hashes = &self.config.file_hashes;
        if hashes.iter().collect::<BTreeSet<_>>().len() < hashes.len() {
            let message = format!("a hash stands twice; allowed: {}", keys::allowed("file_hashes"));
            self.report(&["file_hashes"], "file_hashes", message);
        }
    }

    /// The configured quorum leaves no two halves of the pool that could both commit.
    fn quorum(&mut self) {
        let n = self.config.remotes.len();
        let least = if n <= 2 { 1 } else { n / 2 + 1 };
        let Some(quorum) = self.config.commit_quorum else { return };
        if n > 0 && (usize::try_from(quorum).is_ok_and(|q| q > n || (q < least && q > 0))) {
            let message = format!("{quorum} is not allowed with {n} remotes; allowed: from {least} to {n}");
            self.report(&["commit_quorum", "remotes"], "commit_quorum", message);
        }
    }

    fn redundancy(&mut self) {
        let config = self.config;
        let (k, m) = (config.parity_data_shards, config.parity_parity_shards);
        let shard_keys = ["parity_parity_shards", "parity_data_shards"];
        // Whatever the mode, so that switching it on brings no surprise.
        if let (1.., 1.., Err(error)) = (k, m, Redundancy::parity_of(k, m)) {
            self.report(
                &shard_keys,
                "parity_parity_shards",
                format!("{m} is not allowed with parity_data_shards {k}: {}", error.message()),
            );
            return;
        }
        let redundancy = config.redundancy();
        let Redundancy { mode, data, parity, copies } = redundancy;
        if data == 0
            || copies == 0
            || (mode != RedundancyMode::None && mode != RedundancyMode::Replication && parity == 0)
        {
            return; // reported as out of range
        }
        let keys = ["replication_factor", "redundancy_mode", "parity_parity_shards", "parity_data_shards"];
        if let Err(error) = Redundancy::new(mode, data, parity, copies) {
            self.report(&keys, "replication_factor", format!("{copies} is not allowed: {}", error.message()));
        }
    }

    fn network(&mut self) {
        let config = self.config;
        let hosts = [
            ("webdav_host", &config.webdav_host),
            ("api_server_host", &config.api_server_host),
            ("metrics_host", &config.metrics_host),
        ];
        for (key, host) in hosts {
            if !is_host(host) {
                self.refuse(key, key, host);
            }
        }
        let overlap = |a: &str, b: &str| {
            let every = |host: &str| matches!(host, "0.0.0.0" | "::" | "[::]");
            a == b || every(a) || every(b)
        };
        for root in &config.api_local_roots {
            if !is_rooted(root) {
                self.refuse("api_local_roots", "api_local_roots", &root.to_string_lossy());
            }
        }
        for origin in config.cors_origins.iter().filter(|origin| !is_origin(origin)) {
            self.refuse("cors_origins", "cors_origins", origin);
        }
        if !is_base_path(&config.server_base_path) {
            self.refuse("server_base_path", "server_base_path", &config.server_base_path);
        }
        // `serve` and the other servers of its process.
        let mut used: Vec<(&'static str, u16, &str)> = vec![("webdav_port", config.webdav_port, &config.webdav_host)];
        if config.enable_api_server {
            used.push(("api_server_port", config.api_server_port, &config.api_server_host));
        }
        if config.enable_metrics {
            used.push(("metrics_port", config.metrics_port, &config.metrics_host));
        }
        if let (true, Some(port)) = (config.enable_rclone_daemon, config.rclone_daemon_port) {
            used.push(("rclone_daemon_port", port, "127.0.0.1"));
        }
        for (at, (key, port, host)) in used.iter().enumerate() {
            let before = &used[..at];
            if let Some((first, ..)) = before.iter().find(|(_, p, h)| p == port && overlap(h, host)) {
                self.report(&[key, first], *key, format!("{port} is {first}, too; give each its own port"));
            }
        }
    }

    fn users(&mut self) {
        for (name, user) in &self.config.users {
            let path = format!("users.{}", shown(name));
            if !is_user(name) {
                self.report(&["users"], path.clone(), NO_USER);
            }
            if user.config.as_ref().is_some_and(|config| !is_rooted(config)) {
                self.report(&["users"], format!("{path}.config"), "must be an absolute path, or begin with ~/");
            }
            let mut ids: Vec<&str> = user.tokens.iter().map(|token| token.id.as_str()).collect();
            ids.sort_unstable();
            if ids.windows(2).any(|two| two[0] == two[1]) || ids.iter().any(|id| id.is_empty()) {
                self.report(&["users"], format!("{path}.tokens"), "every token needs an id of its own");
            }
        }
        for (name, hash) in &self.config.webdav_users {
            let shown_name = shown(name);
            let path = format!("webdav_users.{shown_name}");
            if !is_user(name) {
                self.report(&["webdav_users"], path.clone(), NO_USER);
            }
            if !is_argon2id(hash) {
                let message = format!(
                    "the value is no Argon2id hash ($argon2id$…); passwords are never stored in plain: run `rclonepool user \
                     add {shown_name}`, which sets it"
                );
                self.report(&["webdav_users"], path, message);
            }
        }
    }
}
