//! Opened machines as launches: every offering that holds the same contents, labels settled, pods named.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fixedbitset::FixedBitSet as Bits;

use super::bin::cheapest;
use super::names::Names;
use super::shelf::Shelf;
use super::state::{Placed, State};
use super::topology::{Constraint, Demand};
use crate::model::taint::untolerated;
use crate::model::{Labels, Operator, Requirement, Requirements, Resources, Snapshot, Str, labels};
use crate::plan::{Launch, Nomination, Offerings};

/// Hands the pods of each group out to where the state put them: nominations, launches, and who is left over.
pub(crate) fn launches(state: &State, left: &[u32]) -> (Vec<Launch>, Vec<Nomination>, Vec<Vec<Str>>) {
    let groups = &state.world.snapshot.groups;
    let mut next: Vec<usize> = vec![0; groups.len()];
    let mut take = |placed: Placed| -> Vec<Str> {
        let from = next[placed.group];
        next[placed.group] += placed.count as usize;
        groups[placed.group].pods[from..next[placed.group]].iter().map(|pod| pod.key.clone()).collect()
    };
    let mut nominations = Vec::new();
    for (host, contents) in &state.on_hosts {
        let node = state.world.hosts[*host].name;
        for placed in contents {
            nominations.extend(take(*placed).into_iter().map(|pod| Nomination { pod, node: node.clone() }));
        }
    }
    nominations.sort();
    let mut names = Names::of(state.world.snapshot, &state.world.statics);
    let mut models = BTreeMap::new();
    let mut sales = Sales::default();
    let mut out = Vec::new();
    for at in 0..state.bins.len() {
        let mut pods: Vec<Str> = state.bins[at].contents.iter().flat_map(|placed| take(*placed)).collect();
        pods.sort();
        let bin = &state.bins[at];
        let name = names.next(&state.world.shelves[bin.shelf].pool.name);
        // Machines with equal contents in the same domains are equal but for name and pods.
        let same = (bin.shelf, bin.chosen, bin.contents.clone(), bin.pinned.clone(), bin.open.clone());
        let like = models.entry(same).or_insert_with(|| launch(state, at, &mut sales));
        out.push(Launch { name, pods, ..like.clone() });
    }
    let over = |(group, left): (usize, &u32)| -> Vec<Str> {
        let all = &groups[group].pods;
        all[all.len() - *left as usize..].iter().map(|pod| pod.key.clone()).collect()
    };
    let over = left.iter().enumerate().map(over).collect();
    (out, nominations, over)
}

/// A machine as a launch that has no name and no pods yet.
fn launch(state: &State, at: usize, sales: &mut Sales) -> Launch {
    let bin = &state.bins[at];
    let goods = &state.world.shelves[bin.shelf];
    let (mask, chosen) = alternatives(state, at);
    let mut requests = Resources::default();
    for placed in &bin.contents {
        let shape = state.world.groups[placed.group].shape;
        requests.add_times(&shape.requests, i64::from(placed.count));
    }
    let key = (bin.shelf, chosen, mask, bin.open.clone());
    let sale = sales
        .0
        .entry(key)
        .or_insert_with_key(|(_, chosen, mask, open)| sale(state.world.snapshot, goods, open, (mask, *chosen)));
    compose(goods, chosen, sale, requests)
}

/// By shelf, chosen choice, all choices and open keys: what launches have in common that differ in contents only.
#[derive(Default)]
struct Sales(BTreeMap<(usize, usize, Bits, Requirements), Sale>);

/// What does not depend on the contents of a launch.
struct Sale {
    /// What its `DaemonSets` ask for.
    daemons: Resources,
    labels: Arc<Labels>,
    requirements: Arc<Requirements>,
    relaxed_min_values: BTreeMap<Str, u32>,
    offerings: Offerings,
    offerings_total: usize,
}

/// A machine of these choices that no pod asked for; nothing where there is no choice.
pub(crate) fn empty_launch(snapshot: &Snapshot, goods: &Shelf, mut mask: Bits, name: Str) -> Option<Launch> {
    let chosen = cheapest(goods, &mask, None)?;
    let met = |mask: &Bits| {
        snapshot.policies.relax_min_values
            || goods.min_values.iter().all(|(key, least)| goods.distinct(mask, key) >= *least)
    };
    if !met(&mask) {
        return None;
    }
    let mut generic = mask.clone();
    generic.intersect_with(&goods.generic);
    if goods.generic.contains(chosen) && met(&generic) {
        mask = generic;
    }
    let chosen = mask.minimum().unwrap_or(chosen);
    let sale = sale(snapshot, goods, &goods.open, (&mask, chosen));
    Some(Launch { name, ..compose(goods, chosen, &sale, Resources::default()) })
}

