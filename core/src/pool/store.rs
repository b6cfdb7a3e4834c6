//! Storing one chunk: coded as it is read, its shards put in parallel.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::OwnedSemaphorePermit;

use self::stall::{Done, Together};
use super::Pool;
use super::placement::{Plan, Target};
use crate::buffer::Buffer;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ChunkId, Nonce, Sha256, Stamp};
use crate::journal::record::{ChunkRecord, Place, UnitChecksums};
use crate::monitor::Monitor;
use crate::remote::Body;
use crate::scratch::{Scratch, ScratchFile};
use crate::stage::compress::{self, Codec, Compression, FRAME_BYTES, Packer, Unpacker};
use crate::stage::hash::Hasher;
use crate::stage::layout::{Layout, MAX_UNIT_BYTES};
use crate::stage::stripe::StripeEncoder;
use crate::stage::transform::Applied;

mod code;
mod stall;

pub(super) use code::{Coding, Compress, Recipe, code};

/// A chunk coded into shards, not stored yet.
pub(super) struct Coded {
    /// Plain bytes.
    pub size: u64,
    /// Bytes of the stored stream.
    pub stored: u64,
    /// The SHA-256 of the plain bytes.
    pub sha256: Sha256,
    pub compression: Option<Compression>,
    pub transforms: Vec<Applied>,
    pub layout: Layout,
    /// The checksums of their units, per shard index.
    pub units: Vec<UnitChecksums>,
    /// One per shard index; copies are equal.
    pub shards: Vec<Body>,
}

impl Coded {
    /// Whether compressing it was not worth it.
    pub fn is_vain(&self) -> bool {
        matches!(self.compression, Some(Compression::Zstd { .. })) && !compress::gains(self.size, self.stored)
    }
}

/// Where the shards of a chunk that was not read yet will go.
pub(super) struct Planned {
    sizes: Vec<u64>,
    plan: Plan,
}

impl Planned {
    /// By shard index, where the shard may be written to begin with. Never for a shard of several copies: they
    /// would share one file.
    pub fn staging(&self) -> Vec<Option<PathBuf>> {
        let mut staging = vec![None; self.sizes.len()];
        let targets = self.plan.targets();
        for target in &targets {
            let alone = targets.iter().filter(|other| other.index == target.index).count() == 1;
            if let (Some(place), true) = (staging.get_mut(target.index), alone) {
                *place = target.remote.staging().map(PathBuf::from);
            }
        }
        staging
    }

    /// Gives back the room of a chunk that is not stored.
    pub fn release(self) {
        self.plan.release(&self.sizes);
    }
}

/// Codes the stored stream of one chunk as it comes, in any pieces.
pub(super) struct Coder {
    layout: Layout,
    encoder: StripeEncoder,
    sinks: Vec<Sink>,
    /// Of the plain bytes, and their number.
    hasher: Hasher,
    size: u64,
    /// For a compressed chunk.
    unpacker: Option<(Unpacker, Compression)>,
    transforms: Vec<Applied>,
    row: Vec<u8>,
    stored: u64,
}

impl Coder {
    /// Starts a chunk of `stored` bytes that are the plain ones.
    ///
    /// # Errors
    /// `Corrupt` for an impossible layout, `Full` when scratch files have no room.
    pub fn new(layout: Layout, stored: u64, scratch: &Scratch) -> Result<Self> {
        let sink = |index| {
            let small = layout.shard_size(stored, index) <= u64::from(MAX_UNIT_BYTES);
            if small { Ok(Sink::Memory(Vec::new())) } else { scratch.create().map(Sink::Scratch) }
        };
        Ok(Self {
            layout,
            encoder: StripeEncoder::new(layout)?,
            sinks: (0..layout.shards()).map(sink).collect::<Result<_>>()?,
            hasher: Hasher::new(),
            size: 0,
            unpacker: None,
            transforms: Vec::new(),
            row: Vec::with_capacity(usize::try_from(layout.row_bytes().min(stored)).unwrap_or(0)),
            stored: 0,
        })
    }

