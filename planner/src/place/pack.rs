//! The solver proposes, the placement engine disposes: what is packed, and how a packing comes back through the predicates.

use std::collections::{BTreeMap, BTreeSet};

use solver::{Cancel, Effort, LowerBound, Problem, Solution};

use super::problem::{Kinds, Lot, Question};
use super::replay::replay;
use super::state::{Placed, State};
use super::topology::Demand;
use super::turns::in_turn;
use super::world::World;

/// What the solver made of a first-fit-decreasing plan.
pub(crate) struct Packing<'w, 'a> {
    /// The packing replayed through the predicates, where it came out better.
    pub(crate) state: Option<(State<'w, 'a>, Vec<u32>)>,
    /// Micro-dollars per hour below which no plan for the placed pods can be.
    pub(crate) bound: i64,
    pub(crate) effort_spent: u64,
}

/// Steps after which it is asked whether more are worth it.
const GLANCES: [u64; 2] = [20_000, 40_000];
/// With more items than this a glance is over before there is a packing to better, and all of it would be done twice.
const MOST_GLANCED: usize = 1500;
/// A packing within one part in so many of its bound is left as it is: nothing more than this is left to save.
const NEAR: i64 = 500;

fn is_near(cost: i64, bound: i64) -> bool {
    cost <= bound.saturating_add(bound / NEAR)
}

/// The steps of an effort, in the turns in which they are spent on so many items: glances, and all if these do not settle it.
fn turns(effort: u64, n_items: usize) -> impl Iterator<Item = Effort> {
    let glances = GLANCES.into_iter().filter(move |glance| effort > *glance && n_items <= MOST_GLANCED);
    glances.chain([effort]).map(Effort)
}

/// Whether the turn before took as long already, so that only all of the effort can find more.
fn is_spent(turn: Effort, effort: u64, last: u64) -> bool {
    turn.0 < effort && turn.0 <= last
}

/// Solves with as much of the effort as there is something to save. Gives the steps that were spent too.
fn solve(problem: &Problem, effort: u64) -> (Solution, u64) {
    let (mut best, mut spent) = (Solution::default(), 0);
    for turn in turns(effort, problem.items.len()) {
        if is_spent(turn, effort, best.effort_spent) {
            continue;
        }
        best = solver::solve(problem, turn, &Cancel::new());
        spent += best.effort_spent;
        // What a glance leaves out has a place with first-fit-decreasing: then it says nothing.
        if best.unpacked.is_empty() && is_near(best.cost, best.cost_lower_bound) {
            break;
        }
    }
    (best, spent)
}

/// A bound for plans that cost no more than `cost`, with as much of the effort as it may still rise.
fn bound(problem: &Problem, cost: i64, effort: u64) -> LowerBound {
    let (mut best, mut spent) = (LowerBound::default(), 0);
    for turn in turns(effort, problem.items.len()) {
        if is_spent(turn, effort, best.effort_spent) {
            continue;
        }
        best = solver::lower_bound(problem, turn);
        spent += best.effort_spent;
        if is_near(cost, best.cost) {
            break;
        }
    }
    LowerBound { effort_spent: spent, ..best }
}

/// Looks for a cheaper packing of what `greedy` buys machines for, and for a bound on it.
pub(crate) fn pack<'w, 'a>(greedy: &State<'w, 'a>, left: &[u32]) -> Packing<'w, 'a> {
    let world = greedy.world;
    if greedy.bins.is_empty() {
        return Packing { state: None, bound: 0, effort_spent: 0 };
    }
    let effort = world.snapshot.policies.effort;
    let kinds = Kinds::of(world);
    let bought = lots_in_bins(greedy);
    let fresh = State::new(world);
    let mut best: Option<(State, Vec<u32>)> = None;
    let (mut spent, breaches) = (0, greedy.breaches());
    let is_lured = stand_ins_lure(world);
    let mut consider = |lots: &BTreeMap<Lot, u32>, hosts: bool, effort: u64| {
        if is_lured {
            return;
        }
        let question = Question::new(&fresh, &kinds, lots, hosts, true);
        // Nothing to better where each pod needs a machine to itself and has the cheapest.
        if question.cost_apart().is_some_and(|least| least >= greedy.cost()) {
            return;
        }
        let (solution, steps) = solve(&question.problem, effort);
        spent += steps;
        if let Some(replayed) = replay(greedy, left, &kinds, question, &solution, hosts) {
            let cost = best.as_ref().map_or(greedy.cost(), |(state, _)| state.cost());
            let enough = leaves_no_more(world, &replayed.1, left)
                && replayed.0.breaches() <= breaches
                && stand_ins_give_way(greedy, &replayed.0);
            if enough && (replayed.0.cost(), replayed.0.bins.len()) < (cost, usize::MAX) && replayed.0.cost() < cost {
                best = Some(replayed);
            }
        }
    };
    consider(&bought, false, effort);
    let shared = !greedy.on_hosts.is_empty();
    let everything = if shared { all_lots(greedy) } else { bought.clone() };
    if shared {
        consider(&everything, true, effort / 2);
    }
    // For the bound nothing is settled: any domain, no wishes, any of the started machines.
    let hosts = !world.hosts.is_empty();
    let everything = if hosts && !shared { all_lots(greedy) } else { everything };
    let free = Question::new(&fresh, &kinds, &without_wishes(world, &everything), hosts, false);
    let cost = best.as_ref().map_or(greedy.cost(), |(state, _)| state.cost());
    let bound = bound(&free.problem, cost, effort);
    spent += bound.effort_spent;
    Packing { state: best, bound: bound.cost, effort_spent: spent }
}

