//! Random machines that are there already, with pods on them, and claims that have not joined.

use std::collections::BTreeMap;
use std::sync::Arc;

use planner::model::node::BoundPods;
use planner::model::snapshot::Daemon;
use planner::model::taint::untolerated;
use planner::model::{Claim, InstanceType, Labels, Node, Offering, Pool, Resources, Str, labels};

use super::pods::App;
use crate::rng::SplitMix64;

/// One of the pool's types with one of its offerings, if it has any.
fn machine<'a>(rng: &mut SplitMix64, pool: &'a Pool) -> (&'a InstanceType, Option<&'a Offering>) {
    let kind = rng.pick(&pool.types);
    let offering = (!kind.offerings.is_empty()).then(|| rng.pick(&kind.offerings));
    (kind, offering)
}

fn labels_of(name: &Str, pool: Option<&Pool>, kind: &InstanceType, offering: Option<&Offering>) -> Labels {
    let mut out = pool.map(|pool| pool.labels.clone()).unwrap_or_default();
    out.extend(kind.labels.clone());
    if let Some(offering) = offering {
        out.insert(labels::ZONE.into(), offering.zone.clone());
        out.insert(labels::CAPACITY_TYPE.into(), offering.capacity_type.as_str().into());
        out.extend(offering.labels.clone());
    }
    out.insert(labels::HOSTNAME.into(), name.clone());
    out
}

/// A machine with a few pods of the apps on it, as many as it holds; one in five belongs to no pool.
pub(super) fn node(rng: &mut SplitMix64, at: usize, pools: &[Pool], apps: &[App], daemons: &[Daemon]) -> Node {
    let name: Str = format!("node-{at}").into();
    let template = rng.pick(pools);
    let (kind, offering) = machine(rng, template);
    let pool = rng.chance(80).then_some(template);
    let taints = pool.map(|pool| pool.taints.clone()).unwrap_or_default();
    let labels = labels_of(&name, pool, kind, offering);
    let mut room = kind.allocatable.clone();
    let mut pods = Vec::new();
    for daemon in daemons {
        let fits = daemon.shape.requests.fits(&room) && daemon.shape.wants(&labels);
        if fits && untolerated(&taints, &daemon.shape.tolerations, false).is_none() && rng.chance(70) {
            room.subtract(&daemon.shape.requests);
            let pod = format!("{}/{}-{at}", daemon.namespace, daemon.name).into();
            pods.push(BoundPods { shape: daemon.shape.clone(), pods: vec![pod], terminating: false, promised: false });
        }
    }
    for app in apps {
        let most = usize::try_from(rng.below(4)).unwrap_or(0);
        let names: Vec<Str> = (0..most)
            .filter(|_| {
                let fits = app.shape.requests.fits(&room) && rng.chance(50);
                if fits {
                    room.subtract(&app.shape.requests);
                }
                fits
            })
            .map(|i| format!("{}/{}-bound-{at}-{i}", app.shape.namespace, app.name).into())
            .collect();
        if !names.is_empty() {
            pods.push(BoundPods {
                shape: Arc::new(app.shape.clone()),
                pods: names,
                terminating: rng.chance(10),
                promised: false,
            });
        }
    }
    Node {
        labels,
        taints,
        capacity: kind.capacity.clone(),
        allocatable: kind.allocatable.clone(),
        pool: pool.map(|pool| pool.name.clone()),
        claim: pool.map(|_| format!("claim-of-{name}").into()),
        initialized: rng.chance(85),
        deleting: rng.chance(10),
        pods,
        attach_limits: if rng.chance(50) { BTreeMap::from([("ebs.csi.aws.com".into(), 2)]) } else { BTreeMap::new() },
        name,
    }
}

/// A machine that is bought and has not joined.
pub(super) fn claim(rng: &mut SplitMix64, at: usize, pools: &[Pool]) -> Claim {
    let name: Str = format!("claim-{at}").into();
    let pool = rng.pick(pools);
    let (kind, offering) = machine(rng, pool);
    let launched = rng.chance(70);
    Claim {
        labels: labels_of(&name, Some(pool), kind, offering),
        taints: pool.taints.clone(),
        capacity: if launched { kind.capacity.clone() } else { Resources::default() },
        allocatable: if launched {
            kind.allocatable.clone()
        } else {
            Resources::of([("cpu", 500), ("memory", 1 << 30), ("pods", 3)])
        },
        pool: Some(pool.name.clone()),
        deleting: rng.chance(10),
        bereft: false,
        name,
    }
}