fn sale(snapshot: &Snapshot, goods: &Shelf, open: &Requirements, (mask, chosen): (&Bits, usize)) -> Sale {
    let labels = labels_of(goods, open, chosen);
    let offerings_total = names(goods, mask, chosen).count();
    let mask = &within_most_types(goods, mask, chosen);
    let mut daemons = Resources::default();
    let mut with_marks = labels.clone();
    with_marks.insert(labels::REGISTERED.into(), "true".into());
    with_marks.insert(labels::INITIALIZED.into(), "true".into());
    for daemon in &snapshot.daemons {
        let tolerates = untolerated(&goods.pool.taints, &daemon.shape.tolerations, false).is_none();
        if tolerates && daemon.shape.wants(&with_marks) {
            daemons.add(&daemon.shape.requests);
        }
    }
    let relaxed = goods.min_values.iter().map(|(key, least)| (key, *least, goods.distinct(mask, key)));
    Sale {
        daemons,
        requirements: Arc::new(requirements_of(goods, open, mask)),
        relaxed_min_values: relaxed
            .filter(|(_, least, have)| have < least)
            .map(|(key, _, have)| (key.clone(), have))
            .collect(),
        labels: Arc::new(labels),
        offerings: Offerings::new(goods.ranked.clone(), names(goods, mask, chosen).map(|choice| choice as u32)),
        offerings_total,
    }
}

/// The chosen one of these choices, than which none is cheaper, and one for each further name. Choices that differ in labels
/// alone, such as the partitions of a placement group, have one name: the launch's requirements say which it may be.
fn names(goods: &Shelf, mask: &Bits, chosen: usize) -> impl Iterator<Item = usize> {
    let ranked = &goods.ranked;
    let mut last = None;
    let is_new = move |choice: &usize| {
        let is_last = last.replace(*choice).is_some_and(|last: usize| ranked[last] == ranked[*choice]);
        !is_last && ranked[*choice] != ranked[chosen]
    };
    std::iter::once(chosen).chain(mask.ones().filter(is_new))
}

fn compose(goods: &Shelf, chosen: usize, sale: &Sale, mut requests: Resources) -> Launch {
    let instance_type = goods.instance_type(chosen);
    requests.add(&sale.daemons);
    Launch {
        name: "".into(),
        pool: goods.pool.name.clone(),
        requests: requests.nonzero(),
        allocatable: instance_type.allocatable.nonzero(),
        capacity: instance_type.capacity.nonzero(),
        requirements: sale.requirements.clone(),
        relaxed_min_values: sale.relaxed_min_values.clone(),
        labels: sale.labels.clone(),
        taints: goods.pool.taints.clone(),
        startup_taints: goods.pool.startup_taints.clone(),
        offerings: sale.offerings.clone(),
        offerings_total: sale.offerings_total,
        pods: Vec::new(),
    }
}

/// All choices that hold the contents, those in other domains too where the contents' own constraints allow the move.
pub(super) fn possible(state: &State, at: usize) -> Bits {
    let bin = &state.bins[at];
    let goods = &state.world.shelves[bin.shelf];
    let mut mask = goods.sellable.clone();
    let settled = labels_of(goods, &bin.open, bin.chosen);
    for placed in &bin.contents {
        let level = &state.world.groups[placed.group].levels[placed.level];
        let mut any = Bits::with_capacity(goods.choices.len());
        for way in &level.compat[bin.shelf].ways {
            let fits_open = way.open.iter().all(|r| r.allows(settled.get(&r.key).map(AsRef::as_ref)));
            if fits_open {
                any.union_with(&way.mask);
            }
        }
        mask.intersect_with(&any);
    }
    goods.keep_holding(&mut mask, &bin.used);
    if let Some(affordable) = state.affordable(bin) {
        mask.intersect_with(&affordable);
    }
    for (key, home) in &bin.pinned {
        let name = state.world.topology.key_name(*key);
        if goods.open.get(name).is_some() {
            continue;
        }
        for value in goods.values(&mask, name) {
            let domain = state.world.topology.known_domain(*key, &value);
            let stays = domain == Some(*home);
            if let (false, Some(bits)) =
                (stays || may_move(state, at, *key, *home, domain), goods.with_value(name, &value))
            {
                mask.difference_with(bits);
            }
        }
    }
    mask
}

