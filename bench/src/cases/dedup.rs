//! What a file costs that the pool has already, all of it or all but its front; and finding where to cut.

use std::fs::File;
use std::io::Write;
use std::num::NonZeroU64;
use std::path::Path;

use rclonepool_core::stage::chunk::content::Cutter;
use rclonepool_core::stage::hash::sha256;
use serde_json::json;

use super::{MIB, bytes_below, cpu, mib};
use crate::places::{self, TestPool};
use crate::table::{Goal, Row, median};
use crate::worker::{Outcome, Work};
use crate::{Result, Scale, gauge};

const REMOTES: usize = 4;
const PARITY: &str = "parity";
/// What is inserted at the front.
const INSERTED: &[u8] = b"a line that was not there";

struct Round {
    /// CPU seconds of the first upload, of the second one, and of `openssl sha256`.
    first: f64,
    second: f64,
    openssl: f64,
    /// Bytes that each stored.
    stored: [u64; 2],
    /// Bytes that the file stored with something at its front.
    inserted: u64,
    /// CPU seconds to look for boundaries, and to hash, 256 MiB.
    cut: f64,
    hash: f64,
}

impl Round {
    fn new(size: u64) -> Result<Self> {
        let home = places::fast(size * 6)?;
        let (source, longer) = (home.path().join("source"), home.path().join("longer"));
        places::random_file(&source, size)?;
        let mut file = File::create(&longer)?;
        file.write_all(INSERTED)?;
        std::io::copy(&mut File::open(&source)?, &mut file)?;
        let upload = |pool: &TestPool, at: &Path, from: &Path, to: &str| -> Result<(Outcome, u64)> {
            let before = bytes_below(at)?;
            let done = pool.run(Work::Upload { from: from.to_owned(), to: to.into() })?;
            Ok((done, bytes_below(at)? - before))
        };
        let pool_at = |name: &str, chunker: &str| -> Result<_> {
            let at = home.path().join(name);
            std::fs::create_dir(&at)?;
            let keys = json!({ "enable_deduplication": true, "chunker": chunker, "redundancy_mode": PARITY });
            Ok((TestPool::of_directories(&at, REMOTES, keys)?, at))
        };
        let (pool, at) = pool_at("fixed", "fixed")?;
        let openssl = cpu::openssl(&source)?;
        let (first, stored) = upload(&pool, &at, &source, "/first")?;
        let (second, again) = upload(&pool, &at, &source, "/second")?;
        std::fs::remove_dir_all(&at)?;
        let (pool, at) = pool_at("fastcdc", "fastcdc")?;
        upload(&pool, &at, &source, "/file")?;
        let (_, inserted) = upload(&pool, &at, &longer, "/longer")?;
        let (cut, hash) = by_hand();
        Ok(Self {
            first: first.cpu_seconds,
            second: second.cpu_seconds,
            openssl: f64::midpoint(openssl, cpu::openssl(&source)?),
            stored: [stored, again],
            inserted,
            cut,
            hash,
        })
    }
}

/// CPU seconds to find the boundaries of 256 MiB, and to hash them.
fn by_hand() -> (f64, f64) {
    let mut block = vec![0; 16 << 20];
    rand::fill(block.as_mut_slice());
    let longest = NonZeroU64::new(100 * MIB).unwrap_or(NonZeroU64::MIN);
    let measured = |work: &mut dyn FnMut(&[u8])| {
        let before = gauge::own_cpu();
        (0..16).for_each(|_| work(&block));
        gauge::own_cpu() - before
    };
    let mut cutter = Cutter::new(longest);
    let mut cut = |mut bytes: &[u8]| {
        while let Some(end) = cutter.push(bytes) {
            bytes = &bytes[end..];
        }
    };
    let cut = measured(&mut cut);
    let mut hash = |bytes: &[u8]| {
        std::hint::black_box(sha256(bytes));
    };
    (cut, measured(&mut hash))
}

#[allow(clippy::cast_precision_loss, reason = "for a ratio")]
pub fn run(scale: Scale) -> Result<Vec<Row>> {
    let size = scale.size(1024 * MIB, 256 * MIB);
    let rounds = (0..scale.rounds).map(|_| Round::new(size)).collect::<Result<Vec<_>>>()?;
    let of = |what: &dyn Fn(&Round) -> f64| median(rounds.iter().map(what));
    let quarter = |seconds: f64| 0.25 / seconds;
    Ok(vec![
        Row {
            what: "a file that the pool has: CPU of its upload".into(),
            ours: format!("{:.2} s", of(&|r| r.second)),
            beside: format!("the first upload, parity 3+1: {:.2} s", of(&|r| r.first)),
            ratio: of(&|r| r.second / r.first),
            goal: Goal::AtMost(0.8),
        },
        Row {
            what: "the same".into(),
            ours: format!("{:.2} s", of(&|r| r.second)),
            beside: format!("openssl sha256: {:.2} s", of(&|r| r.openssl)),
            ratio: of(&|r| r.second / r.openssl),
            goal: Goal::AtMost(1.2),
        },
        Row {
            what: "the same: bytes stored".into(),
            ours: format!("{:.3} MiB", mib(rounds[0].stored[1])),
            beside: format!("the first upload: {:.0} MiB", mib(rounds[0].stored[0])),
            ratio: of(&|r| r.stored[1] as f64 / r.stored[0] as f64),
            goal: Goal::AtMost(0.001),
        },
        Row {
            what: "a file with something inserted at its front, fastcdc: bytes stored".into(),
            ours: format!("{:.1} MiB", of(&|r| mib(r.inserted))),
            beside: format!("the file with its parity: {:.0} MiB", mib(rounds[0].stored[0])),
            ratio: of(&|r| r.inserted as f64 / r.stored[0] as f64),
            goal: Goal::AtMost(0.1),
        },
        Row {
            what: "finding boundaries, fastcdc".into(),
            ours: format!("{:.2} GiB a CPU second", of(&|r| quarter(r.cut))),
            beside: format!("our SHA-256: {:.2}", of(&|r| quarter(r.hash))),
            ratio: of(&|r| r.cut / r.hash),
            goal: Goal::AtMost(1.0),
        },
    ])
}
