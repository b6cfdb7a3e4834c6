//! Uploads that take long, or broke off: what they stored is kept, and used again.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt};
use tokio::sync::Mutex;

use super::Pool;
use super::duplicates::Piece;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ChunkId, OperationId, Sha256, Stamp};
use crate::journal::record::{ChunkRecord, Record, UploadRecord};
use crate::local::Identity;

/// A long upload commits what it has stored at these intervals, so that it is not taken for garbage.
const INTERIM_BYTES: u64 = 16 << 30;
const INTERIM_MS: u64 = 600_000;
/// How many chunks of an interrupted upload are looked for at once.
const PROOFS: usize = 8;

impl Pool {
    pub(super) fn resume_key(&self, file: &std::path::Path, identity: &Identity) -> String {
        let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let Identity { size, mtime_ns, inode: (device, inode), .. } = identity;
        let how = format!("{}|{}|{}", self.settings.chunk_size, self.settings.chunker, self.settings.redundancy);
        // What was stored before data was encrypted must not be taken for what is.
        let how = how + &self.plugins.fingerprint();
        format!("{}|{size}|{mtime_ns}|{device}|{inode}|{how}", path.display())
    }

    /// What an interrupted upload of this very file stored, as far as every shard proves to be there.
    pub(super) async fn provable(&self, key: &str) -> Result<BTreeMap<u64, (ChunkRecord, Sha256)>> {
        let mut found = BTreeMap::new();
        // Without a view a chunk that is being deleted might be taken for a good one.
        if !self.view().await.complete && self.journal.rules().view_before_commit {
            return Ok(found);
        }
        // Nobody promises that it cuts a file the same way again.
        if self.plugins.has_chunker() {
            return Ok(found);
        }
        for (n, text) in self.index.resumable(key)? {
            let Ok((record, sum)) = serde_json::from_str::<(ChunkRecord, Sha256)>(&text) else { continue };
            found.insert(n, (record, sum));
        }
        let marks = self.index.marks(found.values().map(|(record, _)| record.chunk))?;
        found.retain(|_, (record, _)| !marks.contains_key(&record.chunk));
        if !self.journal.rules().prove_resumed {
            return Ok(found);
        }
        let records: Vec<(u64, ChunkRecord)> = found.iter().map(|(n, (record, _))| (*n, record.clone())).collect();
        let proofs: Vec<(u64, bool)> = stream::iter(records)
            .map(|(n, record)| async move { (n, self.is_stored(&record).await) })
            .buffer_unordered(PROOFS)
            .collect()
            .await;
        for (n, _) in proofs.into_iter().filter(|(_, there)| !there) {
            found.remove(&n);
        }
        Ok(found)
    }

    /// Whether every shard of a chunk is there, whole.
    async fn is_stored(&self, record: &ChunkRecord) -> bool {
        let checks = record.shards.iter().copied().map(|place| async move {
            let Some(remote) = self.handle(place.remote).await else { return false };
            let size = record.layout.shard_size(record.stored, usize::from(place.index));
            let name = self.shard_object(record.chunk, place.index, place.nonce);
            matches!(remote.stat(&name).await, Ok(Some(found)) if found == size)
        });
        futures_util::future::join_all(checks).await.into_iter().all(|there| there)
    }
}

/// Commits the chunks of a long upload before its end, under an upload record that keeps them.
pub(super) struct Interim {
    upload: OperationId,
    state: Mutex<InterimState>,
}

struct InterimState {
    chunks: Vec<ChunkRecord>,
    /// Others that it will refer to.
    reused: Vec<ChunkId>,
    bytes: u64,
    since_ms: u64,
}

impl Interim {
    pub fn new(pool: &Pool) -> Self {
        let state = InterimState { chunks: Vec::new(), reused: Vec::new(), bytes: 0, since_ms: pool.env.boot_ms() };
        Self { upload: OperationId(pool.env.random()), state: Mutex::new(state) }
    }

    pub async fn stored(&self, pool: &Pool, piece: &Piece) -> Result<()> {
        let mut state = self.state.lock().await;
        match &piece.record {
            Some(record) => {
                state.chunks.push(record.clone());
                state.bytes += record.size;
            }
            None => state.reused.push(piece.chunk),
        }
        let now = pool.env.boot_ms();
        let is_due = state.bytes >= INTERIM_BYTES || now.saturating_sub(state.since_ms) >= INTERIM_MS;
        if !is_due || !pool.journal.rules().keep_uploads {
            return Ok(());
        }
        let (chunks, reused) = (std::mem::take(&mut state.chunks), std::mem::take(&mut state.reused));
        (state.bytes, state.since_ms) = (0, now);
        let record = UploadRecord {
            upload: self.upload,
            stamp: Stamp::ZERO,
            ended: false,
            chunks: chunks.iter().map(|c| c.chunk).chain(reused).collect(),
        };
        let records = chunks.into_iter().map(Record::Chunk).chain([Record::Upload(record)]);
        let view = pool.view_for_writing().await?;
        // Marks are looked for at the end, when the entry is committed.
        let receipt = pool.commit(&view, records.collect()).await?;
        pool.keep_view(receipt.view).await;
        Ok(())
    }
}

pub(super) fn resume_text(record: &ChunkRecord, sum: Sha256) -> Result<String> {
    serde_json::to_string(&(record, sum)).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))
}
