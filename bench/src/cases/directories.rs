//! Plain directories without limits: ours beside `rclone copy` to chunker over union of as many directories.

use std::path::Path;
use std::time::Instant;

use rclonepool_tests::rclone;
use serde_json::json;

use super::{MIB, mib};
use crate::places::{self, TestPool, directories};
use crate::table::{Goal, Row, median};
use crate::worker::Work;
use crate::{Result, Scale};

const DIRECTORIES: usize = 4;
/// Ours by default; rclone's own default, 2 GiB, would make it a copy of one file to one directory.
const CHUNK: &str = "100M";

pub fn run(scale: Scale) -> Result<Vec<Row>> {
    let size = scale.size(1024 * MIB, 256 * MIB);
    // Up and down, of each: ours and the two peers.
    let mut seconds: [[Vec<f64>; 3]; 2] = Default::default();
    for round in 0..scale.rounds {
        let home = places::fast(size * 5)?;
        // rclone's chunker over a union reads a single file wrong, its chunks in the order of a listing that is not
        // sorted (1.75.2); of a directory it reads it right.
        let [from, to] = ["from", "to"].map(|name| home.path().join(name));
        std::fs::create_dir(&from)?;
        let (source, back) = (from.join("file"), to.join("file"));
        places::random_file(&source, size)?;
        let pool = TestPool::of_directories(home.path(), DIRECTORIES, json!({}))?;
        let peers = [Peer::new(home.path(), "md5")?, Peer::new(home.path(), "none")?];
        let ours = |work: Work| pool.run(work).map(|outcome| outcome.all_seconds);
        // Who comes first changes from round to round.
        let order = || (0..3).map(|turn| (turn + round) % 3);
        for who in order() {
            seconds[0][who].push(match who {
                0 => ours(Work::Upload { from: source.clone(), to: "/file".into() })?,
                peer => peers[peer - 1].copy(&from, Path::new("pool:"))?,
            });
        }
        for who in order() {
            seconds[1][who].push(match who {
                0 => ours(Work::Download { from: "/file".into(), to: back.clone() })?,
                peer => peers[peer - 1].copy(Path::new("pool:"), &to)?,
            });
            places::check_same(&source, &back)?;
            std::fs::remove_file(&back)?;
        }
    }
    let row = |what: &str, seconds: &[Vec<f64>; 3], peer: usize, whose: &str, goal| Row {
        what: format!("{what} {DIRECTORIES} directories, mode none, default settings: throughput"),
        ours: format!("{:.0} MiB/s", mib(size) / median(seconds[0].iter().copied())),
        beside: format!("{whose}: {:.0} MiB/s", mib(size) / median(seconds[peer].iter().copied())),
        ratio: median(seconds[0].iter().zip(&seconds[peer]).map(|(ours, peer)| peer / ours)),
        goal,
    };
    let rows = ["upload to", "download from"].into_iter().zip(&seconds).flat_map(|(what, seconds)| {
        [
            row(what, seconds, 1, "rclone chunker over union", Goal::AtLeast(1.0)),
            row(what, seconds, 2, "the same, checking nothing", Goal::None),
        ]
    });
    Ok(rows.collect())
}

/// rclone's own way of joining directories.
struct Peer {
    conf: rclone::Config,
}

impl Peer {
    /// With the hash by which chunker checks a file, `md5` by default.
    fn new(home: &Path, hash: &str) -> Result<Self> {
        let upstreams: Vec<String> = directories(home, &format!("peer-{hash}"), DIRECTORIES)?
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let home = home.join(hash);
        std::fs::create_dir(&home)?;
        let mut conf = rclone::Config::new(&home);
        conf.section("union", "union", &[("upstreams", &upstreams.join(" ")), ("create_policy", "rand")]);
        conf.section("pool", "chunker", &[("remote", "union:"), ("chunk_size", CHUNK), ("hash_type", hash)]);
        Ok(Self { conf })
    }

    fn copy(&self, from: &Path, to: &Path) -> Result<f64> {
        let begin = Instant::now();
        rclone::run([Path::new("--config"), self.conf.path(), Path::new("copy"), from, to]);
        Ok(begin.elapsed().as_secs_f64())
    }
}
