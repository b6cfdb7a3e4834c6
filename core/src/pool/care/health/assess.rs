//! What each file survives, from where its shards lie and what is known to be wrong with them.
//!
//! Chunks that lie alike are worth the same, and most do: each way to lie is judged once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::FileState;
use super::scope::Scope;
use crate::id::{ChunkId, Nonce, RemoteId};
use crate::index::{Damage, Surveyed, VersionId};
use crate::journal::record::{RemoteRecord, RemoteState};
use crate::stage::layout::Layout;
use crate::stage::place::tolerated_losses;

/// What is known of one shard object, apart from its remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pool::care) enum Trouble {
    /// It is damaged.
    Damaged(Damage),
    /// It looks absent, on a remote that is not believed.
    Doubted,
    /// Nothing could be found out.
    Unknown,
}

/// Shard objects that are not simply good.
pub(in crate::pool::care) type Troubles = HashMap<(ChunkId, Nonce), Trouble>;

/// How a remote stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pool::care) enum Standing {
    /// Its shards are there, but for those in trouble.
    Here,
    /// Offline: nothing is known.
    Away,
    /// Removed, or assumed to be lost.
    Gone,
}

/// Shard objects of a file, or of many, that are not as they should be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Not there: neither in the listing nor when asked for, or never put, or on a remote that left.
    pub missing: u64,
    /// Of another size than recorded.
    pub truncated: u64,
    /// With units that do not match their checksums.
    pub corrupt: u64,
    /// More of a chunk on one remote or failure domain than need be.
    pub misplaced: u64,
    /// On a remote that is offline or could not be read: nothing is known of them.
    pub unknown: u64,
}

impl Counts {
    /// Those that a rebuild would make anew.
    pub fn damaged(&self) -> u64 {
        self.missing + self.truncated + self.corrupt
    }

    fn add(&mut self, other: &Self) {
        self.missing += other.missing;
        self.truncated += other.truncated;
        self.corrupt += other.corrupt;
        self.misplaced += other.misplaced;
        self.unknown += other.unknown;
    }
}

/// What one way to lie is worth.
#[derive(Debug)]
struct Verdict {
    state: FileState,
    remotes: usize,
    domains: usize,
    /// Remotes (by number) whose loss alone loses the chunk.
    fatal: Vec<u16>,
    misplaced: u64,
}

/// What a file is worth: the least of its chunks.
#[derive(Debug, Clone)]
pub(in crate::pool::care) struct Worth {
    pub state: FileState,
    pub remotes: usize,
    pub domains: usize,
    pub counts: Counts,
    fatal: Vec<u16>,
}

impl Worth {
    /// Of a file without chunks, which lies in a commit.
    pub fn inline(state: FileState, remotes: usize, domains: usize) -> Self {
        Self { state, remotes, domains, counts: Counts::default(), fatal: Vec::new() }
    }
}

/// One member, or a stranger that shards lie on.
#[derive(Debug)]
struct Holder {
    id: RemoteId,
    standing: Standing,
    domain: usize,
    /// Whether new shards may go there.
    takes: bool,
}

/// Judges chunks.
pub(in crate::pool::care) struct Assessor<'a> {
    troubles: &'a Troubles,
    /// Whether what is not in the index is nowhere: then a chunk without a record is lost.
    complete: bool,
    holders: Vec<Holder>,
    numbers: HashMap<RemoteId, u16>,
    verdicts: HashMap<Vec<u16>, Arc<Verdict>>,
    pub files: HashMap<VersionId, Worth>,
    /// All shard objects in trouble, each counted once however many files share its chunk.
    pub counts: Counts,
    pub chunks: u64,
    pub shards: u64,
}

/// Ends a shard in a key.
const END: u16 = u16::MAX;

