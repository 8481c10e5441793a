//! Pods asked for one at a time of empty machines: places that were missed, heavier pools that were passed over.

use std::collections::BTreeMap;

use crate::model::{Code, Effect, PodShape, Pool};

use super::Fault;
use super::after::After;
use super::market::{Offer, taker};

/// Pods that were left out, or put in a lighter pool, although nothing stood in the way.
pub(super) fn check(after: &After, faults: &mut Vec<Fault>) {
    let snapshot = after.snapshot;
    let free = |shape: &PodShape| {
        shape.refused.is_none()
            && shape.affinity.is_empty()
            && shape.anti_affinity.is_empty()
            && !shape.spreads.iter().any(|spread| spread.hard)
            && !after.anti_terms.iter().any(|term| term.picks(shape))
    };
    let mut takers: BTreeMap<(usize, usize), Option<Offer>> = BTreeMap::new();
    let mut taken_by = |group: usize, pool: usize| {
        let find = || taker(&after.market, pool, &snapshot.pools[pool], &snapshot.groups[group].shape);
        *takers.entry((group, pool)).or_insert_with(find)
    };
    let left = after.plan.unplaced.iter().chain(&after.plan.stand_ins_left);
    for unplaced in left.filter(|u| u.reasons.iter().all(|r| r.code != Code::BudgetOfEffort)) {
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
    let prefers = |pool: &Pool| pool.taints.iter().any(|t| t.effect == Effect::PreferNoSchedule);
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
