//! One line of progress.

use std::time::Duration;

use serde_json::{Value, json};

use super::Tally;
use crate::format::{self, MB};

/// `████ 100.0% | 1024.0/1024.0 MB | 12.34 MB/s | ETA: 00:00:00 | Elapsed: 00:01:23 | 10/10 items`,
/// with a shorter bar, and then with fewer parts, where the terminal is narrow.
pub fn bar(tally: &Tally, rate: Option<f64>, columns: usize) -> String {
    const WIDE: usize = 40;
    const NARROW: usize = 10;
    let mut parts = parts(tally, rate);
    let Some(done) = fraction(tally) else { return fit(parts, columns) };
    let percent = format!("{:.1}%", done * 100.0);
    // What goes first where room is short: the elapsed time, then the items.
    let width = |parts: &[String]| percent.len() + 1 + parts.iter().map(|part| part.len() + 3).sum::<usize>();
    while width(&parts) + NARROW >= columns && parts.len() > 2 {
        let elapsed = parts.iter().position(|part| part.starts_with("Elapsed"));
        parts.remove(elapsed.unwrap_or(parts.len() - 1));
    }
    let room = columns.saturating_sub(width(&parts) + 1).clamp(NARROW, WIDE);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "0 to 40")]
    let full = (done * room as f64) as usize;
    format!("{}{} {percent} | {}", "█".repeat(full), "░".repeat(room - full), parts.join(" | "))
}

fn fit(mut parts: Vec<String>, columns: usize) -> String {
    while parts.len() > 1 && parts.iter().map(|part| part.len() + 3).sum::<usize>() >= columns + 3 {
        parts.pop();
    }
    parts.join(" | ")
}

/// The same without a bar, for logs.
pub fn plain(tally: &Tally, rate: Option<f64>) -> String {
    let percent = fraction(tally).map(|done| format!("{:.1}%", done * 100.0));
    percent.into_iter().chain(parts(tally, rate)).collect::<Vec<_>>().join(" | ")
}

/// The same for programs.
pub fn json(tally: &Tally, rate: Option<f64>) -> Value {
    json!({
        "bytes_done": tally.bytes,
        "bytes_total": tally.total_bytes,
        "items_done": tally.items,
        "items_total": tally.total_items,
        "files_failed": tally.failed,
        "bytes_per_second": rate.map(f64::round),
        "seconds_elapsed": tally.elapsed.as_secs_f64(),
        "seconds_left": left(tally, rate).map(|left| left.as_secs()),
    })
}

fn parts(tally: &Tally, rate: Option<f64>) -> Vec<String> {
    let amount = match tally.total_bytes {
        Some(total) => format!("{:.1}/{:.1} MB", mb(tally.bytes.min(total)), mb(total)),
        None => format!("{:.1} MB", mb(tally.bytes)),
    };
    let items = match tally.total_items {
        Some(total) => format!("{}/{total} items", tally.items.min(total)),
        None => format::count(tally.items, "item"),
    };
    let mut parts = vec![amount, format!("{:.2} MB/s", rate.unwrap_or(0.0) / MB)];
    if tally.total_bytes.is_some() {
        parts.push(format!("ETA: {}", left(tally, rate).map_or("--:--:--".into(), format::clock)));
    }
    parts.push(format!("Elapsed: {}", format::clock(tally.elapsed)));
    parts.push(items);
    parts
}

#[allow(clippy::cast_precision_loss, reason = "for display")]
fn mb(bytes: u64) -> f64 {
    bytes as f64 / MB
}

/// 0 to 1; by items where there are no bytes.
#[allow(clippy::cast_precision_loss, reason = "for display")]
fn fraction(tally: &Tally) -> Option<f64> {
    let of = |done: u64, total: u64| if total == 0 { 1.0 } else { (done as f64 / total as f64).min(1.0) };
    match (tally.total_bytes?, tally.total_items) {
        (0, Some(items)) => Some(of(tally.items, items)),
        (bytes, _) => Some(of(tally.bytes, bytes)),
    }
}

#[allow(clippy::cast_precision_loss, reason = "for display")]
fn left(tally: &Tally, rate: Option<f64>) -> Option<Duration> {
    let missing = tally.total_bytes?.saturating_sub(tally.bytes);
    if missing == 0 {
        return Some(Duration::ZERO);
    }
    let seconds = missing as f64 / rate.filter(|rate| *rate > 0.0)?;
    Duration::try_from_secs_f64(seconds.min(359_999.0)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(bytes: u64, total: Option<u64>, items: u64, total_items: Option<u64>, seconds: u64) -> Tally {
        let elapsed = Duration::from_secs(seconds);
        Tally { bytes, kept_bytes: 0, total_bytes: total, items, total_items, failed: 0, elapsed }
    }

    #[test]
    fn the_line_of_the_documentation() {
        let done = tally(1 << 30, Some(1 << 30), 10, Some(10), 83);
        assert_eq!(
            bar(&done, Some(12.34 * MB), 200),
            "████████████████████████████████████████ 100.0% | 1024.0/1024.0 MB | 12.34 MB/s | ETA: 00:00:00 | \
             Elapsed: 00:01:23 | 10/10 items"
        );
    }

    #[test]
    fn every_width_is_kept() {
        let half = tally(50 << 20, Some(100 << 20), 1, Some(2), 10);
        for columns in [60, 80, 100, 120, 200] {
            let line = bar(&half, Some(5.0 * MB), columns);
            assert!(line.chars().count() < columns, "{columns}: {line}");
            assert!(line.contains(" 50.0% | 50.0/100.0 MB | 5.00 MB/s"), "{line}");
        }
        assert!(bar(&half, Some(5.0 * MB), 120).ends_with("ETA: 00:00:10 | Elapsed: 00:00:10 | 1/2 items"));
    }

    #[test]
    fn what_is_not_known_is_not_shown() {
        let stream = tally(3 << 20, None, 1, None, 2);
        assert_eq!(bar(&stream, None, 80), "3.0 MB | 0.00 MB/s | Elapsed: 00:00:02 | 1 item");
        let begun = tally(0, Some(1 << 20), 0, Some(1), 2);
        assert_eq!(
            plain(&begun, None),
            "0.0% | 0.0/1.0 MB | 0.00 MB/s | ETA: --:--:-- | Elapsed: 00:00:02 | 0/1 items"
        );
        assert_eq!(json(&begun, None)["seconds_left"], Value::Null);
        // Empty files: their number is all there is.
        assert!(plain(&tally(0, Some(0), 1, Some(4), 0), None).starts_with("25.0% | 0.0/0.0 MB"));
    }
}