impl<'a> Assessor<'a> {
    pub fn new(
        records: &[RemoteRecord],
        standing: impl Fn(RemoteId) -> Standing,
        full: impl Fn(&RemoteRecord) -> bool,
        troubles: &'a Troubles,
        complete: bool,
    ) -> Self {
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        let holder = |(n, record): (usize, &RemoteRecord)| {
            let standing = if record.state == RemoteState::Removed { Standing::Gone } else { standing(record.remote) };
            let own = records.len() + n;
            let domain = record.domain.clone().map_or(own, |name| *names.entry(name).or_insert(n));
            let takes = matches!(record.state, RemoteState::Joining | RemoteState::Active)
                && standing != Standing::Gone
                && !full(record);
            Holder { id: record.remote, standing, domain, takes }
        };
        let holders: Vec<Holder> = records.iter().enumerate().map(holder).collect();
        let numbers = holders.iter().enumerate().map(|(n, holder)| (holder.id, number(n))).collect();
        Self {
            troubles,
            complete,
            holders,
            numbers,
            verdicts: HashMap::new(),
            files: HashMap::new(),
            counts: Counts::default(),
            chunks: 0,
            shards: 0,
        }
    }

    /// The domains of the members that are not gone.
    pub fn domains(&self) -> usize {
        let there = self.holders.iter().filter(|holder| holder.standing != Standing::Gone);
        there.map(|holder| holder.domain).collect::<BTreeSet<_>>().len()
    }

    /// Takes a chunk into account, for those of its versions that are in scope.
    pub fn chunk(&mut self, chunk: &Surveyed, scope: &Scope) {
        self.chunks += 1;
        self.shards += chunk.places.len() as u64;
        let Some(shape) = chunk.shape else { return self.no_record(chunk, scope) };
        let layout = shape.layout;
        let mut counts = Counts::default();
        let mut shards: Vec<Vec<u16>> = vec![Vec::new(); layout.shards()];
        for place in &chunk.places {
            let number = self.number_of(place.remote);
            let trouble = self.troubles.get(&(chunk.chunk, place.nonce));
            let standing = match (self.holders[usize::from(number)].standing, trouble) {
                (Standing::Gone, _) => {
                    counts.missing += 1;
                    Standing::Gone
                }
                (_, Some(Trouble::Damaged(damage))) => {
                    *match damage {
                        Damage::Missing => &mut counts.missing,
                        Damage::Truncated => &mut counts.truncated,
                        Damage::Corrupt => &mut counts.corrupt,
                    } += 1;
                    Standing::Gone
                }
                (_, Some(Trouble::Doubted)) => {
                    counts.missing += 1;
                    Standing::Away
                }
                (Standing::Away, _) | (_, Some(Trouble::Unknown)) => {
                    counts.unknown += 1;
                    Standing::Away
                }
                (Standing::Here, None) => Standing::Here,
            };
            if let Some(shard) = shards.get_mut(usize::from(place.index)).filter(|_| standing != Standing::Gone) {
                shard.push(number << 1 | u16::from(standing == Standing::Away));
            }
        }
        counts.missing += layout.objects().saturating_sub(chunk.places.len()) as u64;
        let verdict = self.verdict(&layout, &mut shards);
        counts.misplaced = verdict.misplaced;
        for version in chunk.versions.iter().filter(|version| scope.versions.contains_key(version)) {
            let start = || Worth::inline(FileState::Healthy, usize::MAX, usize::MAX);
            let worth = self.files.entry(*version).or_insert_with(start);
            worth.state = worth.state.max(verdict.state);
            worth.remotes = worth.remotes.min(verdict.remotes);
            worth.domains = worth.domains.min(verdict.domains);
            worth.counts.add(&counts);
            for remote in &verdict.fatal {
                if let Err(at) = worth.fatal.binary_search(remote) {
                    worth.fatal.insert(at, *remote);
                }
            }
        }
        self.counts.add(&counts);
    }

    /// A chunk whose record no commit brought is lost only when there is no other commit to look in.
    fn no_record(&mut self, chunk: &Surveyed, scope: &Scope) {
        let state = if self.complete { FileState::Lost } else { FileState::Unavailable };
        for version in chunk.versions.iter().filter(|version| scope.versions.contains_key(version)) {
            let worth = self.files.entry(*version).or_insert_with(|| Worth::inline(state, 0, 0));
            worth.state = worth.state.max(state);
            (worth.remotes, worth.domains) = (0, 0);
        }
    }

    /// For each remote, how many files its loss alone would lose.
    pub fn fatal(&self) -> BTreeMap<RemoteId, u64> {
        let mut files = BTreeMap::new();
        for number in self.files.values().flat_map(|worth| &worth.fatal) {
            *files.entry(self.holders[usize::from(*number)].id).or_default() += 1;
        }
        files
    }

