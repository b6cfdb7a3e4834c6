//! What each remote of a configuration answers, without a pool being opened.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::Pool;
use super::open::bare;
use crate::config::Config;
use crate::env::{SharedEnv, SystemEnv};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{PoolId, RemoteId};
use crate::journal::marker::{Marker, MarkerName};
use crate::journal::sync::Listing;
use crate::remote::rclone::Rclone;
use crate::remote::wrap::{StackOptions, TimeoutOptions, stack};
use crate::remote::{SharedRemote, Usage};

/// What one remote answered.
#[derive(Debug)]
pub struct RemoteAnswer {
    /// Its name in the configuration.
    pub name: String,
    /// Pool and remote by the marker that lies there, which was read.
    pub marker: Option<(PoolId, RemoteId)>,
    /// Commits of the journal on it.
    pub commits: usize,
    /// When the newest of them was made, by the clock of who made it: milliseconds since 1970.
    pub newest_ms: Option<u64>,
    /// What it tells about its space.
    pub usage: Usage,
    /// How long its listing took, in milliseconds.
    pub listed_ms: u64,
    /// Why it cannot be used as it is.
    pub error: Option<Error>,
}

impl Pool {
    /// Asks each remote of the configuration, all at once: lists its manifests, reads its marker, asks for its space.
    /// Nothing is written and nothing tried twice. `rclone` is needed for all but directories.
    pub async fn ask_remotes(config: &Config, rclone: Option<&Arc<Rclone>>) -> Vec<RemoteAnswer> {
        let env: SharedEnv = Arc::new(SystemEnv);
        let labels = config.effective_remotes();
        let idle = Duration::from_secs(config.operation_timeout);
        let timeout = TimeoutOptions { idle, ..TimeoutOptions::default() };
        let options = StackOptions { retry: None, timeout, ..StackOptions::default() };
        join_all(labels.into_iter().map(|name| async {
            let mut found = RemoteAnswer {
                name,
                marker: None,
                commits: 0,
                newest_ms: None,
                usage: Usage::default(),
                listed_ms: 0,
                error: None,
            };
            let asked = async {
                let (remote, _) = stack(bare(config, &found.name, rclone).await?, &options, &env);
                found.ask(&remote, config, &env).await
            };
            found.error = asked.await.err();
            found
        }))
        .await
    }
}

impl RemoteAnswer {
    async fn ask(&mut self, remote: &SharedRemote, config: &Config, env: &SharedEnv) -> Result<()> {
        let began = env.boot_ms();
        let listing = Listing::take(remote.as_ref(), &config.manifest_prefix).await?;
        self.listed_ms = env.boot_ms().saturating_sub(began);
        self.commits = listing.commits.len();
        self.newest_ms = listing.commits.iter().map(|commit| commit.stamp.ms).max();
        let pool = config.pool_id.or_else(|| listing.markers.first().map(|marker| marker.pool));
        let Some(pool) = pool else {
            return Err(Error::new(ErrorKind::Unavailable, "no pool lies here: it has no marker")
                .on_remote(remote.label())
                .hint("`rclonepool init` makes a pool; of one that was here before, is the disk mounted?"));
        };
        let id = listing.identify(pool).map_err(|error| error.on_remote(remote.label()))?;
        Marker::read(remote.as_ref(), &config.manifest_prefix, MarkerName { pool, remote: id }).await?;
        self.marker = Some((pool, id));
        // Many kinds of remotes do not tell.
        self.usage = remote.usage().await.unwrap_or_default();
        Ok(())
    }
}
