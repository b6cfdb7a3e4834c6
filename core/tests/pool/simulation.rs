//! Random histories: the invariants hold in all of them.

use rclonepool_core::testing::sim::{self, Options};

fn hold(seeds: std::ops::Range<u64>) {
    let (mut acknowledged, mut stale, mut files) = (0, 0, 0);
    let ran = sim::run_many(seeds, sim::mixed, |_, outcome| {
        acknowledged += outcome.acknowledged;
        stale += outcome.stale;
        files += outcome.files;
    });
    if let Err(failure) = ran {
        panic!("{failure}");
    }
    // Histories in which nothing succeeds prove nothing.
    assert!(acknowledged > 0 && files > 0, "{acknowledged} acknowledged, {stale} stale, {files} files");
}

#[test]
fn some() {
    hold(0..20);
}

#[test]
fn one_seed_one_history() {
    for seed in 0..8 {
        let run = || sim::run(seed, &sim::mixed(seed)).map_err(|failure| panic!("{failure}"));
        assert_eq!(run(), run(), "seed {seed}");
    }
}

fn _options(_: Options) {}
