//! What users do, and what is checked while they do it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::collector;
use super::machine::Process;
use super::plan::{Action, Content, DIRECTORIES, FILES};
use crate::error::{Error, ErrorKind, Result};
use crate::journal::record;
use crate::monitor::{Event, Monitor};
use crate::path::PoolPath;
use crate::pool::{Changed, Source, UploadOptions, UploadReport};
use crate::testing::history::{Ended, Operation, Running};

/// The names of the files of a stored directory.
const IN_A_TREE: [&str; 4] = ["x", "y", "s/z", "w"];
/// How long the remotes are given to take what they lack.
const SETTLE: Duration = Duration::from_secs(120);

/// Does what the `n`-th step asks for, and takes down how it ended.
pub(super) async fn act(process: Arc<Process>, n: usize, action: Action) {
    let shared = process.shared.clone();
    let text = format!("#{n} {action}");
    shared.line(process.machine, &text);
    let ended = match perform(&process, n, &action).await {
        Ok(how) => how,
        Err(error) => {
            if error.kind() == ErrorKind::Internal {
                shared.witness.broken("8 (no bug)", format!("machine {} #{n}: {error}", process.machine));
            }
            format!("failed: {:?}: {error}", error.kind())
        }
    };
    shared.line(process.machine, &format!("#{n} {ended}"));
}

async fn perform(process: &Arc<Process>, n: usize, action: &Action) -> Result<String> {
    let Process { pool, .. } = &**process;
    match action {
        Action::Put { path, content, from_file } => {
            let Some(_storing) = Storing::begin(process, &[*content], FILES[*path % FILES.len()]) else {
                return Ok("left out: that content is being stored".into());
            };
            put(process, n, &file(*path)?, *content, *from_file).await
        }
        Action::PutTree { directory, contents } => {
            let Some(_storing) = Storing::begin(process, contents, DIRECTORIES[*directory % DIRECTORIES.len()]) else {
                return Ok("left out: that content is being stored".into());
            };
            put_tree(process, n, &self::directory(*directory)?, contents).await
        }
        Action::Delete(path) => delete(process, n, &file(*path)?, false).await,
        Action::DeleteTree(path) => delete(process, n, &directory(*path)?, true).await,
        Action::Mkdir(path) => {
            let path = directory(*path)?;
            let _alone = process.names.lock().await;
            let running = running(process, n);
            let stale = pool.mkdir(&path).await?;
            acknowledge(process, &Operation::Mkdir(path), stale, &running)
        }
        Action::Rename(from, to) => rename(process, n, &file(*from)?, &file(*to)?).await,
        Action::RenameTree(from, to) => rename(process, n, &directory(*from)?, &directory(*to)?).await,
        Action::Read(path) => read(process, n, &file(*path)?).await,
        Action::Settle => {
            let view = pool.sync().await?;
            pool.journal().settle(SETTLE).await;
            Ok(view_text(&view))
        }
        Action::Compact => Ok(match pool.journal().compact().await? {
            Some(name) => format!("compacted into {name}"),
            None => "nothing compacted".into(),
        }),
        Action::Care(care) => care.take(process, n).await,
        // The pool's own care, and the simulation's, side by side.
        // The simulation's own knows no trash.
        Action::Collect { grace_ms } if n.is_multiple_of(2) || pool.settings().trash_hours > 0 => {
            super::care::collect(pool, Duration::from_millis(*grace_ms)).await
        }
        Action::Collect { grace_ms } => {
            collector::collect(pool.journal(), &pool.settings().data_prefix, Duration::from_millis(*grace_ms)).await
        }
    }
}

fn view_text(view: &crate::journal::View) -> String {
    if view.complete { "complete view".into() } else { format!("no view: {}", view.lacks.join("; ")) }
}

pub(super) fn file(n: usize) -> Result<PoolPath> {
    PoolPath::new(FILES[n % FILES.len()])
}

pub(super) fn directory(n: usize) -> Result<PoolPath> {
    PoolPath::new(DIRECTORIES[n % DIRECTORIES.len()])
}

/// Keeps a content from being stored twice at a time by one machine; where that is what is looked at, at one path.
struct Storing<'a>(&'a Process, Vec<(u32, &'static str)>);

impl<'a> Storing<'a> {
    fn begin(process: &'a Process, contents: &[Content], at: &'static str) -> Option<Self> {
        let mut storing = process.storing();
        let shared = process.pool.settings().deduplication;
        let mut all: Vec<_> = contents.iter().map(|c| (c.bytes, if shared { at } else { "" })).collect();
        all.sort_unstable();
        let distinct = all.windows(2).all(|pair| pair[0] != pair[1]);
        if !(distinct || shared) || all.iter().any(|one| storing.contains(one)) {
            return None;
        }
        storing.extend(&all);
        Some(Self(process, all))
    }
}

impl Drop for Storing<'_> {
    fn drop(&mut self) {
        let mut storing = self.0.storing();
        storing.retain(|n| !self.1.contains(n));
    }
}

pub(super) fn running(process: &Process, n: usize) -> Running {
    Running {
        name: format!("machine {} #{n}", process.machine),
        index: (process.machine, process.generation),
        writer: process.pool.journal().writer(),
        began: process.shared.witness.step(),
        blurred: process.shared.blurred,
    }
}

pub(super) fn acknowledge(process: &Process, operation: &Operation, stale: bool, running: &Running) -> Result<String> {
    if process.life.crash.happened() {
        // Nobody hears what a dead machine says.
        return Ok("died before it could say so".into());
    }
    let ended = if stale { Ended::Stale } else { Ended::Full };
    process.shared.witness.acknowledge(operation, ended, running, process.pool.journal().index())?;
    Ok(if stale { "acknowledged, stale".into() } else { "ACKNOWLEDGED".into() })
}

