//! One writer of a path at a time in this process, where what is written depends on what is there.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use rclonepool_core::id::PoolId;
use rclonepool_core::{Pool, PoolPath};
use tokio::sync::OwnedMutexGuard;

type Key = (PoolId, PoolPath);

static TURNS: LazyLock<Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>> = LazyLock::new(Mutex::default);

/// A path's turn, until it is dropped.
pub(crate) struct Turn {
    key: Key,
    guard: Option<OwnedMutexGuard<()>>,
}

/// Waits for the path's turn.
pub(crate) async fn turn(pool: &Pool, path: &PoolPath) -> Turn {
    let key = (pool.id(), path.clone());
    // Made first: who gives up waiting leaves nothing behind either.
    let mut turn = Turn { key: key.clone(), guard: None };
    let lock = TURNS.lock().entry(key).or_default().clone();
    turn.guard = Some(lock.lock_owned().await);
    turn
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut turns = TURNS.lock();
        self.guard = None;
        // Under the map's lock nobody can come to hold it besides those who do already.
        if turns.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            turns.remove(&self.key);
        }
    }
}
