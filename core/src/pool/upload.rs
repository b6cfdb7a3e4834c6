//! Files into the pool.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, FuturesUnordered, StreamExt, TryStreamExt};
use tokio_util::task::AbortOnDropHandle;

use super::Pool;
use super::download::blocking;
use super::resume::{Interim, resume_text};
use super::store::{Planned, code};
use crate::error::{Error, ErrorKind, Result};
use crate::id::Sha256;
use crate::index::Mark;
use crate::journal::record::{ChunkRecord, Content, Entry, Extent, FileHashes, INLINE_BYTES_MAX, Record};
use crate::local::{self, Identity};
use crate::monitor::{Event, FileAction, Monitor};
use crate::path::PoolPath;
use crate::stage::hash::{Hasher, sha256};

/// How often an upload stores anew what another machine began to delete meanwhile.
pub(super) const MARKED_TRIES: usize = 5;

/// What to upload.
pub enum Source {
    /// A local file.
    File(PathBuf),
    /// A stream of unknown length, read once.
    Stream(Box<dyn Read + Send>),
    /// Bytes in memory.
    Bytes(Bytes),
}

/// How to upload.
#[derive(Debug, Clone, Default)]
pub struct UploadOptions {
    /// Upload even what is there already.
    pub force: bool,
    /// Compare content by its hashes even where size and modification time agree.
    pub checksum: bool,
    /// Modification time to record, in nanoseconds since 1970, instead of the source's.
    pub mtime_ns: Option<i64>,
    /// MIME type to record.
    pub content_type: Option<String>,
    /// Which files of a directory.
    pub filter: super::Filter,
    /// What to do with symbolic links in a directory.
    pub links: super::LinkPolicy,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
}

/// What an upload did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct UploadReport {
    /// Files stored.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were there already.
    pub unchanged: u64,
    /// Bytes an interrupted upload had stored before.
    pub resumed_bytes: u64,
    /// Symbolic links and special files left out.
    pub skipped: u64,
    /// Files that failed.
    pub failed: u64,
    /// Acknowledged without a view, or by fewer remotes than the rule asks for.
    pub stale: bool,
    /// Whether a file failed for want of space.
    #[serde(skip)]
    pub full: bool,
}

/// A file whose data is stored, ready to be committed.
pub(super) struct Prepared {
    pub records: Vec<Record>,
    pub path: PoolPath,
    pub size: u64,
    pub action: FileAction,
    pub resumed_bytes: u64,
    /// Where the index keeps what was stored, until the commit.
    pub resume_key: Option<String>,
    /// The local file it was read from.
    pub local: Option<PathBuf>,
}

impl Prepared {
    pub fn new(path: PoolPath, size: u64) -> Self {
        let (records, action, local) = (Vec::new(), FileAction::Uploaded, None);
        Self { records, path, size, action, resumed_bytes: 0, resume_key: None, local }
    }
}

impl Pool {
    /// Stores one file at `path`.
    ///
    /// Where the remotes are full, the trash is emptied for it, oldest first; what that frees is there for a later
    /// attempt.
    ///
    /// # Errors
    /// `SourceChanged` when the file changed while it was read; `AlreadyExists` when `path` is a
    /// directory; `Full`, `Unavailable` and their kin from the remotes. Nothing is then visible at `path`;
    /// what was stored is used by the next attempt.
    pub async fn upload(
        self: &Arc<Self>,
        source: Source,
        path: &PoolPath,
        options: &UploadOptions,
        monitor: &Monitor,
    ) -> Result<UploadReport> {
        match self.upload_once(source, path, options, monitor).await {
            Err(error) if error.kind() == ErrorKind::Full => Err(self.make_room(error, monitor).await),
            done => done,
        }
    }

