use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::Strategy as _;

use super::Strategy;
use super::*;

const GIB: u64 = 1 << 30;
const ROUNDS: usize = 2_000;

/// A layout of k + m shards in c copies.
fn code(data: u8, parity: u8, copies: u8) -> Layout {
    Layout { data, parity, copies, unit: 1 << 20 }
}

fn pool(count: usize) -> Vec<Candidate> {
    (0..count).map(|nth| Candidate::new(format!("r{nth}"))).collect()
}

fn weighted(weights: &[f64]) -> Vec<Candidate> {
    weights.iter().map(|&weight| Candidate { weight, ..Candidate::new("r") }).collect()
}

/// Reserves what was placed, as a writer does.
fn reserve(candidates: &mut [Candidate], placement: &Placement, layout: &Layout, stored: u64) {
    for (index, held) in placement.remotes.iter().enumerate() {
        for &at in held {
            candidates[at].used += layout.shard_size(stored, index);
            let free = &mut candidates[at].free;
            *free = free.map(|free| free - layout.shard_size(stored, index));
        }
    }
}

/// How many shards each candidate got in many placements; hard rules are checked at each.
fn statistics(strategy: Strategy, candidates: &mut [Candidate], layout: Layout, stored: u64) -> Vec<usize> {
    let mut placer = Placer::new(strategy, 42);
    let mut counts = vec![0; candidates.len()];
    for _ in 0..ROUNDS {
        let placement = placer.place(candidates, &layout, stored).unwrap();
        check_hard_rules(candidates, &placement, &layout, stored);
        placement.remotes.iter().flatten().for_each(|&at| counts[at] += 1);
        reserve(candidates, &placement, &layout, stored);
    }
    counts
}

fn check_hard_rules(candidates: &[Candidate], placement: &Placement, layout: &Layout, stored: u64) {
    let chosen: Vec<usize> = placement.remotes.iter().flatten().copied().collect();
    assert_eq!(chosen.len(), layout.objects());
    let mut bytes = vec![0; candidates.len()];
    for (index, held) in placement.remotes.iter().enumerate() {
        assert_eq!(held.len(), usize::from(layout.copies));
        held.iter().for_each(|&at| bytes[at] += layout.shard_size(stored, index));
    }
    for (one, bytes) in candidates.iter().zip(&bytes) {
        assert!(one.refuses.is_none() || *bytes == 0, "{one:?}");
        assert!(*bytes <= one.room(), "{bytes} bytes onto {one:?}");
    }
    let largest = layout.shard_size(stored, 0);
    let open: Vec<usize> = (0..candidates.len())
        .filter(|&at| candidates[at].refuses.is_none() && candidates[at].room() >= largest)
        .collect();
    let distinct = |items: &[usize]| items.iter().collect::<BTreeSet<_>>().len();
    let domains = domain_numbers(candidates);
    let domains_of = |items: &[usize]| distinct(&items.iter().map(|&at| domains[at]).collect::<Vec<_>>());
    if open.len() >= chosen.len() {
        assert_eq!(distinct(&chosen), chosen.len(), "distinct remotes: {placement:?}");
    }
    if domains_of(&open) >= chosen.len() {
        assert_eq!(domains_of(&chosen), chosen.len(), "distinct domains: {placement:?}");
        assert!(placement.tolerates_domains >= layout.tolerated());
    }
    let all: u64 = bytes.iter().sum();
    let ample = candidates.iter().filter(|one| one.refuses.is_none() && one.room() >= all).count();
    for held in &placement.remotes {
        assert!(distinct(held) >= held.len().min(ample), "copies together: {placement:?}");
    }
}

fn share_of(counts: &[usize], at: usize) -> f64 {
    counts[at] as f64 / counts.iter().sum::<usize>() as f64
}

fn assert_close(counts: &[usize], expected: &[f64], tolerance: f64) {
    for (at, expected) in expected.iter().enumerate() {
        let share = share_of(counts, at);
        assert!((share - expected).abs() <= tolerance * expected, "{counts:?}: {share} instead of {expected} for {at}");
    }
}

#[test]
fn round_robin_is_exact() {
    // 2,000 placements of 4 shards over 5 remotes: 1,600 each.
    assert_eq!(statistics(Strategy::RoundRobin, &mut pool(5), code(3, 1, 1), GIB), [1_600; 5]);
    assert_eq!(statistics(Strategy::RoundRobin, &mut pool(8), code(1, 0, 1), GIB), [250; 8]);
    // Fewer remotes than shards.
    assert_eq!(statistics(Strategy::RoundRobin, &mut pool(3), code(3, 1, 1), 1 << 20), [2_667, 2_667, 2_666]);
}

