//! What Python costs beside Rust: a file read in order, 1 MiB at a time; and a directory listed through fsspec, beside
//! fsspec's WebDAV over our own server.

use std::path::{Path, PathBuf};
use std::process::Command;

use rclonepool_core::path::PoolPath;
use rclonepool_core::pool::{OpenOptions, Source, UploadOptions};
use rclonepool_core::{Config, Monitor, Pool};
use rclonepool_server::{Face, Server};
use serde_json::json;

use super::{MIB, in_order, mib};
use crate::places::{self, TestPool};
use crate::table::{Goal, Row, median};
use crate::worker::Work;
use crate::{Result, Scale};

const FILE: &str = "/file";
/// Where [`Work::Fill`] puts the files of its first directory.
const DIRECTORY: &str = "/photos/0000";
/// Each reads and lists so often; the fastest counts, as what disturbs it is not ours.
const TIMES: usize = 5;

pub async fn run(scale: Scale) -> Result<Vec<Row>> {
    let (bytes, entries) = (scale.size(256, 16) * MIB, scale.size(10_000, 1000));
    let home = places::fast(4 * bytes)?;
    let made = TestPool::of_directories(home.path(), 3, json!({ "redundancy_mode": "replication" }))?;
    made.run(Work::Fill { directories: 1, files: entries })?;
    let (config, text) = (Config::parse(&made.config.to_string())?, made.config.to_string());
    let local = home.path().join("local");
    places::random_file(&local, bytes)?;
    let path = PoolPath::new(FILE)?;
    let pool = Pool::open(&config, &OpenOptions::default()).await?;
    pool.upload(Source::File(local), &path, &UploadOptions::default(), &Monitor::default()).await?;
    pool.close().await;
    drop(pool);

    let package = package(home.path())?;
    let mut serving = config.clone();
    serving.webdav_port = 0;
    let server = Server::builder(serving).faces(&[Face::Serve]).start().await?;
    let url = server.addresses().first().ok_or("it does not listen")?.url.clone();
    let (mut speeds, mut rust_seconds, mut python_seconds) = (vec![], vec![], vec![]);
    let (mut faster, mut ours_ms, mut theirs_ms) = (vec![], vec![], vec![]);
    for _ in 0..scale.rounds {
        let (config, path) = (config.clone(), path.clone());
        // Each opens the pool anew, so that none finds the other's cache; each on a thread of its own.
        let reading = move || in_order::fastest(&config, &path, bytes, MIB, TIMES);
        let rust = tokio::task::spawn_blocking(reading).await??;
        let (package, text, url) = (package.clone(), text.clone(), url.clone());
        let asking = move || Figures::of_python(&package, &text, &url);
        let python = tokio::task::spawn_blocking(asking).await??;
        python.check(bytes, u64::from(entries))?;
        speeds.push(rust / least(&python.reads));
        rust_seconds.push(rust);
        python_seconds.push(least(&python.reads));
        faster.push(least(&python.theirs) / least(&python.ours));
        ours_ms.push(least(&python.ours) * 1000.0);
        theirs_ms.push(least(&python.theirs) * 1000.0);
    }
    server.shutdown().await;
    let speed = |seconds: Vec<f64>| format!("{:.0} MiB/s", mib(bytes) / median(seconds));
    Ok(vec![
        Row {
            what: "1 MiB reads in order: speed of Python, beside Rust".into(),
            ours: speed(python_seconds),
            beside: speed(rust_seconds),
            ratio: median(speeds),
            goal: Goal::AtLeast(0.9),
        },
        Row {
            what: format!("fsspec: listing {entries} entries, beside fsspec's WebDAV over our server"),
            ours: format!("{:.1} ms", median(ours_ms)),
            beside: format!("{:.0} ms", median(theirs_ms)),
            ratio: median(faster),
            goal: Goal::AtLeast(5.0),
        },
    ])
}

fn least(seconds: &[f64]) -> f64 {
    seconds.iter().copied().fold(f64::MAX, f64::min)
}

/// What the Python program prints.
#[derive(Debug, serde::Deserialize)]
struct Figures {
    reads: Vec<f64>,
    bytes: Vec<u64>,
    ours: Vec<f64>,
    theirs: Vec<f64>,
    entries: Vec<u64>,
}

impl Figures {
    fn of_python(package: &Path, config: &str, url: &str) -> Result<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cases/python.py");
        let output = Command::new("python3")
            .args([script, config, FILE, &TIMES.to_string(), DIRECTORY, url])
            .env("PYTHONPATH", package)
            .output()?;
        if !output.status.success() {
            return Err(format!("the Python program: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    fn check(&self, bytes: u64, entries: u64) -> Result<()> {
        let all = |found: &[u64], wanted, times| found.len() == times && found.iter().all(|count| *count == wanted);
        if all(&self.bytes, bytes, TIMES) && all(&self.entries, entries, 2 * TIMES) {
            return Ok(());
        }
        Err(format!("Python read or listed something else: {self:?}").into())
    }
}

/// The package as it is installed: its sources, with the module that lies beside this program.
fn package(directory: &Path) -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let module = here.parent().ok_or("no directory")?.join("lib_rclonepool.so");
    if !module.exists() {
        return Err(format!("{} is not there: cargo build --release -p rclonepool-python", module.display()).into());
    }
    let sources = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../python/python/rclonepool"));
    let package = directory.join("package");
    std::fs::create_dir_all(package.join("rclonepool"))?;
    for source in std::fs::read_dir(sources)? {
        let source = source?;
        // A module that was built for developing is another one.
        if source.path().extension().is_some_and(|extension| extension == "py") {
            std::os::unix::fs::symlink(source.path(), package.join("rclonepool").join(source.file_name()))?;
        }
    }
    std::os::unix::fs::symlink(module, package.join("rclonepool/_rclonepool.abi3.so"))?;
    Ok(package)
}
