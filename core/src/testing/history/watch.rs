//! The wrapper through which the witness sees a remote's objects.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use super::Witness;
use crate::error::Result;
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
}

impl WatchRemote {
    /// A remote over what lies in `slot`.
    pub fn new(label: String, slot: Arc<Slot>, witness: Arc<Witness>) -> Self {
        Self { label, slot, witness }
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
        self.witness.deleted(now.store(), name);
        now.delete(name).await
    }

    async fn list(&self, dir: &str) -> Result<BoxStream<'static, Result<ObjectMeta>>> {
        self.now().list(dir).await
    }

    async fn usage(&self) -> Result<Usage> {
        self.now().usage().await
    }

    fn staging(&self) -> Option<&std::path::Path> {
        None
    }
}
