//! Plots as inline SVG. Positions across are percentages and heights are pixels, so text keeps its size at any width.

use std::fmt::Write;

use super::escape;

/// Height of a row's text, in pixels.
const TEXT: usize = 17;
/// Height of one bar and the gap below it, in pixels.
const BAR: usize = 9;
/// Space below a row, in pixels.
const GAP: usize = 9;
/// Characters that fit on a line on a phone.
const ROOM: usize = 42;

/// One line of text with bars below it.
pub struct Row {
    /// On the left.
    pub label: String,
    /// On the right.
    pub value: String,
    /// CSS class and length (0 to 1) of each bar, from the top.
    pub bars: Vec<(&'static str, f64)>,
}

impl Row {
    /// What stands on the left, in lines. The value stands beside the last one; together they fit on a phone.
    fn lines(&self) -> Vec<String> {
        let room = ROOM.saturating_sub(self.value.chars().count() + 2);
        if self.label.chars().count() <= room {
            return vec![self.label.clone()];
        }
        // Before its last part, which mostly is the type of a machine.
        let (first, last) = self.label.rsplit_once(" · ").unwrap_or((&self.label, ""));
        vec![shortened(first, ROOM), shortened(last, room)]
    }
}

/// The text in at most `most` characters.
fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(most.saturating_sub(1)).collect();
    out.push('…');
    out
}

/// Rows of bars that share one scale.
pub fn rows(about: &str, rows: &[Row]) -> String {
    let lines: Vec<Vec<String>> = rows.iter().map(Row::lines).collect();
    let height: usize = rows.iter().zip(&lines).map(|(row, n)| n.len() * TEXT + row.bars.len() * BAR + GAP).sum();
    let mut out = open(about, height);
    let mut top = 0;
    for (row, lines) in rows.iter().zip(lines) {
        for line in lines {
            top += TEXT;
            let _ = write!(out, "<text x=\"0\" y=\"{}\">{}</text>", top - 5, escape(&line));
        }
        let _ = write!(out, "<text class=\"num\" x=\"100%\" y=\"{}\">{}</text>", top - 5, escape(&row.value));
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
    // With many or long names only some of them fit; a phone shows about 45 characters.
    let longest = columns.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let every = (columns.len() * (longest + 2)).div_ceil(45).max(1);
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
        if *n > 0 {
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
    fn a_long_name_stands_above_its_value_and_not_under_it() {
        let row = |label: &str| Row { label: label.into(), value: "94% · 93%".into(), bars: vec![("cpu", 0.5)] };
        assert_eq!(row("general-1 · m6g.2xlarge").lines(), ["general-1 · m6g.2xlarge"]);
        let name = "production-general-purpose-workloads-1";
        assert_eq!(row(&format!("{name} · m6g.2xlarge")).lines(), [name, "m6g.2xlarge"]);
        assert_eq!(row(&"x".repeat(70)).lines(), [format!("{}…", "x".repeat(41)), String::new()]);
        let drawn = rows("x", &[row(&format!("{name} · m6g.2xlarge")), row("b")]);
        assert!(drawn.contains("height=\"87\"") && drawn.contains("y=\"29\">94% · 93%</text>"), "{drawn}");
    }

    #[test]
    fn each_column_has_its_number_and_names_keep_clear_of_each_other() {
        let of = |n: usize, name: &str| columns("x", &(0..n).map(|_| (name.to_owned(), 3)).collect::<Vec<_>>());
        assert_eq!(of(16, "101–107").matches(">3</text>").count(), 16);
        let names = |n, name: &str| of(n, name).matches(&format!(">{name}</text>")).count();
        assert_eq!((names(6, "4"), names(16, "4"), names(16, "33–35"), names(16, "101–107")), (6, 8, 6, 4));
    }

    #[test]
    fn a_plot_of_nothing_is_empty_and_whole() {
        assert!(columns("x", &[]).ends_with("</svg>\n"));
        assert!(rows("x", &[]).ends_with("</svg>\n"));
    }
}
