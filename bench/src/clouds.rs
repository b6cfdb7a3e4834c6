//! Slow clouds with rclone on both sides: `rclone serve` behind the proxy, a remote of rclone's before it.

use std::path::Path;

use rclonepool_tests::rclone::{Config, Server};

use crate::Result;
use crate::places::directories;
use crate::slowcloud::{Counts, Limits, SlowCloud};

/// What a cloud speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// S3, objects with MD5 sums.
    S3,
    /// WebDAV, without any sums.
    WebDav,
}

impl Protocol {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::S3 => "S3",
            Self::WebDav => "WebDAV",
        }
    }
}

/// Some clouds of a kind.
pub struct Clouds {
    /// What rclone calls them, with their directory.
    pub labels: Vec<String>,
    /// rclone's configuration.
    pub conf: Config,
    fronts: Vec<SlowCloud>,
    _servers: Vec<Server>,
}

impl Clouds {
    /// Starts `count` clouds that keep their objects below `home`.
    ///
    /// # Errors
    /// Those of the file system and the sockets.
    pub async fn start(home: &Path, protocol: Protocol, count: usize, limits: Limits) -> Result<Self> {
        let mut conf = Config::new(home);
        let (mut labels, mut fronts, mut servers) = (Vec::new(), Vec::new(), Vec::new());
        for (n, directory) in (1..).zip(directories(home, "cloud", count)?) {
            // What S3 calls a bucket.
            std::fs::create_dir(directory.join("pool"))?;
            let server = match protocol {
                Protocol::S3 => Server::s3(&directory),
                Protocol::WebDav => Server::webdav(&directory),
            };
            let front = SlowCloud::before(server.address().parse()?, limits).await?;
            let (name, url) = (format!("cloud{n}"), format!("http://{}/", front.address()));
            match protocol {
                Protocol::S3 => conf.s3_at(&name, &url),
                Protocol::WebDav => conf.webdav_at(&name, &url),
            }
            labels.push(format!("{name}:pool"));
            fronts.push(front);
            servers.push(server);
        }
        Ok(Self { labels, conf, fronts, _servers: servers })
    }

    /// What passed through all of them since they began.
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for counts in self.fronts.iter().map(SlowCloud::counts) {
            sum.up += counts.up;
            sum.down += counts.down;
            for (method, count) in counts.requests {
                *sum.requests.entry(method).or_default() += count;
            }
        }
        sum
    }

    /// The last one loses the objects whose name has `part` in it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn lose_last(&self, home: &Path, part: &str) -> Result<()> {
        let mut ahead = vec![home.join(format!("cloud{}", self.fronts.len()))];
        while let Some(directory) = ahead.pop() {
            for entry in std::fs::read_dir(directory)? {
                let path = entry?.path();
                if path.is_dir() {
                    ahead.push(path);
                } else if path.to_string_lossy().contains(part) {
                    std::fs::remove_file(path)?;
                }
            }
        }
        Ok(())
    }

    /// The last but one dies.
    pub fn kill_last_but_one(&self) {
        if let Some(front) = self.fronts.iter().rev().nth(1) {
            front.kill();
        }
    }

    /// The last one becomes so many times slower.
    pub fn slow_last(&self, times: u32) {
        if let Some(last) = self.fronts.last() {
            last.slow_down(times);
        }
    }

    /// The last one dies.
    pub fn kill_last(&self) {
        if let Some(last) = self.fronts.last() {
            last.kill();
        }
    }
}
