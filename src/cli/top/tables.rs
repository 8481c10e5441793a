//! One table per tab of `top`.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::screen::grid::{self, Column};
use super::super::screen::paint::{BAD, BUSY, GOOD, SOFT, WARN, cut, gauge, width, wrap};
use super::history::{History, Kind};
use super::nodes::{NodeRow, State};
use super::ui::{Tab, Ui};
use super::view::View;

const NODES: &[Column] = &[
    Column::fill("NODE", 16, 0),
    Column::left("POOL", 10, 6),
    Column::left("TYPE", 17, 2),
    Column::left("ZONE", 11, 5),
    Column::left("CAPACITY", 9, 4),
    Column::right("$/H", 8, 3),
    Column::left("CPU", 13, 1),
    Column::left("MEMORY", 13, 1),
    Column::right("PODS", 4, 7),
    Column::left("STATE", 8, 0),
];

const POOLS: &[Column] = &[
    Column::fill("POOL", 12, 0),
    Column::right("NODES", 6, 0),
    Column::right("COMING", 6, 3),
    Column::right("LEAVING", 7, 4),
    Column::right("PODS", 6, 2),
    Column::left("CPU", 16, 1),
    Column::left("MEMORY", 16, 1),
    Column::right("$/H", 10, 0),
    Column::fill("NOT READY", 9, 5),
];

const MOVES: &[Column] = &[
    Column::left("MOVE", 6, 0),
    Column::right("NODES", 5, 0),
    Column::fill("POOL", 10, 3),
    Column::fill("TYPE", 17, 0),
    Column::left("ZONE", 11, 2),
    Column::left("CAPACITY", 9, 1),
    Column::right("$/H", 8, 0),
    Column::right("PODS", 4, 4),
];

/// Draws the rows of a tab from the offset on, and brings the offset back to where there are rows.
pub fn draw(frame: &mut Frame<'_>, area: Rect, tab: Tab, view: &View, history: &History, ui: &mut Ui) {
    let offset = ui.offsets[tab as usize];
    let offset = match tab {
        Tab::Nodes => nodes(frame, area, view, ui, offset),
        Tab::Pools => pools(frame, area, view, offset),
        Tab::Pending => lines(frame, area, pending(view, area.width), offset, "no pod waits"),
        Tab::Moves => moves(frame, area, view, offset),
        Tab::Decisions => lines(frame, area, decisions(history, area.width), offset, "nothing has happened yet"),
    };
    ui.offsets[tab as usize] = offset;
}

fn money(price: Option<planner::model::MicroUsdPerHour>) -> Line<'static> {
    price.map_or_else(|| Line::styled("?", SOFT), |price| Line::from(price.to_string()))
}

fn nodes(frame: &mut Frame<'_>, area: Rect, view: &View, ui: &Ui, offset: usize) -> usize {
    let rows = ui.sorted(view);
    if rows.is_empty() {
        return lines(frame, area, Vec::new(), 0, "no node, and none is coming");
    }
    grid::draw(frame, area, NODES, rows.len(), offset, |nth, column, wide| {
        let row: &NodeRow = rows[nth];
        match column.title {
            "NODE" => Line::from(row.name.as_str()),
            "POOL" => Line::from(row.pool.as_str()),
            "TYPE" => Line::from(row.instance_type.as_str()),
            "ZONE" => Line::from(row.zone.as_str()),
            "CAPACITY" => Line::from(row.capacity_type.as_str()),
            "$/H" => money(row.hourly_price),
            "CPU" => gauge(row.cpu, wide),
            "MEMORY" => gauge(row.memory, wide),
            "PODS" => Line::from(row.pods.to_string()),
            _ => Line::styled(row.state.word(), state_style(row.state)),
        }
    })
}

fn state_style(state: State) -> Style {
    match state {
        State::Ready => GOOD,
        State::Coming | State::Starting => BUSY,
        State::Unmanaged => SOFT,
        State::Leaving => WARN,
    }
}

fn pools(frame: &mut Frame<'_>, area: Rect, view: &View, offset: usize) -> usize {
    grid::draw(frame, area, POOLS, view.pools.len(), offset, |nth, column, wide| {
        let row = &view.pools[nth];
        match column.title {
            "POOL" if row.name.is_empty() => Line::styled("(no pool)", SOFT),
            "POOL" => Line::from(row.name.as_str()),
            "NODES" => Line::from(row.nodes.to_string()),
            "COMING" => Line::from(row.claims.to_string()),
            "LEAVING" => Line::from(row.leaving.to_string()),
            "PODS" => Line::from(row.pods.to_string()),
            "CPU" => gauge(row.cpu, wide),
            "MEMORY" => gauge(row.memory, wide),
            "$/H" => Line::from(row.hourly_cost.to_string()),
            _ => Line::styled(row.not_ready.as_deref().unwrap_or_default(), BAD),
        }
    })
}