#[test]
fn round_robin_goes_in_order() {
    let (candidates, mut placer) = (pool(5), Placer::new(Strategy::RoundRobin, 0));
    let mut next = || -> Vec<usize> {
        let mut places = placer.place(&candidates, &code(2, 0, 1), GIB).unwrap().remotes.concat();
        places.sort_unstable();
        places
    };
    let got: Vec<_> = (0..5).map(|_| next()).collect();
    assert_eq!(got, [[0, 1], [2, 3], [0, 4], [1, 2], [3, 4]]);
}

#[test]
fn weights_2_1_1_within_5_percent() {
    for strategy in [Strategy::Weighted, Strategy::RoundRobin, Strategy::Random] {
        let counts = statistics(strategy, &mut weighted(&[2.0, 1.0, 1.0]), code(1, 0, 1), GIB);
        assert_close(&counts, &[0.5, 0.25, 0.25], if strategy == Strategy::Random { 0.1 } else { 0.05 });
    }
    // Two shards a chunk: the first remote may have half of all, by having one of every chunk.
    let counts = statistics(Strategy::Weighted, &mut weighted(&[2.0, 1.0, 1.0]), code(1, 1, 1), GIB);
    assert_close(&counts, &[0.5, 0.25, 0.25], 0.05);
    let counts = statistics(Strategy::Weighted, &mut weighted(&[2.0, 1.0, 1.0, 2.0, 1.0, 1.0]), code(3, 1, 1), GIB);
    assert_close(&counts, &[0.25, 0.125, 0.125, 0.25, 0.125, 0.125], 0.05);
    // As least used has it: used follows weight.
    let counts = statistics(Strategy::LeastUsed, &mut weighted(&[2.0, 1.0, 1.0]), code(1, 0, 1), GIB);
    assert_close(&counts, &[0.5, 0.25, 0.25], 0.05);
}

#[test]
fn weights_beyond_what_distinctness_allows_leave_the_rest_in_proportion() {
    // The heavy one asks for more than one shard of every chunk; the rest shares two of three, 2:1:1.
    let counts = statistics(Strategy::Weighted, &mut weighted(&[50.0, 2.0, 1.0, 1.0]), code(2, 1, 1), GIB);
    assert_eq!(counts[0], ROUNDS);
    assert_close(&counts, &[1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0, 1.0 / 6.0], 0.05);
}

#[test]
fn weights_within_a_failure_domain() {
    // One domain of weight 6 (4 and 2) in a pool of 9: it gets a shard of every chunk of two, 2:1 inside.
    let mut candidates = weighted(&[4.0, 2.0, 1.0, 1.0, 1.0]);
    candidates[0].domain = Some("owner".into());
    candidates[1].domain = Some("owner".into());
    let counts = statistics(Strategy::Weighted, &mut candidates, code(1, 1, 1), GIB);
    assert_close(&counts, &[1.0 / 3.0, 1.0 / 6.0, 1.0 / 6.0, 1.0 / 6.0, 1.0 / 6.0], 0.05);
}

#[test]
fn a_remote_that_was_away_is_not_flooded() {
    let (mut candidates, mut placer) = (pool(4), Placer::new(Strategy::RoundRobin, 0));
    let layout = code(2, 0, 1);
    candidates[3].refuses = Some("offline".into());
    for _ in 0..ROUNDS {
        placer.place(&candidates, &layout, GIB).unwrap();
    }
    candidates[3].refuses = None;
    let mut back = 0;
    for _ in 0..40 {
        back += placer.place(&candidates, &layout, GIB).unwrap().remotes.concat().iter().filter(|&&at| at == 3).count();
    }
    assert!((20..=26).contains(&back), "{back} of 80 shards, 20 are its part");
}

#[test]
fn a_forced_choice_leaves_no_mark() {
    // Domain x has to take two shards of every chunk; once y can, it must not be flooded either.
    let mut candidates = pool(5);
    for (at, domain) in [(0, "x"), (1, "x"), (2, "x"), (3, "y"), (4, "y")] {
        candidates[at].domain = Some(domain.into());
    }
    candidates[4].refuses = Some("offline".into());
    let (mut placer, layout) = (Placer::new(Strategy::RoundRobin, 0), code(2, 1, 1));
    for _ in 0..ROUNDS {
        placer.place(&candidates, &layout, GIB).unwrap();
    }
    candidates[4].refuses = None;
    let mut counts = vec![0; 5];
    for _ in 0..200 {
        let placement = placer.place(&candidates, &layout, GIB).unwrap();
        placement.remotes.iter().flatten().for_each(|&at| counts[at] += 1);
    }
    // 3 : 2 between the domains, give or take the slack.
    assert!(counts.iter().all(|&count| (100..=140).contains(&count)), "{counts:?}");
}

