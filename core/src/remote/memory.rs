//! A remote in memory, for tests and simulations.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};

use super::{Body, ByteStream, ObjectMeta, Remote, Usage, check_dir, check_name, check_stored_name};
use crate::error::{Error, ErrorKind, Result};

/// Pieces a stream comes in, so that readers meet objects in more than one piece.
const PIECE_BYTES: usize = 256 << 10;

/// A [`Remote`] that keeps its objects in a [`MemoryStore`].
///
/// It needs no runtime and no clock, and gives listings in a fixed order that is not sorted.
#[derive(Debug)]
pub struct MemoryRemote {
    label: String,
    store: MemoryStore,
}

impl MemoryRemote {
    /// An empty remote.
    pub fn new(label: impl Into<String>) -> Self {
        Self::on(label, MemoryStore::default())
    }

    /// A remote over `store`; several remotes may share one, as several machines share one cloud.
    pub fn on(label: impl Into<String>, store: MemoryStore) -> Self {
        Self { label: label.into(), store }
    }

    /// The objects behind it.
    pub fn store(&self) -> &MemoryStore {
        &self.store
    }

    fn error(&self, kind: ErrorKind, message: &str, name: &str) -> Error {
        Error::new(kind, message).on_remote(&self.label).at_path(name)
    }

    fn checked(&self, name: &str) -> Result<()> {
        check_name(name).map_err(|e| e.on_remote(&self.label))
    }
}

/// The objects of [`MemoryRemote`]s: a shared handle to look at them and to damage them.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Objects>>);

#[derive(Debug, Default)]
struct Objects {
    objects: BTreeMap<String, Bytes>,
    capacity: Option<u64>,
}

impl Objects {
    fn used(&self) -> u64 {
        self.objects.values().map(|o| o.len() as u64).sum()
    }
}

impl MemoryStore {
    fn lock(&self) -> MutexGuard<'_, Objects> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The names of all objects, sorted.
    pub fn names(&self) -> Vec<String> {
        self.lock().objects.keys().cloned().collect()
    }

    /// An object's bytes.
    pub fn object(&self, name: &str) -> Option<Bytes> {
        self.lock().objects.get(name).cloned()
    }

    /// Puts or replaces an object, whatever the capacity.
    pub fn insert(&self, name: impl Into<String>, bytes: impl Into<Bytes>) {
        self.lock().objects.insert(name.into(), bytes.into());
    }

    /// Takes an object away; tells whether it was there.
    pub fn remove(&self, name: &str) -> bool {
        self.lock().objects.remove(name).is_some()
    }

    /// Takes everything away.
    pub fn clear(&self) {
        self.lock().objects.clear();
    }

    /// Cuts an object down to `size` bytes; tells whether that changed it.
    pub fn truncate(&self, name: &str, size: usize) -> bool {
        match self.lock().objects.get_mut(name) {
            Some(object) if object.len() > size => {
                object.truncate(size);
                true
            }
            _ => false,
        }
    }

    /// Flips the lowest bit of the byte at `offset` of an object; tells whether there was one.
    pub fn flip(&self, name: &str, offset: usize) -> bool {
        match self.lock().objects.get_mut(name) {
            Some(object) if offset < object.len() => {
                let mut bytes = object.to_vec();
                bytes[offset] ^= 1;
                *object = bytes.into();
                true
            }
            _ => false,
        }
    }

    /// Exchanges the objects of two stores: what a swapped pair of disks looks like.
    pub fn swap(&self, other: &Self) {
        if Arc::ptr_eq(&self.0, &other.0) {
            return;
        }
        let mine = std::mem::take(&mut self.lock().objects);
        let theirs = std::mem::replace(&mut other.lock().objects, mine);
        self.lock().objects = theirs;
    }

