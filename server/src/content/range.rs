//! Byte ranges (RFC 9110, section 14).

use std::ops::Range;

/// The most ranges of one request that are served; who asks for more gets the whole file.
const RANGES_MAX: usize = 8;

/// What a `Range` header asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it: the header is not for us, malformed, or asks for more than it should.
    Whole,
    /// One part.
    One(Range<u64>),
    /// Several parts, which do not overlap.
    Several(Vec<Range<u64>>),
    /// Nothing that is there.
    Unsatisfiable,
}

/// Reads a `Range` header for a file of `size` bytes.
///
/// Ranges that overlap, or are many, would make a small file a large answer: they are ignored, as RFC 9110 allows.
pub(super) fn wanted(header: &str, size: u64) -> Wanted {
    let Some((unit, list)) = header.split_once('=') else { return Wanted::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Wanted::Whole;
    }
    let (mut ranges, mut count) = (Vec::new(), 0);
    for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        count += 1;
        match parse(item, size) {
            _ if count > RANGES_MAX => return Wanted::Whole,
            None => return Wanted::Whole,
            Some(range) if range.is_empty() => {}
            Some(range) => ranges.push(range),
        }
    }
    let mut sorted = ranges.clone();
    sorted.sort_by_key(|range| range.start);
    if sorted.windows(2).any(|pair| matches!(pair, [a, b] if b.start < a.end)) {
        return Wanted::Whole;
    }
    match (ranges.len(), count) {
        (0, 0) => Wanted::Whole,
        (0, _) => Wanted::Unsatisfiable,
        (1, _) => Wanted::One(ranges.remove(0)),
        _ => Wanted::Several(ranges),
    }
}

/// One range; empty when it lies behind the end, `None` when it is malformed.
fn parse(item: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = item.split_once('-')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // More than fits is as good as infinite.
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    if first.is_empty() {
        let length = number(last)?;
        return Some(size.saturating_sub(length)..size);
    }
    let first = number(first)?;
    let end = if last.is_empty() { size } else { number(last)?.saturating_add(1).min(size) };
    if !last.is_empty() && number(last)? < first {
        return None;
    }
    Some(first.min(size)..end.max(first.min(size)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_rfc_9110_says() {
        for (header, expected) in [
            ("bytes=0-0", Wanted::One(0..1)),
            ("bytes=0-", Wanted::One(0..100)),
            ("bytes=90-1000", Wanted::One(90..100)),
            ("bytes=-10", Wanted::One(90..100)),
            ("bytes=-1000", Wanted::One(0..100)),
            ("Bytes = 5-6", Wanted::One(5..7)),
            ("bytes=0-1, 50-51", Wanted::Several(vec![0..2, 50..52])),
            ("bytes=50-51,0-1,,", Wanted::Several(vec![50..52, 0..2])),
            ("bytes=0-1,200-", Wanted::One(0..2)),
            ("bytes=100-", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=99999999999999999999999-", Wanted::Unsatisfiable),
            ("bytes=0-99999999999999999999999", Wanted::One(0..100)),
            ("bytes=5-4", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("bytes=1", Wanted::Whole),
            ("bytes=", Wanted::Whole),
            ("lines=1-2", Wanted::Whole),
            ("bytes=0-10,10-20", Wanted::Whole),
            ("bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8", Wanted::Whole),
        ] {
            assert_eq!(wanted(header, 100), expected, "{header}");
        }
        assert_eq!(wanted("bytes=0-", 0), Wanted::Unsatisfiable);
        assert_eq!(wanted("bytes=-5", 0), Wanted::Unsatisfiable);
    }
}
