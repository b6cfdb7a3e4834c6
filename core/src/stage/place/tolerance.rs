//! How many remotes may be lost: what a set of places is worth.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Search nodes before the search settles for a safe answer.
const MAX_NODES: u32 = 4_000;

/// How many remotes, whichever, may be lost before the chunk is: `holders` has, per shard index, who
/// holds a copy of it (any numbers that tell remotes apart; repeated or none is allowed). `None`: it is
/// lost already, fewer than `data` (k) indices have a holder.
///
/// Given failure domains instead of remotes it counts domains.
///
/// Never more than the truth. Exact where every shard has one holder, where no remote holds two
/// shards, and for small numbers of remotes; a search cut short answers a bound, which may be lower.
pub fn tolerated_losses<H: AsRef<[usize]>>(holders: &[H], data: usize) -> Option<usize> {
    let sets: Vec<BTreeSet<usize>> = holders
        .iter()
        .map(|held| held.as_ref().iter().copied().collect())
        .filter(|set: &BTreeSet<_>| !set.is_empty())
        .collect();
    // The chunk dies with this many of the living indices; an index dies with all its holders.
    let kill = sets.len().checked_sub(data)? + 1;
    if kill > sets.len() {
        // k = 0: nothing is needed, so nothing can be lost; answer what can be said of it.
        return Some(sets.iter().flatten().collect::<BTreeSet<_>>().len());
    }
    Some(fewest_killers(sets, kill) - 1)
}

/// The size of the smallest union of `kill` (1 to all) of the sets.
fn fewest_killers(mut sets: Vec<BTreeSet<usize>>, kill: usize) -> usize {
    sets.sort_by_key(BTreeSet::len);
    let remotes: BTreeSet<usize> = sets.iter().flatten().copied().collect();
    let load = loads(&sets, &BTreeSet::new());
    if sets.iter().map(BTreeSet::len).sum::<usize>() == remotes.len() {
        return sets[..kill].iter().map(BTreeSet::len).sum();
    }
    if sets.iter().all(|set| set.len() == 1) {
        return fewest_reaching(&load, kill);
    }
    let mut search = Search { sets, kill, best: remotes.len(), nodes: 0 };
    search.best = search.best.min(search.greedy());
    let bound = search.bound(&BTreeSet::new(), kill);
    search.visit(0, &BTreeSet::new());
    if search.nodes > MAX_NODES { bound.min(search.best) } else { search.best }
}

/// How many sets each remote is in, most first, leaving out those in `lost` and the sets they cover.
fn loads(sets: &[BTreeSet<usize>], lost: &BTreeSet<usize>) -> Vec<usize> {
    let mut count: BTreeMap<usize, usize> = BTreeMap::new();
    for set in sets.iter().filter(|set| !set.is_subset(lost)) {
        for remote in set.difference(lost) {
            *count.entry(*remote).or_default() += 1;
        }
    }
    let mut loads: Vec<usize> = count.into_values().collect();
    loads.sort_by_key(|&load| Reverse(load));
    loads
}

/// How many of the largest numbers add up to at least `target`.
fn fewest_reaching(largest_first: &[usize], target: usize) -> usize {
    let mut sum = 0;
    let needed = largest_first.iter().take_while(|&&load| {
        let short = sum < target;
        sum += load;
        short
    });
    needed.count()
}

/// Branch and bound for the smallest union.
struct Search {
    sets: Vec<BTreeSet<usize>>,
    kill: usize,
    best: usize,
    nodes: u32,
}

impl Search {
    /// An upper bound: always add the set that costs least.
    fn greedy(&self) -> usize {
        let mut lost = BTreeSet::new();
        for _ in 0..self.kill {
            let open = self.sets.iter().filter(|set| !set.is_subset(&lost));
            let Some(next) = open.min_by_key(|set| set.difference(&lost).count()).cloned() else { break };
            lost.extend(next);
            if self.dead(&lost) >= self.kill {
                break;
            }
        }
        lost.len()
    }

    fn dead(&self, lost: &BTreeSet<usize>) -> usize {
        self.sets.iter().filter(|set| set.is_subset(lost)).count()
    }