#[test]
fn least_used_evens_out() {
    let mut candidates = pool(4);
    candidates.iter_mut().for_each(|one| one.share = Some(10_000 * GIB));
    candidates[2].used = 500 * GIB;
    candidates[3].share = Some(20_000 * GIB);
    statistics(Strategy::LeastUsed, &mut candidates, code(1, 1, 1), GIB);
    let fills = fills(&candidates);
    assert!(variance_points(fills.iter().copied()) < 0.1, "{fills:?}");
}

#[test]
fn random_is_even_and_replays() {
    let counts = statistics(Strategy::Random, &mut pool(5), code(1, 1, 1), GIB);
    assert_close(&counts, &[0.2; 5], 0.08);
    assert_eq!(counts, statistics(Strategy::Random, &mut pool(5), code(1, 1, 1), GIB));
    let candidates = pool(9);
    let places = |seed| Placer::new(Strategy::Random, seed).place(&candidates, &code(3, 1, 1), GIB).unwrap().remotes;
    assert_ne!(places(1), places(2));
}

#[test]
fn round_robin_least_used_changes_over_at_10_points() {
    let layout = code(1, 0, 1);
    let mut candidates = pool(3);
    candidates.iter_mut().for_each(|one| one.share = Some(1_000 * GIB));
    candidates[0].used = 100 * GIB;
    let mut placer = Placer::new(Strategy::RoundRobinLeastUsed, 0);
    let mut next = |candidates: &mut Vec<Candidate>| {
        let placement = placer.place(candidates, &layout, GIB).unwrap();
        reserve(candidates, &placement, &layout, GIB);
        placement.remotes[0][0]
    };
    // 10 points are not over the limit: in turn,
    // and of those with equal turns the least filled.
    assert_eq!([next(&mut candidates), next(&mut candidates), next(&mut candidates)], [1, 2, 0]);
    candidates[0].used = 150 * GIB;
    for _ in 0..90 {
        assert_ne!(next(&mut candidates), 0, "{candidates:?}");
    }
    let counts = statistics(Strategy::RoundRobinLeastUsed, &mut candidates, layout, GIB / 64);
    // 0.4 of 10.4 points to go are 8 GiB for the others; from then on in turn.
    assert_eq!(counts, [496, 752, 752]);
    assert!(variance_points(fills(&candidates)) <= VARIANCE_LIMIT_POINTS + 0.1);
}

#[test]
fn a_higher_priority_is_used_until_it_is_full() {
    for strategy in [Strategy::LeastUsed, Strategy::RoundRobin, Strategy::Weighted, Strategy::Random] {
        let mut candidates = pool(4);
        candidates[1].priority = 10;
        candidates[1].share = Some(100 * GIB);
        candidates[2].priority = 5;
        candidates[2].free = Some(50 * GIB);
        let (mut placer, layout) = (Placer::new(strategy, 3), code(1, 0, 1));
        for nth in 0..160 {
            let placement = placer.place(&candidates, &layout, GIB).unwrap();
            let at = placement.remotes[0][0];
            assert!(
                if nth < 100 {
                    at == 1
                } else if nth < 150 {
                    at == 2
                } else {
                    at == 0 || at == 3
                },
                "{nth}: {at}"
            );
            reserve(&mut candidates, &placement, &layout, GIB);
        }
    }
}

#[test]
fn distinct_remotes_come_before_priority() {
    let mut candidates = pool(4);
    candidates[3].priority = 9;
    let placement = Placer::new(Strategy::LeastUsed, 0).place(&candidates, &code(2, 1, 1), GIB).unwrap();
    assert_eq!(placement.remotes.concat().iter().filter(|&&at| at == 3).count(), 1);
    assert_eq!((placement.tolerates_remotes, placement.tolerates_domains), (1, 1));
}

