//! The plots of a run, and the table of the values in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::super::demo::timeline::{MomentKind, Point, Timeline};
use super::super::html::{Form, Plot, Series, clock, escape, figure};

/// Rows of the table of values; of more points, some are passed over.
const MOST_ROWS: usize = 400;
/// Layers of a stacked plot; what is left becomes one layer.
const MOST_LAYERS: usize = 7;
/// Columns of the table of values before the families.
const COLUMNS: [&str; 11] = [
    "Time",
    "Pods running",
    "Pods pending",
    "Nodes",
    "Coming",
    "Leaving",
    "$/h",
    "Bound $/h",
    "First-fit $/h",
    "CPU",
    "Memory",
];

/// What all plots of a run share.
struct Frame<'a> {
    points: &'a [Point],
    times: Vec<f64>,
    end: f64,
    ticks: Vec<(f64, &'static str)>,
}

/// Every plot.
pub fn all(timeline: &Timeline, end: f64) -> String {
    let frame = Frame {
        points: &timeline.points,
        times: timeline.points.iter().map(|point| point.seconds).collect(),
        end,
        ticks: timeline.moments.iter().map(|moment| (moment.seconds(), class(moment.kind))).collect(),
    };
    let mut out = String::from("<section class=\"plots\" aria-label=\"Plots over time\">\n");
    out += &frame.nodes("Nodes by instance family", 11, |point| &point.by_family);
    if kinds(timeline, |point| &point.by_capacity_type).len() > 1 {
        let n_families = layers(&frame, |point| &point.by_family).len();
        out += &frame.nodes("Nodes by capacity type", 11 + n_families, |point| &point.by_capacity_type);
    }
    out += &frame.pods();
    out += &frame.money();
    out += &frame.used();
    out + "</section>\n"
}

/// The strip that shows where a moment is while the plots are out of sight.
pub fn strip(timeline: &Timeline, end: f64) -> String {
    let times: Vec<f64> = timeline.points.iter().map(|point| point.seconds).collect();
    let values = timeline.points.iter().map(|point| point.nodes as f64).collect();
    let plot = Plot {
        about: "nodes over time".into(),
        times: &times,
        end,
        height: 34,
        form: Form::Strip,
        series: vec![Series { name: "nodes".into(), class: "k0".into(), values }],
        least_top: 0.0,
        unit: whole,
        ticks: &[],
        columns: &[],
    };
    format!("<div class=\"strip\" aria-hidden=\"true\">{}</div>\n", plot.draw())
}

impl Frame<'_> {
    fn plot(
        &self,
        title: &str,
        about: &str,
        form: Form,
        unit: fn(f64) -> String,
        columns: &[usize],
        series: Vec<Series>,
    ) -> String {
        let most = series.iter().map(|series| {
            let most = series.values.iter().copied().fold(0.0, f64::max);
            format!("{} up to {}", series.name, unit(most))
        });
        let told = format!("{title} over time: {}", most.collect::<Vec<_>>().join(", "));
        let plot = Plot {
            about: told,
            times: &self.times,
            end: self.end,
            height: 120,
            form,
            series,
            least_top: if title == "Utilisation" { 100.0 } else { 0.0 },
            unit,
            ticks: &self.ticks,
            columns,
        };
        figure(title, about, &plot.draw())
    }

    fn values(&self, of: impl Fn(&Point) -> f64) -> Vec<f64> {
        self.points.iter().map(of).collect()
    }

    fn nodes(&self, title: &str, first: usize, of: fn(&Point) -> &BTreeMap<String, usize>) -> String {
        let layers = layers(self, of);
        let columns: Vec<usize> = (first..first + layers.len()).collect();
        let series =
            layers.into_iter().enumerate().map(|(at, (name, values))| Series { name, class: format!("k{at}"), values });
        self.plot(title, "joined, one upon the other", Form::Stacked, whole, &columns, series.collect())
    }

    fn pods(&self) -> String {
        let series = [
            ("running", "running", self.values(|point| point.pods_running as f64)),
            ("pending", "pending", self.values(|point| point.pods_pending as f64)),
        ];
        self.plot("Pods", "ready, and bound to no node", Form::Lines, whole, &[1, 2], named(series))
    }

    fn money(&self) -> String {
        let dollars = |of: fn(&Point) -> i64| self.values(|point| of(point) as f64 / 1e6);
        let series = [
            ("this run", "cost", dollars(|point| point.hourly_cost.0)),
            ("lower bound", "bound", dollars(|point| point.hourly_bound.0)),
            ("first-fit-decreasing", "greedy", dollars(|point| point.hourly_greedy.0)),
        ];
        let about = "what runs; what the pods of each time cost at least from scratch, and packed first-fit-decreasing";
        self.plot("Cost an hour", about, Form::Lines, money, &[6, 7, 8], named(series))
    }

    fn used(&self) -> String {
        let series = [
            ("CPU", "cpu", self.values(|point| point.cpu * 100.0)),
            ("memory", "memory", self.values(|point| point.memory * 100.0)),
        ];
        let about = "asked for by pods, of what nodes have for pods";
        self.plot("Utilisation", about, Form::Lines, percent, &[9, 10], named(series))
    }
}

