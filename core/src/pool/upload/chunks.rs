//! A source's bytes, chunk by chunk onto the remotes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::stream::{FuturesUnordered, StreamExt, TryStreamExt};
use tokio_util::task::AbortOnDropHandle;

use super::UploadOptions;
use super::cut::Cut;
use crate::error::{Error, ErrorKind, Result};
use crate::id::Sha256;
use crate::journal::record::{Content, Extent, FileHashes};
use crate::local::blocking;
use crate::local::{self, Identity};
use crate::monitor::Monitor;
use crate::pool::Pool;
use crate::pool::duplicates::{Lookup, Piece};
use crate::pool::hashes::WholeFile;
use crate::pool::resume::{Interim, resume_text};
use crate::pool::store::{Coded, Coding, Compress, Planned, Recipe, code};
use crate::redundancy::Redundancy;
use crate::scratch::Scratch;
use crate::stage::chunk::Span;
use crate::stage::compress;
use crate::stage::hash::Hasher;
use crate::stage::layout::MAX_UNIT_BYTES;

/// How much is read at a time only to be hashed.
const HASHED_BYTES: usize = 256 << 10;

/// What a file's content came to.
pub(super) struct StoredFile {
    pub pieces: Vec<Piece>,
    pub resumed_bytes: u64,
    pub hashes: FileHashes,
}

impl Pool {
    /// Stores the chunks of a file, several at once, each read from its own place.
    pub(super) async fn store_file(
        self: &Arc<Self>,
        file: &Arc<File>,
        identity: &Identity,
        key: &str,
        options: &UploadOptions,
        monitor: &Monitor,
    ) -> Result<StoredFile> {
        let force = options.force;
        if !self.wanted_hashes(options).is_empty() {
            // Hashes of the whole need its bytes in order.
            let reader = Box::new(Section { file: file.clone(), at: 0, end: identity.size });
            return self.store_stream(reader, options, monitor).await;
        }
        let lookup = self.lookup(Some(identity.size), force)?;
        let resumable = Arc::new(self.provable(key).await?);
        let interim = Arc::new(Interim::new(self));
        let resumed_bytes = Arc::new(AtomicU64::new(0));
        let stored = self
            .spans(file, identity.size)?
            .enumerate()
            .map(|(n, span)| {
                let (pool, file, interim, lookup) = (self.clone(), file.clone(), interim.clone(), lookup.clone());
                let (resumable, resumed_bytes) = (resumable.clone(), resumed_bytes.clone());
                let (key, monitor, n) = (key.to_owned(), monitor.clone(), n as u64);
                async move {
                    let Span { offset, length } = span?;
                    if let Some((record, sum)) = resumable.get(&n).filter(|(record, _)| record.size == length) {
                        monitor.progress(length, 1);
                        resumed_bytes.fetch_add(length, Ordering::Relaxed);
                        return Ok((n, Piece::stored(record.clone(), *sum)));
                    }
                    let task = tokio::spawn(async move {
                        let section = Section { file, at: offset, end: offset + length };
                        let piece = pool.store_section(section, lookup.as_deref(), &monitor).await?;
                        if let Some(record) = &piece.record {
                            pool.index.keep_resumable(&key, n, &resume_text(record, piece.sha256)?)?;
                        }
                        interim.stored(&pool, &piece).await?;
                        Ok((n, piece))
                    });
                    AbortOnDropHandle::new(task)
                        .await
                        .unwrap_or_else(|e| Err(Error::new(ErrorKind::Internal, e.to_string())))
                }
            })
            // A slow chunk keeps nobody from beginning another.
            .buffer_unordered(self.settings.upload_workers)
            .try_collect::<BTreeMap<_, _>>()
            .await;
        self.scratch.release();
        let (pieces, resumed_bytes) = (stored?.into_values().collect(), resumed_bytes.load(Ordering::Relaxed));
        Ok(StoredFile { pieces, resumed_bytes, hashes: FileHashes::default() })
    }

    /// Stores a part of a file as one chunk, unless it is stored already.
    async fn store_section(
        self: &Arc<Self>,
        section: Section,
        lookup: Option<&Lookup>,
        monitor: &Monitor,
    ) -> Result<Piece> {
        monitor.check()?;
        if let Some(lookup) = lookup
            && let Some(piece) = self.find_section(section.clone(), lookup).await?
        {
            monitor.progress(piece.length, 1);
            return Ok(piece);
        }
        let length = section.end - section.at;
        let _memory = self.reserve_memory(length).await?;
        monitor.check()?;
        let (planned, coded) = self
            .code_chunk(length, move |pool, staging| {
                section.code(pool.settings.redundancy, &pool.recipe()?, &pool.scratch, staging)
            })
            .await?;
        let Some(coded) = coded else {
            planned.into_iter().for_each(Planned::release);
            return Err(Error::new(ErrorKind::SourceChanged, "the file became shorter while it was read"));
        };
        self.put_once(coded, planned, lookup, monitor).await
    }

