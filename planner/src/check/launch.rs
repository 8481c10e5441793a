//! What is bought: what a launch says of itself, and every offering that is to stand in for its chosen one.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::labels::{HOSTNAME, well_known};
use crate::model::{Labels, Requirements, Str};
use crate::plan::RankedOffering;

use super::after::{After, Bought, Host};
use super::holder::{Holder, Lines};
use super::topology::View;
use super::{Fault, fit};

/// What makes two launches the same but for their names: list of offerings, contents, labels, and, longest to compare, what is
/// picked from the list.
type Same<'b> = (usize, Vec<(Option<usize>, usize)>, &'b Labels, &'b [u32]);

/// Faults in launches. Of launches that are the same but for their names, one sound one is looked at closely.
pub(super) fn check<'a, 'b>(after: &'b After<'a>, view: &mut View<'a, 'b>, faults: &mut Vec<Fault>) {
    let mut sound: BTreeSet<Same> = BTreeSet::new();
    let mut well_ranked: BTreeSet<(usize, *const u32, usize)> = BTreeSet::new();
    let mut lines = Lines::default();
    let mut well_labelled: BTreeSet<(*const Labels, *const Requirements, usize, u32)> = BTreeSet::new();
    for (at, host) in after.hosts.iter().enumerate() {
        let Some(bought) = &host.bought else { continue };
        purpose(bought, faults);
        let launch = bought.launch;
        let asked_for =
            (Arc::as_ptr(&launch.labels), Arc::as_ptr(&launch.requirements), bought.list, launch.offerings.picks()[0]);
        if !well_labelled.contains(&asked_for) {
            let before = faults.len();
            labels(bought, faults);
            if faults.len() == before {
                well_labelled.insert(asked_for);
            }
        }
        told(after, at, host, bought, faults);
        min_values(after, bought, faults);
        let contents = after.cells_of(at).map(|cell| (cell.group, cell.pods.len())).collect();
        let same: Same = (bought.list, contents, &host.labels, bought.launch.offerings.picks());
        if sound.contains(&same) {
            continue;
        }
        let before = faults.len();
        let picks = bought.launch.offerings.picks();
        if !well_ranked.contains(&(bought.list, picks.as_ptr(), picks.len())) {
            ranking(bought, faults);
            if faults.len() == before {
                well_ranked.insert((bought.list, picks.as_ptr(), picks.len()));
            }
        }
        Holder::new(after, view, &mut lines, at, bought).check(faults);
        if faults.len() == before {
            sound.insert(same);
        }
    }
}

fn purpose(bought: &Bought, faults: &mut Vec<Fault>) {
    let (launch, pool) = (bought.launch.name.clone(), bought.pool.name.clone());
    if bought.pool.not_ready.is_some() {
        faults.push(Fault::PoolNotReady { launch: launch.clone(), pool: pool.clone() });
    }
    match (bought.pool.dynamic(), bought.launch.pods.is_empty()) {
        (true, true) => faults.push(Fault::NoPods { launch }),
        (false, false) => faults.push(Fault::StaticWithPods { launch, pool }),
        _ => {}
    }
}

/// The labels are those of the type, the offering and the pool; keys that are left open have a value that is allowed.
fn labels(bought: &Bought, faults: &mut Vec<Fault>) {
    let Bought { launch, pool, kind, offering, .. } = bought;
    let mut wrong: BTreeSet<&str> = BTreeSet::new();
    let sold = kind.labels.keys().chain(offering.labels.keys()).map(AsRef::as_ref);
    for key in sold.chain([crate::model::labels::ZONE, crate::model::labels::CAPACITY_TYPE]) {
        if launch.labels.get(key).map(AsRef::as_ref) != kind.label(offering, key) {
            wrong.insert(key);
        }
    }
    wrong.extend(pool.labels.iter().filter(|(k, v)| launch.labels.get(*k) != Some(v)).map(|(k, _)| &**k));
    for requirement in pool.requirements.iter().chain(launch.requirements.iter()) {
        if !requirement.allows(launch.labels.get(&requirement.key).map(AsRef::as_ref)) && *requirement.key != *HOSTNAME
        {
            wrong.insert(&requirement.key);
        }
    }
    for (key, value) in launch.labels.iter() {
        let open = kind.open_labels.iter().find(|(open, _)| open == key);
        let known = kind.label(offering, key).is_some()
            || pool.labels.contains_key(key)
            || (pool.requirements.get(key).is_some() && !well_known(key))
            || open.is_some_and(|(_, values)| values.contains(value))
            || (**key == *HOSTNAME && *value == launch.name);
        if !known {
            wrong.insert(key);
        }
    }
    let launch = &launch.name;
    faults.extend(wrong.into_iter().map(|key| Fault::WrongLabel { launch: launch.clone(), key: key.into() }));
}

