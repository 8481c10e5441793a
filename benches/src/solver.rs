//! The solver on recorded workloads: cost, proven bound and CPU time at several efforts, beside first-fit-decreasing.

use anyhow::bail;
use serde::Serialize;
use solver::{Cancel, Effort, Options, Problem, Solution, greedy, solve, verify};

use crate::instances::{needs_gpu, offerings, problem, set_of, workloads};
use crate::measure::{cpu_seconds, forget_peak, median, peak_rss_mb};
use crate::options::Options as Bench;
use crate::table::Table;

/// One measurement; field names are those of the interface.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    instance: String,
    set: String,
    effort: u64,
    cpu_seconds: f64,
    cost: f64,
    bound: f64,
    gap_percent: f64,
    greedy_cost: f64,
    nodes: usize,
    pods_per_second: f64,
    peak_rss_mb: f64,
    pods: u64,
    greedy_cpu_seconds: f64,
    unpacked: u64,
}

/// The efforts to measure.
fn efforts(options: &Bench) -> Vec<u64> {
    if !options.efforts.is_empty() {
        options.efforts.clone()
    } else if options.quick {
        vec![Effort::FIRST.0, Effort::DEFAULT.0]
    } else {
        // Those between are near the times that goals are set for.
        let near_goals = [10_000, Effort::QUICK.0, 75_000, Effort::DEFAULT.0, 250_000, 500_000, 1_000_000];
        [Effort::FIRST.0].into_iter().chain(near_goals).chain([Effort::HIGH.0]).collect()
    }
}

/// Runs the bench.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let args = Bench::parse(args, &["--only", "--efforts", "--instances", "--sets"])?;
    let mut rows = Vec::new();
    for workload in workloads(&args.instances)?.iter().filter(|w| w.name.contains(&args.only)) {
        let own = set_of(workload);
        let sets: Vec<String> = if args.sets.is_empty() {
            vec![own.to_owned()]
        } else {
            args.sets.iter().filter(|s| *s == own || !needs_gpu(workload)).cloned().collect()
        };
        for set in sets {
            let problem = problem(workload, &offerings(&args.instances, &set)?, Options::default());
            measure(&workload.name, &set, &problem, &args, &mut rows)?;
        }
    }
    args.publish("solver", &rows, &table(&rows))
}

fn measure(name: &str, set: &str, problem: &Problem, args: &Bench, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let pods = problem.n_things();
    let start = cpu_seconds();
    let reference = greedy(problem);
    let greedy_cpu_seconds = cpu_seconds() - start;
    judge(problem, &reference, name)?;
    for effort in efforts(args) {
        forget_peak();
        let repetitions = if args.quick || effort > 500_000 { 1 } else { 3 };
        let mut times = Vec::new();
        let mut solution = Solution::default();
        for _ in 0..repetitions {
            let start = cpu_seconds();
            solution = solve(problem, Effort(effort), &Cancel::new());
            times.push(cpu_seconds() - start);
        }
        judge(problem, &solution, name)?;
        if solution.unpacked == reference.unpacked && solution.cost > reference.cost {
            bail!("{name}: dearer than first-fit-decreasing");
        }
        let cpu = median(&mut times);
        let row = Row {
            instance: name.to_owned(),
            set: set.to_owned(),
            effort,
            cpu_seconds: cpu,
            cost: usd(solution.cost),
            bound: usd(solution.cost_lower_bound),
            gap_percent: solution.gap_percent(),
            greedy_cost: usd(reference.cost),
            nodes: solution.n_new(),
            pods_per_second: pods as f64 / cpu.max(1e-9),
            peak_rss_mb: peak_rss_mb(),
            pods,
            greedy_cpu_seconds,
            unpacked: solution.n_unpacked(),
        };
        eprintln!(
            "{:<16} {:<4} {:>8} steps {:>8.1} ms  cost {:>10.4} bound {:>10.4} gap {:>6.2} %  ffd {:>10.4} ({:>5.1} ms)  {:>5} nodes {:>9.0} pods/s {:>4.0} MB",
            row.instance,
            row.set,
            row.effort,
            row.cpu_seconds * 1e3,
            row.cost,
            row.bound,
            row.gap_percent,
            row.greedy_cost,
            row.greedy_cpu_seconds * 1e3,
            row.nodes,
            row.pods_per_second,
            row.peak_rss_mb,
        );
        rows.push(row);
    }
    Ok(())
}

/// Every packing measured is also judged.
fn judge(problem: &Problem, solution: &Solution, name: &str) -> anyhow::Result<()> {
    let faults = verify(problem, solution);
    if let Some(fault) = faults.first() {
        bail!("{name}: {} faults, the first: {fault:?}", faults.len());
    }
    Ok(())
}

fn usd(micro: i64) -> f64 {
    micro as f64 / 1e6
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(&[
        "workload",
        "set",
        "pods",
        "steps",
        "CPU ms",
        "$/h",
        "bound $/h",
        "gap %",
        "FFD $/h",
        "saving %",
        "FFD ms",
        "nodes",
        "pods/s",
        "peak MB",
    ]);
    for r in rows {
        table.row(vec![
            r.instance.clone(),
            r.set.clone(),
            r.pods.to_string(),
            r.effort.to_string(),
            format!("{:.1}", r.cpu_seconds * 1e3),
            format!("{:.4}", r.cost),
            format!("{:.4}", r.bound),
            format!("{:.2}", r.gap_percent),
            format!("{:.4}", r.greedy_cost),
            format!("{:.1}", (1.0 - r.cost / r.greedy_cost) * 100.0),
            format!("{:.1}", r.greedy_cpu_seconds * 1e3),
            r.nodes.to_string(),
            format!("{:.0}", r.pods_per_second),
            format!("{:.0}", r.peak_rss_mb),
        ]);
    }
    table
}
