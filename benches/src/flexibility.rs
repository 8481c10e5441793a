//! What a plan costs when the cloud picks among the cheapest types that hold a node's contents, as it does for spot: plans
//! on list prices and on the mean of the k cheapest, beside first-fit-decreasing.

use std::collections::BTreeMap;

use serde::Serialize;
use solver::{BinRef, Cancel, Effort, Options, Problem, Solution, greedy, solve, verify};

use crate::instances::{offerings, own_copies, problem, types_of_kinds, workloads};
use crate::measure::cpu_seconds;
use crate::options::Options as Bench;
use crate::table::Table;

/// The offering set with spot prices.
const SET: &str = "C4s";
/// How many types the cloud picks among.
const AMONG: usize = 15;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    instance: String,
    plan: String,
    cpu_seconds: f64,
    /// Every node at the cheapest type of its capacity type that holds its contents.
    cheapest_cost: f64,
    /// Every node at the mean of its cheapest fifteen types; missing ones count double the dearest.
    mean_cost: f64,
    under_greedy_percent: f64,
    nodes: usize,
    /// Share of nodes with at least fifteen types of their capacity type, in percent.
    flexible_percent: f64,
    types_median: usize,
}

/// Runs the bench.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let options = Bench::parse(args, &[])?;
    let dir = own_copies();
    let offers = offerings(&dir, SET)?;
    let mut rows = Vec::new();
    for workload in
        workloads(&dir)?.iter().filter(|w| ["k8s_1000", "k8s_10000", "k8sC_10000"].contains(&w.name.as_str()))
    {
        let types = types_of_kinds(workload, &offers);
        let plain = problem(workload, &offers, Options::default());
        let start = cpu_seconds();
        let reference = greedy(&plain);
        let row = |plan: &str, solution: &Solution, seconds: f64, base: f64| {
            measure(&workload.name, plan, &plain, &types, solution, seconds, base)
        };
        let first = row("FFD", &reference, cpu_seconds() - start, 0.0);
        let base = first.mean_cost;
        rows.push(first);
        for k in [1, 15] {
            // Group 1 is spot; on-demand capacity is what is asked for.
            let problem =
                Problem { options: Options { flexibility: vec![1, k], ..Options::default() }, ..plain.clone() };
            let start = cpu_seconds();
            let solution = solve(&problem, Effort(250_000), &Cancel::new());
            let seconds = cpu_seconds() - start;
            let faults = verify(&problem, &solution);
            anyhow::ensure!(faults.is_empty(), "{}: {faults:?}", workload.name);
            rows.push(row(&format!("k = {k}"), &solution, seconds, base));
        }
    }
    options.publish("flexibility", &rows, &table(&rows))
}

fn measure(
    name: &str,
    plan: &str,
    problem: &Problem,
    types: &[usize],
    solution: &Solution,
    cpu_seconds: f64,
    base: f64,
) -> Row {
    let (mut cheapest_cost, mut mean_cost, mut counts) = (0.0, 0.0, Vec::new());
    for bin in &solution.bins {
        let BinRef::New(kind) = bin.kind else { continue };
        let group = problem.kinds[kind.at()].group;
        let mut prices: BTreeMap<usize, i64> = BTreeMap::new();
        for other in bin.alternatives.iter().filter(|k| problem.kinds[k.at()].group == group) {
            let cost = problem.kinds[other.at()].cost;
            prices.entry(types[other.at()]).and_modify(|c| *c = cost.min(*c)).or_insert(cost);
        }
        counts.push(prices.len());
        let mut prices: Vec<f64> = prices.into_values().map(|c| c as f64 / 1e6).collect();
        prices.sort_by(f64::total_cmp);
        cheapest_cost += prices.first().copied().unwrap_or(0.0);
        prices.truncate(AMONG);
        let missing = 2.0 * prices.last().copied().unwrap_or(0.0);
        prices.resize(AMONG, missing);
        mean_cost += prices.iter().sum::<f64>() / AMONG as f64;
    }
    counts.sort_unstable();
    let flexible = counts.iter().filter(|&&n| n >= AMONG).count();
    Row {
        instance: name.to_owned(),
        plan: plan.to_owned(),
        cpu_seconds,
        cheapest_cost,
        mean_cost,
        under_greedy_percent: if base > 0.0 { (1.0 - mean_cost / base) * 100.0 } else { 0.0 },
        nodes: counts.len(),
        flexible_percent: 100.0 * flexible as f64 / counts.len().max(1) as f64,
        types_median: counts.get(counts.len() / 2).copied().unwrap_or(0),
    }
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(&[
        "workload",
        "plan",
        "CPU ms",
        "$/h at the cheapest",
        "$/h mean of 15",
        "under FFD %",
        "nodes",
        "nodes with 15 types %",
        "types, median",
    ]);
    for r in rows {
        table.row(vec![
            r.instance.clone(),
            r.plan.clone(),
            format!("{:.0}", r.cpu_seconds * 1e3),
            format!("{:.3}", r.cheapest_cost),
            format!("{:.3}", r.mean_cost),
            format!("{:.1}", r.under_greedy_percent),
            r.nodes.to_string(),
            format!("{:.1}", r.flexible_percent),
            r.types_median.to_string(),
        ]);
    }
    table
}