/// Writes a local file that names its content by its modification time.
fn local_file(path: &Path, content: Content) -> Result<()> {
    let io = |e| Error::io("cannot write a file to upload", e).at_path(path.display());
    if let Some(above) = path.parent() {
        std::fs::create_dir_all(above).map_err(io)?;
    }
    if !path.exists() {
        std::fs::write(path, content.make()).map_err(io)?;
    }
    let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(content.mtime_ns()).unwrap_or(0));
    let open = std::fs::File::options().write(true).open(path).map_err(io)?;
    open.set_modified(time).map_err(io)
}

fn below(process: &Process, name: &str) -> PathBuf {
    process.shared.files.path().join(format!("machine{}", process.machine)).join(name)
}

async fn put(process: &Process, n: usize, path: &PoolPath, content: Content, from_file: bool) -> Result<String> {
    let mtime_ns = content.mtime_ns();
    let (source, options) = if from_file {
        // Whom others touch while it is stored is another file's content.
        let shared = process.pool.settings().deduplication;
        let local = below(process, &if shared { content.to_string() } else { format!("c{}", content.bytes) });
        local_file(&local, content)?;
        (Source::File(local), UploadOptions::default())
    } else {
        let options = UploadOptions { mtime_ns: Some(mtime_ns), ..UploadOptions::default() };
        (Source::Bytes(content.make().into()), options)
    };
    let running = running(process, n);
    let report = process.pool.upload(source, path, &options, &Monitor::default()).await?;
    let how = acknowledge(process, &Operation::Put(vec![(path.clone(), mtime_ns)]), report.stale, &running)?;
    let there = if report.unchanged > 0 { " (was there)" } else { "" };
    Ok(format!("{how}{there}{}", deduplicated(&report)))
}

async fn put_tree(process: &Process, n: usize, path: &PoolPath, contents: &[Content]) -> Result<String> {
    let local = below(process, &format!("tree{n}"));
    for (name, content) in IN_A_TREE.iter().zip(contents) {
        local_file(&local.join(name), *content)?;
    }
    let done: Arc<Mutex<Vec<PoolPath>>> = Arc::default();
    let heard = done.clone();
    let listener = Arc::new(move |event: &Event| {
        if let Event::File { path, .. } = event {
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
        }
    });
    let monitor = Monitor::new(listener, tokio_util::sync::CancellationToken::new());
    let running = running(process, n);
    let report = process.pool.upload_all(&[(local, path.clone())], &UploadOptions::default(), &monitor).await?;
    let done = done.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut files = Vec::new();
    for (name, content) in IN_A_TREE.iter().zip(contents) {
        let path = path.join(name)?;
        if done.contains(&path) {
            files.push((path, content.mtime_ns()));
        }
    }
    let how = acknowledge(process, &Operation::Put(files), report.stale, &running)?;
    Ok(format!("{how}, {} failed{}", report.failed, deduplicated(&report)))
}

fn deduplicated(report: &UploadReport) -> String {
    match report.deduplicated_bytes {
        0 => String::new(),
        bytes => format!(", {bytes} bytes deduplicated"),
    }
}

async fn delete(process: &Process, n: usize, path: &PoolPath, recursive: bool) -> Result<String> {
    let _alone = process.names.lock().await;
    let running = running(process, n);
    let Changed { stale, .. } = process.pool.delete(path, recursive).await?;
    acknowledge(process, &Operation::Delete(path.clone()), stale, &running)
}

async fn rename(process: &Process, n: usize, from: &PoolPath, to: &PoolPath) -> Result<String> {
    let _alone = process.names.lock().await;
    let running = running(process, n);
    let Changed { stale, .. } = process.pool.rename(from, to, true).await?;
    acknowledge(process, &Operation::Rename(from.clone(), to.clone()), stale, &running)
}

async fn read(process: &Arc<Process>, n: usize, path: &PoolPath) -> Result<String> {
    let Process { pool, shared, .. } = &**process;
    let running = running(process, n);
    let view = pool.sync().await?;
    let who = running.name.clone();
    let all = view.complete && !shared.blurred;
    shared.witness.check_shown(&who, running.began, all, Some(running.index), |path| pool.entry(path))?;
    let Some(entry) = pool.entry(path)?.filter(|entry| !entry.content.is_directory()) else {
        return Ok(format!("nothing there; {}", view_text(&view)));
    };
    let wanted = content_of(&entry)?;
    let size = wanted.len() as u64;
    let some = size / 3..size / 3 + size / 5;
    for range in [None, Some(some)] {
        let mut reader = match pool.reader(path, range.clone()) {
            Ok(reader) => reader,
            // It may have gone between the listing and here.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok("gone meanwhile".into()),
            Err(error) => return Err(error),
        };
        let wanted = content_of(reader.entry())?;
        let mut found = Vec::new();
        while let Some(piece) = reader.next().await? {
            found.extend_from_slice(&piece);
        }
        let range = range.unwrap_or(0..wanted.len() as u64);
        let bounds = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(wanted.len());
        if found != wanted[bounds(range.start)..bounds(range.end)] {
            let what = format!("{who} reads other bytes from {path}, {range:?}");
            shared.witness.broken("2 (the written bytes or an error)", what);
        }
    }
    Ok(format!("read {size} bytes; {}", view_text(&view)))
}

/// The bytes that were stored with the modification time an entry has.
pub(super) fn content_of(entry: &record::Entry) -> Result<Vec<u8>> {
    let content = Content::of(entry.mtime_ns).ok_or_else(|| {
        Error::new(ErrorKind::Internal, "nobody stored a file of this modification time").at_path(&entry.path)
    })?;
    Ok(content.make())
}
