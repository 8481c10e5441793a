//! `millwright plan`.

use std::io::Write;

use anyhow::{Context, Result};
use planner::Fault;
use planner::model::Snapshot;
use planner::plan::Plan;

use super::args::{Output, PlanArgs};
use super::exit::{DONE, UNPLACED};
use super::phases::Phases;
use super::tell::tell;
use super::{diff, html, input, json, table};
use crate::observe::printable;

/// Faults of a plan that are told one by one.
const MOST_FAULTS: usize = 10;

/// Plans, prints, and says by the exit code whether every pod has a place.
pub fn run(args: &PlanArgs) -> Result<u8> {
    let mut phases = Phases::new(args.input.verbose);
    if let Some([before, after]) = args.diff.as_deref() {
        return diff::run(args, before, after, &mut phases);
    }
    let observed = input::observe(&args.input, &args.validate, &mut phases)?;
    let plan = phases.run("plan", || planner::plan(&observed.snapshot));
    let faults = phases.run("check", || planner::check(&observed.snapshot, &plan));
    say(&observed.snapshot, &plan, &faults);
    let text = phases.run("render", || render(&observed.snapshot, &plan, args.output))?;
    print(&text)?;
    phases.report();
    Ok(if plan.unplaced.is_empty() { DONE } else { UNPLACED })
}

/// What a plan is to be remarked on beside its pods, and what the independent reader found, on stderr.
pub fn say(snapshot: &Snapshot, plan: &Plan, faults: &[Fault]) {
    for note in plan.notes(snapshot).iter().chain(&remarks(faults)) {
        tell(format_args!("note: {}", printable(note)));
    }
}

/// The faults in words, and what a controller would do about them.
fn remarks(faults: &[Fault]) -> Vec<String> {
    let mut out: Vec<String> =
        faults.iter().take(MOST_FAULTS).map(|fault| format!("fault in the plan: {fault}")).collect();
    if faults.len() > MOST_FAULTS {
        out.push(format!("and {} more faults", faults.len() - MOST_FAULTS));
    }
    if faults.iter().all(Fault::is_harmless) {
        out.extend(faults.first().map(|_| "a controller acts on this plan all the same".into()));
    } else {
        out.push("a controller drops this plan, and buys what is sound of one that is made without the solver".into());
    }
    out
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

#[cfg(test)]
mod tests {
    use planner::model::MicroUsdPerHour;

    use super::*;

    #[test]
    fn faults_are_told_with_what_a_controller_does_about_them() {
        assert_eq!(remarks(&[]), Vec::<String>::new());
        let bound = Fault::Bound { bound: MicroUsdPerHour(2), cost: MicroUsdPerHour(1) };
        let harmless = remarks(std::slice::from_ref(&bound));
        assert_eq!(harmless.len(), 2);
        assert!(harmless[0].contains("lower bound") && harmless[1].contains("all the same"), "{harmless:?}");
        let silent = (0..12).map(|n| Fault::Silent { pod: format!("shop/web-{n}").into() });
        let many = remarks(&silent.chain([bound]).collect::<Vec<_>>());
        assert_eq!(many.len(), MOST_FAULTS + 2);
        assert!(many[0].contains("shop/web-0") && many[10] == "and 3 more faults" && many[11].contains("drops"));
    }
}