    /// A lower bound on the whole union once `lost` is in it and `more` sets must die: each of them
    /// takes at least the cheapest one's number of hits, and a remote hits as often as its load.
    fn bound(&self, lost: &BTreeSet<usize>, more: usize) -> usize {
        let open = self.sets.iter().filter(|set| !set.is_subset(lost));
        let cheapest = open.map(|set| set.difference(lost).count()).min().unwrap_or(0);
        lost.len() + fewest_reaching(&loads(&self.sets, lost), more * cheapest).max(cheapest)
    }

    /// Tries all unions that contain `lost` and otherwise only sets from `from` on.
    fn visit(&mut self, from: usize, lost: &BTreeSet<usize>) {
        self.nodes += 1;
        let dead = self.dead(lost);
        if dead >= self.kill {
            self.best = self.best.min(lost.len());
            return;
        }
        if self.nodes > MAX_NODES || self.bound(lost, self.kill - dead) >= self.best {
            return;
        }
        let mut seen = BTreeSet::new();
        for next in from..self.sets.len() {
            if self.sets[next].is_subset(lost) || !seen.insert(self.sets[next].clone()) {
                continue;
            }
            let union: BTreeSet<usize> = lost.union(&self.sets[next]).copied().collect();
            if union.len() < self.best {
                self.visit(next + 1, &union);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// By its definition: tries every set of remotes.
    fn brute_force(holders: &[Vec<usize>], data: usize, remotes: usize) -> Option<usize> {
        let survives = |lost: u32| {
            holders.iter().filter(|held| held.iter().any(|&remote| lost >> remote & 1 == 0)).count() >= data
        };
        (0..=remotes)
            .take_while(|&size| (0u32..1 << remotes).filter(|lost| lost.count_ones() as usize == size).all(survives))
            .last()
    }

    #[test]
    fn known_answers() {
        let distinct: Vec<Vec<usize>> = (0..14).map(|index| vec![index]).collect();
        assert_eq!(tolerated_losses(&distinct, 10), Some(4));
        // 3 + 1 on two remotes survives none; on one, none.
        assert_eq!(tolerated_losses(&[[0], [1], [0], [1]], 3), Some(0));
        // 2 + 1 in two copies on six remotes: any five shards.
        let hybrid: Vec<Vec<usize>> = (0..3).map(|index| vec![2 * index, 2 * index + 1]).collect();
        assert_eq!(tolerated_losses(&hybrid, 2), Some(3));
        assert_eq!(tolerated_losses(&[vec![0, 1, 2]], 1), Some(2));
        assert_eq!(tolerated_losses(&[vec![0], vec![], vec![1]], 2), Some(0));
        assert_eq!(tolerated_losses(&[vec![0], vec![], vec![]], 2), None);
        assert_eq!(tolerated_losses::<[usize; 0]>(&[], 1), None);
        assert_eq!(tolerated_losses(&[[5, 5]], 1), Some(0));
    }

    #[test]
    fn a_large_tangle_ends_soon_with_a_safe_answer() {
        // 40 + 20 in 3 copies on 30 remotes, scattered.
        let holders: Vec<Vec<usize>> =
            (0..60usize).map(|i| (0..3).map(|c| (i * 7 + c * (3 + i % 5) + i * i % 11) % 30).collect()).collect();
        let tolerated = tolerated_losses(&holders, 40).unwrap();
        // A shard has at most 3 holders, so 2 are always survived; 21 indices die with all 30.
        assert!((2..30).contains(&tolerated), "{tolerated}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn agrees_with_brute_force(
            holders in prop::collection::vec(prop::collection::vec(0usize..8, 0..4), 1..9), data in 1usize..6,
        ) {
            prop_assert_eq!(tolerated_losses(&holders, data), brute_force(&holders, data, 8));
        }

        #[test]
        fn agrees_with_brute_force_on_single_holders(holders in prop::collection::vec(0usize..6, 1..12), data in 1usize..8) {
            let holders: Vec<Vec<usize>> = holders.into_iter().map(|remote| vec![remote]).collect();
            prop_assert_eq!(tolerated_losses(&holders, data), brute_force(&holders, data, 6));
        }
    }
}
