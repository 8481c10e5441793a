//! What the plots show: cost, utilisation, families, zones, pods per node, reasons.

use std::collections::BTreeMap;

use planner::model::MicroUsdPerHour;
use planner::model::resources::{CPU, MEMORY};
use planner::plan::{Launch, Plan};

use super::super::text::{count, load, share};
use super::escape;
use super::svg::{self, Row};

/// With more nodes than this, utilisation is shown per instance type.
const MOST_NODES: usize = 30;
/// Rows of a plot; what is left becomes one row.
const MOST_ROWS: usize = 16;
/// Columns of a plot; more are put together. On a phone each of so many has room for its number.
const MOST_COLUMNS: usize = 16;
/// Labels that name the family of an instance type.
const FAMILIES: [&str; 2] = ["karpenter.k8s.aws/instance-family", "karpenter.kwok.sh/instance-family"];

/// All figures that have something to show.
pub fn all(plan: &Plan) -> String {
    let mut out = String::from("<section class=\"figures\">\n");
    if !plan.unplaced.is_empty() {
        out += &figure(
            "Why pods have no place",
            "pods per reason; a pod counts once for each reason it has",
            &reasons(plan),
        );
    }
    if !plan.launches.is_empty() {
        out += &figure(
            "Cost an hour",
            "what is proven, what is planned, what first-fit-decreasing would pay",
            &cost(plan),
        );
        out += &figure("Cost by instance family", "US dollars an hour", &money(&plan.launches, family));
        out += &figure("Cost by zone", "US dollars an hour", &money(&plan.launches, zone));
        out += &figure("Pods per new node", "nodes (height) by how many pods each will hold", &pods(&plan.launches));
        out += &utilisation(&plan.launches);
    }
    out + "</section>\n"
}

/// A plot with its title and what it shows.
pub fn figure(title: &str, about: &str, plot: &str) -> String {
    format!("<figure><figcaption><h2>{}</h2><p>{}</p></figcaption>\n{plot}</figure>\n", escape(title), escape(about))
}

fn ratio(part: i64, whole: i64) -> f64 {
    if whole > 0 { part as f64 / whole as f64 } else { 0.0 }
}

fn cost(plan: &Plan) -> String {
    let greedy = plan.greedy_cost.max(plan.cost);
    let row = |label: &str, class: &'static str, cost: MicroUsdPerHour| Row {
        label: label.into(),
        value: format!("${cost}"),
        bars: vec![(class, ratio(cost.0, greedy.0))],
    };
    let rows = [
        row("lower bound", "bound", plan.cost_lower_bound),
        row("this plan", "cost", plan.cost),
        row("first-fit-decreasing", "greedy", greedy),
    ];
    svg::rows("lower bound, plan and greedy cost", &rows)
}

fn utilisation(launches: &[Launch]) -> String {
    let legend =
        "<p class=\"legend\"><span class=\"key cpu\"></span>CPU <span class=\"key memory\"></span>memory</p>\n";
    let by_node = launches.len() <= MOST_NODES;
    let rows: Vec<Row> = if by_node {
        launches.iter().map(|launch| used(format!("{} · {}", launch.name, kind(launch)), &[launch])).collect()
    } else {
        by_type(launches)
    };
    let title = if by_node { "Utilisation per node" } else { "Utilisation by instance type" };
    let about = "requested of what pods can have, DaemonSets included";
    figure(title, about, &(legend.to_string() + &svg::rows(title, &rows)))
}

/// The types that cost most, and one row for the others.
fn by_type(launches: &[Launch]) -> Vec<Row> {
    let mut groups: BTreeMap<&str, Vec<&Launch>> = BTreeMap::new();
    for launch in launches {
        groups.entry(kind(launch)).or_default().push(launch);
    }
    let mut groups: Vec<(&str, Vec<&Launch>)> = groups.into_iter().collect();
    let price = |list: &[&Launch]| list.iter().map(|launch| launch.price()).sum::<MicroUsdPerHour>();
    groups.sort_by(|(a, x), (b, y)| price(y).cmp(&price(x)).then(a.cmp(b)));
    let rest: Vec<&Launch> = groups.iter().skip(MOST_ROWS).flat_map(|(_, list)| list).copied().collect();
    let mut rows: Vec<Row> =
        groups.iter().take(MOST_ROWS).map(|(name, list)| used(format!("{} × {name}", list.len()), list)).collect();
    if !rest.is_empty() {
        rows.push(used(format!("{} of {} more types", count(rest.len(), "node"), groups.len() - MOST_ROWS), &rest));
    }
    rows
}

