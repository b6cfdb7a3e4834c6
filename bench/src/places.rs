//! Where the benchmarks keep their files, and the pools they make there.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use rclonepool_tests::rclone;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Result;
use crate::worker::{Job, Outcome, Work};

/// Directories in memory leave out the disk, which is nobody's merit.
const MEMORY: &str = "/dev/shm";

/// A directory for `bytes`, in memory where they fit twice over; gone when it is dropped.
///
/// # Errors
/// Those of the file system.
pub fn fast(bytes: u64) -> Result<TempDir> {
    let fits = |at: &str| rustix::fs::statvfs(at).is_ok_and(|found| found.f_bavail * found.f_frsize > 2 * bytes);
    if fits(MEMORY) && available_memory() > 2 * bytes { directory(Path::new(MEMORY)) } else { disk() }
}

/// A directory on the disk; gone when it is dropped.
///
/// # Errors
/// Those of the file system.
pub fn disk() -> Result<TempDir> {
    directory(&std::env::temp_dir())
}

fn directory(at: &Path) -> Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("rclonepool-bench-").tempdir_in(at)?)
}

fn available_memory() -> u64 {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() << 10
}

/// Makes a file of bytes that do not compress.
///
/// # Errors
/// Those of the file system.
pub fn random_file(path: &Path, bytes: u64) -> Result<()> {
    let mut file = File::create(path)?;
    let most = 4 << 20;
    let mut block = vec![0; usize::try_from(bytes).map_or(most, |bytes| bytes.min(most))];
    let mut left = bytes;
    while left > 0 {
        rand::fill(block.as_mut_slice());
        let length = usize::try_from(left).map_or(block.len(), |left| left.min(block.len()));
        file.write_all(&block[..length])?;
        left -= length as u64;
    }
    Ok(())
}

/// Makes a file of lines such as logs have: words of a list, the first ones most often, and numbers.
///
/// # Errors
/// Those of the file system.
pub fn text_file(path: &Path, bytes: u64) -> Result<()> {
    const SYLLABLES: [&str; 16] =
        ["an", "ber", "con", "der", "el", "fi", "gar", "hin", "ion", "ka", "lo", "men", "nor", "ost", "per", "ta"];
    let words: Vec<String> = (0..4096).map(|n| [n % 16, n / 16 % 16, n / 256].map(|n| SYLLABLES[n]).concat()).collect();
    let mut file = std::io::BufWriter::with_capacity(1 << 20, File::create(path)?);
    let (mut left, mut line) = (bytes, 0u64);
    while left > 0 {
        let mut text = format!("2026-01-{:02} {line:010} ", line / 1_000_000 % 28 + 1);
        for random in rand::random::<[u16; 12]>() {
            // Of two the smaller one: short numbers are drawn most.
            let nth = usize::from(random % 4096).min(usize::from(rand::random::<u16>() % 4096));
            text.push_str(&words[nth * nth / 4096]);
            text.push(' ');
        }
        text.push('\n');
        let length = usize::try_from(left).map_or(text.len(), |left| left.min(text.len()));
        file.write_all(&text.as_bytes()[..length])?;
        left -= length as u64;
        line += 1;
    }
    Ok(file.flush()?)
}

/// Whether two files have the same bytes.
///
/// # Errors
/// `InvalidData` when they have not; those of the file system.
pub fn check_same(one: &Path, other: &Path) -> Result<()> {
    let sum = |path: &Path| -> Result<_> {
        let mut hasher = rclonepool_core::stage::hash::Hasher::new();
        let mut file = File::open(path)?;
        let mut block = vec![0; 1 << 20];
        loop {
            match std::io::Read::read(&mut file, &mut block)? {
                0 => return Ok(hasher.finish()),
                length => hasher.update(&block[..length]),
            }
        }
    };
    if sum(one)? == sum(other)? { Ok(()) } else { Err(format!("{} has other bytes", other.display()).into()) }
}

/// A pool and its configuration.
pub struct TestPool {
    /// The configuration.
    pub config: Value,
}

impl TestPool {
    /// Makes a pool of `remotes`; its index lies in `home`. `more` are further keys of the configuration.
    ///
    /// # Errors
    /// Those of the pool.
    pub fn init(home: &Path, remotes: &[String], rclone_conf: Option<&Path>, more: Value) -> Result<Self> {
        let mut config = json!({
            "remotes": remotes,
            "manifest_cache_dir": home.join("index"),
            "rclone_binary": rclone::binary(),
            "rclone_config_file": rclone_conf.unwrap_or(Path::new("/dev/null")),
        });
        if let (Some(config), Value::Object(more)) = (config.as_object_mut(), more) {
            config.extend(more);
        }
        let mut pool = Self { config };
        let made = pool.run(Work::Init)?;
        // As `rclonepool init` writes it into the configuration.
        pool.config["pool_id"] = made.pool.into();
        Ok(pool)
    }

    /// Makes a pool of `count` new directories below `home`, default settings but for `more`.
    ///
    /// # Errors
    /// Those of the file system and the pool.
    pub fn of_directories(home: &Path, count: usize, more: Value) -> Result<Self> {
        let remotes = directories(home, "remote", count)?;
        let labels: Vec<String> = remotes.iter().map(|path| path.display().to_string()).collect();
        Self::init(home, &labels, None, more)
    }

    /// Does something with it in a process of its own.
    ///
    /// # Errors
    /// What that process said.
    pub fn run(&self, work: Work) -> Result<Outcome> {
        Job::new(&self.config, work).run()
    }
}

/// Makes `count` directories below `home`.
///
/// # Errors
/// Those of the file system.
pub fn directories(home: &Path, name: &str, count: usize) -> Result<Vec<PathBuf>> {
    let make = |n| {
        let path = home.join(format!("{name}{n}"));
        std::fs::create_dir_all(&path)?;
        Ok(path)
    };
    (1..=count).map(make).collect()
}
