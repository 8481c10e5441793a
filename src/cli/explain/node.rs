//! `explain node`: what is on it, what is free, and who comes to it. Claims and nodes to buy are nodes too.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::Result;
use planner::model::shown::shown;
use planner::model::{CapacityType, Labels, MicroUsdPerHour, Resources, Snapshot, Taint, labels};
use planner::plan::Plan;
use serde::Serialize;

use super::super::text::{amounts, some};
use super::{Answer, answer, unknown};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeAnswer {
    kind: &'static str,
    name: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_pool: Option<String>,
    instance_type: String,
    zone: String,
    capacity_type: String,
    /// Of the catalogue; absent where the type or the pool is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    hourly_price: Option<String>,
    taints: Vec<String>,
    allocatable: BTreeMap<String, String>,
    /// What is left once the nominated pods are on it.
    free: BTreeMap<String, String>,
    pods: Vec<String>,
    /// Pods of this plan that go to it.
    nominated: Vec<String>,
    #[serde(skip)]
    room: (Resources, Resources),
}

/// Taints by which the cluster says that a node is not well.
const NOT_READY: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

/// The answer for a node, a claim, or a node that the plan buys.
pub fn explain(name: &str, snapshot: &Snapshot, plan: &Plan) -> Result<Answer> {
    let found = existing(name, snapshot, plan)
        .or_else(|| claim(name, snapshot, plan))
        .or_else(|| launch(name, plan))
        .ok_or_else(|| {
        let nodes = snapshot.nodes.iter().map(|n| n.name.as_ref());
        let claims = snapshot.claims.iter().map(|c| c.name.as_ref());
        unknown("node", name, nodes.chain(claims).chain(plan.launches.iter().map(|l| l.name.as_ref())))
    })?;
    answer(table(&found), &found, true)
}

fn existing(name: &str, snapshot: &Snapshot, plan: &Plan) -> Option<NodeAnswer> {
    let node = snapshot.nodes.iter().find(|node| *node.name == *name)?;
    let nominated = nominated(name, plan);
    let mut free = node.free();
    take(&mut free, &nominated, snapshot);
    let state = match (node.deleting, node.initialized, node.pool.is_some()) {
        (true, ..) => "on its way out",
        (false, false, true) => "starting",
        _ if node.taints.iter().any(|taint| NOT_READY.contains(&&*taint.key)) => "not ready",
        _ => "running",
    };
    let mut pods: Vec<String> = node.pods.iter().flat_map(|bound| &bound.pods).map(ToString::to_string).collect();
    pods.sort();
    Some(NodeAnswer {
        node_pool: node.pool.as_ref().map(ToString::to_string),
        hourly_price: node.pool.as_ref().and_then(|pool| price(pool, &node.labels, snapshot)),
        pods,
        ..described(name, state, &node.labels, &node.taints, &node.allocatable, free, nominated)
    })
}

fn claim(name: &str, snapshot: &Snapshot, plan: &Plan) -> Option<NodeAnswer> {
    let claim = snapshot.claims.iter().find(|claim| *claim.name == *name)?;
    let nominated = nominated(name, plan);
    let mut free = claim.allocatable.clone();
    take(&mut free, &nominated, snapshot);
    let state = if claim.deleting { "bought, on its way out" } else { "bought, not joined yet" };
    Some(NodeAnswer {
        node_pool: claim.pool.as_ref().map(ToString::to_string),
        hourly_price: claim.pool.as_ref().and_then(|pool| price(pool, &claim.labels, snapshot)),
        ..described(name, state, &claim.labels, &claim.taints, &claim.allocatable, free, nominated)
    })
}

fn launch(name: &str, plan: &Plan) -> Option<NodeAnswer> {
    let launch = plan.launches.iter().find(|launch| *launch.name == *name)?;
    let mut free = launch.allocatable.clone();
    free.subtract(&launch.requests);
    let pods = launch.pods.iter().map(ToString::to_string).collect();
    Some(NodeAnswer {
        node_pool: Some(launch.pool.to_string()),
        hourly_price: Some(launch.price().to_string()),
        ..described(name, "to be bought", &launch.labels, &launch.taints, &launch.allocatable, free, pods)
    })
}

