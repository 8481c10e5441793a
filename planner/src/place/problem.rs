//! Groups × offerings as a `solver::Problem`: for a bound, pods that it cannot tell apart are one item.

use std::collections::{BTreeMap, BTreeSet};

use fixedbitset::FixedBitSet as Bits;
use solver::{BinKind, BitSet, Cap, Conflict, Item, ItemIdx, KindIdx, Options, Problem, StartedBin};

use super::shelf::Shelf;
use super::state::State;
use super::topology::{Constraint, Demand};
use super::world::World;
use crate::model::{Operator, Requirement, Str};

/// Pods of one group and level that go to the same domains.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lot {
    pub(super) group: usize,
    pub(super) level: usize,
    /// Weight of the pools it was bought from.
    pub(super) weight: i32,
    /// Domains settled by first-fit-decreasing for keys that its constraints look at.
    pub(super) pins: Vec<(usize, u32)>,
}

/// Every shelf's choices, one after another.
pub(super) struct Kinds {
    offsets: Vec<usize>,
    total: usize,
}

impl Kinds {
    pub(super) fn of(world: &World) -> Self {
        let mut total = 0;
        let offsets = world.shelves.iter().map(|s| (total, total += s.choices.len()).0).collect();
        Self { offsets, total }
    }

    pub(super) fn find(&self, kind: KindIdx) -> (usize, usize) {
        let shelf = self.offsets.partition_point(|offset| *offset <= kind.at()) - 1;
        (shelf, kind.at() - self.offsets[shelf])
    }
}

/// A problem, and the lots that its items stand for.
pub(super) struct Question {
    pub(super) problem: Problem,
    lots: Vec<Lot>,
    /// Per item: its lots and how many pods of each.
    members: Vec<Vec<(usize, u32)>>,
}

/// Hands the pods of items out to lots, in order.
pub(super) struct Dealing {
    members: Vec<Vec<(usize, u32)>>,
}

/// What tells lots apart: needs, kinds, started bins, counters of pods they keep away from, counters of such pods that they
/// are in, domains that kinds do not tell apart, and the lot itself where others may not count as one with it.
type Likeness<'l> = (Vec<i64>, BitSet, BitSet, Vec<usize>, Vec<usize>, Vec<(usize, u32)>, Option<&'l Lot>);

