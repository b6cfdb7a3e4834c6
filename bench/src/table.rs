//! The table of results.

use std::fmt::Write as _;

/// What a ratio should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// Not below.
    AtLeast(f64),
    /// Not above.
    AtMost(f64),
    /// Told for comparison.
    None,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// Ours, with its unit.
    pub ours: String,
    /// What it is held against, with its unit.
    pub beside: String,
    /// Ours to the other.
    pub ratio: f64,
    /// What the ratio should be.
    pub goal: Goal,
}

impl Row {
    /// Whether the goal is met.
    pub fn is_met(&self) -> bool {
        match self.goal {
            Goal::AtLeast(least) => self.ratio >= least,
            Goal::AtMost(most) => self.ratio <= most,
            Goal::None => true,
        }
    }

    fn cells(&self) -> [String; 6] {
        let goal = match self.goal {
            Goal::AtLeast(least) => format!(">= {least:.2}"),
            Goal::AtMost(most) => format!("<= {most:.2}"),
            Goal::None => String::new(),
        };
        let met = match self.goal {
            Goal::None => "",
            _ if self.is_met() => "met",
            _ => "MISSED",
        };
        [self.what.clone(), self.ours.clone(), self.beside.clone(), format!("{:.2}", self.ratio), goal, met.into()]
    }
}

/// The rows as a table in Markdown, its columns aligned.
pub fn text(rows: &[Row]) -> String {
    let head = ["what", "ours", "beside", "ratio", "goal", ""].map(str::to_owned);
    let lines: Vec<[String; 6]> = std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    let width = |column: usize| lines.iter().map(|cells| cells[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for (at, cells) in lines.iter().enumerate() {
        for (cell, width) in cells.iter().zip(widths) {
            let _ = write!(text, "| {cell:width$} ");
        }
        text.push_str("|\n");
        if at == 0 {
            for width in widths {
                let _ = write!(text, "| {} ", "-".repeat(width.max(1)));
            }
            text.push_str("|\n");
        }
    }
    text
}

/// The middle one; of an even number the mean of the two in the middle.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match (values.len() / 2, values.len() % 2) {
        (0, 0) => f64::NAN,
        (middle, 1) => values[middle],
        (middle, _) => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_goal_shows() {
        let row = |ratio, goal| Row { what: "w".into(), ours: "1".into(), beside: "2".into(), ratio, goal };
        let rows = [row(0.5, Goal::AtLeast(0.9)), row(0.5, Goal::AtMost(0.9)), row(f64::NAN, Goal::AtMost(1.0))];
        assert_eq!(rows.iter().map(Row::is_met).collect::<Vec<_>>(), [false, true, false]);
        let text = text(&rows);
        assert_eq!(text.lines().count(), 5);
        assert!(text.lines().nth(2).is_some_and(|line| line.contains("| 0.50  | >= 0.90 | MISSED |")), "{text}");
    }

    #[test]
    fn medians() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
    }
}
