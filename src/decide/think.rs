//! The part of a pass that only thinks, on a thread where it holds up nobody.

use std::time::{Duration, Instant};

use cloud::ClassKind;
use planner::model::{Policies, Snapshot};
use planner::plan::Plan;
use planner::{Fault, check, sound_part};

use crate::act::report::Phases;
use crate::observe::mirror::{Mirror, Taken};
use crate::observe::{Catalogs, InputError, Options};

/// A pass looks at no more groups of pods than this; the others have their turn in the pass that follows at once. A
/// cluster has a few hundred: this bounds a pass when somebody makes thousands of pods of which no two are alike.
const MOST_GROUPS: usize = 2000;
/// With these a thousand pods get all of the default effort, and ten pods a fiftieth of it.
const EFFORT_AT_LEAST: u64 = 2000;
const EFFORT_PER_POD: u64 = 200;

/// Steps that a plan for so many pods is worth, of those allowed: a handful of pods leaves little to save.
fn worth(pods: usize, allowed: u64) -> u64 {
    allowed.min(EFFORT_AT_LEAST + EFFORT_PER_POD * pods as u64)
}

/// What was thought.
pub(super) struct Thought {
    pub(super) snapshot: Snapshot,
    /// None if no sound plan was found.
    pub(super) plan: Option<Plan>,
    /// What the independent reader found in the first plan, which was dropped unless all of them are harmless.
    pub(super) faults: Vec<Fault>,
    /// Pods that are neither in the snapshot nor in the plan, as what was planned for them is unsound.
    pub(super) held_back: usize,
    pub(super) notes: Vec<String>,
    pub(super) phases: Phases,
    /// Groups that this pass did not look at.
    pub(super) left: usize,
}

/// Leaves `most` groups in the snapshot, beginning with the one whose turn it is; gives how many it took out. The next
/// turn begins where this one ends, so no group starves.
fn cut(snapshot: &mut Snapshot, turn: &mut usize, most: usize) -> usize {
    let all = snapshot.groups.len();
    if all <= most {
        *turn = 0;
        return 0;
    }
    let first = *turn % all;
    let mut at = 0;
    snapshot.groups.retain(|_| {
        let place = (at + all - first) % all;
        at += 1;
        place < most
    });
    *turn = (first + most) % all;
    all - most
}

/// Takes a snapshot, plans by `plan`, and has the plan read by somebody else. An unsound plan is dropped, and one more is
/// made without the solver: it may cost more, but pods do not wait for somebody to mend a fault. Of that one, the part
/// that is sound by itself is left.
pub(super) fn think(
    plan: impl Fn(&Snapshot) -> Plan,
    mirror: &Mirror,
    (kinds, catalogs, options): (&[ClassKind], &Catalogs, &Options),
    turn: &mut usize,
) -> Result<Thought, InputError> {
    let mut phases = Phases::default();
    let begun = Instant::now();
    let Taken { mut snapshot, mut notes } = mirror.snapshot(kinds, catalogs, options)?;
    let left = cut(&mut snapshot, turn, MOST_GROUPS);
    let pods: usize = snapshot.groups.iter().map(|group| group.pods.len()).sum();
    snapshot.policies.effort = worth(pods, snapshot.policies.effort);
    phases.snapshot = begun.elapsed();
    let (first, faults) = attempt(&plan, &snapshot, &mut phases);
    let plan = if is_sound(&faults) {
        Some(first)
    } else {
        let policies = snapshot.policies;
        snapshot.policies = Policies { effort: 0, ..policies };
        let (second, again) = attempt(&plan, &snapshot, &mut phases);
        let found = if is_sound(&again) {
            Some(second)
        } else {
            sound_part(&snapshot, &second, &again).map(|(part, plan)| {
                snapshot = part;
                plan
            })
        };
        snapshot.policies = policies;
        found
    };
    let left_in: usize = snapshot.groups.iter().map(|group| group.pods.len()).sum();
    notes.extend(plan.iter().flat_map(|plan| plan.notes(&snapshot)));
    Ok(Thought { snapshot, plan, faults, held_back: pods - left_in, notes, phases, left })
}

/// May the plan be acted on?
fn is_sound(faults: &[Fault]) -> bool {
    faults.iter().all(Fault::is_harmless)
}

fn attempt(plan: impl Fn(&Snapshot) -> Plan, snapshot: &Snapshot, phases: &mut Phases) -> (Plan, Vec<Fault>) {
    let begun = Instant::now();
    let mut made = plan(snapshot);
    let planned = begun.elapsed();
    let faults = check(snapshot, &made);
    // A bound that the plan's own cost disproves is told as a fault, and passed on to nobody.
    made.cost_lower_bound = made.cost_lower_bound.min(made.cost);
    phases.plan += planned;
    phases.check += begun.elapsed().saturating_sub(planned).max(Duration::ZERO);
    (made, faults)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use planner::model::{PodGroup, PodShape};

    use super::*;

    fn snapshot(groups: usize) -> Snapshot {
        let group = |n: usize| PodGroup {
            shape: Arc::new(PodShape { priority: i32::try_from(n).unwrap(), ..PodShape::default() }),
            pods: Vec::new(),
        };
        Snapshot { groups: (0..groups).map(group).collect(), ..Snapshot::default() }
    }

    fn looked_at(groups: usize, turn: &mut usize, most: usize) -> Vec<i32> {
        let mut snapshot = snapshot(groups);
        let left = cut(&mut snapshot, turn, most);
        assert_eq!(snapshot.groups.len() + left, groups);
        snapshot.groups.iter().map(|group| group.shape.priority).collect()
    }

    #[test]
    fn every_group_has_its_turn_and_the_order_stays() {
        let mut turn = 0;
        let passes: Vec<_> = (0..3).map(|_| looked_at(10, &mut turn, 4)).collect();
        assert_eq!(passes, [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![0, 1, 8, 9]]);
        assert_eq!(passes.concat().into_iter().collect::<BTreeSet<_>>().len(), 10);
    }

    #[test]
    fn few_groups_are_all_looked_at() {
        let mut turn = 3;
        assert_eq!((looked_at(4, &mut turn, 4).len(), turn), (4, 0));
    }
}
