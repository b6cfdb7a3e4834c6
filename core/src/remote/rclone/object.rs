//! A remote behind the daemon.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::Inner;
use super::classify::{Attempt, Failure, error};
use super::process::Daemon;
use super::read::Download;
use crate::error::{Error, ErrorKind, Result};
use crate::remote::{Body, ByteStream, ObjectMeta, Remote, Usage, check_dir, check_name, check_stored_name};

/// From this size on a put may be checked by asking for the size of what lies there: one request is
/// nothing beside the transfer.
pub(super) const CHECKED_BYTES: u64 = 1 << 20;

/// A remote of a running rclone.
#[derive(Debug, Clone)]
pub(super) struct RcloneRemote(Arc<Shared>);

/// What the remote and its streams share.
#[derive(Debug)]
pub(super) struct Shared {
    inner: Arc<Inner>,
    /// The label, and what rclone calls a file system. Always the same text: every other spelling
    /// would be another one to rclone, with a log-in, a pacer and a directory cache of its own.
    fs: String,
    facts: Mutex<Option<Facts>>,
    listings: AtomicU64,
}

/// What rclone tells about a remote, asked once for each daemon.
#[derive(Debug, Clone, Copy)]
struct Facts {
    generation: u64,
    /// Whether it can tell its usage.
    about: bool,
    /// Whether a put may leave a truncated object although all went well by rclone's own checks.
    checks: Checks,
}

/// What rclone itself does after a put, and so what is left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Checks {
    /// A bucket: stores an object whole or not at all, and rclone holds what the store says of it (its size, and its
    /// hash where there is one) against what it sent. On S3 that is a HEAD after every PUT, which we see to
    /// (`no_head` off). Another one of ours would ask the same again.
    All,
    /// Written under another name first, or compared by hash: large objects are looked at.
    Some,
    /// Neither: everything is looked at.
    None,
}

#[derive(Deserialize)]
struct FsInfo {
    #[serde(rename = "Features")]
    features: Features,
    #[serde(rename = "Hashes", default)]
    hashes: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Features {
    about: bool,
    bucket_based: bool,
    partial_uploads: bool,
}

#[derive(Deserialize)]
struct StatAnswer {
    item: Option<Item>,
}

#[derive(Deserialize)]
struct ListAnswer {
    list: Option<Vec<Item>>,
}

/// An entry of a listing.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Item {
    pub path: String,
    pub size: i64,
}

impl Item {
    /// # Errors
    /// `Unsupported` when rclone does not know the size, as of documents that exist only when exported.
    pub fn bytes(&self) -> Result<u64> {
        u64::try_from(self.size).map_err(|_| Error::new(ErrorKind::Unsupported, "the object's size is not known"))
    }
}

impl RcloneRemote {
    pub fn new(inner: Arc<Inner>, label: &str) -> Self {
        let facts = Mutex::new(None);
        Self(Arc::new(Shared { inner, fs: label.to_owned(), facts, listings: AtomicU64::new(0) }))
    }

    fn checked(&self, name: &str) -> Result<()> {
        check_name(name).map_err(|e| self.0.on(e))
    }
}

impl Shared {
    fn on(&self, error: Error) -> Error {
        error.on_remote(&self.fs)
    }

    pub fn failed(&self, failure: &Failure, attempt: Attempt, name: &str) -> Error {
        let error = self.on(error(failure, attempt, name));
        if name.is_empty() { error } else { error.at_path(name) }
    }

    /// What rclone calls the remote.
    pub fn fs(&self) -> &str {
        &self.fs
    }

    /// The daemon, once it knows this remote.
    ///
    /// The first thing asked of a remote is neutral (`fsinfo`). Trap: the options of a remote's
    /// first call would stick to it for as long as the daemon lives.
    pub async fn daemon(&self) -> Result<Arc<Daemon>> {
        Ok(self.prepared().await?.0)
    }

