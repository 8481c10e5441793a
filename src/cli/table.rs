//! A plan for people: nodes to buy, pods without a place and why, and what it costs.

use std::collections::BTreeMap;
use std::fmt::Write;

use planner::model::MicroUsdPerHour;
use planner::model::resources::{CPU, EPHEMERAL_STORAGE, MEMORY, PODS};
use planner::model::shown::shown;
use planner::plan::{Launch, Plan};

use super::json::{Document, Summary};
use super::text::{columns, count, load, share, some};

/// With more launches than this, those of one pool, type, zone and capacity type share a line.
const MOST_LINES: usize = 40;
/// Existing nodes listed with the pods that go there.
const MOST_NODES: usize = 20;

/// The whole answer as text.
pub fn plan(plan: &Plan, document: &Document) -> String {
    let parts =
        [launches(&plan.launches), nominations(plan), unplaced(plan), ignored(plan), summary(&document.summary)];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}

fn launches(launches: &[Launch]) -> String {
    if launches.is_empty() {
        return String::new();
    }
    let other = if launches.iter().any(|launch| !devices(launch).is_empty()) { Some("DEVICES") } else { None };
    let tail = ["PODS", "CPU", "MEMORY"].into_iter().chain(other);
    if launches.len() <= MOST_LINES {
        let header: Vec<&str> = ["NODE", "POOL", "TYPE", "ZONE", "CAPACITY", "$/H"].into_iter().chain(tail).collect();
        let rows: Vec<Vec<String>> = launches.iter().map(|l| row(vec![l.name.to_string()], &[l], other)).collect();
        return columns(&header, &rows);
    }
    let mut alike: BTreeMap<_, Vec<&Launch>> = BTreeMap::new();
    for launch in launches {
        let offering = launch.chosen().map(|o| (&o.instance_type, &o.zone, o.capacity_type));
        alike.entry((&launch.pool, offering)).or_default().push(launch);
    }
    let header: Vec<&str> = ["NODES", "POOL", "TYPE", "ZONE", "CAPACITY", "$/H"].into_iter().chain(tail).collect();
    let rows: Vec<Vec<String>> = alike.values().map(|list| row(vec![list.len().to_string()], list, other)).collect();
    columns(&header, &rows)
}

/// One line for launches that are bought alike; `list` is never empty.
fn row(mut cells: Vec<String>, list: &[&Launch], other: Option<&str>) -> Vec<String> {
    let (asked, has) = load(list);
    let chosen = list.first().and_then(|launch| launch.chosen());
    let cost: MicroUsdPerHour = list.iter().map(|launch| launch.price()).sum();
    cells.extend([
        list.first().map_or_else(String::new, |launch| launch.pool.to_string()),
        chosen.map_or_else(String::new, |o| o.instance_type.to_string()),
        chosen.map_or_else(String::new, |o| o.zone.to_string()),
        chosen.map_or_else(String::new, |o| o.capacity_type.as_str().to_string()),
        cost.to_string(),
        list.iter().map(|launch| launch.pods.len()).sum::<usize>().to_string(),
        share(asked.get(CPU), has.get(CPU)),
        share(asked.get(MEMORY), has.get(MEMORY)),
    ]);
    if other.is_some() {
        let used = list.first().map(|launch| devices(launch)).unwrap_or_default();
        let text: Vec<String> = used
            .iter()
            .map(|name| format!("{name} {}/{}", shown(name, asked.get(name)), shown(name, has.get(name))))
            .collect();
        cells.push(text.join(" "));
    }
    cells
}

/// Resources beyond the usual four that its pods ask for.
fn devices(launch: &Launch) -> Vec<&str> {
    let usual = [CPU, MEMORY, EPHEMERAL_STORAGE, PODS];
    launch
        .requests
        .iter()
        .filter(|(name, amount)| *amount > 0 && !usual.contains(&name.as_ref()))
        .map(|(n, _)| &**n)
        .collect()
}

fn nominations(plan: &Plan) -> String {
    if plan.nominations.is_empty() {
        return String::new();
    }
    let mut by_node: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for nomination in &plan.nominations {
        by_node.entry(&nomination.node).or_default().push(&nomination.pod);
    }
    let rows: Vec<Vec<String>> = by_node
        .iter()
        .take(MOST_NODES)
        .map(|(node, pods)| vec![node.to_string(), pods.len().to_string(), some(pods, 3)])
        .collect();
    let more = by_node.len().saturating_sub(MOST_NODES);
    let more = if more > 0 { format!("and {}\n", count(more, "more node")) } else { String::new() };
    columns(&["EXISTING NODE", "PODS", "WHICH"], &rows) + &more
}

fn unplaced(plan: &Plan) -> String {
    let mut out = String::new();
    for unplaced in &plan.unplaced {
        let n = count(unplaced.pods.len(), "pod");
        let _ = writeln!(out, "no place for {n}: {}", some(&unplaced.pods, 3));
        for reason in &unplaced.reasons {
            let pool = if reason.pool.is_empty() { String::new() } else { format!("{}: ", reason.pool) };
            let _ = writeln!(out, "  {pool}{:?}: {}", reason.code, reason.message);
            if let Some(miss) = &reason.nearest_miss {
                let _ = writeln!(out, "    would help: {miss}");
            }
        }
    }
    out
}

fn ignored(plan: &Plan) -> String {
    let mut out = String::new();
    for ignored in &plan.ignored {
        let n = count(ignored.pods.len(), "pod");
        let _ = writeln!(out, "left out {n}: {}\n  {:?}: {}", some(&ignored.pods, 3), ignored.code, ignored.message);
    }
    out
}

/// The two closing lines.
pub fn summary(s: &Summary) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{}: {} on existing nodes, {} on {}, {} without a place",
        count(s.pods, "pod"),
        s.placed_on_existing_nodes,
        s.placed_on_new_nodes,
        count(s.new_nodes, "new node"),
        s.unplaced
    );
    let _ = writeln!(
        out,
        "${} an hour; {}; first-fit-decreasing would pay ${}",
        s.hourly_cost,
        proven(s),
        s.greedy_hourly_cost
    );
    out
}

/// What the lower bound says, if the cost does not disprove it.
fn proven(s: &Summary) -> String {
    if s.is_bound_disproved {
        return format!("the lower bound of ${} is wrong", s.hourly_cost_lower_bound);
    }
    format!("nothing for these pods costs less than ${} (gap {:.1}%)", s.hourly_cost_lower_bound, s.gap_percent)
}
