//! The plan in rows: nodes to buy, existing nodes that take pods, pods without a place. Long tables are folded.

use std::collections::BTreeMap;
use std::fmt::Write;

use planner::model::resources::{CPU, MEMORY};
use planner::model::{MicroUsdPerHour, Snapshot};
use planner::plan::{Launch, Plan};

use super::super::text::{amounts, count, load, share, some};
use super::escape;

/// Longer tables are closed at first.
const OPEN: usize = 30;
/// Rows a browser shows without pausing; the rest is counted.
const MOST: usize = 1_000;
/// Pods named in one cell.
const NAMED: usize = 4;

/// Every table that has rows.
pub fn all(snapshot: &Snapshot, plan: &Plan) -> String {
    let tables =
        [unplaced(plan), bought(&plan.launches), nodes(&plan.launches), existing(snapshot, plan), ignored(plan)];
    format!("<section class=\"tables\">\n{}</section>\n", tables.concat())
}

/// A table that folds; columns whose name begins with `#` hold numbers, with `~` text that may need several lines.
fn table(title: &str, header: &[&str], rows: &[Vec<String>], open: bool) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let class = |at: usize| match header.get(at).and_then(|name| name.chars().next()) {
        Some('#') => " class=\"num\"",
        Some('~') => " class=\"long\"",
        _ => "",
    };
    let open = if open && rows.len() <= OPEN { " open" } else { "" };
    let mut out = format!(
        "<details{open}><summary>{} <span class=\"n\">{}</span></summary>\n<div class=\"scroll\"><table>\n<thead><tr>",
        escape(title),
        rows.len()
    );
    for (at, name) in header.iter().enumerate() {
        let _ = write!(out, "<th{}>{}</th>", class(at), escape(name.trim_start_matches(['#', '~'])));
    }
    out += "</tr></thead>\n<tbody>\n";
    for row in rows.iter().take(MOST) {
        out += "<tr>";
        for (at, cell) in row.iter().enumerate() {
            let _ = write!(out, "<td{}>{}</td>", class(at), escape(cell));
        }
        out += "</tr>\n";
    }
    out += "</tbody></table></div>\n";
    if rows.len() > MOST {
        let _ = writeln!(out, "<p class=\"note\">The first {MOST} of {}; -o json has all.</p>", rows.len());
    }
    out + "</details>\n"
}

fn text<T: AsRef<str>>(value: T) -> String {
    value.as_ref().to_string()
}

/// The shopping list: launches that are bought alike, dearest first.
fn bought(launches: &[Launch]) -> String {
    let mut alike: BTreeMap<_, Vec<&Launch>> = BTreeMap::new();
    for launch in launches {
        let offering = launch.chosen().map(|o| (&o.instance_type, &o.zone, o.capacity_type));
        alike.entry((&launch.pool, offering)).or_default().push(launch);
    }
    let cost = |list: &[&Launch]| list.iter().map(|l| l.price()).sum::<MicroUsdPerHour>();
    let mut alike: Vec<Vec<&Launch>> = alike.into_values().collect();
    alike.sort_by_key(|list| std::cmp::Reverse(cost(list)));
    let rows: Vec<Vec<String>> = alike
        .iter()
        .filter_map(|list| {
            let first = list.first()?;
            let mut row = vec![list.len().to_string(), text(&first.pool)];
            row.extend(sold(first));
            row.push(format!("${}", cost(list)));
            row.extend(use_of(list));
            Some(row)
        })
        .collect();
    let header = ["#Nodes", "NodePool", "Type", "Zone", "Capacity", "#$/h", "#Pods", "#CPU", "#Memory"];
    table("What to buy", &header, &rows, true)
}

fn sold(launch: &Launch) -> [String; 3] {
    launch
        .chosen()
        .map_or_else(Default::default, |o| [text(&o.instance_type), text(&o.zone), o.capacity_type.as_str().into()])
}

/// Pods, CPU and memory of launches together.
fn use_of(list: &[&Launch]) -> [String; 3] {
    let (asked, has) = load(list);
    let pods: usize = list.iter().map(|launch| launch.pods.len()).sum();
    [pods.to_string(), share(asked.get(CPU), has.get(CPU)), share(asked.get(MEMORY), has.get(MEMORY))]
}

fn nodes(launches: &[Launch]) -> String {
    let row = |launch: &Launch| {
        let mut row = vec![text(&launch.name)];
        row.extend(sold(launch));
        row.push(format!("${}", launch.price()));
        row.extend(use_of(&[launch]));
        row.push(launch.offerings_total.to_string());
        row.push(amounts(&launch.requests));
        row.push(some(&launch.pods, NAMED));
        row
    };
    let rows: Vec<Vec<String>> = launches.iter().map(row).collect();
    let header = [
        "Node",
        "Type",
        "Zone",
        "Capacity",
        "#$/h",
        "#Pods",
        "#CPU",
        "#Memory",
        "#Choices",
        "~Requests",
        "~Which pods",
    ];
    table("Every new node", &header, &rows, false)
}

fn existing(snapshot: &Snapshot, plan: &Plan) -> String {
    let mut by_node: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for nomination in &plan.nominations {
        by_node.entry(&nomination.node).or_default().push(&nomination.pod);
    }
    let joined = |name: &str| snapshot.nodes.binary_search_by(|node| (*node.name).cmp(name)).is_ok();
    let rows: Vec<Vec<String>> = by_node
        .iter()
        .map(|(node, pods)| {
            let state = if joined(node) { "joined" } else { "on its way" };
            vec![text(node), state.into(), pods.len().to_string(), some(pods, NAMED)]
        })
        .collect();
    table("Nodes that take pods already", &["Node", "State", "#Pods", "~Which"], &rows, true)
}

fn unplaced(plan: &Plan) -> String {
    let mut rows = Vec::new();
    for unplaced in &plan.unplaced {
        for (at, reason) in unplaced.reasons.iter().enumerate() {
            let (n, pods) =
                if at == 0 { (unplaced.pods.len().to_string(), some(&unplaced.pods, 3)) } else { Default::default() };
            let helps = reason.nearest_miss.clone().unwrap_or_default();
            rows.push(vec![n, pods, text(&reason.pool), format!("{:?}", reason.code), reason.message.clone(), helps]);
        }
    }
    let header = ["#Pods", "~Which", "~NodePool", "Reason", "~Why", "~Would help"];
    table("Pods without a place", &header, &rows, true)
}

fn ignored(plan: &Plan) -> String {
    let rows: Vec<Vec<String>> = plan
        .ignored
        .iter()
        .map(|i| vec![count(i.pods.len(), "pod"), some(&i.pods, NAMED), format!("{:?}", i.code), i.message.clone()])
        .collect();
    table("Pods left out", &["Pods", "~Which", "Reason", "~Why"], &rows, true)
}
