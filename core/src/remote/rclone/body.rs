//! Handing an object's bytes to rclone: as a file it can open.
//!
//! Trap: a source that ends early is taken for a small one and stored as if it were whole, whatever
//! size was announced. A sealed memfd cannot become shorter, and a file in the private directory is
//! written by nobody else.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::rc::Rc;
use crate::error::{Error, ErrorKind, Result};
use crate::remote::Body;
use crate::scratch::{Scratch, forbid_writing};

/// Bodies up to this size are copied without leaving the async thread.
const QUICK_BYTES: u64 = 256 << 10;

/// How rclone gets at a body.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// Through `/proc/<our process>/fd`: no disk, no copy.
    Descriptor {
        /// That directory, as rclone names it.
        fs: String,
    },
    /// As a file in a private directory, where rclone may not look into our `/proc` (another user,
    /// a sandbox) or there is none.
    Staging {
        /// The directory.
        dir: PathBuf,
    },
}

/// A body rclone can copy from, while this lives.
pub(super) struct Published {
    /// What rclone calls the directory.
    pub fs: String,
    /// What it calls the file.
    pub remote: String,
    keep: Keep,
    done: bool,
}

impl Published {
    /// rclone has read what it will read.
    pub fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        // A call that failed, or that nobody waits for: rclone may be reading still.
        if let (Keep::Open(file), false) = (&self.keep, self.done) {
            forbid_writing(file);
        }
    }
}

enum Keep {
    Open(Arc<File>),
    Staged(#[expect(dead_code, reason = "removed when dropped")] NamedTempFile),
}

impl Source {
    /// Tries whether `rc` can read a memfd of ours; otherwise gives `staging` back.
    pub async fn probe(rc: &Rc, staging: &Self) -> Self {
        match Self::try_descriptor(rc, staging).await {
            Ok(source) => source,
            Err(error) => {
                tracing::info!(%error, "rclone cannot read our memory files; objects go through temp_dir");
                staging.clone()
            }
        }
    }

    async fn try_descriptor(rc: &Rc, staging: &Self) -> Result<Self> {
        let Self::Staging { dir } = staging else { return Ok(staging.clone()) };
        let no = |why: String| Error::new(ErrorKind::Unsupported, why);
        if !cfg!(any(target_os = "linux", target_os = "android")) {
            return Err(no("there are none on this system".into()));
        }
        let source = Self::Descriptor { fs: format!(":local,copy_links=true:/proc/{}/fd", std::process::id()) };
        let content: Vec<u8> = (0..1024u32).map(|i| i as u8).collect();
        let published = source.publish(&content.clone().into()).await?;
        // The first call of a remote must be neutral: what it brings along in `_config` sticks.
        let arguments = json!({ "fs": published.fs });
        rc.call::<Value>("operations/fsinfo", &arguments).await.map_err(|f| no(f.text))?;
        let target = dir.join("probe");
        let arguments = json!({
            "srcFs": published.fs, "srcRemote": published.remote,
            "dstFs": dir, "dstRemote": "probe",
        });
        rc.call::<Value>("operations/copyfile", &arguments).await.map_err(|f| no(f.text))?;
        let arrived = std::fs::read(&target).map_err(|e| no(e.to_string()))?;
        let _ = std::fs::remove_file(&target);
        if arrived == content { Ok(source) } else { Err(no("what arrived differs".into())) }
    }

