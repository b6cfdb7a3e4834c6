//! Rebuilding missing and damaged shards from the others: what there is to do.

mod perform;
mod twin;

pub use perform::RebuildReport;
pub(super) use perform::{Batch, STAGES};

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use serde::Serialize;

use super::suspect::{self, Look};
use super::{CommitFinding, Inventory};
use crate::error::Result;
use crate::id::{ChunkId, Nonce, RemoteId};
use crate::index::{Damage, Finding, KnownCommit};
use crate::journal::View;
use crate::journal::commit::CommitName;
use crate::journal::read::object;
use crate::journal::record::{ChunkRecord, Place, RemoteState};
use crate::monitor::Monitor;
use crate::path::PoolPath;
use crate::pool::Pool;

/// How many chunks are looked up at a time.
const PAGE: usize = 1024;
/// How many objects are asked for at once.
const STATS: usize = 16;

/// Which chunks a rebuild looks at.
#[derive(Debug, Clone, Default)]
pub struct RebuildOptions {
    /// Only those of this file, or of the files below this directory.
    pub path: Option<PoolPath>,
    /// List the remotes and compare every shard, instead of going by what was found before. A path does
    /// so too.
    pub all: bool,
    /// Count as lost what is absent from remotes that miss suspiciously much.
    pub accept_loss: bool,
}

/// What a rebuild would do.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RebuildPlan {
    /// The chunks with damaged shards, those in most danger first.
    pub chunks: Vec<DamagedChunk>,
    /// How many of them only the trash needs.
    pub trash: u64,
    /// Bytes to put.
    pub write_bytes: u64,
    /// Bytes to read from the other shards.
    pub read_bytes: u64,
    /// Damaged shards by remote.
    pub remotes: Vec<DamagedRemote>,
    /// Remotes that miss so much that something else than loss is likely: left alone without
    /// [`RebuildOptions::accept_loss`].
    pub suspect: Vec<SuspectRemote>,
    /// Those of them whose loss the user accepts, noted when the plan is performed.
    #[serde(skip)]
    pub(super) accepted: Vec<RemoteId>,
    /// Remotes of which nothing is known now; their shards are left alone.
    pub unknown: Vec<String>,
    /// Commits whose copies on these remotes are known to be corrupt; none for a path.
    pub commits: Vec<CommitFinding>,
    /// Objects of earlier rebuilds or moves that broke off, which another object stands for.
    #[serde(skip)]
    pub(super) leftovers: Vec<(ChunkId, Place)>,
}

/// A chunk with damaged shards.
#[derive(Debug, Clone, Serialize)]
pub struct DamagedChunk {
    /// The chunk.
    pub chunk: ChunkId,
    /// Its damaged shards.
    pub shards: Vec<Finding>,
    /// How many more objects, whichever, may be lost before it is; negative when it is lost already, as far
    /// as is known.
    pub spare: i64,
    /// Bytes to put.
    pub bytes: u64,
}