    async fn upload_once(
        self: &Arc<Self>,
        source: Source,
        path: &PoolPath,
        options: &UploadOptions,
        monitor: &Monitor,
    ) -> Result<UploadReport> {
        let _storing = self.lock_storing().await?;
        let view = self.view_for_writing().await?;
        self.check_file_target(path)?;
        let mut source = Some(source);
        let (mut epoch, mut options) = (view.epoch(), options.clone());
        for _ in 0..MARKED_TRIES {
            let prepared = match source.take() {
                Some(Source::File(file)) => {
                    let prepared = monitor.run(self.prepare_file(&file, path, &options, monitor, true)).await?;
                    source = Some(Source::File(file));
                    prepared
                }
                Some(Source::Bytes(bytes)) => {
                    let reader = Box::new(std::io::Cursor::new(bytes.clone()));
                    let prepared = monitor.run(self.prepare_stream(reader, path, &options, monitor)).await?;
                    source = Some(Source::Bytes(bytes));
                    prepared
                }
                Some(Source::Stream(reader)) => {
                    monitor.run(self.prepare_stream(reader, path, &options, monitor)).await?
                }
                None => {
                    return Err(Error::new(
                        ErrorKind::Busy,
                        "data this upload stored is being deleted, or went astray",
                    )
                    .at_path(path)
                    .hint("repeat the upload"));
                }
            };
            let mut report = UploadReport::default();
            report.count(&prepared);
            if options.dry_run || prepared.records.is_empty() {
                report.stale = !view.complete;
                monitor.event(&Event::File { path: path.clone(), size: prepared.size, action: prepared.action });
                return Ok(report);
            }
            let whole = prepared.action != FileAction::Unchanged || self.complete().await?;
            let receipt = self.commit_data(&*self.view().await, epoch, prepared.records.clone()).await?;
            epoch = receipt.view.epoch();
            self.keep_view(receipt.view).await;
            if !receipt.marked.is_empty() {
                self.forget_marked(&prepared, &receipt.marked)?;
                // What this try left behind is not there already.
                options.force = true;
                continue;
            }
            if let Some(key) = &prepared.resume_key {
                self.index.forget_resumable(key)?;
            }
            report.stale = receipt.stale || !whole;
            monitor.event(&Event::File { path: path.clone(), size: prepared.size, action: prepared.action });
            return Ok(report);
        }
        Err(Error::new(ErrorKind::Busy, "what this upload stores keeps being deleted, or going astray").at_path(path))
    }

    /// What is marked must not be resumed from.
    pub(super) fn forget_marked(&self, prepared: &Prepared, marked: &BTreeMap<crate::id::ChunkId, Mark>) -> Result<()> {
        let touched = |record: &Record| matches!(record, Record::Chunk(chunk) if marked.contains_key(&chunk.chunk));
        match &prepared.resume_key {
            Some(key) if prepared.records.iter().any(touched) => self.index.forget_resumable(key),
            _ => Ok(()),
        }
    }