    async fn prepared(&self) -> Result<(Arc<Daemon>, Facts)> {
        if self.fs.contains(']') {
            let message = "rclone's object server cannot address a remote whose name has a \"]\"";
            return Err(self.on(Error::new(ErrorKind::Config, message).hint("give it a name by `rclone config`")));
        }
        let daemon = self.inner.daemon().await.map_err(|e| self.on(e))?;
        let mut known = self.facts.lock().await;
        if let Some(facts) = *known
            && facts.generation == daemon.generation
        {
            return Ok((daemon, facts));
        }
        let info: FsInfo = (daemon.rc.call("operations/fsinfo", &json!({ "fs": self.fs })).await)
            .map_err(|f| self.failed(&f, Attempt::Other, ""))?;
        let Features { about, bucket_based, partial_uploads } = info.features;
        let hashed = info.hashes.is_some_and(|hashes| !hashes.is_empty());
        let checks = match (bucket_based, partial_uploads || hashed) {
            (true, _) => Checks::All,
            (false, true) => Checks::Some,
            (false, false) => Checks::None,
        };
        let facts = Facts { generation: daemon.generation, about, checks };
        *known = Some(facts);
        Ok((daemon, facts))
    }

    pub async fn stat(&self, daemon: &Daemon, name: &str) -> Result<Option<u64>> {
        // Trap: without filesOnly an object that cannot be looked at (permission denied) is reported
        // as absent, and a miss costs three requests.
        let arguments = json!({
            "fs": self.fs, "remote": name,
            "opt": { "filesOnly": true, "noModTime": true, "noMimeType": true },
        });
        match daemon.rc.call::<StatAnswer>("operations/stat", &arguments).await {
            Ok(StatAnswer { item: None }) => Ok(None),
            Ok(StatAnswer { item: Some(item) }) => Ok(Some(item.bytes().map_err(|e| self.on(e).at_path(name))?)),
            Err(failure) => match self.failed(&failure, Attempt::Other, name) {
                error if error.kind() == ErrorKind::NotFound => Ok(None),
                error => Err(error),
            },
        }
    }

