//! Which remote gets which shard.
//!
//! Hard rules come first, in this order: never onto a remote that refuses or lacks room; copies of one
//! shard on distinct remotes; as even as possible over remotes (so on distinct ones while there are
//! enough); copies of one shard in distinct failure domains; as even as possible over domains; the
//! copies of different shards not all in the same places. Among the remotes that are equal under
//! these, the higher priority wins, and among those of one priority the strategy decides.
//!
//! Nothing here changes a remote's figures: the caller adds what it places to [`Candidate::used`] (and
//! takes it from [`Candidate::free`]) at once, and gives it back when a put fails, so that parallel
//! writers do not oversubscribe a remote.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::stage::layout::Layout;

pub mod balance;
mod field;
mod fill;
mod tolerance;
mod turns;

pub use fill::{fills, variance_points};
pub use tolerance::tolerated_losses;

use field::{Field, Taste, domain_numbers};
use turns::Turns;

/// How one remote is chosen among those the hard rules and priorities leave. Weights act in all of
/// them: a remote of weight 2 gets twice what one of weight 1 gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The least filled first.
    #[default]
    LeastUsed,
    /// In turn, in the order of the candidates.
    RoundRobin,
    /// In turn, as often as the weight says. Round robin obeys weights too; the name tells the intent.
    Weighted,
    /// At random.
    Random,
    /// In turn while the fills differ by at most [`VARIANCE_LIMIT_POINTS`], else the least filled first.
    RoundRobinLeastUsed,
}

impl Strategy {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LeastUsed => "least_used",
            Self::RoundRobin => "round_robin",
            Self::Weighted => "weighted",
            Self::Random => "random",
            Self::RoundRobinLeastUsed => "round_robin_least_used",
        }
    }
}

/// Where [`Strategy::RoundRobinLeastUsed`] changes over, in percentage points between the largest and
/// the smallest fill.
pub const VARIANCE_LIMIT_POINTS: f64 = 10.0;

/// A remote as placement sees it. Keep the order of candidates from one placement to the next.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Its name, for messages.
    pub name: String,
    /// Bytes of the pool on it, reserved ones included.
    pub used: u64,
    /// Bytes it can still take, reserved ones taken off; `None` if it does not say.
    pub free: Option<u64>,
    /// Its fair share in bytes: its quota, or its total if it has that to itself. `None` counts as an
    /// equal share, by weight.
    pub share: Option<u64>,
    /// How much of the pool it should get, relative to others. Not positive or not finite counts as
    /// next to nothing.
    pub weight: f64,
    /// Remotes of higher priority are used until they are full.
    pub priority: i64,
    /// What it dies together with; `None` is a domain of its own.
    pub domain: Option<String>,
    /// Why nothing may be placed on it now (offline, draining, read-only, set aside); `None`: it accepts.
    pub refuses: Option<String>,
    /// Whether it refuses because it has no room.
    pub is_full: bool,
}

impl Candidate {
    /// An empty remote of unlimited room, weight 1 and priority 0, that accepts.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            used: 0,
            free: None,
            share: None,
            weight: 1.0,
            priority: 0,
            domain: None,
            refuses: None,
            is_full: false,
        }
    }

    /// Bytes that may still be placed on it, whether or not it accepts; `u64::MAX`: no limit is known.
    pub fn room(&self) -> u64 {
        let left = self.share.map_or(u64::MAX, |share| share.saturating_sub(self.used));
        left.min(self.free.unwrap_or(u64::MAX))
    }

    fn usable_weight(&self) -> f64 {
        if self.weight.is_finite() { self.weight.clamp(1e-6, 1e6) } else { 1e-6 }
    }
}

/// Where the shards of one chunk go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The position of the chosen candidate, by shard index, then copy.
    pub remotes: Vec<Vec<usize>>,
    /// How many of these remotes, whichever, may be lost.
    pub tolerates_remotes: usize,
    /// How many of their failure domains, whichever, may be lost.
    pub tolerates_domains: usize,
}

