//! What is measured of a phase, and the table of it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::table::Table;

/// One phase of a scenario; field names are those of the interface.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    pub scenario: &'static str,
    pub phase: String,
    /// From the change of the workload until it is answered: wall clock.
    pub seconds: f64,
    /// What the planning passes of the phase took together: wall clock.
    pub decision_seconds: f64,
    /// The controller's CPU time in the phase.
    pub cpu_seconds: f64,
    /// The controller's largest resident set since it started.
    pub peak_rss_mb: f64,
    /// Nodes of ours at the end.
    pub nodes: u64,
    /// What they cost, US dollars an hour.
    pub hourly_cost: String,
    /// What one plan of all pods at once would buy, US dollars an hour; only where all pods are new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planned_hourly_cost: Option<String>,
    /// The controller's requests to the API server in the phase.
    pub requests_by_verb: BTreeMap<String, u64>,
}

pub fn table(rows: &[Row]) -> Table {
    let mut table =
        Table::new(&["phase", "s", "decision s", "CPU s", "peak MB", "nodes", "$/h", "planned $/h", "requests"]);
    for row in rows {
        let requests: Vec<_> = row.requests_by_verb.iter().map(|(verb, n)| format!("{verb} {n}")).collect();
        table.row(vec![
            format!("{}: {}", row.scenario, row.phase),
            format!("{:.1}", row.seconds),
            format!("{:.2}", row.decision_seconds),
            format!("{:.2}", row.cpu_seconds),
            format!("{:.0}", row.peak_rss_mb),
            row.nodes.to_string(),
            row.hourly_cost.clone(),
            row.planned_hourly_cost.clone().unwrap_or_default(),
            requests.join(", "),
        ]);
    }
    table
}