impl Question {
    /// How to pack these lots. `fresh`: nothing placed yet. `strict`: with conflicts and what pools limit (left out for a
    /// bound, which stays valid). What reservations hold limits both: without, one machine that is paid for would make
    /// everything look as good as free.
    pub(super) fn new(fresh: &State, kinds: &Kinds, lots: &BTreeMap<Lot, u32>, hosts: bool, strict: bool) -> Self {
        let world = fresh.world;
        let dims = dimension_order(world);
        let ordered = |amounts: &[i64]| dims.iter().map(|d| amounts[*d]).collect::<Vec<i64>>();
        // First-fit-decreasing is the caller's own plan.
        let options = Options { reference: false, ..Options::default() };
        let mut out = Problem { dims: dims.len(), options, ..Problem::default() };
        for shelf in &world.shelves {
            for (at, choice) in shelf.choices.iter().enumerate() {
                let holds = ordered(&shelf.rooms[choice.room].net);
                // Two machines with devices are not made one: the large ones and bare metal are scarce, and slow to start.
                let group = if shelf.generic.contains(at) { 0 } else { out.kinds.len() as u32 + 1 };
                out.kinds.push(BinKind { holds, cost: choice.price, available: None, domains: Vec::new(), group });
            }
        }
        if hosts {
            out.started =
                world.hosts.iter().map(|h| StartedBin { room: ordered(&h.room), ..StartedBin::default() }).collect();
        }
        // A pod may join a lighter pool's machine that was opened for another, or one that a heavier pool had no room for.
        // Only where all pods go to one tier and none was turned away can a bound leave the other pools out.
        let tiers: BTreeSet<i32> = lots.keys().flat_map(|lot| [lot.weight, heaviest(world, lot)]).collect();
        let any_tier = !strict && tiers.len() > 1;
        let n_hosts = if hosts { world.hosts.len() } else { 0 };
        let mut startable: BTreeMap<(usize, usize), BitSet> = BTreeMap::new();
        for lot in lots.keys() {
            startable.entry((lot.group, lot.level)).or_insert_with(|| started(fresh, lot, n_hosts));
        }
        let mut labelled = Labelled { world, any_tier, by_key: BTreeMap::new() };
        let mut shares = |lot: &Lot, key: usize| labelled.wherever(lot, key, &startable[&(lot.group, lot.level)]);
        let apart: Vec<Vec<usize>> =
            lots.keys().map(|lot| if strict { apart(world, lot, &mut shares) } else { Vec::new() }).collect();
        let looked_at: BTreeSet<usize> = apart.iter().flatten().copied().collect();
        let mut members: Vec<Vec<(usize, u32)>> = Vec::new();
        let mut alike: BTreeMap<Likeness, usize> = BTreeMap::new();
        let mut near: Vec<Vec<usize>> = Vec::new();
        for (at, (lot, count)) in lots.iter().enumerate() {
            let group = &world.groups[lot.group];
            let counted: Vec<usize> = group.counted.iter().copied().filter(|c| looked_at.contains(c)).collect();
            let per_bin = most_per_bin(world, lot, &mut shares);
            // Packing lots as one item changes which are together, for better or worse; a bound only gains.
            let alone = strict || per_bin.is_some();
            let item = Item {
                needs: ordered(&group.need),
                count: *count,
                allowed: allowed(world, kinds, lot, any_tier),
                allowed_started: startable[&(lot.group, lot.level)].clone(),
                per_bin_max: per_bin,
            };
            let own = alone.then_some(lot);
            let (needs, places) = (item.needs.clone(), (item.allowed.clone(), item.allowed_started.clone()));
            let likeness = (needs, places.0, places.1, apart[at].clone(), counted.clone(), open_pins(world, lot), own);
            match alike.get(&likeness) {
                Some(&known) => {
                    out.items[known].count += count;
                    members[known].push((at, *count));
                }
                None => {
                    alike.insert(likeness, out.items.len());
                    out.items.push(item);
                    members.push(vec![(at, *count)]);
                    near.push(counted);
                }
            }
        }
        let lots: Vec<Lot> = lots.keys().cloned().collect();
        if strict {
            let first = |members: &Vec<(usize, u32)>| members[0].0;
            let apart: Vec<&Vec<usize>> = members.iter().map(|m| &apart[first(m)]).collect();
            let leads: Vec<&Lot> = members.iter().map(|m| &lots[first(m)]).collect();
            out.conflicts = conflicts(world, &leads, &apart, &near);
            out.caps = limits(fresh, kinds);
        }
        out.caps.extend(reservations(fresh, kinds));
        Self { problem: out, lots, members }
    }

    /// The cost of a bin to itself for each thing, where no two may share one and none is there yet: nothing is cheaper.
    pub(super) fn cost_apart(&self) -> Option<i64> {
        let Problem { items, kinds, conflicts, started, .. } = &self.problem;
        let pairs = items.len() * items.len().saturating_sub(1) / 2;
        let alone = |item: &Item| item.count <= 1 || item.per_bin_max == Some(1);
        if !started.is_empty() || conflicts.len() != pairs || !items.iter().all(alone) {
            return None;
        }
        let least = |item: &Item| {
            let holds = |kind: &usize| super::dims::fits(&item.needs, &kinds[*kind].holds);
            item.allowed.iter().filter(holds).map(|kind| kinds[kind].cost).min()
        };
        items.iter().map(|item| Some(least(item)?.saturating_mul(i64::from(item.count)))).sum()
    }

    /// The lots, and the way to find them in a packing.
    pub(super) fn dealing(self) -> (Vec<Lot>, Dealing) {
        (self.lots, Dealing { members: self.members })
    }
}

impl Dealing {
    /// Which lots the contents of a bin are of, and how many of each.
    pub(super) fn contents(&mut self, contents: &[(ItemIdx, u32)]) -> Vec<(usize, u32)> {
        let mut out = Vec::with_capacity(contents.len());
        for (item, count) in contents {
            let mut left = *count;
            for (lot, have) in &mut self.members[item.at()] {
                let taken = left.min(*have);
                *have -= taken;
                left -= taken;
                if taken > 0 {
                    out.push((*lot, taken));
                }
            }
        }
        out
    }
}

