//! Locks, one table per pool. They live in memory, as long as their time-outs or the process.

use std::collections::HashMap;
use std::future::ready;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::http::StatusCode;
use dav_server::davpath::DavPath;
use dav_server::ls::{DavLock, DavLockSystem, LsFuture};
use parking_lot::Mutex;
use rclonepool_core::env::{Env, SystemEnv};
use rclonepool_core::id::PoolId;
use rclonepool_core::{Pool, PoolPath};
use xmltree::{Element, EmitterConfig};

use crate::status::{Answer, Refusal};

/// How long a lock lasts that names no time,
const TIMEOUT: Duration = Duration::from_secs(600);
/// and the longest one lasts without being refreshed.
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);
/// How many locks a pool may have; beyond that everything counts as locked.
const LOCKS_MAX: usize = 10_000;

/// The tables of all pools.
#[derive(Debug, Default)]
pub(super) struct Tables(Mutex<HashMap<PoolId, Locks>>);

impl Tables {
    /// A pool's table.
    pub fn of(&self, pool: &Pool) -> Locks {
        self.0.lock().entry(pool.id()).or_default().clone()
    }
}

/// The locks of one pool.
#[derive(Debug, Clone, Default)]
pub(super) struct Locks(Arc<Mutex<Vec<Held>>>);

/// A lock.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub path: PoolPath,
    pub lock: DavLock,
    pub until: Instant,
}

impl Held {
    fn covers(&self, path: &PoolPath) -> bool {
        self.path == *path || self.lock.deep && path.below(&self.path).is_some()
    }

    fn is_of(&self, principal: Option<&str>, tokens: &[String]) -> bool {
        tokens.contains(&self.lock.token) && self.lock.principal.as_deref() == principal
    }

    /// Who holds it, as the client wrote it.
    pub fn owner(&self) -> String {
        let mut text = Vec::new();
        let config = EmitterConfig::new().write_document_declaration(false).perform_indent(false);
        match &self.lock.owner {
            Some(owner) if owner.write_with_config(&mut text, config).is_ok() => {
                String::from_utf8(text).unwrap_or_default()
            }
            _ => String::new(),
        }
    }
}

impl Locks {
    fn held(&self) -> parking_lot::MutexGuard<'_, Vec<Held>> {
        let mut held = self.0.lock();
        let now = Instant::now();
        held.retain(|held| held.until > now);
        held
    }

    /// Whether a lock of this token covers the path.
    pub fn has(&self, path: &PoolPath, token: &str) -> bool {
        self.held().iter().any(|held| held.lock.token == token && held.covers(path))
    }

    /// The locks that cover a path.
    pub fn covering(&self, path: &PoolPath) -> Vec<Held> {
        self.held().iter().filter(|held| held.covers(path)).cloned().collect()
    }

    /// Fails when the path (with `deep`: or anything below it) is locked by a lock whose token is not among `tokens`.
    ///
    /// # Errors
    /// 423.
    pub fn permit(&self, path: &PoolPath, deep: bool, principal: &str, tokens: &[String]) -> Answer<()> {
        match conflict(&self.held(), path, deep, Some(principal), tokens) {
            None => Ok(()),
            Some(held) => Err(Refusal::new(StatusCode::LOCKED, format!("{} is locked", held.path))),
        }
    }

    /// Forgets the locks of what is gone: a path, and all below it.
    pub fn forget(&self, path: &PoolPath) {
        self.held().retain(|held| held.path.below(path).is_none());
    }
}

/// A lock that keeps `principal` from changing the path. Of shared locks on one path, one's own is enough.
fn conflict<'a>(
    held: &'a [Held],
    path: &PoolPath,
    deep: bool,
    principal: Option<&str>,
    tokens: &[String],
) -> Option<&'a Held> {
    let covering = || held.iter().filter(|held| held.covers(path));
    let shares = covering().any(|held| held.lock.shared && held.is_of(principal, tokens));
    let foreign = covering().find(|held| !(held.is_of(principal, tokens) || held.lock.shared && shares));
    let below = || {
        let inside = |held: &&Held| held.path != *path && held.path.below(path).is_some();
        held.iter().filter(inside).find(|held| !held.is_of(principal, tokens))
    };
    foreign.or_else(|| if deep { below() } else { None })
}

