//! `top` as lines of text, for a pipe or a file.

use std::fmt::Write;

use super::super::text::{columns, count};
use super::nodes::NodeRow;
use super::view::View;

/// Nodes that are listed; the rest is counted.
const MOST_NODES: usize = 50;

/// The whole view.
pub fn text(view: &View) -> String {
    let mut out = headline(view) + "\n\n";
    let percent = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{:.0}%", share * 100.0));
    let rows: Vec<Vec<String>> = view
        .pools
        .iter()
        .map(|row| {
            let name = if row.name.is_empty() { "(no pool)" } else { &row.name };
            vec![
                name.to_owned(),
                row.nodes.to_string(),
                row.claims.to_string(),
                row.leaving.to_string(),
                row.pods.to_string(),
                percent(row.cpu),
                percent(row.memory),
                row.hourly_cost.to_string(),
            ]
        })
        .collect();
    out += &columns(&["POOL", "NODES", "COMING", "LEAVING", "PODS", "CPU", "MEMORY", "$/H"], &rows);
    out += &nodes(view);
    if !view.launches.is_empty() {
        out += "\nto be bought\n";
        let rows: Vec<Vec<String>> = view
            .launches
            .iter()
            .map(|line| {
                vec![
                    line.nodes.to_string(),
                    line.pool.clone(),
                    line.instance_type.clone(),
                    line.zone.clone(),
                    line.capacity_type.to_owned(),
                    line.hourly_price.to_string(),
                    line.pods.to_string(),
                ]
            })
            .collect();
        out += &columns(&["NODES", "POOL", "TYPE", "ZONE", "CAPACITY", "$/H", "PODS"], &rows);
        let shown: usize = view.launches.iter().map(|line| line.nodes).sum();
        if shown < view.launches_total {
            let _ = writeln!(out, "and {}", count(view.launches_total - shown, "more node"));
        }
    }
    if !view.reasons.is_empty() {
        out += "\nwithout a place\n";
        for row in &view.reasons {
            let others = match row.others {
                0 => String::new(),
                n => format!(" (and {})", count(n, "other reason")),
            };
            let _ = writeln!(out, "  {} {:?}: {}{others}", count(row.pods, "pod"), row.code, row.message);
            if let Some(miss) = &row.nearest_miss {
                let _ = writeln!(out, "    would help: {miss}");
            }
        }
    }
    out
}

/// The nodes, where there are any.
fn nodes(view: &View) -> String {
    if view.nodes.is_empty() {
        return String::new();
    }
    let percent = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{:.0}%", share * 100.0));
    let row = |row: &NodeRow| {
        vec![
            row.name.clone(),
            row.pool.clone(),
            row.instance_type.clone(),
            row.zone.clone(),
            row.capacity_type.clone(),
            row.hourly_price.map_or_else(|| "-".to_owned(), |price| price.to_string()),
            percent(row.cpu),
            percent(row.memory),
            row.pods.to_string(),
            row.state.word().to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = view.nodes.iter().take(MOST_NODES).map(row).collect();
    let header = ["NODE", "POOL", "TYPE", "ZONE", "CAPACITY", "$/H", "CPU", "MEMORY", "PODS", "STATE"];
    let more = view.nodes.len().saturating_sub(MOST_NODES);
    let more = if more > 0 { format!("and {}\n", count(more, "more node")) } else { String::new() };
    format!("\n{}{more}", columns(&header, &rows))
}

/// Nodes, pods and money in a line.
pub fn headline(view: &View) -> String {
    let nodes: usize = view.pools.iter().map(|row| row.nodes).sum();
    let at = jiff::Timestamp::from_second(view.taken_at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let mut out = format!("{at}  {}  {} bound", count(nodes, "node"), count(view.pods_running, "pod"));
    let _ = write!(out, "  {} pending", view.pods_pending);
    let _ = write!(out, "  ${}/h", view.hourly_cost);
    if view.nodes_without_price > 0 {
        let _ = write!(out, " (without {} of unknown price)", count(view.nodes_without_price, "node"));
    }
    if let Some(gap) = view.gap_percent() {
        let _ = write!(out, "  buying ${}/h, {gap:.1}% over the bound", view.planned_cost);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::nodes::State;
    use super::super::testing::{node, small};
    use super::*;

    #[test]
    fn nodes_are_listed_up_to_a_limit_and_the_rest_is_counted() {
        let mut view = small();
        view.nodes = (0..MOST_NODES + 2).map(|n| node(&format!("node-{n}"), State::Ready)).collect();
        let text = text(&view);
        assert!(text.contains("\nnode-49 ") && !text.contains("\nnode-50 "), "{text}");
        assert!(text.contains("and 2 more nodes\n"), "{text}");
    }

    #[test]
    fn the_headline_says_what_is_known_of_money() {
        assert_eq!(
            headline(&small()),
            "2026-09-21T14:13:20Z  3 nodes  12 pods bound  9 pending  $0.1920/h (without 1 node of unknown price)  \
             buying $0.1540/h, 2.7% over the bound"
        );
    }
}
