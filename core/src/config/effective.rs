//! What the keys come to together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Config, RemoteLimits, flags, label};
use crate::redundancy::{Redundancy, RedundancyMode};

const WINDOWS: bool = cfg!(windows);

/// A remote of the pool with everything the configuration says of it.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteSettings {
    /// Where its objects live: its entry of [`Config::effective_remotes`].
    pub label: String,
    /// Its entry of `remotes`; differs from the label under `use_crypt`.
    pub remote: String,
    /// Its share of new data relative to the others.
    pub weight: f64,
    /// Higher is filled first.
    pub priority: i64,
    /// The most the pool may store on it, in bytes.
    pub quota: Option<u64>,
    /// How much it may be used.
    pub limits: RemoteLimits,
    /// Remotes of one domain are expected to fail together.
    pub domain: Option<String>,
}

impl Config {
    /// Where objects live: `remotes`, or under `use_crypt` the crypt remotes in the same order.
    ///
    /// Never a plain remote under `use_crypt`: an entry of which no name can be made (which
    /// [`Config::validate`] refuses) gives the name of a crypt remote that cannot exist.
    pub fn effective_remotes(&self) -> Vec<String> {
        if !self.use_crypt {
            return self.remotes.clone();
        }
        let crypt = |(at, remote): (usize, &String)| {
            let listed = self.crypt_remotes.get(at).cloned();
            listed.or_else(|| label::default_crypt(remote, WINDOWS)).unwrap_or_else(|| "crypt-?:".into())
        };
        self.remotes.iter().enumerate().map(crypt).collect()
    }

    /// The remotes with their weights, priorities, quotas and domains, in the order of `remotes`.
    pub fn remote_settings(&self) -> Vec<RemoteSettings> {
        fn by_index<'a, V>(config: &Config, map: &'a BTreeMap<String, V>) -> BTreeMap<usize, &'a V> {
            map.iter().filter_map(|(name, value)| Some((config.index_of(name)?, value))).collect()
        }
        let weights = by_index(self, &self.remote_weights);
        let priorities = by_index(self, &self.remote_priorities);
        let quotas = by_index(self, &self.remote_quotas);
        let limits = by_index(self, &self.remote_limits);
        let domains = by_index(self, &self.failure_domains);
        let settings = |(at, (label, remote)): (usize, (String, &String))| RemoteSettings {
            label,
            remote: remote.clone(),
            weight: weights.get(&at).map_or(1.0, |weight| **weight),
            priority: priorities.get(&at).map_or(0, |priority| **priority),
            quota: quotas.get(&at).map(|quota| quota.0),
            limits: limits.get(&at).map(|limits| (*limits).clone()).unwrap_or_default(),
            domain: domains.get(&at).map(|domain| (*domain).clone()),
        };
        self.effective_remotes().into_iter().zip(&self.remotes).enumerate().map(settings).collect()
    }

    /// The position of the remote that `name` means: an entry of `remotes` or, under `use_crypt`,
    /// of the crypt remotes, in any spelling of the same place.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        let wanted = label::normal(name, WINDOWS);
        let is = |remote: &String| label::normal(remote, WINDOWS) == wanted;
        let crypt = || self.effective_remotes().iter().position(is);
        self.remotes.iter().position(is).or_else(|| self.use_crypt.then(crypt).flatten())
    }

    /// The redundancy of new files.
    pub fn redundancy(&self) -> Redundancy {
        let (k, m, c) = (self.parity_data_shards, self.parity_parity_shards, self.replication_factor);
        let (data, parity, copies) = match self.redundancy_mode {
            RedundancyMode::None => (1, 0, 1),
            RedundancyMode::Replication => (1, 0, c),
            RedundancyMode::Parity => (k, m, 1),
            RedundancyMode::Hybrid => (k, m, c),
        };
        Redundancy { mode: self.redundancy_mode, data, parity, copies }
    }

    /// How long the chunks of new files are at most, in bytes: `chunk_size`, or less where `memory_limit_mb` cannot
    /// hold two of that, coded: one is read while the other is on its way.
    pub fn chunk_bytes(&self) -> u64 {
        let redundancy = self.redundancy();
        let (data, shards) = (u128::from(redundancy.data.max(1)), u128::from(redundancy.shards().max(1)));
        let half = u128::from(self.memory_limit_mb) << 19;
        // A row of units is coded at a time. Copies need nothing, since all are sent from the same bytes.
        let row = (shards << 20).min(half / 2);
        let fits = u64::try_from((half - row) * data / shards).unwrap_or(u64::MAX);
        let fits = if fits > 1 << 20 { fits >> 20 << 20 } else { fits };
        self.chunk_size.min(fits)
    }

    /// The flags for rclone's command line, each one argument: `"--bwlimit", "10M"` becomes
    /// `--bwlimit=10M`, so that nothing in the list can be taken for an operand. Empty if a flag is
    /// refused, which [`Config::validate`] reports.
    pub fn rclone_args(&self) -> Vec<String> {
        flags::join(&self.rclone_flags).unwrap_or_default()
    }

    /// Puts `home` in the place of `~` at the beginning of paths, directory remotes among them.
    pub fn expand_home(&mut self, home: &Path) {
        let expand = |path: &mut PathBuf| {
            if let Ok(rest) = path.strip_prefix("~") {
                *path = if rest.as_os_str().is_empty() { home.to_owned() } else { home.join(rest) };
            }
        };
        let optional =
            [&mut self.temp_dir, &mut self.rclone_config_file, &mut self.ssl_cert_file, &mut self.ssl_key_file];
        optional.into_iter().flatten().for_each(expand);
        self.api_local_roots.iter_mut().for_each(expand);
        self.users.values_mut().filter_map(|user| user.config.as_mut()).for_each(expand);
        [&mut self.rclone_binary, &mut self.manifest_cache_dir, &mut self.plugins_dir, &mut self.plugin_python]
            .into_iter()
            .for_each(expand);
        self.plugins.values_mut().filter_map(|plugin| plugin.file.as_mut()).for_each(expand);
        let home = home.to_string_lossy();
        let label = |text: &str| match text.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') || WINDOWS && rest.starts_with('\\') => {
                format!("{home}{rest}")
            }
            _ => text.to_owned(),
        };
        for remote in &mut self.remotes {
            *remote = label(remote);
        }
        fn relabel<V>(map: &mut BTreeMap<String, V>, label: impl Fn(&str) -> String) {
            *map = std::mem::take(map).into_iter().map(|(name, value)| (label(&name), value)).collect();
        }
        relabel(&mut self.remote_weights, label);
        relabel(&mut self.remote_priorities, label);
        relabel(&mut self.remote_quotas, label);
        relabel(&mut self.remote_limits, label);
        relabel(&mut self.failure_domains, label);
    }
}
