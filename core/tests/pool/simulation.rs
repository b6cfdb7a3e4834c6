//! Random histories: the invariants hold in all of them.
//!
//! `sim::mixed` takes turns: of eight seeds three collect garbage too, one has listings that hide the newest
//! objects, one has no faults.

use rclonepool_core::testing::sim;

/// Plays the `n`-th fifty of seeds.
fn hold(n: u64) {
    let (mut acknowledged, mut files, mut compressed) = (0, 0, 0);
    let ran = sim::run_many(n * 50..(n + 1) * 50, sim::mixed, |_, outcome| {
        acknowledged += outcome.acknowledged;
        files += outcome.files;
        compressed += usize::from(outcome.history.iter().any(|line| line.ends_with("chunks are compressed")));
    });
    if let Err(failure) = ran {
        panic!("{failure}");
    }
    // Histories in which nothing succeeds prove nothing.
    assert!(acknowledged > 250 && files > 100, "{acknowledged} acknowledged, {files} files");
    assert!(compressed > 5, "{compressed} histories with compressed chunks");
}

/// A test for each fifty of seeds, so that they run side by side.
macro_rules! fifties {
    ($($name:ident $n:literal)*) => {
        $(
            #[test]
            fn $name() {
                hold($n);
            }
        )*
    };
}

fifties! {
    from_0 0
    from_50 1
    from_100 2
    from_150 3
    from_200 4
    from_250 5
    from_300 6
    from_350 7
    from_400 8
    from_450 9
    from_500 10
    from_550 11
    from_600 12
    from_650 13
    from_700 14
    from_750 15
    from_800 16
    from_850 17
    from_900 18
    from_950 19
}

#[test]
fn one_seed_one_history() {
    for seed in 0..8 {
        let run = || sim::run(seed, &sim::mixed(seed)).map_err(|failure| panic!("{failure}"));
        assert_eq!(run(), run(), "seed {seed}");
    }
}
