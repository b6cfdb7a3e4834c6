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
    let mut seconds: [Vec<f64>; 4] = Default::default();
    for round in 0..scale.rounds {
        let home = places::fast(size * 4)?;
        // rclone's chunker over a union reads a single file wrong, its chunks in the order of a listing that is not
        // sorted (1.75.2); of a directory it reads it right.
        let [from, to] = ["from", "to"].map(|name| home.path().join(name));
        std::fs::create_dir(&from)?;
        let (source, back) = (from.join("file"), to.join("file"));
        places::random_file(&source, size)?;
        let pool = TestPool::of_directories(home.path(), DIRECTORIES, json!({}))?;
        let peer = Peer::new(home.path())?;
        let ours = |work: Work| pool.run(work).map(|outcome| outcome.all_seconds);
        let up = || ours(Work::Upload { from: source.clone(), to: "/file".into() });
        let down = || ours(Work::Download { from: "/file".into(), to: back.clone() });
        let peer_up = || peer.copy(&from, Path::new("pool:"));
        let peer_down = || peer.copy(Path::new("pool:"), &to);
        // Who comes first changes from round to round.
        let mut measure = |at: usize, one: &dyn Fn() -> Result<f64>, other: &dyn Fn() -> Result<f64>| -> Result<()> {
            let pairs: [(usize, &dyn Fn() -> Result<f64>); 2] = [(at, one), (at + 1, other)];
            for turn in 0..2 {
                let (at, work) = pairs[(turn + round) % 2];
                seconds[at].push(work()?);
                if at >= 2 {
                    places::check_same(&source, &back)?;
                    std::fs::remove_file(&back)?;
                }
            }
            Ok(())
        };
        measure(0, &up, &peer_up)?;
        measure(2, &down, &peer_down)?;
    }
    let row = |what: &str, ours: &[f64], peer: &[f64]| Row {
        what: format!("{what} {DIRECTORIES} directories, mode none, default settings: throughput"),
        ours: format!("{:.0} MiB/s", mib(size) / median(ours.iter().copied())),
        beside: format!("rclone chunker over union: {:.0} MiB/s", mib(size) / median(peer.iter().copied())),
        ratio: median(ours.iter().zip(peer).map(|(ours, peer)| peer / ours)),
        goal: Goal::AtLeast(1.0),
    };
    Ok(vec![row("upload to", &seconds[0], &seconds[1]), row("download from", &seconds[2], &seconds[3])])
}

/// rclone's own way of joining directories.
struct Peer {
    conf: rclone::Config,
}

impl Peer {
    fn new(home: &Path) -> Result<Self> {
        let upstreams: Vec<String> =
            directories(home, "peer", DIRECTORIES)?.iter().map(|path| path.display().to_string()).collect();
        let mut conf = rclone::Config::new(home);
        conf.section("union", "union", &[("upstreams", &upstreams.join(" ")), ("create_policy", "rand")]);
        // Without hashes, which is its fastest.
        conf.section("pool", "chunker", &[("remote", "union:"), ("chunk_size", CHUNK), ("hash_type", "none")]);
        Ok(Self { conf })
    }

    fn copy(&self, from: &Path, to: &Path) -> Result<f64> {
        let begin = Instant::now();
        rclone::run([Path::new("--config"), self.conf.path(), Path::new("copy"), from, to]);
        Ok(begin.elapsed().as_secs_f64())
    }
}
