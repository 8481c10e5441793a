//! Gauges of nodes and pools, set anew every few seconds.

use std::sync::Arc;
use std::time::Duration;

use cloud::Cloud;
use crds::names;
use planner::model::Labels;
use tokio_util::sync::CancellationToken;

use super::claim::launch::resources;
use super::deps::{Deps, seconds};
use super::time;
use crate::telemetry::{OfNode, Quantity};

const PERIOD: Duration = Duration::from_secs(5);

/// Sets them until `stop`.
pub async fn run<C: Cloud>(deps: Arc<Deps<C>>, stop: CancellationToken) {
    loop {
        nodes(&deps);
        pools(&deps);
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

fn nodes<C: Cloud>(deps: &Deps<C>) {
    let metrics = &deps.metrics;
    let nodes = deps.world.nodes();
    metrics.cluster_state_node_count.set([], count(nodes.len()));
    metrics.cluster_state_synced.set([], if deps.world.mirror.synced() { 1.0 } else { 0.0 });
    metrics.nodes.reset();
    metrics.nodes_current_lifetime_seconds.reset();
    let now = deps.clock.seconds();
    for node in &nodes {
        let meta = &node.metadata;
        let labels: Labels = meta.labels.iter().map(|(k, v)| (k.as_str().into(), v.as_str().into())).collect();
        let managed = deps.world.claim_of(node).is_some();
        let phase = if meta.is_deleting() {
            "Terminating"
        } else if node.is_ready() {
            "Running"
        } else {
            "Pending"
        };
        let of = OfNode { name: node.name(), labels: &labels, phase, managed };
        let (capacity, allocatable) = (resources(&node.status.capacity), resources(&node.status.allocatable));
        let mut overhead = capacity;
        overhead.subtract(&allocatable);
        for (quantity, amounts) in [(Quantity::Allocatable, &allocatable), (Quantity::SystemOverhead, &overhead)] {
            for (name, amount) in amounts.iter() {
                metrics.nodes.set(quantity, &of, name, shown(name, amount));
            }
        }
        let label = |key: &str| meta.labels.get(key).map(String::as_str).unwrap_or_default();
        if let Some(born) = meta.creation_timestamp.as_deref().and_then(time::seconds) {
            let values = [
                node.name(),
                label(names::core::NODE_POOL),
                label(names::kubernetes::ZONE),
                label(names::core::CAPACITY_TYPE),
                label(names::kubernetes::INSTANCE_TYPE),
                label(names::kubernetes::ARCH),
            ];
            metrics.nodes_current_lifetime_seconds.set(values, seconds(now - born));
        }
    }
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

/// In cores for cpu, else as it is counted.
#[expect(clippy::cast_precision_loss, reason = "a gauge")]
fn shown(resource: &str, amount: i64) -> f64 {
    if resource == names::kubernetes::CPU { amount as f64 / 1000.0 } else { amount as f64 }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge")]
fn count(n: usize) -> f64 {
    n as f64
}
