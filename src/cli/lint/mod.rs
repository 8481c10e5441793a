//! `millwright lint`: mistakes in `NodePools`, node classes and overlays, found before they cost anything.

mod budgets;
mod classes;
mod overlays;
mod pools;
mod requirements;
mod shadow;

use std::fmt::Write;

use anyhow::Result;
use serde::Serialize;

use super::args::{LintArgs, Plain};
use super::exit::{DONE, UNPLACED};
use super::input;
use super::phases::Phases;
use super::plan::{print, to_json};
use super::text::count;
use crate::observe::{InputError, Observed, Origin, Validate};

/// How bad it is. Only errors change the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It cannot work as written.
    Error,
    /// It works, and hardly as meant.
    Warning,
    /// Worth knowing.
    Info,
}

/// What kind of mistake; stable names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Mistake {
    BudgetBlocksAlways,
    ContradictoryRequirements,
    DeprecatedLabel,
    DuplicateTaint,
    ImpossibleZone,
    InvalidBudget,
    InvalidObject,
    LimitTooSmall,
    MinValuesImpossible,
    NodeClassMissing,
    NodeClassUnused,
    NothingToBuy,
    OverlayConflict,
    OverlayMatchesNothing,
    RestrictedLabel,
    ShadowedPool,
    TaintNotTolerated,
    TooLittleSpotChoice,
    UnknownLabel,
    UnknownValue,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    pub level: Level,
    /// `Kind name`.
    pub object: String,
    /// Path in the object.
    pub field: String,
    pub code: Mistake,
    pub message: String,
    pub remedy: String,
    /// File and line the object begins on.
    pub file: String,
}

/// The object that is looked at.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub kind: &'static str,
    pub name: &'a str,
    pub origin: &'a Origin,
}

impl Subject<'_> {
    /// A finding about it.
    fn finding(
        &self,
        level: Level,
        code: Mistake,
        field: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding {
            level,
            object: format!("{} {}", self.kind, self.name),
            field: field.into(),
            code,
            message: message.into(),
            remedy: remedy.into(),
            file: self.origin.to_string(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    api_version: &'static str,
    kind: &'static str,
    errors: usize,
    warnings: usize,
    infos: usize,
    findings: Vec<Finding>,
}

/// Reads, looks, prints. Exit code 2 when an error is found.
pub fn run(args: &LintArgs) -> Result<u8> {
    let mut phases = Phases::new(args.input.verbose);
    let options = args.input.options()?;
    let objects = input::objects(&args.input, &args.input.files, Validate::Collect, &mut phases)?;
    let observed = input::distil(objects, &options, &mut phases)?;
    let findings = phases.run("lint", || findings(&observed));
    let n = |level: Level| findings.iter().filter(|finding| finding.level == level).count();
    let (errors, warnings, infos) = (n(Level::Error), n(Level::Warning), n(Level::Info));
    let (api_version, kind) = ("millwright.dev/v1alpha1", "LintReport");
    let report = Report { api_version, kind, errors, warnings, infos, findings };
    print(&if args.output == Plain::Json { to_json(&report)? } else { table(&report) })?;
    phases.report();
    Ok(if report.errors == 0 { DONE } else { UNPLACED })
}

/// Every mistake, worst first, then by object and field.
pub fn findings(observed: &Observed) -> Vec<Finding> {
    let mut out = pools::findings(observed);
    out.extend(shadow::findings(observed));
    out.extend(budgets::findings(observed));
    out.extend(classes::findings(observed));
    out.extend(overlays::findings(observed));
    out.extend(refused(observed, &out));
    out.sort();
    out.dedup();
    out
}

/// What an API server would refuse, unless a finding of ours says it already, and better.
fn refused(observed: &Observed, found: &[Finding]) -> Vec<Finding> {
    let text = |part: &Option<Box<str>>| part.as_deref().unwrap_or_default().to_string();
    let one = |fault: &InputError| {
        let line = fault.line.map_or_else(String::new, |line| format!(":{line}"));
        let (object, field) = (text(&fault.object), text(&fault.field));
        // Of an element as a whole, a finding about a part of it says more.
        let is_of_part = |f: &Finding| field.ends_with(']') && f.field.starts_with(&field);
        let said = |f: &&Finding| {
            f.level == Level::Error && f.object == object && (field.starts_with(&f.field) || is_of_part(f))
        };
        let remedy = text(&fault.remedy);
        found.iter().find(said).is_none().then(|| Finding {
            level: Level::Error,
            object: object.clone(),
            field: field.clone(),
            code: Mistake::InvalidObject,
            message: fault.message.to_string(),
            remedy: if remedy.is_empty() { "an API server refuses it; correct the field".into() } else { remedy },
            file: format!("{}{line}", fault.file.as_deref().unwrap_or_default()),
        })
    };
    observed.objects.faults.iter().filter_map(one).collect()
}

fn table(report: &Report) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        let level = format!("{:?}", finding.level).to_lowercase();
        let _ = writeln!(
            out,
            "{level}: {}: {}: {}: {}\n  {:?}; remedy: {}",
            finding.file, finding.object, finding.field, finding.message, finding.code, finding.remedy
        );
    }
    if !report.findings.is_empty() {
        out.push('\n');
    }
    let _ = writeln!(
        out,
        "{}, {}, {}",
        count(report.errors, "error"),
        count(report.warnings, "warning"),
        count(report.infos, "info")
    );
    out
}
