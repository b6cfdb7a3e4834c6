//! This machine: directories and ports.

use std::path::{Path, PathBuf};

use rclonepool_core::remote::{DirectoryRemote, Remote};
use rclonepool_core::{Config, Error, ErrorKind};
use rclonepool_server::Face;

use super::Report;
use crate::context::open_options;
use crate::format::size;

/// With less, an index cannot grow and nothing can be staged.
const LEAST: u64 = 16 << 20;
/// With less, it will come to that.
const LITTLE: u64 = 256 << 20;

/// Whether this user may write a file, or make files in a directory, as far as trying tells without changing anything
/// that stays.
pub fn can_write(path: &Path) -> bool {
    if path.is_dir() {
        let probe = path.join(format!(".rclonepool-doctor-{}", std::process::id()));
        return std::fs::File::create_new(&probe).is_ok() && std::fs::remove_file(&probe).is_ok();
    }
    std::fs::OpenOptions::new().append(true).open(path).is_ok()
}

/// The directories that are written to.
pub async fn directories(config: &Config, report: &mut Report) {
    if config.enable_manifest_cache {
        directory("cache", "manifest_cache_dir", &config.manifest_cache_dir, report).await;
    }
    let temp = config.temp_dir.clone().unwrap_or_else(|| open_options().temp_dir());
    directory("temp", "temp_dir", &temp, report).await;
}

async fn directory(check: &'static str, key: &str, path: &Path, report: &mut Report) {
    let shown = path.display();
    // What is not there yet is made when it is needed, if that may be.
    let there = nearest(path);
    let hint = format!("give this user a directory to write to: change its permissions, or set {key} to another one");
    let refused = |why: &str| Error::new(ErrorKind::Config, format!("{shown}: {why}"));
    if !there.is_dir() {
        return report.problem(check, &refused("is no directory"), &hint);
    }
    if !can_write(&there) {
        return report.problem(check, &refused("cannot be written to"), &hint);
    }
    let Some(free) = DirectoryRemote::new(&there).usage().await.ok().and_then(|usage| usage.free) else {
        return report.ok(check, format!("{shown}: can be written to"));
    };
    let message = format!("{shown}: can be written to, {} free", size(free));
    let hint = format!("make room there, or set {key} to a directory elsewhere");
    match free {
        0..LEAST => report.problem(check, &Error::new(ErrorKind::Full, message), &hint),
        LEAST..LITTLE => report.warn(check, message, &hint),
        _ => report.ok(check, message),
    }
}

/// The path, or the nearest directory above it that is there.
fn nearest(path: &Path) -> PathBuf {
    path.ancestors().find(|path| path.symlink_metadata().is_ok()).unwrap_or(path).to_owned()
}

/// The ports of the servers, whether they are switched on or not: `serve` and `api` need no configuration for it.
pub async fn ports(config: &Config, report: &mut Report) {
    let faces = [
        (Face::Serve, &config.webdav_host, config.webdav_port),
        (Face::Api, &config.api_server_host, config.api_server_port),
        (Face::Metrics, &config.metrics_host, config.metrics_port),
    ];
    for (face, host, port) in faces {
        let name = face.as_str();
        match face.check_port(config).await {
            Ok(()) => report.ok("port", format!("{port} of {host} is free for {name}")),
            Err(error) if error.kind() == ErrorKind::Busy => {
                let hint = "all is well where that is rclonepool's own server; else end the program that has the port, \
                            or set another one";
                report.warn("port", format!("{port} of {host}, for {name}, is taken"), hint);
            }
            Err(error) => {
                report.problem("port", &error, "set the key to an address of this machine, or to another port")
            }
        }
    }
}
