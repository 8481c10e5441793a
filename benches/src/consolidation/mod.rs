//! Re-optimisation of churned clusters, beside a model of the reference's fixpoint on the same cluster: at equal moves, at
//! fewer moves, under small budgets of moves; and how long it takes.

mod cluster;
mod judge;
mod peer;

use anyhow::Context;
use serde::Serialize;
use solver::{Cancel, Effort, Moves, Options, Reoptimized, lower_bound, reoptimize};

use crate::instances::{offerings, own_copies, problem, set_of, workloads};
use crate::measure::cpu_seconds;
use crate::options::Options as Bench;
use crate::table::Table;
use cluster::{Cluster, Dice, by_zone};
use peer::{Fixpoint, fixpoint};

/// Near 3 s of one thread.
const EFFORT: u64 = 1_500_000;
/// A plan made anew when the last one is carried out has this part of the effort.
const AGAIN: u64 = 8;

/// One measurement; field names are those of the interface.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    case: String,
    nodes: usize,
    pods: u64,
    seconds: f64,
    cost_before: f64,
    cost_after: f64,
    bound: f64,
    pods_moved: u64,
    peer_cost: Option<f64>,
    peer_moves: Option<u64>,
    /// Ours beside the peer's cost, in percent; below 0 is cheaper.
    against_peer_percent: Option<f64>,
    waves: usize,
}

/// Runs the bench.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let options = Bench::parse(args, &["--only", "--effort"])?;
    let (quick, only, effort) = (options.quick, &options.only, options.effort.unwrap_or(EFFORT));
    let mut rows = Vec::new();
    let churned = ["k8sC_10000", "k8sC_50000", "k8s_50000", "openb_cpu_1000"];
    for name in churned.iter().filter(|n| n.contains(only)).take(if quick { 1 } else { churned.len() }) {
        compare(name, effort, &mut rows)?;
    }
    for (name, scale, label) in [("k8sC_50000", 1.4, "pass 1000"), ("openb_cpu_10000", 3.0, "pass 10000")] {
        if !quick && label.contains(only) {
            pass(name, scale, label, effort, &mut rows)?;
        }
    }
    options.publish("consolidation", &rows, &table(&rows))
}

/// A recorded workload after twelve batches of churn, a third of its pods gone.
fn churned(name: &str, scale: f64) -> anyhow::Result<Cluster> {
    let dir = own_copies();
    let all = workloads(&dir)?;
    let workload = all.iter().find(|w| w.name == name).with_context(|| format!("there is no workload {name}"))?;
    let problem = problem(workload, &offerings(&dir, set_of(workload))?, Options::default());
    Cluster::churned(by_zone(problem, scale), 12, 0.35, &mut Dice(0x9E37_79B9_7F4A_7C15))
}

/// A cluster with what is known about it.
struct Case<'a> {
    name: &'a str,
    cluster: Cluster,
    bound: i64,
}

impl Case<'_> {
    /// Re-optimises with at most `most` moves; a move has to save `price` (micro-dollars per hour).
    fn ours(&self, price: i64, most: u64, effort: u64) -> anyhow::Result<(Reoptimized, f64)> {
        let problem = self.cluster.with_nodes();
        let moves = Moves { price, most_things: most, most_retired: usize::MAX };
        let start = cpu_seconds();
        let result = reoptimize(&problem, moves, Effort(effort), &Cancel::new());
        let seconds = cpu_seconds() - start;
        judge::end(&problem, &result).with_context(|| format!("{}: a re-optimisation is wrong", self.name))?;
        anyhow::ensure!(result.moved <= most, "{}: moved {} of at most {most}", self.name, result.moved);
        Ok((result, seconds))
    }

    fn row(&self, what: &str, result: &Reoptimized, seconds: f64, peer: Option<(i64, u64)>) -> Row {
        let row = Row {
            case: format!("{} {what}", self.name),
            nodes: self.cluster.nodes.len(),
            pods: self.cluster.pods(),
            seconds,
            cost_before: usd(result.cost_before),
            cost_after: usd(result.cost_after),
            bound: usd(self.bound),
            pods_moved: result.moved,
            peer_cost: peer.map(|p| usd(p.0)),
            peer_moves: peer.map(|p| p.1),
            against_peer_percent: peer.map(|p| (result.cost_after as f64 / p.0 as f64 - 1.0) * 100.0),
            waves: result.waves.len(),
        };
        eprintln!(
            "{:<28} {:>6.2} s  {:>9.3} -> {:>9.3} (bound {:>9.3}), {:>6} moved in {} waves; peer {:?}, {:?} %",
            row.case,
            row.seconds,
            row.cost_before,
            row.cost_after,
            row.bound,
            row.pods_moved,
            row.waves,
            row.peer_cost,
            row.against_peer_percent
        );
        row
    }
}

