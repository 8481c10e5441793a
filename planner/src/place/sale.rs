//! What a shelf sells, as a launch: the offerings it names, the labels its node will carry, what its claim asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fixedbitset::FixedBitSet as Bits;

use super::host::daemons_on;
use super::shelf::{Shelf, first_of_both};
use crate::model::{Labels, Operator, Requirement, Requirements, Resources, Snapshot, Str, labels};
use crate::plan::{Launch, Offerings};

/// The choice to buy: the first generic one that the limits leave, else the first at all.
pub(crate) fn cheapest(goods: &Shelf, mask: &Bits, affordable: Option<&Bits>) -> Option<usize> {
    let Some(bits) = affordable else { return first_of_both(mask, &goods.generic).or_else(|| mask.minimum()) };
    let mut usable = mask.clone();
    usable.intersect_with(bits);
    first_of_both(&usable, &goods.generic).or_else(|| usable.minimum())
}

/// What does not depend on the contents of a launch.
pub(super) struct Sale {
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

/// One of these choices, the chosen one first, with these keys open.
pub(super) fn sale(snapshot: &Snapshot, goods: &Shelf, open: &Requirements, (mask, chosen): (&Bits, usize)) -> Sale {
    let labels = labels_of(goods, open, chosen);
    let offerings_total = names(goods, mask, chosen).count();
    let mask = &within_most_types(goods, mask, chosen);
    let relaxed = goods.min_values.iter().map(|(key, least)| (key, *least, goods.distinct(mask, key)));
    Sale {
        daemons: daemons_on(snapshot, &labels, &goods.pool.taints),
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

/// A launch of the chosen one whose pods request so much. It has no name and no pods yet.
pub(super) fn compose(goods: &Shelf, chosen: usize, sale: &Sale, mut requests: Resources) -> Launch {
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
pub(super) fn labels_of(goods: &Shelf, open: &Requirements, chosen: usize) -> Labels {
    let (instance_type, sold) = (goods.instance_type(chosen), goods.offering(chosen));
    let mut out = instance_type.labels.clone();
    out.extend(sold.labels.clone());
    out.insert(labels::ZONE.into(), sold.zone.clone());
    out.insert(labels::CAPACITY_TYPE.into(), sold.capacity_type.as_str().into());
    out.extend(goods.pool.labels.clone());
    for open in open.iter().filter(|r| r.wants_label()) {
        let usual = instance_type.open_labels.iter().find(|(key, _)| *key == open.key);
        if usual.is_none() && goods.is_left_to_launches(&open.key) {
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
    for r in open.iter().filter(|r| !goods.is_left_to_launches(&r.key) || goods.open.get(&r.key) != Some(r)) {
        let had = goods.values_had(mask, &r.key);
        match r.concrete().filter(|_| !had.is_empty()) {
            Some(values) => out.add(Requirement::new(&r.key, Operator::In, values.iter().cloned().chain(had))),
            None => out.add(r.clone()),
        }
    }
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
