//! One file to five equal clouds: ours beside what people would use instead, in turns in one run.
//!
//! Whole commands, from the start of the process to its end, with the requests and bytes that arrive at the clouds. All
//! store the file once (mode none), cut into pieces of 8 MiB where they cut it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rclonepool_tests::rclone;
use serde_json::json;

use super::{MIB, mib};
use crate::clouds::{Clouds, Protocol};
use crate::places::{self, TestPool};
use crate::slowcloud::Limits;
use crate::table::{Goal, Row, median};
use crate::worker::Work;
use crate::{Result, Scale};

const CLOUDS: usize = 5;
const BYTES_PER_SECOND: f64 = 5e6;
const ROUND_TRIP: Duration = Duration::from_millis(40);
const CHUNK_BYTES: u64 = 8 * MIB;
const WORKERS: u32 = 8;
const RESTIC: &str = "restic";

/// Who takes part, in the order of the table; ours first.
const PEERS: [&str; 6] = [
    "ours",
    "rclone to one cloud",
    "rclone crypt over one cloud",
    "rclone chunker over union",
    "rclone crypt over chunker over union",
    "restic to one cloud through rclone",
];

/// What a command took.
#[derive(Clone, Copy)]
struct Taken {
    seconds: f64,
    requests: u64,
    bytes: u64,
}

pub async fn run(scale: Scale) -> Result<Vec<Row>> {
    let size = scale.size(96 * MIB, 16 * MIB);
    let peers = if has_restic() { PEERS.len() } else { PEERS.len() - 1 };
    // Up and down, of each, round after round.
    let mut taken: [Vec<Vec<Taken>>; 2] = [vec![Vec::new(); peers], vec![Vec::new(); peers]];
    for turn in 0..scale.rounds {
        let stage = Stage::new(size).await?;
        // Who comes first changes from round to round.
        for who in (0..peers).map(|n| (n + turn) % peers) {
            taken[0][who].push(stage.measure(|| stage.store(who))?);
        }
        for who in (0..peers).map(|n| (n + turn) % peers) {
            taken[1][who].push(stage.measure(|| stage.fetch(who))?);
            stage.check(who)?;
        }
    }
    let mut rows = Vec::new();
    for (what, taken) in ["upload", "download"].into_iter().zip(&taken) {
        for (peer, name) in taken.iter().zip(PEERS).skip(1) {
            rows.push(Row {
                what: format!("{what} of {:.0} MiB, {CLOUDS} clouds of 5 MB/s and 40 ms: throughput", mib(size)),
                ours: describe(size, &taken[0]),
                beside: format!("{name}: {}", describe(size, peer)),
                ratio: median(taken[0].iter().zip(peer).map(|(ours, peer)| peer.seconds / ours.seconds)),
                goal: Goal::AtLeast(1.0),
            });
        }
    }
    Ok(rows)
}

#[allow(clippy::cast_precision_loss, reason = "for people")]
fn describe(size: u64, taken: &[Taken]) -> String {
    let of = |value: fn(&Taken) -> f64| median(taken.iter().map(value));
    format!(
        "{:.1} MiB/s, {:.0} requests, {:.2} bytes a byte",
        mib(size) / of(|taken| taken.seconds),
        of(|taken| taken.requests as f64),
        of(|taken| taken.bytes as f64) / size as f64,
    )
}

fn has_restic() -> bool {
    Command::new(RESTIC).arg("version").output().is_ok_and(|output| output.status.success())
}

/// The clouds, and all who use them.
struct Stage {
    home: tempfile::TempDir,
    clouds: Clouds,
    pool: TestPool,
}