fn compare(name: &str, effort: u64, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let cluster = churned(name, 1.0)?;
    let bound = lower_bound(&cluster.unpacked(), Effort(1_000_000)).cost;
    let (pods, before) = (cluster.pods(), cluster.cost());
    let peers = [fixpoint(&cluster, 1.0), fixpoint(&cluster, 0.1)];
    let case = Case { name, cluster, bound };
    let fixed = &peers[0];
    // What moves cost while anything is still to be gained: next to nothing.
    let low = before / i64::try_from(pods.max(1))? / 100;
    let (equal, seconds) = case.ours(low, fixed.moved, effort)?;
    rows.push(case.row("equal moves", &equal, seconds, Some((fixed.cost, fixed.moved))));
    for percent in [30, 40, 50, 60, 70, 80, 90] {
        let (result, seconds) = case.ours(low, fixed.moved * percent / 100, effort)?;
        if result.cost_after <= fixed.cost {
            rows.push(case.row(
                &format!("its cost at {percent} % of its moves"),
                &result,
                seconds,
                Some((fixed.cost, fixed.moved)),
            ));
            break;
        }
    }
    for percent in [10, 20] {
        let most = pods * percent / 100;
        let (result, seconds) = case.ours(low, most, effort)?;
        let best = peers.iter().filter_map(|p: &Fixpoint| p.within(most)).min();
        rows.push(case.row(&format!("{percent} % of pods"), &result, seconds, best));
    }
    let (first, seconds) = case.ours(low, u64::MAX, effort)?;
    rows.push(case.row("moves free", &first, seconds, Some((fixed.cost, fixed.moved))));
    let next = judge::after_first_wave(&case.cluster, &first)?;
    let case = Case { cluster: next, ..case };
    let (again, seconds) = case.ours(low, u64::MAX, effort / AGAIN)?;
    rows.push(case.row("again when done", &again, seconds, None));
    Ok(())
}

/// One pass over a large cluster.
fn pass(name: &str, scale: f64, label: &str, effort: u64, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let cluster = churned(name, scale)?;
    let bound = lower_bound(&cluster.unpacked(), Effort(1_000_000)).cost;
    let low = cluster.cost() / i64::try_from(cluster.pods().max(1))? / 100;
    let case = Case { name: label, cluster, bound };
    let (result, seconds) = case.ours(low, u64::MAX, effort)?;
    rows.push(case.row(&format!("({name})"), &result, seconds, None));
    Ok(())
}

fn usd(micro: i64) -> f64 {
    micro as f64 / 1e6
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(&[
        "case",
        "nodes",
        "pods",
        "CPU s",
        "$/h before",
        "after",
        "bound",
        "pods moved",
        "waves",
        "peer $/h",
        "peer moves",
        "ours against peer %",
    ]);
    for r in rows {
        let or_empty = |text: Option<String>| text.unwrap_or_default();
        table.row(vec![
            r.case.clone(),
            r.nodes.to_string(),
            r.pods.to_string(),
            format!("{:.2}", r.seconds),
            format!("{:.3}", r.cost_before),
            format!("{:.3}", r.cost_after),
            format!("{:.3}", r.bound),
            r.pods_moved.to_string(),
            r.waves.to_string(),
            or_empty(r.peer_cost.map(|c| format!("{c:.3}"))),
            or_empty(r.peer_moves.map(|m| m.to_string())),
            or_empty(r.against_peer_percent.map(|p| format!("{p:+.1}"))),
        ]);
    }
    table
}
