//! Every pod to place is told exactly once, and a pod without a place is told why. Stand-ins that find none are told apart.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Code, Str};
use crate::plan::Unplaced;

use super::Fault;
use super::after::After;

/// Faults in who is told, and in the reasons.
pub(super) fn check(after: &After, faults: &mut Vec<Fault>) {
    let (snapshot, plan) = (after.snapshot, after.plan);
    let placed = || plan.launches.iter().flat_map(|l| &l.pods).chain(plan.nominations.iter().map(|n| &n.pod));
    let mut times: BTreeMap<&Str, usize> = BTreeMap::new();
    let stand_ins: BTreeSet<&Str> =
        snapshot.groups.iter().flat_map(|group| &group.pods).filter(|p| p.stand_in).map(|p| &p.key).collect();
    for (list, for_stand_ins) in [(&plan.unplaced, false), (&plan.stand_ins_left, true)] {
        let misplaced = list.iter().flat_map(|u| &u.pods).filter(|pod| stand_ins.contains(pod) != for_stand_ins);
        faults.extend(misplaced.map(|pod| Fault::StandIn { pod: pod.clone() }));
    }
    let left = || plan.unplaced.iter().chain(&plan.stand_ins_left);
    for pod in placed().chain(left().flat_map(|u| &u.pods)) {
        *times.entry(pod).or_insert(0) += 1;
    }
    for (pod, times) in &times {
        if !after.group_of.contains_key(&***pod) {
            faults.push(Fault::UnknownPod { pod: (*pod).clone() });
        } else if *times > 1 {
            faults.push(Fault::ToldAgain { pod: (*pod).clone(), times: *times });
        }
    }
    let all = || snapshot.groups.iter().flat_map(|group| &group.pods);
    faults.extend(all().filter(|p| !times.contains_key(&p.key)).map(|p| Fault::Silent { pod: p.key.clone() }));
    let refused = |pod: &&Str| after.group_of.get(&***pod).is_some_and(|g| snapshot.groups[*g].shape.refused.is_some());
    faults.extend(placed().filter(refused).map(|pod| Fault::Refused { pod: pod.clone() }));
    let there = all().filter(|pod| !pod.stand_in).count();
    if plan.pods != there {
        faults.push(Fault::PodCount { told: plan.pods, there });
    }
    if plan.ignored != snapshot.ignored {
        faults.push(Fault::Ignored);
    }
    left().for_each(|unplaced| reasons(after, unplaced, faults));
}

/// Either something that no pool can change, or exactly one reason for each pool that buys for pods.
fn reasons(after: &After, unplaced: &Unplaced, faults: &mut Vec<Fault>) {
    let Some(pod) = unplaced.pods.first() else { return };
    if unplaced.reasons.is_empty() {
        faults.push(Fault::NoReason { pod: pod.clone() });
        return;
    }
    for reason in &unplaced.reasons {
        if reason.code > Code::BudgetOfEffort || reason.message.is_empty() {
            faults.push(Fault::NotAReason { pod: pod.clone(), code: reason.code });
        }
    }
    let of_pool = |name: &Str| unplaced.reasons.iter().filter(|reason| reason.pool == *name).count();
    let mut dynamic = after.snapshot.pools.iter().filter(|pool| pool.dynamic()).map(|pool| &pool.name);
    for reason in unplaced.reasons.iter().filter(|reason| !reason.pool.is_empty()) {
        if !dynamic.clone().any(|name| *name == reason.pool) {
            faults.push(Fault::ReasonForUnknownPool { pod: pod.clone(), pool: reason.pool.clone() });
        }
    }
    if of_pool(&"".into()) == 0 {
        faults.extend(dynamic.by_ref().filter(|name| of_pool(name) != 1).map(|name| Fault::ReasonsForPool {
            pod: pod.clone(),
            pool: name.clone(),
            times: of_pool(name),
        }));
    }
}
