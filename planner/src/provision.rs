//! Pending pods → launches: first-fit-decreasing, the solver's proposal, the cheaper of the two, and a reason for every pod left over.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::{Fault, Misfit, check};
use crate::model::{MicroUsdPerHour, Reason, Snapshot, Str};
use crate::place::{Fitted, Packing, State, World, first_fit, launches, move_back, move_to_cheaper, pack, reasons};
use crate::plan::{Launch, Plan, Unplaced};

/// How often to plan again with the domains that a plan's own machines bring.
const ROUNDS: usize = 3;

/// Which nodes to buy for the pods of a snapshot, and why any has no place.
///
/// A machine that is bought for some pods can be an empty domain to others that spread and could never use it (a tainted
/// pool's zone, a reserved machine that is too small). Such domains are known only once there is a plan; then it is made
/// again, with them in mind from the start.
pub fn provision(snapshot: &Snapshot) -> Plan {
    let mut seen = Vec::new();
    let (mut best, mut faults) = attempt(snapshot, &seen);
    for _ in 1..ROUNDS {
        if !faults.iter().any(is_spread) {
            break;
        }
        seen.extend(best.launches.iter().cloned());
        let (plan, new_faults) = attempt(snapshot, &seen);
        let better = new_faults.len() < faults.len();
        if better {
            best = plan;
            faults = new_faults;
        }
    }
    best
}

fn is_spread(fault: &Fault) -> bool {
    matches!(fault, Fault::Misfit { misfit: Misfit::Spread { .. }, .. })
}

/// A plan and what the independent reader finds wrong with it. `seen`: machines that are to count as domains.
fn attempt(snapshot: &Snapshot, seen: &[Launch]) -> (Plan, Vec<Fault>) {
    let world = World::new(snapshot, seen);
    let Fitted { state: greedy, left: greedy_left, first_cost } = first_fit(&world);
    let Packing { state, bound, effort_spent } = pack(&greedy, &greedy_left);
    let numbers = Numbers { bound, greedy: first_cost, effort_spent };
    let (mut plan, mut faults) = (Plan::default(), Vec::new());
    // A proposal that the reader finds fault with is dropped, not mended.
    for (mut state, left) in state.into_iter().chain([(greedy, greedy_left)]) {
        let moved = move_to_cheaper(&mut state);
        let is_moved = !moved.is_empty();
        plan = compose(snapshot, &state, &left, &numbers);
        faults = grave(snapshot, &plan);
        if is_moved && !faults.is_empty() {
            move_back(&mut state, moved);
            plan = compose(snapshot, &state, &left, &numbers);
            faults = grave(snapshot, &plan);
        }
        if faults.is_empty() {
            break;
        }
    }
    (plan, faults)
}

/// Faults for which another plan is looked for.
fn grave(snapshot: &Snapshot, plan: &Plan) -> Vec<Fault> {
    let mut faults = check(snapshot, plan);
    faults.retain(|fault| !fault.is_a_wrong_bound());
    faults
}

/// Micro-dollars per hour, and steps.
struct Numbers {
    bound: i64,
    greedy: i64,
    effort_spent: u64,
}

fn compose(snapshot: &Snapshot, chosen: &State, left: &[u32], numbers: &Numbers) -> Plan {
    let (mut all, nominations, over) = launches(chosen, left);
    // Static pools buy what they lack whatever the pods; both plans and the bound hold it alike.
    let fixed = &chosen.world.statics;
    let fixed_cost: MicroUsdPerHour = fixed.iter().map(Launch::price).sum();
    all.extend(fixed.iter().cloned());
    let (unplaced, stand_ins_left) = unplaced(chosen, over);
    let cost: MicroUsdPerHour = all.iter().map(Launch::price).sum();
    Plan {
        cost,
        cost_lower_bound: MicroUsdPerHour(numbers.bound) + fixed_cost,
        greedy_cost: MicroUsdPerHour(numbers.greedy) + fixed_cost,
        launches: all,
        nominations,
        unplaced,
        stand_ins_left,
        short: chosen.world.short.clone(),
        ignored: snapshot.ignored.clone(),
        pods: snapshot.groups.iter().map(|g| g.pods.iter().filter(|pod| !pod.stand_in).count()).sum(),
        effort_spent: numbers.effort_spent,
    }
}

/// Left-over pods with their reasons, those with equal reasons together; and the same of stand-ins.
fn unplaced(state: &State, over: Vec<Vec<Str>>) -> (Vec<Unplaced>, Vec<Unplaced>) {
    let (mut pods_by, mut stand_ins_by) = (ByReason::new(), ByReason::new());
    for (group, left) in over.into_iter().enumerate().filter(|(_, left)| !left.is_empty()) {
        let reasons = reasons(state, group);
        let members = state.world.snapshot.groups[group].pods.iter();
        let all: BTreeSet<&Str> = members.filter(|pod| pod.stand_in).map(|pod| &pod.key).collect();
        let (stand_ins, pods): (Vec<Str>, Vec<Str>) = left.into_iter().partition(|pod| all.contains(pod));
        for (by_reason, pods) in [(&mut stand_ins_by, stand_ins), (&mut pods_by, pods)] {
            if !pods.is_empty() {
                by_reason.entry(reasons.clone()).or_default().extend(pods);
            }
        }
    }
    (sorted(pods_by), sorted(stand_ins_by))
}

type ByReason = BTreeMap<Vec<Reason>, Vec<Str>>;

fn sorted(by_reason: ByReason) -> Vec<Unplaced> {
    let one = |(reasons, mut pods): (Vec<Reason>, Vec<Str>)| {
        pods.sort();
        Unplaced { pods, reasons }
    };
    let mut out: Vec<Unplaced> = by_reason.into_iter().map(one).collect();
    out.sort();
    out
}