fn described(
    name: &str,
    state: &'static str,
    labels: &Labels,
    taints: &[Taint],
    allocatable: &Resources,
    free: Resources,
    nominated: Vec<String>,
) -> NodeAnswer {
    let label = |key: &str| labels.get(key).map_or_else(String::new, ToString::to_string);
    NodeAnswer {
        kind: "Node",
        name: name.to_string(),
        state,
        node_pool: None,
        instance_type: label(labels::INSTANCE_TYPE),
        zone: label(labels::ZONE),
        capacity_type: label(labels::CAPACITY_TYPE),
        hourly_price: None,
        taints: taints.iter().map(ToString::to_string).collect(),
        allocatable: written(allocatable),
        free: written(&free),
        pods: Vec::new(),
        nominated,
        room: (allocatable.clone(), free),
    }
}

fn nominated(name: &str, plan: &Plan) -> Vec<String> {
    plan.nominations.iter().filter(|n| *n.node == *name).map(|n| n.pod.to_string()).collect()
}

/// Takes the requests of `pods` out of `room`.
fn take(room: &mut Resources, pods: &[String], snapshot: &Snapshot) {
    for group in &snapshot.groups {
        let n = group.pods.iter().filter(|pod| pods.iter().any(|name| **name == *pod.key)).count();
        room.add_times(&group.shape.requests, -i64::try_from(n).unwrap_or(i64::MAX));
    }
}

fn price(pool: &str, labels: &Labels, snapshot: &Snapshot) -> Option<String> {
    let pool = snapshot.pools.iter().find(|p| *p.name == *pool)?;
    let instance_type = labels.get(labels::INSTANCE_TYPE)?;
    let capacity_type = CapacityType::parse(labels.get(labels::CAPACITY_TYPE)?)?;
    let zone = labels.get(labels::ZONE)?;
    let offerings = pool.types.iter().filter(|t| t.name == *instance_type).flat_map(|t| &t.offerings);
    let mut same = offerings.filter(|o| o.zone == *zone && o.capacity_type == capacity_type);
    same.next().map(|o: &planner::model::Offering| MicroUsdPerHour::to_string(&o.price))
}

fn written(resources: &Resources) -> BTreeMap<String, String> {
    resources.iter().map(|(name, amount)| (name.to_string(), shown(name, amount))).collect()
}

fn table(node: &NodeAnswer) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "Node {}: {}", node.name, node.state);
    let or_unknown = |text: &str| if text.is_empty() { "unknown".to_string() } else { text.to_string() };
    let has_labels = [&node.instance_type, &node.zone, &node.capacity_type].iter().any(|label| !label.is_empty());
    let _ = if has_labels {
        writeln!(
            out,
            "  {} in {}, {}{}",
            or_unknown(&node.instance_type),
            or_unknown(&node.zone),
            or_unknown(&node.capacity_type),
            node.hourly_price.as_ref().map_or_else(String::new, |price| format!(", ${price} an hour"))
        )
    } else {
        writeln!(out, "  has no labels that tell its type, zone or capacity type")
    };
    let pool = node.node_pool.as_deref().unwrap_or("none (not managed)");
    let _ = writeln!(out, "  NodePool     {pool}");
    if !node.taints.is_empty() {
        let _ = writeln!(out, "  taints       {}", node.taints.join(", "));
    }
    let _ = writeln!(out, "  allocatable  {}", amounts(&node.room.0));
    let _ = writeln!(out, "  free         {}", amounts(&node.room.1));
    for (label, pods) in [("on it", &node.pods), ("coming", &node.nominated)] {
        if !pods.is_empty() {
            let _ = writeln!(out, "  {label:<12} {}: {}", pods.len(), some(pods, 20));
        }
    }
    out
}
