//! Many small files to clouds that are far away: requests for each file, and files a second.
//!
//! Whole commands are timed and counted, from the start of the process and of its rclone to its end.

use std::path::Path;
use std::time::{Duration, Instant};

use rclonepool_tests::rclone;
use serde_json::json;

use crate::clouds::{Clouds, Protocol};
use crate::places::{self, TestPool};
use crate::slowcloud::Limits;
use crate::table::{Goal, Row, median};
use crate::worker::Work;
use crate::{Result, Scale};

const CLOUDS: usize = 4;
const ROUND_TRIP: Duration = Duration::from_millis(40);
const FILE_BYTES: u64 = 16 << 10;
/// For each file.
const MOST_REQUESTS: f64 = 0.05;
const LEAST_SPEEDUP: f64 = 20.0;
/// Ours by default.
const CHUNK: &str = "100M";

/// Of each round, up and down.
#[derive(Default)]
struct Taken {
    requests: [Vec<f64>; 2],
    /// Files a second.
    speed: [Vec<f64>; 2],
}

pub async fn run(scale: Scale) -> Result<Vec<Row>> {
    let files = scale.size(2000, 200);
    // As many would take minutes; what one takes does not depend on how many there are.
    let peer_files = scale.size(24, 8);
    let (mut ours, mut peer) = (Taken::default(), Taken::default());
    for _ in 0..scale.rounds {
        round(files, peer_files, &mut ours, &mut peer).await?;
    }
    let mut rows = Vec::new();
    for (way, what) in ["upload", "download"].into_iter().enumerate() {
        let middle = |values: &[Vec<f64>; 2]| median(values[way].iter().copied());
        let beside = format!("rclone chunker over union, {peer_files} files");
        let each = middle(&ours.requests);
        rows.push(Row {
            what: format!("{what} of {files} files of 16 KiB, parity 3+1, 40 ms: requests for a file"),
            ours: format!("{each:.3}"),
            beside: format!("{beside}: {:.1}", middle(&peer.requests)),
            ratio: each,
            // Of fewer files the constant part is most.
            goal: if scale.quick { Goal::None } else { Goal::AtMost(MOST_REQUESTS) },
        });
        rows.push(Row {
            what: format!("{what} of them: files a second"),
            ours: format!("{:.0}", middle(&ours.speed)),
            beside: format!("{beside}: {:.1}", middle(&peer.speed)),
            ratio: median(ours.speed[way].iter().zip(&peer.speed[way]).map(|(ours, peer)| ours / peer)),
            goal: if scale.quick { Goal::None } else { Goal::AtLeast(LEAST_SPEEDUP) },
        });
    }
    Ok(rows)
}

async fn round(files: u32, peer_files: u32, ours: &mut Taken, peer: &mut Taken) -> Result<()> {
    let home = places::fast(u64::from(files) * FILE_BYTES * 8)?;
    let [many, few, back, peer_back] = ["many", "few", "back", "peer-back"].map(|name| home.path().join(name));
    for (directory, count) in [(&many, files), (&few, peer_files)] {
        std::fs::create_dir(directory)?;
        for n in 0..count {
            places::random_file(&directory.join(format!("{n:04}")), FILE_BYTES)?;
        }
    }
    let limits = Limits { round_trip: ROUND_TRIP, ..Limits::default() };
    let mut clouds = Clouds::start(home.path(), Protocol::S3, CLOUDS, limits).await?;
    let upstreams: Vec<String> = clouds.labels.iter().map(|label| format!("{label}/peer")).collect();
    clouds.conf.section("union", "union", &[("upstreams", &upstreams.join(" ")), ("create_policy", "rand")]);
    // Without hashes, which is its fastest.
    clouds.conf.section("joined", "chunker", &[("remote", "union:"), ("chunk_size", CHUNK), ("hash_type", "none")]);
    let parity = json!({ "redundancy_mode": "parity", "parity_data_shards": 3, "parity_parity_shards": 1 });
    let pool = TestPool::init(home.path(), &clouds.labels, Some(clouds.conf.path()), parity)?;

    let measure = |taken: &mut Taken, way: usize, count: u32, work: &dyn Fn() -> Result<()>| -> Result<()> {
        let (before, begin) = (clouds.counts().all(), Instant::now());
        work()?;
        let seconds = begin.elapsed().as_secs_f64();
        taken.speed[way].push(f64::from(count) / seconds);
        #[allow(clippy::cast_precision_loss, reason = "small numbers")]
        taken.requests[way].push((clouds.counts().all() - before) as f64 / f64::from(count));
        Ok(())
    };
    let run = |work: Work| pool.run(work).map(drop);
    let copy = |from: &Path, to: &Path| {
        rclone::run([Path::new("--config"), clouds.conf.path(), Path::new("copy"), from, to]);
        Ok(())
    };
    measure(ours, 0, files, &|| run(Work::Upload { from: many.clone(), to: "/many".into() }))?;
    measure(peer, 0, peer_files, &|| copy(&few, Path::new("joined:")))?;
    measure(ours, 1, files, &|| run(Work::Download { from: "/many".into(), to: back.clone() }))?;
    measure(peer, 1, peer_files, &|| copy(Path::new("joined:"), &peer_back))?;
    for (source, back, count) in [(&many, &back, files), (&few, &peer_back, peer_files)] {
        for n in 0..count {
            let name = format!("{n:04}");
            places::check_same(&source.join(&name), &back.join(&name))?;
        }
    }
    Ok(())
}