    /// A copy that shares nothing with this one.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        let objects = self.lock();
        Self(Arc::new(Mutex::new(Objects { objects: objects.objects.clone(), capacity: objects.capacity })))
    }

    /// Sets how many bytes it takes; puts beyond that fail with `Full`.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.lock().capacity = bytes;
    }

    /// Bytes in all objects.
    pub fn used(&self) -> u64 {
        self.lock().used()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Remote for MemoryRemote {
    fn label(&self) -> &str {
        &self.label
    }

    async fn put(&self, name: &str, body: &Body) -> Result<()> {
        self.checked(name)?;
        let bytes = body.to_bytes().map_err(|e| e.on_remote(&self.label).at_path(name))?;
        let mut store = self.store.lock();
        let replaced = store.objects.get(name).map_or(0, |o| o.len() as u64);
        if store.capacity.is_some_and(|capacity| store.used() - replaced + body.size() > capacity) {
            return Err(self.error(ErrorKind::Full, "the remote is full", name));
        }
        store.objects.insert(name.to_owned(), bytes);
        Ok(())
    }

    async fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<ByteStream> {
        self.checked(name)?;
        let object = self.store.object(name).ok_or_else(|| self.error(ErrorKind::NotFound, "no such object", name))?;
        let mut rest = match range {
            None => object,
            Some(range) => {
                let inside = (|| {
                    let (from, to) = (usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?);
                    (from <= to && to <= object.len()).then(|| object.slice(from..to))
                })();
                inside.ok_or_else(|| {
                    self.error(ErrorKind::Corrupt, "the object is shorter than the range asked for", name)
                })?
            }
        };
        Ok(stream::iter(std::iter::from_fn(move || {
            (!rest.is_empty()).then(|| Ok(rest.split_to(rest.len().min(PIECE_BYTES))))
        }))
        .boxed())
    }

    async fn stat(&self, name: &str) -> Result<Option<u64>> {
        self.checked(name)?;
        Ok(self.store.object(name).map(|o| o.len() as u64))
    }

    async fn delete(&self, name: &str) -> Result<()> {
        check_stored_name(name).map_err(|e| e.on_remote(&self.label))?;
        self.store.remove(name);
        Ok(())
    }

    async fn list(&self, dir: &str) -> Result<BoxStream<'static, Result<ObjectMeta>>> {
        check_dir(dir).map_err(|e| e.on_remote(&self.label))?;
        let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let mut found: Vec<_> = (self.store.lock().objects.iter())
            .filter(|(name, _)| name.starts_with(&prefix))
            .map(|(name, object)| ObjectMeta { name: name.clone(), size: object.len() as u64 })
            .collect();
        // Unsorted on purpose (backends differ), but the same in every run.
        found.sort_by_key(|meta| meta.name.bytes().rev().collect::<Vec<_>>());
        Ok(stream::iter(found.into_iter().map(Ok)).boxed())
    }

    async fn usage(&self) -> Result<Usage> {
        let store = self.store.lock();
        let used = store.used();
        Ok(Usage { total: store.capacity, used: Some(used), free: store.capacity.map(|c| c.saturating_sub(used)) })
    }

    fn staging(&self) -> Option<&std::path::Path> {
        None
    }

    async fn open(&self, _: &str, _: Range<u64>) -> Result<Option<std::fs::File>> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready<T>(future: impl Future<Output = T>) -> T {
        // It must need no runtime.
        futures_util::FutureExt::now_or_never(future).expect("memory never waits")
    }

    #[test]
    fn capacity_and_damage() {
        let remote = MemoryRemote::new("m");
        let store = remote.store().clone();
        store.set_capacity(Some(10));
        ready(remote.put("a", &vec![7; 8].into())).unwrap();
        let error = ready(remote.put("b", &vec![7; 3].into())).unwrap_err();
        assert_eq!((error.kind(), error.remote()), (ErrorKind::Full, Some("m")));
        ready(remote.put("a", &vec![8; 10].into())).unwrap();
        assert_eq!(ready(remote.usage()).unwrap(), Usage { total: Some(10), used: Some(10), free: Some(0) });

        let before = store.snapshot();
        assert!(store.flip("a", 9) && !store.flip("a", 10) && !store.truncate("a", 10) && store.truncate("a", 9));
        assert_eq!(store.object("a").unwrap(), vec![8; 9]);
        assert_eq!(before.object("a").unwrap(), vec![8; 10]);

        let other = MemoryStore::default();
        other.insert("b", "x");
        store.swap(&other);
        store.swap(&store.clone());
        assert_eq!((store.names(), other.names()), (vec!["b".into()], vec!["a".into()]));
        store.clear();
        assert_eq!(ready(remote.stat("b")).unwrap(), None);
    }
}
