//! The solver proposes, the placement engine disposes: what is packed, and how a packing comes back through the predicates.

use std::collections::BTreeMap;

use solver::{BinRef, Cancel, Effort, LowerBound, Problem, Solution};

use super::fill::{buy, place, settle_late_comers};
use super::problem::{Kinds, Lot, Question};
use super::state::{Placed, State};
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
const GLANCE: u64 = 20_000;
/// A packing within one part in so many of its bound is left as it is: nothing more than this is left to save.
const NEAR: i64 = 500;

fn is_near(cost: i64, bound: i64) -> bool {
    cost <= bound.saturating_add(bound / NEAR)
}

/// The steps of an effort, in the turns in which they are spent: a glance, and all if that does not settle it.
fn turns(effort: u64) -> impl Iterator<Item = Effort> {
    [Some(effort.min(GLANCE)), (effort > GLANCE).then_some(effort)].into_iter().flatten().map(Effort)
}

/// Solves with as much of the effort as there is something to save. Gives the steps that were spent too.
fn solve(problem: &Problem, effort: u64) -> (Solution, u64) {
    let (mut best, mut spent) = (Solution::default(), 0);
    for effort in turns(effort) {
        best = solver::solve(problem, effort, &Cancel::new());
        spent += best.effort_spent;
        if is_near(best.cost, best.cost_lower_bound) {
            break;
        }
    }
    (best, spent)
}

/// A bound for plans that cost no more than `cost`, with as much of the effort as it may still rise.
fn bound(problem: &Problem, cost: i64, effort: u64) -> LowerBound {
    let (mut best, mut spent) = (LowerBound::default(), 0);
    for effort in turns(effort) {
        best = solver::lower_bound(problem, effort);
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
    let mut spent = 0;
    let mut consider = |lots: &BTreeMap<Lot, u32>, hosts: bool, effort: u64| {
        let question = Question::new(&fresh, &kinds, lots, hosts, true);
        // Nothing to better where each pod needs a machine to itself and has the cheapest.
        if question.cost_apart().is_some_and(|least| least >= greedy.cost()) {
            return;
        }
        let (solution, steps) = solve(&question.problem, effort);
        spent += steps;
        if let Some(replayed) = replay(greedy, left, &kinds, question, &solution, hosts) {
            let cost = best.as_ref().map_or(greedy.cost(), |(state, _)| state.cost());
            let n_left = |left: &[u32]| left.iter().sum::<u32>();
            let enough = n_left(&replayed.1) <= n_left(left);
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
    for placed in state.on_hosts.values().flatten() {
        let lot = Lot { group: placed.group, level: placed.level, weight: weights(placed), pins: Vec::new() };
        *out.entry(lot).or_insert(0) += placed.count;
    }
    out
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

/// Puts a proposal through the predicates; what does not pass is placed first-fit on what is there.
fn replay<'w, 'a>(
    greedy: &State<'w, 'a>,
    left: &[u32],
    kinds: &Kinds,
    question: Question,
    solution: &Solution,
    hosts: bool,
) -> Option<(State<'w, 'a>, Vec<u32>)> {
    let world = greedy.world;
    let mut state = State::new(world);
    let (lots, mut deal) = question.dealing();
    let mut to_place: Vec<u32> = world.groups.iter().map(|g| g.count).collect();
    let mut refused: BTreeMap<&Lot, u32> = BTreeMap::new();
    let mut put = |state: &mut State, host: usize, placed: Placed| {
        to_place[placed.group] -= placed.count;
        state.put_on_host(host, placed);
    };
    if hosts {
        for bin in &solution.bins {
            let BinRef::Started(host) = bin.kind else { continue };
            for (lot, count) in deal.contents(&bin.contents) {
                let lot = &lots[lot];
                let (count, _) = state.host_takes(host.0 as usize, lot.group, lot.level, count);
                if count > 0 {
                    put(&mut state, host.0 as usize, Placed { group: lot.group, level: lot.level, count });
                }
            }
        }
    } else {
        for (host, contents) in &greedy.on_hosts {
            for placed in contents {
                put(&mut state, *host, *placed);
            }
        }
    }
    for bin in &solution.bins {
        let BinRef::New(kind) = bin.kind else { continue };
        let (shelf, _) = kinds.find(kind);
        let mut opened = None;
        for (lot, count) in deal.contents(&bin.contents) {
            let lot = &lots[lot];
            let count = count.min(to_place[lot.group]);
            let joined = if count == 0 { 0 } else { join(&mut state, shelf, &mut opened, lot, count) };
            to_place[lot.group] -= joined;
            if joined < count {
                *refused.entry(lot).or_insert(0) += count - joined;
            }
        }
    }
    // Who was turned away still goes to the domains meant for it: the balance counts on that.
    for (lot, count) in refused {
        let count = count.min(to_place[lot.group]);
        state.forced.clone_from(&lot.pins);
        to_place[lot.group] -= count - buy(&mut state, lot.group, lot.level, count);
        state.forced.clear();
    }
    let mut rest = to_place;
    for (group, rest) in rest.iter_mut().enumerate() {
        if *rest > 0 && world.groups[group].shape.refused.is_none() && *rest > left[group] {
            place(&mut state, group, rest);
        }
    }
    settle_late_comers(&mut state, &mut rest);
    state.rules_hold().then_some((state, rest))
}

/// Adds a lot to the machine being rebuilt, in the domain it was meant for. Returns how many went in.
fn join(state: &mut State, shelf: usize, opened: &mut Option<usize>, lot: &Lot, count: u32) -> u32 {
    let mut done = 0;
    while done < count {
        // In between, a step may pass through an uneven spread that the whole plan evens out.
        state.forced.clone_from(&lot.pins);
        let at = opened.unwrap_or(state.bins.len());
        let blank = if opened.is_none() { Some(state.blank(shelf)) } else { None };
        let bin = blank.as_ref().unwrap_or_else(|| &state.bins[at]);
        let joining = state.joining(bin, state.bin_host(at), lot.group, lot.level, count - done);
        state.forced.clear();
        let Some(joining) = joining else { break };
        done += joining.count;
        match blank {
            Some(blank) => {
                state.open(blank, joining, lot.group, lot.level);
                *opened = Some(at);
            }
            None => state.join(at, joining, lot.group, lot.level),
        }
    }
    done
}
