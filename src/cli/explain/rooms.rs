//! Room left on existing nodes, and the first plain reason each has against a pod.

use std::collections::BTreeMap;

use planner::model::taint::untolerated;
use planner::model::{Node, PodShape, Resources, Snapshot};

/// What a node can still take, before this plan's nominations.
pub fn free(node: &Node) -> Resources {
    let mut room = node.allocatable.clone();
    for bound in &node.pods {
        room.add_times(&bound.shape.requests, -i64::try_from(bound.pods.len()).unwrap_or(i64::MAX));
    }
    room
}

/// Existing nodes and claims, counted by why they do not take a pod.
pub fn refusals(shape: &PodShape, snapshot: &Snapshot) -> BTreeMap<String, usize> {
    let mut out = BTreeMap::new();
    for node in &snapshot.nodes {
        let why = if node.deleting {
            "on their way out".to_string()
        } else if let Some(taint) = untolerated(&node.taints, &shape.tolerations, false) {
            format!("taint {taint} is not tolerated")
        } else if !shape.wants(&node.labels) {
            "node selector or affinity excludes them".to_string()
        } else if !shape.reaches_volumes(&node.labels) {
            "its volumes are elsewhere".to_string()
        } else if let Some(short) = short_of(&shape.requests, &free(node)) {
            format!("not enough {short} left")
        } else {
            "taken by other pods of this plan, or spread, affinity, ports or volume limits forbid it".to_string()
        };
        *out.entry(why).or_default() += 1;
    }
    out
}

/// The first resource of which there is too little.
fn short_of(requests: &Resources, room: &Resources) -> Option<String> {
    requests.iter().find(|(name, amount)| *amount > room.get(name)).map(|(name, _)| name.to_string())
}
