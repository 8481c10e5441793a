//! `cargo xtask bench NAME`: measures, prints a table, and keeps docs/benchmarks.md up to date.

mod consolidation;
mod e2e;
mod flexibility;
mod instances;
mod instructions;
mod measure;
mod options;
mod plan;
mod read;
mod solver;
mod table;

use std::process::ExitCode;

const HELP: &str = "\
Usage: cargo xtask bench NAME [OPTIONS]

Names:
  plan              the whole planner on synthetic clusters, and reading 15,000 pods
  solver            every recorded workload on its offering set, at several efforts, beside first-fit-decreasing
  consolidation     churned clusters re-optimised, beside a model of the reference's fixpoint
  flexibility       spot: plans on the mean of the k cheapest types, beside plans on list prices
  instructions      instructions that two small cases take (valgrind), against those recorded; fails if it cannot count
  e2e               the controller on a real control plane with kwok nodes (needs Go once; see `cargo xtask help`)

Options:
  --json FILE       write the rows as JSON
  --quick           fewer efforts and repetitions; (e2e) a tenth of the pods
  --write           replace the section of this name in docs/benchmarks.md
  --instances DIR   (solver) read w_*.json[.gz] and cat_*.json[.gz] from DIR (default: the repository's own copies)
  --sets A,B        (solver) offering sets to use (default: the one that belongs to each workload)
  --only TEXT       (plan, solver, consolidation) cases whose name contains TEXT
  --effort STEPS    (plan, consolidation) how much work to spend
  --efforts A,B     (solver) how much work to spend, one run for each (default: 1 to 2,000,000 steps)
  --scenario NAME   (e2e; repeats) basic, wide, stuck or crash (default: all four)
  --loose           (e2e) nodes open as they come and no pod is nominated: what enforced placement is compared with
  --logs DIR        (e2e) keep the controllers' logs in DIR

Times are CPU seconds of the measuring thread, the median of the repetitions; those of e2e are named in its table.
Exit codes: 0 done; 1 an error; 2 the command line was not understood.
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    if rest.iter().any(|a| a == "-h" || a == "--help") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let result = match name.as_str() {
        "consolidation" => consolidation::run(&rest),
        "flexibility" => flexibility::run(&rest),
        "instructions" => instructions::run(&rest),
        "plan" => plan::run(&rest),
        "solver" => solver::run(&rest),
        "e2e" => e2e::run(&rest),
        "" | "-h" | "--help" | "help" => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        other => {
            eprintln!("bench: there is no bench named {other:?}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench {name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
