//! The pool: what the faces call.
//!
//! Drivers, one file each, orchestrate stages, remotes and the journal: `store` puts one chunk,
//! `upload` and `tree` make files of chunks, `duplicates` finds what is stored already, `together` lets small uploads share
//! chunks, `fetch` reads chunks, `download` makes local files of them, `read` gives out any range, `namespace` lists and
//! deletes, `transfer` moves and copies, `members` changes who belongs to the pool.

mod ask;
pub mod care;
mod direct;
mod download;
mod duplicates;
mod fetch;
mod group;
mod hashes;
mod init;
mod lifeboat;
mod members;
mod namespace;
mod news;
mod open;
mod placement;
mod plugged;
mod read;
mod resume;
mod settings;
mod status;
mod store;
mod together;
mod transfer;
mod tree;
mod upload;

pub use ask::RemoteAnswer;
pub use download::{DownloadOptions, DownloadReport};
#[cfg(any(test, feature = "testing"))]
pub(crate) use init::init as make;
pub use init::{Found, InitReport};
pub use lifeboat::{LIFEBOAT, LifeboatReport, LifeboatState};
pub use members::{LossPlan, LossReport, MemberChange};
pub use namespace::{Changed, ChunkStat, DeleteOptions, ShardStat, Stat};
pub use open::{OpenOptions, start_rclone};
pub use read::{CacheStats, FileHandle, FileReader};
pub use status::{PoolStatus, RemoteReport, RemoteState, tolerated};
pub use transfer::{Metadata, Replace, TransferOptions};
pub use tree::{Filter, LinkPolicy};
pub use upload::{Source, UploadOptions, UploadReport};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, RwLock, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::env::SharedEnv;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{PoolId, RemoteId};
use crate::index::{Finding, Index, PoolLock};
use crate::journal::{Journal, Receipt, View};
use crate::plugin::Plugins;
use crate::redundancy::Redundancy;
use crate::remote::SharedRemote;
use crate::remote::rclone::Rclone;
use crate::remote::wrap::Metrics;
use crate::scratch::Scratch;
use crate::stage::place::Strategy;
use placement::Placement;

/// Readers that find a shard absent list the remotes again, together, at most this often.
const LISTED_AGAIN_MS: u64 = 10_000;

/// What the drivers need to know of the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where shards lie on a remote.
    pub data_prefix: String,
    /// Where markers and commits lie on a remote.
    pub manifest_prefix: String,
    /// The size of new chunks, in bytes.
    pub chunk_size: u64,
    /// Whether remotes get a [`LIFEBOAT`] when they join.
    pub lifeboat: bool,
    /// The redundancy of new chunks.
    pub redundancy: Redundancy,
    /// How remotes are chosen.
    pub strategy: Strategy,
    /// Per remote, by its label.
    pub placement: BTreeMap<String, PlacementSettings>,
    /// Chunks (and files of a directory) uploaded at once.
    pub upload_workers: usize,
    /// Chunks (and files of a directory) downloaded at once.
    pub download_workers: usize,
    /// The bytes that transfer buffers may take.
    pub memory_bytes: u64,
    /// Where scratch files go that cannot be anonymous.
    pub temp_dir: Option<PathBuf>,
    /// W, where it is to be above the rule's.
    pub commit_quorum: Option<u32>,
    /// Let [`Pool::start_healing`] rebuild what is found damaged.
    pub auto_heal: bool,
    /// Skip the upload of what is there already.
    pub duplicate_detection: bool,
    /// Store content that the pool has once.
    pub deduplication: bool,
    /// Where new files are cut into chunks.
    pub chunker: crate::config::Chunker,
    /// How long deleted and overwritten versions stay restorable, in hours.
    pub trash_hours: u64,
    /// Whether no other machine writes to the pool, so that space may be freed without a grace.
    pub sole_writer: bool,
    /// The level new chunks are compressed at, where that makes them smaller; `None`: they are not.
    pub compression: Option<u8>,
    /// Digests of whole files to keep.
    pub file_hashes: Vec<crate::config::FileHash>,
    /// The bytes that blocks may take between reads, within `memory_bytes`; 0: none are kept.
    pub cache_bytes: u64,
    /// The bytes that a sequential read may fetch ahead.
    pub prefetch_bytes: u64,
    /// How long a closing pool waits for slow remotes to take its commits.
    pub offer_timeout: Duration,
    /// The time between two checks of a watched pool's health; `None`: it is not watched.
    pub health_check: Option<Duration>,
}

