//! `millwright record`: the snapshot of a controller, or of a cluster as it stands, with the plan for it, into a file.

use std::io::Write as _;

use anyhow::{Context, Result};

use super::args::RecordArgs;
use super::exit::DONE;
use super::outfile::OutFile;
use super::phases::Phases;
use super::tell::tell;
use super::{cluster, input};
use crate::recording::Recording;

/// Writes the file; nothing is left behind when that does not succeed.
pub fn run(args: &RecordArgs) -> Result<u8> {
    let mut phases = Phases::new(args.input.verbose);
    let is_stdout = args.output.as_os_str() == "-";
    let file = if is_stdout { None } else { Some(OutFile::open("-o", &args.output)?) };
    let recording = if let Some(controller) = &args.controller {
        phases.run("fetch", || cluster::recording(controller))?
    } else {
        let snapshot = input::observe(&args.input, &args.validate, &mut phases)?.snapshot;
        let plan = phases.run("plan", || planner::plan(&snapshot));
        Recording::new(snapshot, plan)
    };
    phases.run("write", || match file {
        Some(file) => file.write(|out| Ok(recording.write(out)?)),
        None => to_stdout(&recording),
    })?;
    let Recording { snapshot, plan, .. } = &recording;
    tell(format_args!(
        "{}: {} nodes, {} claims, {} pods to place; the plan buys {} nodes for ${} an hour",
        args.output.display(),
        snapshot.nodes.len(),
        snapshot.claims.len(),
        plan.pods,
        plan.launches.len(),
        plan.cost
    ));
    phases.report();
    Ok(DONE)
}

fn to_stdout(recording: &Recording) -> Result<()> {
    let mut out = std::io::stdout().lock();
    recording.write(&mut out)?;
    out.flush().context("write to standard output")
}
