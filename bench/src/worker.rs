//! One operation on a pool in a process of its own, so that time, CPU and memory are that operation's alone.
//!
//! The benchmark starts itself with a job and reads the outcome from the job's standard output: what a command of
//! the command line costs, less the parsing of its arguments.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use rclonepool_core::id::{ChunkId, Nonce, RemoteId, Sha256, Stamp};
use rclonepool_core::journal::record::{ChunkRecord, Content, Entry, Extent, FileHashes, Place, Record, UnitChecksums};
use rclonepool_core::pool::care::{HealthOptions, RebuildOptions};
use rclonepool_core::pool::{DownloadOptions, OpenOptions, Source, UploadOptions};
use rclonepool_core::remote::wrap::{Metrics, Verb};
use rclonepool_core::stage::layout::Layout;
use rclonepool_core::{Config, Monitor, Pool, PoolPath};
use serde::{Deserialize, Serialize};

use crate::{Result, gauge};

/// The first argument of a process that does a job.
pub const ARGUMENT: &str = "job";

/// Set in the environment: every job's outcome is told.
pub const VERBOSE: &str = "RCLONEPOOL_BENCH_VERBOSE";

/// What to do, after opening the pool of `config`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    /// The configuration's text.
    pub config: serde_json::Value,
    /// What to do.
    pub work: Work,
    /// Whether to watch memory while it is done, which itself takes some CPU.
    pub watch_memory: bool,
}

/// What a job does.
#[derive(Debug, Serialize, Deserialize)]
pub enum Work {
    /// Make the pool.
    Init,
    /// Store a file, or a directory.
    Upload { from: PathBuf, to: String },
    /// Store a stream of so many bytes.
    Stream { bytes: u64, to: String },
    /// Read a file, or a directory.
    Download { from: String, to: PathBuf },
    /// List a directory.
    List { directory: String },
    /// Rebuild what is missing, however much it is.
    Rebuild,
    /// Make small files by commits alone: so many directories of so many files.
    Fill { directories: u32, files: u32 },
    /// Make so many directories of so many files of one chunk each, by commits alone: nothing is stored.
    FillChunks { directories: u32, files: u32 },
    /// Read so many ranges of so many bytes at random places of a file, one after another; then the last ten again.
    Random { from: String, reads: u32, bytes: u64 },
    /// Read a file from its front to its end, by position, so many bytes at a time.
    Sequence { from: String, step: u64 },
    /// Judge the health of all files from the index alone.
    Health,
}

/// What it took.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// The pool's id, after its making.
    pub pool: String,
    /// Seconds from nothing to an open pool.
    pub open_seconds: f64,
    /// Seconds of the work itself.
    pub work_seconds: f64,
    /// Seconds from the start of the process to its end.
    pub all_seconds: f64,
    /// CPU seconds of the whole process, rclone's not included.
    pub cpu_seconds: f64,
    /// CPU seconds of the rclone it started.
    pub rclone_cpu_seconds: f64,
    /// The most memory the process had resident, in bytes.
    pub peak_resident: u64,
    /// The same with the memory files it held, in bytes; 0 where it was not watched.
    pub peak_memory: u64,
    /// The same of the rclone it started.
    pub rclone_peak_resident: u64,
    /// Calls to all remotes by verb.
    pub calls: BTreeMap<String, u64>,
    /// Shard objects the file lies in, after an upload.
    pub shards: u64,
    /// Their bytes.
    pub stored_bytes: u64,
    /// Entries listed.
    pub entries: u64,
    /// Milliseconds of each read, sorted.
    pub times_ms: Vec<f64>,
    /// Calls to remotes that reading again took.
    pub again: u64,
}

impl Job {
    /// A job that does not watch memory.
    pub fn new(config: &serde_json::Value, work: Work) -> Self {
        Self { config: config.clone(), work, watch_memory: false }
    }

    /// Does it in another process.
    ///
    /// # Errors
    /// What that process said.
    pub fn run(&self) -> Result<Outcome> {
        let begin = Instant::now();
        let output = std::process::Command::new(std::env::current_exe()?)
            .args([ARGUMENT, &serde_json::to_string(self)?])
            .stdin(std::process::Stdio::null())
            .stderr(std::process::Stdio::inherit())
            .output()?;
        if !output.status.success() {
            return Err(format!("{:?} failed", self.work).into());
        }
        let all_seconds = begin.elapsed().as_secs_f64();
        let outcome = Outcome { all_seconds, ..serde_json::from_slice(&output.stdout)? };
        if std::env::var_os(VERBOSE).is_some() {
            eprintln!("{:?}: {outcome:?}", self.work);
        }
        Ok(outcome)
    }

