//! Sums over the whole plan: money, limits, reservations, static pools.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::resources::NODES;
use crate::model::{MicroUsdPerHour, Pool, Str};

use super::Fault;
use super::after::After;

/// Faults in what adds up.
pub(super) fn check(after: &After, faults: &mut Vec<Fault>) {
    let plan = after.plan;
    let sum: MicroUsdPerHour = plan.launches.iter().map(crate::plan::Launch::price).sum();
    if plan.cost != sum {
        faults.push(Fault::Cost { told: plan.cost, sum });
    }
    if plan.cost_lower_bound > plan.cost {
        faults.push(Fault::Bound { bound: plan.cost_lower_bound, cost: plan.cost });
    }
    if plan.cost > plan.greedy_cost {
        faults.push(Fault::DearerThanGreedy { cost: plan.cost, greedy: plan.greedy_cost });
    }
    after.snapshot.pools.iter().for_each(|pool| limits(after, pool, faults));
    after.snapshot.pools.iter().for_each(|pool| replicas(after, pool, faults));
    reservations(after, faults);
}

fn limits(after: &After, pool: &Pool, faults: &mut Vec<Fault>) {
    let bought = || after.hosts.iter().filter_map(|host| host.bought.as_ref()).filter(|b| b.pool.name == pool.name);
    if pool.limits.0.is_empty() || bought().next().is_none() {
        return;
    }
    let mut used = after.snapshot.in_use(&pool.name);
    bought().for_each(|b| used.add_node(&b.kind.capacity));
    for (resource, limit) in pool.limits.iter().filter(|(resource, limit)| used.get(resource) > *limit) {
        let used = used.get(resource);
        faults.push(Fault::OverLimit { pool: pool.name.clone(), resource: resource.clone(), limit, used });
    }
    let mut seen = BTreeSet::new();
    for b in bought() {
        // Launches that buy the same way with the same choice differ in name only.
        if !seen.insert((std::ptr::from_ref(b.kind), b.list, b.launch.offerings.picks().as_ptr())) {
            continue;
        }
        for (offering, kind, _) in b.offerings() {
            let over = |resource: &str, limit: i64| {
                let more = kind.capacity.get(resource) - b.kind.capacity.get(resource);
                resource != NODES && more > 0 && used.get(resource) + more > limit
            };
            if let Some((resource, _)) = pool.limits.iter().find(|(resource, limit)| over(resource, *limit)) {
                let (launch, resource) = (b.launch.name.clone(), resource.clone());
                faults.push(Fault::OfferingOverLimit { launch, offering: offering.clone(), resource });
            }
        }
    }
}

/// A static pool buys no more than it lacks.
fn replicas(after: &After, pool: &Pool, faults: &mut Vec<Fault>) {
    let Some(replicas) = pool.replicas else { return };
    let bought = after.plan.launches.iter().filter(|launch| launch.pool == pool.name).count();
    let there = after.snapshot.in_use(&pool.name).get(NODES);
    let wanted = usize::try_from(i64::from(replicas) - there).unwrap_or(0);
    if bought > wanted {
        faults.push(Fault::StaticReplicas { pool: pool.name.clone(), bought, wanted });
    }
}

/// No reservation is drawn on more often than it has instances left.
fn reservations(after: &After, faults: &mut Vec<Fault>) {
    let mut by_id: BTreeMap<&Str, (u32, u32)> = BTreeMap::new();
    for bought in after.hosts.iter().filter_map(|host| host.bought.as_ref()) {
        if let Some(reservation) = &bought.offering.reservation {
            let (drawn, left) = by_id.entry(&reservation.id).or_insert((0, reservation.count));
            *drawn += 1;
            *left = reservation.count.min(*left);
        }
    }
    for (id, (bought, left)) in by_id.into_iter().filter(|(_, (bought, left))| bought > left) {
        faults.push(Fault::ReservationOversold { id: id.clone(), bought, left });
    }
}
