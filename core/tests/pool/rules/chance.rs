//! Rules without which random histories break soon.
//!
//! With all rules the same seeds are among those of `simulation`.

use rclonepool_core::journal::Rules;
use rclonepool_core::testing::sim;

/// Plays the histories of seeds without a rule until one breaks a promise.
fn breaks(off: fn(&mut Rules), seeds: std::ops::Range<u64>) {
    for seed in seeds.clone() {
        let mut options = sim::mixed(seed);
        off(&mut options.rules);
        if sim::run(seed, &options).is_err() {
            return;
        }
    }
    panic!("no history of the seeds {seeds:?} breaks without the rule");
}

#[test]
fn data_first() {
    breaks(|rules| rules.data_first = false, 0..40);
}

#[test]
fn view_before_commit() {
    breaks(|rules| rules.view_before_commit = false, 0..40);
}

#[test]
fn markers() {
    breaks(|rules| rules.markers = false, 0..40);
}
