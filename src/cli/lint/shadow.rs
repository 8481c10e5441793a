//! Pools that never come to buy because a heavier one takes all they could.

use std::collections::BTreeMap;

use planner::model::labels::{CAPACITY_TYPE, NODEPOOL, ZONE, well_known};
use planner::model::{Pool, Resources, Str};

use super::super::market::choices;
use super::{Finding, Level, Mistake, Subject};
use crate::observe::Observed;

/// One finding per pool that is shadowed, naming the heaviest that does it.
pub fn findings(observed: &Observed) -> Vec<Finding> {
    let pools = &observed.snapshot.pools;
    let sold: Vec<BTreeMap<Sale, &Resources>> = pools.iter().map(sales).collect();
    let mut out = Vec::new();
    for (at, lighter) in pools.iter().enumerate().filter(|(_, pool)| pool.dynamic()) {
        let shadows = |(i, heavier): &(usize, &Pool)| {
            heavier.weight > lighter.weight && takes_all(heavier, lighter) && covers(&sold[*i], &sold[at])
        };
        let Some((_, heavier)) = pools.iter().enumerate().find(shadows) else { continue };
        let Some(source) = observed.objects.node_pools.iter().find(|p| p.object.metadata.name == lighter.name) else {
            continue;
        };
        let subject = Subject { kind: "NodePool", name: &lighter.name, origin: &source.origin };
        let message = format!(
            "never used: NodePool {} (weight {}) has no limits and takes every pod this one (weight {}) could",
            heavier.name, heavier.weight, lighter.weight
        );
        let remedy = format!("give {} limits or a narrower choice, or this pool a higher weight", heavier.name);
        out.push(subject.finding(Level::Warning, Mistake::ShadowedPool, "spec.weight", message, remedy));
    }
    out
}

type Sale = (Str, Str, planner::model::CapacityType);

/// What a pool can buy, and the room each has.
fn sales(pool: &Pool) -> BTreeMap<Sale, &Resources> {
    let mut out = BTreeMap::new();
    for choice in choices(pool) {
        for o in &choice.offerings {
            out.insert((choice.of.name.clone(), o.zone.clone(), o.capacity_type), &choice.of.allocatable);
        }
    }
    out
}

fn covers(heavier: &BTreeMap<Sale, &Resources>, lighter: &BTreeMap<Sale, &Resources>) -> bool {
    !lighter.is_empty() && lighter.iter().all(|(sale, room)| heavier.get(sale).is_some_and(|more| room.fits(more)))
}

/// Does the heavier pool take every pod that tolerates and selects the lighter one?
fn takes_all(heavier: &Pool, lighter: &Pool) -> bool {
    let free = heavier.limits.iter().next().is_none() && heavier.dynamic() && heavier.not_ready.is_none();
    let tolerated = heavier.taints.iter().all(|taint| lighter.taints.contains(taint));
    let unforced = heavier.requirements.iter().all(|r| r.min_values.is_none());
    free && tolerated && unforced && labels_kept(heavier, lighter)
}

/// Every label of its own that the lighter pool's nodes carry, the heavier pool's carry too.
fn labels_kept(heavier: &Pool, lighter: &Pool) -> bool {
    let own = |key: &str| !well_known(key) && key != NODEPOOL && key != ZONE && key != CAPACITY_TYPE;
    let labels = lighter.labels.iter().filter(|(key, _)| own(key));
    let same_labels = labels.clone().all(|(key, value)| {
        heavier.labels.get(key) == Some(value) || heavier.requirements.get(key).is_some_and(|r| r.has(value))
    });
    let open = lighter.requirements.iter().filter(|r| own(&r.key));
    same_labels
        && open.into_iter().all(|r| {
            let theirs = heavier.requirements.get(&r.key);
            theirs.is_some_and(|h| h == r || r.concrete().is_some_and(|values| values.iter().all(|v| h.has(v))))
        })
}
