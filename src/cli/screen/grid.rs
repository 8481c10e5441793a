//! Tables that give up columns where the screen is narrow.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::paint::{HEAD, cut, width};

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub title: &'static str,
    /// Cells, at least; content that is longer is cut.
    pub width: usize,
    /// Which columns go first where there is too little room: the highest. 0 stays.
    pub rank: u8,
    pub align: Align,
}

/// What a column does with its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
    /// Left, and takes what room is over, shared with others like it.
    Fill,
}

impl Column {
    pub const fn left(title: &'static str, width: usize, rank: u8) -> Self {
        Self { title, width, rank, align: Align::Left }
    }

    pub const fn right(title: &'static str, width: usize, rank: u8) -> Self {
        Self { title, width, rank, align: Align::Right }
    }

    pub const fn fill(title: &'static str, width: usize, rank: u8) -> Self {
        Self { title, width, rank, align: Align::Fill }
    }
}

/// Which columns are shown and how wide each is, in `room` cells with one between two columns.
pub fn fit(columns: &[Column], room: usize) -> Vec<(usize, usize)> {
    let mut shown: Vec<(usize, usize)> = columns.iter().enumerate().map(|(at, column)| (at, column.width)).collect();
    let total = |shown: &[(usize, usize)]| shown.iter().map(|(_, width)| width + 1).sum::<usize>().saturating_sub(1);
    while total(&shown) > room {
        let last =
            shown.iter().enumerate().max_by_key(|(at, (column, _))| (columns[*column].rank, *at)).map(|(at, _)| at);
        match last {
            Some(at) if columns[shown[at].0].rank > 0 => drop(shown.remove(at)),
            _ => break,
        }
    }
    let mut over = room.saturating_sub(total(&shown));
    let fills: Vec<usize> = (0..shown.len()).filter(|at| columns[shown[*at].0].align == Align::Fill).collect();
    for (nth, at) in fills.iter().enumerate() {
        let part = over / (fills.len() - nth);
        shown[*at].1 += part;
        over -= part;
    }
    shown
}

/// A table from its row `offset` on; gives the offset back, no further than the rows go.
pub fn draw<'a>(
    frame: &mut Frame<'_>,
    area: Rect,
    columns: &[Column],
    n_rows: usize,
    offset: usize,
    cell: impl Fn(usize, &Column, usize) -> Line<'a>,
) -> usize {
    let height = usize::from(area.height);
    if height == 0 || area.width == 0 {
        return offset.min(n_rows);
    }
    let shown = fit(columns, usize::from(area.width));
    let header = shown.iter().map(|(at, width)| (Line::styled(columns[*at].title, HEAD), &columns[*at], *width));
    let mut lines = vec![row(header)];
    let offset = offset.min(n_rows.saturating_sub(height - 1));
    for nth in (offset..n_rows).take(height - 1) {
        lines.push(row(shown.iter().map(|(at, width)| (cell(nth, &columns[*at], *width), &columns[*at], *width))));
    }
    for (line, y) in lines.into_iter().zip(area.y..) {
        frame.render_widget(line, Rect { y, height: 1, ..area });
    }
    offset
}

fn row<'a, 'c>(cells: impl Iterator<Item = (Line<'a>, &'c Column, usize)>) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    for (line, column, room) in cells {
        if !spans.is_empty() {
            spans.push(Span::raw(" "));
        }
        let (mut text, used) = shorten(&line, room);
        let pad = Span::raw(" ".repeat(room - used));
        if column.align == Align::Right {
            spans.push(pad);
            spans.append(&mut text);
        } else {
            spans.append(&mut text);
            spans.push(pad);
        }
    }
    Line::from(spans)
}

/// The line in at most `room` cells, and how many it takes.
fn shorten(line: &Line<'_>, room: usize) -> (Vec<Span<'static>>, usize) {
    let mut out: Vec<Span<'static>> = Vec::new();
    let mut used = 0;
    for span in &line.spans {
        let text = cut(&span.content, room - used);
        used += width(&text);
        out.push(Span::styled(text, merged(line.style, span.style)));
    }
    (out, used)
}

fn merged(line: Style, span: Style) -> Style {
    line.patch(span)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{drawn, lines};
    use super::*;

    const COLUMNS: &[Column] = &[
        Column::fill("NAME", 6, 0),
        Column::left("ZONE", 4, 2),
        Column::right("$/H", 5, 1),
        Column::left("STATE", 5, 3),
    ];

    #[test]
    fn a_narrow_table_gives_up_its_least_columns_and_a_wide_one_uses_its_room() {
        let titles =
            |room| fit(COLUMNS, room).iter().map(|(at, width)| (COLUMNS[*at].title, *width)).collect::<Vec<_>>();
        assert_eq!(titles(30), [("NAME", 13), ("ZONE", 4), ("$/H", 5), ("STATE", 5)]);
        assert_eq!(titles(20), [("NAME", 9), ("ZONE", 4), ("$/H", 5)]);
        assert_eq!(titles(12), [("NAME", 6), ("$/H", 5)]);
        assert_eq!(titles(3), [("NAME", 6)]);
    }

    #[test]
    fn cells_are_cut_to_their_columns_and_rows_to_the_screen() {
        let screen = drawn(20, 3, |frame| {
            let offset = draw(frame, frame.area(), COLUMNS, 9, 100, |nth, column, _| {
                Line::from(if column.title == "NAME" { format!("a-long-name-{nth}") } else { nth.to_string() })
            });
            assert_eq!(offset, 7);
        });
        assert_eq!(lines(&screen), ["NAME      ZONE   $/H", "a-long-n… 7        7", "a-long-n… 8        8"]);
    }
}