/// Taints, requests, allocatable and capacity as printed.
fn told(after: &After, at: usize, host: &Host, bought: &Bought, faults: &mut Vec<Fault>) {
    let launch = bought.launch;
    let name = || launch.name.clone();
    if launch.taints != bought.pool.taints || launch.startup_taints != bought.pool.startup_taints {
        faults.push(Fault::WrongTaints { launch: name() });
    }
    if launch.allocatable.nonzero() != bought.kind.allocatable.nonzero() {
        faults.push(Fault::WrongAllocatable { launch: name() });
    }
    if launch.capacity.nonzero() != bought.kind.capacity.nonzero() {
        faults.push(Fault::WrongCapacity { launch: name() });
    }
    let asked = fit::asked(after, at, &host.stand());
    for resource in asked.0.keys().chain(launch.requests.0.keys().filter(|name| !asked.0.contains_key(*name))) {
        let (told, true_) = (launch.requests.get(resource), asked.get(resource));
        if told != true_ {
            faults.push(Fault::WrongRequests { launch: name(), resource: resource.clone(), told, true_ });
        }
    }
}

/// Real, available, at their price, cheapest first, none twice.
fn ranking(bought: &Bought, faults: &mut Vec<Fault>) {
    let mut seen = BTreeSet::new();
    let mut edge = bought.launch.price();
    for (_, ranked, sold) in bought.listed() {
        let name = &bought.launch.name;
        let mut tell = |fault: fn(Str, RankedOffering) -> Fault| faults.push(fault(name.clone(), ranked.clone()));
        if ranked.price < edge {
            tell(|launch, offering| Fault::NotRanked { launch, offering });
        }
        edge = edge.max(ranked.price);
        let Some((_, sold)) = sold else {
            tell(|launch, offering| Fault::NotSold { launch, offering });
            continue;
        };
        if !seen.insert(std::ptr::from_ref(sold)) {
            tell(|launch, offering| Fault::OfferingTwice { launch, offering });
        }
        if !sold.available {
            tell(|launch, offering| Fault::Unavailable { launch, offering });
        }
        if sold.price != ranked.price {
            faults.push(Fault::WrongPrice { launch: name.clone(), offering: ranked.clone(), price: sold.price });
        }
    }
}

/// `minValues` of the pool, or what they were lowered to.
fn min_values(after: &After, bought: &Bought, faults: &mut Vec<Fault>) {
    let Bought { launch, pool, .. } = bought;
    for (key, lowered) in &launch.relaxed_min_values {
        let asked = pool.requirements.get(key).and_then(|r| r.min_values);
        if !after.snapshot.policies.relax_min_values || asked.is_none_or(|asked| *lowered >= asked) {
            faults.push(Fault::MinValuesLowered { launch: launch.name.clone(), key: key.clone() });
        }
    }
    for requirement in pool.requirements.iter().filter(|_| pool.dynamic()) {
        let Some(asked) = requirement.min_values else { continue };
        let key = &requirement.key;
        let want = launch.relaxed_min_values.get(key).map_or(asked, |lowered| *lowered);
        let own = launch.labels.get(key).map(AsRef::as_ref);
        let values: BTreeSet<Option<&str>> =
            bought.offerings().map(|(_, kind, offering)| kind.label(offering, key).or(own)).collect();
        if values.len() < want as usize {
            let (launch, key) = (launch.name.clone(), key.clone());
            faults.push(Fault::MinValues { launch, key, have: values.len(), want });
        }
    }
}
