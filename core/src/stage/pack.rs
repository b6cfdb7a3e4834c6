//! Which small things lie together.

use std::ops::Range;

/// Items that are put together until they have so many bytes.
#[derive(Debug)]
pub struct Filling<T> {
    most: u64,
    items: Vec<T>,
    bytes: u64,
}

impl<T> Filling<T> {
    /// Begins, with at most so many bytes together.
    pub fn new(most: u64) -> Self {
        Self { most, items: Vec::new(), bytes: 0 }
    }

    /// Whether nothing is waiting.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Adds an item of `size` bytes; gives back those that are to lie together, once nothing more fits. An item
    /// above the limit lies alone.
    pub fn add(&mut self, item: T, size: u64) -> Option<Vec<T>> {
        let full = if self.bytes.saturating_add(size) > self.most { self.take() } else { None };
        self.items.push(item);
        self.bytes = self.bytes.saturating_add(size);
        // What comes next cannot fit either.
        full.or_else(|| if self.bytes >= self.most { self.take() } else { None })
    }

    /// Takes what is there; `None` when that is nothing.
    pub fn take(&mut self) -> Option<Vec<T>> {
        self.bytes = 0;
        (!self.items.is_empty()).then(|| std::mem::take(&mut self.items))
    }
}

/// Ranges to be read in one go, and what lies in each, by its beginning.
pub type Runs<T> = Vec<(Range<u64>, Vec<(Range<u64>, T)>)>;

/// Joins ranges that overlap, touch, or have at most `gap` bytes between them.
pub fn runs<T>(mut items: Vec<(Range<u64>, T)>, gap: u64) -> Runs<T> {
    items.sort_by_key(|(range, _)| (range.start, range.end));
    let mut runs: Runs<T> = Vec::new();
    for (range, item) in items {
        match runs.last_mut() {
            Some((run, within)) if range.start <= run.end.saturating_add(gap) => {
                run.end = run.end.max(range.end);
                within.push((range, item));
            }
            _ => runs.push((range.clone(), vec![(range, item)])),
        }
    }
    runs
}

/// How many bytes ranges cover, those that several cover once.
pub fn covered(ranges: impl IntoIterator<Item = Range<u64>>) -> u64 {
    let items = ranges.into_iter().map(|range| (range, ())).collect();
    runs(items, 0).iter().map(|(run, _)| run.end - run.start).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_fits_lies_together_in_the_order_it_comes() {
        let mut filling = Filling::new(10);
        assert_eq!((filling.add('a', 4), filling.add('b', 5), filling.is_empty()), (None, None, false));
        assert_eq!(filling.add('c', 2), Some(vec!['a', 'b']));
        assert_eq!(filling.add('d', 8), Some(vec!['c', 'd']), "full to the byte");
        assert!(filling.is_empty());
        assert_eq!(filling.take(), None);
        assert_eq!(filling.add('e', 11), Some(vec!['e']), "too large for any");
        assert_eq!(filling.add('f', 1), None);
        assert_eq!(filling.add('g', 30), Some(vec!['f']));
        assert_eq!(filling.take(), Some(vec!['g']));
    }

    #[test]
    fn ranges_that_nearly_touch_are_one() {
        let found = runs(vec![(20..30, 'c'), (0..10, 'a'), (10..12, 'b'), (5..6, 'x'), (41..42, 'd')], 8);
        assert_eq!(found.iter().map(|(run, _)| run.clone()).collect::<Vec<_>>(), [0..30, 41..42]);
        let order: Vec<char> = found.iter().flat_map(|(_, items)| items.iter().map(|(_, item)| *item)).collect();
        assert_eq!(order, ['a', 'x', 'b', 'c', 'd']);
        assert_eq!(covered([0..10, 5..12, 20..30, 12..13, 25..26]), 23);
        assert_eq!(covered([]), 0);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_too_large(sizes in prop::collection::vec(0u64..40, 0..60), most in 1u64..50) {
            let mut filling = Filling::new(most);
            let mut packs: Vec<Vec<(usize, u64)>> = Vec::new();
            for (n, size) in sizes.iter().enumerate() {
                packs.extend(filling.add((n, *size), *size));
            }
            packs.extend(filling.take());
            let order: Vec<usize> = packs.iter().flatten().map(|(n, _)| *n).collect();
            prop_assert_eq!(order, (0..sizes.len()).collect::<Vec<_>>());
            for pack in &packs {
                let bytes: u64 = pack.iter().map(|(_, size)| size).sum();
                prop_assert!(bytes <= most || pack.len() == 1, "{} bytes in {} files", bytes, pack.len());
            }
        }
    }
}