/// Has no more without a place than the other: neither pods nor, with them, stand-ins.
fn leaves_no_more(world: &World, left: &[u32], other: &[u32]) -> bool {
    let [pods, _] = in_turn(world);
    let n_pods = |left: &[u32]| pods.iter().map(|group| left[*group]).sum::<u32>();
    n_pods(left) <= n_pods(other) && left.iter().sum::<u32>() <= other.iter().sum::<u32>()
}

/// Do stand-ins on machines that are there leave them to the pods that first-fit-decreasing has there? The scheduler knows
/// no stand-ins: those pods would go there anyway.
fn stand_ins_give_way(greedy: &State, packed: &State) -> bool {
    let world = packed.world;
    let on_hosts = |state: &State| {
        let mut count = vec![0; world.groups.len()];
        state.on_hosts.values().flatten().for_each(|placed| count[placed.group] += placed.count);
        count
    };
    let [pods, stand_ins] = in_turn(world);
    let (before, now) = (on_hosts(greedy), on_hosts(packed));
    stand_ins.iter().all(|group| now[*group] == 0) || pods.iter().all(|group| now[*group] >= before[*group])
}

/// Is there a pod that wants to be near what a stand-in stands for? A packing could seat it beside the stand-in, where it
/// would find nobody.
fn stand_ins_lure(world: &World) -> bool {
    let [pods, stand_ins] = in_turn(world);
    let counted: BTreeSet<usize> = stand_ins.iter().flat_map(|group| &world.groups[*group].counted).copied().collect();
    let levels = pods.iter().flat_map(|group| &world.groups[*group].levels);
    let mut near = levels.flat_map(|level| &level.constraints).filter(|c| matches!(c.demand, Demand::Affinity));
    near.any(|c| counted.contains(&c.counter))
}

fn lots_in_bins(state: &State) -> BTreeMap<Lot, u32> {
    let mut out = BTreeMap::new();
    for bin in &state.bins {
        let weight = state.world.shelves[bin.shelf].pool.weight;
        for placed in &bin.contents {
            let weight = preferred_weight(state.world, *placed, weight);
            let constraints = &state.world.groups[placed.group].levels[placed.level].constraints;
            let mut keys: Vec<usize> = constraints.iter().map(|c| c.key).collect();
            keys.extend(state.world.groups[placed.group].counted.iter().map(|c| state.world.topology.counters[*c].key));
            keys.sort_unstable();
            keys.dedup();
            let pins = keys.iter().filter_map(|key| Some((*key, *bin.pinned.get(key)?))).collect();
            *out.entry(Lot { group: placed.group, level: placed.level, weight, pins }).or_insert(0) += placed.count;
        }
    }
    out
}

/// Weight of the pools to buy from: the heaviest that can, unless limits may have turned the pods away.
fn preferred_weight(world: &World, placed: Placed, bought: i32) -> i32 {
    let group = &world.groups[placed.group];
    let compat = &group.levels[placed.level].compat;
    let usable = |at: &usize| !compat[*at].ways.is_empty() && super::dims::fits(&group.need, &compat[*at].top);
    let Some(first) = (0..compat.len()).find(usable) else { return bought };
    let shelf = &world.shelves[first];
    let joint = !shelf.pool.limits.0.is_empty() || !shelf.reservations.is_empty() || !shelf.min_values.is_empty();
    if joint || !group.levels[placed.level].constraints.is_empty() { bought } else { shelf.pool.weight }
}

/// Those on hosts too, which may change places with others where nothing ties them to a domain.
fn all_lots(state: &State) -> BTreeMap<Lot, u32> {
    let mut out = lots_in_bins(state);
    let weights = |placed: &Placed| {
        let compat = &state.world.groups[placed.group].levels[placed.level].compat;
        let usable = (0..compat.len()).find(|shelf| !compat[*shelf].ways.is_empty());
        usable.map_or(0, |shelf| state.world.shelves[shelf].pool.weight)
    };
    for (host, placed) in state.on_hosts.iter().flat_map(|(host, all)| all.iter().map(move |placed| (*host, placed))) {
        let pins = pins_of_counted(state.world, host, *placed);
        let lot = Lot { group: placed.group, level: placed.level, weight: weights(placed), pins };
        *out.entry(lot).or_insert(0) += placed.count;
    }
    out
}

/// The domains of a host where pods on it are merely counted: the balance of those who spread is made with them there.
fn pins_of_counted(world: &World, host: usize, placed: Placed) -> Vec<(usize, u32)> {
    let group = &world.groups[placed.group];
    let counters = group.counted.iter().map(|counter| &world.topology.counters[*counter]).filter(|c| c.binding);
    let keys: BTreeSet<usize> = counters.map(|c| c.key).filter(|key| !world.topology.is_host(*key)).collect();
    let own = |key: &usize| group.levels[placed.level].constraints.iter().any(|c| c.key == *key);
    keys.into_iter().filter(|key| !own(key)).filter_map(|key| Some((key, world.hosts[host].domains[key]?))).collect()
}

/// The same pods with every wish given up and no domain settled.
fn without_wishes(world: &World, lots: &BTreeMap<Lot, u32>) -> BTreeMap<Lot, u32> {
    let mut out = BTreeMap::new();
    for (lot, count) in lots {
        let level = world.groups[lot.group].levels.len() - 1;
        *out.entry(Lot { pins: Vec::new(), level, ..lot.clone() }).or_insert(0) += count;
    }
    out
}
