//! Gauges of the cluster and its pools, set anew every few seconds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cloud::Cloud;
use crds::{NodeClaim, names};
use planner::model::{CapacityType, InstanceType, MicroUsdPerHour};
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
    let (is_synced, now) = (deps.world.mirror.synced(), Instant::now());
    if is_synced {
        rounds.synced_at = now;
    }
    metrics.cluster_state_synced.set([], if is_synced { 1.0 } else { 0.0 });
    metrics.cluster_state_unsynced_time_seconds.set([], now.duration_since(rounds.synced_at).as_secs_f64());
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
        let of = class(&claim);
        let types = deps.world.types(&of);
        if types.is_none() && !deps.world.was_asked(&of) {
            // Prices are on their way.
            continue;
        }
        if let Some(price) = types.and_then(|types| price(&types, &claim)) {
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

fn price(types: &[InstanceType], claim: &NodeClaim) -> Option<MicroUsdPerHour> {
    let label = |key: &str| claim.metadata.labels.get(key).map(String::as_str);
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

#[cfg(test)]
mod tests {
    use super::super::claim::testing::launched;
    use super::super::world::World;
    use super::*;
    use crate::client::Clients;
    use crate::clock::Clock;
    use crate::events::Recorder;
    use crate::kwok::{Kwok, Stock};
    use crate::observe::mirror::{Both, Facts, Mirror, Object};
    use crate::telemetry::Metrics;

    /// A cluster of one claim, whose type nobody sells.
    fn deps() -> Deps<Kwok> {
        let clients = Clients::from_service(tower::service_fn(|_: http::Request<kube::client::Body>| async {
            http::Response::builder().status(404).body(http_body_util::Full::new(bytes::Bytes::new()))
        }));
        let (clock, mirror) = (Clock::system(), Mirror::new(&[]));
        let whole = launched("a");
        let trimmed = serde_json::from_value(serde_json::to_value(&whole).unwrap()).unwrap();
        mirror.apply(Object::NodeClaim(Box::new(Both { whole, trimmed })));
        let settings = cloud::catalog::KwokSettings::default();
        let kwok = Kwok::new(clients.once.clone(), mirror.clone(), clock, &settings, Stock::default()).unwrap();
        let world = World::new(mirror, Facts::default());
        Deps::new(&clients, Arc::new(kwok), world, Metrics::new(), Recorder::memory(), clock)
    }

    #[tokio::test]
    async fn a_claim_without_a_price_is_an_error_only_once_prices_were_asked_for() {
        let deps = deps();
        let mut rounds = Rounds { synced_at: Instant::now(), unpriced: BTreeSet::new() };
        let errors = || deps.metrics.nodepools_cost_tracker_errors_total.get(["p"]);
        costs(&deps, &mut rounds);
        assert_eq!(errors(), 0);
        deps.world.has_asked(&class(&launched("a")));
        costs(&deps, &mut rounds);
        costs(&deps, &mut rounds);
        assert_eq!(errors(), 1, "each is counted once");
    }

    #[tokio::test]
    async fn a_state_that_is_complete_was_incomplete_for_no_time_at_all() {
        let deps = deps();
        cluster(&deps, &mut Rounds { synced_at: Instant::now(), unpriced: BTreeSet::new() });
        let text = deps.metrics.render();
        assert!(text.contains("\nkarpenter_cluster_state_unsynced_time_seconds 0\n"), "{text}");
    }
}