impl Placement {
    fn new(remotes: Vec<Vec<usize>>, layout: &Layout, candidates: &[Candidate]) -> Self {
        let numbers = domain_numbers(candidates);
        let domains: Vec<Vec<usize>> =
            remotes.iter().map(|held| held.iter().filter_map(|&at| numbers.get(at).copied()).collect()).collect();
        let data = layout.data.into();
        Self {
            tolerates_remotes: tolerated_losses(&remotes, data).unwrap_or(0),
            tolerates_domains: tolerated_losses(&domains, data).unwrap_or(0),
            remotes,
        }
    }
}

/// Which remote is to get a shard?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Positions of the candidates that can take it: those that have nothing of the chunk, as long as there are such.
    pub open: Vec<usize>,
    /// Its bytes.
    pub size: u64,
}

/// One copy of one shard of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardCopy {
    /// The shard's index.
    pub index: usize,
    /// Which copy of it.
    pub copy: usize,
}

/// Chooses remotes, and remembers whose turn it is.
#[derive(Debug, Clone)]
pub struct Placer {
    strategy: Strategy,
    turns: Turns,
    random: SplitMix64,
}

impl Placer {
    /// Starts; the same seed and calls give the same placements.
    pub fn new(strategy: Strategy, seed: u64) -> Self {
        Self { strategy, turns: Turns::default(), random: SplitMix64(seed) }
    }

    /// The strategy.
    pub fn strategy(&self) -> Strategy {
        self.strategy
    }

    /// Places all shards of a chunk of `stored` bytes, in O(objects · candidates).
    ///
    /// # Errors
    /// `Full`: a shard fits nowhere. `Unavailable`: all remotes refuse, for other reasons than room.
    /// Both say who refuses why.
    pub fn place(&mut self, candidates: &[Candidate], layout: &Layout, stored: u64) -> Result<Placement> {
        self.place_advised(candidates, layout, stored, &mut |_| None)
    }

    /// As [`place`](Self::place), but who is asked about each copy of each shard may name a remote: it goes there
    /// where the hard rules leave the choice.
    ///
    /// # Errors
    /// As [`place`](Self::place).
    pub fn place_advised(
        &mut self,
        candidates: &[Candidate],
        layout: &Layout,
        stored: u64,
        advise: &mut dyn FnMut(&Question) -> Option<usize>,
    ) -> Result<Placement> {
        // Largest first: whoever has room for a larger shard has it for a smaller one, so a small one
        // never takes the only place of a large one.
        let mut order: Vec<(usize, u64)> =
            (0..layout.shards()).map(|index| (index, layout.shard_size(stored, index))).collect();
        order.sort_by_key(|&(_, size)| Reverse(size));
        let largest = order.first().map_or(0, |&(_, size)| size);
        let mut field = self.field(candidates, largest);
        let mut remotes = vec![Vec::new(); layout.shards()];
        for (index, size) in order {
            for _ in 0..layout.copies {
                let asked = advise(&Question { open: field.open(size, &[]), size });
                let chosen = field.choose(index, size, &remotes, &[], asked);
                let chosen = chosen.ok_or_else(|| nowhere(candidates, &field, size, &[]))?;
                remotes[index].push(chosen);
                field.take(chosen, size);
            }
        }
        field.settle(&mut self.turns);
        Ok(Placement::new(remotes, layout, candidates))
    }

    /// Chooses another remote for a shard of `size` bytes whose put failed for good, and enters it in
    /// `placement`. Neither the remote that failed nor those `excluded` (by position) are taken.
    ///
    /// # Errors
    /// As [`place`](Self::place); `InvalidArgument`: no such shard.
    pub fn failover(
        &mut self,
        candidates: &[Candidate],
        layout: &Layout,
        placement: &mut Placement,
        shard: ShardCopy,
        size: u64,
        excluded: &[usize],
    ) -> Result<usize> {
        let ShardCopy { index, copy } = shard;
        let mut remotes = placement.remotes.clone();
        let Some(&failed) = remotes.get(index).and_then(|held| held.get(copy)) else {
            return Err(Error::new(ErrorKind::InvalidArgument, format!("no copy {copy} of shard {index} to replace")));
        };
        remotes[index].remove(copy);
        let excluded: Vec<usize> = excluded.iter().copied().chain([failed]).collect();
        let chosen = self.choose_one(candidates, &remotes, index, size, &excluded, &mut |_| None)?;
        remotes[index].insert(copy, chosen);
        *placement = Placement::new(remotes, layout, candidates);
        Ok(chosen)
    }

