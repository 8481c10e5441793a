//! `millwright plan`.

use std::io::Write;

use anyhow::{Context, Result};
use planner::model::Snapshot;
use planner::plan::Plan;

use super::args::{InputArgs, Output, PlanArgs};
use super::{DONE, UNPLACED, json, table};
use crate::observe::{Observed, files, snapshot};

/// Plans, prints, and says by the exit code whether every pod has a place.
pub fn run(args: &PlanArgs) -> Result<u8> {
    let observed = observe(&args.input, &args.input.files)?;
    let plan = planner::plan(&observed.snapshot);
    let text = render(&observed.snapshot, &plan, args.output)?;
    print(&text)?;
    Ok(if plan.unplaced.is_empty() { DONE } else { UNPLACED })
}

/// Reads the files and says on stderr what was passed over.
pub fn observe(input: &InputArgs, paths: &[std::path::PathBuf]) -> Result<Observed> {
    if paths.is_empty() && input.trace.is_empty() {
        anyhow::bail!("nothing to read: name files or folders with -f PATH (- for standard input), or a trace with --trace FILE");
    }
    let options = input.options()?;
    let objects = files::read(paths, input.validate())?;
    let observed = snapshot(objects, &options)?;
    for note in &observed.notes {
        eprintln!("note: {note}");
    }
    Ok(observed)
}

fn render(snapshot: &Snapshot, plan: &Plan, output: Output) -> Result<String> {
    let document = json::document(snapshot, plan);
    Ok(match output {
        Output::Json => serde_json::to_string_pretty(&document).context("plan as JSON")? + "\n",
        Output::Yaml => serde_saphyr::to_string(&document).context("plan as YAML")?,
        Output::Table | Output::Html => table::plan(snapshot, plan, &document),
    })
}

/// Writes to stdout; a reader that went away is no error.
pub fn print(text: &str) -> Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("write to standard output"),
    }
}
