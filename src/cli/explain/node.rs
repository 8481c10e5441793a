//! `explain node`: what is on it, what is free, and who comes to it. Claims and nodes to buy are nodes too.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::Result;
use planner::model::node::BoundPods;
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
    /// Pods that have their place on it, and pods of this plan that go to it.
    nominated: Vec<String>,
    #[serde(skip)]
    room: (Resources, Resources),
    #[serde(skip)]
    is_ours: bool,
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
    let mut nominated = nominated(name, plan);
    let mut free = node.free();
    take(&mut free, &nominated, snapshot);
    let state = match (node.deleting, node.initialized, node.pool.is_some()) {
        _ if node.is_coming() => on_its_way(node.deleting, false),
        (true, ..) => "on its way out",
        (false, false, true) => "starting",
        _ if node.taints.iter().any(|taint| NOT_READY.contains(&&*taint.key)) => "not ready",
        _ => "running",
    };
    let on_it = |is_wanted: fn(&&BoundPods) -> bool| {
        node.pods.iter().filter(is_wanted).flat_map(|bound| &bound.pods).map(ToString::to_string)
    };
    let mut pods: Vec<String> = on_it(|bound| !bound.promised).collect();
    pods.sort();
    nominated.extend(on_it(|bound| bound.promised));
    nominated.sort();
    Some(NodeAnswer {
        node_pool: node.pool.as_ref().map(ToString::to_string),
        hourly_price: node.pool.as_ref().and_then(|pool| price(pool, &node.labels, snapshot)),
        pods,
        is_ours: node.claim.is_some(),
        ..described(name, state, &node.labels, &node.taints, &node.allocatable, free, nominated)
    })
}

fn claim(name: &str, snapshot: &Snapshot, plan: &Plan) -> Option<NodeAnswer> {
    let claim = snapshot.claims.iter().find(|claim| *claim.name == *name)?;
    let nominated = nominated(name, plan);
    let mut free = claim.allocatable.clone();
    take(&mut free, &nominated, snapshot);
    let state = on_its_way(claim.deleting, claim.bereft);
    Some(NodeAnswer {
        node_pool: claim.pool.as_ref().map(ToString::to_string),
        hourly_price: claim.pool.as_ref().and_then(|pool| price(pool, &claim.labels, snapshot)),
        ..described(name, state, &claim.labels, &claim.taints, &claim.allocatable, free, nominated)
    })
}

/// How far a claim is that has no Node.
fn on_its_way(is_leaving: bool, is_bereft: bool) -> &'static str {
    match (is_bereft, is_leaving) {
        (true, true) => "its Node is gone, on its way out",
        (true, false) => "its Node is gone",
        (false, true) => "bought, on its way out",
        (false, false) => "bought, not joined yet",
    }
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
        is_ours: true,
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
    let pool = node.node_pool.as_deref().unwrap_or(if node.is_ours { "none" } else { "none (not managed)" });
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use planner::model::{Claim, Node, PodShape};
    use serde_json::Value;

    use super::*;

    fn told(name: &str, snapshot: &Snapshot) -> Value {
        serde_json::from_str(&explain(name, snapshot, &Plan::default()).unwrap().json).unwrap()
    }

    /// A claim that stands as a node, since a pod has its place on it.
    fn coming(name: &str) -> Node {
        let waits = BoundPods {
            shape: Arc::new(PodShape { requests: Resources::of([("cpu", 1500)]), ..PodShape::default() }),
            pods: vec!["shop/web-0".into()],
            terminating: false,
            promised: true,
        };
        Node {
            name: name.into(),
            labels: Labels::default(),
            taints: Vec::new(),
            capacity: Resources::of([("cpu", 2000)]),
            allocatable: Resources::of([("cpu", 1900)]),
            pool: None,
            claim: Some(name.into()),
            initialized: false,
            deleting: false,
            pods: vec![waits],
            attach_limits: BTreeMap::new(),
        }
    }

    #[test]
    fn a_pod_that_waits_for_a_node_is_not_on_it_and_a_claim_is_no_node_yet() {
        let mut snapshot = Snapshot { nodes: vec![coming("a")], ..Snapshot::default() };
        let answer = told("a", &snapshot);
        assert_eq!((&answer["state"], &answer["pods"]), (&"bought, not joined yet".into(), &Value::Array(Vec::new())));
        assert_eq!((&answer["nominated"][0], &answer["free"]["cpu"]), (&"shop/web-0".into(), &"400m".into()));
        snapshot.nodes[0].labels.insert(labels::REGISTERED.into(), "true".into());
        assert_eq!(told("a", &snapshot)["state"], "running", "of no pool");
        snapshot.nodes[0].pool = Some("general".into());
        assert_eq!(told("a", &snapshot)["state"], "starting");
    }

    #[test]
    fn a_claim_whose_node_is_gone_is_not_said_to_be_coming() {
        let claim = |bereft: bool| Claim {
            name: "a".into(),
            labels: Labels::default(),
            taints: Vec::new(),
            capacity: Resources::of([("cpu", 2000)]),
            allocatable: Resources::default(),
            pool: None,
            deleting: false,
            bereft,
        };
        let state = |claim: Claim| told("a", &Snapshot { claims: vec![claim], ..Snapshot::default() })["state"].clone();
        assert_eq!(state(claim(true)), "its Node is gone");
        assert_eq!(state(claim(false)), "bought, not joined yet");
        assert_eq!(state(Claim { deleting: true, ..claim(true) }), "its Node is gone, on its way out");
    }

    #[test]
    fn a_node_of_a_claim_without_a_pool_is_managed() {
        let mut node = coming("a");
        let table = |node: &Node| {
            let snapshot = Snapshot { nodes: vec![node.clone()], ..Snapshot::default() };
            explain("a", &snapshot, &Plan::default()).unwrap().table
        };
        assert!(table(&node).contains("NodePool     none\n"), "{}", table(&node));
        node.claim = None;
        assert!(table(&node).contains("NodePool     none (not managed)\n"), "{}", table(&node));
    }
}
