//! A run on a terminal: figures, plots over time, and what happened with its reasons.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType};

use super::super::html::clock;
use super::super::screen::paint::{BAD, BUSY, GOOD, HEAD, SOFT, WARN, cut, gauge, wrap};
use super::super::text::count;
use super::timeline::{MomentKind, Point, Timeline};

/// Below this height there are no plots.
const PLOTTED: u16 = 18;
/// From this width on the plots stand side by side.
const WIDE: u16 = 72;
/// Lines below a moment; more are counted.
const MOST_DETAILS: usize = 4;
/// Moments that are looked back at.
const MOST_MOMENTS: usize = 500;

/// What is shown of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Back {
    /// Lines above the last one; 0 follows the run. Drawing brings it back to where there are lines.
    pub lines: usize,
    /// Lines that the last frame had room for.
    pub page: usize,
    /// Moments that the last frame knew of.
    pub moments: usize,
}

/// Draws a run so far. `foot` is the last line.
pub fn draw(frame: &mut Frame<'_>, run: &Timeline, back: &mut Back, foot: &str) {
    let area = frame.area();
    let now = run.points.last().cloned().unwrap_or_default();
    let mut head = figures(run, &now, area.width);
    head.truncate(usize::from(area.height / 3).max(1));
    let n_head = u16::try_from(head.len()).unwrap_or(1);
    let plots = if area.height < PLOTTED { 0 } else { (area.height / 3).clamp(7, 14) };
    let [top, middle, rest, bottom] = Layout::vertical([
        Constraint::Length(n_head),
        Constraint::Length(plots),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(area);
    for (line, y) in head.into_iter().zip(top.y..top.bottom()) {
        frame.render_widget(line, Rect { y, height: 1, ..top });
    }
    if plots > 0 {
        draw_plots(frame, run, middle);
    }
    draw_moments(frame, run, rest, back);
    frame.render_widget(Line::styled(cut(foot, usize::from(area.width)), SOFT), bottom);
}

/// The title, then counts, money and use, as many on a line as fit.
fn figures(run: &Timeline, now: &Point, wide: u16) -> Vec<Line<'static>> {
    let wide = usize::from(wide);
    let title = format!("millwright demo · {} · seed {}", run.title, run.seed);
    let mut nodes = vec![Span::raw(count(now.nodes, "node"))];
    if now.claims > 0 {
        nodes.push(Span::styled(format!(" +{}", now.claims), BUSY));
    }
    if now.leaving > 0 {
        nodes.push(Span::styled(format!(" −{}", now.leaving), WARN));
    }
    let mut pieces = vec![
        vec![Span::styled(clock(now.seconds), HEAD)],
        nodes,
        vec![Span::styled(format!("{} running", now.pods_running), GOOD)],
        vec![Span::styled(format!("{} pending", now.pods_pending), if now.pods_pending > 0 { BUSY } else { SOFT })],
        vec![Span::styled(format!("${}/h", now.hourly_cost), HEAD)],
        vec![Span::styled(format!("bound ${}", now.hourly_bound), GOOD)],
        vec![Span::styled(format!("first-fit ${}", now.hourly_greedy), WARN)],
    ];
    for (name, share) in [("cpu ", now.cpu), ("memory ", now.memory)] {
        let mut piece = vec![Span::raw(name)];
        piece.extend(gauge((now.nodes > 0).then_some(share), 13).spans);
        pieces.push(piece);
    }
    let mut lines = vec![Line::styled(cut(&title, wide), HEAD), Line::default()];
    for piece in pieces {
        let piece = Line::from(piece);
        let Some(last) = lines.last_mut() else { break };
        if last.width() > 0 && last.width() + 2 + piece.width() > wide {
            lines.push(piece);
            continue;
        }
        if last.width() > 0 {
            last.push_span(Span::raw("  "));
        }
        piece.spans.into_iter().for_each(|span| last.push_span(span));
    }
    lines
}

/// Curves of one plot, by name and colour.
type Curve = (&'static str, Color, fn(&Point) -> f64);

const COUNTS: [Curve; 2] = [
    ("nodes", Color::Cyan, |point| point.nodes as f64),
    ("pending pods", Color::Red, |point| point.pods_pending as f64),
];
const MONEY: [Curve; 3] = [
    ("first-fit $/h", Color::Yellow, |point| point.hourly_greedy.0 as f64 / 1e6),
    ("bound", Color::Green, |point| point.hourly_bound.0 as f64 / 1e6),
    ("now", Color::Blue, |point| point.hourly_cost.0 as f64 / 1e6),
];

fn draw_plots(frame: &mut Frame<'_>, run: &Timeline, area: Rect) {
    if area.width < WIDE {
        plot(frame, run, area, &MONEY);
        return;
    }
    let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).spacing(1).areas(area);
    plot(frame, run, left, &COUNTS);
    plot(frame, run, right, &MONEY);
}

fn plot(frame: &mut Frame<'_>, run: &Timeline, area: Rect, curves: &[Curve]) {
    let end = run.points.last().map_or(1.0, |point| point.seconds.max(1.0));
    let lines: Vec<Vec<(f64, f64)>> =
        curves.iter().map(|(_, _, of)| steps(&run.points, *of, end, area.width)).collect();
    let most = lines.iter().flatten().map(|(_, y)| *y).fold(0.0, f64::max);
    let top = if most > 0.0 { most * 1.05 } else { 1.0 };
    let sets = curves.iter().zip(&lines).map(|((_, color, _), line)| {
        Dataset::default().marker(Marker::Braille).graph_type(GraphType::Line).style(Style::new().fg(*color)).data(line)
    });
    let legend = curves.iter().map(|(name, color, _)| Span::styled(format!(" ▬ {name} "), Style::new().fg(*color)));
    let number =
        |value: f64| if value >= 100.0 || value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") };
    let chart = Chart::new(sets.collect())
        .block(Block::default().title(legend.collect::<Line<'_>>()))
        .x_axis(
            Axis::default().bounds([0.0, end]).labels(["0:00".to_owned(), clock(end / 2.0), clock(end)]).style(SOFT),
        )
        .y_axis(
            Axis::default().bounds([0.0, top]).labels(["0".to_owned(), number(most / 2.0), number(most)]).style(SOFT),
        )
        .legend_position(None);
    frame.render_widget(chart, area);
}

/// A value is kept until the next. Of points nearer to each other than a screen shows, the highest is taken.
fn steps(points: &[Point], of: fn(&Point) -> f64, end: f64, wide: u16) -> Vec<(f64, f64)> {
    let width = end / (f64::from(wide.max(1)) * 2.0);
    let mut out: Vec<(f64, f64)> = Vec::new();
    let mut last = 0.0;
    for point in points {
        let value = of(point);
        match out.last_mut() {
            Some((x, y)) if point.seconds - *x < width => *y = y.max(value),
            Some(_) => out.extend([(point.seconds, last), (point.seconds, value)]),
            None => out.push((point.seconds, value)),
        }
        last = value;
    }
    out
}

/// The last moments that there is room for, or those before.
fn draw_moments(frame: &mut Frame<'_>, run: &Timeline, area: Rect, back: &mut Back) {
    let (height, wide) = (usize::from(area.height), usize::from(area.width));
    let skipped = run.moments.len().saturating_sub(MOST_MOMENTS);
    let (mut lines, mut n_known) = (Vec::new(), 0);
    for (nth, moment) in run.moments.iter().enumerate().skip(skipped) {
        if nth == back.moments {
            n_known = lines.len();
        }
        let head = format!("{:>7} {:<9} ", clock(moment.seconds()), moment.kind.word());
        let room = wide.saturating_sub(head.chars().count()).max(12);
        for (nth, text) in wrap(&moment.text, room, "").into_iter().enumerate() {
            let head = if nth == 0 { head.clone() } else { " ".repeat(head.chars().count()) };
            lines.push(Line::from(vec![Span::styled(head, style(moment.kind)), Span::raw(text)]));
        }
        let indent = if wide >= 60 { " ".repeat(head.chars().count()) } else { "  ".to_owned() };
        let room = wide.saturating_sub(indent.len());
        for text in moment.details.iter().take(MOST_DETAILS) {
            lines.extend(wrap(text, room, "  ").into_iter().map(|text| Line::styled(format!("{indent}{text}"), SOFT)));
        }
        if moment.details.len() > MOST_DETAILS {
            lines.push(Line::styled(format!("{indent}and {} more", moment.details.len() - MOST_DETAILS), SOFT));
        }
    }
    back.page = height;
    if back.lines > 0 && back.moments < run.moments.len() {
        // Who looks back goes on seeing the same lines.
        back.lines = back.lines.saturating_add(lines.len() - n_known);
    }
    back.moments = run.moments.len();
    back.lines = back.lines.min(lines.len().saturating_sub(height));
    let first = lines.len().saturating_sub(height + back.lines);
    for (line, y) in lines.into_iter().skip(first).zip(area.y..area.bottom()) {
        frame.render_widget(line, Rect { y, height: 1, ..area });
    }
}

fn style(kind: MomentKind) -> Style {
    match kind {
        MomentKind::Scripted => HEAD,
        MomentKind::Reached | MomentKind::Opened => GOOD,
        MomentKind::Planned => BUSY,
        MomentKind::Unplaced | MomentKind::Shortage | MomentKind::Failed => BAD,
        MomentKind::Retired | MomentKind::Removed => WARN,
    }
}

#[cfg(test)]
mod tests {
    use planner::model::MicroUsdPerHour;

    use super::super::super::screen::testing::{drawn, golden, lines};
    use super::super::timeline::Moment;
    use super::*;

    fn run(n_moments: u64) -> Timeline {
        let point = |at: u32| {
            let n = if at < 60 { at / 6 } else { (120 - at) / 6 };
            Point {
                seconds: f64::from(at),
                nodes: n as usize,
                claims: 2,
                pods_running: 8 * n as usize,
                pods_pending: if at % 30 < 8 { 12 } else { 0 },
                hourly_cost: MicroUsdPerHour(i64::from(n) * 240_000),
                hourly_bound: MicroUsdPerHour(i64::from(n) * 230_000),
                hourly_greedy: MicroUsdPerHour(i64::from(n) * 310_000),
                cpu: 0.82,
                memory: 0.64,
                ..Point::default()
            }
        };
        let moment = |at: u64| Moment {
            millis: at * 1000,
            kind: if at.is_multiple_of(2) { MomentKind::Planned } else { MomentKind::Shortage },
            text: format!("{at} nodes for 31 pods at $2.4000/h, 1.2% over the bound"),
            details: vec!["2 × c-4x-amd64-linux in test-zone-a, spot, $0.1200/h".into()],
        };
        Timeline {
            title: "A shop on Black Friday".into(),
            seed: 1,
            points: (0..=120).map(point).collect(),
            moments: (0..n_moments).map(moment).collect(),
            ..Timeline::default()
        }
    }

    fn shown(width: u16, height: u16, run: &Timeline, back: &mut Back) -> Vec<String> {
        lines(&drawn(width, height, |frame| draw(frame, run, back, "q ends the run")))
    }

    #[test]
    fn a_run_is_shown_with_its_plots_and_its_last_moments() {
        golden("demo-80x24", &shown(80, 24, &run(30), &mut Back::default()));
    }

    #[test]
    fn a_large_screen_has_larger_plots() {
        golden("demo-120x40", &shown(120, 40, &run(5), &mut Back::default()));
    }

    #[test]
    fn a_tiny_screen_keeps_figures_and_moments() {
        golden("demo-40x10", &shown(40, 10, &run(5), &mut Back::default()));
    }

    #[test]
    fn earlier_moments_can_be_looked_back_at_and_no_further_than_there_are() {
        let mut back = Back { lines: usize::MAX, ..Back::default() };
        let lines = shown(80, 24, &run(30), &mut back);
        assert!(lines.iter().any(|line| line.contains("0:00 plan      0 nodes")), "{lines:?}");
        assert!(back.lines < 100, "{back:?}");
    }

    #[test]
    fn what_is_looked_back_at_stays_where_it_is_while_the_run_goes_on() {
        for n in [30, 700] {
            let mut back = Back::default();
            shown(80, 24, &run(n), &mut back);
            back.lines = 12;
            let moments = |lines: Vec<String>| lines[lines.len() - 8..lines.len() - 1].to_vec();
            let before = moments(shown(80, 24, &run(n), &mut back));
            let after = moments(shown(80, 24, &run(n + 3), &mut back));
            assert_eq!(before, after, "{n}");
            back.lines = 0;
            assert_ne!(moments(shown(80, 24, &run(n + 4), &mut back)), after, "{n}: the end is followed");
        }
    }

    #[test]
    fn a_run_is_drawn_at_any_size_from_its_first_moment_on() {
        for run in [Timeline::default(), run(0), run(1000)] {
            for (width, height) in [(200, 60), (80, 24), (40, 10), (20, 18), (5, 20), (20, 5), (3, 3), (1, 1)] {
                let lines = shown(width, height, &run, &mut Back::default());
                assert_eq!(lines.len(), usize::from(height));
            }
        }
    }

    #[test]
    fn a_spike_between_two_cells_is_not_lost() {
        let mut points: Vec<Point> = (0..1000).map(|at| Point { seconds: f64::from(at), ..Point::default() }).collect();
        points[501].nodes = 9;
        let most = steps(&points, |point| point.nodes as f64, 999.0, 40).iter().map(|(_, y)| *y).fold(0.0, f64::max);
        assert!((most - 9.0).abs() < 1e-9);
    }
}