/// Damaged shards on one remote.
#[derive(Debug, Clone, Serialize)]
pub struct DamagedRemote {
    /// Its name.
    pub remote: String,
    /// Shards.
    pub shards: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A remote that misses suspiciously many shards.
#[derive(Debug, Clone, Serialize)]
pub struct SuspectRemote {
    /// Its name.
    pub remote: String,
    /// Shards it does not have.
    pub absent: u64,
    /// Shards it should have.
    pub shards: u64,
}

impl Pool {
    /// Finds what is to be rebuilt, changing nothing but what this machine knows of damage.
    ///
    /// An absent shard counts only when its remote is online and a stat says so too.
    ///
    /// # Errors
    /// `NotFound` for a path that is not there; those of the index.
    pub async fn plan_rebuild(self: &Arc<Self>, options: &RebuildOptions, monitor: &Monitor) -> Result<RebuildPlan> {
        self.keep_noted()?;
        let wanted = match &options.path {
            Some(path) => Some(self.chunks_below(path)?),
            None => None,
        };
        let view = self.view().await;
        let online = view.online();
        let removed: BTreeSet<RemoteId> = self.gone_remotes()?;
        let trash = if wanted.is_none() { self.trashed_chunks()? } else { HashSet::new() };
        let mut found = self.known_damage(wanted.as_ref(), &trash, &removed)?;
        let mut unknown = BTreeSet::new();
        if options.all || wanted.is_some() {
            let inventory = monitor.run(async { Ok(Inventory::take(self).await) }).await?;
            self.each_chunk(wanted.as_ref(), &trash, |record| {
                for place in record.shards.iter().filter(|p| !removed.contains(&p.remote)) {
                    let expected = record.layout.shard_size(record.stored, usize::from(place.index));
                    let damage = match inventory.size(record.chunk, place) {
                        Err(remote) => {
                            unknown.insert(remote);
                            continue;
                        }
                        Ok(None) => Damage::Missing,
                        Ok(Some(size)) if size != expected => Damage::Truncated,
                        // What does not match its checksums has its size.
                        Ok(Some(_)) => continue,
                    };
                    found.insert((record.chunk, place.nonce), Finding { chunk: record.chunk, place: *place, damage });
                }
            })?;
        }
        let waiting: Vec<RemoteId> =
            found.values().map(|f| f.place.remote).filter(|id| !online.contains(id) && !removed.contains(id)).collect();
        unknown.extend(waiting);
        found.retain(|_, finding| online.contains(&finding.place.remote) || removed.contains(&finding.place.remote));
        let (found, unclear) = self.confirm(found, &removed, monitor).await?;
        let looked: BTreeSet<RemoteId> = if options.all && wanted.is_none() {
            online.iter().filter(|id| !unknown.contains(*id) && !unclear.contains(*id)).copied().collect()
        } else {
            BTreeSet::new()
        };
        let mut plan = RebuildPlan {
            unknown: unknown.into_iter().map(|id| self.remote_label(id)).collect(),
            leftovers: self.leftovers(&found)?,
            commits: if wanted.is_none() { self.spoiled_commits(&view)? } else { Vec::new() },
            ..RebuildPlan::default()
        };
        let found = self.leave_suspect(found, &removed, &looked, options, &mut plan)?;
        self.fill_plan(found, &mut plan)?;
        plan.trash = plan.chunks.iter().filter(|damaged| trash.contains(&damaged.chunk)).count() as u64;
        Ok(plan)
    }

    /// The corrupt copies of commits this machine knows of, on remotes that are online.
    fn spoiled_commits(&self, view: &View) -> Result<Vec<CommitFinding>> {
        let spoiled = self.index.spoiled()?;
        if spoiled.is_empty() {
            return Ok(Vec::new());
        }
        let known = self.index.known_commits()?;
        let mut found = Vec::new();
        for (id, names) in spoiled {
            let Some(remote) = view.handle(id, self.journal.remotes()) else { continue };
            let counts = |name: &CommitName| known.get(name).is_some_and(|state| *state != KnownCommit::Superseded);
            found.extend(names.into_iter().filter(counts).map(|name| CommitFinding {
                remote: remote.label().into(),
                id,
                object: object(self.journal.manifest_prefix(), &name),
                damage: Damage::Corrupt,
            }));
        }
        Ok(found)
    }

    /// Members that left for good: what lay there is missing.
    fn gone_remotes(&self) -> Result<BTreeSet<RemoteId>> {
        let gone = self.index.remotes()?.into_iter().filter(|r| r.state == RemoteState::Removed);
        Ok(gone.map(|r| r.remote).collect())
    }

    /// The chunks of a file, or of all files below a directory.
    pub(super) fn chunks_below(&self, path: &PoolPath) -> Result<BTreeSet<ChunkId>> {
        let mut chunks = BTreeSet::new();
        let mut add = |entry: &crate::journal::record::Entry| {
            chunks.extend(entry.content.extents().iter().map(|extent| extent.chunk));
        };
        let entry = self.index.entry(path)?;
        if let Some(entry) = &entry {
            add(entry);
        }
        if entry.is_none() || self.index.has_children(path)? {
            if !self.is_directory(path)? {
                return Err(crate::pool::namespace::no_file(path));
            }
            self.walk(path, |entry| {
                add(&entry);
                Ok(())
            })?;
        }
        Ok(chunks)
    }

