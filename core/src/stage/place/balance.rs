//! Which shards to move so that remotes are filled alike.
//!
//! The end is what new uploads would choose: the hard rules of placement first, then priorities, then
//! fills, over fair shares times weights. Chunks are shown one after another, so that a pool of any size
//! is planned in little memory; what is decided depends on nothing but the figures and the order.
//!
//! Two planners with the same figures never move a shard back and forth: every move of a pass makes
//! something strictly smaller that no other move makes larger again. [`Pass::Spread`] makes a chunk's shards
//! lie more evenly, or raises a priority; [`Pass::Level`] takes from a remote that stays fuller than the
//! receiver was left with, so that the fills, sorted from the largest, become smaller as a sequence.

use super::field::domain_numbers;
use super::fill::{level_shares, variance_points};
use super::{Candidate, tolerated_losses};

/// A copy of a shard of a chunk, and where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lying {
    /// The shard's index in the chunk.
    pub index: usize,
    /// Its bytes.
    pub size: u64,
    /// The position of the candidate that holds it; `None`: none of them does.
    pub at: Option<usize>,
}

/// What is looked for while chunks are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Everything leaves the remotes that are evacuated.
    Evacuate,
    /// Shards that lie closer together than they need to, or on a lower priority than they need to.
    Spread,
    /// Shards of at least so many bytes that lie on remotes filled too much and could lie on those filled
    /// too little.
    Level {
        /// Smaller shards stay: moving large ones costs fewer requests.
        min_size: u64,
        /// Remotes filled just right may take or give, too, where nobody else can.
        through: bool,
    },
}

/// A move: which of the shards that were shown, and where to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The shard's position in what was shown.
    pub shard: usize,
    /// The position of the candidate it goes to.
    pub to: usize,
    /// Whether the chunk survives fewer losses afterwards (only of [`Pass::Evacuate`]).
    pub sinks: bool,
}

/// Plans moves, chunk by chunk.
#[derive(Debug, Clone)]
pub struct Balancer {
    candidates: Vec<Candidate>,
    domains: Vec<usize>,
    evacuated: Vec<bool>,
    fair: Vec<f64>,
    target: f64,
    /// Between which fills each candidate is filled just right.
    just_right: Vec<(f64, f64)>,
    stuck: u64,
}

/// The shards of one chunk per remote and per domain.
struct Counts {
    held: Vec<usize>,
    domain_held: Vec<usize>,
}

impl Balancer {
    /// Plans among `candidates` until the fills of those of one priority differ by at most `target`
    /// percentage points. Who refuses neither gives nor takes; those `evacuated` (by position) give all.
    pub fn new(mut candidates: Vec<Candidate>, evacuated: &[usize], target: f64) -> Self {
        for at in evacuated {
            if let Some(candidate) = candidates.get_mut(*at) {
                candidate.refuses.get_or_insert_with(|| "it is drained".into());
            }
        }
        let mut new = Self {
            domains: domain_numbers(&candidates),
            evacuated: (0..candidates.len()).map(|at| evacuated.contains(&at)).collect(),
            fair: level_shares(&candidates),
            target: if target.is_finite() { target.max(0.0) / 100.0 } else { f64::INFINITY },
            just_right: Vec::new(),
            stuck: 0,
            candidates,
        };
        new.aim();
        new
    }

    /// The candidates, with the bytes they would have after what was planned.
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// How many bytes of shards that were to leave found no room.
    pub fn stuck(&self) -> u64 {
        self.stuck
    }

    /// The fill of each candidate after what was planned.
    pub fn fills(&self) -> Vec<f64> {
        (0..self.candidates.len()).map(|at| self.fill(at)).collect()
    }