fn named<const N: usize>(series: [(&str, &str, Vec<f64>); N]) -> Vec<Series> {
    series.into_iter().map(|(name, class, values)| Series { name: name.into(), class: class.into(), values }).collect()
}

fn whole(value: f64) -> String {
    if value.fract().abs() < 1e-9 { format!("{value:.0}") } else { format!("{value:.1}") }
}

fn money(value: f64) -> String {
    if value.fract().abs() < 1e-9 { format!("${value:.0}") } else { format!("${value:.2}") }
}

fn percent(value: f64) -> String {
    format!("{value:.0}%")
}

/// All names that the points count by.
fn kinds(timeline: &Timeline, of: impl Fn(&Point) -> &BTreeMap<String, usize>) -> BTreeSet<&str> {
    timeline.points.iter().flat_map(|point| of(point).keys()).map(String::as_str).collect()
}

/// Counts over time by name, the most common first; the least common ones together.
fn layers(frame: &Frame<'_>, of: impl Fn(&Point) -> &BTreeMap<String, usize>) -> Vec<(String, Vec<f64>)> {
    let mut sums: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, n) in frame.points.iter().flat_map(&of) {
        *sums.entry(name).or_default() += n;
    }
    let mut names: Vec<(&str, usize)> = sums.into_iter().collect();
    names.sort_by(|(a, x), (b, y)| y.cmp(x).then(a.cmp(b)));
    let n_own = if names.len() > MOST_LAYERS { MOST_LAYERS - 1 } else { names.len() };
    let rest: Vec<&str> = names.split_off(n_own).into_iter().map(|(name, _)| name).collect();
    let count = |point: &Point, name: &str| of(point).get(name).copied().unwrap_or(0) as f64;
    let mut out: Vec<(String, Vec<f64>)> =
        names.into_iter().map(|(name, _)| (name.to_owned(), frame.values(|point| count(point, name)))).collect();
    if !rest.is_empty() {
        let values = frame.values(|point| rest.iter().map(|name| count(point, name)).sum());
        out.push((format!("{} more", rest.len()), values));
    }
    out
}

/// One point in so many has a row in the table of values.
fn every(n_points: usize) -> usize {
    n_points.div_ceil(MOST_ROWS).max(1)
}

/// The points that have a row in the table of values, with their places; the last one has.
pub fn rows(points: &[Point]) -> impl Iterator<Item = (usize, &Point)> {
    let (every, n) = (every(points.len()), points.len());
    points.iter().enumerate().filter(move |(at, _)| at % every == 0 || at + 1 == n)
}

/// The colour of a kind of moment.
pub fn class(kind: MomentKind) -> &'static str {
    match kind {
        MomentKind::Scripted => "scripted",
        MomentKind::Reached | MomentKind::Opened => "fine",
        MomentKind::Planned => "planned",
        MomentKind::Unplaced | MomentKind::Shortage => "short",
        MomentKind::Retired | MomentKind::Removed => "away",
        MomentKind::Failed => "failed",
    }
}

/// The values in the plots as a table, folded.
pub fn values(timeline: &Timeline) -> String {
    let frame = Frame { points: &timeline.points, times: Vec::new(), end: 0.0, ticks: Vec::new() };
    let mut counts = layers(&frame, |point| &point.by_family);
    if kinds(timeline, |point| &point.by_capacity_type).len() > 1 {
        counts.extend(layers(&frame, |point| &point.by_capacity_type));
    }
    let n = timeline.points.len();
    let every = every(n);
    let mut out = format!(
        "<details><summary>Values <span class=\"n\">{n}</span></summary>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" \
         aria-label=\"Values over time\"><table id=\"values\">\n<thead><tr>"
    );
    for name in COLUMNS.iter().copied().chain(counts.iter().map(|(name, _)| name.as_str())) {
        let _ = write!(out, "<th scope=\"col\" class=\"num\">{}</th>", escape(name));
    }
    out += "</tr></thead>\n<tbody>\n";
    for (at, point) in rows(&timeline.points) {
        let _ = write!(out, "<tr data-t=\"{:.3}\"><td class=\"num\">{}</td>", point.seconds, clock(point.seconds));
        for count in [point.pods_running, point.pods_pending, point.nodes, point.claims, point.leaving] {
            let _ = write!(out, "<td class=\"num\">{count}</td>");
        }
        for price in [point.hourly_cost, point.hourly_bound, point.hourly_greedy] {
            let _ = write!(out, "<td class=\"num\">{price}</td>");
        }
        for share in [point.cpu, point.memory] {
            let _ = write!(out, "<td class=\"num\">{:.0}%</td>", share * 100.0);
        }
        for (_, values) in &counts {
            let _ = write!(out, "<td class=\"num\">{:.0}</td>", values[at]);
        }
        out += "</tr>\n";
    }
    out += "</tbody></table></div>\n";
    if every > 1 {
        let _ = writeln!(out, "<p class=\"note\">Every {every}th of {n}.</p>");
    }
    out + "</details>\n"
}
