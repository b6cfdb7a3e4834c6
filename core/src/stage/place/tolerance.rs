//! How many remotes may be lost: what a set of places is worth.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Search nodes before the search settles for a safe answer; about a millisecond.
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
    let sets: Vec<BTreeSet<usize>> = (holders.iter())
        .map(|held| held.as_ref().iter().copied().collect())
        .filter(|set: &BTreeSet<usize>| !set.is_empty())
        .collect();
    // The chunk dies with this many of the living indices; an index dies with all its holders.
    let kill = sets.len().checked_sub(data)? + 1;
    if kill > sets.len() {
        // k = 0: no loss matters.
        return Some(sets.iter().flatten().collect::<BTreeSet<_>>().len());
    }
    Some(fewest_killers(&sets, kill) - 1)
}

/// The size of the smallest union of `kill` (1 to all) of the sets.
fn fewest_killers(sets: &[BTreeSet<usize>], kill: usize) -> usize {
    let mut load: BTreeMap<usize, usize> = BTreeMap::new();
    sets.iter().flatten().for_each(|&remote| *load.entry(remote).or_default() += 1);
    let mut sizes: Vec<usize> = sets.iter().map(BTreeSet::len).collect();
    sizes.sort_unstable();
    if sizes.iter().sum::<usize>() == load.len() {
        return sizes[..kill].iter().sum();
    }
    let mut loads: Vec<usize> = load.values().copied().collect();
    let bound = fewest_reaching(&mut loads, kill * sizes[0]).max(sizes[0]);
    // With one holder each the bound is the answer.
    if sizes.last() == Some(&1) || load.len() > u128::BITS as usize {
        return bound;
    }
    let number: BTreeMap<usize, usize> = load.keys().enumerate().map(|(number, &remote)| (remote, number)).collect();
    let mut masks: Vec<u128> = sets.iter().map(|set| set.iter().fold(0, |mask, at| mask | 1 << number[at])).collect();
    masks.sort_unstable_by_key(|mask| (mask.count_ones(), *mask));
    let mut search = Search { sets: masks, kill, best: load.len(), nodes: 0 };
    search.best = search.greedy();
    search.visit(0, 0);
    if search.nodes > MAX_NODES { bound.min(search.best) } else { search.best }
}

/// How many of the largest numbers add up to at least `target` (all, if none do).
fn fewest_reaching(numbers: &mut [usize], target: usize) -> usize {
    numbers.sort_unstable_by_key(|&number| Reverse(number));
    let mut sum = 0;
    let needed = numbers.iter().take_while(|&&number| {
        let short = sum < target;
        sum += number;
        short
    });
    needed.count()
}

/// Branch and bound for the smallest union; a set of remotes is a mask.
struct Search {
    sets: Vec<u128>,
    kill: usize,
    best: usize,
    nodes: u32,
}

impl Search {
    /// An upper bound: always add the set that costs least.
    fn greedy(&self) -> usize {
        let mut lost = 0u128;
        while self.dead(lost) < self.kill {
            let open = self.sets.iter().map(|set| set & !lost).filter(|rest| *rest != 0);
            lost |= open.min_by_key(|rest| rest.count_ones()).unwrap_or(u128::MAX);
        }
        lost.count_ones() as usize
    }

    fn dead(&self, lost: u128) -> usize {
        self.sets.iter().filter(|&set| set & !lost == 0).count()
    }

    /// A lower bound on the whole union once `lost` is in it and `more` sets must die: each of them
    /// takes at least the cheapest one's number of hits, and a remote hits as often as its load.
    fn bound(&self, lost: u128, more: usize) -> usize {
        let mut loads = [0; u128::BITS as usize];
        let mut cheapest = u128::BITS;
        for mut rest in self.sets.iter().map(|set| set & !lost).filter(|rest| *rest != 0) {
            cheapest = cheapest.min(rest.count_ones());
            while rest != 0 {
                loads[rest.trailing_zeros() as usize] += 1;
                rest &= rest - 1;
            }
        }
        let cheapest = cheapest as usize;
        lost.count_ones() as usize + fewest_reaching(&mut loads, more * cheapest).max(cheapest)
    }

    /// Tries all unions that contain `lost` and otherwise only sets from `from` on.
    fn visit(&mut self, from: usize, lost: u128) {
        self.nodes += 1;
        let dead = self.dead(lost);
        if dead >= self.kill {
            self.best = self.best.min(lost.count_ones() as usize);
            return;
        }
        if self.nodes > MAX_NODES || self.bound(lost, self.kill - dead) >= self.best {
            return;
        }
        for next in from..self.sets.len() {
            let set = self.sets[next];
            // Equal sets stand side by side, and the first brings the others with it.
            let tried = next > from && self.sets[next - 1] == set;
            if set & !lost != 0 && !tried && ((lost | set).count_ones() as usize) < self.best {
                self.visit(next + 1, lost | set);
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
