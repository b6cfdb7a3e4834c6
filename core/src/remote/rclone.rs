//! shim
use super::SharedRemote;
use crate::error::*;
use std::path::PathBuf;
use std::sync::Arc;
/// s
#[derive(Debug)]
pub struct Rclone;
/// o
#[derive(Debug)]
pub struct RcloneOptions {
    /// b
    pub binary: PathBuf,
    /// f
    pub flags: Vec<String>,
    /// c
    pub config_file: Option<PathBuf>,
    /// t
    pub temp_dir: Option<PathBuf>,
    /// d
    pub daemon: bool,
    /// p
    pub port: Option<u16>,
    /// i
    pub inherit_env: Vec<(String, String)>,
}
impl Rclone {
    /// s
    pub async fn start(_o: RcloneOptions) -> Result<Arc<Self>> {
        Err(Error::new(ErrorKind::Unsupported, "shim"))
    }
    /// r
    pub fn remote(&self, _l: &str) -> SharedRemote {
        Arc::new(super::memory::MemoryRemote::new("x"))
    }
    /// c
    pub async fn close(&self) {}
}