    fn number_of(&mut self, remote: RemoteId) -> u16 {
        if let Some(number) = self.numbers.get(&remote) {
            return *number;
        }
        // Never a member as far as the index knows: its record is in a commit that was not read yet.
        let n = self.holders.len();
        let holder = Holder { id: remote, standing: Standing::Away, domain: usize::MAX - n, takes: false };
        self.holders.push(holder);
        self.numbers.insert(remote, number(n));
        number(n)
    }

    fn verdict(&mut self, layout: &Layout, shards: &mut [Vec<u16>]) -> Arc<Verdict> {
        shards.iter_mut().for_each(|shard| shard.sort_unstable());
        // Which index is which does not matter: any k of them will do.
        shards.sort_unstable();
        let mut key = vec![u16::from(layout.data), u16::from(layout.parity), u16::from(layout.copies)];
        for shard in shards.iter() {
            key.extend_from_slice(shard);
            key.push(END);
        }
        let judge = || Arc::new(judge(&self.holders, layout, shards));
        self.verdicts.entry(key).or_insert_with(judge).clone()
    }
}

#[allow(clippy::cast_possible_truncation, reason = "a pool of 32,000 remotes is none")]
fn number(n: usize) -> u16 {
    n as u16 & (END >> 1)
}

/// `shards`: per shard index the remotes that hold it, each `number << 1 | away`.
fn judge(holders: &[Holder], layout: &Layout, shards: &[Vec<u16>]) -> Verdict {
    let k = usize::from(layout.data);
    let here = |code: &&u16| **code & 1 == 0;
    let remotes: Vec<Vec<usize>> =
        shards.iter().map(|shard| shard.iter().filter(here).map(|code| usize::from(*code >> 1)).collect()).collect();
    let misplaced = misplaced(holders, layout, shards);
    let readable = remotes.iter().filter(|held| !held.is_empty()).count();
    let reachable = shards.iter().filter(|shard| !shard.is_empty()).count();
    if readable < k {
        let state = if reachable < k { FileState::Lost } else { FileState::Unavailable };
        return Verdict { state, remotes: 0, domains: 0, fatal: Vec::new(), misplaced };
    }
    let domains: Vec<Vec<usize>> =
        remotes.iter().map(|held| held.iter().map(|n| holders[*n].domain).collect()).collect();
    let survives = |holders: &[Vec<usize>]| tolerated_losses(holders, k).unwrap_or(0);
    let (of_remotes, of_domains) = (survives(&remotes), survives(&domains));
    let all: BTreeSet<usize> = remotes.iter().flatten().copied().collect();
    let dies_with = |lost: &&usize| remotes.iter().filter(|held| held.iter().any(|n| n != *lost)).count() < k;
    let fatal = if of_remotes == 0 { all.iter().filter(dies_with).map(|n| number(*n)).collect() } else { Vec::new() };
    let whole = remotes.iter().map(Vec::len).sum::<usize>() >= layout.objects();
    let state = match () {
        // Where nothing was asked for, nothing lacks.
        () if of_remotes == 0 && layout.tolerated() > 0 => FileState::AtRisk,
        () if whole && misplaced == 0 => FileState::Healthy,
        () => FileState::Degraded,
    };
    Verdict { state, remotes: of_remotes, domains: of_domains, fatal, misplaced }
}

