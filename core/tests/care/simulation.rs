//! Random histories in which machines free space all the time: nothing that was promised is lost.

use rclonepool_core::testing::sim::{self, Options};

#[test]
fn freeing_beside_everything_else() {
    let options = |seed: u64| Options { collect: true, faults: !seed.is_multiple_of(4), ..Options::default() };
    let (mut freed, mut files) = (0, 0);
    let ran = sim::run_many(5000..5024, options, |_, outcome| {
        // The pool's own care says what it did in other words than the simulation's collector.
        freed += outcome.history.iter().filter(|line| line.contains("marked") && !line.contains("marked 0")).count();
        files += outcome.files;
    });
    if let Err(failure) = ran {
        panic!("{failure}");
    }
    assert!(freed > 0 && files > 0, "{freed} runs freed something, {files} files");
}

#[test]
fn packs_are_written_anew_beside_everything_else() {
    let options =
        |seed: u64| Options { collect: true, care: true, faults: !seed.is_multiple_of(3), ..Options::default() };
    let mut packs = 0;
    let ran = sim::run_many(6000..6032, options, |_, outcome| {
        packs += outcome
            .history
            .iter()
            .filter(|line| line.contains("Repacked { packs: ") && !line.contains("packs: 0"))
            .count();
    });
    if let Err(failure) = ran {
        panic!("{failure}");
    }
    assert!(packs > 0, "no pack was ever written anew");
}
