//! `millwright record`: the snapshot of a controller, or of a cluster as it stands, with the plan for it, into a file.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context, Result};

use super::args::RecordArgs;
use super::phases::Phases;
use super::{DONE, cluster, input};
use crate::recording::Recording;

/// Writes the file; nothing is left behind when that does not succeed.
pub fn run(args: &RecordArgs) -> Result<u8> {
    let mut phases = Phases::new(args.input.verbose);
    let recording = if let Some(controller) = &args.controller {
        phases.run("fetch", || cluster::recording(controller))?
    } else {
        let snapshot = input::observe(&args.input, &mut phases)?.snapshot;
        let plan = phases.run("plan", || planner::plan(&snapshot));
        Recording::new(snapshot, plan)
    };
    phases.run("write", || write(&recording, &args.output))?;
    let Recording { snapshot, plan, .. } = &recording;
    eprintln!(
        "{}: {} nodes, {} claims, {} pods to place; the plan buys {} nodes for ${} an hour",
        args.output.display(),
        snapshot.nodes.len(),
        snapshot.claims.len(),
        plan.pods,
        plan.launches.len(),
        plan.cost
    );
    phases.report();
    Ok(DONE)
}

/// Through a file beside it, so that the name never stands for half a recording.
fn write(recording: &Recording, path: &Path) -> Result<()> {
    let shown = path.display();
    if path.as_os_str() == "-" {
        let mut out = std::io::stdout().lock();
        recording.write(&mut out)?;
        return out.flush().context("write to standard output");
    }
    let mut half = path.as_os_str().to_owned();
    half.push(".part");
    let half = Path::new(&half);
    let written = File::create(half).context("create").and_then(|file| {
        let mut out = BufWriter::new(file);
        recording.write(&mut out)?;
        out.flush().context("write")?;
        fs::rename(half, path).context("rename")
    });
    written.inspect_err(|_| drop(fs::remove_file(half))).with_context(|| format!("-o {shown}"))
}