/// How many objects of a chunk lie on a remote, or in a failure domain, that has more of them than it need have.
///
/// As in placing: as even as possible over the remotes first, then over domains.
fn misplaced(holders: &[Holder], layout: &Layout, shards: &[Vec<u16>]) -> u64 {
    let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
    for holder in holders.iter().filter(|holder| holder.takes) {
        *sizes.entry(holder.domain).or_default() += 1;
    }
    let (n, objects) = (sizes.values().sum::<usize>(), layout.objects());
    if n == 0 {
        return 0;
    }
    let each = objects.div_ceil(n);
    let most = (1..=objects).find(|most| sizes.values().map(|size| (size * each).min(*most)).sum::<usize>() >= objects);
    let (mut on_remote, mut in_domain) = (BTreeMap::<usize, usize>::new(), BTreeMap::<usize, usize>::new());
    for code in shards.iter().flatten() {
        let at = usize::from(*code >> 1);
        *on_remote.entry(at).or_default() += 1;
        *in_domain.entry(holders[at].domain).or_default() += 1;
    }
    let beyond = |loads: &BTreeMap<usize, usize>, most: usize| -> usize {
        loads.values().map(|load| load.saturating_sub(most)).sum()
    };
    beyond(&on_remote, each).max(beyond(&in_domain, most.unwrap_or(objects))) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holders(domains: &[usize]) -> Vec<Holder> {
        let holder = |(n, domain): (usize, &usize)| Holder {
            id: RemoteId(n as u128),
            standing: Standing::Here,
            domain: *domain,
            takes: true,
        };
        domains.iter().enumerate().map(holder).collect()
    }

    fn judged(domains: &[usize], layout: (u8, u8, u8), shards: &[&[u16]]) -> Verdict {
        let layout = Layout { data: layout.0, parity: layout.1, copies: layout.2, unit: 4096 };
        judge(&holders(domains), &layout, &shards.iter().map(|shard| shard.to_vec()).collect::<Vec<_>>())
    }

    /// Shard on remote n, here.
    const fn on(n: u16) -> u16 {
        n << 1
    }

    /// Shard on remote n, which is offline.
    const fn away(n: u16) -> u16 {
        n << 1 | 1
    }

    #[test]
    fn states_follow_from_what_is_left() {
        let four = [0, 1, 2, 3];
        let spread = judged(&four, (3, 1, 1), &[&[on(0)], &[on(1)], &[on(2)], &[on(3)]]);
        assert_eq!((spread.state, spread.remotes, spread.fatal.len()), (FileState::Healthy, 1, 0));
        let gone = judged(&four, (3, 1, 1), &[&[], &[on(1)], &[on(2)], &[on(3)]]);
        assert_eq!((gone.state, gone.remotes, gone.fatal), (FileState::AtRisk, 0, vec![1, 2, 3]));
        let lost = judged(&four, (3, 1, 1), &[&[], &[], &[on(2)], &[on(3)]]);
        assert_eq!(lost.state, FileState::Lost);
        let waits = judged(&four, (3, 1, 1), &[&[], &[away(1)], &[on(2)], &[on(3)]]);
        assert_eq!(waits.state, FileState::Unavailable);
        let copies = judged(&four, (1, 0, 3), &[&[on(0), on(1)]]);
        assert_eq!((copies.state, copies.remotes), (FileState::Degraded, 1));
        let plain = judged(&four, (2, 0, 1), &[&[on(0)], &[on(1)]]);
        assert_eq!((plain.state, plain.fatal), (FileState::Healthy, vec![0, 1]));
    }

    #[test]
    fn shards_that_share_a_remote_are_misplaced_only_where_others_are_free() {
        let two_together: [&[u16]; 4] = [&[on(0)], &[on(0)], &[on(1)], &[on(2)]];
        assert_eq!(judged(&[0, 1, 2], (3, 1, 1), &two_together).misplaced, 0);
        let worse = judged(&[0, 1, 2, 3], (3, 1, 1), &two_together);
        assert_eq!((worse.misplaced, worse.state), (1, FileState::AtRisk));
        let unlike = judged(&[0, 1, 2, 3], (2, 2, 1), &two_together);
        assert_eq!((unlike.misplaced, unlike.state, unlike.remotes), (1, FileState::Degraded, 1));
    }

    #[test]
    fn domains_count_where_the_remotes_allow_for_it() {
        // Two domains of two: both copies in one of them.
        let together: [&[u16]; 1] = [&[on(0), on(1)]];
        let verdict = judged(&[0, 0, 1, 1], (1, 0, 2), &together);
        assert_eq!((verdict.misplaced, verdict.remotes, verdict.domains), (1, 1, 0));
        // Three of four remotes in one domain: four shards cannot be spread better.
        let spread: [&[u16]; 4] = [&[on(0)], &[on(1)], &[on(2)], &[on(3)]];
        let verdict = judged(&[0, 0, 0, 1], (3, 1, 1), &spread);
        assert_eq!((verdict.misplaced, verdict.remotes, verdict.domains), (0, 1, 0));
    }
}
