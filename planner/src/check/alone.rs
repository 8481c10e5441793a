//! What an empty machine of each offering would take, asked for one pod at a time: places that were missed, domains that
//! buying could bring, heavier pools that were passed over.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::labels::{CAPACITY_TYPE, HOSTNAME, INITIALIZED, REGISTERED, ZONE, well_known};
use crate::model::pod::PodTerm;
use crate::model::taint::untolerated;
use crate::model::{Code, InstanceType, Offering, PodShape, Pool, Requirement, Requirements, Resources, Snapshot};

use super::Fault;
use super::after::{After, sold_label};

/// One way to buy a machine under a pool.
#[derive(Clone, Copy)]
struct Offer<'a> {
    pool: &'a Pool,
    kind: &'a InstanceType,
    offering: &'a Offering,
}

/// What can be had from a pool that is ready: available, and within the pool's requirements.
fn offers(pool: &Pool) -> impl Iterator<Item = Offer<'_>> {
    let usable = pool.dynamic() && pool.not_ready.is_none();
    let kinds = pool.types.iter().filter(move |_| usable);
    let all = kinds.flat_map(move |kind| kind.offerings.iter().map(move |offering| Offer { pool, kind, offering }));
    all.filter(|offer| offer.offering.available && offer.in_pool())
}

impl<'a> Offer<'a> {
    fn sold(&self, key: &str) -> Option<&'a str> {
        sold_label(self.kind, self.offering, key)
    }

    fn in_pool(&self) -> bool {
        let labels = self.pool.labels.iter().all(|(key, value)| self.sold(key).is_none_or(|sold| sold == &**value));
        labels && self.pool.requirements.iter().all(|r| self.may_have(r, false))
    }

    /// Can a machine bought this way satisfy `wanted`? `pool` adds what the pool says about keys the offering leaves open.
    fn may_have(&self, wanted: &Requirement, pool: bool) -> bool {
        let key = &*wanted.key;
        if let Some(value) = self.sold(key).or_else(|| self.pool.labels.get(key).map(AsRef::as_ref)) {
            return wanted.allows(Some(value));
        }
        let within = self.pool.requirements.get(key);
        if let Some((_, values)) = self.kind.open_labels.iter().find(|(open, _)| &**open == key) {
            return values.iter().any(|v| wanted.has(v) && within.is_none_or(|r| r.has(v)));
        }
        match within {
            _ if well_known(key) => wanted.allows(None),
            Some(within) if pool => within.intersects(wanted),
            Some(_) => true,
            None => wanted.allows(None),
        }
    }

    fn may_have_all(&self, wanted: &Requirements) -> bool {
        wanted.iter().all(|r| self.may_have(r, true))
    }

    /// Node selector with one of the required node affinity terms, and the places of the volumes.
    fn may_suit(&self, shape: &PodShape) -> bool {
        let volumes = || shape.volumes.iter().all(|terms| terms.iter().any(|term| self.may_have_all(term)));
        let with = |term: &Requirements| {
            let mut both = shape.node_selector.clone();
            both.add_all(term);
            self.may_have_all(&both)
        };
        let selected = match &shape.node_terms {
            None => self.may_have_all(&shape.node_selector),
            Some(terms) => terms.iter().any(with),
        };
        selected && untolerated(&self.pool.taints, &shape.tolerations, false).is_none() && volumes()
    }

    /// Would an empty machine take one such pod, with every `DaemonSet` that may come too?
    fn takes(&self, shape: &PodShape, snapshot: &Snapshot) -> bool {
        if !self.may_suit(shape) {
            return false;
        }
        let mut asked = Resources::default();
        asked.add(&shape.requests);
        for daemon in &snapshot.daemons {
            let mut open = (*daemon.shape).clone();
            let up = |r: &&Requirement| *r.key != *REGISTERED && *r.key != *INITIALIZED;
            open.node_selector = open.node_selector.iter().filter(up).cloned().collect();
            open.volumes.clear();
            if self.may_suit(&open) {
                asked.add(&daemon.shape.requests);
                let clash =
                    |port: &crate::model::pod::HostPort| daemon.shape.host_ports.iter().any(|p| p.clashes(port));
                if shape.host_ports.iter().any(clash) {
                    return false;
                }
            }
        }
        asked.iter().all(|(name, amount)| amount <= 0 || amount <= self.kind.allocatable.get(name))
    }
}