fn used(label: String, list: &[&Launch]) -> Row {
    let (asked, has) = load(list);
    let (cpu, memory) = (ratio(asked.get(CPU), has.get(CPU)), ratio(asked.get(MEMORY), has.get(MEMORY)));
    let value = format!("{} · {}", share(asked.get(CPU), has.get(CPU)), share(asked.get(MEMORY), has.get(MEMORY)));
    Row { label, value, bars: vec![("cpu", cpu), ("memory", memory)] }
}

fn kind(launch: &Launch) -> &str {
    launch.chosen().map_or("", |offering| &*offering.instance_type)
}

fn zone(launch: &Launch) -> String {
    launch.chosen().map_or_else(String::new, |offering| offering.zone.to_string())
}

/// By label, or the name up to its first dot or dash.
fn family(launch: &Launch) -> String {
    let labelled = FAMILIES.iter().find_map(|key| launch.labels.get(*key));
    let named = || kind(launch).split(['.', '-']).next().unwrap_or_default().to_string();
    labelled.map_or_else(named, ToString::to_string)
}

fn money(launches: &[Launch], name: impl Fn(&Launch) -> String) -> String {
    let mut sums: BTreeMap<String, (MicroUsdPerHour, usize)> = BTreeMap::new();
    for launch in launches {
        let (sum, n) = sums.entry(name(launch)).or_insert((MicroUsdPerHour(0), 0));
        *sum = MicroUsdPerHour(sum.0.saturating_add(launch.price().0));
        *n += 1;
    }
    let mut sums: Vec<(String, (MicroUsdPerHour, usize))> = sums.into_iter().collect();
    sums.sort_by(|(a, x), (b, y)| y.0.cmp(&x.0).then(a.cmp(b)));
    let rest = sums.split_off(sums.len().min(MOST_ROWS));
    if !rest.is_empty() {
        let sum = rest.iter().map(|(_, (sum, _))| *sum).sum();
        sums.push((format!("{} more", rest.len()), (sum, rest.iter().map(|(_, (_, n))| n).sum())));
    }
    let most = sums.iter().map(|(_, (sum, _))| sum.0).max().unwrap_or(0);
    let rows: Vec<Row> = sums
        .into_iter()
        .map(|(name, (sum, n))| Row {
            label: format!("{name} · {}", count(n, "node")),
            value: format!("${sum}"),
            bars: vec![("cost", ratio(sum.0, most))],
        })
        .collect();
    svg::rows("cost, dearest first", &rows)
}

fn pods(launches: &[Launch]) -> String {
    let sizes: Vec<usize> = launches.iter().map(|launch| launch.pods.len()).collect();
    let (least, most) = (sizes.iter().min().copied().unwrap_or(0), sizes.iter().max().copied().unwrap_or(0));
    let step = (most - least + 1).div_ceil(MOST_COLUMNS).max(1);
    let n_columns = (most - least) / step + 1;
    let columns: Vec<(String, usize)> = (0..n_columns)
        .map(|at| {
            let from = least + at * step;
            let nodes = sizes.iter().filter(|size| (from..from + step).contains(*size)).count();
            let to = (from + step - 1).min(most);
            (if from == to { from.to_string() } else { format!("{from}–{to}") }, nodes)
        })
        .collect();
    svg::columns("nodes by pods on them", &columns)
}

fn reasons(plan: &Plan) -> String {
    let mut by_code: BTreeMap<String, usize> = BTreeMap::new();
    for unplaced in &plan.unplaced {
        let mut codes: Vec<String> = unplaced.reasons.iter().map(|reason| format!("{:?}", reason.code)).collect();
        codes.sort();
        codes.dedup();
        for code in codes {
            *by_code.entry(code).or_default() += unplaced.pods.len();
        }
    }
    let mut by_code: Vec<(String, usize)> = by_code.into_iter().collect();
    by_code.sort_by(|(a, n), (b, m)| m.cmp(n).then(a.cmp(b)));
    let most = by_code.first().map_or(1, |(_, n)| *n);
    let rows: Vec<Row> = by_code
        .into_iter()
        .map(|(code, n)| Row { label: code, value: count(n, "pod"), bars: vec![("refused", n as f64 / most as f64)] })
        .collect();
    svg::rows("pods without a place, by reason", &rows)
}