    /// Makes `body` readable for rclone.
    ///
    /// # Errors
    /// `SourceChanged` when the file has not the size it should have; `Full` or `Io` when there is
    /// no room for it.
    pub async fn publish(&self, body: &Body) -> Result<Published> {
        if let Body::File { file, size } = body {
            let length = file.metadata().map_err(|e| Error::io("cannot look at the object to be stored", e))?.len();
            if length != *size {
                let message = format!("the object to be stored has {length} bytes instead of {size}");
                return Err(Error::new(ErrorKind::SourceChanged, message));
            }
        }
        match self {
            Self::Descriptor { fs } => {
                let file = match body {
                    Body::File { file, .. } => Arc::clone(file),
                    Body::Bytes(bytes) => {
                        let bytes = bytes.clone();
                        off_thread(bytes.len() as u64, move || memory_file(&bytes)).await?
                    }
                };
                let remote = descriptor(&file)?;
                Ok(Published { fs: fs.clone(), remote, keep: Keep::Open(file), done: false })
            }
            Self::Staging { dir } => {
                let (dir, body) = (dir.clone(), body.clone());
                let file = off_thread(u64::MAX, move || stage(&dir, &body)).await?;
                let path = file.path();
                let text =
                    |part: Option<&std::ffi::OsStr>| part.and_then(|p| p.to_str()).unwrap_or_default().to_owned();
                let fs = text(path.parent().map(|p| p.as_os_str()));
                Ok(Published { fs, remote: text(path.file_name()), keep: Keep::Staged(file), done: false })
            }
        }
    }
}

async fn off_thread<T: Send + 'static>(size: u64, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    if size <= QUICK_BYTES {
        return work();
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Error::new(ErrorKind::Cancelled, "the runtime shuts down").caused_by(e))?
}

fn memory_file(bytes: &[u8]) -> Result<Arc<File>> {
    let mut scratch = Scratch::default().create()?;
    scratch.write(bytes)?;
    match scratch.seal()? {
        Body::File { file, .. } => Ok(file),
        Body::Bytes(_) => Err(Error::new(ErrorKind::Internal, "a scratch file is no file")),
    }
}

/// Writes a body into a file of mode 0600 that goes when it is dropped.
fn stage(dir: &std::path::Path, body: &Body) -> Result<NamedTempFile> {
    let failed = |e| Error::io("cannot write to temp_dir", e).at_path(dir.display()).hint("see temp_dir");
    let file = tempfile::Builder::new().prefix("put-").tempfile_in(dir).map_err(failed)?;
    let mut done = 0;
    let mut buffer = vec![0; body.size().min(1 << 20) as usize];
    while done < body.size() {
        let step = (body.size() - done).min(buffer.len() as u64) as usize;
        body.read_at(done, &mut buffer[..step])?;
        std::io::Write::write_all(&mut file.as_file(), &buffer[..step]).map_err(failed)?;
        done += step as u64;
    }
    Ok(file)
}

#[cfg(unix)]
fn descriptor(file: &File) -> Result<String> {
    Ok(std::os::fd::AsRawFd::as_raw_fd(file).to_string())
}

#[cfg(not(unix))]
fn descriptor(_: &File) -> Result<String> {
    Err(Error::new(ErrorKind::Internal, "there are no descriptors here"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn staged_files_are_private_whole_and_go() {
        let dir = tempfile::tempdir().unwrap();
        let source = Source::Staging { dir: dir.path().to_owned() };
        let content: Vec<u8> = (0..3_000_000u32).map(|i| (i / 7) as u8).collect();
        for body in [Body::from(content.clone()), Body::File { file: memory_file(&content).unwrap(), size: 3_000_000 }]
        {
            let published = source.publish(&body).await.unwrap();
            let path = PathBuf::from(&published.fs).join(&published.remote);
            assert!(std::fs::read(&path).unwrap() == content);
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            }
            drop(published);
            assert!(!path.exists());
        }
        let error = stage(&dir.path().join("none"), &vec![1].into()).unwrap_err().to_string();
        assert!(error.contains("temp_dir"), "{error}");
    }

    #[tokio::test]
    async fn a_source_of_another_size_is_refused() {
        let source = Source::Descriptor { fs: String::new() };
        let body = Body::File { file: memory_file(b"abc").unwrap(), size: 4 };
        assert_eq!(source.publish(&body).await.err().unwrap().kind(), ErrorKind::SourceChanged);
    }
}
