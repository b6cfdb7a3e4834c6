//! Uploads that failed a moment ago.
//!
//! After any failed PUT, rclone sends a DELETE for the path. Where the PUT was to replace a file, nothing of it is
//! there and the file is as it was, so that DELETE must not have it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header::USER_AGENT};
use parking_lot::Mutex;
use rclonepool_core::PoolPath;
use rclonepool_core::id::{PoolId, Stamp};

use crate::principal::Principal;

/// How long a failed upload is remembered: rclone waits a second, then asks, and again where it gets no answer.
const REMEMBERED: Duration = Duration::from_secs(30);
/// How many are remembered at most.
const MOST: usize = 1024;

/// What failed.
#[derive(Debug, Default)]
pub(super) struct Failed(Mutex<VecDeque<One>>);

#[derive(Debug, PartialEq)]
struct Key {
    pool: PoolId,
    user: Option<String>,
    path: PoolPath,
    /// The version that was to be replaced.
    version: Stamp,
}

#[derive(Debug)]
struct One {
    key: Key,
    at: Instant,
}

/// An upload under way; it failed unless it is told otherwise, even when its client is gone.
pub(super) struct Attempt<'a> {
    failed: &'a Failed,
    key: Option<Key>,
}

impl Failed {
    /// Begins an upload that may replace a file.
    pub fn attempt(&self, who: &Principal, path: &PoolPath, headers: &HeaderMap) -> Attempt<'_> {
        Attempt { failed: self, key: key(who, path).filter(|_| is_rclone(headers)) }
    }

    /// Whether a DELETE is the one that follows a failed upload; asked again, it is not.
    pub fn takes(&self, who: &Principal, path: &PoolPath, headers: &HeaderMap) -> bool {
        let Some(key) = key(who, path).filter(|_| is_rclone(headers)) else { return false };
        let mut failed = self.0.lock();
        failed.retain(|one| one.at.elapsed() < REMEMBERED);
        match failed.iter().position(|one| one.key == key) {
            Some(at) => failed.remove(at).is_some(),
            None => false,
        }
    }
}

impl Attempt<'_> {
    /// It did not fail.
    pub fn succeeded(mut self) {
        self.key = None;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let Some(key) = self.key.take() else { return };
        let mut failed = self.failed.0.lock();
        failed.retain(|one| one.key != key);
        while failed.len() >= MOST {
            failed.pop_front();
        }
        failed.push_back(One { key, at: Instant::now() });
    }
}

fn is_rclone(headers: &HeaderMap) -> bool {
    headers.get(USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"rclone"))
}

fn key(who: &Principal, path: &PoolPath) -> Option<Key> {
    let entry = who.pool.entry(path).ok()??;
    let user = who.name.as_deref().map(str::to_owned);
    Some(Key { pool: who.pool.id(), user, path: path.clone(), version: entry.stamp })
}