    pub(super) async fn store_stream(
        self: &Arc<Self>,
        reader: Box<dyn Read + Send>,
        options: &UploadOptions,
        monitor: &Monitor,
    ) -> Result<StoredFile> {
        let lookup = self.lookup(None, options.force)?;
        let interim = Arc::new(Interim::new(self));
        let mut input = Input { reader: self.cut(reader)?, whole: WholeFile::new(&self.wanted_hashes(options)) };
        let chunk_size = self.settings.chunk_size;
        let mut chunks = BTreeMap::new();
        // Reading goes on in order while earlier chunks are on their way.
        let mut puts = FuturesUnordered::new();
        for n in 0u64.. {
            if puts.len() >= self.settings.upload_workers {
                chunks.extend(join_one(&mut puts).await?);
            }
            let memory = self.reserve_memory(chunk_size).await?;
            monitor.check()?;
            let (planned, (coded, back)) = self
                .code_chunk(chunk_size, move |pool, staging| {
                    let Input { reader, whole } = &mut input;
                    let (redundancy, scratch) = (pool.settings.redundancy, &pool.scratch);
                    let recipe = pool.recipe()?;
                    let mut also = |bytes: &[u8]| whole.update(bytes);
                    let compress = recipe.compress();
                    let coding = Coding { redundancy, unit: MAX_UNIT_BYTES, compress, transforms: recipe.transforms };
                    reader.begin_chunk()?;
                    let coded = code(reader, chunk_size, coding, scratch, staging, &mut also)?;
                    Ok((coded, input))
                })
                .await?;
            input = back;
            let Some(coded) = coded else {
                planned.into_iter().for_each(Planned::release);
                break;
            };
            let (pool, interim, lookup, monitor) = (self.clone(), interim.clone(), lookup.clone(), monitor.clone());
            puts.push(AbortOnDropHandle::new(tokio::spawn(async move {
                let piece = pool.put_once(coded, planned, lookup.as_deref(), &monitor).await?;
                drop(memory);
                interim.stored(&pool, &piece).await?;
                Ok((n, piece))
            })));
        }
        while let Some((n, chunk)) = join_one(&mut puts).await? {
            chunks.insert(n, chunk);
        }
        self.scratch.release();
        let hashes = input.whole.finish();
        hashes.check(&options.expect)?;
        Ok(StoredFile { pieces: chunks.into_values().collect(), resumed_bytes: 0, hashes })
    }

    /// Chooses the remotes of a chunk and runs its coding off the async threads.
    async fn code_chunk<T: Send + 'static>(
        self: &Arc<Self>,
        size: u64,
        work: impl FnOnce(&Self, &[Option<PathBuf>]) -> Result<T> + Send + 'static,
    ) -> Result<(Option<Planned>, T)> {
        let planned = self.plan_chunk(size).await;
        let (pool, staging) = (self.clone(), planned.as_ref().map(Planned::staging).unwrap_or_default());
        match blocking(move || work(&pool, &staging)).await {
            Ok(done) => Ok((planned, done)),
            Err(error) => {
                planned.into_iter().for_each(Planned::release);
                Err(error)
            }
        }
    }
}

/// A stream and the digests of what was read of it.
struct Input {
    reader: Cut,
    whole: WholeFile,
}

type StoredChunk = (u64, Piece);

async fn join_one(puts: &mut FuturesUnordered<AbortOnDropHandle<Result<StoredChunk>>>) -> Result<Option<StoredChunk>> {
    match puts.next().await {
        Some(put) => put.unwrap_or_else(|e| Err(Error::new(ErrorKind::Internal, e.to_string()))).map(Some),
        None => Ok(None),
    }
}

/// A part of a file, read by position.
#[derive(Clone)]
pub(in crate::pool) struct Section {
    pub file: Arc<File>,
    pub at: u64,
    pub end: u64,
}

impl Section {
    /// Codes it as one chunk, by `recipe`, compressed where that is worth it.
    ///
    /// # Errors
    /// As [`code`].
    pub fn code(
        &self,
        redundancy: Redundancy,
        recipe: &Recipe,
        scratch: &Scratch,
        staging: &[Option<PathBuf>],
    ) -> Result<Option<Coded>> {
        let code = |compress| {
            let (mut from, length) = (self.clone(), self.end - self.at);
            let coding = Coding { redundancy, unit: MAX_UNIT_BYTES, compress, transforms: recipe.transforms.clone() };
            code(&mut from, length, coding, scratch, staging, &mut |_| ())
        };
        match recipe.level {
            Some(level) if self.pays()? => match code(Compress::Always(level))? {
                Some(coded) if coded.is_vain() => code(Compress::Never),
                coded => Ok(coded),
            },
            _ => code(Compress::Never),
        }
    }

    /// The SHA-256 of its bytes.
    ///
    /// # Errors
    /// `SourceChanged` when the file ends before it, and those of reading.
    pub fn sha256(mut self) -> Result<Sha256> {
        let (mut hasher, mut buffer) = (Hasher::new(), vec![0; HASHED_BYTES]);
        while self.at < self.end {
            match self.read(&mut buffer).map_err(|e| Error::io("cannot read the source", e))? {
                0 => return Err(Error::new(ErrorKind::SourceChanged, "the file became shorter while it was read")),
                read => hasher.update(&buffer[..read]),
            }
        }
        Ok(hasher.finish())
    }

    /// Whether it is worth compressing, from a few places of it.
    fn pays(&self) -> Result<bool> {
        let mut sample = Vec::new();
        for Span { offset, length } in compress::sample_spans(self.end - self.at) {
            let at = self.at + offset;
            let mut place = Self { file: self.file.clone(), at, end: at + length };
            place.read_to_end(&mut sample).map_err(|e| Error::io("cannot read the source", e))?;
        }
        compress::pays(&sample)
    }
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX).min(buffer.len());
        let read = local::read_at(&self.file, self.at, &mut buffer[..left])?;
        self.at += read as u64;
        Ok(read)
    }
}

pub(super) fn file_content(pieces: &[Piece], chunk_size: u64, hashes: FileHashes) -> Content {
    let mut offset = 0;
    let mut extents = Vec::with_capacity(pieces.len());
    for Piece { length, sha256, chunk, chunk_offset, .. } in pieces {
        let (length, sha256, chunk, chunk_offset) = (*length, *sha256, *chunk, *chunk_offset);
        extents.push(Extent { offset, length, sha256, chunk, chunk_offset });
        offset += length;
    }
    Content::File { size: offset, chunk_size, extents, hashes }
}
