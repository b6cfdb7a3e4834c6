//! A remote by one process per operation, for who does not want the daemon.
//!
//! Each costs a start of rclone, and a log-in with remotes that have one.

use std::ops::Range;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::Inner;
use super::classify::{Attempt, Failure, error};
use super::environment;
use super::log::{LastLines, follow};
use super::object::Item;
use crate::error::{Error, ErrorKind, Result};
use crate::remote::{Body, ByteStream, ObjectMeta, Remote, Usage, check_dir, check_name, check_stored_name};

/// How much goes through a pipe at a time.
const PIECE_BYTES: usize = 256 << 10;

/// What `lsjson` is asked for: sizes only, as times cost a request per object on some backends.
const SIZES_ONLY: [&str; 3] = ["--files-only", "--no-modtime", "--no-mimetype"];

/// A remote of rclone, used through its commands.
#[derive(Debug, Clone)]
pub(super) struct RcloneCommandRemote {
    inner: Arc<Inner>,
    label: String,
}

/// A running rclone. Dropping it kills the process.
struct Running {
    child: Child,
    lines: LastLines,
    follower: Option<JoinHandle<()>>,
}

impl Running {
    /// Waits for its end.
    async fn end(mut self) -> Result<(), Failure> {
        drop(self.child.stdin.take());
        let status = self.child.wait().await;
        if let Some(follower) = self.follower.take() {
            let _ = follower.await;
        }
        let text = self.lines.joined();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(failure(status, &text)),
            Err(e) => Err(Failure { status: None, json: false, text: e.to_string() }),
        }
    }
}

fn failure(status: ExitStatus, text: &str) -> Failure {
    match status.code() {
        // Killed, by us or by others.
        None => Failure { status: None, json: false, text: format!("{status}: {text}") },
        // rclone's exit codes for what is definitely not there.
        Some(3 | 4) => Failure { status: Some(404), json: true, text: format!("object not found: {text}") },
        Some(_) => Failure { status: Some(500), json: true, text: format!("{status}: {text}") },
    }
}

impl RcloneCommandRemote {
    pub fn new(inner: Arc<Inner>, label: &str) -> Self {
        Self { inner, label: label.to_owned() }
    }

    fn on(&self, error: Error) -> Error {
        error.on_remote(&self.label)
    }

    fn checked(&self, name: &str) -> Result<()> {
        check_name(name).map_err(|e| self.on(e))
    }

    fn failed(&self, failure: &Failure, attempt: Attempt, name: &str) -> Error {
        let error = self.on(error(failure, attempt, name));
        if name.is_empty() { error } else { error.at_path(name) }
    }

    /// What rclone calls an object or directory.
    fn target(&self, name: &str) -> String {
        match self.label.chars().last() {
            _ if name.is_empty() => self.label.clone(),
            Some(':' | '/') => format!("{}{name}", self.label),
            _ => format!("{}/{name}", self.label),
        }
    }

