//! A chunk that cannot be read any more, and another one with the same content: two writers stored it at once, or one
//! did not rely on what was there.
//!
//! No byte need be put anew: what refers to the one refers to the other from now on.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::Result;
use crate::id::{ChunkId, Sha256};
use crate::journal::record::{ChunkRecord, Entry, Record};
use crate::pool::Pool;
use crate::pool::fetch::ChunkReader;
use crate::pool::upload::MARKED_TRIES;
use crate::stage::hash::Hasher;

impl Pool {
    /// Lets every version that refers to a chunk refer to another one of the same content, every byte of which is
    /// read first. Gives back whether that is committed as stale; `None` where there is none.
    ///
    /// # Errors
    /// `Unavailable` when a commit reaches too few remotes.
    pub(super) async fn refer_to_twin(self: &Arc<Self>, chunk: ChunkId) -> Result<Option<bool>> {
        let record = self.chunk(chunk)?.record;
        let Some(sha256) = record.sha256 else { return Ok(None) };
        let _storing = self.lock_storing().await?;
        for twin in self.index.chunks_with(&sha256, record.size)? {
            if twin == chunk {
                continue;
            }
            let other = self.chunk(twin)?.record;
            match self.read_sha256(other).await {
                Ok(found) if found == sha256 => {}
                Ok(_) => continue,
                Err(error) => {
                    tracing::info!("chunk {twin} has the content of chunk {chunk} and cannot be read either: {error}");
                    continue;
                }
            }
            for _ in 0..MARKED_TRIES {
                let view = self.view_for_writing().await?;
                // Without a view what is being deleted might be taken for good.
                if !view.complete && self.journal.rules().view_before_commit {
                    return Ok(None);
                }
                let mut revised = self.referring_to(&BTreeMap::from([(chunk, twin)]))?.0;
                let is_whole = |entry: &Entry| {
                    let chunks = entry.content.extents().iter().map(|extent| extent.chunk);
                    self.index.marks(chunks).map(|marks| marks.is_empty())
                };
                let mut whole = Vec::new();
                for entry in revised.drain(..) {
                    // What refers to other chunks that are being deleted is left to that.
                    if is_whole(&entry)? {
                        whole.push(Record::Entry(entry));
                    }
                }
                if whole.is_empty() {
                    break;
                }
                let complete = self.complete().await?;
                let receipt = self.commit(&view, whole).await?;
                let (committed, is_marked) = (!receipt.names.is_empty(), !receipt.marked.is_empty());
                let stale = receipt.stale || !complete;
                self.keep_view(receipt.view).await;
                if committed && !is_marked {
                    return Ok(Some(stale));
                }
            }
        }
        Ok(None)
    }

    /// The SHA-256 of a chunk's plain bytes, read from the remotes.
    async fn read_sha256(self: &Arc<Self>, record: ChunkRecord) -> Result<Sha256> {
        let all = 0..record.size;
        let _memory = self.acquire_memory(ChunkReader::memory(&record, &all)).await?;
        let mut reader = ChunkReader::open_within(self.clone(), record, all).await?;
        let mut hasher = Hasher::new();
        while let Some(read) = reader.next().await? {
            read.iter().for_each(|bytes| hasher.update(bytes));
        }
        Ok(hasher.finish())
    }
}
