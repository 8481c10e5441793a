//! Tells the controllers which of their objects a change concerns.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crds::names;
use planner::model::Str;
use tokio_util::sync::CancellationToken;

use super::queue::Queue;
use super::world::World;
use crate::observe::mirror::{Change, Kind};

/// The kinds that concern some controller.
const KINDS: [Kind; 7] = [
    Kind::NodeClaim,
    Kind::Node,
    Kind::NodePool,
    Kind::KwokNodeClass,
    Kind::Ec2NodeClass,
    Kind::Pod,
    Kind::VolumeAttachment,
];

/// What pods on a node say of its claim is looked at within this time, for all of them at once: it counts in minutes.
const POD_EVENTS: Duration = Duration::from_secs(1);

/// The queues that changes go to.
pub struct Router {
    world: World,
    pub claims: Arc<Queue>,
    pub nodes: Arc<Queue>,
    pub pools: Arc<Queue>,
    /// Which node each pod was bound to when it last changed: a pod that is gone does not say.
    node_of_pod: BTreeMap<Str, Str>,
    /// Which claims belong to the instance of a node, and the other way round, for nodes and claims that are gone.
    provider_of: BTreeMap<(Kind, Str), String>,
    /// What pools last said that claims go by.
    pool_terms: BTreeMap<Str, u64>,
}

impl Router {
    pub fn new(world: World, claims: Arc<Queue>, nodes: Arc<Queue>, pools: Arc<Queue>) -> Self {
        let (node_of_pod, provider_of, pool_terms) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { world, claims, nodes, pools, node_of_pod, provider_of, pool_terms }
    }

    /// Routes until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut changes = self.world.mirror.changes(&KINDS);
        loop {
            let change = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                change = changes.next() => change,
            };
            self.route(&change);
        }
    }

    fn route(&mut self, change: &Change) {
        match change.kind {
            Kind::NodeClaim => {
                self.claims.add(&change.name);
                if let Some(claim) = self.world.claim(&change.name) {
                    // Nothing but sums changes in its pool, which counts them by itself before long.
                    let provider_id = claim.status.as_ref().and_then(|status| status.provider_id.clone());
                    self.tell_instance(change, provider_id.unwrap_or_default());
                } else {
                    self.tell_instance(change, String::new());
                }
            }
            Kind::Node => {
                self.nodes.add(&change.name);
                let provider_id = self.world.mirror.node(&change.name).map(|node| node.spec.provider_id.to_string());
                self.tell_instance(change, provider_id.unwrap_or_default());
            }
            Kind::NodePool => {
                self.pools.add(&change.name);
                let terms = self.world.mirror.pool_terms(&change.name);
                if terms.is_some() && self.pool_terms.get(&change.name) == terms.as_ref() {
                    return;
                }
                match terms {
                    Some(terms) => self.pool_terms.insert(change.name.clone(), terms),
                    None => self.pool_terms.remove(&change.name),
                };
                for claim in self.world.mirror.claims() {
                    if claim.metadata.labels.get(names::core::NODE_POOL).is_some_and(|pool| **pool == *change.name) {
                        self.claims.add(claim.metadata.name());
                    }
                }
            }
            Kind::KwokNodeClass | Kind::Ec2NodeClass => {
                for pool in self.world.mirror.pools() {
                    if pool.spec.template.spec.node_class_ref.name == *change.name {
                        self.pools.add(pool.metadata.name());
                    }
                }
                for claim in self.world.mirror.claims() {
                    if claim.spec.node_class_ref.name == *change.name {
                        self.claims.add(claim.metadata.name());
                    }
                }
            }
            Kind::Pod => self.pod(change),
            Kind::VolumeAttachment => {
                for node in self.world.mirror.nodes() {
                    if node.metadata.deletion_timestamp.is_some() {
                        self.nodes.add(&node.metadata.name);
                    }
                }
            }
            _ => {}
        }
    }

    /// The Node of a claim, or the claim of a Node, has news too: of the instance as it was, and as it is.
    fn tell_instance(&mut self, change: &Change, provider_id: String) {
        let key = (change.kind, change.name.clone());
        let before = if provider_id.is_empty() {
            self.provider_of.remove(&key)
        } else {
            self.provider_of.insert(key, provider_id.clone())
        };
        let instances: BTreeSet<String> = before.into_iter().chain([provider_id]).filter(|id| !id.is_empty()).collect();
        for id in instances {
            if change.kind == Kind::Node {
                for claim in self.world.mirror.claims_of_provider(&id) {
                    self.claims.add(claim.metadata.name());
                }
            } else {
                for node in self.world.mirror.nodes_of_provider(&id) {
                    self.nodes.add(&node.metadata.name);
                }
            }
        }
    }

    fn pod(&mut self, change: &Change) {
        let key: Str = format!("{}/{}", change.namespace, change.name).into();
        let node = self.world.mirror.pod(&change.namespace, &change.name).and_then(|pod| pod.node.clone());
        let before = match &node {
            Some(node) => self.node_of_pod.insert(key, node.clone()),
            None => self.node_of_pod.remove(&key),
        };
        let nodes: BTreeSet<Str> = before.into_iter().chain(node).collect();
        for name in nodes {
            let Some(node) = self.world.mirror.node(&name) else { continue };
            if node.metadata.deletion_timestamp.is_some() {
                self.nodes.add(&name);
            }
            for claim in self.world.mirror.claims_of_provider(&node.spec.provider_id) {
                // A pod is bound, starts and becomes ready in a row, and so do its neighbours.
                self.claims.add_within(claim.metadata.name(), POD_EVENTS);
            }
        }
    }
}
