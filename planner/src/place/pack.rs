//! Groups × offerings as a `solver::Problem` and back: the solver proposes, the placement engine disposes.

use std::collections::BTreeMap;

use solver::{
    BinKind, BinRef, BitSet, Cancel, Cap, Conflict, Effort, Item, ItemIdx, KindIdx, Problem, Solution, StartedBin,
    StartedIdx,
};

use super::fill::{buy, place, settle_late_comers};
use super::state::{Placed, State};
use super::topology::Demand;
use super::world::World;
use crate::model::Str;

/// What the solver made of a first-fit-decreasing plan.
pub(crate) struct Packing<'w, 'a> {
    /// The packing replayed through the predicates, where it came out better.
    pub(crate) state: Option<(State<'w, 'a>, Vec<u32>)>,
    /// Micro-dollars per hour below which no plan for the placed pods can be.
    pub(crate) bound: i64,
    pub(crate) effort_spent: u64,
}

/// Pods of one group and level that go to the same domains.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Lot {
    group: usize,
    level: usize,
    /// Weight of the pools it was bought from.
    weight: i32,
    /// Domains settled by first-fit-decreasing for keys that its constraints look at.
    pins: Vec<(usize, u32)>,
}

/// Every shelf's choices, one after another.
struct Kinds {
    offsets: Vec<usize>,
    total: usize,
}

impl Kinds {
    fn of(world: &World) -> Self {
        let mut total = 0;
        let offsets = world.shelves.iter().map(|s| (total, total += s.choices.len()).0).collect();
        Self { offsets, total }
    }

