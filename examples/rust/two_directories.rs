//! Pools two directories, stores a file on both, loses one, reads the file back.
//!
//! `cargo run -p rclonepool-examples --example two_directories`
#![allow(clippy::print_stdout)] // a program, not a library

use std::sync::Arc;

use rclonepool_core::pool::{DownloadOptions, OpenOptions, Source, UploadOptions};
use rclonepool_core::{Config, Monitor, Pool, PoolPath, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let here = tempfile::tempdir().map_err(|e| rclonepool_core::Error::io("no scratch directory", e))?;
    let (first, second) = (here.path().join("disk1"), here.path().join("disk2"));
    for disk in [&first, &second] {
        std::fs::create_dir(disk).map_err(|e| rclonepool_core::Error::io("cannot make a disk", e))?;
    }
    let config = format!(
        r#"{{ "remotes": [{first:?}, {second:?}], "redundancy_mode": "replication", "manifest_cache_dir": {:?} }}"#,
        here.path().join("cache")
    );
    let config = Config::parse(&config)?;
    let made = Pool::init(&config, &OpenOptions::default()).await?;
    println!("made pool {}", made.pool);

    let pool: Arc<Pool> = Pool::open(&config, &OpenOptions::default()).await?;
    let path = PoolPath::new("/greetings/hello.txt")?;
    let hello = Source::Bytes("hello, pool\n".repeat(1000).into());
    let report = pool.upload(hello, &path, &UploadOptions::default(), &Monitor::default()).await?;
    println!("stored {} bytes at {path}", report.bytes);
    pool.close().await;

    // A disk dies, and with it everything local.
    for gone in [&second, &here.path().join("cache")] {
        std::fs::remove_dir_all(gone).map_err(|e| rclonepool_core::Error::io("cannot lose it", e))?;
    }
    let pool = Pool::open(&config, &OpenOptions::default()).await?;
    let copy = here.path().join("copy.txt");
    pool.download(&path, &copy, &DownloadOptions::default(), &Monitor::default()).await?;
    let text = std::fs::read_to_string(&copy).map_err(|e| rclonepool_core::Error::io("cannot read the copy", e))?;
    println!("read back {} bytes: {:?}…", text.len(), text.lines().next().unwrap_or_default());
    pool.close().await;
    Ok(())
}