#[test]
fn too_few_remotes_are_loaded_evenly_and_said_to_tolerate_less() {
    let mut placer = Placer::new(Strategy::RoundRobin, 0);
    let mut place = |count, layout| placer.place(&pool(count), &layout, GIB).unwrap();
    assert_eq!(place(2, code(3, 1, 1)).tolerates_remotes, 0);
    assert_eq!(place(2, code(2, 2, 1)).tolerates_remotes, 1);
    assert_eq!(place(3, code(4, 2, 1)).tolerates_remotes, 1);
    assert_eq!(place(4, code(2, 1, 2)).tolerates_remotes, 2);
    assert_eq!(place(2, code(1, 0, 3)).tolerates_remotes, 1);
    assert_eq!(place(1, code(1, 0, 3)).tolerates_remotes, 0);
}

#[test]
fn domains_tolerate_what_they_can() {
    let mut candidates = pool(4);
    candidates.iter_mut().enumerate().for_each(|(at, one)| one.domain = Some(["a", "a", "b", "b"][at].into()));
    let placement = Placer::new(Strategy::LeastUsed, 0).place(&candidates, &code(2, 2, 1), GIB).unwrap();
    assert_eq!((placement.tolerates_remotes, placement.tolerates_domains), (2, 1));
    let copies = Placer::new(Strategy::LeastUsed, 0).place(&candidates, &code(1, 0, 2), GIB).unwrap();
    assert_eq!(copies.tolerates_domains, 1);
}

#[test]
fn a_small_shard_leaves_the_last_place_to_a_large_one() {
    // Data shards of 2 and 1 MiB; only the first remote has room for the larger.
    let mut candidates = pool(2);
    candidates[0].free = Some(2 << 20);
    candidates[1].free = Some(1 << 20);
    candidates[1].used = 1;
    let placement = Placer::new(Strategy::LeastUsed, 0).place(&candidates, &code(2, 0, 1), 3 << 20).unwrap();
    assert_eq!(placement.remotes, [[0], [1]]);
}

#[test]
fn who_refuses_is_explained() {
    let mut candidates = pool(3);
    candidates[0].refuses = Some("offline".into());
    candidates[1].free = Some(5);
    candidates[2].share = Some(100);
    candidates[2].used = 90;
    let mut placer = Placer::new(Strategy::LeastUsed, 0);
    let error = placer.place(&candidates, &code(1, 0, 1), 1000).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    assert_eq!(
        error.message(),
        "no remote takes a shard of 1000 bytes: r0: offline; r1: 5 bytes left; r2: 10 bytes left"
    );
    candidates.iter_mut().for_each(|one| one.refuses = Some("offline".into()));
    assert_eq!(placer.place(&candidates, &code(1, 0, 1), 1).unwrap_err().kind(), ErrorKind::Unavailable);
    candidates[1].is_full = true;
    assert_eq!(placer.place(&candidates, &code(1, 0, 1), 1).unwrap_err().kind(), ErrorKind::Full);
    assert_eq!(placer.place(&[], &code(1, 0, 1), 1).unwrap_err().kind(), ErrorKind::Unavailable);
    let many = pool(40).into_iter().map(|one| Candidate { refuses: Some("draining".into()), ..one });
    let error = placer.place(&many.collect::<Vec<_>>(), &code(1, 0, 1), 1).unwrap_err();
    assert!(error.message().ends_with("r11: draining; and 28 more"), "{error}");
}

#[test]
fn a_failed_put_goes_to_the_best_other_remote() {
    let layout = code(2, 1, 1);
    let mut candidates = pool(5);
    let mut placer = Placer::new(Strategy::LeastUsed, 0);
    let mut placement = placer.place(&candidates, &layout, GIB).unwrap();
    assert_eq!(placement.remotes, [[0], [1], [2]]);
    let shard = ShardCopy { index: 1, copy: 0 };
    candidates[3].used = 7;
    let mut again = |candidates: &[Candidate], placement: &mut Placement, excluded: &[usize]| {
        placer.failover(candidates, &layout, placement, shard, GIB, excluded)
    };
    assert_eq!(again(&candidates, &mut placement, &[]).unwrap(), 4);
    assert_eq!(again(&candidates, &mut placement, &[1]).unwrap(), 3);
    assert_eq!((placement.remotes[1][0], placement.tolerates_remotes), (3, 1));
    // Nobody new is left: a remote takes a second shard, and the placement says what that costs.
    let second = again(&candidates, &mut placement, &[1, 4]).unwrap();
    assert!(second == 0 || second == 2);
    assert_eq!(placement.tolerates_remotes, 0);
    let before = placement.clone();
    let error = again(&candidates, &mut placement, &[0, 1, 2, 3, 4]).unwrap_err();
    assert_eq!((error.kind(), &placement), (ErrorKind::Unavailable, &before));
    assert!(error.message().contains("failed already"), "{error}");
    let none = ShardCopy { index: 3, copy: 0 };
    let error = placer.failover(&candidates, &layout, &mut placement, none, 1, &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn failover_keeps_copies_apart() {
    let layout = code(1, 0, 2);
    let candidates = pool(3);
    let mut placer = Placer::new(Strategy::RoundRobin, 0);
    let mut placement = placer.place(&candidates, &layout, GIB).unwrap();
    let chosen =
        placer.failover(&candidates, &layout, &mut placement, ShardCopy { index: 0, copy: 0 }, GIB, &[]).unwrap();
    assert_eq!((chosen, placement.remotes[0].as_slice()), (2, &[2, 1][..]));
}

#[test]
fn the_names_are_those_of_the_configuration() {
    let names = ["least_used", "round_robin", "weighted", "random", "round_robin_least_used"];
    for name in names {
        let json = format!("\"{name}\"");
        let strategy: Strategy = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&strategy).unwrap(), json);
    }
    assert_eq!(Strategy::default(), Strategy::LeastUsed);
}

