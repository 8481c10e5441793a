//! A plan for people: nodes to buy, pods without a place and why, and what it costs.

use std::fmt::Write;

use planner::model::Snapshot;
use planner::model::resources::{CPU, MEMORY};
use planner::plan::{Launch, Plan};

use super::json::Document;

/// The whole answer as text.
pub fn plan(_snapshot: &Snapshot, plan: &Plan, document: &Document) -> String {
    let mut out = String::new();
    if !plan.launches.is_empty() {
        let header = ["NODE", "TYPE", "ZONE", "CAPACITY", "$/H", "PODS", "CPU", "MEMORY", "CHOICES"].map(String::from);
        let rows = plan.launches.iter().map(row).collect::<Vec<_>>();
        out += &columns(&header, &rows);
        out.push('\n');
    }
    for unplaced in &plan.unplaced {
        let more = if unplaced.pods.len() > 3 { format!(" and {} more", unplaced.pods.len() - 3) } else { String::new() };
        let names: Vec<&str> = unplaced.pods.iter().take(3).map(AsRef::as_ref).collect();
        let _ = writeln!(out, "no place: {}{more}", names.join(", "));
        for reason in &unplaced.reasons {
            let pool = if reason.pool.is_empty() { String::new() } else { format!("{}: ", reason.pool) };
            let _ = writeln!(out, "  {pool}{:?}: {}", reason.code, reason.message);
            if let Some(miss) = &reason.nearest_miss {
                let _ = writeln!(out, "    would help: {miss}");
            }
        }
    }
    for ignored in &plan.ignored {
        let _ = writeln!(out, "ignored: {} pods, {:?}: {}", ignored.pods.len(), ignored.code, ignored.message);
    }
    if !plan.unplaced.is_empty() || !plan.ignored.is_empty() {
        out.push('\n');
    }
    let s = &document.summary;
    let _ = writeln!(
        out,
        "{} pods: {} on existing nodes, {} on {} new nodes, {} without a place",
        s.pods, s.placed_on_existing_nodes, s.placed_on_new_nodes, s.new_nodes, s.unplaced
    );
    let _ = writeln!(
        out,
        "${} an hour; proven bound ${} (at most {} % above the cheapest); first-fit-decreasing ${}",
        s.hourly_cost, s.hourly_cost_lower_bound, s.gap_percent, s.greedy_hourly_cost
    );
    out
}

fn row(launch: &Launch) -> Vec<String> {
    let share = |name: &str| {
        let (asked, has) = (launch.requests.get(name), launch.allocatable.get(name));
        if has > 0 { format!("{} %", asked.saturating_mul(100) / has) } else { "-".into() }
    };
    let chosen = launch.chosen();
    vec![
        launch.name.to_string(),
        chosen.map_or_else(String::new, |o| o.instance_type.to_string()),
        chosen.map_or_else(String::new, |o| o.zone.to_string()),
        chosen.map_or_else(String::new, |o| o.capacity_type.as_str().to_string()),
        launch.price().to_string(),
        launch.pods.len().to_string(),
        share(CPU),
        share(MEMORY),
        launch.offerings.len().to_string(),
    ]
}

/// Left-aligned columns, two spaces apart.
pub fn columns(header: &[String], rows: &[Vec<String>]) -> String {
    let width = |at: usize| rows.iter().chain([&header.to_vec()]).filter_map(|r| r.get(at)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> = (0..header.len()).map(|at| width(at).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in std::iter::once(header).chain(rows.iter().map(Vec::as_slice)) {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out += cells.join("  ").trim_end();
        out.push('\n');
    }
    out
}
