//! What of storing and reading plugins decide.

use std::num::NonZeroU64;
use std::sync::Arc;

use super::Pool;
use super::store::{Compress, Recipe};
use crate::error::Result;
use crate::journal::record::{ChunkRecord, INLINE_BYTES_MAX};
use crate::local::blocking;
use crate::monitor::{Event, FileAction, Listener, Monitor};
use crate::plugin::{Hook, of_file};
use crate::stage::chunk::Chunker;
use crate::stage::compress::{Codec, Compression};

impl Pool {
    /// The longest a chunk may be.
    pub(super) fn longest(&self) -> NonZeroU64 {
        NonZeroU64::new(self.settings.chunk_size).unwrap_or(NonZeroU64::MIN)
    }

    /// About how many chunks a file of so many bytes has; exact where all are of one length.
    pub(super) fn chunks_of(&self, bytes: u64) -> u64 {
        self.plugins.chunks_of(self.settings.chunker, self.longest(), bytes)
    }

    /// Who says where files are cut.
    ///
    /// # Errors
    /// `Config` where a plugin is enabled and not there.
    pub(super) fn chunker(&self) -> Result<Arc<dyn Chunker>> {
        self.plugins.chunker(self.settings.chunker)
    }

    /// How new chunks are encoded. Blocks: it may start plugins.
    ///
    /// # Errors
    /// `Config` where a plugin is enabled and not there; those of the plugins.
    pub(super) fn recipe(&self) -> Result<Recipe> {
        let (level, transforms) = self.plugins.encoding(self.settings.compression)?;
        Ok(Recipe { level, transforms })
    }

    /// How a chunk was encoded. Blocks: it may start plugins.
    ///
    /// # Errors
    /// `Unsupported`, naming the plugin it needs.
    pub(super) fn codec_of(&self, record: &ChunkRecord) -> Result<Codec> {
        let is_zstd = matches!(record.compression, Some(Compression::Zstd { .. }));
        Ok(Codec { is_zstd, transforms: self.plugins.decoding(&record.transforms)? })
    }

    /// As [`Pool::codec_of`], off the async threads.
    pub(super) async fn codec(self: &Arc<Self>, record: &ChunkRecord) -> Result<Codec> {
        if record.transforms.is_empty() {
            return self.codec_of(record);
        }
        let (pool, record) = (self.clone(), record.clone());
        blocking(move || pool.codec_of(&record)).await
    }

    /// How a chunk is to be encoded that stands for this one: as it was, with another level maybe.
    pub(super) fn recipe_like(&self, record: &ChunkRecord, level: u8) -> Result<Recipe> {
        let Codec { is_zstd, transforms } = self.codec_of(record)?;
        Ok(Recipe { level: is_zstd.then_some(level), transforms })
    }

    /// The largest file that is kept in its manifest: none, where what is stored is not to be seen as it is.
    pub(super) fn inline_bytes(&self) -> u64 {
        if self.plugins.hides_data() { 0 } else { INLINE_BYTES_MAX }
    }

    /// Tells event handlers of files that are stored or read, as the operation's listener is.
    pub(super) fn told(self: &Arc<Self>, monitor: &Monitor) -> Monitor {
        if !self.plugins.has_handlers() {
            return monitor.clone();
        }
        let plugins = self.plugins.clone();
        let listener: Listener = Arc::new(move |event| {
            let Event::File { path, size, action } = event else { return };
            let hook = match action {
                FileAction::Uploaded => Hook::PostUpload,
                FileAction::Downloaded => Hook::PostDownload,
                FileAction::Unchanged | FileAction::Skipped => return,
            };
            plugins.after(hook, || of_file(path, Some(*size)));
        });
        monitor.and(listener)
    }
}

impl Recipe {
    /// The same for a stream, of which only the beginning can be looked at.
    pub fn compress(&self) -> Compress {
        self.level.map_or(Compress::Never, Compress::IfFirst)
    }
}