    fn spawn(&self, verb: &str, options: &[&str], name: &str, stdin: Stdio) -> Result<Running> {
        self.inner.check_open().map_err(|e| self.on(e))?;
        let given = &self.inner.options;
        let mut command = Command::new(environment::program(given).map_err(|e| self.on(e))?);
        command.arg(verb).args(environment::arguments(given)).args(options).arg("--").arg(self.target(name));
        command.env_clear().envs(environment::environment(given));
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|e| self.on(Error::io("cannot start rclone", e)))?;
        let lines = LastLines::default();
        let follower = child.stderr.take().map(|stderr| tokio::spawn(follow(stderr, lines.clone())));
        Ok(Running { child, lines, follower })
    }

    /// Runs a command to its end and gives its output.
    async fn output(&self, verb: &str, options: &[&str], name: &str) -> Result<(Bytes, Result<(), Failure>)> {
        let mut running = self.spawn(verb, options, name, Stdio::null())?;
        let mut output = BytesMut::new();
        if let Some(mut stdout) = running.child.stdout.take() {
            while stdout.read_buf(&mut output).await.map_err(|e| self.on(Error::io("cannot read from rclone", e)))? > 0
            {
            }
        }
        Ok((output.freeze(), running.end().await))
    }

    fn parse<'a, T: Deserialize<'a>>(&self, output: &'a [u8], name: &str) -> Result<T> {
        serde_json::from_slice(output).map_err(|e| {
            let message = format!("rclone gave an answer we do not understand: {e}");
            self.on(Error::new(ErrorKind::Internal, message)).at_path(name)
        })
    }

    async fn size(&self, name: &str) -> Result<Option<u64>> {
        let options = [&["--stat"], &SIZES_ONLY[..]].concat();
        let (output, end) = self.output("lsjson", &options, name).await?;
        match end.map_err(|f| self.failed(&f, Attempt::Other, name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        }
        let item: Option<Item> = self.parse(&output, name)?;
        item.map(|item| item.bytes().map_err(|e| self.on(e).at_path(name))).transpose()
    }

    async fn remove(&self, name: &str) -> Result<()> {
        let (_, end) = self.output("deletefile", &[], name).await?;
        match end.map_err(|f| self.failed(&f, Attempt::Other, name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn outside(&self, name: &str, size: u64, range: &Range<u64>) -> Error {
        let message = format!("the object has {size} bytes, asked for {} to {}", range.start, range.end);
        self.on(Error::new(ErrorKind::Corrupt, message)).at_path(name)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Remote for RcloneCommandRemote {
    fn label(&self) -> &str {
        &self.label
    }

    async fn put(&self, name: &str, body: &Body) -> Result<()> {
        self.checked(name)?;
        let size = body.size().to_string();
        let mut running = self.spawn("rcat", &["--size", &size], name, Stdio::piped())?;
        if let Some(mut stdin) = running.child.stdin.take() {
            let mut at = 0;
            while at < body.size() {
                let mut piece = vec![0; (body.size() - at).min(PIECE_BYTES as u64) as usize];
                body.read_at(at, &mut piece).map_err(|e| self.on(e).at_path(name))?;
                // It ended early: its last words say why.
                if stdin.write_all(&piece).await.is_err() {
                    break;
                }
                at += piece.len() as u64;
            }
            let _ = stdin.shutdown().await;
        }
        running.end().await.map_err(|f| self.failed(&f, Attempt::Put, name))?;
        // Trap: rcat takes whatever it got for the whole on some backends.
        match self.size(name).await? {
            Some(size) if size == body.size() => Ok(()),
            found => {
                self.remove(name).await?;
                let message = format!("the remote stored {} of {} bytes", found.unwrap_or_default(), body.size());
                Err(self.on(Error::new(ErrorKind::Unavailable, message)).at_path(name))
            }
        }
    }

    async fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<ByteStream> {
        self.checked(name)?;
        // Trap: of what is not there, or too short, `cat` gives nothing, and on buckets no error.
        let absent = || self.on(Error::new(ErrorKind::NotFound, "no such object")).at_path(name);
        let size = self.size(name).await?.ok_or_else(absent)?;
        let range = range.unwrap_or(0..size);
        if range.start > range.end || range.end > size {
            return Err(self.outside(name, size, &range));
        }
        if range.is_empty() {
            return Ok(stream::empty().boxed());
        }
        let (offset, count) = (range.start.to_string(), (range.end - range.start).to_string());
        let mut running = self.spawn("cat", &["--offset", &offset, "--count", &count], name, Stdio::null())?;
        let stdout = running.child.stdout.take();
        let reading = Reading {
            remote: self.clone(),
            name: name.to_owned(),
            running: Some(running),
            stdout,
            left: range.end - range.start,
        };
        Ok(stream::try_unfold(reading, Reading::next).boxed())
    }

    async fn stat(&self, name: &str) -> Result<Option<u64>> {
        self.checked(name)?;
        self.size(name).await
    }

    async fn delete(&self, name: &str) -> Result<()> {
        check_stored_name(name).map_err(|e| self.on(e))?;
        self.remove(name).await
    }

    async fn list(&self, dir: &str) -> Result<BoxStream<'static, Result<ObjectMeta>>> {
        check_dir(dir).map_err(|e| self.on(e))?;
        let options = [&["-R"], &SIZES_ONLY[..]].concat();
        let (output, end) = self.output("lsjson", &options, dir).await?;
        if let Err(failure) = end {
            let error = self.failed(&failure, Attempt::Other, dir);
            return match error.kind() {
                // "Not found" after entries were found is no answer.
                ErrorKind::NotFound if !output.contains(&b'{') => Ok(stream::empty().boxed()),
                ErrorKind::NotFound => Err(self.on(Error::new(ErrorKind::Unavailable, error.message())).at_path(dir)),
                _ => Err(error),
            };
        }
        let mut found = vec![];
        for item in self.parse::<Vec<Item>>(&output, dir)? {
            let name = if dir.is_empty() { item.path.clone() } else { format!("{dir}/{}", item.path) };
            if check_stored_name(&name).is_ok() {
                let size = item.bytes().map_err(|e| self.on(e).at_path(&name))?;
                found.push(Ok(ObjectMeta { name, size }));
            }
        }
        Ok(stream::iter(found).boxed())
    }

    async fn usage(&self) -> Result<Usage> {
        #[derive(Deserialize)]
        struct About {
            total: Option<u64>,
            used: Option<u64>,
            free: Option<u64>,
        }
        let (output, end) = self.output("about", &["--json"], "").await?;
        match end.map_err(|f| self.failed(&f, Attempt::Other, "")) {
            Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(Usage::default()),
            other => other?,
        }
        let About { total, used, free } = self.parse(&output, "")?;
        Ok(Usage { total, used, free })
    }

    fn staging(&self) -> Option<&std::path::Path> {
        None
    }

    async fn open(&self, _: &str, _: Range<u64>) -> Result<Option<std::fs::File>> {
        Ok(None)
    }
}

/// A get in progress.
struct Reading {
    remote: RcloneCommandRemote,
    name: String,
    running: Option<Running>,
    stdout: Option<ChildStdout>,
    left: u64,
}

impl Reading {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        let mut piece = BytesMut::with_capacity(PIECE_BYTES);
        if let Some(stdout) = &mut self.stdout {
            let failed = |e| self.remote.on(Error::io("cannot read from rclone", e)).at_path(&self.name);
            stdout.read_buf(&mut piece).await.map_err(failed)?;
        }
        let got = piece.len() as u64;
        if got > 0 && got <= self.left {
            self.left -= got;
            return Ok(Some((piece.freeze(), self)));
        }
        let Some(running) = self.running.take() else { return Ok(None) };
        let end = running.end().await;
        end.map_err(|f| match self.remote.failed(&f, Attempt::Get, &self.name) {
            // It was there a moment ago: whether it still is, is for a stat to say.
            error if error.kind() == ErrorKind::NotFound => {
                self.remote.on(Error::new(ErrorKind::Unavailable, error.message())).at_path(&self.name)
            }
            error => error,
        })?;
        if self.left > 0 || got > 0 {
            let message =
                format!("rclone gave {} bytes too {}", self.left.max(got), if got > 0 { "many" } else { "few" });
            return Err(self.remote.on(Error::new(ErrorKind::Unavailable, message)).at_path(&self.name));
        }
        Ok(None)
    }
}
