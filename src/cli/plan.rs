//! `millwright plan`.

use std::io::Write;

use anyhow::{Context, Result};
use planner::model::Snapshot;
use planner::plan::Plan;

use super::args::{Output, PlanArgs};
use super::exit::{DONE, UNPLACED};
use super::phases::Phases;
use super::tell::tell;
use super::{diff, html, input, json, table};
use crate::observe::printable;

/// Plans, prints, and says by the exit code whether every pod has a place.
pub fn run(args: &PlanArgs) -> Result<u8> {
    let mut phases = Phases::new(args.input.verbose);
    if let Some([before, after]) = args.diff.as_deref() {
        return diff::run(args, before, after, &mut phases);
    }
    let observed = input::observe(&args.input, &args.validate, &mut phases)?;
    let plan = phases.run("plan", || planner::plan(&observed.snapshot));
    say(&observed.snapshot, &plan);
    let text = phases.run("render", || render(&observed.snapshot, &plan, args.output))?;
    print(&text)?;
    phases.report();
    Ok(if plan.unplaced.is_empty() { DONE } else { UNPLACED })
}

/// What a plan is to be remarked on beside its pods, on stderr.
pub fn say(snapshot: &Snapshot, plan: &Plan) {
    for note in plan.notes(snapshot) {
        tell(format_args!("note: {}", printable(&note)));
    }
}

/// The plan in the form that is asked for.
pub fn render(snapshot: &Snapshot, plan: &Plan, output: Output) -> Result<String> {
    let document = json::document(snapshot, plan);
    match output {
        Output::Json => to_json(&document),
        Output::Yaml => to_yaml(&document),
        Output::Table => Ok(table::plan(plan, &document)),
        Output::Html => Ok(html::page(snapshot, plan, &document)),
    }
}

/// Indented JSON that ends a line.
pub fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    Ok(serde_json::to_string_pretty(value).context("write as JSON")? + "\n")
}

/// The same document as YAML.
pub fn to_yaml<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_saphyr::to_string(value).context("write as YAML")
}

/// Writes to stdout; a reader that went away is no error.
pub fn print(text: &str) -> Result<()> {
    print_if_read(text).map(drop)
}

/// The same, and whether there still is a reader.
pub fn print_if_read(text: &str) -> Result<bool> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        other => other.map(|()| true).context("write to standard output"),
    }
}