impl Stage {
    async fn new(size: u64) -> Result<Self> {
        let home = places::fast(size * 16)?;
        let from = home.path().join("from");
        std::fs::create_dir(&from)?;
        places::random_file(&from.join("file"), size)?;
        let limits =
            Limits { bytes_per_second: Some(BYTES_PER_SECOND), round_trip: ROUND_TRIP, requests_per_second: None };
        let mut clouds = Clouds::start(home.path(), Protocol::S3, CLOUDS, limits).await?;
        let one = clouds.labels[0].clone();
        let union = |name: &str| {
            let upstreams: Vec<String> = clouds.labels.iter().map(|label| format!("{label}/{name}")).collect();
            upstreams.join(" ")
        };
        let (plain, secret) = (union("plain"), union("secret"));
        let conf = &mut clouds.conf;
        let chunk = CHUNK_BYTES.to_string() + "B";
        conf.crypt("crypt", &format!("{one}/crypt"));
        for (name, upstreams) in [("plain", &plain), ("secret", &secret)] {
            let union = format!("union-{name}");
            conf.section(&union, "union", &[("upstreams", upstreams), ("create_policy", "rand")]);
            let over = format!("{union}:");
            // Without hashes, which is its fastest.
            conf.section(
                &format!("chunker-{name}"),
                "chunker",
                &[("remote", &over), ("chunk_size", &chunk), ("hash_type", "none")],
            );
        }
        conf.crypt("joined-crypt", "chunker-secret:");
        let more = json!({ "chunk_size": CHUNK_BYTES, "max_parallel_workers": WORKERS });
        let pool = TestPool::init(home.path(), &clouds.labels, Some(clouds.conf.path()), more)?;
        let stage = Self { home, clouds, pool };
        if has_restic() {
            stage.restic(&["init"])?;
        }
        Ok(stage)
    }

    fn measure(&self, work: impl FnOnce() -> Result<()>) -> Result<Taken> {
        let (before, begin) = (self.clouds.counts(), Instant::now());
        work()?;
        let (seconds, after) = (begin.elapsed().as_secs_f64(), self.clouds.counts());
        let bytes = after.up + after.down - before.up - before.down;
        Ok(Taken { seconds, requests: after.all() - before.all(), bytes })
    }

    fn from(&self) -> PathBuf {
        self.home.path().join("from")
    }

    fn back(&self, who: usize) -> PathBuf {
        self.home.path().join(format!("back{who}"))
    }

    /// Where rclone keeps the file; none for who is not rclone alone.
    fn remote(&self, who: usize) -> Option<String> {
        match who {
            1 => Some(format!("{}/alone", self.clouds.labels[0])),
            2 => Some("crypt:".into()),
            3 => Some("chunker-plain:".into()),
            4 => Some("joined-crypt:".into()),
            _ => None,
        }
    }

    fn store(&self, who: usize) -> Result<()> {
        let from = self.from();
        match self.remote(who) {
            Some(remote) => self.copy(&from, Path::new(&remote)),
            None if who == 0 => {
                return self.pool.run(Work::Upload { from: from.join("file"), to: "/file".into() }).map(drop);
            }
            None => return self.restic(&["backup", &from.display().to_string()]),
        }
        Ok(())
    }

    fn fetch(&self, who: usize) -> Result<()> {
        let back = self.back(who);
        std::fs::create_dir(&back)?;
        match self.remote(who) {
            Some(remote) => self.copy(Path::new(&remote), &back),
            None if who == 0 => {
                return self.pool.run(Work::Download { from: "/file".into(), to: back.join("file") }).map(drop);
            }
            None => return self.restic(&["restore", "latest", "--target", &back.display().to_string()]),
        }
        Ok(())
    }

    fn check(&self, who: usize) -> Result<()> {
        let (from, back) = (self.from(), self.back(who));
        // restic restores below the whole path.
        let beneath = back.join(from.strip_prefix("/")?);
        let found = if beneath.exists() { beneath } else { back.clone() };
        places::check_same(&from.join("file"), &found.join("file"))?;
        Ok(std::fs::remove_dir_all(back)?)
    }

    fn copy(&self, from: &Path, to: &Path) {
        rclone::run([Path::new("--config"), self.clouds.conf.path(), Path::new("copy"), from, to]);
    }

    fn restic(&self, words: &[&str]) -> Result<()> {
        let program = format!("rclone.program={}", rclone::binary().display());
        let output = Command::new(RESTIC)
            .args(["--repo", &format!("rclone:{}/restic", self.clouds.labels[0]), "--option", &program, "--no-cache"])
            .args(words)
            .env("RCLONE_CONFIG", self.clouds.conf.path())
            .env("RESTIC_PASSWORD", "benchmark")
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("restic {words:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
    }
}
