//! Files into the pool.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::Pool;
use super::duplicates::{Flight, Piece};
use crate::config::FileHash;
use crate::error::{Error, ErrorKind, Result};
use crate::index::Mark;
use crate::journal::record::{Content, Entry, FileHashes, Property, Record};
use crate::local::blocking;
use crate::local::{self, Identity};
use crate::monitor::{Event, FileAction, Monitor};
use crate::path::PoolPath;
use crate::plugin::{Hook, of_file};
use crate::stage::hash::{Hasher, sha256};

mod chunks;
mod cut;
mod pack;

pub(in crate::pool) use chunks::Section;
use chunks::file_content;
pub(super) use pack::{Held, PACK_BYTES};

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
    /// WebDAV properties to record.
    pub properties: Vec<Property>,
    /// Digests that the bytes must have; they are kept with the file.
    pub expect: FileHashes,
    /// Digests to keep beside these and those that `file_hashes` names.
    pub hashes: Vec<FileHash>,
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
    /// Bytes that were in the pool already, or came twice.
    pub deduplicated_bytes: u64,
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

/// A file to store, from what can be read again.
#[derive(Clone)]
pub(super) struct Order {
    pub data: Data,
    pub path: PoolPath,
    pub options: Arc<UploadOptions>,
    pub monitor: Monitor,
    /// Whether a try before this one left something at the path that does not count.
    pub again: bool,
}

/// Where a file's bytes come from.
#[derive(Clone)]
pub(super) enum Data {
    File(PathBuf),
    Bytes(Bytes),
}

/// A file after a look at it.
pub(super) enum Examined {
    /// All is done but the commit.
    Ready(Box<Prepared>),
    /// It will share a chunk with others.
    Small(Small),
}

impl From<Prepared> for Examined {
    fn from(prepared: Prepared) -> Self {
        Self::Ready(Box::new(prepared))
    }
}

/// A file whose bytes are to share a chunk with others.
pub(super) struct Small {
    pub order: Order,
    pub size: u64,
    pub mtime_ns: i64,
    pub executable: bool,
    pub held: Held,
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
    /// How to store it once more.
    pub again: Option<Order>,
    /// Whether it refers to what the journal has already.
    pub reuses: bool,
    /// Bytes that somebody else stored.
    pub deduplicated_bytes: u64,
    /// Lets others find what it stored, until it is committed.
    pub flights: Vec<Arc<Flight>>,
}

impl Prepared {
    pub fn new(path: PoolPath, size: u64) -> Self {
        let (records, action, again) = (Vec::new(), FileAction::Uploaded, None);
        let (resumed_bytes, resume_key, reuses, deduplicated_bytes) = (0, None, false, 0);
        let flights = Vec::new();
        Self { records, path, size, action, resumed_bytes, resume_key, again, reuses, deduplicated_bytes, flights }
    }

    /// Takes what its pieces bring, each chunk's record once.
    fn consist_of(&mut self, pieces: Vec<Piece>) {
        let mut brought = BTreeSet::new();
        for piece in pieces {
            self.reuses |= piece.record.is_none();
            self.deduplicated_bytes += if piece.is_duplicate { piece.length } else { 0 };
            self.flights.extend(piece.flight);
            self.records.extend(piece.record.filter(|record| brought.insert(record.chunk)).map(Record::Chunk));
        }
    }

    /// The epoch of the view by which its data was stored, at the latest `epoch`.
    pub fn epoch(&self, epoch: u64) -> u64 {
        self.flights.iter().filter_map(|flight| flight.epoch()).fold(epoch, u64::min)
    }
}