/// Which choices surely have a label: pods that keep apart over it may share a machine that lacks it.
struct Labelled<'w, 'a> {
    world: &'w World<'a>,
    /// Lots may go to pools of other weights than theirs.
    any_tier: bool,
    /// By topology key, per shelf.
    by_key: BTreeMap<usize, Vec<Bits>>,
}

impl Labelled<'_, '_> {
    /// Has every machine that could take a pod of the lot this label? `startable`: the hosts that could.
    fn wherever(&mut self, lot: &Lot, key: usize, startable: &BitSet) -> bool {
        let world = self.world;
        if world.topology.is_host(key) {
            return true;
        }
        let on_hosts = startable.iter().all(|host| world.hosts[host].domains[key].is_some());
        // What is settled is so by a label.
        if !on_hosts || lot.pins.iter().any(|(pinned, _)| *pinned == key) {
            return on_hosts;
        }
        let labelled = self.by_key.entry(key).or_insert_with(|| labelled(world, key));
        let compat = &world.groups[lot.group].levels[lot.level].compat;
        let mut shelves = world.shelves.iter().zip(labelled).zip(compat.iter());
        shelves.all(|((shelf, labelled), compat)| {
            let is_used = self.any_tier || shelf.pool.weight == lot.weight;
            !is_used || compat.ways.iter().all(|way| way.mask.is_subset(labelled))
        })
    }
}

/// Per shelf, the choices whose nodes have a label for sure.
fn labelled(world: &World, key: usize) -> Vec<Bits> {
    let name = world.topology.key_name(key);
    let exists = [Requirement::new(name, Operator::Exists, Vec::<Str>::new())].into_iter().collect();
    let of_shelf = |shelf: &Shelf| match shelf.open.get(name) {
        Some(open) if !open.wants_label() => Bits::with_capacity(shelf.choices.len()),
        _ => shelf.matching(&exists).mask,
    };
    world.shelves.iter().map(of_shelf).collect()
}

