//! Random histories of a pool, and what must hold in all of them.
//!
//! Several machines with their own indexes and wrong clocks work on one pool at once, over remotes that
//! fail, lie late, change places, are unmounted, emptied, set back and lost; machines die in the middle
//! of any remote call. All of it is drawn from a seed and repeats exactly: one thread, a paused clock, no
//! randomness but the seed's. What users were promised is taken down on the way (`history`) and held
//! against what readers see, during the history and at its end by a machine that knows nothing.

mod actions;
mod care;
mod collector;
mod machine;
mod mend;
mod plan;
mod shrink;
mod stage;
mod verdict;

use std::fmt;

pub use care::Care;
pub use collector::collect;
#[cfg(test)]
pub(crate) use collector::live;
pub use plan::{Action, Content, MachinePlan, Plan, Step, What};
pub use shrink::shrink;

use crate::error::Result;
use crate::journal::Rules;

/// What kind of histories are drawn.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many operations, over all machines.
    pub operations: usize,
    /// Whether anything fails.
    pub faults: bool,
    /// Whether listings may hide the newest objects. Views then prove nothing, so less is checked.
    pub blurred: bool,
    /// Whether machines collect garbage, too.
    pub collect: bool,
    /// Whether machines verify, rebuild, rebalance, convert and restore, too, and the pool is mended in the end.
    pub care: bool,
    /// Whether few contents are stored over and over, by all machines, and deduplicated.
    pub duplicates: bool,
    /// The rules of the journal; all on but where one is to be shown to matter.
    pub rules: Rules,
}

impl Default for Options {
    fn default() -> Self {
        let rules = Rules::default();
        Self { operations: 40, faults: true, blurred: false, collect: false, care: false, duplicates: false, rules }
    }
}

/// A history in which everything held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Operations that changed the pool and were acknowledged.
    pub acknowledged: usize,
    /// Of these, those acknowledged as stale.
    pub stale: usize,
    /// Commits that were stored on some remote.
    pub commits: usize,
    /// Files read back at the end.
    pub files: usize,
    /// The history, a line per event.
    pub history: Vec<String>,
}

/// A history in which something did not hold.
#[derive(Debug)]
pub struct Failure {
    /// What it was drawn from.
    pub seed: u64,
    /// What did not hold.
    pub broken: Vec<String>,
    /// The plan, as short as it could be made.
    pub plan: Plan,
    /// What happened, a line per event.
    pub history: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.plan)?;
        for line in &self.history {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "seed {} breaks:", self.seed)?;
        self.broken.iter().try_for_each(|what| writeln!(f, "  {what}"))
    }
}

/// Runs the history of one seed.
///
/// # Errors
/// What did not hold, with the history.
pub fn run(seed: u64, options: &Options) -> Result<Outcome, Box<Failure>> {
    play(Plan::draw(seed, options), options)
}

/// Runs a plan.
///
/// # Errors
/// What did not hold, with the history.
pub fn play(plan: Plan, options: &Options) -> Result<Outcome, Box<Failure>> {
    stage::play(plan, options)
}

/// Runs the histories of many seeds, one after another, up to the first in which something does not hold;
/// that one is made shorter first. `each` hears how each ended.
///
/// # Errors
/// The shortest history found in which something does not hold.
pub fn run_many(
    seeds: impl IntoIterator<Item = u64>,
    options: impl Fn(u64) -> Options,
    mut each: impl FnMut(u64, &Outcome),
) -> Result<(), Box<Failure>> {
    for seed in seeds {
        let options = options(seed);
        match run(seed, &options) {
            Ok(outcome) => each(seed, &outcome),
            Err(failure) => return Err(shrink::shrink(failure, &options)),
        }
    }
    Ok(())
}

/// The options that `torture` draws for a seed: all kinds of histories take turns.
pub fn mixed(seed: u64) -> Options {
    Options {
        faults: !seed.is_multiple_of(8),
        blurred: seed % 8 == 1,
        collect: matches!(seed % 8, 0 | 2 | 3),
        care: matches!(seed % 8, 0 | 3 | 4 | 6),
        duplicates: (seed / 8) % 3 == 1,
        ..Options::default()
    }
}