    fn find(&self, kind: KindIdx) -> (usize, usize) {
        let shelf = self.offsets.partition_point(|offset| *offset <= kind.at()) - 1;
        (shelf, kind.at() - self.offsets[shelf])
    }
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
    let mut best: Option<(State, Vec<u32>)> = None;
    let mut spent = 0;
    let mut consider = |lots: &BTreeMap<Lot, u32>, hosts: bool, effort: u64| {
        let (problem, order) = problem(greedy, &kinds, lots, hosts, true);
        let solution = solver::solve(&problem, Effort(effort), &Cancel::new());
        spent += solution.effort_spent;
        if let Some(replayed) = replay(greedy, left, &kinds, &order, &solution, hosts) {
            let cost = best.as_ref().map_or(greedy.cost(), |(state, _)| state.cost());
            let n_left = |left: &[u32]| left.iter().sum::<u32>();
            let enough = n_left(&replayed.1) <= n_left(left);
            if enough && (replayed.0.cost(), replayed.0.bins.len()) < (cost, usize::MAX) && replayed.0.cost() < cost {
                best = Some(replayed);
            }
        }
        (solution.cost_lower_bound, problem.items.len())
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
    let (free, _) = problem(greedy, &kinds, &without_wishes(world, &everything), hosts, false);
    let bound = solver::lower_bound(&free, Effort(effort));
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

/// The problem of packing these lots. `strict`: with conflicts and caps (left out for a bound, which stays valid).
fn problem(state: &State, kinds: &Kinds, lots: &BTreeMap<Lot, u32>, hosts: bool, strict: bool) -> (Problem, Vec<Lot>) {
    let world = state.world;
    let dims = dimension_order(world);
    let ordered = |amounts: &[i64]| dims.iter().map(|d| amounts[*d]).collect::<Vec<i64>>();
    let mut out = Problem { dims: dims.len(), ..Problem::default() };
    for shelf in &world.shelves {
        for choice in &shelf.choices {
            let holds = ordered(&shelf.rooms[choice.room].net);
            out.kinds.push(BinKind { holds, cost: choice.price, available: None, domains: Vec::new(), group: 0 });
        }
    }
    if hosts {
        out.started =
            world.hosts.iter().map(|h| StartedBin { room: ordered(&h.room), ..StartedBin::default() }).collect();
    }
    // A pod may join a lighter pool's machine that was opened for another, or one that a heavier pool had no room for. Only
    // where all pods go to one tier and none was turned away can a bound leave the other pools out.
    let tiers: std::collections::BTreeSet<i32> =
        lots.keys().flat_map(|lot| [lot.weight, heaviest(world, lot)]).collect();
    let any_tier = !strict && tiers.len() > 1;
    let fresh = State::new(world);
    for (lot, count) in lots {
        let group = &world.groups[lot.group];
        let mut per_bin = group.count.max(1);
        for constraint in &group.levels[lot.level].constraints {
            let host = world.topology.is_host(constraint.key);
            match constraint.demand {
                Demand::Spread { max_skew, .. } if host && constraint.counts_itself => per_bin = per_bin.min(max_skew),
                Demand::AntiAffinity if constraint.counts_itself => per_bin = 1,
                _ => {}
            }
        }
        if !group.shape.host_ports.is_empty() {
            per_bin = 1;
        }
        out.items.push(Item {
            needs: ordered(&group.need),
            count: *count,
            allowed: allowed(world, kinds, lot, any_tier),
            allowed_started: started(&fresh, lot, if hosts { world.hosts.len() } else { 0 }),
            per_bin_max: (per_bin < group.count).then_some(per_bin),
        });
    }
    let order: Vec<Lot> = lots.keys().cloned().collect();
    if strict {
        out.conflicts = conflicts(world, &order);
        out.caps = caps(state, kinds);
    }
    (out, order)
}

/// cpu, then memory, then the rest: the solver's first-fit-decreasing sorts by the first two.
fn dimension_order(world: &World) -> Vec<usize> {
    let rank = |d: &usize| match world.dims.name(*d).as_ref() {
        crate::model::resources::CPU => 0,
        crate::model::resources::MEMORY => 1,
        _ => 2,
    };
    let mut out: Vec<usize> = (0..world.dims.len()).collect();
    out.sort_by_key(|d| (rank(d), *d));
    out
}

/// Weight of the heaviest pool that could take a pod of the lot.
fn heaviest(world: &World, lot: &Lot) -> i32 {
    let group = &world.groups[lot.group];
    let compat = &group.levels[lot.level].compat;
    let usable = |at: &usize| !compat[*at].ways.is_empty() && super::dims::fits(&group.need, &compat[*at].top);
    let first = (0..compat.len()).find(usable);
    first.map_or(lot.weight, |at| world.shelves[at].pool.weight)
}

fn allowed(world: &World, kinds: &Kinds, lot: &Lot, any_tier: bool) -> BitSet {
    let mut out = BitSet::new(kinds.total);
    let compat = &world.groups[lot.group].levels[lot.level].compat;
    for (at, shelf) in world.shelves.iter().enumerate() {
        if shelf.pool.weight != lot.weight && !any_tier {
            continue;
        }
        for way in &compat[at].ways {
            let mut mask = way.mask.clone();
            for (key, domain) in &lot.pins {
                let (name, value) = (world.topology.key_name(*key), world.topology.domain_name(*key, *domain));
                if let Some(bits) = shelf.with_value(name, value) {
                    mask.intersect_with(bits);
                } else if shelf.open.get(name).is_none() && shelf.pool.labels.get(name) != Some(value) {
                    mask.clear();
                }
            }
            out.insert_words(kinds.offsets[at], mask.as_slice());
        }
    }
    out
}

/// Hosts that could take a pod of the lot if they were as free as at the start.
fn started(fresh: &State, lot: &Lot, n_hosts: usize) -> BitSet {
    BitSet::of(n_hosts, (0..n_hosts).filter(|host| fresh.host_takes(*host, lot.group, lot.level, 1).1))
}

/// Does the constraint let no pod that it counts beside one that carries it?
fn keeps_apart(world: &World, constraint: &super::topology::Constraint) -> bool {
    match constraint.demand {
        Demand::AntiAffinity => true,
        Demand::Spread { max_skew, .. } => max_skew <= 1 && world.topology.is_host(constraint.key),
        Demand::Affinity => false,
    }
}

fn conflicts(world: &World, lots: &[Lot]) -> Vec<Conflict> {
    let mut out = Vec::new();
    let tied: Vec<usize> = (0..lots.len())
        .filter(|at| {
            let group = &world.groups[lots[*at].group];
            let anti = group.levels[lots[*at].level].constraints.iter().any(|c| keeps_apart(world, c));
            anti || !group.shape.host_ports.is_empty()
        })
        .collect();
    for a in tied {
        let (lot, one) = (&lots[a], &world.groups[lots[a].group]);
        for (b, other) in lots.iter().enumerate() {
            let two = &world.groups[other.group];
            let apart = |c: &&super::topology::Constraint| keeps_apart(world, c) && two.counted.contains(&c.counter);
            let ports = one.shape.host_ports.iter().any(|x| two.shape.host_ports.iter().any(|y| x.clashes(y)));
            let same_group_apart =
                lot.group == other.group && (ports || one.levels[lot.level].constraints.iter().any(|c| apart(&c)));
            if a != b && (ports || same_group_apart || one.levels[lot.level].constraints.iter().any(|c| apart(&c))) {
                out.push(Conflict { a: ItemIdx(a as u32), b: ItemIdx(b as u32) });
            }
        }
    }
    out
}

/// What the limits of each pool leave for machines to buy.
fn caps(state: &State, kinds: &Kinds) -> Vec<Cap> {
    let fresh = State::new(state.world);
    let mut out = Vec::new();
    for (at, shelf) in state.world.shelves.iter().enumerate() {
        let range = kinds.offsets[at]..kinds.offsets[at] + shelf.choices.len();
        for (dim, (_, most)) in shelf.pool.limits.iter().enumerate() {
            let mut weights = vec![0; kinds.total];
            for (choice, weight) in shelf.choices.iter().zip(&mut weights[range.clone()]) {
                *weight = shelf.sizes[choice.size].amounts[dim];
            }
            let kinds = BitSet::of(kinds.total, range.clone());
            out.push(Cap { kinds, weights, limit: (most - fresh.used[at][dim]).max(0) });
        }
    }
    let mut reservations: BTreeMap<&Str, (u32, BitSet)> = BTreeMap::new();
    for (at, shelf) in state.world.shelves.iter().enumerate() {
        for (id, count, drawing) in &shelf.reservations {
            let (least, all) = reservations.entry(id).or_insert_with(|| (*count, BitSet::new(kinds.total)));
            *least = (*least).min(*count);
            drawing.ones().for_each(|choice| all.insert(kinds.offsets[at] + choice));
        }
    }
    for (count, drawing) in reservations.into_values() {
        out.push(Cap { kinds: drawing, weights: vec![1; kinds.total], limit: i64::from(count) });
    }
    out
}

/// Puts a proposal through the predicates; what does not pass is placed first-fit on what is there.
fn replay<'w, 'a>(
    greedy: &State<'w, 'a>,
    left: &[u32],
    kinds: &Kinds,
    lots: &[Lot],
    solution: &Solution,
    hosts: bool,
) -> Option<(State<'w, 'a>, Vec<u32>)> {
    let world = greedy.world;
    let mut state = State::new(world);
    let mut to_place: Vec<u32> = world.groups.iter().map(|g| g.count).collect();
    let mut refused: BTreeMap<&Lot, u32> = BTreeMap::new();
    let mut put = |state: &mut State, host: usize, placed: Placed| {
        to_place[placed.group] -= placed.count;
        state.put_on_host(host, placed);
    };
    if hosts {
        for (host, contents) in started_bins(solution) {
            for (item, count) in contents {
                let lot = &lots[item.at()];
                let (count, _) = state.host_takes(host.0 as usize, lot.group, lot.level, *count);
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
        for (item, count) in &bin.contents {
            let lot = &lots[item.at()];
            let count = (*count).min(to_place[lot.group]);
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

fn started_bins(solution: &Solution) -> impl Iterator<Item = (StartedIdx, &Vec<(ItemIdx, u32)>)> {
    solution.bins.iter().filter_map(|bin| match bin.kind {
        BinRef::Started(at) => Some((at, &bin.contents)),
        BinRef::New(_) => None,
    })
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
