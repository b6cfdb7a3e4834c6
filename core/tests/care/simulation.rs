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

/// Several machines store the same few contents over and over, while others delete them, empty the trash, collect
/// and move: nothing that was promised is lost with what it shares.
fn duplicates(seeds: std::ops::Range<u64>) {
    let options = |seed: u64| Options {
        collect: true,
        care: !seed.is_multiple_of(3),
        faults: !seed.is_multiple_of(4),
        duplicates: true,
        ..Options::default()
    };
    let (mut shared, mut freed, mut files) = (0, 0, 0);
    let ran = sim::run_many(seeds, options, |_, outcome| {
        let lines = |text: &str| outcome.history.iter().filter(|line| line.contains(text)).count();
        shared += lines("bytes deduplicated");
        freed += lines("dropped ") - lines("dropped 0") + lines("dropped: ") - lines("dropped: 0");
        files += outcome.files;
    });
    if let Err(failure) = ran {
        panic!("{failure}");
    }
    assert!(shared > 40 && freed > 2 && files > 100, "{shared} uploads shared, {freed} runs freed, {files} files");
}

#[test]
fn duplicates_beside_everything_else() {
    duplicates(7000..7024);
}

#[test]
fn more_duplicates() {
    duplicates(7024..7048);
}
