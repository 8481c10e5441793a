//! The simplest planner there is: a machine of its own for every pod. A yardstick: legal, dear, and written without a thought
//! for the real one.

use std::collections::BTreeSet;

use planner::model::pod::PodTerm;
use planner::model::taint::untolerated;
use planner::model::{
    Code, InstanceType, Labels, MicroUsdPerHour, Offering, PodShape, Pool, Reason, Requirement, Requirements,
    Resources, Snapshot, Str, labels,
};
use planner::plan::{Launch, Plan, RankedOffering, Unplaced};

/// Buys for each pod the cheapest machine of the heaviest pool that takes it alone. Pods that look at other pods, and pools
/// with limits, `minValues` or replicas, are left out; so are reservations and the room on machines that are there.
pub fn plan(snapshot: &Snapshot) -> Plan {
    let bound = snapshot.nodes.iter().flat_map(|node| &node.pods).map(|pods| &*pods.shape);
    let shapes = snapshot.groups.iter().map(|group| &*group.shape).chain(bound);
    let terms: BTreeSet<&PodTerm> = shapes.flat_map(|shape| &shape.anti_affinity).collect();
    let mut out = Plan { ignored: snapshot.ignored.clone(), ..Plan::default() };
    for group in &snapshot.groups {
        out.pods += group.pods.iter().filter(|pod| !pod.stand_in).count();
        let tied = ties(&group.shape) || terms.iter().any(|term| term.picks(&group.shape));
        let found =
            if tied { None } else { snapshot.pools.iter().find_map(|pool| cheapest(pool, &group.shape, snapshot)) };
        let Some(found) = found else {
            for (list, stand_ins) in [(&mut out.unplaced, false), (&mut out.stand_ins_left, true)] {
                let pods = group.pods.iter().filter(|pod| pod.stand_in == stand_ins);
                let pods: Vec<Str> = pods.map(|pod| pod.key.clone()).collect();
                if !pods.is_empty() {
                    list.push(Unplaced { pods, reasons: reasons(snapshot, &group.shape) });
                }
            }
            continue;
        };
        for pod in &group.pods {
            let name = format!("{}-{}", found.pool, out.launches.len() + 1).into();
            out.launches.push(Launch { name, pods: vec![pod.key.clone()], ..found.clone() });
        }
    }
    out.cost = out.launches.iter().map(Launch::price).sum();
    out.greedy_cost = out.cost;
    out.cost_lower_bound = MicroUsdPerHour(0);
    out
}

/// Does it look at other pods?
fn ties(shape: &PodShape) -> bool {
    shape.refused.is_some()
        || shape.spreads.iter().any(|spread| spread.hard)
        || !shape.affinity.is_empty()
        || !shape.anti_affinity.is_empty()
}

fn reasons(snapshot: &Snapshot, shape: &PodShape) -> Vec<Reason> {
    if let Some(reason) = &shape.refused {
        return vec![reason.clone()];
    }
    let dynamic = snapshot.pools.iter().filter(|pool| pool.dynamic());
    let no = |pool: &Pool| Reason {
        pool: pool.name.clone(),
        code: Code::NoInstanceTypeFits,
        message: "the naive planner found none".into(),
        nearest_miss: None,
    };
    let found: Vec<Reason> = dynamic.map(no).collect();
    if found.is_empty() { vec![Reason::everywhere(Code::NoNodePool, "no pool", None)] } else { found }
}

/// The cheapest machine of a pool for one such pod.
fn cheapest(pool: &Pool, shape: &PodShape, snapshot: &Snapshot) -> Option<Launch> {
    let open = pool.dynamic() && pool.not_ready.is_none() && pool.limits.0.is_empty();
    if !open || pool.requirements.iter().any(|r| r.min_values.is_some()) {
        return None;
    }
    let kinds = pool.types.iter().flat_map(|kind| kind.offerings.iter().map(move |offering| (kind, offering)));
    let mut all: Vec<_> = kinds.filter(|(_, o)| o.available && o.reservation.is_none()).collect();
    all.sort_by_key(|(kind, o)| (kind.exotic, o.price, o.capacity_type));
    all.into_iter().find_map(|(kind, offering)| machine(pool, kind, offering, shape, snapshot))
}

