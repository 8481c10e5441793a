//! Plain text for people: columns, lists cut short, shares, money with a sign.

use planner::model::{MicroUsdPerHour, Resources};
use planner::plan::Launch;

/// Left-aligned columns, two spaces apart; numbers (cells that end in a digit or `%` in every row) are right-aligned.
pub fn columns(header: &[&str], rows: &[Vec<String>]) -> String {
    let numeric = |at: usize| rows.iter().filter_map(|row| row.get(at)).all(|cell| is_number(cell));
    let cell_width = |row: &Vec<String>, at: usize| row.get(at).map_or(0, |cell| cell.chars().count());
    let shape: Vec<(usize, bool)> = (0..header.len())
        .map(|at| {
            let widest = rows.iter().map(|row| cell_width(row, at)).max().unwrap_or(0);
            (widest.max(header[at].chars().count()), numeric(at))
        })
        .collect();
    let mut out = String::new();
    let header: Vec<String> = header.iter().map(ToString::to_string).collect();
    for row in std::iter::once(&header).chain(rows) {
        let cells: Vec<String> = row
            .iter()
            .zip(&shape)
            .map(|(cell, (width, right))| if *right { format!("{cell:>width$}") } else { format!("{cell:<width$}") })
            .collect();
        out += cells.join("  ").trim_end();
        out.push('\n');
    }
    out
}

fn is_number(cell: &str) -> bool {
    cell == "-"
        || (cell.starts_with(|c: char| c.is_ascii_digit() || c == '+' || c == '-')
            && cell.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '%' | '+' | '-' | ' ' | '/')))
}

/// What the pods of launches ask for together, and what there will be for them.
pub fn load(launches: &[&Launch]) -> (Resources, Resources) {
    let (mut asked, mut has) = (Resources::default(), Resources::default());
    for launch in launches {
        asked.add(&launch.requests);
        has.add(&launch.allocatable);
    }
    (asked, has)
}

/// `a, b, c and 4 more`.
pub fn some<T: AsRef<str>>(names: &[T], most: usize) -> String {
    let shown: Vec<&str> = names.iter().take(most).map(AsRef::as_ref).collect();
    let more = names.len().saturating_sub(most);
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}

/// `1 pod`, `2 pods`.
pub fn count(n: usize, one: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {one}{plural}")
}

/// Asked of what there is, in whole percent; `-` where there is none.
pub fn share(asked: i64, has: i64) -> String {
    if has > 0 { format!("{}%", percent(asked, has)) } else { "-".into() }
}

/// Asked of what there is, in whole percent, rounded down.
pub fn percent(asked: i64, has: i64) -> i64 {
    if has > 0 { i64::try_from(i128::from(asked) * 100 / i128::from(has)).unwrap_or(i64::MAX) } else { 0 }
}

/// A difference with its sign: `+0.1300`, `-2.0000`, `0.0000`.
pub fn signed(difference: MicroUsdPerHour) -> String {
    let plus = if difference.0 > 0 { "+" } else { "" };
    format!("{plus}{difference}")
}

/// Amounts as they are written, `cpu 1500m, memory 3Gi`; a word for none.
pub fn amounts(resources: &Resources) -> String {
    let shown = resources.nonzero().to_string();
    if shown.is_empty() { "nothing".into() } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_right_and_names_left() {
        let rows = vec![vec!["a".to_string(), "0.5".to_string()], vec!["long".to_string(), "12.25".to_string()]];
        assert_eq!(columns(&["NAME", "$/H"], &rows), "NAME    $/H\na       0.5\nlong  12.25\n");
    }

    #[test]
    fn a_long_list_is_cut_and_says_so() {
        assert_eq!(some(&["a", "b", "c"], 2), "a, b and 1 more");
        assert_eq!(some(&["a"], 2), "a");
    }

    #[test]
    fn differences_carry_their_sign() {
        assert_eq!(signed(MicroUsdPerHour(130_000)), "+0.1300");
        assert_eq!(signed(MicroUsdPerHour(-2_000_000)), "-2.0000");
        assert_eq!(signed(MicroUsdPerHour(0)), "0.0000");
    }
}
