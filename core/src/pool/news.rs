//! What is told once, not once per shard: a remote that fails usually fails for all that lies on it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use crate::error::{Error, ErrorKind};
use crate::id::RemoteId;
use crate::journal::{RemoteStatus, View};
use crate::plugin::Hook;

/// After so long (boot clock) the same is news again.
const AGAIN_MS: u64 = 600_000;

/// What was told of remotes.
#[derive(Debug, Default)]
pub(super) struct News(Mutex<HashMap<(RemoteId, ErrorKind), u64>>);

impl News {
    /// Whether `error` says something of the remote that was not told lately. What is wrong with a single object
    /// always is.
    pub fn is_news(&self, remote: RemoteId, error: &Error, boot_ms: u64) -> bool {
        let kind = error.kind();
        if matches!(kind, ErrorKind::NotFound | ErrorKind::Corrupt) {
            return true;
        }
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match told.get(&(remote, kind)) {
            Some(at) if boot_ms.saturating_sub(*at) < AGAIN_MS => false,
            _ => {
                told.insert((remote, kind), boot_ms);
                true
            }
        }
    }
}

impl super::Pool {
    /// Tells event handlers of remotes that were online in `before` and are not `now`.
    pub(super) fn tell_offline(&self, before: Option<&View>, now: &View) {
        for (at, status) in now.remotes.iter().enumerate() {
            let was_offline = before.and_then(|view| view.remotes.get(at)).is_some_and(|s| s.id().is_none());
            if let (RemoteStatus::Offline(error), false) = (status, was_offline) {
                let label = self.journal.remotes().get(at).map_or("", |remote| remote.label());
                self.tell_remote_error(label, error);
            }
        }
    }

    fn tell_remote_error(&self, remote: &str, error: &Error) {
        let event = || json!({"remote": remote, "kind": error.kind(), "error": error.to_string()});
        self.plugins.after(Hook::RemoteError, event);
    }

    /// Warns of a failure of a remote; says the same of it in detail only to who asks for that.
    pub(super) fn warn_of(&self, remote: RemoteId, error: &Error, what: &str) {
        if self.news.is_news(remote, error, self.env.boot_ms()) {
            tracing::warn!("{what}: {error}");
            if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt) {
                self.tell_remote_error(&self.remote_label(remote), error);
            }
        } else {
            tracing::debug!("{what}: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_that_fails_is_told_once_in_a_while() {
        let news = News::default();
        let told = |remote, kind, at| news.is_news(RemoteId(remote), &Error::new(kind, "x"), at);
        assert!(told(1, ErrorKind::Unavailable, 5));
        assert!(!told(1, ErrorKind::Unavailable, 6));
        assert!(told(1, ErrorKind::Full, 6) && told(2, ErrorKind::Unavailable, 6));
        assert!(told(1, ErrorKind::Corrupt, 7) && told(1, ErrorKind::Corrupt, 7), "single objects");
        assert!(told(1, ErrorKind::Unavailable, 5 + AGAIN_MS) && !told(1, ErrorKind::Unavailable, 6 + AGAIN_MS));
    }
}
