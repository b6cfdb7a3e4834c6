//! How full a remote is, next to others.

use super::Candidate;

/// The fill of each candidate: its pool bytes over its fair share (1.0 is full, or for remotes of
/// unknown size: just its part).
///
/// The fair share is [`Candidate::share`]. A remote without one counts as large as the others are on
/// average, in proportion to its weight; where none has one, as its part of the pool's bytes.
pub fn fills(candidates: &[Candidate]) -> Vec<f64> {
    let unknown: Vec<f64> = candidates.iter().filter(|one| one.share.is_none()).map(Candidate::usable_weight).collect();
    let average_weight = mean(&unknown);
    let typical = typical_share(candidates).unwrap_or_else(|| {
        let used: Vec<f64> = candidates.iter().map(|one| one.used as f64).collect();
        mean(&used)
    });
    let fair = |one: &Candidate| match one.share {
        Some(share) => share as f64,
        None => typical * one.usable_weight() / average_weight,
    };
    candidates.iter().map(|one| one.used as f64 / fair(one).max(1.0)).collect()
}

/// The variance of fills, as users know it: the largest minus the smallest, in percentage points.
pub fn variance_points(fills: impl IntoIterator<Item = f64>) -> f64 {
    let (least, most) = fills
        .into_iter()
        .fold((f64::INFINITY, 0.0), |(least, most): (f64, f64), fill| (least.min(fill), most.max(fill)));
    (most - least).max(0.0) * 100.0
}

/// The bytes over which least-used compares remotes: fair share times weight. Unlike in [`fills`] the
/// weight counts for remotes of known size too, since it acts in every strategy.
pub(super) fn weighted_shares(candidates: &[Candidate]) -> Vec<f64> {
    let typical = typical_share(candidates).unwrap_or(1.0);
    candidates
        .iter()
        .map(|one| one.share.map_or(typical, |share| share as f64).max(1.0) * one.usable_weight())
        .collect()
}

/// The fair shares that levelling compares remotes by: as in [`fills`], times the weight relative to the
/// mean of weights for remotes of known size too. With equal weights the same.
pub(super) fn level_shares(candidates: &[Candidate]) -> Vec<f64> {
    let weights: Vec<f64> = candidates.iter().map(Candidate::usable_weight).collect();
    let average_weight = mean(&weights);
    let typical = typical_share(candidates).unwrap_or_else(|| {
        let used: Vec<f64> = candidates.iter().map(|one| one.used as f64).collect();
        mean(&used)
    });
    let share = |one: &Candidate| one.share.map_or(typical, |share| share as f64) * one.usable_weight();
    candidates.iter().map(|one| (share(one) / average_weight).max(1.0)).collect()
}

fn typical_share(candidates: &[Candidate]) -> Option<f64> {
    let known: Vec<f64> = candidates.iter().filter_map(|one| one.share).map(|share| share as f64).collect();
    (!known.is_empty()).then(|| mean(&known))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(used: u64, share: Option<u64>, weight: f64) -> Candidate {
        Candidate { used, share, weight, ..Candidate::new("r") }
    }

    #[test]
    fn fill_is_used_over_share() {
        let pool = [candidate(50, Some(100), 1.0), candidate(50, Some(200), 9.0), candidate(30, None, 1.0)];
        // The third counts as 150 large; weights of remotes with a share do not matter.
        assert_eq!(fills(&pool), [0.5, 0.25, 0.2]);
        assert!((variance_points(fills(&pool)) - 30.0).abs() < 1e-9);
    }

    #[test]
    fn remotes_of_unknown_size_have_shares_by_weight() {
        let pool = [candidate(200, None, 2.0), candidate(100, None, 1.0), candidate(50, None, 1.0)];
        let fills = fills(&pool);
        let expected = [200.0 / 175.0, 100.0 / 87.5, 50.0 / 87.5];
        assert!(fills.iter().zip(expected).all(|(fill, expected)| (fill - expected).abs() < 1e-9), "{fills:?}");
    }

    #[test]
    fn nothing_used_is_no_variance() {
        assert_eq!(variance_points(fills(&[candidate(0, None, 1.0), candidate(0, None, 2.0)])), 0.0);
        assert_eq!(variance_points(fills(&[candidate(0, Some(0), 0.0)])), 0.0);
        assert_eq!(variance_points(fills(&[])), 0.0);
        let odd = fills(&[candidate(5, Some(0), f64::NAN), candidate(5, None, f64::INFINITY)]);
        assert!(odd.iter().all(|fill| fill.is_finite()));
    }
}