/// Most pods of a lot's group on one machine, where that is fewer than there are. `shares`: whether two pods of the lot on
/// one machine share a value of a key for sure.
fn most_per_bin(world: &World, lot: &Lot, shares: &mut impl FnMut(&Lot, usize) -> bool) -> Option<u32> {
    let group = &world.groups[lot.group];
    let mut per_bin = group.count.max(1);
    for constraint in &group.levels[lot.level].constraints {
        let host = world.topology.is_host(constraint.key);
        match constraint.demand {
            Demand::Spread { max_skew, .. } if host && constraint.counts_itself => per_bin = per_bin.min(max_skew),
            Demand::AntiAffinity if constraint.counts_itself && shares(lot, constraint.key) => per_bin = 1,
            _ => {}
        }
    }
    if !group.shape.host_ports.is_empty() {
        per_bin = 1;
    }
    (per_bin < group.count).then_some(per_bin)
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
                let closed = shelf.open.get(name).is_some_and(|open| open.wants_label() && !open.has(value));
                if closed && !shelf.is_left_to_launches(name) {
                    mask.clear();
                } else if let Some(bits) = shelf.with_value(name, value) {
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

/// Domains of a lot under keys that some pool leaves open.
fn open_pins(world: &World, lot: &Lot) -> Vec<(usize, u32)> {
    let open = |key: usize| world.shelves.iter().any(|shelf| shelf.open.get(world.topology.key_name(key)).is_some());
    lot.pins.iter().copied().filter(|(key, _)| open(*key)).collect()
}

/// Hosts that could take a pod of the lot if they were as free as at the start.
fn started(fresh: &State, lot: &Lot, n_hosts: usize) -> BitSet {
    BitSet::of(n_hosts, (0..n_hosts).filter(|host| fresh.host_takes(*host, lot.group, lot.level, 1).1))
}

/// The counters of pods that may not be beside one of the lot, ascending. `shares` as for [`most_per_bin`].
fn apart(world: &World, lot: &Lot, shares: &mut impl FnMut(&Lot, usize) -> bool) -> Vec<usize> {
    let keeps_apart = |constraint: &&Constraint| match constraint.demand {
        Demand::AntiAffinity => shares(lot, constraint.key),
        Demand::Spread { max_skew, .. } => max_skew <= 1 && world.topology.is_host(constraint.key),
        Demand::Affinity => false,
    };
    let constraints = world.groups[lot.group].levels[lot.level].constraints.iter().filter(keeps_apart);
    let out: BTreeSet<usize> = constraints.map(|constraint| constraint.counter).collect();
    out.into_iter().collect()
}

/// Pairs of items that keep apart: one has a counter among those it keeps away from that the other is counted by, or their
/// ports clash. `leads`: a lot of each.
fn conflicts(world: &World, leads: &[&Lot], apart: &[&Vec<usize>], counted: &[Vec<usize>]) -> Vec<Conflict> {
    let mut by_counter: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (item, counters) in counted.iter().enumerate() {
        for counter in counters {
            by_counter.entry(*counter).or_default().push(item);
        }
    }
    let ports = |item: usize| &world.groups[leads[item].group].shape.host_ports;
    let with_ports: Vec<usize> = (0..leads.len()).filter(|item| !ports(*item).is_empty()).collect();
    let mut foes: Vec<Vec<usize>> = vec![Vec::new(); leads.len()];
    let mut part = |a: usize, b: usize| {
        if a != b {
            foes[a.min(b)].push(a.max(b));
        }
    };
    for (a, counters) in apart.iter().enumerate() {
        let away = counters.iter().filter_map(|counter| by_counter.get(counter)).flatten();
        away.for_each(|b| part(a, *b));
    }
    for (a, b) in with_ports.iter().flat_map(|a| with_ports.iter().map(move |b| (*a, *b))) {
        if a < b && ports(a).iter().any(|x| ports(b).iter().any(|y| x.clashes(y))) {
            part(a, b);
        }
    }
    let mut out = Vec::new();
    for (a, mut others) in foes.into_iter().enumerate() {
        others.sort_unstable();
        others.dedup();
        out.extend(others.into_iter().map(|b| Conflict { a: ItemIdx(a as u32), b: ItemIdx(b as u32) }));
    }
    out
}

/// What the limits of each pool leave for machines to buy.
fn limits(fresh: &State, kinds: &Kinds) -> Vec<Cap> {
    let mut out = Vec::new();
    for (at, shelf) in fresh.world.shelves.iter().enumerate().filter(|(at, shelf)| shelf.purse == *at) {
        // The shelves of a pool are side by side, and sell the same.
        let n_shelves = fresh.world.shelves.iter().filter(|other| other.purse == at).count();
        let range = kinds.offsets[at]..kinds.offsets[at] + n_shelves * shelf.choices.len();
        for (dim, (_, most)) in shelf.pool.limits.iter().enumerate() {
            let mut weights = vec![0; kinds.total];
            for (choice, weight) in shelf.choices.iter().cycle().zip(&mut weights[range.clone()]) {
                *weight = shelf.sizes[choice.size].amounts[dim];
            }
            let kinds = BitSet::of(kinds.total, range.clone());
            out.push(Cap { kinds, weights, limit: (most - fresh.used[at][dim]).max(0) });
        }
    }
    out
}

/// How many machines may draw on each reservation.
fn reservations(fresh: &State, kinds: &Kinds) -> Vec<Cap> {
    let mut reservations: BTreeMap<&Str, (u32, BitSet)> = BTreeMap::new();
    for (at, shelf) in fresh.world.shelves.iter().enumerate() {
        for (id, count, drawing) in &shelf.reservations {
            let (least, all) = reservations.entry(id).or_insert_with(|| (*count, BitSet::new(kinds.total)));
            *least = (*least).min(*count);
            drawing.ones().for_each(|choice| all.insert(kinds.offsets[at] + choice));
        }
    }
    let cap = |(id, (count, drawing)): (&Str, (u32, BitSet))| {
        let taken = fresh.reserved.get(id).copied().unwrap_or(0);
        Cap { kinds: drawing, weights: vec![1; kinds.total], limit: i64::from(count.saturating_sub(taken)) }
    };
    reservations.into_iter().map(cap).collect()
}
