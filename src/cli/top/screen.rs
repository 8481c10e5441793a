//! `top` on a terminal: figures above, one table, and where there is room what waits and what happened last.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear};

use super::super::screen::paint::{BAD, BUSY, CHOSEN, GOOD, HEAD, SOFT, WARN, cut, gauge, width};
use super::super::text::count;
use super::history::History;
use super::tables::{self, clock};
use super::ui::{Tab, Ui};
use super::view::View;

/// From this height on, what waits and what happened last stand below the table.
const TALL: u16 = 30;
/// From this width on they stand side by side.
const WIDE: u16 = 100;

const HELP: &[(&str, &str)] = &[
    ("tab → ←", "next or previous table"),
    ("1 … 5", "nodes, pools, pending, moves, decisions"),
    ("↑ ↓ j k", "scroll; PgUp PgDn by pages, g G to the ends"),
    ("s", "sort nodes by the next column"),
    ("r", "turn the order round"),
    ("space", "look at once"),
    ("?", "these keys"),
    ("q ctrl-C", "quit"),
];

/// Draws the whole screen. `foot` is what else there is to say, and whether it is trouble.
pub fn draw(frame: &mut Frame<'_>, view: &View, history: &History, ui: &mut Ui, foot: (&str, bool)) {
    let area = frame.area();
    let head = figures(view, area.width, usize::from(area.height / 3).max(1));
    let n_head = u16::try_from(head.len()).unwrap_or(1);
    let [top, tabs, body, bottom] = Layout::vertical([
        Constraint::Length(n_head),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(area);
    for (line, y) in head.into_iter().zip(top.y..top.bottom()) {
        frame.render_widget(line, Rect { y, height: 1, ..top });
    }
    frame.render_widget(tab_line(view, history, ui, area.width), tabs);
    let (main, below) = split(body, ui.tab);
    ui.page = usize::from(main.height.saturating_sub(1));
    tables::draw(frame, main, ui.tab, view, history, ui);
    for (tab, area) in below {
        let block = Block::default().title(Line::styled(format!("── {} ", tab.title()), SOFT));
        let inner = block.inner(area);
        frame.render_widget(block, area);
        let mut from_the_top = Ui::default();
        tables::draw(frame, inner, tab, view, history, &mut from_the_top);
    }
    let (text, is_trouble) = foot;
    frame.render_widget(Line::styled(cut(text, usize::from(area.width)), if is_trouble { BAD } else { SOFT }), bottom);
    if ui.help {
        help(frame, area);
    }
}

/// Room for the chosen table, and for those below it.
fn split(body: Rect, chosen: Tab) -> (Rect, Vec<(Tab, Rect)>) {
    let below: Vec<Tab> = [Tab::Pending, Tab::Decisions].into_iter().filter(|tab| *tab != chosen).collect();
    if body.height < TALL - 4 {
        return (body, Vec::new());
    }
    let [main, rest] = Layout::vertical([Constraint::Fill(3), Constraint::Fill(2)]).areas(body);
    let areas = if body.width >= WIDE {
        Layout::horizontal(vec![Constraint::Fill(1); below.len()]).spacing(2).split(rest)
    } else {
        Layout::vertical(vec![Constraint::Fill(1); below.len()]).split(rest)
    };
    (main, below.into_iter().zip(areas.iter().copied()).collect())
}

/// Counts, money, use, in this order; as many lines as it takes, at most `most`.
fn figures(view: &View, wide: u16, most: usize) -> Vec<Line<'static>> {
    let one = |text: String| vec![Span::raw(text)];
    let styled = |text: String, style: Style| vec![Span::styled(text, style)];
    let mut pieces = Vec::new();
    if wide >= 60 {
        pieces.push(vec![Span::styled("millwright", HEAD), Span::raw(format!(" {}", clock(view.taken_at)))]);
    }
    let mut nodes = one(count(view.n_nodes(), "node"));
    if view.n_claims() > 0 {
        nodes.push(Span::styled(format!(" +{}", view.n_claims()), BUSY));
    }
    pieces.push(nodes);
    pieces.push(one(count(view.pods_running, "pod")));
    let waiting = view.pods_pending - view.n_unplaced().min(view.pods_pending);
    pieces.push(styled(format!("{waiting} waiting"), if waiting > 0 { BUSY } else { SOFT }));
    if view.n_unplaced() > 0 {
        pieces.push(styled(format!("{} without a place", view.n_unplaced()), BAD));
    }
    pieces.push(vec![Span::styled(format!("${}/h", view.hourly_cost), HEAD), Span::raw(" now")]);
    if view.nodes_without_price > 0 {
        pieces.push(styled(format!("({} unpriced)", view.nodes_without_price), WARN));
    }
    if let Some(gap) = view.gap_percent() {
        pieces.push(styled(format!("buying ${}/h", view.planned_cost), BUSY));
        pieces.push(one(format!("bound ${}", view.planned_bound)));
        pieces.push(styled(format!("gap {gap:.1}%"), if gap <= 5.0 { GOOD } else { WARN }));
    }
    let used = [("cpu ", view.cpu), ("memory ", view.memory)];
    for (name, share) in used.into_iter().filter(|(_, share)| share.is_some()) {
        let mut piece = one(name.to_owned());
        piece.extend(gauge(share, 15).spans);
        pieces.push(piece);
    }
    let mut lines = join(pieces, usize::from(wide));
    lines.truncate(most);
    lines
}

/// Groups of spans, as many on a line as fit.
fn join(groups: Vec<Vec<Span<'static>>>, wide: usize) -> Vec<Line<'static>> {
    let mut lines: Vec<Line<'static>> = Vec::new();
    for group in groups {
        let group = Line::from(group);
        match lines.last_mut() {
            Some(last) if last.width() + 2 + group.width() <= wide => {
                last.push_span(Span::raw("  "));
                group.spans.into_iter().for_each(|span| last.push_span(span));
            }
            _ => lines.push(group),
        }
    }
    lines
}

/// The tabs with their counts; on a narrow screen only the chosen one.
fn tab_line(view: &View, history: &History, ui: &Ui, wide: u16) -> Line<'static> {
    let title = |tab: Tab| {
        let n = match tab {
            Tab::Nodes => view.nodes.len(),
            Tab::Pools => view.pools.len(),
            Tab::Pending => view.pods_pending,
            Tab::Moves => view.launches_total,
            Tab::Decisions => history.len(),
        };
        let order = if ui.reversed { "↓" } else { "↑" };
        let by =
            if tab == Tab::Nodes && ui.tab == tab { format!(" by {} {order}", ui.sort.word()) } else { String::new() };
        let text = format!(" {} {} {n}{by} ", tab as usize + 1, tab.title());
        Span::styled(text, if tab == ui.tab { CHOSEN } else { SOFT })
    };
    let all = Line::from(Tab::ALL.map(title).to_vec());
    if all.width() <= usize::from(wide) { all } else { Line::from(title(ui.tab)) }
}

/// The keys, over everything else.
fn help(frame: &mut Frame<'_>, area: Rect) {
    let key_width = HELP.iter().map(|(key, _)| width(key)).max().unwrap_or(0);
    let room = usize::from(area.width).saturating_sub(4);
    let lines: Vec<Line<'static>> = HELP
        .iter()
        .map(|(key, does)| {
            let pad = " ".repeat(key_width - width(key));
            let does = cut(does, room.saturating_sub(key_width + 2));
            Line::from(vec![Span::styled(format!("{key}{pad}  "), HEAD), Span::raw(does)])
        })
        .collect();
    let wide = lines.iter().map(Line::width).max().unwrap_or(0) + 4;
    let size = |n: usize, most: u16| u16::try_from(n).unwrap_or(u16::MAX).min(most);
    let (w, h) = (size(wide, area.width), size(HELP.len() + 2, area.height));
    let over = Rect { x: area.x + (area.width - w) / 2, y: area.y + (area.height - h) / 2, width: w, height: h };
    let block = Block::bordered().title(" keys ");
    let inner = block.inner(over);
    frame.render_widget(Clear, over);
    frame.render_widget(block, over);
    for (line, y) in lines.into_iter().zip(inner.y..inner.bottom()) {
        let x = inner.x + u16::from(inner.width > 2);
        frame.render_widget(line, Rect { x, y, width: inner.right() - x, height: 1 });
    }
}

#[cfg(test)]
mod tests;
