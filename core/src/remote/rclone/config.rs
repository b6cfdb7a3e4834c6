//! rclone's own configuration: which remotes there are, what one consists of, making one.
//!
//! Always by a daemon, also where operations are processes: passwords must not stand among the
//! arguments of a process, where everybody on the machine can read them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::classify::{Attempt, Failure, error};
use super::process::Daemon;
use super::redact::redact;
use super::{Inner, Rclone};
use crate::error::{Error, ErrorKind, Result};

/// The options of one remote in rclone's configuration. Passwords are in rclone's obscured form,
/// which anyone can turn back: treat it as the secret it is. `Debug` shows names only.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteConfig(BTreeMap<String, String>);

impl RemoteConfig {
    /// The backend: `crypt`, `s3`, `local` …
    pub fn kind(&self) -> &str {
        self.option("type").unwrap_or_default()
    }

    /// The value of an option.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All options and their values, by name.
    pub fn options(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for RemoteConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteConfig").field("options", &self.0.keys()).finish()
    }
}

impl Rclone {
    /// The names of the configured remotes, without the colon, sorted.
    ///
    /// # Errors
    /// `Config` when the configuration cannot be read, as when it is encrypted and its password is not given.
    pub async fn list_remotes(&self) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Answer {
            remotes: Option<Vec<String>>,
        }
        let answer: Answer = self.0.configure("config/listremotes", json!({})).await?;
        let mut names = answer.remotes.unwrap_or_default();
        names.iter_mut().for_each(|name| name.truncate(name.trim_end_matches(':').len()));
        names.sort();
        Ok(names)
    }

    /// Where rclone's configuration lies, or would; it is rewritten whenever a token is refreshed.
    ///
    /// # Errors
    /// As [`Rclone::list_remotes`].
    pub async fn config_file(&self) -> Result<PathBuf> {
        #[derive(Deserialize)]
        struct Answer {
            config: PathBuf,
        }
        Ok(self.0.configure::<Answer>("config/paths", json!({})).await?.config)
    }

    /// What a remote consists of; `None` when there is none of this name (given without the colon).
    ///
    /// # Errors
    /// As [`Rclone::list_remotes`].
    pub async fn remote_config(&self, name: &str) -> Result<Option<RemoteConfig>> {
        let options: BTreeMap<String, String> = self.0.configure("config/get", json!({ "name": name })).await?;
        Ok((!options.is_empty()).then_some(RemoteConfig(options)))
    }

    /// Adds a remote to rclone's configuration. Passwords among the options are given plain; rclone
    /// obscures them.
    ///
    /// # Errors
    /// `AlreadyExists` when there is one of this name (rclone itself would change it), `Config` when
    /// rclone refuses the name, the kind or an option, or wants to ask something.
    pub async fn create_remote(&self, name: &str, kind: &str, options: &[(&str, &str)]) -> Result<()> {
        if self.remote_config(name).await?.is_some() {
            let message = format!("rclone already has a remote named {name:?}");
            return Err(Error::new(ErrorKind::AlreadyExists, message).hint("choose another name"));
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase", default)]
        #[derive(Default)]
        struct Answer {
            state: String,
            error: String,
        }
        let parameters: BTreeMap<_, _> = options.iter().copied().collect();
        let arguments = json!({
            "name": name, "type": kind, "parameters": parameters,
            "opt": { "obscure": true, "nonInteractive": true },
        });
        let created = match self.0.configure::<Answer>("config/create", arguments).await {
            Ok(Answer { state, error }) if state.is_empty() && error.is_empty() => Ok(()),
            Ok(Answer { error, .. }) => {
                let message = format!("rclone could not finish the remote {name:?} by itself {}", redact(&error));
                Err(Error::new(ErrorKind::Config, message.trim_end()).hint("make it by `rclone config`"))
            }
            Err(error) => Err(error),
        };
        if let Err(error) = created {
            // Trap: what it refused to finish stands in its configuration all the same.
            let _ = self.0.configure::<Value>("config/delete", json!({ "name": name })).await;
            return Err(error);
        }
        // What it knows of the name, if anything, is out of date.
        let _: Value = self.0.configure("fscache/clear", json!({})).await?;
        Ok(())
    }

    /// Adds a crypt remote over `target` (`mega1:` or `mega1:directory`). Without `password` and
    /// `salt`, nothing stored there can be read again by anyone.
    ///
    /// # Errors
    /// As [`Rclone::create_remote`]; `InvalidArgument` when the password is empty.
    pub async fn create_crypt(&self, name: &str, target: &str, password: &str, salt: Option<&str>) -> Result<()> {
        if password.is_empty() {
            return Err(Error::new(ErrorKind::InvalidArgument, "a crypt remote needs a password"));
        }
        let mut options = vec![("remote", target), ("password", password)];
        options.extend(salt.map(|salt| ("password2", salt)));
        self.create_remote(name, "crypt", &options).await
    }
}

impl Inner {
    async fn configure<T: serde::de::DeserializeOwned>(&self, method: &str, arguments: Value) -> Result<T> {
        let _alone = self.configuring.lock().await;
        let daemon: Arc<Daemon> = self.daemon().await?;
        let answer = daemon.rc.call(method, &arguments).await;
        if !self.options.daemon {
            self.stop_daemon().await;
        }
        answer.map_err(|failure: Failure| match error(&failure, Attempt::Other, "") {
            // rclone refused; trying again changes nothing.
            error if failure.status.is_some() && error.kind() == ErrorKind::Unavailable => {
                Error::new(ErrorKind::Config, error.message())
            }
            error => error,
        })
    }
}