    /// Does it here.
    ///
    /// # Errors
    /// Those of the pool.
    pub async fn run_here(self) -> Result<Outcome> {
        let begin = Instant::now();
        let watch = self.watch_memory.then(gauge::MemoryWatch::begin);
        let config = Config::parse(&self.config.to_string())?;
        let options =
            OpenOptions { inherit_env: std::env::vars().collect(), loaders: vec![rclonepool_plugin_native::loader()] };
        if matches!(self.work, Work::Init) {
            let made = Pool::init(&config, &options).await?;
            return Ok(Outcome { pool: made.pool.to_string(), ..Outcome::default() });
        }
        if matches!(self.work, Work::Health) {
            let report = Pool::health_offline(&config, &HealthOptions::default())?.ok_or("the index is empty")?;
            let seconds = begin.elapsed().as_secs_f64();
            let peak_resident = gauge::peak_resident(std::process::id());
            let entries = report.files.healthy;
            return Ok(Outcome { work_seconds: seconds, entries, peak_resident, ..Outcome::default() });
        }
        let pool = Pool::open(&config, &options).await?;
        let mut outcome = Outcome { open_seconds: begin.elapsed().as_secs_f64(), ..Outcome::default() };
        let started = Instant::now();
        // By force everything is stored, what the pool has, too.
        let force = self.config["enable_deduplication"] != true;
        self.work.run(&pool, force, &mut outcome).await?;
        outcome.work_seconds = started.elapsed().as_secs_f64();
        for pid in gauge::children() {
            outcome.rclone_peak_resident += gauge::peak_resident(pid);
            outcome.rclone_cpu_seconds += gauge::cpu_of(pid);
        }
        for metrics in pool.metrics() {
            for (verb, count) in metrics.snapshot().operations {
                *outcome.calls.entry(format!("{verb:?}").to_lowercase()).or_default() += count;
            }
        }
        pool.close().await;
        outcome.peak_memory = watch.map_or(0, gauge::MemoryWatch::end);
        outcome.peak_resident = gauge::peak_resident(std::process::id());
        outcome.cpu_seconds = gauge::own_cpu();
        Ok(outcome)
    }
}

impl Work {
    async fn run(self, pool: &Arc<Pool>, force: bool, outcome: &mut Outcome) -> Result<()> {
        let monitor = Monitor::default();
        match self {
            Self::Init | Self::Health => {}
            Self::Upload { from, to } if from.is_dir() => {
                let options = UploadOptions { force, ..UploadOptions::default() };
                let report = pool.upload_all(&[(from, PoolPath::new(&to)?)], &options, &monitor).await?;
                if report.stale || report.failed > 0 {
                    return Err(format!("the upload is not whole: {report:?}").into());
                }
            }
            Self::Upload { from, to } => upload(pool, Source::File(from), &to, force, outcome).await?,
            Self::Stream { bytes, to } => {
                let source = Source::Stream(Box::new(Generated::new().take(bytes)));
                upload(pool, source, &to, force, outcome).await?;
            }
            Self::Download { from, to } => {
                let options = DownloadOptions { force: true, ..DownloadOptions::default() };
                pool.download(&PoolPath::new(&from)?, &to, &options, &monitor).await?;
            }
            Self::List { directory } => outcome.entries = pool.list(&PoolPath::new(&directory)?)?.len() as u64,
            Self::Rebuild => {
                let options = RebuildOptions { all: true, accept_loss: true, ..RebuildOptions::default() };
                let plan = pool.plan_rebuild(&options, &monitor).await?;
                let report = pool.rebuild(&plan, &monitor).await?;
                if report.failed + report.unrecoverable > 0 || report.shards == 0 {
                    return Err(format!("the rebuild is not whole: {report:?}").into());
                }
                (outcome.shards, outcome.stored_bytes) = (report.shards, report.bytes);
            }
            Self::Random { from, reads, bytes } => {
                let file = pool.open_file(&PoolPath::new(&from)?)?;
                let place = || rand::random::<u64>() % (file.size() - bytes).max(1);
                // So that there are connections, as in a server that runs.
                for _ in 0..reads / 5 {
                    let at = place();
                    file.read_at(at..at + bytes).await?;
                }
                let mut last = Vec::new();
                for _ in 0..reads {
                    let (at, begin) = (place(), Instant::now());
                    file.read_at(at..at + bytes).await?;
                    outcome.times_ms.push(begin.elapsed().as_secs_f64() * 1000.0);
                    last.push(at);
                }
                outcome.times_ms.sort_by(f64::total_cmp);
                let before = gets(pool);
                for at in last.into_iter().rev().take(10) {
                    file.read_at(at..at + bytes).await?;
                }
                outcome.again = gets(pool) - before;
            }
            Self::Sequence { from, step } => {
                let file = pool.open_file(&PoolPath::new(&from)?)?;
                let mut at = 0;
                while at < file.size() {
                    at += file.read_at(at..at + step).await?.iter().map(|piece| piece.len() as u64).sum::<u64>();
                }
            }
            Self::Fill { directories, files } => fill(pool, directories, files).await?,
            Self::FillChunks { directories, files } => fill_chunks(pool, directories, files).await?,
        }
        Ok(())
    }
}

