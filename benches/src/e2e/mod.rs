//! The controller end to end: a release build of it on a real control plane, with kwok nodes.

mod cluster;
mod controller;
mod options;
mod planned;
mod row;
mod scenarios;
mod workload;

use anyhow::Context;

use crate::measure::machine;
use crate::table::write_section;
use options::Options;
use row::Row;

/// Runs the scenarios asked for and prints, and on request keeps, their rows.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let options = Options::parse(args)?;
    let mut rows: Vec<Row> = Vec::new();
    for scenario in &options.scenarios {
        let found = scenarios::run(*scenario, &options).with_context(|| format!("scenario {}", scenario.name()))?;
        eprint!("{}", row::table(&found).markdown());
        rows.extend(found);
    }
    let text = format!(
        "{}\n\nOn {}. *planned* is what one plan of all pods at once buys. *decision* is the sum of the planning passes, *CPU* and \
         *peak* are the controller's alone; the control plane shares the machine.{}\n",
        row::table(&rows).markdown(),
        machine(),
        if options.loose { " Placement was not enforced (`--loose`)." } else { "" }
    );
    println!("{text}");
    if let Some(file) = &options.json {
        let json = serde_json::to_string_pretty(&rows)?;
        std::fs::write(file, json).with_context(|| format!("write {}", file.display()))?;
    }
    if options.write {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        write_section(&root.join("docs/benchmarks.md"), "e2e", &text)?;
    }
    Ok(())
}
