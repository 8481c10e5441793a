//! Gauges of the cluster and its pools, set anew every few seconds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cloud::Cloud;
use crds::{NodeClaim, names};
use planner::model::{CapacityType, MicroUsdPerHour};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::claim::launch::{class, resources};
use super::deps::Deps;
use super::pods::state;
use crate::telemetry::shown;

const PERIOD: Duration = Duration::from_secs(5);

/// What is remembered from one round to the next.
#[derive(Debug)]
struct Rounds {
    /// When the mirror was last complete.
    synced_at: Instant,
    /// Claims without a known price: each is counted once.
    unpriced: BTreeSet<String>,
}

/// Sets them until `stop`.
pub async fn run<C: Cloud>(deps: Arc<Deps<C>>, stop: CancellationToken) {
    let mut rounds = Rounds { synced_at: Instant::now(), unpriced: BTreeSet::new() };
    loop {
        cluster(&deps, &mut rounds);
        if deps.observes_state {
            pools(&deps);
            costs(&deps, &mut rounds);
            utilization(&deps);
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

fn cluster<C: Cloud>(deps: &Deps<C>, rounds: &mut Rounds) {
    let metrics = &deps.metrics;
    metrics.cluster_state_node_count.set([], deps.world.mirror.nodes().len() as f64);
    let is_synced = deps.world.mirror.synced();
    if is_synced {
        rounds.synced_at = Instant::now();
    }
    metrics.cluster_state_synced.set([], if is_synced { 1.0 } else { 0.0 });
    metrics.cluster_state_unsynced_time_seconds.set([], rounds.synced_at.elapsed().as_secs_f64());
}

fn pools<C: Cloud>(deps: &Deps<C>) {
    let metrics = &deps.metrics;
    metrics.nodepools_limit.reset();
    metrics.nodepools_usage.reset();
    for pool in deps.world.mirror.pools() {
        let name = pool.metadata.name();
        let limits = pool.spec.limits.as_ref().map(resources).unwrap_or_default();
        for (resource, amount) in limits.iter() {
            metrics.nodepools_limit.set([resource, name], shown(resource, amount));
        }
        let used = pool.status.as_ref().map(|status| resources(&status.resources)).unwrap_or_default();
        for (resource, amount) in used.iter() {
            metrics.nodepools_usage.set([resource, name], shown(resource, amount));
        }
    }
}

/// What the instances of each pool cost, by the catalogue of their class.
fn costs<C: Cloud>(deps: &Deps<C>, rounds: &mut Rounds) {
    let metrics = &deps.metrics;
    let mut unpriced = BTreeSet::new();
    let mut sums: std::collections::BTreeMap<String, MicroUsdPerHour> =
        deps.world.mirror.pools().iter().map(|pool| (pool.metadata.name().to_owned(), MicroUsdPerHour(0))).collect();
    for claim in deps.world.mirror.claims() {
        let is_bought = claim.status.as_ref().is_some_and(|status| status.provider_id.is_some());
        let Some(pool) = claim.metadata.labels.get(names::core::NODE_POOL).filter(|_| is_bought) else { continue };
        if let Some(price) = price(deps, &claim) {
            let sum = sums.entry(pool.clone()).or_default();
            *sum = *sum + price;
        } else {
            if !rounds.unpriced.contains(claim.metadata.name()) {
                metrics.nodepools_cost_tracker_errors_total.inc([pool]);
            }
            unpriced.insert(claim.metadata.name().to_owned());
        }
    }
    rounds.unpriced = unpriced;
    metrics.nodepools_cost_total.reset();
    for (pool, sum) in sums {
        metrics.nodepools_cost_total.set([&pool], sum.0 as f64 / 1e6);
    }
}

fn price<C: Cloud>(deps: &Deps<C>, claim: &NodeClaim) -> Option<MicroUsdPerHour> {
    let label = |key: &str| claim.metadata.labels.get(key).map(String::as_str);
    let types = deps.world.types(&class(claim))?;
    let instance_type = label(names::kubernetes::INSTANCE_TYPE)?;
    let sold = types.iter().find(|sold| &*sold.name == instance_type)?;
    let (zone, paid) = (label(names::kubernetes::ZONE)?, CapacityType::parse(label(names::core::CAPACITY_TYPE)?)?);
    let mut same = sold.offerings.iter().filter(|offer| &*offer.zone == zone && offer.capacity_type == paid);
    same.next().map(|offering| offering.price)
}

/// What pods ask for of what nodes have for them, in percent.
fn utilization<C: Cloud>(deps: &Deps<C>) {
    let used = state::used(&deps.world);
    deps.metrics.cluster_utilization_percent.reset();
    for (resource, room) in used.allocatable.iter().filter(|(_, room)| *room > 0) {
        let share = used.requests.get(resource) as f64 / room as f64 * 100.0;
        deps.metrics.cluster_utilization_percent.set([resource], share);
    }
}