/// The values of `key` on machines that would take such a pod alone.
pub(super) fn values<'a>(snapshot: &'a Snapshot, shape: &PodShape, key: &str) -> Vec<&'a str> {
    let mut out: BTreeSet<&str> = BTreeSet::new();
    for pool in &snapshot.pools {
        for offer in offers(pool) {
            let told = offer.sold(key).or_else(|| pool.labels.get(key).map(AsRef::as_ref));
            let listed = pool.requirements.get(key).and_then(Requirement::concrete);
            let mut values: Vec<&str> = told.into_iter().collect();
            if told.is_none() && !well_known(key) && key != HOSTNAME {
                values.extend(listed.into_iter().flatten().map(AsRef::as_ref));
            }
            values.retain(|value| !out.contains(value));
            for value in values {
                let mut pinned = shape.clone();
                if key != ZONE && key != CAPACITY_TYPE {
                    pinned.node_selector.add(Requirement::equal(key, value));
                }
                if offer.takes(&pinned, snapshot) {
                    out.insert(value);
                }
            }
        }
    }
    out.into_iter().collect()
}

/// The first offering of a pool without limits and `minValues` that would take such a pod alone.
fn taker<'a>(pool: &'a Pool, shape: &PodShape, snapshot: &Snapshot) -> Option<Offer<'a>> {
    let free = pool.limits.0.is_empty() && pool.requirements.iter().all(|r| r.min_values.is_none());
    offers(pool).filter(|offer| free && offer.offering.reservation.is_none()).find(|offer| offer.takes(shape, snapshot))
}

/// Pods that were left out, or put in a lighter pool, although nothing stood in the way.
pub(super) fn check(after: &After, faults: &mut Vec<Fault>) {
    let snapshot = after.snapshot;
    let group_terms = snapshot.groups.iter().flat_map(|group| &group.shape.anti_affinity);
    let terms: BTreeSet<&PodTerm> =
        group_terms.chain(after.cells.iter().flat_map(|c| &c.shape.anti_affinity)).collect();
    let free = |shape: &PodShape| {
        shape.refused.is_none()
            && shape.affinity.is_empty()
            && shape.anti_affinity.is_empty()
            && !shape.spreads.iter().any(|spread| spread.hard)
            && !terms.iter().any(|term| term.picks(shape))
    };
    let mut takers: BTreeMap<(usize, usize), Option<Offer>> = BTreeMap::new();
    let mut taken_by = |group: usize, pool: usize| {
        let find = || taker(&snapshot.pools[pool], &snapshot.groups[group].shape, snapshot);
        *takers.entry((group, pool)).or_insert_with(find)
    };
    for unplaced in after.plan.unplaced.iter().filter(|u| u.reasons.iter().all(|r| r.code != Code::BudgetOfEffort)) {
        for pod in &unplaced.pods {
            let Some(&group) = after.group_of.get(&**pod) else { continue };
            if !free(&snapshot.groups[group].shape) {
                continue;
            }
            if let Some(offer) = (0..snapshot.pools.len()).find_map(|pool| taken_by(group, pool)) {
                let (pool, instance_type) = (offer.pool.name.clone(), offer.kind.name.clone());
                faults.push(Fault::PlaceExists { pod: pod.clone(), pool, instance_type });
            }
        }
    }
    let prefers = |pool: &Pool| pool.taints.iter().any(|t| t.effect == crate::model::Effect::PreferNoSchedule);
    if snapshot.pools.iter().any(prefers) {
        return;
    }
    for host in after.hosts.iter().filter(|host| !host.cells.is_empty()) {
        let Some(bought) = &host.bought else { continue };
        let plain = |group: usize| free(&snapshot.groups[group].shape) && wishes_nothing(&snapshot.groups[group].shape);
        let groups: Vec<usize> = host.cells.iter().filter_map(|cell| after.cells[*cell].group).collect();
        let heavier = snapshot.pools.iter().enumerate().filter(|(_, pool)| pool.weight > bought.pool.weight);
        for (at, pool) in heavier {
            if groups.iter().all(|group| plain(*group) && taken_by(*group, at).is_some()) {
                faults.push(Fault::LighterPool { launch: host.name.clone(), pool: pool.name.clone() });
            }
        }
    }
}

/// Nothing that may be relaxed, so that each pool is asked only once.
fn wishes_nothing(shape: &PodShape) -> bool {
    shape.spreads.is_empty()
        && shape.node_terms.as_ref().is_none_or(|terms| terms.len() < 2)
        && shape.preferred_node_terms.is_empty()
        && shape.preferred_affinity.is_empty()
        && shape.preferred_anti_affinity.is_empty()
}