    async fn delete(&self, daemon: &Daemon, name: &str) -> Result<()> {
        let arguments = json!({ "fs": self.fs, "remote": name });
        match daemon.rc.call::<Value>("operations/deletefile", &arguments).await {
            Ok(_) => Ok(()),
            Err(failure) => match self.failed(&failure, Attempt::Other, name) {
                error if error.kind() == ErrorKind::NotFound => Ok(()),
                error => Err(error),
            },
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Remote for RcloneRemote {
    fn label(&self) -> &str {
        &self.0.fs
    }

    async fn put(&self, name: &str, body: &Body) -> Result<()> {
        self.checked(name)?;
        let shared = &*self.0;
        let (daemon, facts) = shared.prepared().await?;
        let source = daemon.source.publish(body).await.map_err(|e| shared.on(e).at_path(name))?;
        // Trap: without NoCheckDest an object of the same size that lies there already counts as the
        // same where neither time nor hash can tell; nothing is stored and the answer is 200. Only
        // Go's names of options are known; others are ignored without a word.
        let arguments = json!({
            "srcFs": source.fs, "srcRemote": source.remote,
            "dstFs": shared.fs, "dstRemote": name,
            "_config": { "NoCheckDest": true }, "_group": "put",
        });
        let put = daemon.rc.call::<Value>("operations/copyfile", &arguments).await;
        put.map_err(|f| shared.failed(&f, Attempt::Put, name))?;
        source.done();
        match facts.checks {
            Checks::All => return Ok(()),
            Checks::Some if body.size() < CHECKED_BYTES => return Ok(()),
            Checks::Some | Checks::None => {}
        }
        match shared.stat(&daemon, name).await? {
            Some(size) if size == body.size() => Ok(()),
            found => {
                // What is truncated must not keep the name.
                shared.delete(&daemon, name).await?;
                let message = match found {
                    Some(size) => format!("the remote stored {size} of {} bytes", body.size()),
                    None => "the remote does not show what it stored".into(),
                };
                Err(shared.on(Error::new(ErrorKind::Unavailable, message)).at_path(name))
            }
        }
    }

    async fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<ByteStream> {
        self.checked(name)?;
        let shared = &*self.0;
        let daemon = shared.daemon().await?;
        if let Some(Range { start, end }) = range
            && start >= end
        {
            // Nothing to read; but it may be said only of an object that is there and long enough.
            let size = shared.stat(&daemon, name).await?;
            let error = |kind, message: &str| Err(shared.on(Error::new(kind, message)).at_path(name));
            return match size {
                None => error(ErrorKind::NotFound, "no such object"),
                Some(size) if start > end || end > size => {
                    error(ErrorKind::Corrupt, &format!("the object has {size} bytes, asked for {start} to {end}"))
                }
                Some(_) => Ok(stream::empty().boxed()),
            };
        }
        let download = Download::open(Arc::clone(&self.0), daemon, name, range).await?;
        Ok(stream::try_unfold(download, Download::next).boxed())
    }

    async fn stat(&self, name: &str) -> Result<Option<u64>> {
        self.checked(name)?;
        let daemon = self.0.daemon().await?;
        self.0.stat(&daemon, name).await
    }

    async fn delete(&self, name: &str) -> Result<()> {
        check_stored_name(name).map_err(|e| self.0.on(e))?;
        let daemon = self.0.daemon().await?;
        self.0.delete(&daemon, name).await
    }

    async fn list(&self, dir: &str) -> Result<BoxStream<'static, Result<ObjectMeta>>> {
        let shared = &*self.0;
        check_dir(dir).map_err(|e| shared.on(e))?;
        let daemon = shared.daemon().await?;
        let group = format!("list-{:p}-{}", self.0, shared.listings.fetch_add(1, Relaxed));
        let arguments = json!({
            "fs": shared.fs, "remote": dir, "_group": group,
            "opt": { "filesOnly": true, "recurse": true, "noModTime": true, "noMimeType": true },
        });
        let listed = daemon.rc.call::<ListAnswer>("operations/list", &arguments).await;
        let found = match listed {
            Ok(answer) => {
                shared.check_complete(&daemon, &group).await?;
                answer.list.unwrap_or_default()
            }
            Err(failure) => match shared.failed(&failure, Attempt::Other, dir) {
                error if error.kind() == ErrorKind::NotFound => vec![],
                error => return Err(error),
            },
        };
        let _ = daemon.rc.call::<Value>("core/stats-delete", &json!({ "group": group })).await;
        let found = found.into_iter().filter(|item| check_stored_name(&item.path).is_ok());
        let found: Result<Vec<_>> =
            found.map(|item| Ok(Ok(ObjectMeta { size: item.bytes()?, name: item.path }))).collect();
        Ok(stream::iter(found.map_err(|e| shared.on(e).at_path(dir))?).boxed())
    }

    async fn usage(&self) -> Result<Usage> {
        #[derive(Deserialize)]
        struct About {
            total: Option<i64>,
            used: Option<i64>,
            free: Option<i64>,
        }
        let (daemon, facts) = self.0.prepared().await?;
        if !facts.about {
            return Ok(Usage::default());
        }
        match daemon.rc.call::<About>("operations/about", &json!({ "fs": self.0.fs })).await {
            Ok(about) => {
                let bytes = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok());
                Ok(Usage { total: bytes(about.total), used: bytes(about.used), free: bytes(about.free) })
            }
            Err(failure) => match self.0.failed(&failure, Attempt::Other, "") {
                error if error.kind() == ErrorKind::Unsupported => Ok(Usage::default()),
                error => Err(error),
            },
        }
    }

    fn staging(&self) -> Option<&std::path::Path> {
        None
    }

    async fn open(&self, _: &str, _: Range<u64>) -> Result<Option<std::fs::File>> {
        Ok(None)
    }
}

impl Shared {
    /// Trap: a directory that cannot be read is left out of a listing that answers 200; only the
    /// statistics of the call know.
    async fn check_complete(&self, daemon: &Daemon, group: &str) -> Result<()> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Stats {
            errors: u64,
            #[serde(default)]
            last_error: String,
        }
        let stats: Stats = (daemon.rc.call("core/stats", &json!({ "group": group })).await)
            .map_err(|f| self.failed(&f, Attempt::Other, ""))?;
        if stats.errors == 0 {
            return Ok(());
        }
        let failure =
            Failure { status: Some(500), json: true, text: format!("incomplete listing: {}", stats.last_error) };
        let error = self.failed(&failure, Attempt::Other, "");
        // "Not found" is no answer here: something was, when its directory was read.
        match error.kind() {
            ErrorKind::NotFound => Err(self.on(Error::new(ErrorKind::Unavailable, error.message()))),
            _ => Err(error),
        }
    }
}
