//! Is this plan legal? An independent reading of every rule; it shares the model with the planner and nothing else.

mod after;
mod alone;
mod fault;
mod fit;
mod holder;
mod launch;
mod market;
mod sums;
mod told;
mod topology;

use crate::model::Snapshot;
use crate::plan::Plan;

use after::After;
pub use fault::{Fault, Misfit, Subject};

/// Everything that is wrong with `plan` as an answer to `snapshot`, sorted; empty for a legal plan.
///
/// The rules are those of the API (kube-scheduler's predicates on the cluster as it stands after the plan) and of this planner's
/// own promises: each pod told once, each alternative offering able to stand in for the chosen one, limits never overshot,
/// sums true. Where the rules leave a choice, the verifier takes the lenient side, so that a fault is always a fault.
#[must_use = "a plan with faults must not be acted on, harmless ones aside"]
pub fn check(snapshot: &Snapshot, plan: &Plan) -> Vec<Fault> {
    let mut faults = Vec::new();
    let after = After::new(snapshot, plan, &mut faults);
    told::check(&after, &mut faults);
    fit::check(&after, &mut faults);
    let mut view = topology::View::new(&after);
    topology::check(&mut view, &mut faults);
    launch::check(&after, &mut view, &mut faults);
    sums::check(&after, &mut faults);
    alone::check(&after, &mut faults);
    faults.sort();
    faults.dedup();
    faults
}
