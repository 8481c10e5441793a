//! What is bought: what a launch says of itself, and every offering that is to stand in for its chosen one.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::labels::{HOSTNAME, well_known};
use crate::model::{InstanceType, Labels, Offering, PodShape, Pool, Resources, Str};
use crate::plan::RankedOffering;

use super::after::{After, Bought, Host, Stand, sold_label};
use super::topology::View;
use super::{Fault, Misfit, fit};

/// What makes two launches the same but for their names: pool, list of offerings, labels, contents.
type Same<'b> = (*const Pool, *const RankedOffering, &'b Labels, Vec<(Option<usize>, usize)>);

/// Faults in launches. Of launches that are the same but for their names, one sound one is looked at closely.
pub(super) fn check<'a, 'b>(after: &'b After<'a>, view: &mut View<'a, 'b>, faults: &mut Vec<Fault>) {
    let mut sound: BTreeSet<Same> = BTreeSet::new();
    for (at, host) in after.hosts.iter().enumerate() {
        let Some(bought) = &host.bought else { continue };
        purpose(bought, faults);
        labels(bought, faults);
        told(after, at, host, bought, faults);
        min_values(after, bought, faults);
        let contents = after.cells_of(at).map(|cell| (cell.group, cell.pods.len())).collect();
        let same: Same = (bought.pool, bought.launch.offerings.as_ptr(), &host.labels, contents);
        if sound.contains(&same) {
            continue;
        }
        let before = faults.len();
        ranking(bought, faults);
        Holder::new(after, view, at, bought).check(faults);
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
        if launch.labels.get(key).map(AsRef::as_ref) != sold_label(kind, offering, key) {
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
    for (key, value) in &launch.labels {
        let open = kind.open_labels.iter().find(|(open, _)| open == key);
        let known = sold_label(kind, offering, key).is_some()
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
    for (ranked, sold) in bought.launch.offerings.iter().zip(bought.sold.iter()) {
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
        if !seen.insert(std::ptr::from_ref(*sold)) {
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

/// Can other offerings hold what a launch holds?
struct Holder<'a, 'b, 'c> {
    after: &'b After<'a>,
    view: &'c mut View<'a, 'b>,
    host: usize,
    bought: &'b Bought<'a>,
    /// Keys of topology that the contents, or those who keep away from them, look at.
    keys: Vec<&'b Str>,
    /// What is wrong when those keys have these values.
    topology: BTreeMap<Vec<Option<&'b str>>, Option<Misfit>>,
    /// What is asked for where these `DaemonSet`s run.
    asked: BTreeMap<Vec<bool>, Resources>,
}

impl<'a, 'b, 'c> Holder<'a, 'b, 'c> {
    fn new(after: &'b After<'a>, view: &'c mut View<'a, 'b>, host: usize, bought: &'b Bought<'a>) -> Self {
        let shapes = after.cells_of(host).map(|cell| cell.shape);
        let own = shapes.flat_map(|shape| {
            let spreads = shape.spreads.iter().filter(|spread| spread.hard).map(|spread| &spread.key);
            spreads.chain(shape.affinity.iter().chain(&shape.anti_affinity).map(|term| &term.key))
        });
        let away = after.anti_terms.iter().filter(|term| after.cells_of(host).any(|cell| term.picks(cell.shape)));
        let keys: BTreeSet<&Str> = own.chain(away.map(|term| &term.key)).collect();
        let keys = keys.into_iter().collect();
        Self { after, view, host, bought, keys, topology: BTreeMap::new(), asked: BTreeMap::new() }
    }

    /// The listed ones must, and a cheaper one that is not listed must not.
    fn check(mut self, faults: &mut Vec<Fault>) {
        let bought = self.bought;
        for (at, (ranked, sold)) in bought.launch.offerings.iter().zip(bought.sold.iter()).enumerate() {
            let Some((kind, offering)) = *sold else { continue };
            let name = || (bought.launch.name.clone(), ranked.clone());
            if let Some(key) = self.outside(kind, offering) {
                let (launch, offering) = name();
                faults.push(Fault::OutsideRequirements { launch, offering, key: key.into() });
            } else if let Some(misfit) = if at == 0 { None } else { self.misfit(kind, offering) } {
                let (launch, offering) = name();
                faults.push(Fault::CannotHold { launch, offering, misfit });
            }
        }
        if self.settled() {
            self.cheaper(faults);
        }
    }

    fn shapes(&self) -> impl Iterator<Item = &'b PodShape> + use<'a, 'b> {
        let after = self.after;
        after.hosts[self.host].cells.iter().map(|cell| after.cells[*cell].shape)
    }

    /// Nothing but the machine decides what may stand in: no wishes, no ties to other pods, no joint limits.
    fn settled(&self) -> bool {
        let pool = self.bought.pool;
        pool.limits.0.is_empty()
            && !self.after.anti_terms.iter().any(|term| self.shapes().any(|shape| term.picks(shape)))
            && !self.bought.launch.pods.is_empty()
            && pool.requirements.iter().all(|r| r.min_values.is_none())
            && self.shapes().all(|s| {
                s.spreads.is_empty()
                    && s.affinity.is_empty()
                    && s.anti_affinity.is_empty()
                    && s.preferred_node_terms.is_empty()
                    && s.preferred_affinity.is_empty()
                    && s.preferred_anti_affinity.is_empty()
                    && s.node_terms.as_ref().is_none_or(|terms| terms.len() < 2)
            })
    }

    fn cheaper(&mut self, faults: &mut Vec<Fault>) {
        let Bought { launch, pool, kind: chosen, .. } = self.bought;
        let pods = fit::asked_with(self.after, self.host, &[]);
        let large = |kind: &&InstanceType| (chosen.exotic || !kind.exotic) && pods.fits(&kind.allocatable);
        for kind in pool.types.iter().filter(large) {
            let cheap = |o: &&Offering| o.available && o.price < launch.price() && o.reservation.is_none();
            for offering in kind.offerings.iter().filter(cheap) {
                if self.outside(kind, offering).is_none() && self.misfit(kind, offering).is_none() {
                    faults.push(Fault::CheaperExists {
                        launch: launch.name.clone(),
                        instance_type: kind.name.clone(),
                        zone: offering.zone.clone(),
                        price: offering.price,
                    });
                }
            }
        }
    }

    fn stand(&self, kind: &'b InstanceType, offering: &'b Offering) -> Stand<'b> {
        let host = &self.after.hosts[self.host];
        let settled_for = Some(self.bought.kind);
        Stand { name: host.name, labels: &host.labels, sold: Some((kind, offering)), settled_for }
    }

    /// The first key on which an offering leaves the pool's terms or the launch's own.
    fn outside(&self, kind: &'b InstanceType, offering: &'b Offering) -> Option<&'b str> {
        let pool = self.bought.pool;
        let stand = self.stand(kind, offering);
        let unequal =
            pool.labels.iter().find(|(key, value)| stand.label(key) != Some(&***value)).map(|(key, _)| &**key);
        let unmet = || pool.requirements.iter().find(|r| !r.allows(stand.label(&r.key))).map(|r| &*r.key);
        unequal.or_else(unmet)
    }

    fn misfit(&mut self, kind: &'b InstanceType, offering: &'b Offering) -> Option<Misfit> {
        let (after, host) = (self.after, self.host);
        let stand = self.stand(kind, offering);
        let mut misfits = Vec::new();
        let runs: Vec<bool> =
            after.snapshot.daemons.iter().map(|daemon| stand.runs(&daemon.shape, after.hosts[host].taints)).collect();
        if !self.asked.contains_key(&runs) {
            self.asked.insert(runs.clone(), fit::asked_with(after, host, &runs));
        }
        fit::room(&self.asked[&runs], &kind.allocatable, &mut misfits);
        fit::ports(after, host, &stand, &mut misfits);
        for cell in after.cells_of(host) {
            if !stand.wanted_by(cell.shape) {
                misfits.push(Misfit::Selector { pod: cell.pods[0].clone() });
            }
            if !stand.reached_by(cell.shape) {
                misfits.push(Misfit::VolumeZone { pod: cell.pods[0].clone() });
            }
        }
        misfits.into_iter().next().or_else(|| self.topology(stand))
    }

    /// Spread and (anti-)affinity of the contents when the machine's topology labels change.
    fn topology(&mut self, stand: Stand<'b>) -> Option<Misfit> {
        let here = self.after.hosts[self.host].stand();
        if self.keys.iter().all(|key| stand.label(key) == here.label(key)) {
            return None;
        }
        let values: Vec<Option<&str>> = self.keys.iter().map(|key| stand.label(key)).collect();
        if !self.topology.contains_key(&values) {
            let misfit = self.view.first_misfit(self.host, &stand);
            self.topology.insert(values.clone(), misfit);
        }
        self.topology[&values].clone()
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
            bought.offerings().map(|(_, kind, offering)| sold_label(kind, offering, key).or(own)).collect();
        if values.len() < want as usize {
            let (launch, key) = (launch.name.clone(), key.clone());
            faults.push(Fault::MinValues { launch, key, have: values.len(), want });
        }
    }
}
