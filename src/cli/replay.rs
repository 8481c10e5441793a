//! `millwright replay`: the plan of a recording, made again.

use std::fs::File;
use std::io::{self, BufReader};

use anyhow::{Context, Result, anyhow};
use planner::plan::Plan;

use super::args::ReplayArgs;
use super::diff;
use super::exit::{DONE, UNPLACED};
use super::phases::Phases;
use super::plan::{print, render, say};
use super::tell::tell;
use crate::recording::{Recording, VERSION};

/// Plans again and prints the plan; with `--diff` what is different from the recorded one, and exit code 2 if anything is.
pub fn run(args: &ReplayArgs) -> Result<u8> {
    let mut phases = Phases::new(args.verbose);
    let shown = args.file.display();
    let recording = phases.run("read", || -> Result<Recording> {
        if args.file.as_os_str() == "-" {
            return Ok(Recording::read(io::stdin().lock())?);
        }
        let file = File::open(&args.file).map_err(|error| {
            let remedy = "name a file that millwright record wrote, or - for standard input";
            anyhow!("{shown}: cannot be opened: {error}\n  remedy: {remedy}")
        })?;
        Recording::read(BufReader::new(file)).with_context(|| shown.to_string())
    })?;
    let mut snapshot = recording.snapshot.clone();
    if let Some(effort) = args.effort {
        snapshot.policies.effort = effort;
    }
    let plan = phases.run("plan", || planner::plan(&snapshot));
    let is_same = same(&plan, &recording.plan)?;
    let faults = phases.run("check", || planner::check(&snapshot, &plan));
    say(&snapshot, &plan, &faults);
    if args.diff {
        print(&diff::of_plans((&recording.snapshot, &recording.plan), (&snapshot, &plan), args.output)?)?;
    } else {
        print(&render(&snapshot, &plan, args.output)?)?;
    }
    tell(verdict(is_same, &recording.version, args.effort.is_some()));
    phases.report();
    let is_well = if args.diff { is_same } else { plan.unplaced.is_empty() };
    Ok(if is_well { DONE } else { UNPLACED })
}

/// Bit for bit: every field of every launch, nomination and reason.
fn same(one: &Plan, other: &Plan) -> Result<bool> {
    let bytes = |plan: &Plan| serde_json::to_vec(plan).context("serialize the plan");
    Ok(bytes(one)? == bytes(other)?)
}

fn verdict(is_same: bool, version: &str, other_effort: bool) -> String {
    let recorded =
        if version == VERSION { String::new() } else { format!(" by version {version} (this is {VERSION})") };
    match (is_same, other_effort) {
        (true, _) => format!("the same plan as recorded{recorded}, bit for bit"),
        (false, true) => format!("another plan than recorded{recorded}, with another effort"),
        (false, false) => format!("another plan than recorded{recorded}; --diff shows what is different"),
    }
}
