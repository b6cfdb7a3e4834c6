//! Five clouds of equal bandwidth, one of which lost everything: how fast it is filled again.
//!
//! Of a file in 4+1, each survivor is read for as many bytes as the lost one is written; every shard is read
//! back, too. What could be: the bytes of the lost shards at the bandwidth of one cloud.

use std::time::Duration;

use serde_json::json;

use super::MIB;
use crate::clouds::{Clouds, Protocol};
use crate::places::{self, TestPool};
use crate::slowcloud::Limits;
use crate::table::{Goal, Row, median};
use crate::worker::Work;
use crate::{Result, Scale};

const CLOUDS: usize = 5;
/// So little that neither we nor `rclone serve` are what limits.
const BYTES_PER_SECOND: f64 = 5e6;
const ROUND_TRIP: Duration = Duration::from_millis(40);
const CHUNK_BYTES: u64 = 8 * MIB;
const LEAST_SHARE: f64 = 0.85;

#[allow(clippy::cast_precision_loss, reason = "for a ratio")]
pub async fn run(scale: Scale) -> Result<Vec<Row>> {
    let size = scale.size(512 * MIB, 64 * MIB);
    let mut shares = Vec::new();
    for _ in 0..scale.rounds {
        let home = places::fast(size * 3)?;
        let (source, back) = (home.path().join("source"), home.path().join("back"));
        places::random_file(&source, size)?;
        let limits =
            Limits { bytes_per_second: Some(BYTES_PER_SECOND), round_trip: ROUND_TRIP, requests_per_second: None };
        let clouds = Clouds::start(home.path(), Protocol::S3, CLOUDS, limits).await?;
        let settings = json!({
            "chunk_size": CHUNK_BYTES,
            "redundancy_mode": "parity", "parity_data_shards": 4, "parity_parity_shards": 1,
        });
        let pool = TestPool::init(home.path(), &clouds.labels, Some(clouds.conf.path()), settings)?;
        pool.run(Work::Upload { from: source.clone(), to: "/file".into() })?;
        clouds.lose_last(home.path(), "_data")?;
        let rebuilt = pool.run(Work::Rebuild)?;
        shares.push(rebuilt.stored_bytes as f64 / BYTES_PER_SECOND / rebuilt.all_seconds);
        // Now it is one of the others that dies; what was rebuilt takes its place.
        clouds.kill_last_but_one();
        pool.run(Work::Download { from: "/file".into(), to: back.clone() })?;
        places::check_same(&source, &back)?;
    }
    let share = median(shares);
    Ok(vec![Row {
        what: "rebuild of one lost cloud of 5 in 4+1, share of one cloud's bandwidth".into(),
        ours: format!("{share:.3}"),
        beside: "the wire".into(),
        ratio: share,
        goal: Goal::AtLeast(LEAST_SHARE),
    }])
}