impl Pool {
    /// Stores one file at `path`.
    ///
    /// Small files that are uploaded at the same time share chunks and commits: one of them waits while others are
    /// on their way, and some milliseconds more for those that come together.
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
        let told = if options.dry_run { monitor.clone() } else { self.told(monitor) };
        let monitor = &told;
        let small = if options.dry_run { Err(source) } else { self.small(source).await? };
        let uploaded = match small {
            Ok((data, head)) => {
                let order = Order {
                    data,
                    path: path.clone(),
                    options: Arc::new(options.clone()),
                    monitor: monitor.clone(),
                    again: false,
                };
                self.upload_together(order, head).await
            }
            Err(source) => self.upload_once(source, path, options, monitor).await,
        };
        match uploaded {
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
        let mut epoch = view.epoch();
        for n in 0..MARKED_TRIES {
            let prepared = match source.take() {
                Some(Source::File(file)) => {
                    let bytes = file.metadata().map_or(0, |metadata| metadata.len());
                    monitor.event(&Event::Total { bytes, items: self.chunks_of(bytes) });
                    let order = Order {
                        data: Data::File(file.clone()),
                        path: path.clone(),
                        options: Arc::new(options.clone()),
                        monitor: monitor.clone(),
                        // What the try before left behind is not there already.
                        again: n > 0,
                    };
                    let prepared = monitor.run(self.prepare(order)).await?;
                    source = Some(Source::File(file));
                    prepared
                }
                Some(Source::Bytes(bytes)) => {
                    if n == 0 {
                        self.before_storing(path, Some(bytes.len() as u64)).await?;
                    }
                    let reader = Box::new(std::io::Cursor::new(bytes.clone()));
                    let prepared = monitor.run(self.prepare_stream(reader, path, options, monitor)).await?;
                    source = Some(Source::Bytes(bytes));
                    prepared
                }
                Some(Source::Stream(reader)) => {
                    self.before_storing(path, None).await?;
                    monitor.run(self.prepare_stream(reader, path, options, monitor)).await?
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
            let whole = !prepared.reuses || self.complete().await?;
            let stored = prepared.epoch(epoch);
            let receipt = self.commit_data(&*self.view().await, stored, prepared.records.clone()).await?;
            epoch = receipt.view.epoch();
            self.keep_view(receipt.view).await;
            if !receipt.marked.is_empty() {
                self.forget_marked(&prepared, &receipt.marked)?;
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

    /// Stores one file's data.
    async fn prepare(self: &Arc<Self>, order: Order) -> Result<Prepared> {
        match self.examine(&order).await? {
            Examined::Ready(prepared) => Ok(*prepared),
            Examined::Small(small) => {
                let stored = self.clone().store_pack(vec![small], None).await.pop();
                stored.map_or_else(|| Err(Error::new(ErrorKind::Internal, "nothing was stored")), |(_, done)| done)
            }
        }
    }

    /// Looks at a file, and stores its data unless it is to share a chunk.
    async fn examine(self: &Arc<Self>, order: &Order) -> Result<Examined> {
        self.check_file_target(&order.path)?;
        match &order.data {
            Data::File(file) => self.examine_file(file, order).await,
            Data::Bytes(bytes) => {
                self.before_upload(order, bytes.len() as u64).await?;
                self.examine_bytes(bytes, order)
            }
        }
    }

    /// Asks event handlers, once for each file.
    async fn before_upload(&self, order: &Order, size: u64) -> Result<()> {
        if order.again { Ok(()) } else { self.before_storing(&order.path, Some(size)).await }
    }

    async fn before_storing(&self, path: &PoolPath, size: Option<u64>) -> Result<()> {
        let asked = self.plugins.before(Hook::PreUpload, || of_file(path, size)).await;
        asked.map_err(|e| e.at_path(path))
    }

    fn examine_bytes(&self, bytes: &Bytes, order: &Order) -> Result<Examined> {
        let mtime_ns = order.options.mtime_ns.unwrap_or_else(|| self.now_ns());
        let size = bytes.len() as u64;
        if size > self.inline_bytes() {
            let (order, held) = (order.clone(), Held::Bytes(bytes.clone()));
            return Ok(Examined::Small(Small { order, size, mtime_ns, executable: false, held }));
        }
        let content = order.options.inline(bytes)?;
        order.monitor.progress(size, 1);
        let entry = order.options.noted(self.new_entry(&order.path, mtime_ns, false, content));
        Ok(Prepared { records: vec![Record::Entry(entry)], ..Prepared::new(order.path.clone(), size) }.into())
    }

    async fn examine_file(self: &Arc<Self>, file: &Path, order: &Order) -> Result<Examined> {
        let Order { path, options, monitor, .. } = order;
        let at = |e| Error::io("cannot read", e).at_path(file.display());
        let handle = Arc::new(File::open(file).map_err(at)?);
        let metadata = handle.metadata().map_err(at)?;
        if !metadata.is_file() {
            return Err(Error::new(ErrorKind::InvalidArgument, "is not a regular file").at_path(file.display()));
        }
        let before = Identity::of(&metadata);
        let mtime_ns = options.mtime_ns.unwrap_or(before.mtime_ns);
        let entry = |content| options.noted(self.new_entry(path, mtime_ns, before.executable, content));
        let mut prepared = Prepared { again: Some(order.clone()), ..Prepared::new(path.clone(), before.size) };
        if let Some(existing) = self.unchanged(order, &handle, &before, mtime_ns).await? {
            prepared.action = FileAction::Unchanged;
            let same = existing.mtime_ns == mtime_ns && self.journal.is_safe(&*self.view().await, path)?;
            if !same && !options.dry_run {
                // A new time, or a version that might be lost: the extents are used again.
                prepared.reuses = true;
                prepared.records.push(Record::Entry(entry(existing.content)));
            }
            monitor.progress(before.size, 1);
            return Ok(prepared.into());
        }
        if options.dry_run {
            return Ok(prepared.into());
        }
        self.before_upload(order, before.size).await?;
        if (self.inline_bytes() + 1..=self.small_bytes()).contains(&before.size) {
            let (order, size, executable) = (order.clone(), before.size, before.executable);
            let held = Held::File(file.to_owned(), before);
            return Ok(Examined::Small(Small { order, size, mtime_ns, executable, held }));
        }
        let content = if before.size <= self.inline_bytes() {
            let mut data = vec![0; usize::try_from(before.size).unwrap_or(0)];
            let read = local::read_at(&handle, 0, &mut data).map_err(at)?;
            data.truncate(read);
            monitor.progress(before.size, 1);
            options.inline(&data)?
        } else {
            let key = self.resume_key(file, &before);
            let stored = self.store_file(&handle, &before, &key, options, monitor).await?;
            prepared.resumed_bytes = stored.resumed_bytes;
            prepared.resume_key = Some(key);
            let content = file_content(&stored.pieces, self.settings.chunk_size, stored.hashes);
            prepared.consist_of(stored.pieces);
            content
        };
        let after = std::fs::metadata(file).map_err(at)?;
        if Identity::of(&after) != before || content.size() != before.size {
            if let Some(key) = &prepared.resume_key {
                self.index.forget_resumable(key)?;
            }
            return Err(changed(file));
        }
        prepared.records.push(Record::Entry(entry(content)));
        Ok(prepared.into())
    }

    /// The version that is there already, when the file has the same content.
    async fn unchanged(
        &self,
        order: &Order,
        file: &Arc<File>,
        identity: &Identity,
        mtime_ns: i64,
    ) -> Result<Option<Entry>> {
        let Order { path, options, .. } = order;
        if options.force
            || order.again
            || !options.expect.is_empty()
            || !(self.settings.duplicate_detection || options.checksum)
        {
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

    /// Stores what a stream gives, reading one chunk while earlier ones are on their way.
    pub(super) async fn prepare_stream(
        self: &Arc<Self>,
        mut reader: Box<dyn Read + Send>,
        path: &PoolPath,
        options: &UploadOptions,
        monitor: &Monitor,
    ) -> Result<Prepared> {
        let inline = self.inline_bytes();
        let (head, reader) = blocking(move || {
            let mut head = Vec::new();
            let limit = inline + 1;
            (&mut reader).take(limit).read_to_end(&mut head).map_err(|e| Error::io("cannot read the source", e))?;
            Ok((head, reader))
        })
        .await?;
        let mut prepared = Prepared::new(path.clone(), 0);
        let content = if head.len() as u64 <= inline {
            monitor.progress(head.len() as u64, 1);
            options.inline(&head)?
        } else {
            let whole = Box::new(std::io::Cursor::new(head).chain(reader));
            let stored = self.store_stream(whole, options, monitor).await?;
            let content = file_content(&stored.pieces, self.settings.chunk_size, stored.hashes);
            prepared.consist_of(stored.pieces);
            content
        };
        prepared.size = content.size();
        let mtime_ns = options.mtime_ns.unwrap_or_else(|| self.now_ns());
        prepared.records.push(Record::Entry(options.noted(self.new_entry(path, mtime_ns, false, content))));
        Ok(prepared)
    }

    /// Digests of the whole file that an upload is to keep.
    fn wanted_hashes(&self, options: &UploadOptions) -> Vec<FileHash> {
        let ours = self.settings.file_hashes.iter().chain(&options.hashes).copied();
        ours.chain(options.expect.kinds()).collect()
    }
}

impl UploadOptions {
    /// A version with what these options record beside the content.
    fn noted(&self, entry: Entry) -> Entry {
        Entry { content_type: self.content_type.clone(), properties: self.properties.clone(), ..entry }
    }

    /// The content of a file that is kept in its manifest. Its digests need not be: they are computed in no time.
    fn inline(&self, bytes: &[u8]) -> Result<Content> {
        FileHashes::of(bytes, &self.expect.kinds()).check(&self.expect)?;
        Ok(Content::Inline { sha256: sha256(bytes), data: bytes.to_vec() })
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
                self.deduplicated_bytes += prepared.deduplicated_bytes;
            }
        }
    }
}

fn changed(file: &Path) -> Error {
    Error::new(ErrorKind::SourceChanged, "the file changed while it was read; it was not stored")
        .at_path(file.display())
        .hint("repeat the upload when nothing writes to it")
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