/// What the plan buys, then what is on its way in and out.
fn moves(frame: &mut Frame<'_>, area: Rect, view: &View, offset: usize) -> usize {
    let under_way: Vec<&NodeRow> =
        view.nodes.iter().filter(|row| !matches!(row.state, State::Ready | State::Unmanaged)).collect();
    let n_rows = view.launches.len() + under_way.len();
    if n_rows == 0 {
        return lines(frame, area, Vec::new(), 0, "nothing to buy, nothing on its way");
    }
    grid::draw(frame, area, MOVES, n_rows, offset, |nth, column, _| {
        let Some(launch) = view.launches.get(nth) else {
            let row = under_way[nth - view.launches.len()];
            return match column.title {
                "MOVE" => {
                    Line::styled(if row.state == State::Leaving { "leave" } else { "join" }, state_style(row.state))
                }
                "NODES" => Line::from("1"),
                "POOL" => Line::from(row.pool.as_str()),
                "TYPE" => Line::from(row.instance_type.as_str()),
                "ZONE" => Line::from(row.zone.as_str()),
                "CAPACITY" => Line::from(row.capacity_type.as_str()),
                "$/H" => money(row.hourly_price),
                _ => Line::from(row.pods.to_string()),
            };
        };
        match column.title {
            "MOVE" => Line::styled("buy", GOOD),
            "NODES" => Line::from(launch.nodes.to_string()),
            "POOL" => Line::from(launch.pool.as_str()),
            "TYPE" => Line::from(launch.instance_type.as_str()),
            "ZONE" => Line::from(launch.zone.as_str()),
            "CAPACITY" => Line::from(launch.capacity_type),
            "$/H" => Line::from(launch.hourly_price.to_string()),
            _ => Line::from(launch.pods.to_string()),
        }
    })
}

/// A group in a line, and its reason in the lines below.
fn pending(view: &View, wide: u16) -> Vec<Line<'static>> {
    let room = usize::from(wide).saturating_sub(2);
    let mut out = Vec::new();
    for row in &view.pending {
        let style = if row.without_place > 0 { BAD } else { BUSY };
        let each = format!(" ({} each)", row.requests);
        let name = cut(&row.name, room.saturating_sub(6 + width(&each)).max(8));
        let head =
            vec![Span::styled(format!("{:>4} × ", row.n_pods()), style), Span::raw(name), Span::styled(each, SOFT)];
        let mut head = Line::from(head);
        let where_to = row.where_to();
        if head.width() + 1 + width(&where_to) <= room {
            head.push_span(Span::raw(format!(" {where_to}")));
            out.push(head);
        } else {
            out.push(head);
            out.extend(wrap(&where_to, room, "").into_iter().map(|text| Line::from(format!("  {text}"))));
        }
        if let Some(why) = row.why() {
            out.extend(wrap(&why, room, "  ").into_iter().map(|text| Line::styled(format!("  {text}"), BAD)));
        }
        if let Some(miss) = row.reason.as_ref().and_then(|reason| reason.nearest_miss.as_ref()) {
            let miss = format!("would help: {miss}");
            out.extend(wrap(&miss, room, "  ").into_iter().map(|text| Line::styled(format!("  {text}"), WARN)));
        }
    }
    out
}

fn decisions(history: &History, wide: u16) -> Vec<Line<'static>> {
    let mut out = Vec::new();
    for happening in history.newest() {
        let style = match happening.kind {
            Kind::Plan | Kind::Bought => BUSY,
            Kind::Joined | Kind::Placed => GOOD,
            Kind::Leaving | Kind::Gone => WARN,
            Kind::NoPlace => BAD,
        };
        let head = format!("{} {:<8} ", clock(happening.at), happening.kind.word());
        let lines = wrap(&happening.text, usize::from(wide).saturating_sub(head.len()).max(12), "");
        for (nth, text) in lines.into_iter().enumerate() {
            let head = if nth == 0 { Span::styled(head.clone(), style) } else { Span::raw(" ".repeat(head.len())) };
            out.push(Line::from(vec![head, Span::raw(text)]));
        }
    }
    out
}

/// `14:03:59`, UTC.
pub fn clock(at: i64) -> String {
    let at = jiff::Timestamp::from_second(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.strftime("%H:%M:%S").to_string()
}

/// Lines from the offset on; a word where there are none.
fn lines(frame: &mut Frame<'_>, area: Rect, lines: Vec<Line<'static>>, offset: usize, none: &'static str) -> usize {
    if lines.is_empty() {
        frame.render_widget(Line::styled(none, SOFT), area);
        return 0;
    }
    let offset = offset.min(lines.len().saturating_sub(usize::from(area.height)));
    for (line, y) in lines.into_iter().skip(offset).zip(area.y..area.bottom()) {
        frame.render_widget(line, Rect { y, height: 1, ..area });
    }
    offset
}