/// A remote's placement settings.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacementSettings {
    /// Its share of new data relative to the others.
    pub weight: f64,
    /// Higher is used first.
    pub priority: i64,
    /// The bytes the pool may use on it.
    pub quota: Option<u64>,
    /// Remotes of one domain are expected to die together.
    pub domain: Option<String>,
}

impl Default for PlacementSettings {
    fn default() -> Self {
        Self { weight: 1.0, priority: 0, quota: None, domain: None }
    }
}

/// An open pool.
///
/// All methods may be called from several tasks at once. [`Pool::close`] offers the last commits to
/// slow remotes and stops rclone; dropping does not wait.
#[derive(Debug)]
pub struct Pool {
    settings: Settings,
    env: SharedEnv,
    journal: Journal,
    index: Arc<Index>,
    rclone: Option<Arc<Rclone>>,
    metrics: Vec<Arc<Metrics>>,
    scratch: Scratch,
    placement: Placement,
    /// In KiB, so that a limit of many GiB fits.
    memory: Arc<Semaphore>,
    blocks: read::Blocks,
    /// How long the remotes take.
    speeds: fetch::Speeds,
    /// Small uploads that wait for each other.
    together: together::Together,
    /// Content that is on its way to the remotes.
    duplicates: duplicates::Duplicates,
    view: RwLock<Arc<View>>,
    /// Whether this process has committed anything.
    wrote: AtomicBool,
    /// Ends what runs beside the operations.
    closing: CancellationToken,
    /// Chunks that care reads at once; more may be on their way to remotes meanwhile.
    care_reads: Semaphore,
    /// Damage that reads met and that is not in the index yet.
    noted: Mutex<Vec<Finding>>,
    /// What was said of remotes already.
    news: news::News,
    /// What is in force of each kind.
    plugins: Arc<Plugins>,
    /// Wakes whoever waits for damage to be noted.
    noticed: Arc<Notify>,
}

impl Pool {
    /// A pool over these remotes, listed once.
    ///
    /// # Errors
    /// `Unavailable` when no remote carries the pool's marker and the index is empty too.
    pub async fn assemble(
        pool: PoolId,
        settings: Settings,
        remotes: Vec<SharedRemote>,
        index: impl Into<Arc<Index>>,
        env: SharedEnv,
    ) -> Result<Self> {
        let journal = Journal::new(pool, &settings.manifest_prefix, remotes, index.into(), env.clone())?;
        Self::over(journal, settings, env).await
    }

    pub(crate) async fn over(journal: Journal, settings: Settings, env: SharedEnv) -> Result<Self> {
        let view = journal.sync().await?;
        let index = journal.index().clone();
        if settings.deduplication {
            index.look_for_duplicates()?;
        }
        if index.pool()?.is_none() && view.online().is_empty() {
            return Err(none_online(&view));
        }
        if let Some(pool) = index.pool()?.filter(|pool| pool.data_prefix != settings.data_prefix) {
            let (ours, theirs) = (&settings.data_prefix, &pool.data_prefix);
            return Err(Error::new(
                ErrorKind::Config,
                format!("data_prefix is {ours:?}, but the pool's shards lie below {theirs:?}"),
            )
            .hint("correct data_prefix; it cannot be changed after init"));
        }
        let kib = usize::try_from(settings.memory_bytes / 1024).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        let memory = Arc::new(Semaphore::new(kib));
        Ok(Self {
            placement: Placement::new(&settings, journal.remotes(), &env),
            scratch: Scratch::new(settings.temp_dir.clone()),
            blocks: read::Blocks::new(&settings, memory.clone()),
            memory,
            speeds: fetch::Speeds::default(),
            together: together::Together::default(),
            duplicates: duplicates::Duplicates::default(),
            view: RwLock::new(Arc::new(view)),
            wrote: AtomicBool::new(false),
            closing: CancellationToken::new(),
            care_reads: Semaphore::new(settings.download_workers.max(1)),
            noted: Mutex::default(),
            news: news::News::default(),
            plugins: Arc::default(),
            noticed: Arc::new(Notify::new()),
            rclone: None,
            metrics: Vec::new(),
            settings,
            env,
            journal,
            index,
        })
    }

    /// The same with these plugins.
    #[must_use]
    pub fn with_plugins(mut self, plugins: Plugins) -> Self {
        self.plugins = Arc::new(plugins);
        self
    }

    /// What is in force of each kind of plugin.
    pub fn plugins(&self) -> &Plugins {
        &self.plugins
    }

