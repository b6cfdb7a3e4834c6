//! The choice of one remote for one shard, within one placement.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::Candidate;
use super::fill::weighted_shares;
use super::turns::{Entrant, Turns, settle};

/// What decides among remotes that are equal under the hard rules and in priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taste {
    Fill,
    Turn,
    TurnThenFill,
    Chance,
}

/// A candidate while a placement is made.
struct Slot<'a> {
    /// As it is given, before this placement.
    candidate: &'a Candidate,
    /// Bytes it can still take; `u64::MAX`: no limit is known.
    room: u64,
    /// Bytes on it, this placement's included.
    used: f64,
    weighted_share: f64,
    /// Shards of this chunk on it.
    held: usize,
    domain: usize,
    domain_pass: f64,
    pass: f64,
    chance: f64,
    /// Whether it could have taken any shard of this chunk.
    open: bool,
}

/// All candidates while a placement is made.
pub(super) struct Field<'a> {
    taste: Taste,
    slots: Vec<Slot<'a>>,
    /// Shards of this chunk in each domain.
    domain_held: Vec<usize>,
}

impl<'a> Field<'a> {
    /// `largest` is the size of the chunk's largest shard; `random` gives numbers in (0, 1].
    pub fn new(
        candidates: &'a [Candidate],
        taste: Taste,
        turns: &Turns,
        largest: u64,
        mut random: impl FnMut() -> f64,
    ) -> Self {
        let domains = domain_numbers(candidates);
        let shares = weighted_shares(candidates);
        let slot = |(at, candidate): (usize, &'a Candidate)| {
            let room = candidate.room();
            let pass = turns.remote(at);
            let domain_pass = candidate.domain.as_ref().map_or(pass, |domain| turns.domain(domain, candidate.priority));
            // The smallest of exponential variates of rate w is i's with probability w_i / Σ w:
            // Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006.
            let chance = -random().ln() / candidate.usable_weight();
            Slot {
                candidate,
                room,
                used: candidate.used as f64,
                weighted_share: shares[at],
                held: 0,
                domain: domains[at],
                domain_pass,
                pass,
                chance,
                open: candidate.refuses.is_none() && room >= largest,
            }
        };
        let slots = candidates.iter().enumerate().map(slot).collect();
        Self { taste, slots, domain_held: vec![0; candidates.len()] }
    }

    /// The best remote for another copy of shard `index`, of `size` bytes; `placed` are the chunk's
    /// copies so far, by index. The remote `asked` for wins where the hard rules leave it a choice.
    pub fn choose(
        &self,
        index: usize,
        size: u64,
        placed: &[Vec<usize>],
        excluded: &[usize],
        asked: Option<usize>,
    ) -> Option<usize> {
        let holders = placed.get(index).map_or(&[][..], Vec::as_slice);
        let domain = |at: usize| self.slots[at].domain;
        // How many shards each remote and domain has in common with those holders: shards held by the
        // same few die together.
        let mut common = vec![0; self.slots.len()];
        let mut domain_common = vec![0; self.slots.len()];
        if !holders.is_empty() {
            for held in placed.iter().filter(|held| held.iter().any(|at| holders.contains(at))) {
                held.iter().for_each(|&at| common[at] += 1);
            }
            let holder_domains: Vec<usize> = holders.iter().map(|&at| domain(at)).collect();
            for held in placed.iter().filter(|held| held.iter().any(|&at| holder_domains.contains(&domain(at)))) {
                held.iter().for_each(|&at| domain_common[domain(at)] += 1);
            }
        }
        let rank = |at: usize, slot: &Slot| {
            let hard = [
                holders.iter().filter(|&&holder| holder == at).count(),
                slot.held,
                holders.iter().filter(|&&holder| domain(holder) == slot.domain).count(),
                self.domain_held[slot.domain],
                domain_common[slot.domain],
                common[at],
            ];
            (hard, asked != Some(at), Reverse(slot.candidate.priority), self.taste(slot), at)
        };
        let takes =
            |at: usize, slot: &Slot| slot.candidate.refuses.is_none() && slot.room >= size && !excluded.contains(&at);
        let open = self.slots.iter().enumerate().filter(|(at, slot)| takes(*at, slot));
        open.min_by_key(|(at, slot)| rank(*at, slot)).map(|(at, _)| at)
    }

