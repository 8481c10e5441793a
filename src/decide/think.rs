//! The part of a pass that only thinks, on a thread where it holds up nobody.

use std::time::{Duration, Instant};

use cloud::ClassKind;
use planner::model::{Policies, Snapshot};
use planner::plan::Plan;
use planner::{Fault, check, plan};

use crate::act::report::Phases;
use crate::observe::mirror::{Mirror, Taken};
use crate::observe::{Catalogs, InputError, Options};

/// What was thought.
pub(super) struct Thought {
    pub(super) snapshot: Snapshot,
    /// None if no sound plan was found.
    pub(super) plan: Option<Plan>,
    /// What the independent reader found, in the plan that was dropped.
    pub(super) faults: Vec<Fault>,
    pub(super) notes: Vec<String>,
    pub(super) phases: Phases,
}

/// Takes a snapshot, plans, and has the plan read by somebody else. An unsound plan is dropped, and one more is made
/// without the solver: it may cost more, but pods do not wait for somebody to mend a fault.
pub(super) fn think(
    mirror: &Mirror,
    kinds: &[ClassKind],
    catalogs: &Catalogs,
    options: &Options,
) -> Result<Thought, InputError> {
    let mut phases = Phases::default();
    let begun = Instant::now();
    let Taken { mut snapshot, notes } = mirror.snapshot(kinds, catalogs, options)?;
    phases.snapshot = begun.elapsed();
    let (first, faults) = attempt(&snapshot, &mut phases);
    if faults.is_empty() {
        return Ok(Thought { snapshot, plan: Some(first), faults, notes, phases });
    }
    let policies = snapshot.policies;
    snapshot.policies = Policies { effort: 0, ..policies };
    let (second, again) = attempt(&snapshot, &mut phases);
    let plan = again.is_empty().then_some(second);
    snapshot.policies = policies;
    Ok(Thought { snapshot, plan, faults, notes, phases })
}

fn attempt(snapshot: &Snapshot, phases: &mut Phases) -> (Plan, Vec<Fault>) {
    let begun = Instant::now();
    let made = plan(snapshot);
    let planned = begun.elapsed();
    let faults = check(snapshot, &made);
    phases.plan += planned;
    phases.check += begun.elapsed().saturating_sub(planned).max(Duration::ZERO);
    (made, faults)
}