    /// The pool's id.
    pub fn id(&self) -> PoolId {
        self.journal.pool()
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The journal, for care and tests.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Lists the remotes anew and merges what is new.
    ///
    /// # Errors
    /// Those of the index; remotes that fail are offline in the view.
    pub async fn sync(&self) -> Result<Arc<View>> {
        let view = Arc::new(self.journal.sync().await?);
        self.keep(view.clone()).await;
        Ok(view)
    }

    /// Keeps a view, unless a later one is kept already: operations run side by side.
    async fn keep(&self, view: Arc<View>) {
        let mut kept = self.view.write().await;
        if view.taken_at_ms >= kept.taken_at_ms {
            if self.plugins.has_handlers() {
                self.tell_offline(Some(&kept), &view);
            }
            *kept = view;
        }
    }

    /// Lists the remotes anew, unless that was done a moment ago.
    async fn sync_again(&self) -> Result<()> {
        let age_ms = self.env.boot_ms().saturating_sub(self.view().await.taken_at_ms);
        if age_ms >= LISTED_AGAIN_MS { self.sync().await.map(drop) } else { Ok(()) }
    }

    /// The last view.
    pub async fn view(&self) -> Arc<View> {
        self.view.read().await.clone()
    }

    /// A fresh view for one writing operation.
    async fn view_for_writing(&self) -> Result<Arc<View>> {
        let view = if self.journal.rules().view_before_commit { self.sync().await? } else { self.view().await };
        view.check_format()?;
        Ok(view)
    }

    /// The remote's name where it is configured, else the pool's label for it.
    fn remote_label(&self, remote: RemoteId) -> String {
        let records = self.index.remotes().unwrap_or_default();
        records.iter().find(|r| r.remote == remote).map_or_else(|| remote.to_string(), |r| r.label.clone())
    }

    /// What passed through each configured remote, in the configuration's order.
    pub fn metrics(&self) -> &[Arc<Metrics>] {
        &self.metrics
    }

    /// How the block cache did.
    pub fn cache_stats(&self) -> CacheStats {
        self.blocks.stats()
    }

    async fn keep_view(&self, view: View) {
        self.keep(Arc::new(view)).await;
    }

    /// Makes sure that what is moved or used again is itself on W remotes; gives back whether it is.
    async fn complete(&self) -> Result<bool> {
        self.journal.complete_to_quorum(&*self.view().await).await
    }

    /// The handle of an online remote.
    async fn handle(&self, remote: RemoteId) -> Option<SharedRemote> {
        self.view().await.handle(remote, self.journal.remotes())
    }

    /// Where a shard object lies on its remote.
    fn shard_object(&self, chunk: crate::id::ChunkId, index: u8, nonce: crate::id::Nonce) -> String {
        format!("{}/{}/{chunk}.{index}.{nonce}", self.settings.data_prefix, chunk.directory())
    }

    /// Keeps space from being freed without a grace on this machine, as long as data is being stored.
    pub(crate) async fn lock_storing(&self) -> Result<PoolLock> {
        loop {
            if let Some(lock) = self.index.lock_shared()? {
                return Ok(lock);
            }
            // Somebody frees space; that ends by itself.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Takes the result of a commit that refers to no data that could have been marked.
    async fn settle_receipt(&self, receipt: Receipt) -> Result<bool> {
        let stale = receipt.stale;
        if !receipt.marked.is_empty() {
            return Err(Error::new(
                ErrorKind::Busy,
                "the data this refers to is being deleted by another machine; nothing was changed",
            )
            .hint("repeat the command"));
        }
        self.keep_view(receipt.view).await;
        Ok(stale)
    }

    /// Offers the last commits to slow remotes (for a bounded time), compacts the journal where that is
    /// due, and stops rclone.
    pub async fn close(&self) {
        self.closing.cancel();
        if let Err(error) = self.keep_noted() {
            tracing::warn!("what reads found damaged was not kept: {error}");
        }
        if self.wrote.load(Ordering::Relaxed) {
            if let Err(error) = self.journal.compact().await {
                tracing::info!("the journal was not compacted: {error}");
            }
            // A change of membership whose grace has passed; one still under way stays as it is.
            if let Err(error) = self.finish_change(false).await {
                tracing::debug!("{error}");
            }
        }
        self.plugins.settle().await;
        self.journal.settle(self.settings.offer_timeout).await;
        if let Some(rclone) = &self.rclone {
            rclone.close().await;
        }
    }
}

fn none_online(view: &View) -> Error {
    let why: Vec<String> = view
        .remotes
        .iter()
        .filter_map(|status| match status {
            crate::journal::RemoteStatus::Offline(error) => Some(error.to_string()),
            crate::journal::RemoteStatus::Online(_) => None,
        })
        .collect();
    Error::new(ErrorKind::Unavailable, format!("no remote of the pool is online: {}", why.join("; ")))
        .hint("a new pool is made by `rclonepool init`")
}
