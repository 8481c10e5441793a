//! What can be bought, offering by offering, and whether an empty machine of it would take a pod.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::labels::{HOSTNAME, INITIALIZED, REGISTERED, well_known};
use crate::model::pod::HostPort;
use crate::model::taint::untolerated;
use crate::model::{InstanceType, Offering, PodShape, Pool, Requirement, Requirements, Resources, Snapshot};

/// One way to buy a machine under a pool.
#[derive(Clone, Copy)]
pub(super) struct Offer<'a> {
    pub pool: &'a Pool,
    pub kind: &'a InstanceType,
    offering: &'a Offering,
}

/// What can be had of every pool, and what comes with it.
pub(super) struct Market<'a> {
    /// By pool.
    offers: Vec<Vec<Offer<'a>>>,
    /// By catalogue (pools share them) and name.
    kinds: BTreeMap<(*const Vec<InstanceType>, &'a str), &'a InstanceType>,
    /// `DaemonSet`s without the labels that every machine has once it is up.
    daemons: Vec<PodShape>,
}

impl<'a> Market<'a> {
    pub fn new(snapshot: &'a Snapshot) -> Self {
        let mut kinds = BTreeMap::new();
        for pool in &snapshot.pools {
            kinds.extend(pool.types.iter().map(|kind| ((Arc::as_ptr(&pool.types), &*kind.name), kind)));
        }
        let bare = |shape: &PodShape| {
            let up = |r: &&Requirement| *r.key != *REGISTERED && *r.key != *INITIALIZED;
            let mut shape = shape.clone();
            shape.node_selector = shape.node_selector.iter().filter(up).cloned().collect();
            shape.volumes.clear();
            shape
        };
        Self {
            offers: snapshot.pools.iter().map(|pool| offers(pool).collect()).collect(),
            kinds,
            daemons: snapshot.daemons.iter().map(|daemon| bare(&daemon.shape)).collect(),
        }
    }

    /// The `DaemonSet`s, in the snapshot's order, that could run on a machine bought so: what is open is taken as settled
    /// for each of them.
    pub fn may_run<'o>(
        &'o self,
        pool: &'o Pool,
        kind: &'o InstanceType,
        offering: &'o Offering,
    ) -> impl Iterator<Item = bool> + use<'a, 'o> {
        let offer = Offer { pool, kind, offering };
        self.daemons.iter().map(move |daemon| offer.may_suit(daemon))
    }

    /// A type of a pool's catalogue by name.
    pub fn kind(&self, pool: &'a Pool, name: &str) -> Option<&'a InstanceType> {
        self.kinds.get(&(Arc::as_ptr(&pool.types), name)).copied()
    }
}

/// What can be had from a pool that is ready: available, and within the pool's requirements.
fn offers(pool: &Pool) -> impl Iterator<Item = Offer<'_>> {
    let usable = pool.dynamic() && pool.not_ready.is_none();
    let kinds = pool.types.iter().filter(move |_| usable);
    let all = kinds.flat_map(move |kind| kind.offerings.iter().map(move |offering| Offer { pool, kind, offering }));
    let left = |offer: &Offer| offer.offering.reservation.as_ref().is_none_or(|reservation| reservation.count > 0);
    all.filter(move |offer| offer.offering.available && left(offer) && offer.in_pool())
}

impl<'a> Offer<'a> {
    fn sold(&self, key: &str) -> Option<&'a str> {
        self.kind.label(self.offering, key)
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
    fn takes(&self, shape: &PodShape, market: &Market) -> bool {
        let fits = |asked: &Resources| asked.iter().all(|(name, n)| n <= 0 || n <= self.kind.allocatable.get(name));
        if !fits(&shape.requests) || !self.may_suit(shape) {
            return false;
        }
        let mut asked = shape.requests.clone();
        for daemon in market.daemons.iter().filter(|daemon| self.may_suit(daemon)) {
            asked.add(&daemon.requests);
            let clash = |port: &HostPort| daemon.host_ports.iter().any(|other| other.clashes(port));
            if shape.host_ports.iter().any(clash) {
                return false;
            }
        }
        fits(&asked)
    }
}

/// Those `wanted` of the values of `key` on machines that would take such a pod alone.
pub(super) fn values<'a>(
    market: &Market<'a>,
    shape: &PodShape,
    key: &str,
    wanted: impl Fn(&str) -> bool,
) -> Vec<&'a str> {
    let mut out: BTreeSet<&str> = BTreeSet::new();
    for offer in market.offers.iter().flatten() {
        let pool = offer.pool;
        let told = offer.sold(key).or_else(|| pool.labels.get(key).map(AsRef::as_ref));
        if told.is_some_and(|value| wanted(value) && !out.contains(value) && offer.takes(shape, market)) {
            out.extend(told);
        }
        if told.is_some() || well_known(key) || *key == *HOSTNAME {
            continue;
        }
        for value in pool.requirements.get(key).and_then(Requirement::concrete).into_iter().flatten() {
            let mut pinned = shape.clone();
            pinned.node_selector.add(Requirement::equal(key, value.clone()));
            if wanted(value) && !out.contains(&**value) && offer.takes(&pinned, market) {
                out.insert(value);
            }
        }
    }
    out.into_iter().collect()
}

/// The first offering of a pool without limits and `minValues` that would take such a pod alone.
pub(super) fn taker<'a>(market: &Market<'a>, at: usize, pool: &Pool, shape: &PodShape) -> Option<Offer<'a>> {
    let free = pool.limits.0.is_empty() && pool.requirements.iter().all(|r| r.min_values.is_none());
    let mut offers = market.offers[at].iter().filter(|offer| free && offer.offering.reservation.is_none());
    offers.find(|offer| offer.takes(shape, market)).copied()
}