    /// Starts a chunk whose stored stream is that of `record`, which `codec` made.
    ///
    /// # Errors
    /// As [`Coder::new`].
    pub fn of(layout: Layout, record: &ChunkRecord, codec: Codec, scratch: &Scratch) -> Result<Self> {
        let unpacker = |of: &Compression| Ok::<_, Error>((Unpacker::of(of.frames().to_vec(), codec)?, of.clone()));
        let unpacker = record.compression.as_ref().map(unpacker).transpose()?;
        Ok(Self { unpacker, transforms: record.transforms.clone(), ..Self::new(layout, record.stored, scratch)? })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// Those of scratch files; `Corrupt` for bytes that do not decompress.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        let full = usize::try_from(self.layout.row_bytes()).unwrap_or(usize::MAX);
        self.stored += bytes.len() as u64;
        if let Some((unpacker, _)) = &mut self.unpacker {
            unpacker.push(bytes);
            let mut plain = Buffer::new();
            while unpacker.next_frame(&mut plain)? {
                self.hasher.update(&plain);
                self.size += plain.len() as u64;
            }
        } else {
            self.hasher.update(bytes);
            self.size += bytes.len() as u64;
        }
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(full - self.row.len()));
            self.row.extend_from_slice(now);
            bytes = later;
            if self.row.len() == full {
                self.code_row()?;
            }
        }
        Ok(())
    }

    fn code_row(&mut self) -> Result<()> {
        for (index, unit) in self.encoder.row(&self.row)? {
            self.sinks[index].write(unit)?;
        }
        self.row.clear();
        Ok(())
    }

    /// The coded chunk.
    ///
    /// # Errors
    /// Those of scratch files.
    pub fn finish(mut self) -> Result<Coded> {
        if !self.row.is_empty() {
            self.code_row()?;
        }
        Ok(Coded {
            size: self.size,
            stored: self.stored,
            sha256: self.hasher.finish(),
            compression: self.unpacker.map(|(_, compression)| compression),
            transforms: self.transforms,
            layout: self.layout,
            units: self.encoder.finish().into_iter().map(UnitChecksums).collect(),
            shards: self.sinks.into_iter().map(Sink::seal).collect::<Result<_>>()?,
        })
    }
}

/// Where a shard grows.
pub(super) enum Sink {
    Memory(Vec<u8>),
    Scratch(ScratchFile),
}

impl Sink {
    pub fn write(&mut self, unit: &[u8]) -> Result<()> {
        match self {
            Self::Memory(bytes) => bytes.extend_from_slice(unit),
            Self::Scratch(file) => file.write(unit)?,
        }
        Ok(())
    }

    pub fn seal(self) -> Result<Body> {
        match self {
            Self::Memory(bytes) => Ok(Body::from(bytes)),
            Self::Scratch(file) => file.seal(),
        }
    }
}

/// What a chunk is called without the rule that names belong to one put.
fn named_by_content(sha256: &Sha256) -> ChunkId {
    ChunkId(sha256.0.iter().take(16).fold(0, |n, byte| n << 8 | u128::from(*byte)))
}

impl Pool {
    /// Waits until the buffers of a chunk of `size` plain bytes fit into the memory limit.
    pub(super) async fn reserve_memory(&self, size: u64) -> Result<OwnedSemaphorePermit> {
        self.acquire_memory(self.memory_to_store(size)).await
    }

    /// What the buffers of a chunk of `size` plain bytes take.
    pub(super) fn memory_to_store(&self, size: u64) -> u64 {
        let r = self.settings.redundancy;
        let row = u64::from(r.shards()) * size.div_ceil(u64::from(r.data)).min(u64::from(MAX_UNIT_BYTES));
        // A short chunk may have more bytes of copies than its share of the code.
        let coded = size.div_ceil(u64::from(r.data)) * u64::from(r.shards());
        let level = self.settings.compression.map(Packer::memory);
        // What passes through plugins is there three times: given, changed and brought back.
        let plugins = self.plugins.changes_data().then_some(6 * FRAME_BYTES as u64);
        let packing = (level.is_some() || plugins.is_some()).then(|| {
            let frames = u64::from(r.data) * u64::from(MAX_UNIT_BYTES) + 2 * FRAME_BYTES as u64;
            frames + level.unwrap_or_default() + plugins.unwrap_or_default()
        });
        let packing = packing.unwrap_or_default();
        coded + row + packing
    }

    /// Waits until so many bytes are free within the memory limit; more than all of it counts as all of it.
    pub(super) async fn acquire_memory(&self, bytes: u64) -> Result<OwnedSemaphorePermit> {
        let kib = u32::try_from(bytes.min(self.settings.memory_bytes) / 1024).unwrap_or(u32::MAX);
        self.blocks.yield_memory(kib);
        let permit = self.memory.clone().acquire_many_owned(kib).await;
        permit.map_err(|_| Error::new(ErrorKind::Internal, "the memory budget is closed"))
    }

    /// Where files of `bytes` together are made: beyond the memory limit, on disk.
    pub(super) fn scratch_for(&self, bytes: u64) -> Scratch {
        if bytes > self.settings.memory_bytes { self.scratch.on_disk() } else { self.scratch.clone() }
    }

