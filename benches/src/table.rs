//! Tables for the terminal and for docs/benchmarks.md, which holds one marked section per bench.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, bail};

/// A table with a header; the first column is left-aligned, the others right.
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(header: &[&str]) -> Self {
        Self { header: header.iter().map(|h| (*h).to_owned()).collect(), rows: Vec::new() }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Markdown, aligned so that it reads well as plain text too.
    pub fn markdown(&self) -> String {
        let width = |c: usize| {
            self.rows.iter().chain([&self.header]).map(|r| r.get(c).map_or(0, |s| s.chars().count())).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.header.len()).map(width).collect();
        let line = |cells: &[String]| {
            let mut text = String::from("|");
            for (c, &w) in widths.iter().enumerate() {
                let cell = cells.get(c).map_or("", String::as_str);
                let _ = if c == 0 { write!(text, " {cell:<w$} |") } else { write!(text, " {cell:>w$} |") };
            }
            text.push('\n');
            text
        };
        let mut text = line(&self.header);
        text.push('|');
        for (c, &w) in widths.iter().enumerate() {
            let _ = if c == 0 { write!(text, "{:-<1$}|", "", w + 2) } else { write!(text, "{:-<1$}:|", "", w + 1) };
        }
        text.push('\n');
        self.rows.iter().for_each(|r| text.push_str(&line(r)));
        text
    }
}

/// Replaces what stands between the markers of `section` in `file`.
pub fn write_section(file: &Path, section: &str, body: &str) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let (begin, end) = (format!("<!-- begin {section} -->"), format!("<!-- end {section} -->"));
    let (Some(from), Some(to)) = (text.find(&begin), text.find(&end)) else {
        bail!("{} has no section {section:?} (markers {begin} and {end})", file.display());
    };
    let new = format!("{}\n{}\n{}", &text[..from + begin.len()], body.trim_end(), &text[to..]);
    std::fs::write(file, new).with_context(|| format!("write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::{Table, write_section};

    #[test]
    fn a_section_is_replaced_and_the_rest_is_kept() {
        let file = std::env::temp_dir().join(format!("benches-section-{}.md", std::process::id()));
        std::fs::write(&file, "a\n<!-- begin x -->\nold\n<!-- end x -->\nb\n").unwrap();
        write_section(&file, "x", "new").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "a\n<!-- begin x -->\nnew\n<!-- end x -->\nb\n");
        assert!(write_section(&file, "y", "new").is_err());
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["name", "n"]);
        table.row(vec!["long name".into(), "5".into()]);
        assert_eq!(table.markdown(), "| name      | n |\n|-----------|--:|\n| long name | 5 |\n");
    }
}
