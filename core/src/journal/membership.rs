//! Who counts, and how many of them must hold a commit or be listed.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::RemoteId;
use crate::journal::record::{RemoteRecord, RemoteState};

/// The members of a pool and the quorums that follow from their number.
#[derive(Debug, Clone, Default)]
pub struct Membership {
    states: BTreeMap<RemoteId, RemoteState>,
    tolerated: usize,
    configured: usize,
}

/// How far a commit got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Too few remotes hold it: not acknowledged.
    TooFew,
    /// A bare majority holds it: acknowledged, flagged as a stale view.
    Bare,
    /// W remotes hold it.
    Quorum,
}

impl Membership {
    /// The membership that `records` describe, for a pool whose layout survives the loss of
    /// `tolerated` remotes; `configured` is the configured W, 0 for the rule's.
    pub fn new(records: &[RemoteRecord], tolerated: usize, configured: usize) -> Self {
        let states = records.iter().map(|r| (r.remote, r.state)).collect();
        Self { states, tolerated, configured }
    }

    /// Takes a record into account; membership only moves on.
    pub fn update(&mut self, record: &RemoteRecord) {
        let state = self.states.entry(record.remote).or_insert(record.state);
        *state = (*state).max(record.state);
    }

    /// The state of a remote; `None` for a stranger.
    pub fn state(&self, remote: RemoteId) -> Option<RemoteState> {
        self.states.get(&remote).copied()
    }