    /// Who can take a shard of `size` bytes: those without one, if there are such.
    pub fn open(&self, size: u64, excluded: &[usize]) -> Vec<usize> {
        let takes =
            |at: usize, slot: &Slot| slot.candidate.refuses.is_none() && slot.room >= size && !excluded.contains(&at);
        let able = |most: usize| {
            let slots = self.slots.iter().enumerate();
            slots.filter(|(at, slot)| takes(*at, slot) && slot.held <= most).map(|(at, _)| at).collect::<Vec<_>>()
        };
        let free = able(0);
        if free.is_empty() { able(usize::MAX) } else { free }
    }

    /// Puts a shard of `size` bytes on a remote.
    pub fn take(&mut self, at: usize, size: u64) {
        if let Some(slot) = self.slots.get_mut(at) {
            slot.room = if slot.room == u64::MAX { u64::MAX } else { slot.room.saturating_sub(size) };
            slot.used += size as f64;
            slot.held += 1;
            self.domain_held[slot.domain] += 1;
        }
    }

    /// Bytes a remote can still take.
    pub fn room(&self, at: usize) -> u64 {
        self.slots.get(at).map_or(0, |slot| slot.room)
    }

    /// What the strategy thinks of a slot; less is better.
    fn taste(&self, slot: &Slot) -> [u64; 3] {
        let fill = slot.used / slot.weighted_share;
        let keys = match self.taste {
            Taste::Fill => [fill, 0.0, 0.0],
            Taste::Turn => [slot.domain_pass, slot.pass, 0.0],
            Taste::TurnThenFill => [slot.domain_pass, slot.pass, fill],
            Taste::Chance => [slot.chance, 0.0, 0.0],
        };
        // None is negative or NaN, and the bits of such numbers sort as they do.
        keys.map(f64::to_bits)
    }

    /// Enters what was taken into the turns, if turns decided.
    pub fn settle(self, turns: &mut Turns) {
        if !matches!(self.taste, Taste::Turn | Taste::TurnThenFill) {
            return;
        }
        // Turns are taken among those of one priority: first the domains, then the remotes of each.
        let mut classes: BTreeMap<i64, BTreeMap<usize, Vec<usize>>> = BTreeMap::new();
        for (at, slot) in self.slots.iter().enumerate().filter(|(_, slot)| slot.open) {
            let class = classes.entry(slot.candidate.priority).or_default();
            class.entry(slot.domain).or_default().push(at);
        }
        let entrant = |at: &usize| {
            let slot = &self.slots[*at];
            Entrant { pass: slot.pass, weight: slot.candidate.usable_weight(), chosen: slot.held }
        };
        for (priority, domains) in classes {
            let mut groups: Vec<Entrant> = Vec::new();
            for members in domains.values() {
                let mut entrants: Vec<Entrant> = members.iter().map(entrant).collect();
                groups.push(Entrant {
                    pass: self.slots[members[0]].domain_pass,
                    weight: entrants.iter().map(|one| one.weight).sum(),
                    chosen: entrants.iter().map(|one| one.chosen).sum(),
                });
                settle(&mut entrants);
                members.iter().zip(entrants).for_each(|(&at, one)| turns.set_remote(at, one.pass));
            }
            settle(&mut groups);
            for (members, group) in domains.values().zip(groups) {
                match &self.slots[members[0]].candidate.domain {
                    Some(domain) => turns.set_domain(domain, priority, group.pass),
                    None => turns.set_remote(members[0], group.pass),
                }
            }
        }
    }
}

/// A number per candidate, equal where they share a failure domain; smaller than their count.
pub(super) fn domain_numbers(candidates: &[Candidate]) -> Vec<usize> {
    let mut first: HashMap<&str, usize> = HashMap::new();
    let numbers = candidates
        .iter()
        .enumerate()
        .map(|(at, candidate)| candidate.domain.as_deref().map_or(at, |domain| *first.entry(domain).or_insert(at)));
    numbers.collect()
}
