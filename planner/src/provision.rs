//! Pending pods → launches: first-fit-decreasing, the solver's proposal, the cheaper of the two, and a reason for every pod left over.

use std::collections::BTreeMap;

use crate::model::{MicroUsdPerHour, Reason, Snapshot, Str};
use crate::place::{Packing, State, World, fill, launches, pack, reasons, statics};
use crate::plan::{Plan, Unplaced};

/// Which nodes to buy for the pods of a snapshot, and why any has no place.
pub fn provision(snapshot: &Snapshot) -> Plan {
    let world = World::new(snapshot);
    let mut greedy = State::new(&world);
    let greedy_left = fill(&mut greedy);
    let Packing { state, bound, effort_spent } = pack(&greedy, &greedy_left);
    let greedy_cost = greedy.cost();
    let (chosen, left) = match &state {
        Some((state, left)) => (state, left),
        None => (&greedy, &greedy_left),
    };
    let (mut all, nominations, over) = launches(chosen, left);
    // Static pools buy what they lack whatever the pods; both plans and the bound hold it alike.
    let fixed = statics(snapshot, &all);
    let fixed_cost: MicroUsdPerHour = fixed.iter().map(crate::plan::Launch::price).sum();
    all.extend(fixed);
    let cost: MicroUsdPerHour = all.iter().map(crate::plan::Launch::price).sum();
    let stand_ins = |pod: &&crate::model::group::PodRef| !pod.stand_in;
    Plan {
        cost,
        cost_lower_bound: (MicroUsdPerHour(bound) + fixed_cost).min(cost),
        greedy_cost: (MicroUsdPerHour(greedy_cost) + fixed_cost).max(cost),
        launches: all,
        nominations,
        unplaced: unplaced(chosen, over),
        ignored: snapshot.ignored.clone(),
        pods: snapshot.groups.iter().map(|g| g.pods.iter().filter(stand_ins).count()).sum(),
        effort_spent,
    }
}

/// Left-over pods with their reasons, those with equal reasons together.
fn unplaced(state: &State, over: Vec<Vec<Str>>) -> Vec<Unplaced> {
    let mut by_reason: BTreeMap<Vec<Reason>, Vec<Str>> = BTreeMap::new();
    for (group, pods) in over.into_iter().enumerate().filter(|(_, pods)| !pods.is_empty()) {
        by_reason.entry(reasons(state, group)).or_default().extend(pods);
    }
    let mut out: Vec<Unplaced> = by_reason
        .into_iter()
        .map(|(reasons, mut pods)| {
            pods.sort();
            Unplaced { pods, reasons }
        })
        .collect();
    out.sort();
    out
}