    /// The remotes that take and give commits.
    pub fn members(&self) -> impl Iterator<Item = RemoteId> + '_ {
        self.states.iter().filter(|(_, state)| **state != RemoteState::Removed).map(|(id, _)| *id)
    }

    /// While a remote joins or leaves, quorums must hold with and without it: both sets.
    fn counted(&self) -> Vec<BTreeSet<RemoteId>> {
        let set = |without: RemoteState| {
            let counts = |s: RemoteState| s != RemoteState::Removed && s != without;
            self.states.iter().filter(|(_, s)| counts(**s)).map(|(id, _)| *id).collect::<BTreeSet<_>>()
        };
        let mut sets = vec![set(RemoteState::Joining), set(RemoteState::Leaving)];
        sets.dedup();
        sets.retain(|set| !set.is_empty());
        sets
    }

    /// Whether the journal names no member yet: the pool is being made.
    pub fn is_empty(&self) -> bool {
        self.counted().is_empty()
    }

    /// Whether a remote is joining or leaving: then no other change may begin.
    pub fn is_changing(&self) -> bool {
        self.states.values().any(|s| matches!(s, RemoteState::Joining | RemoteState::Leaving))
    }

    /// W for `n` remotes: how many must hold a commit before it is acknowledged.
    fn quorum(&self, n: usize) -> usize {
        (n / 2 + 1).max(self.tolerated + 1).max(self.configured).min(n)
    }

    /// How many listings make a view of `n` remotes.
    fn view(&self, n: usize) -> usize {
        (n - self.quorum(n) + 1 + self.tolerated).min(n)
    }

    /// How far a commit got that `held` hold.
    pub fn reach(&self, held: &BTreeSet<RemoteId>) -> Reach {
        let of_one = |set: &BTreeSet<RemoteId>| {
            let (n, count) = (set.len(), set.intersection(held).count());
            let bare = if n == 2 { 1 } else { n / 2 + 1 };
            if count >= self.quorum(n) {
                Reach::Quorum
            } else if count >= bare {
                Reach::Bare
            } else {
                Reach::TooFew
            }
        };
        self.counted().iter().map(of_one).min().unwrap_or(Reach::TooFew)
    }

    /// Whether complete listings of these remotes are enough for a view.
    pub fn is_view(&self, listed: &BTreeSet<RemoteId>) -> bool {
        let sets = self.counted();
        !sets.is_empty() && sets.iter().all(|s| s.intersection(listed).count() >= self.view(s.len()))
    }

    /// (listings needed, members counted), for messages.
    pub fn view_of(&self) -> (usize, usize) {
        self.counted().iter().map(|s| (self.view(s.len()), s.len())).max().unwrap_or_default()
    }

    /// (remotes that must hold a commit, members counted), for messages.
    pub fn quorum_of(&self) -> (usize, usize) {
        self.counted().iter().map(|s| (self.quorum(s.len()), s.len())).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Stamp, WriterId};

    fn members(states: &[RemoteState], tolerated: usize) -> Membership {
        let record = |(n, state): (usize, &RemoteState)| RemoteRecord {
            remote: RemoteId(n as u128),
            stamp: Stamp { ms: 1, counter: 0, writer: WriterId(0) },
            label: String::new(),
            state: *state,
            weight: 1.0,
            priority: 0,
            quota: None,
            domain: None,
        };
        Membership::new(&states.iter().enumerate().map(record).collect::<Vec<_>>(), tolerated, 0)
    }

    fn first(n: usize) -> BTreeSet<RemoteId> {
        (0..n).map(|i| RemoteId(i as u128)).collect()
    }

    /// Any W remotes, less any t lost ones, meet any view: else a view could miss an acknowledged commit.
    #[test]
    fn quorums_meet_views_after_the_losses_the_layout_tolerates() {
        for n in 1..=12 {
            for tolerated in 0..n {
                let m = members(&vec![RemoteState::Active; n], tolerated);
                let (w, v) = (m.quorum(n), m.view(n));
                assert!(w <= n && v <= n && w > n / 2 && w > tolerated);
                assert!(w + v > n, "n={n} t={tolerated}");
                // The commit survives the loss of t of its holders, and what is left meets the view among
                // the survivors, or the view needs everyone.
                assert!(v == n || (w - tolerated) + v > n - tolerated, "n={n} t={tolerated}");
            }
        }
    }

    /// With up to t members let go as lost, machines before and after the change meet each other's commits.
    #[test]
    fn quorums_and_views_meet_across_a_loss_that_is_tolerated() {
        for n in 2..=12 {
            for tolerated in 1..n {
                for lost in 1..=tolerated.min(n - 1) {
                    let (old, new) = (members(&vec![RemoteState::Active; n], tolerated), n - lost);
                    let (w, v) = (old.quorum(n), old.view(n));
                    let (w_new, v_new) = (old.quorum(new), old.view(new));
                    // What a machine commits that has not seen the change, in every new view.
                    assert!(w - lost + v_new > new || v_new == new, "n={n} t={tolerated} x={lost}");
                    // What is committed after the change, in every view before it; one of all n is none any more.
                    assert!(w_new + v > n || v == n, "n={n} t={tolerated} x={lost}");
                    assert!(w > lost, "something stays");
                }
            }
        }
    }

    #[test]
    fn two_remotes_fall_to_one_and_others_to_a_majority() {
        let m = members(&[RemoteState::Active; 2], 1);
        assert_eq!(
            [m.reach(&first(0)), m.reach(&first(1)), m.reach(&first(2))],
            [Reach::TooFew, Reach::Bare, Reach::Quorum]
        );
        let m = members(&[RemoteState::Active; 5], 3);
        assert_eq!(
            (m.reach(&first(2)), m.reach(&first(3)), m.reach(&first(4))),
            (Reach::TooFew, Reach::Bare, Reach::Quorum)
        );
    }

    #[test]
    fn a_change_of_membership_needs_both_quorums() {
        let mut states = vec![RemoteState::Active; 3];
        states.push(RemoteState::Joining);
        let m = members(&states, 1);
        assert!(m.is_changing());
        assert_eq!(m.reach(&first(2)), Reach::TooFew); // a quorum of the three, not even a majority of the four
        assert_eq!(m.reach(&first(3)), Reach::Quorum);
        let joiner_and_two: BTreeSet<_> = [0, 1, 3].map(RemoteId).into();
        assert_eq!(m.reach(&joiner_and_two), Reach::Quorum);
        let joiner_and_one: BTreeSet<_> = [0, 3].map(RemoteId).into();
        assert_eq!(m.reach(&joiner_and_one), Reach::TooFew);
    }

    #[test]
    fn removed_remotes_count_nowhere() {
        let m = members(&[RemoteState::Active, RemoteState::Active, RemoteState::Active, RemoteState::Removed], 0);
        assert_eq!(m.quorum_of(), (2, 3));
        assert_eq!(m.members().count(), 3);
    }
}