    /// Chooses the remotes of a chunk that is about to be read, so that shards for directories of this machine can
    /// be written there at once. `None` where they cannot be chosen yet: a shorter chunk may fit where this does
    /// not, and the put will say what is wrong.
    pub(super) async fn plan_chunk(self: &Arc<Self>, size: u64) -> Option<Planned> {
        let r = self.settings.redundancy;
        let layout = Layout::choose(r.data, r.parity, r.copies, size);
        let sizes: Vec<u64> = (0..layout.shards()).map(|index| layout.shard_size(size, index)).collect();
        let plan = self.placement.plan(self, self.view().await, &layout, &sizes).await.ok()?;
        Some(Planned { sizes, plan })
    }

    /// Puts every copy of every shard on its remote, and on another one where that fails for good.
    ///
    /// # Errors
    /// `Full`, `Unavailable` and their kin when a shard finds no remote; what was put is then an orphan.
    pub(super) async fn put_chunk(
        self: &Arc<Self>,
        coded: Coded,
        planned: Option<Planned>,
        monitor: &Monitor,
    ) -> Result<ChunkRecord> {
        let unique = self.journal.rules().unique_names;
        let chunk = if unique { ChunkId(self.env.random()) } else { named_by_content(&coded.sha256) };
        let sizes: Vec<u64> = coded.shards.iter().map(Body::size).collect();
        let plan = match planned {
            Some(planned) if planned.plan.layout() == coded.layout => {
                planned.plan.shrink(&planned.sizes, &sizes);
                planned.plan
            }
            other => {
                if let Some(planned) = other {
                    planned.release();
                }
                self.placement.plan(self, self.view().await, &coded.layout, &sizes).await?
            }
        };
        let total: u64 = plan.targets().iter().map(|t| sizes[t.index]).sum();
        let mut reported = 0;
        let together = &Together::new(plan.targets().len());
        let puts = plan.targets().into_iter().map(|target| {
            // Rounded down here; what is left is reported at the end.
            let share = sizes[target.index].saturating_mul(coded.size) / total.max(1);
            reported += share;
            let (body, plan) = (&coded.shards[target.index], &plan);
            async move {
                let place = self.put_shard(chunk, target, body, plan, Some(together)).await;
                if place.is_ok() {
                    monitor.progress(share, 0);
                }
                place
            }
        });
        let places = join_all(puts.collect::<Vec<_>>()).await;
        let shards = places.into_iter().collect::<Result<Vec<Place>>>()?;
        monitor.progress(coded.size.saturating_sub(reported), 1);
        Ok(ChunkRecord {
            chunk,
            stamp: Stamp::ZERO,
            size: coded.size,
            stored: coded.stored,
            sha256: Some(coded.sha256),
            compression: coded.compression,
            transforms: coded.transforms,
            layout: coded.layout,
            units: coded.units,
            shards,
        })
    }

    /// Puts one copy of a shard, on another remote where its own fails for good or takes much longer than those
    /// `together` with it.
    ///
    /// # Errors
    /// As [`Pool::put_chunk`].
    pub(super) async fn put_shard(
        &self,
        chunk: ChunkId,
        mut target: Target,
        body: &Body,
        plan: &Plan,
        together: Option<&Together>,
    ) -> Result<Place> {
        loop {
            #[allow(clippy::cast_possible_truncation, reason = "random bits")]
            let nonce = Nonce(if self.journal.rules().unique_names { self.env.random() as u64 } else { 0 });
            let index = u8::try_from(target.index).unwrap_or(u8::MAX);
            let name = self.shard_object(chunk, index, nonce);
            if !self.journal.rules().data_first {
                let (remote, body) = (target.remote, body.clone());
                tokio::spawn(async move { remote.put(&name, &body).await });
                return Ok(Place { index, copy: target.copy, remote: target.id, nonce });
            }
            let put = target.remote.put(&name, body);
            let done = match together {
                Some(together) => together.put(put, || plan.elsewhere(&target, body.size())).await,
                None => Done::Put(put.await),
            };
            match done {
                // Nobody knows whether it is there; its name is in no record.
                Done::Cut(elsewhere) => {
                    tracing::info!("shard {index} of chunk {chunk} is slow on its way to {}", target.remote.label());
                    target = elsewhere;
                }
                Done::Put(Ok(())) => {
                    return Ok(Place { index, copy: target.copy, remote: target.id, nonce });
                }
                Done::Put(Err(error)) => {
                    let what = format!("shard {index} of chunk {chunk} could not be put where it was to lie");
                    self.warn_of(target.id, &error, &what);
                    target = plan.substitute(&target, body.size(), error)?;
                }
            }
        }
    }
}
