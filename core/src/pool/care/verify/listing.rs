//! Holding the listings of the remotes against the journal.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};

use super::{At, Run, VerifyLevel};
use crate::error::Result;
use crate::id::{ChunkId, Nonce, RemoteId};
use crate::index::{Damage, Finding};
use crate::local::blocking;
use crate::pool::care::Inventory;
use crate::pool::care::health::assess::Standing;
use crate::pool::care::suspect;
use crate::remote::SharedRemote;

/// Objects absent from a listing that are asked for by themselves; of more, so many that lie far apart.
const CONFIRM_MAX: usize = 256;
/// The same for a remote that is suspect anyhow.
const CONFIRM_SUSPECT: usize = 16;
/// How many of them at once, on each remote.
const CONFIRM_AT_ONCE: usize = 8;

/// What the listings say.
#[derive(Default)]
struct Compared {
    absent: BTreeMap<RemoteId, Vec<At>>,
    truncated: Vec<Finding>,
    /// Found to be in order, of what was known to be wrong.
    mended: Vec<(ChunkId, Nonce)>,
    shards: BTreeMap<RemoteId, u64>,
    chunks: u64,
}

impl Run<'_> {
    /// Holds the listings against the journal; gives back what is absent in them.
    pub(super) async fn compare(&mut self, inventory: Inventory) -> Result<BTreeMap<RemoteId, Vec<At>>> {
        let (index, scope, level) = (self.pool.index.clone(), self.scope.clone(), self.level);
        let here = |id: &RemoteId| self.facts.standing(*id) == Standing::Here;
        let looked: Vec<RemoteId> = self.facts.records.iter().map(|r| r.remote).filter(here).collect();
        let before = self.before.clone();
        let compared = blocking(move || {
            let mut compared = Compared::default();
            scope.walk(&index, |surveyed| {
                compared.chunks += 1;
                for place in surveyed.places.iter().filter(|place| looked.contains(&place.remote)) {
                    let Ok(size) = inventory.size(surveyed.chunk, place) else { continue };
                    *compared.shards.entry(place.remote).or_default() += 1;
                    let expected = surveyed.shape.map(|s| s.layout.shard_size(s.stored, usize::from(place.index)));
                    let (chunk, place) = (surveyed.chunk, *place);
                    match size {
                        None => compared.absent.entry(place.remote).or_default().push((chunk, place)),
                        Some(size) if level > VerifyLevel::Quick && expected.is_some_and(|e| e != size) => {
                            compared.truncated.push(Finding { chunk, place, damage: Damage::Truncated });
                        }
                        Some(_) => {
                            let known = before.get(&(chunk, place.nonce)).map(|finding| finding.damage);
                            let was_worse = match known {
                                Some(Damage::Missing) => true,
                                Some(Damage::Truncated) => level > VerifyLevel::Quick,
                                _ => false,
                            };
                            compared.mended.extend(was_worse.then_some((chunk, place.nonce)));
                        }
                    }
                }
                Ok(())
            })?;
            Ok(compared)
        })
        .await?;
        self.checked.chunks = compared.chunks;
        self.checked.shards = compared.shards.values().sum();
        self.shards = compared.shards;
        self.found.extend(compared.truncated);
        self.index().forget_damage(compared.mended)?;
        self.forget_moved()?;
        Ok(compared.absent)
    }

    /// What is known of objects that no shard refers to any more is of no use.
    fn forget_moved(&self) -> Result<()> {
        let mut moved = Vec::new();
        for finding in self.before.values() {
            let now = self.index().survey_of(&[finding.chunk])?;
            if !now.iter().any(|surveyed| surveyed.places.contains(&finding.place)) {
                moved.push((finding.chunk, finding.place.nonce));
            }
        }
        if moved.is_empty() { Ok(()) } else { self.index().forget_damage(moved) }
    }

    /// Asks for absent objects by themselves: a listing may be stale. Gives back those that are missing.
    pub(super) async fn confirm(&mut self, absent: BTreeMap<RemoteId, Vec<At>>) -> Result<Vec<At>> {
        if absent.is_empty() {
            return Ok(Vec::new());
        }
        let used: BTreeMap<RemoteId, u64> =
            self.index().remote_use()?.into_iter().map(|(r, u)| (r, u.objects)).collect();
        let mut asks = Vec::new();
        for (id, absent) in absent {
            asks.push(self.ask(id, absent, used.get(&id).copied().unwrap_or(0)));
        }
        let asked = join_all(asks).await;
        let mut all = Vec::new();
        for (id, missing, unknown) in asked {
            if !unknown.is_empty() {
                let why =
                    format!("its listing lacks {} shards, and asking for them gave no clear answer", unknown.len());
                self.why.insert(id, why);
            }
            self.unknown.extend(unknown.into_iter().map(|(chunk, place)| (chunk, place.nonce)));
            all.extend(missing);
        }
        Ok(all)
    }

    /// Asks one remote for objects its listing lacks: (remote, missing, unknown).
    async fn ask(&self, id: RemoteId, absent: Vec<At>, of: u64) -> (RemoteId, Vec<At>, Vec<At>) {
        let Some(remote) = self.pool.handle(id).await else { return (id, Vec::new(), absent) };
        let most = if suspect::is_suspect(absent.len() as u64, of) { CONFIRM_SUSPECT } else { CONFIRM_MAX };
        let step = absent.len().div_ceil(most).max(1);
        let (mut asks, mut rest) = (Vec::new(), Vec::new());
        for (n, at) in absent.into_iter().enumerate() {
            if n % step == 0 { asks.push(self.stat(&remote, at)) } else { rest.push(at) }
        }
        let answers: Vec<_> = stream::iter(asks).buffer_unordered(CONFIRM_AT_ONCE).collect().await;
        let (mut missing, mut unknown, mut believed) = (Vec::new(), Vec::new(), true);
        for (at, answer) in answers {
            match answer {
                Ok(None) => missing.push(at),
                // It is there: the listing is not to be believed.
                Ok(Some(_)) => believed = false,
                Err(_) => {
                    believed = false;
                    unknown.push(at);
                }
            }
        }
        if believed {
            missing.extend(rest)
        } else {
            unknown.extend(rest)
        }
        (id, missing, unknown)
    }

    async fn stat(&self, remote: &SharedRemote, (chunk, place): At) -> (At, Result<Option<u64>>) {
        let name = self.pool.shard_object(chunk, place.index, place.nonce);
        ((chunk, place), remote.stat(&name).await)
    }
}
