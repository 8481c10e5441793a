//! What is left of an unsound plan without the launches, nodes and pods that the independent reader finds fault with.

use std::collections::BTreeSet;

use crate::check::{Fault, Subject, check};
use crate::model::{MicroUsdPerHour, Snapshot, Str};
use crate::plan::{Launch, Plan};

/// How often to leave out more: what is left may need pods that are left out.
const ROUNDS: usize = 3;

/// The part of a plan that is sound by itself, with the snapshot that it is an answer to: the pods held back are in neither,
/// and wait as if nobody had seen them yet. Nothing if a fault is about the whole, or all would be held back.
pub fn sound_part(snapshot: &Snapshot, plan: &Plan, faults: &[Fault]) -> Option<(Snapshot, Plan)> {
    let (mut snapshot, mut plan) = (snapshot.clone(), plan.clone());
    let mut faults = faults.to_vec();
    for _ in 0..ROUNDS {
        leave_out(&mut snapshot, &mut plan, &faults)?;
        faults = check(&snapshot, &plan);
        faults.retain(|fault| !fault.is_harmless());
        if faults.is_empty() {
            let is_any = !plan.launches.is_empty() || !snapshot.groups.is_empty();
            return is_any.then_some((snapshot, plan));
        }
    }
    None
}

/// Takes out whatever a fault is about, and the pods that lose their place by it.
fn leave_out(snapshot: &mut Snapshot, plan: &mut Plan, faults: &[Fault]) -> Option<()> {
    let (mut hosts, mut pods): (BTreeSet<&Str>, BTreeSet<Str>) = (BTreeSet::new(), BTreeSet::new());
    for fault in faults.iter().filter(|fault| !fault.is_harmless()) {
        match fault.subject()? {
            Subject::Pod(pod) => pods.insert(pod.clone()),
            Subject::Host(host) => hosts.insert(host),
        };
    }
    let is_out = |launch: &Launch| hosts.contains(&launch.name) || launch.pods.iter().any(|pod| pods.contains(pod));
    let (out, kept): (Vec<Launch>, Vec<Launch>) = std::mem::take(&mut plan.launches).into_iter().partition(is_out);
    plan.launches = kept;
    pods.extend(out.into_iter().flat_map(|launch| launch.pods));
    pods.extend(plan.nominations.iter().filter(|n| hosts.contains(&n.node)).map(|n| n.pod.clone()));
    plan.nominations.retain(|nomination| !pods.contains(&nomination.pod));
    for unplaced in [&mut plan.unplaced, &mut plan.stand_ins_left] {
        unplaced.retain_mut(|unplaced| {
            unplaced.pods.retain(|pod| !pods.contains(pod));
            !unplaced.pods.is_empty()
        });
    }
    snapshot.groups.retain_mut(|group| {
        group.pods.retain(|pod| !pods.contains(&pod.key));
        !group.pods.is_empty()
    });
    plan.pods = snapshot.groups.iter().flat_map(|group| &group.pods).filter(|pod| !pod.stand_in).count();
    plan.cost = plan.launches.iter().map(Launch::price).sum();
    // What was proven for all of the pods proves nothing for some.
    plan.cost_lower_bound = MicroUsdPerHour(0);
    Some(())
}