/// The pool's path that a request's path means; requests were checked before.
pub(super) fn pool_path(path: &DavPath) -> Option<PoolPath> {
    let text = std::str::from_utf8(path.as_bytes()).ok()?;
    if text == "/" { Some(PoolPath::root()) } else { PoolPath::new(text).ok() }
}

/// A random UUID (RFC 9562, version 4) as a URN.
fn token() -> String {
    let random = SystemEnv.random() & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{random:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("urn:uuid:{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

fn answer<'a, T: Send + 'a>(value: T) -> LsFuture<'a, T> {
    Box::pin(ready(value))
}

impl DavLockSystem for Locks {
    fn lock(
        &'_ self,
        path: &DavPath,
        principal: Option<&str>,
        owner: Option<&Element>,
        timeout: Option<Duration>,
        shared: bool,
        deep: bool,
    ) -> LsFuture<'_, Result<DavLock, DavLock>> {
        let timeout = timeout.unwrap_or(TIMEOUT).min(TIMEOUT_MAX);
        let lock = DavLock {
            token: token(),
            path: Box::new(path.clone()),
            principal: principal.map(str::to_owned),
            owner: owner.map(|owner| Box::new(owner.clone())),
            timeout_at: Some(SystemTime::now() + timeout),
            timeout: Some(timeout),
            shared,
            deep,
        };
        let Some(path) = pool_path(path) else { return answer(Err(lock)) };
        let mut held = self.held();
        let meets = |held: &&Held| held.covers(&path) || deep && held.path.below(&path).is_some();
        if let Some(other) = held.iter().filter(meets).find(|held| !(shared && held.lock.shared)) {
            return answer(Err(other.lock.clone()));
        }
        if held.len() >= LOCKS_MAX {
            return answer(Err(lock));
        }
        held.push(Held { path, lock: lock.clone(), until: Instant::now() + timeout });
        answer(Ok(lock))
    }

    fn unlock(&'_ self, path: &DavPath, token: &str) -> LsFuture<'_, Result<(), ()>> {
        let Some(path) = pool_path(path) else { return answer(Err(())) };
        let mut held = self.held();
        let count = held.len();
        held.retain(|held| held.lock.token != token || !held.covers(&path));
        answer(if held.len() < count { Ok(()) } else { Err(()) })
    }

    fn refresh(&'_ self, path: &DavPath, token: &str, timeout: Option<Duration>) -> LsFuture<'_, Result<DavLock, ()>> {
        let Some(path) = pool_path(path) else { return answer(Err(())) };
        let mut held = self.held();
        let Some(found) = held.iter_mut().find(|held| held.lock.token == token && held.covers(&path)) else {
            return answer(Err(()));
        };
        let timeout = timeout.unwrap_or(TIMEOUT).min(TIMEOUT_MAX);
        found.until = Instant::now() + timeout;
        (found.lock.timeout, found.lock.timeout_at) = (Some(timeout), Some(SystemTime::now() + timeout));
        answer(Ok(found.lock.clone()))
    }

    fn check(
        &'_ self,
        path: &DavPath,
        principal: Option<&str>,
        ignore_principal: bool,
        deep: bool,
        submitted_tokens: &[String],
    ) -> LsFuture<'_, Result<(), DavLock>> {
        let refused = |path: &DavPath| DavLock {
            token: String::new(),
            path: Box::new(path.clone()),
            principal: None,
            owner: None,
            timeout_at: None,
            timeout: None,
            shared: false,
            deep,
        };
        let Some(at) = pool_path(path) else { return answer(Err(refused(path))) };
        if ignore_principal {
            // So it asks whether a condition of the If header holds: whether the path has this lock.
            let has = submitted_tokens.iter().any(|token| self.has(&at, token));
            return answer(if has { Ok(()) } else { Err(refused(path)) });
        }
        let held = self.held();
        answer(conflict(&held, &at, deep, principal, submitted_tokens).map_or(Ok(()), |held| Err(held.lock.clone())))
    }

    fn discover(&'_ self, path: &DavPath) -> LsFuture<'_, Vec<DavLock>> {
        let held = pool_path(path).map(|path| self.covering(&path)).unwrap_or_default();
        answer(held.into_iter().map(|held| held.lock).collect())
    }

    fn delete(&'_ self, path: &DavPath) -> LsFuture<'_, Result<(), ()>> {
        if let Some(path) = pool_path(path) {
            self.forget(&path);
        }
        answer(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> PoolPath {
        PoolPath::new(text).unwrap()
    }

    async fn lock(locks: &Locks, at: &str, user: &str, shared: bool, deep: bool) -> Option<String> {
        let at = DavPath::new(at).unwrap();
        locks.lock(&at, Some(user), None, None, shared, deep).await.ok().map(|lock| lock.token)
    }

    #[tokio::test]
    async fn locks_keep_others_out() {
        let locks = Locks::default();
        let token = lock(&locks, "/d/", "a", false, true).await.unwrap();
        let mine = [token.clone()];
        for at in ["/d", "/d/x", "/d/x/y"] {
            assert!(locks.permit(&path(at), false, "a", &[]).is_err(), "{at}");
            assert!(locks.permit(&path(at), false, "b", &mine).is_err(), "{at}");
            assert!(locks.permit(&path(at), true, "a", &mine).is_ok(), "{at}");
            assert!(locks.has(&path(at), &token));
            assert!(lock(&locks, at, "a", false, false).await.is_none(), "{at}");
        }
        assert!(locks.permit(&path("/dd"), false, "b", &[]).is_ok());
        assert!(locks.permit(&PoolPath::root(), false, "b", &[]).is_ok());
        assert!(locks.permit(&PoolPath::root(), true, "b", &[]).is_err());
        assert!(lock(&locks, "/", "a", false, true).await.is_none());
        locks.forget(&path("/d"));
        assert!(locks.permit(&PoolPath::root(), true, "b", &[]).is_ok());
    }

    #[tokio::test]
    async fn shared_locks_are_shared() {
        let locks = Locks::default();
        let a = lock(&locks, "/f", "a", true, false).await.unwrap();
        let b = lock(&locks, "/f", "b", true, false).await.unwrap();
        assert!(lock(&locks, "/f", "c", false, false).await.is_none());
        assert!(locks.permit(&path("/f"), false, "a", &[a]).is_ok());
        assert!(locks.permit(&path("/f"), false, "b", &[b]).is_ok());
        assert!(locks.permit(&path("/f"), false, "c", &[]).is_err());
    }

    #[tokio::test]
    async fn locks_end() {
        let locks = Locks::default();
        let at = DavPath::new("/f").unwrap();
        let short = Some(Duration::from_millis(20));
        let token = locks.lock(&at, Some("a"), None, short, false, false).await.unwrap().token;
        assert!(locks.permit(&path("/f"), false, "b", &[]).is_err());
        tokio::time::sleep(Duration::from_millis(40)).await;
        assert!(locks.permit(&path("/f"), false, "b", &[]).is_ok());
        assert!(locks.refresh(&at, &token, None).await.is_err());
        assert!(locks.unlock(&at, &token).await.is_err());
    }

    #[test]
    fn tokens_are_uuids() {
        let token = token();
        let (head, tail) = (token.get(..9), token.get(23..24));
        assert_eq!((token.len(), head, tail), (45, Some("urn:uuid:"), Some("4")), "{token}");
        assert!(matches!(token.get(28..29), Some("8" | "9" | "a" | "b")), "{token}");
    }
}
