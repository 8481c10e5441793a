//! Instructions that two small cases take, counted by callgrind: a gate that no noise of the machine can open. Each case
//! runs as this program under valgrind, once with and once without solving, and the difference counts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, bail, ensure};
use solver::{Cancel, Effort, Options, solve};

use crate::instances::{offerings, own_copies, problem, set_of, workloads};

/// (workload, steps).
const CASES: [(&str, u64); 2] = [("k8s_1000", 10_000), ("k8sC_100", 10_000)];
/// A case may take this much more or less than recorded, in percent: compilers differ by a little. What takes less is
/// recorded anew, or the next loss as large would not be seen.
const LEEWAY_PERCENT: u64 = 5;

/// Counts and compares, or with `--write` records.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let mut write = false;
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["case", name, steps] => return one(name, steps.parse().context("steps")?),
        [] | ["--quick"] => {}
        ["--write"] => write = true,
        other => bail!("unknown options {other:?}"),
    }
    ensure!(
        Command::new("valgrind").arg("--version").output().is_ok_and(|o| o.status.success()),
        "NOT COUNTED: valgrind is not installed, so this gate says nothing; install it (apt-get install valgrind)"
    );
    let file = own_copies().join("../instructions.json");
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (name, steps) in CASES {
        let count = counted(name, steps)?.saturating_sub(counted(name, 0)?);
        println!("{name:<10} {steps:>8} steps  {:>10.3} million instructions", count as f64 / 1e6);
        counts.insert(name.to_owned(), count);
    }
    if write {
        std::fs::write(&file, serde_json::to_string_pretty(&counts)? + "\n")
            .with_context(|| format!("write {}", file.display()))?;
        return Ok(());
    }
    let text = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
    let recorded: BTreeMap<String, u64> = serde_json::from_str(&text)?;
    for (name, count) in &counts {
        let before = *recorded.get(name).with_context(|| format!("{name} was never recorded; run with --write"))?;
        if let Some(fault) = beyond(*count, before) {
            bail!("{name} takes {count} instructions: {fault}");
        }
    }
    println!("within {LEEWAY_PERCENT} % of what is recorded");
    Ok(())
}

/// What is wrong with a count beside the one recorded.
fn beyond(count: u64, recorded: u64) -> Option<String> {
    let leeway = recorded * LEEWAY_PERCENT / 100;
    if count > recorded + leeway {
        return Some(format!("{recorded} are recorded, and {LEEWAY_PERCENT} % more are allowed"));
    }
    (count < recorded - leeway).then(|| {
        format!("{recorded} are recorded, so less than that by more than {LEEWAY_PERCENT} %; record it with --write")
    })
}

/// Solves one case, or with 0 steps only reads it.
fn one(name: &str, steps: u64) -> anyhow::Result<()> {
    let dir = own_copies();
    let all = workloads(&dir)?;
    let workload = all.iter().find(|w| w.name == name).with_context(|| format!("there is no workload {name}"))?;
    let problem = problem(workload, &offerings(&dir, set_of(workload))?, Options::default());
    if steps > 0 {
        println!("{}", solve(&problem, Effort(steps), &Cancel::new()).cost);
    }
    Ok(())
}

/// What callgrind says that a run of a case takes.
fn counted(name: &str, steps: u64) -> anyhow::Result<u64> {
    let out: PathBuf = std::env::temp_dir().join(format!("millwright-callgrind-{}", std::process::id()));
    let output = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe().context("find this program")?)
        .args(["instructions", "case", name, &steps.to_string()])
        .output()
        .context("start valgrind")?;
    // Only the count is wanted; there is no file when the run failed.
    let _ = std::fs::remove_file(&out);
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} under valgrind ended with {}:\n{text}", output.status);
    let count = text.lines().find_map(|l| l.split("Collected :").nth(1)).and_then(|n| n.trim().parse().ok());
    count.with_context(|| format!("valgrind gave no count for {name}:\n{text}"))
}

#[cfg(test)]
mod tests {
    use super::beyond;

    #[test]
    fn more_and_less_than_recorded_are_both_found() {
        assert!([950, 1000, 1050].iter().all(|&n| beyond(n, 1000).is_none()));
        assert!(beyond(1051, 1000).is_some_and(|f| f.contains("allowed")));
        assert!(beyond(949, 1000).is_some_and(|f| f.contains("--write")));
    }
}
