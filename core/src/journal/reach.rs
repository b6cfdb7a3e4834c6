//! Listing all remotes side by side, without waiting long for one that failed a moment ago.
//!
//! A command lists several times: when it opens the pool, before it writes, after its commit. A remote that is
//! down takes long to say so, retries included, and would cost that time at each.

use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::sync::watch;

use super::sync::Listing;
use super::{Journal, lock};
use crate::error::{Error, ErrorKind, Result};

/// How much longer than for the others is waited for a remote that could not be listed a moment ago.
const LATE: Duration = Duration::from_secs(1);
/// How long that lasts (boot clock); then it is waited for as for any other.
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
        let now = self.env.boot_ms();
        // Closed when those without doubt are listed.
        let (listed, waiting) = watch::channel(());
        let (mut trusted, mut doubted) = (Vec::new(), Vec::new());
        for (at, remote) in self.remotes.iter().enumerate() {
            let list = Listing::take(remote.as_ref(), &self.manifest_prefix);
            match lock(&self.doubts).get(&at).filter(|doubt| now < doubt.until_ms) {
                None => trusted.push(async move { (at, list.await) }),
                Some(Doubt { why, .. }) => {
                    let (mut waiting, why) = (waiting.clone(), format!("still offline: {why}"));
                    doubted.push(async move {
                        let late = async {
                            let _ = waiting.changed().await;
                            tokio::time::sleep(LATE).await;
                        };
                        let listing = tokio::select! {
                            biased;
                            listing = list => listing,
                            () = late => Err(Error::new(ErrorKind::Unavailable, why).on_remote(remote.label())),
                        };
                        (at, listing)
                    });
                }
            }
        }
        let trusted = async move {
            let listings = join_all(trusted).await;
            drop(listed);
            listings
        };
        let (trusted, doubted) = join(trusted, join_all(doubted)).await;
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
