//! Requests that arrive at the clouds, for each shard stored or read.
//!
//! Two files of different lengths give a slope and a constant: what a shard costs, and what a whole command costs
//! besides (finding the pool, opening it, the commit, the look afterwards).

use serde_json::json;

use super::MIB;
use crate::clouds::{Clouds, Protocol};
use crate::places::{self, TestPool};
use crate::slowcloud::{Counts, Limits};
use crate::table::{Goal, Row};
use crate::worker::Work;
use crate::{Result, Scale};

const CLOUDS: usize = 4;
const CHUNK_BYTES: u64 = 8 * MIB;
const MOST: f64 = 1.1;

pub async fn run(scale: Scale) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for protocol in [Protocol::S3, Protocol::WebDav] {
        let small = measure(protocol, 2, scale).await?;
        let large = measure(protocol, scale.size(22, 10), scale).await?;
        rows.push(row(protocol, "upload: requests for a shard stored", &small.up, &large.up));
        rows.push(row(protocol, "download: requests for a shard read", &small.down, &large.down));
    }
    Ok(rows)
}

/// What one way took: shards moved, and the requests.
struct Taken {
    shards: u64,
    counts: Counts,
}

struct Both {
    up: Taken,
    down: Taken,
}

async fn measure(protocol: Protocol, chunks: u64, _: Scale) -> Result<Both> {
    let size = chunks * CHUNK_BYTES;
    let home = places::fast(size * 5)?;
    let (source, back) = (home.path().join("source"), home.path().join("back"));
    places::random_file(&source, size)?;
    let clouds = Clouds::start(home.path(), protocol, CLOUDS, Limits::default()).await?;
    let more = json!({ "chunk_size": CHUNK_BYTES, "redundancy_mode": "parity" });
    let pool = TestPool::init(home.path(), &clouds.labels, Some(clouds.conf.path()), more)?;
    // A pool in use has its directories.
    pool.run(Work::Stream { bytes: MIB, to: "/first".into() })?;
    let begin = clouds.counts();
    let up = pool.run(Work::Upload { from: source.clone(), to: "/file".into() })?;
    let stored = clouds.counts();
    pool.run(Work::Download { from: "/file".into(), to: back.clone() })?;
    let read = clouds.counts();
    places::check_same(&source, &back)?;
    Ok(Both {
        up: Taken { shards: up.shards, counts: since(&begin, &stored) },
        // Three of four, whichever they are.
        down: Taken { shards: up.shards * 3 / 4, counts: since(&stored, &read) },
    })
}

fn since(before: &Counts, after: &Counts) -> Counts {
    let less = |(method, count): (&String, &u64)| {
        let count = count - before.requests.get(method).copied().unwrap_or_default();
        (count > 0).then(|| (method.clone(), count))
    };
    Counts {
        requests: after.requests.iter().filter_map(less).collect(),
        up: after.up - before.up,
        down: after.down - before.down,
    }
}

#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn row(protocol: Protocol, what: &str, small: &Taken, large: &Taken) -> Row {
    let slope = |of: &dyn Fn(&Counts) -> u64| {
        (of(&large.counts) as f64 - of(&small.counts) as f64) / (large.shards - small.shards) as f64
    };
    let each = slope(&Counts::all);
    let methods = large.counts.requests.keys().map(|method| {
        let share = slope(&|counts| counts.requests.get(method).copied().unwrap_or_default());
        (method, share)
    });
    let methods: Vec<String> =
        methods.filter(|(_, share)| *share >= 0.005).map(|(method, share)| format!("{method} {share:.2}")).collect();
    Row {
        what: format!("{} {what}", protocol.name()),
        ours: format!("{each:.2} ({})", methods.join(", ")),
        beside: format!("and {:.0} a command", small.counts.all() as f64 - each * small.shards as f64),
        ratio: each,
        goal: Goal::AtMost(MOST),
    }
}
