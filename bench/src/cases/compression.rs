//! What compressing costs, beside zstd's own program over the same bytes, and what is left of them.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use super::{MIB, bytes_below, mib};
use crate::places::{self, TestPool};
use crate::table::{Goal, Row, median};
use crate::worker::Work;
use crate::{Result, Scale, gauge};

const REMOTES: usize = 4;

/// CPU seconds and bytes of one file.
struct Round {
    up: [f64; 2],
    down: [f64; 2],
    stored: u64,
    /// What `zstd` takes to compress and to decompress it, and what it makes of it.
    zstd: Zstd,
}

struct Zstd {
    compress: f64,
    decompress: f64,
    bytes: u64,
}

impl Round {
    fn new(size: u64, make: fn(&Path, u64) -> Result<()>) -> Result<Self> {
        let home = places::fast(size * 4)?;
        let (source, back) = (home.path().join("source"), home.path().join("back"));
        make(&source, size)?;
        let zstd = zstd(&source, &home.path().join("source.zst"))?;
        let (mut up, mut down, mut stored) = ([0.0; 2], [0.0; 2], 0);
        for (n, on) in [false, true].into_iter().enumerate() {
            let at = home.path().join(if on { "on" } else { "off" });
            std::fs::create_dir(&at)?;
            let pool = TestPool::of_directories(&at, REMOTES, json!({ "enable_compression": on }))?;
            up[n] = pool.run(Work::Upload { from: source.clone(), to: "/file".into() })?.cpu_seconds;
            down[n] = pool.run(Work::Download { from: "/file".into(), to: back.clone() })?.cpu_seconds;
            places::check_same(&source, &back)?;
            stored = bytes_below(&at)?;
            std::fs::remove_file(&back)?;
            std::fs::remove_dir_all(&at)?;
        }
        Ok(Self { up, down, stored, zstd })
    }
}

#[allow(clippy::cast_precision_loss, reason = "for a ratio")]
pub fn run(scale: Scale) -> Result<Vec<Row>> {
    let size = scale.size(1024 * MIB, 128 * MIB);
    let (mut text, mut noise) = (Vec::new(), Vec::new());
    for _ in 0..scale.rounds {
        text.push(Round::new(size, places::text_file)?);
        noise.push(Round::new(size, places::random_file)?);
    }
    let row = |what: &str, ours: f64, beside: f64, of: &str, ratio: f64, most: f64| Row {
        what: what.into(),
        ours: format!("{ours:.2} s"),
        beside: format!("{of}: {beside:.2} s"),
        ratio,
        goal: Goal::AtMost(most),
    };
    let of = |rounds: &[Round], what: fn(&Round) -> f64| median(rounds.iter().map(what));
    let added = |way: fn(&Round) -> [f64; 2], zstd: fn(&Round) -> f64| {
        let ours = |round: &Round| way(round)[1] - way(round)[0];
        (median(text.iter().map(ours)), median(text.iter().map(|round| ours(round) / zstd(round))))
    };
    let (up, up_ratio) = added(|r| r.up, |r| r.zstd.compress);
    let (down, down_ratio) = added(|r| r.down, |r| r.zstd.decompress);
    Ok(vec![
        row(
            "CPU that compression adds to an upload of text",
            up,
            of(&text, |r| r.zstd.compress),
            "zstd -T2 -3",
            up_ratio,
            1.2,
        ),
        row(
            "CPU that it adds to a download of text",
            down,
            of(&text, |r| r.zstd.decompress),
            "zstd -d",
            down_ratio,
            1.2,
        ),
        row(
            "CPU of an upload of random bytes, compression on",
            of(&noise, |r| r.up[1]),
            of(&noise, |r| r.up[0]),
            "off",
            of(&noise, |r| r.up[1] / r.up[0]),
            1.05,
        ),
        Row {
            what: "text as it is stored".into(),
            ours: format!("{:.0} of {:.0} MiB", mib(text[0].stored), mib(size)),
            beside: format!("zstd -3: {:.0} MiB", mib(text[0].zstd.bytes)),
            ratio: of(&text, |r| r.stored as f64 / r.zstd.bytes as f64),
            goal: Goal::AtMost(1.1),
        },
        Row {
            what: "random bytes as they are stored".into(),
            ours: format!("{:.2} MiB", mib(noise[0].stored)),
            beside: format!("the bytes: {:.2} MiB", mib(size)),
            ratio: of(&noise, |r| r.stored as f64) / size as f64,
            goal: Goal::AtMost(1.001),
        },
    ])
}

fn zstd(file: &Path, packed: &Path) -> Result<Zstd> {
    let measured = |arguments: &[&str], from: &Path, to: Stdio| -> Result<f64> {
        let before = gauge::children_cpu();
        let status = Command::new("zstd").args(arguments).arg("-q").stdin(File::open(from)?).stdout(to).status();
        let status = status.map_err(|e| format!("zstd cannot be run: {e}; install it"))?;
        if !status.success() {
            return Err(format!("zstd ended with {status}").into());
        }
        Ok(gauge::children_cpu() - before)
    };
    let compress = measured(&["-T2", "-3", "-c"], file, File::create(packed)?.into())?;
    let decompress = measured(&["-d", "-c"], packed, Stdio::null())?;
    let bytes = std::fs::metadata(packed)?.len();
    std::fs::remove_file(packed)?;
    Ok(Zstd { compress, decompress, bytes })
}