    /// Calls `each` for the wanted chunks, else for all that are in use, and those of the trash.
    fn each_chunk(
        &self,
        wanted: Option<&BTreeSet<ChunkId>>,
        trash: &HashSet<ChunkId>,
        mut each: impl FnMut(&ChunkRecord),
    ) -> Result<()> {
        for chunk in trash {
            each(&self.chunk(*chunk)?.record);
        }
        if let Some(wanted) = wanted {
            for chunk in wanted {
                each(&self.chunk(*chunk)?.record);
            }
            return Ok(());
        }
        let mut after = None;
        loop {
            let page = self.index.live_chunks(after, PAGE)?;
            for chunk in &page {
                each(&self.chunk(*chunk)?.record);
            }
            after = page.last().copied();
            if page.len() < PAGE {
                return Ok(());
            }
        }
    }

    /// Damage found before, and what lay on remotes that are gone.
    fn known_damage(
        &self,
        wanted: Option<&BTreeSet<ChunkId>>,
        trash: &HashSet<ChunkId>,
        removed: &BTreeSet<RemoteId>,
    ) -> Result<BTreeMap<(ChunkId, Nonce), Finding>> {
        let mut findings: BTreeMap<ChunkId, Vec<Finding>> = BTreeMap::new();
        for finding in self.index.findings()? {
            findings.entry(finding.chunk).or_default().push(finding);
        }
        for remote in removed {
            for chunk in self.index.chunks_on(*remote)? {
                findings.entry(chunk).or_default();
            }
        }
        let (mut found, mut over) = (BTreeMap::new(), Vec::new());
        for (chunk, findings) in findings {
            let needed = trash.contains(&chunk) || !self.index.paths_of(chunk)?.is_empty();
            if wanted.is_some_and(|wanted| !wanted.contains(&chunk)) || !needed {
                continue;
            }
            let Some(record) = self.index.chunk(chunk)?.map(|found| found.record) else { continue };
            for finding in findings {
                // What moved since is no damage.
                if record.shards.contains(&finding.place) {
                    found.insert((chunk, finding.place.nonce), finding);
                } else {
                    over.push((chunk, finding.place.nonce));
                }
            }
            for place in record.shards.iter().filter(|p| removed.contains(&p.remote)) {
                found.insert((chunk, place.nonce), Finding { chunk, place: *place, damage: Damage::Missing });
            }
        }
        self.index.forget_damage(over)?;
        Ok(found)
    }

    /// Asks for each object that is said to be missing or of the wrong size; keeps in the index what is so. Gives
    /// back, too, the remotes that did not answer every time.
    async fn confirm(
        &self,
        found: BTreeMap<(ChunkId, Nonce), Finding>,
        removed: &BTreeSet<RemoteId>,
        monitor: &Monitor,
    ) -> Result<(Vec<Finding>, BTreeSet<RemoteId>)> {
        let asked = stream::iter(found.into_values())
            .map(|finding| async move {
                if finding.damage == Damage::Corrupt || removed.contains(&finding.place.remote) {
                    return (finding, Ok(Some(finding.damage)));
                }
                (finding, self.stat_shard(&finding).await)
            })
            .buffer_unordered(STATS)
            .collect::<Vec<_>>();
        let (mut confirmed, mut good, mut unclear) = (Vec::new(), Vec::new(), BTreeSet::new());
        for asked in monitor.run(async { Ok(asked.await) }).await? {
            match asked {
                (finding, Ok(Some(damage))) => confirmed.push(Finding { damage, ..finding }),
                (finding, Ok(None)) => good.push((finding.chunk, finding.place.nonce)),
                // Nothing is known of it now.
                (finding, Err(error)) => {
                    unclear.insert(finding.place.remote);
                    monitor.notice(error.to_string());
                }
            }
        }
        confirmed.sort_by_key(|f| (f.chunk, f.place));
        self.index.forget_damage(good)?;
        self.index.note_damage(&confirmed)?;
        Ok((confirmed, unclear))
    }

    async fn stat_shard(&self, finding: &Finding) -> Result<Option<Damage>> {
        let (place, record) = (&finding.place, self.chunk(finding.chunk)?.record);
        let Some(remote) = self.handle(place.remote).await else {
            return Err(crate::Error::new(crate::ErrorKind::Unavailable, "is offline")
                .on_remote(self.remote_label(place.remote)));
        };
        let size = remote.stat(&self.shard_object(finding.chunk, place.index, place.nonce)).await?;
        Ok(match size {
            None => Some(Damage::Missing),
            Some(size) if size != record.layout.shard_size(record.stored, usize::from(place.index)) => {
                Some(Damage::Truncated)
            }
            Some(_) => None,
        })
    }