fn gets(pool: &Pool) -> u64 {
    let of = |metrics: &Arc<Metrics>| metrics.snapshot().operations.get(&Verb::Get).copied().unwrap_or_default();
    pool.metrics().iter().map(of).sum()
}

async fn upload(pool: &Arc<Pool>, source: Source, to: &str, force: bool, outcome: &mut Outcome) -> Result<()> {
    let path = PoolPath::new(to)?;
    let options = UploadOptions { force, ..UploadOptions::default() };
    let report = pool.upload(source, &path, &options, &Monitor::default()).await?;
    if report.stale {
        return Err("the upload was acknowledged by too few remotes".into());
    }
    for chunk in pool.stat(&path).await?.chunks {
        outcome.shards += chunk.shards.len() as u64;
        outcome.stored_bytes += chunk.shards.iter().map(|shard| shard.size).sum::<u64>();
    }
    Ok(())
}

/// Commits entries as an upload of directories would, one commit for each directory.
async fn fill(pool: &Arc<Pool>, directories: u32, files: u32) -> Result<()> {
    for directory in 0..directories {
        let entry = |file: u32| {
            let data = format!("{directory}/{file}").into_bytes();
            let sha256 = rclonepool_core::stage::hash::sha256(&data);
            Ok(Record::Entry(Entry {
                path: PoolPath::new(&format!("/photos/{directory:04}/IMG_{file:05}.jpg"))?,
                stamp: rclonepool_core::id::Stamp::ZERO,
                rev: 0,
                mtime_ns: i64::from(file),
                created_ms: 1,
                executable: false,
                content_type: None,
                properties: Vec::new(),
                content: Content::Inline { sha256, data },
            }))
        };
        let records = (0..files).map(entry).collect::<Result<Vec<_>>>()?;
        let view = pool.view().await;
        let receipt = pool.journal().commit(&view, records).await?;
        if receipt.stale {
            return Err("a commit was acknowledged by too few remotes".into());
        }
    }
    Ok(())
}

/// Commits files of one chunk over all remotes, as uploads of directories would.
async fn fill_chunks(pool: &Arc<Pool>, directories: u32, files: u32) -> Result<()> {
    const SIZE: u64 = 100 << 20;
    let members: Vec<RemoteId> = pool.journal().membership()?.members().collect();
    let redundancy = pool.settings().redundancy;
    let layout = Layout::choose(redundancy.data, redundancy.parity, redundancy.copies, SIZE);
    for directory in 0..directories {
        let mut records = Vec::new();
        for file in 0..files {
            let n = u128::from(directory) << 32 | u128::from(file);
            // Spread over the key space, as random ids are.
            let chunk = ChunkId((n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
            let place = |index: usize| {
                let remote = members[(index + file as usize) % members.len()];
                Some(Place { index: u8::try_from(index).ok()?, copy: 0, remote, nonce: Nonce(index as u64) })
            };
            let units = |index: usize| {
                UnitChecksums(
                    (0..layout.units(SIZE, index)).map(|row| u32::try_from(row).unwrap_or_default()).collect(),
                )
            };
            records.push(Record::Chunk(ChunkRecord {
                chunk,
                stamp: Stamp::ZERO,
                size: SIZE,
                stored: SIZE,
                sha256: None,
                compression: None,
                transforms: Vec::new(),
                layout,
                units: (0..layout.shards()).map(units).collect(),
                shards: (0..layout.shards()).filter_map(place).collect(),
            }));
            let sha256 = Sha256([0; 32]);
            let extents = vec![Extent { offset: 0, length: SIZE, sha256, chunk, chunk_offset: 0 }];
            records.push(Record::Entry(Entry {
                path: PoolPath::new(&format!("/films/{directory:04}/film {file:05}.mkv"))?,
                stamp: Stamp::ZERO,
                rev: 0,
                mtime_ns: i64::from(file),
                created_ms: 1,
                executable: false,
                content_type: None,
                properties: Vec::new(),
                content: Content::File { size: SIZE, chunk_size: SIZE, extents, hashes: FileHashes::default() },
            }));
        }
        let view = pool.view().await;
        if pool.journal().commit(&view, records).await?.stale {
            return Err("a commit was acknowledged by too few remotes".into());
        }
    }
    Ok(())
}

/// Endless bytes that differ from block to block and cost little.
struct Generated {
    block: Vec<u8>,
    count: u64,
    at: usize,
}

impl Generated {
    fn new() -> Self {
        let mut block = vec![0; 1 << 20];
        rand::fill(block.as_mut_slice());
        Self { block, count: 0, at: 0 }
    }
}

impl Read for Generated {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.block.len() {
            self.count += 1;
            self.block[..8].copy_from_slice(&self.count.to_le_bytes());
            self.at = 0;
        }
        let length = into.len().min(self.block.len() - self.at);
        into[..length].copy_from_slice(&self.block[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}
