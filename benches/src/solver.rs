//! The solver on recorded workloads: cost, proven bound and CPU time at several efforts, beside first-fit-decreasing.

use std::path::PathBuf;

use anyhow::{Context, bail};
use serde::Serialize;
use solver::{Cancel, Effort, Options, Problem, Solution, greedy, solve, verify};

use crate::instances::{needs_gpu, offerings, own_copies, problem, set_of, workloads};
use crate::measure::{cpu_seconds, forget_peak, machine, median, peak_rss_mb};
use crate::table::{Table, write_section};

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

struct Args {
    json: Option<PathBuf>,
    quick: bool,
    write: bool,
    instances: PathBuf,
    sets: Vec<String>,
    only: String,
    efforts: Vec<u64>,
}

fn parse(args: &[String]) -> anyhow::Result<Args> {
    let mut parsed = Args {
        json: None,
        quick: false,
        write: false,
        instances: own_copies(),
        sets: Vec::new(),
        only: String::new(),
        efforts: Vec::new(),
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().cloned().with_context(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--json" => parsed.json = Some(value()?.into()),
            "--quick" => parsed.quick = true,
            "--write" => parsed.write = true,
            "--instances" => parsed.instances = value()?.into(),
            "--sets" => parsed.sets = value()?.split(',').map(str::to_owned).collect(),
            "--only" => parsed.only = value()?,
            "--efforts" => {
                parsed.efforts = value()?.split(',').map(str::parse).collect::<Result<_, _>>().context("--efforts")?;
            }
            other => bail!("unknown option {other:?}"),
        }
    }
    if parsed.efforts.is_empty() {
        parsed.efforts = if parsed.quick {
            vec![Effort::FIRST.0, Effort::DEFAULT.0]
        } else {
            vec![Effort::FIRST.0, Effort::QUICK.0, Effort::DEFAULT.0, 250_000, 1_000_000, Effort::HIGH.0]
        };
    }
    Ok(parsed)
}

/// Runs the bench.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let args = parse(args)?;
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
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_string_pretty(&rows)? + "\n")
            .with_context(|| format!("write {}", path.display()))?;
    }
    if args.write {
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
        let body = format!("Machine: {}. Times: thread CPU, one thread.\n\n{}", machine(), table(&rows).markdown());
        write_section(&file, "solver", &body)?;
    }
    Ok(())
}

fn measure(name: &str, set: &str, problem: &Problem, args: &Args, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let pods = problem.n_things();
    let start = cpu_seconds();
    let reference = greedy(problem);
    let greedy_cpu_seconds = cpu_seconds() - start;
    judge(problem, &reference, name)?;
    for &effort in &args.efforts {
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
        println!(
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