    /// Leaves out what is absent from remotes that miss too much to be believed. `looked`: those of which
    /// everything was looked for.
    fn leave_suspect(
        &self,
        found: Vec<Finding>,
        removed: &BTreeSet<RemoteId>,
        looked: &BTreeSet<RemoteId>,
        options: &RebuildOptions,
        plan: &mut RebuildPlan,
    ) -> Result<Vec<Finding>> {
        let mut absent: BTreeMap<RemoteId, u64> = looked.iter().map(|id| (*id, 0)).collect();
        for finding in found.iter().filter(|f| f.damage == Damage::Missing && !removed.contains(&f.place.remote)) {
            *absent.entry(finding.place.remote).or_default() += 1;
        }
        let used: BTreeMap<RemoteId, u64> =
            self.index.remote_use()?.into_iter().map(|(id, used)| (id, used.objects)).collect();
        let mut suspects = BTreeSet::new();
        for (id, absent) in absent {
            let look = Look { absent, of: used.get(&id).copied().unwrap_or(0), whole: looked.contains(&id) };
            if let Some(found) = suspect::judge(&self.index, id, look)? {
                suspects.insert(id);
                let remote = self.remote_label(id);
                plan.suspect.push(SuspectRemote { remote, absent: found.absent, shards: found.of });
            }
        }
        if options.accept_loss {
            plan.accepted = suspects.into_iter().collect();
            return Ok(found);
        }
        let left = |f: &Finding| f.damage == Damage::Missing && suspects.contains(&f.place.remote);
        Ok(found.into_iter().filter(|f| !left(f)).collect())
    }

    fn fill_plan(&self, found: Vec<Finding>, plan: &mut RebuildPlan) -> Result<()> {
        let mut remotes: BTreeMap<RemoteId, (u64, u64)> = BTreeMap::new();
        let mut chunks: BTreeMap<ChunkId, Vec<Finding>> = BTreeMap::new();
        for finding in found {
            chunks.entry(finding.chunk).or_default().push(finding);
        }
        for (chunk, shards) in chunks {
            let record = self.chunk(chunk)?.record;
            let size = |f: &Finding| record.layout.shard_size(record.stored, usize::from(f.place.index));
            for finding in &shards {
                let (count, bytes) = remotes.entry(finding.place.remote).or_default();
                (*count, *bytes) = (*count + 1, *bytes + size(finding));
            }
            let bytes = shards.iter().map(size).sum();
            plan.write_bytes += bytes;
            plan.read_bytes += record.stored;
            plan.chunks.push(DamagedChunk { chunk, spare: spare(&record, &shards), shards, bytes });
        }
        plan.chunks.sort_by_key(|c| (c.spare, c.chunk));
        let remote = |(id, (shards, bytes))| DamagedRemote { remote: self.remote_label(id), shards, bytes };
        plan.remotes = remotes.into_iter().map(remote).collect();
        Ok(())
    }

    /// Objects that another one stands for, where that one is not itself damaged.
    fn leftovers(&self, found: &[Finding]) -> Result<Vec<(ChunkId, Place)>> {
        let damaged: BTreeSet<ChunkId> = found.iter().map(|f| f.chunk).collect();
        let mut places = self.index.replaced_places()?;
        places.retain(|(chunk, _)| !damaged.contains(chunk));
        Ok(places)
    }
}

/// How many more objects of a chunk, whichever, may be lost before it is.
fn spare(record: &ChunkRecord, damaged: &[Finding]) -> i64 {
    let good = |index: usize| {
        let place = |p: &&Place| usize::from(p.index) == index && damaged.iter().all(|f| f.place.nonce != p.nonce);
        record.shards.iter().filter(place).count()
    };
    let mut copies: Vec<usize> = (0..record.layout.shards()).map(good).filter(|count| *count > 0).collect();
    copies.sort_unstable();
    let k = usize::from(record.layout.data);
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    match (copies.len() + 1).checked_sub(k) {
        // It takes so many indices, those with the fewest copies first.
        Some(kill @ 1..) => count(copies.iter().take(kill).sum()) - 1,
        _ => count(copies.len()) - count(k),
    }
}