    /// Stores a local file's data.
    pub(super) async fn prepare_file(
        self: &Arc<Self>,
        file: &std::path::Path,
        path: &PoolPath,
        options: &UploadOptions,
        monitor: &Monitor,
        alone: bool,
    ) -> Result<Prepared> {
        let at = |e| Error::io("cannot read", e).at_path(file.display());
        let handle = Arc::new(File::open(file).map_err(at)?);
        let metadata = handle.metadata().map_err(at)?;
        if !metadata.is_file() {
            return Err(Error::new(ErrorKind::InvalidArgument, "is not a regular file").at_path(file.display()));
        }
        let before = Identity::of(&metadata);
        if alone {
            let chunks = before.size.div_ceil(self.settings.chunk_size).max(1);
            monitor.event(&Event::Total { bytes: before.size, items: chunks });
        }
        let mtime_ns = options.mtime_ns.unwrap_or(before.mtime_ns);
        let entry = |content| Entry {
            content_type: options.content_type.clone(),
            ..self.new_entry(path, mtime_ns, before.executable, content)
        };
        let mut prepared = Prepared { local: Some(file.to_owned()), ..Prepared::new(path.clone(), before.size) };
        if let Some(existing) = self.unchanged(path, &handle, &before, mtime_ns, options).await? {
            prepared.action = FileAction::Unchanged;
            let same = existing.mtime_ns == mtime_ns && self.journal.is_safe(&*self.view().await, path)?;
            if !same && !options.dry_run {
                // A new time, or a version that might be lost: the extents are used again.
                prepared.records.push(Record::Entry(entry(existing.content)));
            }
            monitor.progress(before.size, 1);
            return Ok(prepared);
        }
        if options.dry_run {
            return Ok(prepared);
        }
        let content = if before.size <= INLINE_BYTES_MAX {
            let mut data = vec![0; usize::try_from(before.size).unwrap_or(0)];
            let read = local::read_at(&handle, 0, &mut data).map_err(at)?;
            data.truncate(read);
            monitor.progress(before.size, 1);
            Content::Inline { sha256: sha256(&data), data }
        } else {
            let key = self.resume_key(file, &before);
            let (chunks, resumed, hashes) = self.store_file(&handle, &before, &key, monitor).await?;
            prepared.resumed_bytes = resumed;
            prepared.resume_key = Some(key);
            let content = file_content(&chunks, self.settings.chunk_size, hashes);
            prepared.records.extend(chunks.into_iter().map(|(record, _)| Record::Chunk(record)));
            content
        };
        let after = std::fs::metadata(file).map_err(at)?;
        if Identity::of(&after) != before || content.size() != before.size {
            if let Some(key) = &prepared.resume_key {
                self.index.forget_resumable(key)?;
            }
            return Err(Error::new(ErrorKind::SourceChanged, "the file changed while it was read; it was not stored")
                .at_path(file.display())
                .hint("repeat the upload when nothing writes to it"));
        }
        prepared.records.push(Record::Entry(entry(content)));
        Ok(prepared)
    }

    /// The version that is there already, when the file has the same content.
    async fn unchanged(
        &self,
        path: &PoolPath,
        file: &Arc<File>,
        identity: &Identity,
        mtime_ns: i64,
        options: &UploadOptions,
    ) -> Result<Option<Entry>> {
        if options.force || !(self.settings.duplicate_detection || options.checksum) {
            return Ok(None);
        }
        let same_size = |e: &Entry| {
            matches!(e.content, Content::File { .. } | Content::Inline { .. }) && e.content.size() == identity.size
        };
        let Some(existing) = self.index.entry(path)?.filter(same_size) else { return Ok(None) };
        // Data that is being deleted is not stored.
        let marks = self.index.marks(existing.content.extents().iter().map(|extent| extent.chunk))?;
        if existing.executable != identity.executable || !marks.is_empty() {
            return Ok(None);
        }
        if existing.mtime_ns == mtime_ns && !options.checksum {
            return Ok(Some(existing));
        }
        let (file, content) = (file.clone(), existing.content.clone());
        let same = blocking(move || is_same_content(&file, &content)).await?;
        Ok(same.then_some(existing))
    }

