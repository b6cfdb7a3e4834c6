//! Whose turn it is, when remotes take turns according to their weights.
//!
//! Stride scheduling (Waldspurger and Weihl, "Stride Scheduling: Deterministic Proportional-Share
//! Resource Management", 1995): everyone has a pass; who is chosen moves its pass on by 1 / weight;
//! the lowest passes are chosen. With equal weights that is plain round robin.

use std::collections::HashMap;

/// How many turns of its own anyone can be ahead or behind. It bounds how long a remote that was away
/// or had no choice is favoured or passed over afterwards.
const SLACK_TURNS: f64 = 4.0;

/// The passes of remotes (by position) and of failure domains, per priority.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns {
    remotes: Vec<f64>,
    domains: HashMap<(String, i64), f64>,
}

/// Someone who could have been chosen in one placement.
pub(super) struct Entrant {
    pub pass: f64,
    /// Positive and finite.
    pub weight: f64,
    /// How often it was chosen.
    pub chosen: usize,
}

impl Turns {
    /// Makes room for remotes 0..`remotes`.
    pub fn fit(&mut self, remotes: usize) {
        self.remotes.resize(remotes, 0.0);
    }

    pub fn remote(&self, at: usize) -> f64 {
        self.remotes.get(at).copied().unwrap_or(0.0)
    }

    pub fn domain(&self, name: &str, priority: i64) -> f64 {
        // Pools have few domains; building a key only to look it up is cheap next to a placement.
        self.domains.get(&(name.to_owned(), priority)).copied().unwrap_or(0.0)
    }

    pub fn set_remote(&mut self, at: usize, pass: f64) {
        if let Some(held) = self.remotes.get_mut(at) {
            *held = pass;
        }
    }

    pub fn set_domain(&mut self, name: &str, priority: i64, pass: f64) {
        self.domains.insert((name.to_owned(), priority), pass);
    }
}

/// Moves on the passes of those who were chosen.
///
/// Then nobody in line stays far behind the last chosen, and nobody chosen far ahead of the first in
/// line ("in line" are those who got least): who is always chosen (its weight asks for more than one
/// shard of every chunk), never (hard rules forbid it) or was away would otherwise drift off for ever.
pub(super) fn settle(entrants: &mut [Entrant]) {
    let least = entrants.iter().map(|one| one.chosen).min().unwrap_or(0);
    let (mut last_chosen, mut first_in_line) = (f64::NEG_INFINITY, f64::INFINITY);
    for one in entrants.iter_mut() {
        one.pass += one.chosen as f64 / one.weight;
        if one.chosen > least {
            last_chosen = last_chosen.max(one.pass);
        }
    }
    if last_chosen == f64::NEG_INFINITY {
        return;
    }
    for one in entrants.iter_mut().filter(|one| one.chosen == least) {
        one.pass = one.pass.min(last_chosen + SLACK_TURNS / one.weight);
        first_in_line = first_in_line.min(one.pass);
    }
    for one in entrants.iter_mut().filter(|one| one.chosen > least) {
        one.pass = one.pass.max(first_in_line - SLACK_TURNS / one.weight);
    }
}
