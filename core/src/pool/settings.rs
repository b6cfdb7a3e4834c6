//! Settings that every machine must agree on stand in the journal; a changed configuration writes them.

use std::sync::atomic::Ordering;

use super::Pool;
use super::init::{pool_record, remote_record};
use crate::error::Result;
use crate::id::{ChunkId, Stamp};
use crate::index::Mark;
use crate::journal::record::{Condemned, PoolRecord, Record, RemoteRecord, RemoteState, canonical};
use crate::journal::{Receipt, View};
use crate::stage::hash::sha256;

/// Where the index keeps the digest of the settings this machine wrote last.
const WRITTEN: &str = "settings-written";

impl Pool {
    /// Commits records, and with them the settings that this machine's configuration changed.
    ///
    /// # Errors
    /// As [`crate::journal::Journal::commit`].
    pub(super) async fn commit(&self, view: &View, records: Vec<Record>) -> Result<Receipt> {
        self.commit_data(view, view.epoch(), records).await
    }

    /// Commits the settings that this machine's configuration changed, if it did; gives back whether that was
    /// stale.
    ///
    /// # Errors
    /// As [`crate::journal::Journal::commit`].
    pub async fn write_settings(&self) -> Result<bool> {
        let view = self.view_for_writing().await?;
        if self.changed_settings(&view)?.0.is_empty() {
            return Ok(false);
        }
        let receipt = self.commit(&view, Vec::new()).await?;
        self.settle_receipt(receipt).await
    }

    /// As [`Pool::commit`], for data that was stored since a view of `epoch` was taken.
    ///
    /// # Errors
    /// As [`crate::journal::Journal::commit`].
    pub(super) async fn commit_data(&self, view: &View, epoch: u64, mut records: Vec<Record>) -> Result<Receipt> {
        let (changed, digest) = self.changed_settings(view)?;
        records.extend(changed);
        let brought: Vec<ChunkId> = records
            .iter()
            .filter_map(|record| match record {
                Record::Chunk(chunk) => Some(chunk.chunk),
                _ => None,
            })
            .collect();
        let untold = self.duplicates.untold();
        let condemned = |chunk: &ChunkId| Record::Condemned(Condemned { chunk: *chunk, stamp: Stamp::ZERO });
        records.extend(untold.iter().map(condemned));
        let receipt = self.journal.commit_data(view, epoch, records).await?;
        self.duplicates.note(&receipt.marked);
        if !receipt.names.is_empty() {
            self.duplicates.told(&untold);
            // Others see the record, and not that its shards are elsewhere: they must not come to rely on it.
            let astray = |chunk: &ChunkId| receipt.marked.get(chunk) == Some(&Mark::Misplaced);
            self.duplicates.tell(brought.into_iter().filter(astray));
        }
        if receipt.marked.is_empty() {
            self.index.set_meta(WRITTEN, &digest)?;
            self.wrote.store(true, Ordering::Relaxed);
        }
        Ok(receipt)
    }

    /// The records that differ from the configuration, unless this machine wrote just these before: then
    /// another machine has changed them since, and two machines must not overrule each other for ever.
    pub(super) fn changed_settings(&self, view: &View) -> Result<(Vec<Record>, String)> {
        let pool = self.index.pool()?;
        let created_ms = pool.as_ref().map_or_else(|| self.env.wall_ms(), |p| p.created_ms);
        let wanted = pool_record(&self.settings, self.id(), created_ms);
        let mut written = canonical(&PoolRecord { created_ms: 0, ..wanted.clone() });
        let mut changed = Vec::new();
        if pool.is_none_or(|p| PoolRecord { stamp: Stamp::ZERO, ..p } != wanted) {
            changed.push(Record::Pool(wanted));
        }
        let records = self.index.remotes()?;
        for (status, remote) in view.remotes.iter().zip(self.journal.remotes()) {
            let now = records.iter().find(|r| Some(r.remote) == status.id());
            let Some(now) = now.filter(|r| matches!(r.state, RemoteState::Joining | RemoteState::Active)) else {
                continue;
            };
            let configured = remote_record(&self.settings, remote.label(), now.remote, now.state);
            let wanted = RemoteRecord { label: now.label.clone(), ..configured };
            written.extend(canonical(&wanted));
            if (RemoteRecord { stamp: Stamp::ZERO, ..now.clone() }) != wanted {
                changed.push(Record::Remote(wanted));
            }
        }
        let digest = sha256(&written).to_string();
        if self.index.meta(WRITTEN)?.as_deref() == Some(&digest) {
            changed.clear();
        }
        Ok((changed, digest))
    }
}