    /// Stores the chunks of a file, several at once, each read from its own place.
    async fn store_file(
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
                        let mut section = Section { file, at: n * chunk_size, end: n * chunk_size + length };
                        let (planned, coded) = pool
                            .code_chunk(length, move |pool, staging| {
                                let r = pool.settings.redundancy;
                                code(&mut section, length, r, &pool.scratch, staging, &mut |_| ())
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

    /// Stores what a stream gives, reading one chunk while earlier ones are on their way.
    pub(super) async fn prepare_stream(
        self: &Arc<Self>,
        mut reader: Box<dyn Read + Send>,
        path: &PoolPath,
        options: &UploadOptions,
        monitor: &Monitor,
    ) -> Result<Prepared> {
        let (head, reader) = blocking(move || {
            let mut head = Vec::new();
            let limit = INLINE_BYTES_MAX + 1;
            (&mut reader).take(limit).read_to_end(&mut head).map_err(|e| Error::io("cannot read the source", e))?;
            Ok((head, reader))
        })
        .await?;
        let mut records = Vec::new();
        let content = if head.len() as u64 <= INLINE_BYTES_MAX {
            monitor.progress(head.len() as u64, 1);
            Content::Inline { sha256: sha256(&head), data: head }
        } else {
            let whole = Box::new(std::io::Cursor::new(head).chain(reader));
            let (chunks, hashes) = self.store_stream(whole, monitor).await?;
            let content = file_content(&chunks, self.settings.chunk_size, hashes);
            records.extend(chunks.into_iter().map(|(record, _)| Record::Chunk(record)));
            content
        };
        let size = content.size();
        let mtime_ns = options.mtime_ns.unwrap_or_else(|| self.now_ns());
        let entry = self.new_entry(path, mtime_ns, false, content);
        records.push(Record::Entry(Entry { content_type: options.content_type.clone(), ..entry }));
        Ok(Prepared { records, ..Prepared::new(path.clone(), size) })
    }

    async fn store_stream(
        self: &Arc<Self>,
        reader: Box<dyn Read + Send>,
        monitor: &Monitor,
    ) -> Result<(Vec<(ChunkRecord, Sha256)>, FileHashes)> {
        let interim = Arc::new(Interim::new(self));
        let mut input = Input { reader, whole: super::hashes::WholeFile::new(&self.settings.file_hashes) };
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
                    let (r, scratch) = (pool.settings.redundancy, &pool.scratch);
                    let coded = code(reader, chunk_size, r, scratch, staging, &mut |bytes| whole.update(bytes))?;
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
    whole: super::hashes::WholeFile,
}

type StoredChunk = (u64, (ChunkRecord, Sha256));

async fn join_one(puts: &mut FuturesUnordered<AbortOnDropHandle<Result<StoredChunk>>>) -> Result<Option<StoredChunk>> {
    match puts.next().await {
        Some(put) => put.unwrap_or_else(|e| Err(Error::new(ErrorKind::Internal, e.to_string()))).map(Some),
        None => Ok(None),
    }
}

impl UploadReport {
    pub(super) fn fail(&mut self, monitor: &Monitor, path: String, error: &Error) {
        self.failed += 1;
        self.full |= error.kind() == ErrorKind::Full;
        monitor.event(&Event::FileFailed { path, error: error.to_string() });
    }

    pub(super) fn count(&mut self, prepared: &Prepared) {
        match prepared.action {
            FileAction::Unchanged => self.unchanged += 1,
            _ => {
                self.files += 1;
                self.bytes += prepared.size;
                self.resumed_bytes += prepared.resumed_bytes;
            }
        }
    }
}

/// A part of a file, read by position.
struct Section {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX).min(buffer.len());
        let read = local::read_at(&self.file, self.at, &mut buffer[..left])?;
        self.at += read as u64;
        Ok(read)
    }
}

fn file_content(chunks: &[(ChunkRecord, Sha256)], chunk_size: u64, hashes: FileHashes) -> Content {
    let mut offset = 0;
    let mut extents = Vec::with_capacity(chunks.len());
    for (record, sha256) in chunks {
        let (length, chunk) = (record.size, record.chunk);
        extents.push(Extent { offset, length, sha256: *sha256, chunk, chunk_offset: 0 });
        offset += length;
    }
    Content::File { size: offset, chunk_size, extents, hashes }
}

/// Compares a file's bytes with a manifest's hashes, up to the first difference.
fn is_same_content(file: &Arc<File>, content: &Content) -> Result<bool> {
    let mut buffer = vec![0; 1 << 20];
    let mut hash = |offset, length| {
        let mut section = Section { file: file.clone(), at: offset, end: offset + length };
        let mut hasher = Hasher::new();
        loop {
            let read = section.read(&mut buffer).map_err(|e| Error::io("cannot read the source", e))?;
            if read == 0 {
                return Ok::<_, Error>(hasher.finish());
            }
            hasher.update(&buffer[..read]);
        }
    };
    match content {
        Content::Inline { sha256, data } => Ok(hash(0, data.len() as u64)? == *sha256),
        Content::File { extents, .. } => {
            for extent in extents {
                if hash(extent.offset, extent.length)? != extent.sha256 {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        _ => Ok(false),
    }
}
