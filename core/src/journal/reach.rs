//! Listing all remotes side by side, without waiting long for one that is down.
//!
//! A command lists several times: when it opens the pool, before it writes, after its commit. A remote that is
//! down takes long to say so, retries included, and would cost that time at each; one that says nothing at all would
//! cost the time-out of its connection.

use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::sync::Listing;
use super::{Journal, lock};
use crate::error::{Error, ErrorKind, Result};

/// How much longer than for the others is waited for a remote that could not be listed a moment ago.
const LATE: Duration = Duration::from_secs(1);
/// How much longer than half of the remotes took is waited for any other: this, and [`TIMES`] what they took.
const SILENT: Duration = Duration::from_secs(10);
const TIMES: u32 = 3;
/// How long a remote is doubted (boot clock); then it is waited for as for any other.
const DOUBT_MS: u64 = 60_000;

/// A remote that could not be listed.
#[derive(Debug)]
pub(super) struct Doubt {
    until_ms: u64,
    why: String,
}

impl Journal {
    /// Lists the manifest directory of every configured remote, in the configuration's order.
    pub(super) async fn list_all(&self) -> Vec<Result<Listing>> {
        let (now, begin) = (self.env.boot_ms(), Instant::now());
        let doubts: Vec<_> = {
            let doubts = lock(&self.doubts);
            let doubt = |at| doubts.get(&at).filter(|doubt| now < doubt.until_ms).map(|doubt| doubt.why.clone());
            (0..self.remotes.len()).map(doubt).collect()
        };
        let half = self.remotes.len().div_ceil(2);
        // How many of those without doubt are listed; closed when all are.
        let (listed, waiting) = watch::channel(0);
        let (mut trusted, mut doubted) = (Vec::new(), Vec::new());
        for ((at, remote), doubt) in self.remotes.iter().enumerate().zip(doubts) {
            let list = Listing::take(remote.as_ref(), &self.manifest_prefix);
            let (listed, mut waiting) = (listed.clone(), waiting.clone());
            let away = |why| Err(Error::new(ErrorKind::Unavailable, why).on_remote(remote.label()));
            match doubt {
                None => trusted.push(async move {
                    let late = async {
                        if waiting.wait_for(|listed| *listed >= half).await.is_err() {
                            std::future::pending().await
                        }
                        sleep(SILENT + begin.elapsed() * TIMES).await;
                    };
                    let listing = tokio::select! {
                        biased;
                        listing = list => listing,
                        () = late => away("no answer, long after the others gave theirs".into()),
                    };
                    listed.send_modify(|listed| *listed += 1);
                    (at, listing)
                }),
                Some(why) => doubted.push(async move {
                    drop(listed);
                    let late = async {
                        while waiting.changed().await.is_ok() {}
                        sleep(LATE).await;
                    };
                    let listing = tokio::select! {
                        biased;
                        listing = list => listing,
                        () = late => away(format!("still offline: {why}")),
                    };
                    (at, listing)
                }),
            }
        }
        drop(listed);
        let (trusted, doubted) = join(join_all(trusted), join_all(doubted)).await;
        let mut listings: Vec<_> = trusted.into_iter().chain(doubted).collect();
        listings.sort_by_key(|(at, _)| *at);
        let mut doubts = lock(&self.doubts);
        for (at, listing) in &listings {
            match listing {
                Err(error) if error.is_retryable() => {
                    let doubt = || Doubt { until_ms: now + DOUBT_MS, why: error.message().to_owned() };
                    let held = doubts.entry(*at).or_insert_with(doubt);
                    if now >= held.until_ms {
                        *held = doubt();
                    }
                }
                _ => drop(doubts.remove(at)),
            }
        }
        listings.into_iter().map(|(_, listing)| listing).collect()
    }
}
