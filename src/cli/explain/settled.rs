//! The cluster as it stands once a plan is carried out, save for one pod: what machines and pools are asked against.

use std::collections::BTreeMap;
use std::sync::Arc;

use planner::model::labels::HOSTNAME;
use planner::model::node::BoundPods;
use planner::model::resources::PODS;
use planner::model::{Labels, Node, PodShape, Resources, Snapshot, Str};
use planner::plan::{Launch, Plan};

/// All machines, bought ones included, with everybody on them but `pod`. A machine bought for `pod` alone is not there.
pub fn filled(snapshot: &Snapshot, plan: &Plan, pod: &Str) -> Snapshot {
    let mut shapes: BTreeMap<&Str, &Arc<PodShape>> = BTreeMap::new();
    for group in &snapshot.groups {
        shapes.extend(group.pods.iter().map(|pod| (&pod.key, &group.shape)));
    }
    let mut coming: BTreeMap<&Str, Vec<&Str>> = BTreeMap::new();
    for nomination in plan.nominations.iter().filter(|n| n.pod != *pod) {
        coming.entry(&nomination.node).or_default().push(&nomination.pod);
    }
    let mut nodes = snapshot.nodes.clone();
    nodes.extend(snapshot.claims.iter().map(|claim| {
        let (capacity, allocatable) = (claim.capacity.clone(), claim.allocatable.clone());
        let (labels, taints) = (claim.labels.clone(), claim.taints.clone());
        let node = bare(&claim.name, labels, capacity, allocatable, claim.pool.clone());
        Node { deleting: claim.deleting, taints, ..node }
    }));
    nodes.extend(plan.launches.iter().filter(|launch| launch.pods != [pod.clone()]).map(machine));
    for launch in &plan.launches {
        coming.entry(&launch.name).or_default().extend(launch.pods.iter().filter(|other| *other != pod));
    }
    for node in &mut nodes {
        let here = coming.get(&node.name).into_iter().flatten();
        let mut by_shape: BTreeMap<&Arc<PodShape>, Vec<Str>> = BTreeMap::new();
        for key in here {
            if let Some(shape) = shapes.get(*key) {
                by_shape.entry(shape).or_default().push((*key).clone());
            }
        }
        let bound = by_shape.into_iter().map(|(shape, pods)| BoundPods {
            shape: shape.clone(),
            pods,
            terminating: false,
            promised: false,
        });
        node.pods.extend(bound);
    }
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    Snapshot { nodes, claims: Vec::new(), ignored: Vec::new(), ..snapshot.clone() }
}

/// The same, but no machine takes anybody in: they keep their place in spread, affinity and limits.
pub fn settled(snapshot: &Snapshot, plan: &Plan, pod: &Str) -> Snapshot {
    let mut out = filled(snapshot, plan, pod);
    out.nodes.iter_mut().for_each(|node| node.allocatable.set(PODS, 0));
    out
}

fn machine(launch: &Launch) -> Node {
    let mut labels = Labels::clone(&launch.labels);
    labels.insert(HOSTNAME.into(), launch.name.clone());
    let node =
        bare(&launch.name, labels, launch.capacity.clone(), launch.allocatable.clone(), Some(launch.pool.clone()));
    Node { taints: launch.taints.clone(), ..node }
}

fn bare(name: &Str, labels: Labels, capacity: Resources, allocatable: Resources, pool: Option<Str>) -> Node {
    Node {
        name: name.clone(),
        labels,
        taints: Vec::new(),
        capacity,
        allocatable,
        pool,
        claim: None,
        initialized: true,
        deleting: false,
        pods: Vec::new(),
        attach_limits: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use planner::model::PodGroup;
    use planner::model::group::PodRef;
    use planner::plan::Nomination;

    use super::*;
    use crate::observe::{Objects, Options, snapshot};

    fn launch(name: &str, pods: &[&str]) -> Launch {
        Launch {
            name: name.into(),
            pool: "p".into(),
            offerings: Vec::new().into(),
            offerings_total: 0,
            requests: Resources::default(),
            allocatable: Resources::of([(PODS, 9)]),
            capacity: Resources::default(),
            labels: Labels::default().into(),
            taints: Vec::new(),
            startup_taints: Vec::new(),
            requirements: planner::model::Requirements::default().into(),
            relaxed_min_values: BTreeMap::new(),
            pods: pods.iter().map(|pod| (*pod).into()).collect(),
        }
    }

    #[test]
    fn everybody_else_is_in_place_and_nobody_more_comes_in() {
        let mut before = snapshot(Objects::default(), &Options::default()).unwrap().snapshot;
        let pods = ["n/a", "n/b", "n/c", "n/d"].map(|key| PodRef { key: key.into(), stand_in: false });
        before.groups = vec![PodGroup { shape: Arc::new(PodShape::default()), pods: pods.to_vec() }];
        let none = Resources::default();
        before.nodes = vec![bare(&"old".into(), Labels::default(), none.clone(), none, None)];
        let plan = Plan {
            launches: vec![launch("p-1", &["n/a", "n/b"]), launch("p-2", &["n/c"])],
            nominations: vec![Nomination { pod: "n/d".into(), node: "old".into() }],
            ..Plan::default()
        };
        let on = |pod: &str| -> Vec<(String, usize)> {
            let nodes = settled(&before, &plan, &pod.into()).nodes;
            assert!(nodes.iter().all(|node| node.allocatable.get(PODS) == 0));
            nodes.iter().map(|n| (n.name.to_string(), n.pods.iter().map(|b| b.pods.len()).sum())).collect()
        };
        assert_eq!(on("n/a"), [("old".into(), 1), ("p-1".into(), 1), ("p-2".into(), 1)]);
        assert_eq!(on("n/c"), [("old".into(), 1), ("p-1".into(), 2)], "a node bought for it alone is not there");
        assert_eq!(on("n/d")[0], ("old".into(), 0));
    }
}
