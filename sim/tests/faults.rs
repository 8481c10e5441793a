//! Sound plans, each broken in one known way: the verifier must say what was broken.

mod corruptions;

use planner::model::Snapshot;
use planner::plan::Plan;
use planner::{Fault, check};
use sim::workload::Workload;

/// How many sound plans each corruption is tried on.
const CASES: usize = 12;

/// Sound plans of both planners over random clusters.
fn sound() -> Vec<(u64, Snapshot, Plan)> {
    let mut out = Vec::new();
    for seed in 50_000..51_200 {
        let snapshot = Workload::random(seed).snapshot();
        for plan in [sim::naive::plan(&snapshot), planner::plan(&snapshot)] {
            if check(&snapshot, &plan).is_empty() {
                out.push((seed, snapshot.clone(), plan));
            }
        }
    }
    out
}

#[test]
fn every_seeded_fault_is_named() {
    let sound = sound();
    assert!(sound.len() > 1_000, "only {} sound plans to break", sound.len());
    let mut missed = Vec::new();
    let all = corruptions::all();
    assert!(all.len() >= 20);
    for corruption in &all {
        let mut tried = 0;
        for (seed, snapshot, plan) in &sound {
            let (mut snapshot, mut plan) = (snapshot.clone(), plan.clone());
            if (corruption.apply)(&mut snapshot, &mut plan).is_none() {
                continue;
            }
            tried += 1;
            let faults = check(&snapshot, &plan);
            if !faults.iter().any(corruption.expected) {
                let told: Vec<String> = faults.iter().take(5).map(Fault::to_string).collect();
                missed.push(format!("{} (seed {seed}): {}", corruption.name, told.join("; ")));
            }
            if tried == CASES {
                break;
            }
        }
        if tried < CASES {
            missed.push(format!("{}: only {tried} plans could be broken that way", corruption.name));
        }
    }
    assert!(missed.is_empty(), "{} missed\n{}", missed.len(), missed.join("\n"));
}