/// The choices that hold the contents, none cheaper than the chosen one; and that one.
fn alternatives(state: &State, at: usize) -> (Bits, usize) {
    let bin = &state.bins[at];
    let goods = &state.world.shelves[bin.shelf];
    let mut mask = possible(state, at);
    let mut chosen = bin.chosen;
    if !mask.contains(chosen) {
        mask.insert(chosen);
    }
    if goods.generic.contains(chosen) {
        let mut generic = mask.clone();
        generic.intersect_with(&goods.generic);
        // Machines with a GPU stay in the list only where `minValues` needs them.
        if state.min_values_met(bin.shelf, &generic) || !state.min_values_met(bin.shelf, &mask) {
            mask = generic;
        } else {
            // The planned machine may draw on its reservation; no other may be brought in.
            let free = |choice: &usize| *choice == bin.chosen || goods.offering(*choice).reservation.is_none();
            let home = |choice: &usize| bin.pinned.keys().all(|key| same_value(state, bin, *key, *choice));
            chosen = mask.ones().find(|choice| free(choice) && home(choice)).unwrap_or(chosen);
        }
    }
    // A dearer choice than the cheapest is kept only where others rely on its domain.
    let cheaper = cheapest(goods, &mask, None).unwrap_or(chosen);
    if goods.choices[cheaper].price < goods.choices[chosen].price {
        let joint = !goods.pool.limits.0.is_empty() || !goods.reservations.is_empty();
        let relied = joint || bin.pinned.keys().any(|key| !same_value(state, bin, *key, cheaper));
        if !relied {
            chosen = cheaper;
        }
    }
    let price = goods.choices[chosen].price;
    let below: Vec<usize> = mask.ones().take_while(|c| goods.choices[*c].price < price).collect();
    for choice in below {
        mask.set(choice, false);
    }
    (mask, chosen)
}

/// Does a choice stand in the domain that the bin was settled on?
fn same_value(state: &State, bin: &super::bin::Bin, key: usize, choice: usize) -> bool {
    let goods = &state.world.shelves[bin.shelf];
    let name = state.world.topology.key_name(key);
    let value = goods.label(choice, name).and_then(|v| state.world.topology.known_domain(key, v));
    goods.open.get(name).is_some() || value == bin.pinned.get(&key).copied()
}

/// Would the constraints of the bin's own pods hold if it stood in another domain of a key?
fn may_move(state: &State, at: usize, key: usize, home: u32, domain: Option<u32>) -> bool {
    let bin = &state.bins[at];
    let own = |counter: usize| -> u32 {
        let counts = |p: &&Placed| state.world.groups[p.group].counted.contains(&counter);
        bin.contents.iter().filter(counts).map(|p| p.count).sum()
    };
    // Pods of the bin that are counted and do not wait for others of their kind: the rest is in good company wherever it goes.
    let company = |counter: usize| -> u32 {
        let carefree = |p: &&Placed| {
            let group = &state.world.groups[p.group];
            group.counted.contains(&counter) && !group.is_near(counter)
        };
        bin.contents.iter().filter(carefree).map(|p| p.count).sum()
    };
    let holds = |constraint: &Constraint| {
        let Some(domain) = domain else { return false };
        let here = own(constraint.counter);
        let there = state.counted(constraint.counter, domain);
        match constraint.demand {
            Demand::Spread { max_skew, min_domains } => {
                let moved = |d: u32| {
                    let count = state.counted(constraint.counter, d);
                    if d == domain {
                        count + here
                    } else if d == home {
                        count.saturating_sub(here)
                    } else {
                        count
                    }
                };
                let enough = constraint.universe.len() as u32 >= min_domains;
                let least = if enough { constraint.universe.iter().map(|d| moved(*d)).min().unwrap_or(0) } else { 0 };
                constraint.universe.contains(&domain) && moved(domain) <= max_skew + least
            }
            Demand::Affinity => there > 0 || state.total(constraint.counter) <= here || company(constraint.counter) > 0,
            Demand::AntiAffinity => there == 0,
        }
    };
    bin.contents.iter().all(|placed| {
        let constraints = &state.world.groups[placed.group].levels[placed.level].constraints;
        constraints.iter().filter(|c| c.key == key).all(holds)
    })
}

/// Types named in one launch at most: a claim has to list them, and an API object has its limits. Karpenter's number.
const MOST_TYPES: usize = 600;
/// So many of the cheapest types are named even where `minValues` want others.
const CHEAPEST_TYPES: usize = 15;

