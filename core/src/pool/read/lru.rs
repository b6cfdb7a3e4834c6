//! Verified blocks in the order in which they are given up.

use std::collections::BTreeMap;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use crate::id::ChunkId;

/// A chunk and the number of a block of it. Ids of chunks are never used again, so what has a key never changes.
pub(super) type Key = (ChunkId, u64);

/// What was read once and in order goes before everything else; then the one that was used longest ago.
type Rank = (bool, u64);

struct Block {
    bytes: Bytes,
    rank: Rank,
    /// Its share of the memory limit.
    _memory: OwnedSemaphorePermit,
}

#[derive(Default)]
pub(super) struct Lru {
    blocks: BTreeMap<Key, Block>,
    order: BTreeMap<Rank, Key>,
    bytes: u64,
    tick: u64,
}

impl Lru {
    /// Bytes of all blocks.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn contains(&self, key: &Key) -> bool {
        self.blocks.contains_key(key)
    }

    pub fn insert(&mut self, key: Key, bytes: Bytes, memory: OwnedSemaphorePermit) {
        self.remove(&key);
        let rank = self.next(true);
        self.bytes += bytes.len() as u64;
        self.order.insert(rank, key);
        self.blocks.insert(key, Block { bytes, rank, _memory: memory });
    }

    /// A block, which is now the last to go; or among the first, when it was read in order and will hardly be again.
    pub fn get(&mut self, key: &Key, again: bool) -> Option<Bytes> {
        let rank = self.next(again);
        let block = self.blocks.get_mut(key)?;
        self.order.remove(&block.rank);
        block.rank = rank;
        self.order.insert(rank, *key);
        Some(block.bytes.clone())
    }

    pub fn remove(&mut self, key: &Key) {
        if let Some(block) = self.blocks.remove(key) {
            self.order.remove(&block.rank);
            self.bytes -= block.bytes.len() as u64;
        }
    }

    /// Gives up the next block; `None` when there is none.
    pub fn evict(&mut self) -> Option<u64> {
        let (_, key) = self.order.pop_first()?;
        let bytes = self.blocks.remove(&key)?.bytes.len() as u64;
        self.bytes -= bytes;
        Some(bytes)
    }

    fn next(&mut self, again: bool) -> Rank {
        self.tick += 1;
        (again, self.tick)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    #[test]
    fn the_least_recently_used_goes_and_what_passed_by_goes_first() {
        let memory = Arc::new(Semaphore::new(5));
        let mut lru = Lru::default();
        let key = |n| (ChunkId(7), n);
        for n in 0..5 {
            let permit = memory.clone().try_acquire_owned().unwrap();
            lru.insert(key(n), Bytes::from(vec![0; 10]), permit);
        }
        assert_eq!((lru.bytes(), memory.available_permits()), (50, 0));
        assert!(
            lru.get(&key(0), true).is_some() && lru.get(&key(3), false).is_some() && lru.get(&key(9), true).is_none()
        );
        let gone = |lru: &mut Lru| {
            let before: Vec<u64> = (0..5).filter(|n| lru.contains(&key(*n))).collect();
            assert_eq!(lru.evict(), Some(10));
            before.into_iter().find(|n| !lru.contains(&key(*n))).unwrap()
        };
        assert_eq!([0; 5].map(|_| gone(&mut lru)), [3, 1, 2, 4, 0]);
        assert_eq!((lru.evict(), lru.bytes(), memory.available_permits()), (None, 0, 5));
    }
}