    /// The fair share of each candidate in bytes, weights included.
    pub fn shares(&self) -> Vec<u64> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at least 1, and it saturates")]
        self.fair.iter().map(|share| *share as u64).collect()
    }

    /// The largest difference of fills among remotes of one priority that accept, in percentage points.
    pub fn variance(&self) -> f64 {
        let of = |priority: i64| variance_points(self.open(priority).map(|at| self.fill(at)));
        self.priorities().into_iter().map(of).fold(0.0, f64::max)
    }

    /// Finds anew between which fills remotes are filled just right; for the beginning of levelling.
    ///
    /// Of all ranges as wide as the target it is the one that costs the fewest bytes: what lies above
    /// it falls, what is lacking below it rises with the range, and the larger of both must move.
    pub fn aim(&mut self) {
        self.just_right = vec![(0.0, f64::INFINITY); self.candidates.len()];
        for priority in self.priorities() {
            let open: Vec<usize> = self.open(priority).collect();
            let most = |at: usize| self.fill(at) + if self.is_full(at) { 0.0 } else { self.room(at) / self.fair[at] };
            let surplus = |level: f64| -> f64 {
                open.iter().map(|&at| (self.fill(at) - level - self.target).max(0.0) * self.fair[at]).sum()
            };
            let lack = |level: f64| -> f64 {
                open.iter().map(|&at| (level.min(most(at)) - self.fill(at)).max(0.0) * self.fair[at]).sum()
            };
            let (mut low, mut high) = (0.0, open.iter().map(|&at| self.fill(at)).fold(0.0, f64::max));
            for _ in 0..100 {
                let middle = f64::midpoint(low, high);
                if surplus(middle) > lack(middle) { low = middle } else { high = middle }
            }
            let right: Vec<_> = open.iter().map(|&at| (at, (low.min(most(at)), high + self.target))).collect();
            right.into_iter().for_each(|(at, range)| self.just_right[at] = range);
        }
    }

    /// Whether the target is reached.
    pub fn is_level(&self) -> bool {
        self.priorities().into_iter().all(|priority| {
            let most = self.open(priority).map(|at| self.fill(at)).fold(0.0, f64::max);
            // Who is full cannot be fuller.
            let takes = |at: &usize| !self.is_full(*at);
            let least = self.open(priority).filter(takes).map(|at| self.fill(at)).fold(f64::INFINITY, f64::min);
            most - least <= self.target
        })
    }

    /// Shows a chunk of which any `data` indices are enough; moves are entered in `shards` and in the figures.
    pub fn visit(&mut self, shards: &mut [Lying], data: usize, pass: Pass) -> Vec<Step> {
        let mut steps = Vec::new();
        if shards.is_empty() || matches!(pass, Pass::Level { .. }) && self.is_level() {
            return steps;
        }
        let mut counts = self.counts(shards);
        if pass == Pass::Evacuate {
            for shard in 0..shards.len() {
                if shards[shard].at.is_some_and(|at| self.evacuated[at]) {
                    steps.extend(self.evacuate(shards, &mut counts, data, shard));
                }
            }
            return steps;
        }
        // Each move makes something smaller, so that this ends; the bound only guards against a mistake.
        for _ in 0..2 * shards.len() {
            let best = match pass {
                Pass::Level { min_size, through } => self.best_level(shards, &counts, data, min_size, through),
                _ => self.best_spread(shards, &counts, data),
            };
            let Some((shard, to)) = best else { break };
            self.apply(shards, &mut counts, shard, to);
            steps.push(Step { shard, to, sinks: false });
        }
        steps
    }

    fn used(&self, at: usize) -> f64 {
        self.candidates[at].used as f64
    }

    fn room(&self, at: usize) -> f64 {
        self.candidates[at].room() as f64
    }

    fn fill(&self, at: usize) -> f64 {
        self.used(at) / self.fair[at]
    }

    fn fill_with(&self, at: usize, size: u64) -> f64 {
        (self.used(at) + size as f64) / self.fair[at]
    }

    /// Whether what it could still take would make no difference.
    fn is_full(&self, at: usize) -> bool {
        self.room(at) / self.fair[at] <= self.target / 2.0
    }

    fn priorities(&self) -> Vec<i64> {
        let mut all: Vec<i64> = self.candidates.iter().map(|one| one.priority).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Those of a priority that give and take.
    fn open(&self, priority: i64) -> impl Iterator<Item = usize> + '_ {
        let open = move |one: &Candidate| one.priority == priority && one.refuses.is_none();
        self.candidates.iter().enumerate().filter(move |(_, one)| open(one)).map(|(at, _)| at)
    }

    fn takes(&self, at: usize, size: u64) -> bool {
        self.candidates[at].refuses.is_none() && self.candidates[at].room() >= size
    }

    fn counts(&self, shards: &[Lying]) -> Counts {
        let mut counts = Counts { held: vec![0; self.candidates.len()], domain_held: vec![0; self.candidates.len()] };
        for at in shards.iter().filter_map(|shard| shard.at) {
            counts.held[at] += 1;
            counts.domain_held[self.domains[at]] += 1;
        }
        counts
    }

    fn apply(&mut self, shards: &mut [Lying], counts: &mut Counts, shard: usize, to: usize) {
        let size = shards[shard].size;
        if let Some(from) = shards[shard].at {
            counts.held[from] -= 1;
            counts.domain_held[self.domains[from]] -= 1;
            let from = &mut self.candidates[from];
            from.used = from.used.saturating_sub(size);
            from.free = from.free.map(|free| free.saturating_add(size));
        }
        shards[shard].at = Some(to);
        counts.held[to] += 1;
        counts.domain_held[self.domains[to]] += 1;
        let to = &mut self.candidates[to];
        to.used = to.used.saturating_add(size);
        to.free = to.free.map(|free| free.saturating_sub(size));
    }

    /// How the hard rules see a move, as placement ranks them; negative is better, 0 is as before.
    fn hard(&self, shards: &[Lying], counts: &Counts, shard: usize, from: usize, to: usize) -> [isize; 4] {
        let same = |at: usize, domain: bool| {
            let is = |held: usize| if domain { self.domains[held] == self.domains[at] } else { held == at };
            let copies = shards.iter().enumerate().filter(|(n, one)| *n != shard && one.index == shards[shard].index);
            copies.filter(|(_, one)| one.at.is_some_and(is)).count()
        };
        let more = |to: usize, from: usize| to.cast_signed() - from.cast_signed();
        let remote = [more(same(to, false), same(from, false)), more(counts.held[to], counts.held[from] - 1)];
        if self.domains[from] == self.domains[to] {
            return [remote[0], remote[1], 0, 0];
        }
        let (there, here) = (counts.domain_held[self.domains[to]], counts.domain_held[self.domains[from]] - 1);
        [remote[0], remote[1], more(same(to, true), same(from, true)), more(there, here)]
    }

    /// How many remotes and how many domains the chunk survives the loss of.
    fn tolerance(&self, shards: &[Lying], data: usize) -> (Option<usize>, Option<usize>) {
        let indices = shards.iter().map(|one| one.index + 1).max().unwrap_or(0);
        let holders = |number: &dyn Fn(usize) -> usize| {
            let mut holders = vec![Vec::new(); indices];
            shards.iter().for_each(|one| holders[one.index].extend(one.at.map(number)));
            tolerated_losses(&holders, data)
        };
        (holders(&|at| at), holders(&|at| self.domains[at]))
    }

    /// Whether the chunk survives as much afterwards as before.
    fn keeps(&self, shards: &[Lying], data: usize, shard: usize, to: usize) -> bool {
        let mut after = shards.to_vec();
        after[shard].at = Some(to);
        let (before, after) = (self.tolerance(shards, data), self.tolerance(&after, data));
        after.0 >= before.0 && after.1 >= before.1
    }

    fn evacuate(&mut self, shards: &mut [Lying], counts: &mut Counts, data: usize, shard: usize) -> Option<Step> {
        let (from, size) = (shards[shard].at?, shards[shard].size);
        let rank = |&to: &usize| {
            let hard = self.hard(shards, counts, shard, from, to);
            (hard, std::cmp::Reverse(self.candidates[to].priority), self.fill_with(to, size).to_bits(), to)
        };
        let Some(to) = (0..self.candidates.len()).filter(|&at| self.takes(at, size)).min_by_key(rank) else {
            self.stuck += size;
            return None;
        };
        let sinks = !self.keeps(shards, data, shard, to);
        self.apply(shards, counts, shard, to);
        Some(Step { shard, to, sinks })
    }

    /// The move that the hard rules, or else priorities, like best.
    fn best_spread(&self, shards: &[Lying], counts: &Counts, data: usize) -> Option<(usize, usize)> {
        let mut found = Vec::new();
        for (shard, one) in shards.iter().enumerate() {
            let Some(from) = one.at.filter(|&at| self.candidates[at].refuses.is_none()) else { continue };
            for to in (0..self.candidates.len()).filter(|&to| to != from && self.takes(to, one.size)) {
                let hard = self.hard(shards, counts, shard, from, to);
                let rise = (self.candidates[from].priority, self.candidates[to].priority);
                if hard < [0; 4] || (hard == [0; 4] && rise.1 > rise.0) {
                    let fill = self.fill_with(to, one.size).to_bits();
                    found.push((hard, std::cmp::Reverse(rise.1), rise.0, fill, shard, to));
                }
            }
        }
        found.sort_unstable();
        found.into_iter().map(|one| (one.4, one.5)).find(|&(shard, to)| self.keeps(shards, data, shard, to))
    }

    /// The move from the fullest to the emptiest that the hard rules do not mind.
    fn best_level(
        &self,
        shards: &[Lying],
        counts: &Counts,
        data: usize,
        min_size: u64,
        through: bool,
    ) -> Option<(usize, usize)> {
        let mut found = Vec::new();
        for (shard, one) in shards.iter().enumerate().filter(|(_, one)| one.size >= min_size.max(1)) {
            let Some(from) = one.at.filter(|&at| self.candidates[at].refuses.is_none()) else { continue };
            let (fill, (low, high)) = (self.fill(from), self.just_right[from]);
            let over = fill > high;
            let left = (self.used(from) - one.size as f64) / self.fair[from];
            let gives = over || (through && left >= low);
            if !gives {
                continue;
            }
            for to in self.open(self.candidates[from].priority).filter(|&to| to != from) {
                let after = self.fill_with(to, one.size);
                let under = self.fill(to) < self.just_right[to].0;
                let wanted = match (over, under) {
                    (true, true) => true,
                    (true, false) => through && after <= self.just_right[to].1,
                    (false, under) => under,
                };
                // Both end between where they were, so that the difference only falls; and small differences
                // are left alone, or where the target cannot be reached ever less would move for ever.
                if wanted
                    && fill - self.fill(to) > self.target / 2.0
                    && after < fill
                    && left >= self.fill(to)
                    && self.takes(to, one.size)
                    && self.hard(shards, counts, shard, from, to).iter().all(|worse| *worse <= 0)
                {
                    // Fills are never negative, and the bits of such numbers sort as they do.
                    found.push((std::cmp::Reverse((fill - self.fill(to)).to_bits()), shard, to));
                }
            }
        }
        found.sort_unstable();
        found.into_iter().map(|one| (one.1, one.2)).find(|&(shard, to)| self.keeps(shards, data, shard, to))
    }
}

#[cfg(test)]
mod tests;
