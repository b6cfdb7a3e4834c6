//! Progress, notices and cancellation of a long operation.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind, Result};
use crate::path::PoolPath;
use crate::pool::care::{Counts, FileState, StateCounts};

/// Something that happened, for progress bars, logs and whoever else listens.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "message_type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// How much of the operation is known to be ahead; may grow.
    Total {
        /// Bytes.
        bytes: u64,
        /// Items: chunks of one file, or files of a directory.
        items: u64,
    },
    /// Bytes and items done since the last one.
    Progress {
        /// Bytes.
        bytes: u64,
        /// Items.
        items: u64,
    },
    /// A file is done.
    File {
        /// Its path in the pool.
        path: PoolPath,
        /// Its length in bytes.
        size: u64,
        /// What was done to it.
        action: FileAction,
    },
    /// A file failed; the operation goes on.
    FileFailed {
        /// The path, in the pool or local.
        path: String,
        /// Why.
        error: String,
    },
    /// Something the user should know.
    Notice {
        /// What.
        message: String,
    },
    /// What was found damaged was rebuilt, in the background.
    Healed {
        /// Shards put anew.
        shards: u64,
        /// Chunks they belong to.
        chunks: u64,
        /// Chunks that could not be healed.
        failed: u64,
    },
    /// The pool's health, when it is first known and whenever it has changed.
    Health {
        /// The worst state of any file.
        state: FileState,
        /// Whether no file is lost.
        recoverable: bool,
        /// How many files are in each state.
        files: StateCounts,
        /// What is wrong with shard objects.
        shards: Counts,
        /// How many remotes, whichever, may still be lost.
        tolerated_remotes: usize,
        /// The same of failure domains.
        tolerated_domains: usize,
        /// Members that are offline, by name.
        offline: Vec<String>,
        /// Members that lack too much to be believed, by name.
        suspect: Vec<String>,
    },
}

/// What was done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileAction {
    /// Stored in the pool.
    Uploaded,
    /// Was there already, with the same content.
    Unchanged,
    /// Written to the local disk.
    Downloaded,
    /// Skipped, as asked.
    Skipped,
}

/// Takes events; called from any thread, must not block.
pub type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

/// How an operation reports, and how it is told to stop. Clones share both.
#[derive(Clone, Default)]
pub struct Monitor {
    listener: Option<Listener>,
    cancel: CancellationToken,
    bytes: Arc<AtomicU64>,
}

impl std::fmt::Debug for Monitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Monitor").field("cancelled", &self.cancel.is_cancelled()).finish_non_exhaustive()
    }
}

impl Monitor {
    /// Reports to `listener`; stops when `cancel` is cancelled.
    pub fn new(listener: Listener, cancel: CancellationToken) -> Self {
        Self { listener: Some(listener), cancel, bytes: Arc::default() }
    }

    /// The same, with one more who listens.
    #[must_use]
    pub(crate) fn and(&self, also: Listener) -> Self {
        let first = self.listener.clone();
        let both: Listener = Arc::new(move |event| {
            also(event);
            if let Some(first) = &first {
                first(event);
            }
        });
        Self { listener: Some(both), cancel: self.cancel.clone(), bytes: self.bytes.clone() }
    }

    /// Reports an event.
    pub fn event(&self, event: &Event) {
        if let Event::Progress { bytes, .. } = event {
            self.bytes.fetch_add(*bytes, Ordering::Relaxed);
        }
        if let Some(listener) = &self.listener {
            listener(event);
        }
    }

    /// Reports progress.
    pub fn progress(&self, bytes: u64, items: u64) {
        self.event(&Event::Progress { bytes, items });
    }

    /// Reports a notice.
    pub fn notice(&self, message: impl Into<String>) {
        self.event(&Event::Notice { message: message.into() });
    }

    /// Bytes reported so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Fails once the operation was cancelled.
    ///
    /// # Errors
    /// `Cancelled`.
    pub fn check(&self) -> Result<()> {
        if self.cancel.is_cancelled() { Err(cancelled()) } else { Ok(()) }
    }

    /// Runs `work` until it ends or the operation is cancelled.
    ///
    /// # Errors
    /// `Cancelled`, or those of the work.
    pub async fn run<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(cancelled()),
            done = work => done,
        }
    }
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "cancelled")
}
