//! The table as a picture.

use std::fmt::Write as _;

use crate::table::{Goal, Row};

const ROW: f64 = 34.0;
const LEFT: f64 = 20.0;
const WIDTH: f64 = 860.0;
/// Ratios from 1/100 to 100 have room, on a logarithmic scale.
const DECADES: f64 = 2.0;

/// An SVG: a bar for each row, from 1 (as much as what it is held against) to its ratio, and a mark at its goal.
#[allow(clippy::cast_precision_loss, reason = "few rows")]
pub fn svg(rows: &[Row]) -> String {
    let height = ROW * rows.len() as f64 + 50.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0} {height:.0}\" role=\"img\" \
         font-family=\"system-ui, sans-serif\" font-size=\"11\">\n\
         <title>Ratios of ours to what each is held against</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
        WIDTH + 2.0 * LEFT
    );
    for decade in [0.01, 0.1, 1.0, 10.0, 100.0] {
        let x = place(decade);
        let _ = writeln!(
            text,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"24\" y2=\"{:.0}\" stroke=\"{}\"/>\
             <text x=\"{x:.1}\" y=\"18\" text-anchor=\"middle\" fill=\"#444\">{decade}</text>",
            height - 20.0,
            if (decade - 1.0).abs() < f64::EPSILON { "#444" } else { "#ddd" }
        );
    }
    for (n, row) in rows.iter().enumerate() {
        let (top, end, one) = (30.0 + ROW * n as f64, place(row.ratio), place(1.0));
        let colour = match (row.goal, row.is_met()) {
            (Goal::None, _) => "#8a8f98",
            (_, true) => "#1a7f5a",
            (_, false) => "#b3261e",
        };
        let _ = writeln!(
            text,
            "<text x=\"{LEFT}\" y=\"{:.0}\" fill=\"#111\">{} ({}): {:.2}</text>\
             <rect x=\"{:.1}\" y=\"{:.0}\" width=\"{:.1}\" height=\"10\" fill=\"{colour}\"/>",
            top + 11.0,
            escaped(&row.what),
            escaped(&row.beside),
            row.ratio,
            end.min(one),
            top + 15.0,
            (end - one).abs().max(1.0),
        );
        if let Goal::AtLeast(goal) | Goal::AtMost(goal) = row.goal {
            let x = place(goal);
            let _ = writeln!(
                text,
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.0}\" y2=\"{:.0}\" stroke=\"#111\" stroke-width=\"2\"/>",
                top + 13.0,
                top + 27.0
            );
        }
    }
    text + "</svg>\n"
}

/// Where a ratio lies.
fn place(ratio: f64) -> f64 {
    let share = (ratio.max(f64::MIN_POSITIVE).log10() / DECADES).clamp(-1.0, 1.0);
    LEFT + WIDTH / 2.0 * (1.0 + share)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_bar_and_every_goal_a_mark() {
        let row = |ratio, goal| Row { what: "a & <b>".into(), ours: String::new(), beside: "c".into(), ratio, goal };
        let rows = [row(0.5, Goal::AtLeast(0.9)), row(2000.0, Goal::AtMost(1.0)), row(f64::NAN, Goal::None)];
        let text = svg(&rows);
        let lines = |colour: &str| text.lines().filter(|line| line.contains(colour)).count();
        assert_eq!((lines("#b3261e"), lines("#1a7f5a"), lines("#8a8f98"), lines("stroke-width")), (2, 0, 1, 2));
        assert!(text.contains("a &amp; &lt;b&gt;") && !text.contains("NaN\" "), "{text}");
    }
}
