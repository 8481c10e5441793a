//! Random small clusters with everything a planner must look at, from a seed.

mod machines;
mod market;
mod pods;

use std::collections::BTreeSet;
use std::sync::Arc;

use planner::model::group::{collapse, project};
use planner::model::snapshot::Daemon;
use planner::model::{Claim, Code, Node, Pod, PodShape, Policies, Pool, Reason, Snapshot, Str};

use crate::rng::SplitMix64;

pub use market::ZONES;

/// A cluster with pending pods, before it is put in order and grouped.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Pods to place.
    pub pods: Vec<Pod>,
    pub nodes: Vec<Node>,
    pub claims: Vec<Claim>,
    pub pools: Vec<Pool>,
    pub daemons: Vec<Daemon>,
    pub policies: Policies,
}

impl Workload {
    /// The cluster of a seed: up to three pools, five machines, six sets of pods of up to six.
    pub fn random(seed: u64) -> Self {
        let rng = &mut SplitMix64::new(seed);
        let types = Arc::new(market::types(rng));
        let mut pools: Vec<Pool> = (0..=rng.index(3)).map(|at| market::pool(rng, at, &types)).collect();
        if rng.chance(4) {
            pools[0].not_ready = Some(Reason {
                pool: pools[0].name.clone(),
                code: Code::NodePoolNotReady,
                message: "its node class is not ready".into(),
                nearest_miss: None,
            });
        }
        let apps: Vec<pods::App> = (0..=rng.index(6)).map(|at| pods::app(rng, at)).collect();
        let daemons: Vec<Daemon> = (0..rng.index(3)).map(|at| pods::daemon(rng, at)).collect();
        let nodes = (0..rng.index(5)).map(|at| machines::node(rng, at, &pools, &apps, &daemons)).collect();
        let claims = (0..rng.index(2)).map(|at| machines::claim(rng, at, &pools)).collect();
        let policies = Policies {
            ignore_preferences: rng.chance(15),
            relax_min_values: rng.chance(30),
            effort: [0, 500, 5_000][rng.index(3)],
        };
        let pods = apps.iter().flat_map(pods::App::pods).collect();
        Self { pods, nodes, claims, pools, daemons, policies }
    }

    /// The same cluster as another list would have told it: pods, machines, pools and `DaemonSet`s in another order.
    #[must_use]
    pub fn permuted(&self, seed: u64) -> Self {
        let mut rng = SplitMix64::new(seed);
        let mut out = self.clone();
        rng.shuffle(&mut out.pods);
        rng.shuffle(&mut out.nodes);
        rng.shuffle(&mut out.claims);
        rng.shuffle(&mut out.pools);
        rng.shuffle(&mut out.daemons);
        out.nodes.iter_mut().for_each(|node| rng.shuffle(&mut node.pods));
        out
    }

    /// Sorted, and its pods in groups.
    pub fn snapshot(&self) -> Snapshot {
        let bound = self.nodes.iter().flat_map(|node| &node.pods).map(|pods| &*pods.shape);
        let shapes = self.pods.iter().map(|pod| &pod.shape).chain(bound);
        let keys: BTreeSet<Str> = shapes.flat_map(|shape| shape.selector_keys().cloned()).collect();
        let mut out = Snapshot {
            taken_at: 1_790_000_000,
            groups: collapse(self.pods.iter().map(|pod| (pod.clone(), false)), &keys),
            nodes: self.nodes.clone(),
            claims: self.claims.clone(),
            pools: self.pools.clone(),
            daemons: self.daemons.clone(),
            ignored: Vec::new(),
            policies: self.policies,
        };
        for node in &mut out.nodes {
            for pods in &mut node.pods {
                pods.shape = Arc::new(project(PodShape::clone(&pods.shape), &keys));
            }
            node.pods.sort_by(|a, b| a.pods.cmp(&b.pods));
        }
        out.nodes.sort_by(|a, b| a.name.cmp(&b.name));
        out.claims.sort_by(|a, b| a.name.cmp(&b.name));
        out.daemons.sort_by(|a, b| a.name.cmp(&b.name));
        out.pools.sort_by(|a, b| (b.weight, &b.name).cmp(&(a.weight, &a.name)));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_cluster() {
        assert_eq!(Workload::random(42).snapshot(), Workload::random(42).snapshot());
        assert_ne!(Workload::random(42).snapshot(), Workload::random(43).snapshot());
    }

    #[test]
    fn the_order_in_which_objects_are_listed_is_gone_in_the_snapshot() {
        for seed in 0..200 {
            let workload = Workload::random(seed);
            assert_eq!(workload.snapshot(), workload.permuted(seed + 1).snapshot(), "seed {seed}");
        }
    }

    #[test]
    fn everything_a_planner_must_look_at_occurs() {
        let all: Vec<Workload> = (0..400).map(Workload::random).collect();
        let pod = |what: fn(&PodShape) -> bool| all.iter().flat_map(|w| &w.pods).filter(|p| what(&p.shape)).count();
        for (name, n) in [
            ("hard spread", pod(|s| s.spreads.iter().any(|s| s.hard))),
            ("soft spread", pod(|s| s.spreads.iter().any(|s| !s.hard))),
            ("affinity", pod(|s| !s.affinity.is_empty())),
            ("anti-affinity", pod(|s| !s.anti_affinity.is_empty())),
            ("host ports", pod(|s| !s.host_ports.is_empty())),
            ("volumes", pod(|s| !s.volumes.is_empty())),
            ("attachments", pod(|s| !s.attachments.is_empty())),
            ("wishes", pod(|s| !s.preferred_node_terms.is_empty())),
            ("terms", pod(|s| s.node_terms.as_ref().is_some_and(|terms| terms.len() > 1))),
            ("tolerations", pod(|s| !s.tolerations.is_empty())),
            ("refused", pod(|s| s.refused.is_some())),
            ("limits", all.iter().flat_map(|w| &w.pools).filter(|p| !p.limits.0.is_empty()).count()),
            ("static pools", all.iter().flat_map(|w| &w.pools).filter(|p| !p.dynamic()).count()),
            ("deleting nodes", all.iter().flat_map(|w| &w.nodes).filter(|n| n.deleting).count()),
            ("claims", all.iter().map(|w| w.claims.len()).sum()),
            ("daemons", all.iter().map(|w| w.daemons.len()).sum()),
        ] {
            assert!(n >= 5, "{name}: {n}");
        }
    }
}