    /// Places one more copy of shard `index` of a chunk whose other copies lie at `placed` (positions by
    /// index; such as no candidate has are of remotes nobody can choose), and takes turns for it alone. Who is asked
    /// may name a remote, as for [`place_advised`](Self::place_advised).
    ///
    /// # Errors
    /// As [`place`](Self::place).
    pub fn place_one(
        &mut self,
        candidates: &[Candidate],
        placed: &[Vec<usize>],
        index: usize,
        size: u64,
        excluded: &[usize],
        advise: &mut dyn FnMut(&Question) -> Option<usize>,
    ) -> Result<usize> {
        let chosen = self.choose_one(candidates, placed, index, size, excluded, advise)?;
        let mut turn = self.field(candidates, size);
        turn.take(chosen, size);
        turn.settle(&mut self.turns);
        Ok(chosen)
    }

    fn choose_one(
        &mut self,
        candidates: &[Candidate],
        placed: &[Vec<usize>],
        index: usize,
        size: u64,
        excluded: &[usize],
        advise: &mut dyn FnMut(&Question) -> Option<usize>,
    ) -> Result<usize> {
        let known = |held: &Vec<usize>| held.iter().copied().filter(|at| *at < candidates.len()).collect();
        let placed: Vec<Vec<usize>> = placed.iter().map(known).collect();
        let mut field = self.field(candidates, size);
        // The bytes of the chunk's other shards are in the candidates' figures already.
        placed.iter().flatten().for_each(|&at| field.take(at, 0));
        let asked = advise(&Question { open: field.open(size, excluded), size });
        let chosen = field.choose(index, size, &placed, excluded, asked);
        chosen.ok_or_else(|| nowhere(candidates, &field, size, excluded))
    }

    fn field<'a>(&mut self, candidates: &'a [Candidate], largest: u64) -> Field<'a> {
        self.turns.fit(candidates.len());
        let taste = match self.strategy {
            Strategy::LeastUsed => Taste::Fill,
            Strategy::RoundRobin | Strategy::Weighted => Taste::Turn,
            Strategy::Random => Taste::Chance,
            Strategy::RoundRobinLeastUsed if self.is_uneven(candidates, largest) => Taste::Fill,
            Strategy::RoundRobinLeastUsed => Taste::TurnThenFill,
        };
        let random = &mut self.random;
        Field::new(candidates, taste, &self.turns, largest, || random.unit())
    }

    /// Whether the fills of the remotes that could be chosen differ too much.
    fn is_uneven(&self, candidates: &[Candidate], largest: u64) -> bool {
        let open = |one: &Candidate| one.refuses.is_none() && one.room() >= largest;
        let fills = fills(candidates).into_iter().zip(candidates).filter(|(_, one)| open(one)).map(|(fill, _)| fill);
        variance_points(fills) > VARIANCE_LIMIT_POINTS
    }
}

/// The error that says who refuses a shard, and why.
fn nowhere(candidates: &[Candidate], field: &Field, size: u64, excluded: &[usize]) -> Error {
    const NAMED: usize = 12;
    let mut kind = ErrorKind::Unavailable;
    let mut reasons = Vec::new();
    for (at, candidate) in candidates.iter().enumerate() {
        let reason = if let Some(why) = &candidate.refuses {
            if candidate.is_full {
                kind = ErrorKind::Full;
            }
            why.clone()
        } else if excluded.contains(&at) {
            "failed already".to_owned()
        } else {
            kind = ErrorKind::Full;
            format!("{} bytes left", field.room(at))
        };
        reasons.push(format!("{}: {reason}", candidate.name));
    }
    let more = reasons.len().saturating_sub(NAMED);
    reasons.truncate(NAMED);
    if more > 0 {
        reasons.push(format!("and {more} more"));
    }
    let list = if reasons.is_empty() { "there is none".to_owned() } else { reasons.join("; ") };
    let hint = match kind {
        ErrorKind::Full => "free space, raise a quota or add a remote",
        _ => "bring a remote back or add one",
    };
    Error::new(kind, format!("no remote takes a shard of {size} bytes: {list}")).hint(hint)
}

/// A small random generator whose numbers never change between versions.
/// Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
#[derive(Debug, Clone)]
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in (0, 1].
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests;