fn candidates() -> impl proptest::strategy::Strategy<Value = Vec<Candidate>> {
    let room = prop_oneof![3 => Just(None), 2 => (0u64..9 << 20).prop_map(Some)];
    let domain = prop_oneof![2 => Just(None), 3 => (0u8..4).prop_map(|nth| Some(format!("d{nth}")))];
    let refuses = prop_oneof![5 => Just(None), 1 => Just(Some("offline".to_owned()))];
    let weight = prop::sample::select(vec![1.0, 2.0, 0.25, 0.0, f64::NAN, f64::INFINITY]);
    let one = (0u64..8 << 20, room.clone(), room, domain, refuses, weight, -1i64..2);
    let one = one.prop_map(|(used, free, share, domain, refuses, weight, priority)| Candidate {
        name: "r".into(),
        used,
        free,
        share,
        weight,
        priority,
        domain,
        refuses,
        is_full: false,
    });
    prop::collection::vec(one, 0..10)
}

fn strategies() -> impl proptest::strategy::Strategy<Value = Strategy> {
    use super::Strategy::*;
    prop::sample::select(vec![LeastUsed, RoundRobin, Weighted, Random, RoundRobinLeastUsed])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn hard_rules_always_hold(
        mut candidates in candidates(), strategy in strategies(), seed: u64,
        (data, parity, copies) in (1u8..5, 0u8..3, 1u8..4), stored in 1u64..6 << 20,
    ) {
        let layout = Layout::choose(data, parity, copies, stored);
        let mut placer = Placer::new(strategy, seed);
        for _ in 0..8 {
            match placer.place(&candidates, &layout, stored) {
                Ok(placement) => {
                    check_hard_rules(&candidates, &placement, &layout, stored);
                    reserve(&mut candidates, &placement, &layout, stored);
                }
                Err(error) => {
                    // Enough room on one remote for everything is never called full.
                    let all = layout.shard_size(stored, 0) * layout.objects() as u64;
                    let refuses = |one: &Candidate| one.refuses.is_some();
                    prop_assert!(candidates.iter().all(|one| refuses(one) || one.room() < all), "{}", error);
                    let unavailable = error.kind() == ErrorKind::Unavailable;
                    prop_assert_eq!(unavailable, candidates.iter().all(refuses), "{}", error);
                }
            }
        }
    }

    #[test]
    fn with_ample_room_the_load_is_even(
        count in 1usize..9, strategy in strategies(), seed: u64, (data, parity, copies) in (1u8..7, 0u8..4, 1u8..4),
    ) {
        let (candidates, layout) = (pool(count), code(data, parity, copies));
        let mut placer = Placer::new(strategy, seed);
        for _ in 0..4 {
            let placement = placer.place(&candidates, &layout, GIB).unwrap();
            let mut load = vec![0; count];
            placement.remotes.iter().flatten().for_each(|&at| load[at] += 1);
            prop_assert!(load.iter().max().unwrap() - load.iter().min().unwrap() <= 1, "{:?}", load);
            for held in &placement.remotes {
                let distinct = held.iter().collect::<BTreeSet<_>>().len();
                prop_assert_eq!(distinct, held.len().min(count));
            }
            let enough = count >= layout.objects();
            prop_assert!(!enough || placement.tolerates_remotes == layout.tolerated());
            prop_assert!(placement.tolerates_remotes < count);
        }
    }
}
