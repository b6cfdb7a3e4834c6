//! The wrapper through which the witness sees a remote's objects.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use super::{Witness, marker};
use crate::error::Result;
use crate::id::RemoteId;
use crate::remote::memory::{MemoryRemote, MemoryStore};
use crate::remote::{Body, ByteStream, ObjectMeta, Remote, Usage};

/// Where a name leads: to one disk now, to another one later.
#[derive(Debug)]
pub struct Slot(Mutex<MemoryStore>);

impl Slot {
    /// A slot with this disk.
    pub fn new(store: MemoryStore) -> Arc<Self> {
        Arc::new(Self(Mutex::new(store)))
    }

    /// The disk that is there now.
    pub fn disk(&self) -> MemoryStore {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the disk.
    pub fn change(&self, store: MemoryStore) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = store;
    }
}

/// A remote in memory under the eyes of a witness.
#[derive(Debug)]
pub struct WatchRemote {
    label: String,
    slot: Arc<Slot>,
    witness: Arc<Witness>,
    /// Which remote lay there at the last listing.
    listed: Mutex<Option<RemoteId>>,
}

impl WatchRemote {
    /// A remote over what lies in `slot`.
    pub fn new(label: String, slot: Arc<Slot>, witness: Arc<Witness>) -> Self {
        Self { label, slot, witness, listed: Mutex::default() }
    }

    fn listed(&self) -> MutexGuard<'_, Option<RemoteId>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> MemoryRemote {
        MemoryRemote::on(self.label.clone(), self.slot.disk())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Remote for WatchRemote {
    fn label(&self) -> &str {
        &self.label
    }

    async fn put(&self, name: &str, body: &Body) -> Result<()> {
        let now = self.now();
        now.put(name, body).await?;
        self.witness.stored(now.store(), name, &body.to_bytes()?);
        Ok(())
    }

    async fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<ByteStream> {
        self.now().get(name, range).await
    }

    async fn stat(&self, name: &str) -> Result<Option<u64>> {
        self.now().stat(name).await
    }

    async fn delete(&self, name: &str) -> Result<()> {
        let now = self.now();
        let moved = *self.listed() != marker(now.store());
        self.witness.deleted(now.store(), name, moved);
        now.delete(name).await
    }

    async fn list(&self, dir: &str) -> Result<BoxStream<'static, Result<ObjectMeta>>> {
        let now = self.now();
        *self.listed() = marker(now.store());
        now.list(dir).await
    }

    async fn usage(&self) -> Result<Usage> {
        self.now().usage().await
    }

    fn staging(&self) -> Option<&std::path::Path> {
        None
    }

    async fn open(&self, _: &str, _: Range<u64>) -> Result<Option<std::fs::File>> {
        Ok(None)
    }
}