/// The choices of the types that can be had cheapest, other types first where `minValues` want their values.
fn within_most_types(goods: &Shelf, mask: &Bits, chosen: usize) -> Bits {
    let mut order: Vec<usize> = vec![goods.choices[chosen].kind];
    let mut seen = vec![false; goods.of_kind.len()];
    seen[goods.choices[chosen].kind] = true;
    let enough = if goods.min_values.is_empty() { MOST_TYPES + 1 } else { usize::MAX };
    for choice in mask.ones() {
        let kind = goods.choices[choice].kind;
        if !std::mem::replace(&mut seen[kind], true) {
            order.push(kind);
            if order.len() == enough {
                break;
            }
        }
    }
    if order.len() <= MOST_TYPES {
        return mask.clone();
    }
    let mut named = Bits::with_capacity(goods.choices.len());
    let name = |named: &mut Bits, kind: usize| named.extend(goods.of_kind[kind].iter().copied());
    let rest = order.split_off(CHEAPEST_TYPES);
    for kind in order {
        name(&mut named, kind);
    }
    let mut n_named = CHEAPEST_TYPES;
    named.intersect_with(mask);
    let mut later = Vec::new();
    for kind in rest {
        let mut with = named.clone();
        with.extend(goods.of_kind[kind].iter().copied());
        with.intersect_with(mask);
        let brings = |(key, least): &(Str, u32)| {
            let have = goods.distinct(&named, key);
            have < *least && goods.distinct(&with, key) > have
        };
        if goods.min_values.iter().any(brings) {
            name(&mut named, kind);
            n_named += 1;
            named.intersect_with(mask);
        } else {
            later.push(kind);
        }
    }
    for kind in later.into_iter().take(MOST_TYPES.saturating_sub(n_named)) {
        name(&mut named, kind);
    }
    named.intersect_with(mask);
    named
}

/// Every label the node will carry, open keys settled.
fn labels_of(goods: &Shelf, open: &Requirements, chosen: usize) -> Labels {
    let (instance_type, sold) = (goods.instance_type(chosen), goods.offering(chosen));
    let mut out = instance_type.labels.clone();
    out.extend(sold.labels.clone());
    out.insert(labels::ZONE.into(), sold.zone.clone());
    out.insert(labels::CAPACITY_TYPE.into(), sold.capacity_type.as_str().into());
    out.extend(goods.pool.labels.clone());
    for open in open.iter().filter(|r| r.wants_label()) {
        let usual = instance_type.open_labels.iter().find(|(key, _)| *key == open.key);
        let of_types = goods.pool.types.iter().any(|t| t.open_labels.iter().any(|(key, _)| *key == open.key));
        if usual.is_none() && of_types {
            continue;
        }
        let usual = usual.and_then(|(_, values)| values.iter().find(|v| open.has(v)).cloned());
        if let Some(value) = usual.or_else(|| open.any("any")) {
            out.insert(open.key.clone(), value);
        }
    }
    out
}

/// What a claim for this launch has to ask for.
fn requirements_of(goods: &Shelf, open: &Requirements, mask: &Bits) -> Requirements {
    let mut out = goods.pool.requirements.clone();
    out.add_all(&Requirements::of_labels(&goods.pool.labels));
    // A key that only some types have is asked for once it was narrowed.
    let of_types = |key: &Str| goods.pool.types.iter().any(|t| t.open_labels.iter().any(|(k, _)| k == key));
    let asked = open.iter().filter(|r| !of_types(&r.key) || goods.open.get(&r.key) != Some(r));
    asked.for_each(|r| out.add(r.clone()));
    let mut kinds = Bits::with_capacity(goods.of_kind.len());
    kinds.extend(mask.ones().map(|choice| goods.choices[choice].kind));
    let zones = goods.zones.iter().filter(|(_, bits)| !bits.is_disjoint(mask)).map(|(zone, _)| zone.clone());
    let capacity_types = goods.capacity_types.iter().filter(|(_, bits)| !bits.is_disjoint(mask));
    let mut add = |key: &str, values: BTreeSet<Str>| out.add(Requirement::new(key, Operator::In, values));
    add(labels::INSTANCE_TYPE, kinds.ones().map(|kind| goods.pool.types[kind].name.clone()).collect());
    add(labels::ZONE, zones.collect());
    add(labels::CAPACITY_TYPE, capacity_types.map(|(name, _)| (*name).into()).collect());
    out
}
