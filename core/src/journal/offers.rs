//! Puts of commits that outlive the operation that began them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::commit::CommitName;
use super::lock;
use crate::id::RemoteId;

/// The puts under way; they end with this.
#[derive(Debug, Default)]
pub(super) struct Offers {
    tasks: Mutex<JoinSet<()>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    ended: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Numbers the puts.
    next: u64,
    running: BTreeSet<u64>,
    /// How many puts of what are on their way to where.
    targets: BTreeMap<(RemoteId, CommitName), u32>,
}

/// A put under way; it has ended when this is dropped, in whatever way.
struct Running {
    shared: Arc<Shared>,
    number: u64,
    target: (RemoteId, CommitName),
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = lock(&self.shared.state);
        state.running.remove(&self.number);
        if let Some(count) = state.targets.get_mut(&self.target) {
            *count -= 1;
            if *count == 0 {
                state.targets.remove(&self.target);
            }
        }
        drop(state);
        self.shared.ended.notify_waiters();
    }
}

impl Offers {
    /// Begins a put.
    pub fn put(&self, remote: RemoteId, name: CommitName, put: impl Future<Output = ()> + Send + 'static) {
        let running = {
            let mut state = lock(&self.shared.state);
            state.next += 1;
            let number = state.next;
            state.running.insert(number);
            *state.targets.entry((remote, name)).or_default() += 1;
            Running { shared: self.shared.clone(), number, target: (remote, name) }
        };
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            put.await;
            drop(running);
        });
    }

    /// Begins a put, unless one of this commit is on its way to this remote already.
    pub fn copy(&self, remote: RemoteId, name: CommitName, put: impl Future<Output = ()> + Send + 'static) {
        if !lock(&self.shared.state).targets.contains_key(&(remote, name)) {
            self.put(remote, name, put);
        }
    }

    /// Waits, at most `limit`, for the puts that are under way; gives back how many still are.
    pub async fn settle(&self, limit: Duration) -> usize {
        let last = lock(&self.shared.state).next;
        let left = || lock(&self.shared.state).running.range(..=last).count();
        let waited = tokio::time::timeout(limit, async {
            loop {
                let ended = self.shared.ended.notified();
                tokio::pin!(ended);
                // Registered before the look, so that no end is missed.
                ended.as_mut().enable();
                if left() == 0 {
                    return;
                }
                ended.await;
            }
        });
        if waited.await.is_ok() { 0 } else { left() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Stamp, WriterId};

    fn name(n: u64) -> CommitName {
        CommitName { stamp: Stamp { ms: n, counter: 0, writer: WriterId(0) }, size: 1, digest: n, compressed: false }
    }

    #[tokio::test(start_paused = true)]
    async fn settling_waits_for_what_was_begun_and_stops_nothing() {
        let offers = Offers::default();
        let slow = |seconds| tokio::time::sleep(Duration::from_secs(seconds));
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let put = |seconds: u64| {
            let sender = sender.clone();
            async move {
                slow(seconds).await;
                let _ = sender.send(seconds);
            }
        };
        offers.put(RemoteId(1), name(1), put(1));
        offers.put(RemoteId(1), name(2), put(10));
        offers.copy(RemoteId(1), name(2), put(2));
        assert_eq!(offers.settle(Duration::from_secs(5)).await, 1);
        // Whoever is dropped while it waits stops nothing either.
        drop(tokio::time::timeout(Duration::from_secs(1), offers.settle(Duration::from_secs(60))).await);
        offers.put(RemoteId(1), name(3), std::future::pending());
        let settled = offers.settle(Duration::from_secs(60));
        tokio::pin!(settled);
        assert_eq!(settled.await, 1);
        drop(sender);
        let mut done = Vec::new();
        while let Ok(seconds) = receiver.try_recv() {
            done.push(seconds);
        }
        assert_eq!(done, [1, 10], "a copy of what is on its way is not begun again, and nothing was stopped");
    }
}