/// This offering with one such pod on it, if it can hold it.
fn machine(
    pool: &Pool,
    kind: &InstanceType,
    offering: &Offering,
    shape: &PodShape,
    snapshot: &Snapshot,
) -> Option<Launch> {
    if untolerated(&pool.taints, &shape.tolerations, false).is_some() {
        return None;
    }
    let any = [Requirements::new()];
    let terms = shape.node_terms.as_deref().unwrap_or(&any);
    let labels = terms.iter().find_map(|term| {
        let labels = settle(pool, kind, offering, &shape.node_selector, term)?;
        (shape.wants(&labels) && shape.reaches_volumes(&labels)).then_some(labels)
    })?;
    let mut requests = Resources::default();
    requests.add(&shape.requests);
    let mut up = labels.clone();
    up.extend([labels::REGISTERED, labels::INITIALIZED].map(|key| (key.into(), "true".into())));
    for daemon in &snapshot.daemons {
        if daemon.shape.wants(&up) && untolerated(&pool.taints, &daemon.shape.tolerations, false).is_none() {
            requests.add(&daemon.shape.requests);
            if shape.host_ports.iter().any(|port| daemon.shape.host_ports.iter().any(|other| port.clashes(other))) {
                return None;
            }
        }
    }
    requests.fits(&kind.allocatable).then(|| Launch {
        name: "".into(),
        pool: pool.name.clone(),
        offerings: vec![RankedOffering {
            price: offering.price,
            capacity_type: offering.capacity_type,
            instance_type: kind.name.clone(),
            zone: offering.zone.clone(),
            reservation: None,
        }]
        .into(),
        offerings_total: 1,
        requests,
        allocatable: kind.allocatable.clone(),
        capacity: kind.capacity.clone(),
        labels: labels.into(),
        taints: pool.taints.clone(),
        startup_taints: pool.startup_taints.clone(),
        requirements: Requirements::new().into(),
        relaxed_min_values: std::collections::BTreeMap::new(),
        pods: Vec::new(),
    })
}

/// The labels of such a machine, with keys that are left open settled as the pod asks; nothing if the pool cannot have it.
fn settle(
    pool: &Pool,
    kind: &InstanceType,
    offering: &Offering,
    selector: &Requirements,
    term: &Requirements,
) -> Option<Labels> {
    let mut out = kind.labels.clone();
    out.extend(offering.labels.clone());
    out.insert(labels::ZONE.into(), offering.zone.clone());
    out.insert(labels::CAPACITY_TYPE.into(), offering.capacity_type.as_str().into());
    if pool.labels.iter().any(|(key, value)| out.get(key).is_some_and(|sold| sold != value)) {
        return None;
    }
    out.extend(pool.labels.clone());
    let mut wanted = pool.requirements.clone();
    wanted.add_all(selector);
    wanted.add_all(term);
    for (key, values) in &kind.open_labels {
        let fits = |value: &&Str| wanted.get(key).is_none_or(|r| r.has(value));
        out.insert(key.clone(), values.iter().find(fits)?.clone());
    }
    let open: Vec<&Requirement> =
        wanted.iter().filter(|r| !out.contains_key(&r.key) && pool.requirements.get(&r.key).is_some()).collect();
    let settled: Vec<(Str, Str)> = open
        .into_iter()
        .filter(|r| r.wants_label() && !labels::well_known(&r.key))
        .filter_map(|r| Some((r.key.clone(), r.any("x")?)))
        .collect();
    out.extend(settled);
    pool.requirements.allow(&out).then_some(out)
}
