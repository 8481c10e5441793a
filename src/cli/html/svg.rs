//! Plots as inline SVG. Positions across are percentages and heights are pixels, so text keeps its size at any width.

use std::fmt::Write;

use super::escape;

/// Height of a row's text, in pixels.
const TEXT: usize = 17;
/// Height of one bar and the gap below it, in pixels.
const BAR: usize = 9;
/// Space below a row, in pixels.
const GAP: usize = 9;

/// One line of text with bars below it.
pub struct Row {
    /// On the left.
    pub label: String,
    /// On the right.
    pub value: String,
    /// CSS class and length (0 to 1) of each bar, from the top.
    pub bars: Vec<(&'static str, f64)>,
}

/// Rows of bars that share one scale.
pub fn rows(about: &str, rows: &[Row]) -> String {
    let height: usize = rows.iter().map(|row| TEXT + row.bars.len() * BAR + GAP).sum();
    let mut out = open(about, height);
    let mut top = 0;
    for row in rows {
        let base = top + TEXT - 5;
        let (label, value) = (escape(&row.label), escape(&row.value));
        let _ = write!(
            out,
            "<text x=\"0\" y=\"{base}\">{label}</text><text class=\"num\" x=\"100%\" y=\"{base}\">{value}</text>"
        );
        top += TEXT;
        for (class, length) in &row.bars {
            let length = percent(*length);
            let _ = write!(
                out,
                "<rect class=\"rail\" x=\"0\" y=\"{top}\" width=\"100%\" height=\"6\" rx=\"3\"/>\
                 <rect class=\"{class}\" x=\"0\" y=\"{top}\" width=\"{length}%\" height=\"6\" rx=\"3\"/>"
            );
            top += BAR;
        }
        top += GAP;
        out.push('\n');
    }
    out + "</svg>\n"
}

/// Columns side by side, each with its height above it and its name below.
pub fn columns(about: &str, columns: &[(String, usize)]) -> String {
    const TALL: usize = 130;
    let most = columns.iter().map(|(_, n)| *n).max().unwrap_or(0).max(1);
    let wide = 100.0 / columns.len().max(1) as f64;
    // With many columns only some names fit; a phone shows about twelve.
    let every = columns.len().div_ceil(12).max(1);
    let mut out = open(about, TALL + 38);
    for (at, (name, n)) in columns.iter().enumerate() {
        let tall = (n * TALL).div_ceil(most);
        let (left, middle) = (at as f64 * wide, (at as f64 + 0.5) * wide);
        let top = 18 + TALL - tall;
        let _ = write!(
            out,
            "<rect class=\"count\" x=\"{:.2}%\" y=\"{top}\" width=\"{:.2}%\" height=\"{tall}\"/>",
            left + wide * 0.1,
            wide * 0.8
        );
        if *n > 0 && columns.len() <= 16 {
            let _ = write!(out, "<text class=\"mid\" x=\"{middle:.2}%\" y=\"{}\">{n}</text>", top - 4);
        }
        if at % every == 0 {
            let _ = write!(out, "<text class=\"mid\" x=\"{middle:.2}%\" y=\"{}\">{}</text>", TALL + 34, escape(name));
        }
        out.push('\n');
    }
    let _ = writeln!(out, "<line class=\"axis\" x1=\"0\" x2=\"100%\" y1=\"{0}\" y2=\"{0}\"/>", 18 + TALL);
    out + "</svg>\n"
}

fn open(about: &str, height: usize) -> String {
    format!("<svg width=\"100%\" height=\"{height}\" role=\"img\" aria-label=\"{}\">\n", escape(about))
}

/// A length from 0 to 1 as a percentage with two digits.
fn percent(length: f64) -> String {
    format!("{:.2}", (length * 100.0).clamp(0.0, 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_never_leaves_its_rail() {
        let row = Row { label: "a".into(), value: "b".into(), bars: vec![("cpu", 7.0)] };
        assert!(rows("x", &[row]).contains("class=\"cpu\" x=\"0\" y=\"17\" width=\"100.00%\""));
    }

    #[test]
    fn a_plot_of_nothing_is_empty_and_whole() {
        assert!(columns("x", &[]).ends_with("</svg>\n"));
        assert!(rows("x", &[]).ends_with("</svg>\n"));
    }
}
