//! What rclone's configuration says of a remote: its section, and those of the remotes it wraps.

use rclonepool_core::Result;
use rclonepool_core::config::RemoteKind;
use rclonepool_core::remote::rclone::{Rclone, RemoteConfig};

/// Remotes wrapped in remotes end somewhere; a loop does not.
const DEPTH_MAX: usize = 8;

/// A section of rclone's configuration.
pub struct Section {
    /// The remote's name, without the colon.
    pub name: String,
    /// Its options.
    pub options: RemoteConfig,
}

/// Whether whoever runs a remote can read what is stored there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// rclone's crypt lies over it.
    Crypt,
    /// They can.
    None,
    /// It cannot be told.
    Unknown,
}

/// Whether a label is a directory of this machine.
pub fn is_directory(label: &str) -> bool {
    matches!(RemoteKind::of(label), Ok(RemoteKind::Directory))
}

/// The name of a label's section: `mega1` of `mega1:dir`; none for directories and remotes made on the fly.
pub fn name_of(label: &str) -> Option<&str> {
    if is_directory(label) || label.starts_with(':') {
        return None;
    }
    label.split([',', ':']).next().filter(|name| !name.is_empty())
}

/// The sections a label stands on: its own first, then those it wraps.
///
/// # Errors
/// Those of rclone.
pub async fn chain(rclone: &Rclone, label: &str) -> Result<Vec<Section>> {
    let mut found: Vec<Section> = Vec::new();
    let mut ahead = vec![label.to_owned()];
    while let Some(label) = ahead.pop() {
        let Some(name) = name_of(&label) else { continue };
        if found.len() >= DEPTH_MAX || found.iter().any(|section| section.name == name) {
            continue;
        }
        if let Some(options) = rclone.remote_config(name).await? {
            ahead.extend(wrapped(&options));
            found.push(Section { name: name.to_owned(), options });
        }
    }
    Ok(found)
}

/// The remotes that a remote of one of rclone's wrapping kinds is made of.
fn wrapped(options: &RemoteConfig) -> Vec<String> {
    let option = |name: &str| options.option(name).unwrap_or_default().to_owned();
    match options.kind() {
        "crypt" | "alias" | "chunker" | "compress" | "hasher" | "cache" => vec![option("remote")],
        "union" => option("upstreams").split_whitespace().map(str::to_owned).collect(),
        "combine" => {
            let pairs = option("upstreams");
            pairs.split_whitespace().filter_map(|pair| Some(pair.split_once('=')?.1.to_owned())).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether what is stored at `label` is encrypted. Without rclone only directories are known.
pub async fn encryption(rclone: Option<&Rclone>, label: &str) -> Encryption {
    if is_directory(label) {
        return Encryption::None;
    }
    if let Some(kind) = label.strip_prefix(':').and_then(|rest| rest.split([',', ':']).next()) {
        return if kind == "crypt" { Encryption::Crypt } else { Encryption::None };
    }
    let Some(rclone) = rclone else { return Encryption::Unknown };
    let mut ahead = vec![label.to_owned()];
    let mut seen = 0;
    while let Some(label) = ahead.pop() {
        seen += 1;
        let section = match name_of(&label) {
            Some(name) if seen <= DEPTH_MAX => rclone.remote_config(name).await,
            _ => return Encryption::None,
        };
        let Ok(Some(options)) = section else { return Encryption::Unknown };
        if options.kind() == "crypt" {
            match options.option("no_data_encryption") {
                Some("true") => ahead.extend(wrapped(&options)),
                _ => continue,
            }
        }
        match wrapped(&options) {
            // Every part must be encrypted.
            inner if !inner.is_empty() => ahead.extend(inner),
            _ => return Encryption::None,
        }
    }
    Encryption::Crypt
}
