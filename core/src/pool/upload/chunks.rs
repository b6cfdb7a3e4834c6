//! A source's bytes, chunk by chunk onto the remotes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::stream::{self, FuturesUnordered, StreamExt, TryStreamExt};
use tokio_util::task::AbortOnDropHandle;

use crate::error::{Error, ErrorKind, Result};
use crate::id::Sha256;
use crate::journal::record::{ChunkRecord, Content, Extent, FileHashes};
use crate::local::{self, Identity};
use crate::monitor::Monitor;
use crate::pool::Pool;
use crate::pool::download::blocking;
use crate::pool::hashes::WholeFile;
use crate::pool::resume::{Interim, resume_text};
use crate::pool::store::{Coded, Coding, Compress, Planned, code};
use crate::redundancy::Redundancy;
use crate::scratch::Scratch;
use crate::stage::chunk::Span;
use crate::stage::compress;
use crate::stage::layout::MAX_UNIT_BYTES;

impl Pool {
    /// Stores the chunks of a file, several at once, each read from its own place.
    pub(super) async fn store_file(
        self: &Arc<Self>,
        file: &Arc<File>,
        identity: &Identity,
        key: &str,
        monitor: &Monitor,
    ) -> Result<(Vec<(ChunkRecord, Sha256)>, u64, FileHashes)> {
        if !self.settings.file_hashes.is_empty() {
            // Hashes of the whole need its bytes in order.
            let reader = Box::new(Section { file: file.clone(), at: 0, end: identity.size });
            let (chunks, hashes) = self.store_stream(reader, monitor).await?;
            return Ok((chunks, 0, hashes));
        }
        let resumable = self.provable(key, identity).await?;
        let (chunk_size, size) = (self.settings.chunk_size, identity.size);
        let interim = Arc::new(Interim::new(self));
        let mut resumed_bytes = 0;
        let mut work = Vec::new();
        for n in 0..identity.size.div_ceil(chunk_size) {
            let resumed = resumable.get(&n).cloned();
            resumed_bytes += resumed.as_ref().map_or(0, |(record, _)| record.size);
            work.push((n, resumed));
        }
        let stored = stream::iter(work)
            .map(|(n, resumed)| {
                let (pool, file, interim) = (self.clone(), file.clone(), interim.clone());
                let (key, monitor) = (key.to_owned(), monitor.clone());
                async move {
                    if let Some((record, sum)) = resumed {
                        monitor.progress(record.size, 1);
                        return Ok((n, (record, sum)));
                    }
                    let task = tokio::spawn(async move {
                        let length = chunk_size.min(size - n * chunk_size);
                        let _memory = pool.reserve_memory(length).await?;
                        monitor.check()?;
                        let section = Section { file, at: n * chunk_size, end: n * chunk_size + length };
                        let (planned, coded) = pool
                            .code_chunk(length, move |pool, staging| {
                                let (r, level) = (pool.settings.redundancy, pool.settings.compression);
                                section.code(r, level, &pool.scratch, staging)
                            })
                            .await?;
                        let Some(coded) = coded else {
                            planned.into_iter().for_each(Planned::release);
                            return Err(Error::new(
                                ErrorKind::SourceChanged,
                                "the file became shorter while it was read",
                            ));
                        };
                        let sum = coded.sha256;
                        let record = pool.put_chunk(coded, planned, &monitor).await?;
                        pool.index.keep_resumable(&key, n, &resume_text(&record, sum)?)?;
                        interim.stored(&pool, &record).await?;
                        Ok((n, (record, sum)))
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
        Ok((stored?.into_values().collect(), resumed_bytes, FileHashes::default()))
    }

    pub(super) async fn store_stream(
        self: &Arc<Self>,
        reader: Box<dyn Read + Send>,
        monitor: &Monitor,
    ) -> Result<(Vec<(ChunkRecord, Sha256)>, FileHashes)> {
        let interim = Arc::new(Interim::new(self));
        let mut input = Input { reader, whole: WholeFile::new(&self.settings.file_hashes) };
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
                    let compress = pool.settings.compression.map_or(Compress::Never, Compress::IfFirst);
                    let mut also = |bytes: &[u8]| whole.update(bytes);
                    let coding = Coding { redundancy, unit: MAX_UNIT_BYTES, compress };
                    let coded = code(reader, chunk_size, coding, scratch, staging, &mut also)?;
                    Ok((coded, input))
                })
                .await?;
            input = back;
            let Some(coded) = coded else {
                planned.into_iter().for_each(Planned::release);
                break;
            };
            let (pool, interim, monitor) = (self.clone(), interim.clone(), monitor.clone());
            puts.push(AbortOnDropHandle::new(tokio::spawn(async move {
                let sum = coded.sha256;
                let record = pool.put_chunk(coded, planned, &monitor).await?;
                drop(memory);
                interim.stored(&pool, &record).await?;
                Ok((n, (record, sum)))
            })));
        }
        while let Some((n, chunk)) = join_one(&mut puts).await? {
            chunks.insert(n, chunk);
        }
        self.scratch.release();
        Ok((chunks.into_values().collect(), input.whole.finish()))
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
    reader: Box<dyn Read + Send>,
    whole: WholeFile,
}

type StoredChunk = (u64, (ChunkRecord, Sha256));

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
    /// Codes it as one chunk, compressed at `level` where that is worth it.
    ///
    /// # Errors
    /// As [`code`].
    pub fn code(
        &self,
        redundancy: Redundancy,
        level: Option<u8>,
        scratch: &Scratch,
        staging: &[Option<PathBuf>],
    ) -> Result<Option<Coded>> {
        let code = |compress| {
            let (mut from, length) = (self.clone(), self.end - self.at);
            code(
                &mut from,
                length,
                Coding { redundancy, unit: MAX_UNIT_BYTES, compress },
                scratch,
                staging,
                &mut |_| (),
            )
        };
        match level {
            Some(level) if self.pays()? => match code(Compress::Always(level))? {
                Some(coded) if coded.is_vain() => code(Compress::Never),
                coded => Ok(coded),
            },
            _ => code(Compress::Never),
        }
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

pub(super) fn file_content(chunks: &[(ChunkRecord, Sha256)], chunk_size: u64, hashes: FileHashes) -> Content {
    let mut offset = 0;
    let mut extents = Vec::with_capacity(chunks.len());
    for (record, sha256) in chunks {
        let (length, chunk) = (record.size, record.chunk);
        extents.push(Extent { offset, length, sha256: *sha256, chunk, chunk_offset: 0 });
        offset += length;
    }
    Content::File { size: offset, chunk_size, extents, hashes }
}
