//! Random histories on failing remotes until one breaks a promise, or time is up.
//!
//!     torture [--seed S] [--seeds N | --minutes M] [--show]
//!
//! Prints the shortest failing history found and ends with 1. `--show` prints the history of seed S.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::exit, reason = "a program")]

use std::time::{Duration, Instant};

use rclonepool_core::testing::sim;

struct Arguments {
    seed: u64,
    seeds: u64,
    time: Option<Duration>,
    show: bool,
}

fn arguments() -> Result<Arguments, String> {
    let mut found = Arguments { seed: 1, seeds: 1000, time: None, show: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || {
            let text = words.next().ok_or_else(|| format!("{word} needs a number"))?;
            text.parse::<u64>().map_err(|_| format!("{word} needs a number, not {text:?}"))
        };
        match word.as_str() {
            "--seed" => found.seed = number()?,
            "--seeds" => found.seeds = number()?,
            "--minutes" => {
                found.seeds = u64::MAX - found.seed;
                found.time = Some(Duration::from_secs(60 * number()?));
            }
            "--show" => found.show = true,
            _ => return Err(format!("{word:?} is not known; there are --seed S, --seeds N, --minutes M, --show")),
        }
    }
    Ok(found)
}

fn main() {
    let Arguments { seed, seeds, time, show } = arguments().unwrap_or_else(|why| {
        eprintln!("{why}");
        std::process::exit(2);
    });
    if show {
        match sim::run(seed, &sim::mixed(seed)) {
            Ok(outcome) => println!("{}", outcome.history.join("\n")),
            Err(failure) => println!("{failure}"),
        }
        return;
    }
    let begin = Instant::now();
    let (mut done, mut acknowledged, mut stale, mut commits, mut files) = (0u64, 0, 0, 0, 0);
    let in_time = |_: &u64| time.is_none_or(|time| begin.elapsed() < time);
    let ran = sim::run_many((seed..seed + seeds).take_while(in_time), sim::mixed, |_, outcome| {
        done += 1;
        acknowledged += outcome.acknowledged;
        stale += outcome.stale;
        commits += outcome.commits;
        files += outcome.files;
    });
    if let Err(failure) = ran {
        println!("{failure}");
        println!("again with: torture --seed {} --seeds 1", failure.seed);
        std::process::exit(1);
    }
    println!(
        "{done} histories in {:.1} s, all promises kept: {acknowledged} operations acknowledged ({stale} of them stale), \
         {commits} commits, {files} files read back at the end",
        begin.elapsed().as_secs_f64()
    );
}
